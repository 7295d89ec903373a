//! The command `ls`: its arguments, and how they become a call of the library.

use anyhow::Result;
use ocibake::layout::Location;
use ocibake::ops::ls::{ls, LsOptions};

use super::output::print;
use super::progress::ProgressMode;
use super::{text, Answer, LocationParser, Session};

/// List what a layout holds
///
/// Prints a line for each name: the name, the platform or what else it is, the bytes of everything that it leads to,
/// and its digest. What an index lists is shown below it, and what is attached to an image below the image.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  ocibake ls oci:out")]
pub(super) struct Args {
    /// The layout; with a name, only what that leads to
    #[arg(value_parser = LocationParser)]
    layout: Location,

    /// Print a report in JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, session: &Session) -> Result<Answer> {
    let display = session.display(ProgressMode::None);
    let listed = ls(&args.layout, &LsOptions::default(), &display.work(None)?)?;
    print(args.json, &listed, || text::listing(&listed.entries))?;
    Ok(Answer::Yes)
}
