use anyhow::Result;
use ocibake::layout::Location;
use ocibake::ops::ls::{ls, LsOptions};

use super::output::print;
use super::progress::ProgressMode;
use super::{text, Answer, LocationParser, Session};

/// List what a layout holds
///
/// A line for each name: the name, the platform or what else it is, the bytes of all that it leads to, and its digest.
/// Below an index stands what it lists, and below an image what is attached to it.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  ocibake ls oci:out")]
pub(super) struct Args {
    /// The layout; with a name, what it leads to alone
    #[arg(value_parser = LocationParser)]
    layout: Location,

    /// Print an array of objects for programs
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, session: &Session) -> Result<Answer> {
    let display = session.display(ProgressMode::None);
    let listed = ls(&args.layout, &LsOptions::default(), &display.work(None)?)?;
    print(args.json, &listed, || text::listing(&listed.entries))?;
    Ok(Answer::Yes)
}
