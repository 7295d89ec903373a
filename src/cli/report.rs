//! The command `report`: its arguments, and how they become a call of the library.

use std::ffi::{OsStr, OsString};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use anyhow::Result;
use ocibake::error::STDOUT;
use ocibake::layer::groups::PackageMap;
use ocibake::layout::Location;
use ocibake::ops::report::{page, report, Limit, Report, ReportOptions, TestedLimit};
use ocibake::platform::PlatformPattern;
use ocibake::Error;

use super::output::{check_place, is_stdout, is_stream, print, print_done, write_whole};
use super::progress::ProgressMode;
use super::text::printable;
use super::usage::count;
use super::{input, say, Answer, LocationParser, Session};

/// Show what takes the space in an image, and what an update costs
///
/// Writes one HTML file to look at, which needs no network; if its name ends in .md, a summary in Markdown. Without -o,
/// the summary goes to stdout. With OLD, the page shows what changed since that image.
///
/// Exit status: 0 done, 1 a limit of --fail-if is broken, 2 trouble.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ocibake report oci:out:v2 -o report.html
  ocibake report oci:out:v2 oci:out:v1 -o report.html --fail-if 'update>5MB'")]
pub(super) struct Args {
    /// The image
    #[arg(value_parser = LocationParser)]
    image: Location,

    /// An older image to compare with
    old: Option<OsString>,

    /// Write the page (.html, .htm) or a summary in Markdown (.md); `-` writes the page to stdout
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Which platform, where there is a choice: `os/architecture[/variant]` [default: a part for each]
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<PlatformPattern>,

    /// Take who owns which file from a table of PATH, PACKAGE, RECIPE and VERSION, with tabs between them, in the place
    /// of the image's package database
    #[arg(long, value_name = "FILE")]
    package_map: Option<PathBuf>,

    /// Fail if something is more than it may be (repeatable): `size>80MB`, `update>5%`, `wasted>1%`, `setuid>3`
    #[arg(long, value_name = "LIMIT")]
    fail_if: Vec<Limit>,

    /// Number of threads [default: the machine's cores]
    #[arg(long, value_name = "N", value_parser = count, allow_hyphen_values = true)]
    threads: Option<NonZeroUsize>,

    /// How to show progress
    #[arg(long, value_name = "HOW", default_value = "auto")]
    progress: ProgressMode,

    /// Print a report in JSON
    #[arg(long)]
    json: bool,
}

/// Where the report goes, and in which form.
#[derive(Clone, Copy)]
enum Output<'a> {
    Page(&'a Path),
    Summary(&'a Path),
}

impl<'a> Output<'a> {
    fn of(path: &'a Path) -> Result<Self, Error> {
        if path == Path::new(STDOUT) {
            return Ok(Output::Page(path));
        }
        check_place(path, OsStr::new("report.html"))?;
        let ending = path.extension().and_then(OsStr::to_str).unwrap_or_default();
        match ending.to_ascii_lowercase().as_str() {
            "html" | "htm" => Ok(Output::Page(path)),
            "md" => Ok(Output::Summary(path)),
            _ if is_stream(path) => Ok(Output::Page(path)),
            _ => Err(Error::refused_with_hint(
                format!("-o `{}`: a name that ends in .html, .htm or .md expected", printable(&path.to_string_lossy())),
                "a browser can print the page to a PDF, and --json prints an object for programs",
            )),
        }
    }
}

pub(super) fn run(args: &Args, session: &Session) -> Result<Answer> {
    let output = args.output.as_deref().map(Output::of).transpose()?;
    if args.json && args.output.as_deref().is_some_and(is_stdout) {
        return Err(Error::refused("the page and the object of --json cannot both go to stdout").into());
    }
    let mut options = ReportOptions::default();
    options.platform.clone_from(&args.platform);
    options.old = args.old.as_deref().map(old).transpose()?;
    options.limits.clone_from(&args.fail_if);
    if let Some(path) = &args.package_map {
        options.package_map = Some(input::read("--package-map", path, PackageMap::parse)?);
    }
    let display = session.display(args.progress);
    let report = report(&args.image, &options, &display.work(args.threads)?)?;
    drop(display);
    match output {
        Some(Output::Page(path)) => write_whole(path, |out| out.write_all(page::html(&report).as_bytes()))?,
        Some(Output::Summary(path)) => write_whole(path, |out| out.write_all(page::markdown(&report).as_bytes()))?,
        None => {}
    }
    match output {
        Some(Output::Page(path) | Output::Summary(path)) if args.json => {
            let done = format!("`{}` is written", path.display());
            print_done(&done, true, &report, String::new)?;
        }
        Some(_) => {}
        None => print(args.json, &report, || page::markdown(&report))?,
    }
    Ok(answer(&report))
}

/// The older image. What a page would be written to is no image.
fn old(given: &OsStr) -> Result<Location, Error> {
    let path = Path::new(given);
    let ending = path.extension().and_then(OsStr::to_str).unwrap_or_default().to_ascii_lowercase();
    if matches!(ending.as_str(), "html" | "htm" | "md") && !path.is_dir() {
        let given = printable(&given.to_string_lossy());
        let message = format!("`{given}`: an older image is wanted here, found the name of a page");
        return Err(Error::refused_with_hint(message, format!("write it with `-o {given}`")));
    }
    Location::parse(given)
}

/// Whether the limits hold; a line for each that does not.
fn answer(report: &Report) -> Answer {
    for limit in report.limits.iter().filter(|limit| limit.broken) {
        say(&broken(limit, report.index.is_some()));
    }
    if report.is_within_limits() {
        Answer::Yes
    } else {
        Answer::No
    }
}

fn broken(tested: &TestedLimit, has_platforms: bool) -> String {
    let limit = format!("limit `{}` is broken", tested.limit);
    let shown = printable(&tested.shown());
    if tested.value.is_none() {
        format!("ocibake: {limit}: {shown}")
    } else if has_platforms {
        format!("ocibake: {}: {limit}: found {shown}", printable(&tested.platform.to_string()))
    } else {
        format!("ocibake: {limit}: found {shown}")
    }
}
