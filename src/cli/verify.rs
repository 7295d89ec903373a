//! The command `verify`: its arguments, and how they become a call of the library.

use std::path::{Path, PathBuf};

use anyhow::Result;
use ocibake::layout::Location;
use ocibake::ops::verify::{
    verify, verify_cache, CacheVerification, Finding, Rule, RuleReport, Severity, VerifyOptions, VerifyReport,
};

use super::colour::{Colour, Paint};
use super::output::{lines, print};
use super::progress::{ProgressMode, Verbosity};
use super::{say, text, Answer, LocationParser, Session};

/// Check that every byte of an image is what its documents say it is
///
/// Prints a line for each finding: `error:` if a promise is broken or readers disagree, `note:` for what is permitted
/// and good to know. Without a ref name, everything in the layout is checked. Exit status: 0 without errors, 1 with
/// errors, 2 if the image cannot be opened.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  ocibake verify oci:out:v1\n  ocibake verify --cache ~/.cache/ocibake")]
pub(super) struct Args {
    /// The image
    #[arg(value_parser = LocationParser, required_unless_present_any = ["rules", "cache"])]
    image: Option<Location>,

    /// Print a report in JSON
    #[arg(long)]
    json: bool,

    /// How to show progress
    #[arg(long, value_name = "HOW", default_value = "auto")]
    progress: ProgressMode,

    /// Check a cache of compressed blocks instead: each is decompressed and held to its digest
    #[arg(long, value_name = "DIR", conflicts_with_all = ["image", "rules"])]
    cache: Option<PathBuf>,

    /// List the rules instead, with the document that each comes from
    #[arg(long, conflicts_with = "image")]
    rules: bool,
}

pub(super) fn run(args: &Args, session: &Session) -> Result<Answer> {
    if let Some(cache) = &args.cache {
        return run_on_cache(cache, args, session);
    }
    let Some(image) = &args.image else {
        print_rules(args.json)?;
        return Ok(Answer::Yes);
    };
    let report = {
        let display = session.display(args.progress);
        verify(image, &VerifyOptions::default(), &display.work(None)?)?
    };
    let paint = Paint::of_stdout();
    print(args.json, &report, || report.findings.iter().map(|finding| finding_line(finding, paint)).collect())?;
    if !args.json && session.verbosity != Verbosity::Quiet {
        say(&format!("ocibake: {}", summary(&report)));
    }
    Ok(if report.is_good() { Answer::Yes } else { Answer::No })
}

fn run_on_cache(cache: &Path, args: &Args, session: &Session) -> Result<Answer> {
    let report = {
        let display = session.display(args.progress);
        verify_cache(cache, &display.work(None)?)?
    };
    let paint = Paint::of_stdout();
    let line = |(file, problem): (&PathBuf, &String)| {
        paint.line(Colour::Red, &format!("error: {}: {problem}", file.display()))
    };
    print(args.json, &report, || report.findings.iter().map(line).collect())?;
    if !args.json && session.verbosity != Verbosity::Quiet {
        say(&format!("ocibake: {}", cache_summary(&report)));
    }
    Ok(if report.is_good() { Answer::Yes } else { Answer::No })
}

/// `kept: 12 blocks, 1 base layer, 12.3 MB verified: no findings`.
fn cache_summary(report: &CacheVerification) -> String {
    let mut what = vec![text::plural(report.blocks as u64, "block")];
    if report.layers > 0 {
        what.push(text::plural(report.layers as u64, "base layer"));
    }
    let found = match report.findings.len() {
        0 => "no findings".to_owned(),
        count => text::plural(count as u64, "damaged file"),
    };
    format!("{}: {}, {} verified: {found}", report.cache.display(), what.join(", "), text::bytes(report.bytes))
}

fn finding_line(finding: &Finding, paint: Paint) -> String {
    let colour = if finding.severity() == Severity::Error { Colour::Red } else { Colour::Blue };
    paint.line(colour, &finding.to_string())
}

/// `oci:out: 1 image, 3 blobs, 12.3 MB verified: no findings`.
fn summary(report: &VerifyReport) -> String {
    let counts: Vec<String> = [(report.errors, "error"), (report.notes, "note")]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| text::plural(count as u64, what))
        .collect();
    format!(
        "{}: {}, {}, {} verified: {}",
        report.image,
        text::plural(report.images, "image"),
        text::plural(report.blobs, "blob"),
        text::bytes(report.bytes),
        if counts.is_empty() { "no findings".to_owned() } else { counts.join(", ") }
    )
}

fn print_rules(json: bool) -> Result<()> {
    let rules: Vec<RuleReport> = Rule::ALL.iter().map(|rule| rule.report()).collect();
    let line = |RuleReport { rule, severity, meaning, source, .. }: &RuleReport| {
        format!("{:<5} {:<27} {meaning} ({source})", severity.name(), rule.name())
    };
    print(json, &rules, || lines(rules.iter().map(line)))
}
