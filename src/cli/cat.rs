//! The command `cat`: its arguments, and how they become a call of the library.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::Result;
use ocibake::error::STDOUT;
use ocibake::ops::cat::{cat, CatOptions};
use ocibake::platform::PlatformPattern;

use super::output::{check_place, is_stdout, is_stream, write_whole};
use super::progress::ProgressMode;
use super::{image_before, Answer, Session};

/// Print one file of an image
///
/// Symbolic links on the way to the file are followed as in a container of the image: none leads out of it. All layers
/// are verified before the first byte is printed.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  ocibake cat oci:out:v1 /etc/os-release\n  ocibake cat app.tar /bin/app -o app")]
pub(super) struct Args {
    /// The image
    image: OsString,

    /// The file's path in the image
    path: OsString,

    /// Write to this file instead, which appears when it is complete; `-` is stdout
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Which platform, where there is a choice: `os/architecture[/variant]`
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<PlatformPattern>,
}

pub(super) fn run(args: &Args, session: &Session) -> Result<Answer> {
    let image = image_before(&args.image, &args.path, "cat")?;
    let mut options = CatOptions::default();
    options.platform = args.platform.clone();
    let output = args.output.as_deref().unwrap_or(Path::new(STDOUT));
    if !is_stdout(output) && !is_stream(output) {
        check_place(output, Path::new(&args.path).file_name().unwrap_or(OsStr::new("FILE")))?;
    }
    let display = session.display(if is_stdout(output) { ProgressMode::None } else { ProgressMode::Auto });
    let work = display.work(None)?;
    let copy = |out: &mut dyn Write| {
        cat(&image, args.path.as_bytes(), &options, &work, out).map(drop).and_then(|()| out.flush())
    };
    write_whole(output, copy)?;
    Ok(Answer::Yes)
}
