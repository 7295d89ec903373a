//! The command `diff`: its arguments, and how they become a call of the library.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use anyhow::Result;
use ocibake::layout::Location;
use ocibake::ops::diff::{diff, is_rootfs, DiffOptions, Side};
use ocibake::platform::PlatformPattern;
use ocibake::Error;

use super::colour::Paint;
use super::differences::{all, summary};
use super::output::print;
use super::progress::{ProgressMode, Verbosity};
use super::usage::count;
use super::{Answer, Session};

/// Show what differs between two images, or between an image and a rootfs
///
/// Entries are compared by everything that a layer holds, contents by digest. The first line says why the digests
/// differ. What only the indexes of two layouts say differently about an image is a note, not a difference. With -q,
/// nothing is printed.
///
/// Exit status: 0 no difference, 1 differences, 2 trouble.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  ocibake diff oci:out:v1 oci:out:v2\n  ocibake diff oci:out:v1 rootfs")]
pub(super) struct Args {
    /// An image, or a directory with a rootfs
    old: OsString,

    /// An image, or a directory with a rootfs
    new: OsString,

    /// Which platform, where there is a choice: `os/architecture[/variant]`
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<PlatformPattern>,

    /// Number of threads [default: the machine's cores]
    #[arg(long, value_name = "N", value_parser = count, allow_hyphen_values = true)]
    threads: Option<NonZeroUsize>,

    /// Print how much differs, but not what
    #[arg(long)]
    summary: bool,

    /// How to show progress
    #[arg(long, value_name = "HOW", default_value = "auto")]
    progress: ProgressMode,

    /// Print a report in JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, session: &Session) -> Result<Answer> {
    let side = |operand: &OsString| -> Result<Side> {
        let path = PathBuf::from(operand);
        if is_rootfs(&path) {
            return Ok(Side::Rootfs(path));
        }
        let image = Location::parse(operand)?;
        // A mere word is as likely the name of a root filesystem.
        if image.bare && image.name.is_none() && image.digest.is_none() && image.path.symlink_metadata().is_err() {
            return Err(Error::refused_with_hint(
                format!("cannot open `{}`: there is no directory and no file of this name", path.display()),
                "give an image, or a root filesystem as a directory",
            )
            .into());
        }
        Ok(Side::Image(image))
    };
    let mut options = DiffOptions::default();
    options.platform = args.platform.clone();
    let (old, new) = (side(&args.old)?, side(&args.new)?);
    if let (Side::Rootfs(_), Side::Rootfs(_), Some(_)) = (&old, &new, &args.platform) {
        session.warn("--platform has no effect: neither side is an image");
    }
    let display = session.display(args.progress);
    let report = diff(&old, &new, &options, &display.work(args.threads)?)?;
    drop(display);
    let answer = if report.same { Answer::Yes } else { Answer::No };
    if args.json && args.summary {
        let mut object = serde_json::to_value(&report)?;
        for list in ["entries", "documents"] {
            object.as_object_mut().map(|object| object.remove(list));
        }
        print(true, &object, String::new)?;
    } else if args.json || session.verbosity != Verbosity::Quiet {
        let paint = Paint::of_stdout();
        let text = || if args.summary { summary(&report, paint) } else { all(&report, paint) };
        print(args.json, &report, text)?;
    }
    Ok(answer)
}
