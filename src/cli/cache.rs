//! The command `cache`: its arguments, and how they become a call of the library.

use std::path::PathBuf;

use anyhow::Result;
use clap::builder::{PathBufValueParser, TypedValueParser};
use ocibake::ops::cache::{cache, CacheOptions, CacheReport};

use super::cache_flags::{directory, size};
use super::output::{lines, print, print_done};
use super::progress::ProgressMode;
use super::{text, Answer, Session};

/// Show what is in a cache of compressed blocks, or make it smaller
///
/// `build`, `squash` and `convert` fill it where they are given --cache. It may be removed at any time: what is not
/// there is compressed anew. A file that it shares with an image costs nothing while the image is there.
/// `verify --cache` checks it.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  ocibake cache ~/.cache/ocibake\n  ocibake cache ~/.cache/ocibake --prune 1G")]
pub(super) struct Args {
    /// The cache
    #[arg(value_parser = PathBufValueParser::new().try_map(directory))]
    directory: PathBuf,

    /// Remove what was used least recently until at most this size remains: bytes, or a number with K, M, G or T
    #[arg(long, value_name = "SIZE", value_parser = size)]
    prune: Option<u64>,

    /// Print a report in JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args, session: &Session) -> Result<Answer> {
    let display = session.display(ProgressMode::None);
    let work = display.work(None)?;
    let mut options = CacheOptions::default();
    options.prune = args.prune;
    let report = cache(&args.directory, &options, &work)?;
    let text = || shown(&report);
    match report.removed_bytes {
        0 => print(args.json, &report, text)?,
        _ => print_done("the cache is smaller", args.json, &report, text)?,
    }
    Ok(Answer::Yes)
}

fn shown(report: &CacheReport) -> String {
    let mut shown = vec![format!(
        "{}: {}, of which {} are shared with images",
        text::plural(report.items as u64, "item"),
        text::bytes(report.bytes),
        text::bytes(report.shared_bytes)
    )];
    shown.extend(
        report.blocks.iter().map(|(encoding, count)| format!("{} of {encoding}", text::plural(*count as u64, "block"))),
    );
    if report.removed_bytes > 0 {
        shown.push(format!("{} removed", text::bytes(report.removed_bytes)));
    }
    lines(shown)
}
