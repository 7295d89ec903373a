//! The command `gc`: its arguments, and how they become a call of the library.

use anyhow::Result;
use ocibake::layout::Location;
use ocibake::ops::gc::{gc, GcMode, GcOptions, GcReport};

use super::output::{lines, print, print_done};
use super::progress::{ProgressMode, Verbosity};
use super::work_flags::SyncFlag;
use super::{say, text, Answer, LocationParser, Session};

/// Remove the blobs of a layout that nothing leads to
///
/// Everything that `index.json` leads to is kept, named or not, and so is what other runs of this tool are writing.
/// Nothing is removed if a document is damaged or a blob is missing, or while umoci writes. Other tools take no lock:
/// wait for them. An archive is rewritten. With --dry-run or -v, prints the digest and size of each blob.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  ocibake gc oci:out --dry-run")]
pub(super) struct Args {
    /// The layout
    #[arg(value_parser = LocationParser)]
    layout: Location,

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
    let display = session.display(ProgressMode::None);
    let mut options = GcOptions::default();
    options.mode = if args.dry_run { GcMode::DryRun } else { GcMode::Free };
    let report = gc(&args.layout, &options, &display.work(None)?.with_durability(args.sync.durability()))?;
    let listed = if args.dry_run || session.verbosity == Verbosity::Verbose { &report.freed[..] } else { &[] };
    let text = || lines(listed.iter().map(|blob| format!("{} {}", blob.digest, blob.size)));
    if report.dry_run {
        print(args.json, &report, text)?;
    } else {
        print_done(&summary(&report), args.json, &report, text)?;
    }
    if !args.json && session.verbosity != Verbosity::Quiet {
        say(&format!("ocibake: {}", summary(&report)));
    }
    Ok(Answer::Yes)
}

/// `oci:out: 3 blobs freed, 12.3 MB; 7 blobs kept`.
fn summary(report: &GcReport) -> String {
    let freed = if report.dry_run { "would be freed" } else { "freed" };
    let left = match report.cleared.len() {
        0 => String::new(),
        count => format!(", and what {} left", text::plural(count as u64, "killed run")),
    };
    format!(
        "{}: {} {freed}, {}{left}; {} kept",
        report.image,
        text::plural(report.freed.len() as u64, "blob"),
        text::bytes(report.bytes),
        text::plural(report.kept as u64, "blob"),
    )
}
