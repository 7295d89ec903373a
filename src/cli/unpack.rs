//! The command `unpack`: its arguments, and how they become a call of the library.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::Result;
use ocibake::ops::unpack::{unpack, Form, Rights, UnpackOptions};
use ocibake::platform::PlatformPattern;

use super::output::print_done;
use super::progress::{ProgressMode, Verbosity};
use super::{image_before, say, text, Answer, Session};

/// Put an image's filesystem on disk
///
/// Owners, modes, times, devices and extended attributes are set as in the image, which takes root, pseudo or fakeroot.
/// Attributes that no user could set there (another system's, or of a kind that the filesystem lacks) are left out and
/// listed. Nothing is inherited from the parent directory. The directory appears when it is complete, and not at all if
/// anything fails.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  ocibake unpack oci:out:v1 rootfs\n  fakeroot ocibake unpack image.tar rootfs")]
pub(super) struct Args {
    /// The image
    image: OsString,

    /// Where it goes: a new or empty directory
    #[arg(value_name = "DIR")]
    directory: PathBuf,

    /// Which platform, where there is a choice: `os/architecture[/variant]`
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<PlatformPattern>,

    /// Make a bundle for runc or crun: DIR/rootfs and DIR/config.json
    #[arg(long)]
    bundle: bool,

    /// Leave out and list what this user may not set: owners, devices, some attributes
    #[arg(long)]
    rootless: bool,

    /// How to show progress
    #[arg(long, value_name = "HOW", default_value = "auto")]
    progress: ProgressMode,

    /// Print a report in JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, session: &Session) -> Result<Answer> {
    let image = image_before(&args.image, args.directory.as_os_str(), "unpack")?;
    let mut options = UnpackOptions::default();
    options.platform = args.platform.clone();
    options.form = if args.bundle { Form::Bundle } else { Form::Rootfs };
    options.rights = if args.rootless { Rights::Rootless } else { Rights::Full };
    // Other users must not get in before an entry has the mode that it has in the image.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let display = session.display(args.progress);
    let report = unpack(&image, &args.directory, &options, &display.work(None)?)?;
    drop(display);

    if session.verbosity == Verbosity::Verbose {
        for skipped in &report.skipped {
            say(&format!("ocibake: left out: {} {} {}", skipped.path, skipped.what, skipped.wanted));
        }
        let (entries, size) = (report.entries, text::bytes(report.bytes));
        say(&format!("ocibake: {entries} entries, {size} in `{}`", args.directory.display()));
    }
    print_done(&format!("the image is unpacked into `{}`", args.directory.display()), args.json, &report, String::new)?;
    Ok(Answer::Yes)
}
