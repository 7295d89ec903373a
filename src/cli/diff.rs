use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use anyhow::Result;
use ocibake::layout::Location;
use ocibake::ops::diff::{diff, is_rootfs, DiffOptions, Side};
use ocibake::platform::PlatformPattern;

use super::output::print;
use super::progress::ProgressMode;
use super::usage::count;
use super::{report, Answer, Session};

/// Show what differs between two images, or between an image and a rootfs
///
/// Entries are compared by everything that a layer holds, contents by digest. The first line says why the digests differ.
/// Exit status: 0 no difference, 1 differences, 2 trouble.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  ocibake diff oci:out:v1 oci:out:v2\n  ocibake diff oci:out:v1 rootfs")]
pub(super) struct Args {
    /// An image, or a directory with a rootfs
    old: OsString,

    /// An image, or a directory with a rootfs
    new: OsString,

    /// Which platform, where there is a choice: `os/architecture[/variant]`
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<PlatformPattern>,

    /// Work with so many threads [default: the machine's cores]
    #[arg(long, value_name = "N", value_parser = count, allow_hyphen_values = true)]
    threads: Option<NonZeroUsize>,

    /// Print an object for programs
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, session: &Session) -> Result<Answer> {
    let side = |operand: &OsString| -> Result<Side> {
        let path = PathBuf::from(operand);
        Ok(if is_rootfs(&path) { Side::Rootfs(path) } else { Side::Image(Location::parse(operand)?) })
    };
    let mut options = DiffOptions::default();
    options.platform = args.platform.clone();
    let display = session.display(ProgressMode::None);
    let report = diff(&side(&args.old)?, &side(&args.new)?, &options, &display.work(args.threads)?)?;
    print(args.json, &report, || report::differences(&report))?;
    Ok(if report.same { Answer::Yes } else { Answer::No })
}
