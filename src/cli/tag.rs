//! The command `tag`: its arguments, and how they become a call of the library.

use std::ffi::{OsStr, OsString};

use anyhow::Result;
use ocibake::layout::Location;
use ocibake::ops::tag::{tag, TagOptions};
use ocibake::Error;

use super::output::print_done;
use super::progress::ProgressMode;
use super::work_flags::SyncFlag;
use super::{image_before, Answer, Session};

/// Give an image more names
///
/// Prints the digest of what the names lead to; for a multi-platform image, that of its index. A name that is taken
/// moves. What only it led to cannot be named any more, not even by its digest, and stays until `ocibake gc`. An
/// archive is rewritten.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  ocibake tag oci:out:v1 stable latest")]
pub(super) struct Args {
    /// The image
    #[arg(value_parser = clap::value_parser!(OsString))]
    image: OsString,

    /// The names that it gets: `v2`, `team/app:v2`
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,

    /// Print a report in JSON instead of the digest
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    sync: SyncFlag,
}

pub(super) fn run(args: &Args, session: &Session) -> Result<Answer> {
    let display = session.display(ProgressMode::None);
    let mut options = TagOptions::default();
    let image = match args.names.as_slice() {
        [name] => image_before(&args.image, OsStr::new(name), "tag")?,
        _ => Location::parse(&args.image)?,
    };
    options.names = args.names.iter().map(|name| name.parse()).collect::<Result<_, Error>>()?;
    let report = tag(&image, &options, &display.work(None)?.with_durability(args.sync.durability()))?;
    print_done(&format!("`{image}` has the names"), args.json, &report, || format!("{}\n", report.digest))?;
    Ok(Answer::Yes)
}
