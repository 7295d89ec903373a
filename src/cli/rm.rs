//! The command `rm`: its arguments, and how they become a call of the library.

use anyhow::Result;
use ocibake::layout::Location;
use ocibake::ops::rm::{rm, Removed, RemovedEntry, RmMode, RmOptions};

use super::output::{lines, print, print_done};
use super::progress::ProgressMode;
use super::work_flags::SyncFlag;
use super::{text::printable, Answer, LocationParser, Session};

/// Remove a name from a layout
///
/// Other names of the same image stay. With the last entry that leads to an image, what is attached to the image is
/// removed too. Blobs stay in the layout until `ocibake gc`. An archive is rewritten. Prints a line for each entry that
/// was removed: its digest, and its name if it had one. A digest removes all entries that have it, and an artifact also
/// leaves the list of what is attached to its image.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  ocibake rm oci:out:v1\n  ocibake rm oci:out --untagged --dry-run")]
pub(super) struct Args {
    /// The image, by name or digest
    #[arg(value_parser = LocationParser)]
    image: Location,

    /// Remove what has no name and is attached to nothing that has one, such as images that other tools left without
    ///
    /// An image whose name ocibake gave to another is not listed any more: only `ocibake gc` removes it.
    #[arg(long)]
    untagged: bool,

    /// Show what would be removed, but remove nothing
    #[arg(long)]
    dry_run: bool,

    /// Print a report in JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    sync: SyncFlag,
}

pub(super) fn run(args: &Args, session: &Session) -> Result<Answer> {
    let mut options = RmOptions::default();
    options.what = if args.untagged { Removed::Untagged } else { Removed::Named };
    options.mode = if args.dry_run { RmMode::DryRun } else { RmMode::Remove };
    let display = session.display(ProgressMode::None);
    let report = rm(&args.image, &options, &display.work(None)?.with_durability(args.sync.durability()))?;
    let text = || lines(report.removed.iter().map(line));
    if report.dry_run {
        print(args.json, &report, text)?;
    } else {
        print_done(&format!("what was named is removed from `{}`", report.image), args.json, &report, text)?;
    }
    Ok(Answer::Yes)
}

/// A digest, and the name that led to it.
fn line(entry: &RemovedEntry) -> String {
    let name = entry.name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
    format!("{}{}", entry.digest, printable(&name))
}
