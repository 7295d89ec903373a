//! The command `inspect`: its arguments, and how they become a call of the library.

use std::io::{stdout, Write};
use std::num::NonZeroUsize;

use anyhow::Result;
use clap::ValueEnum;
use ocibake::layout::Location;
use ocibake::ops::inspect::{copy_attached, document, inspect, Files, ImageDocument, InspectOptions};
use ocibake::platform::PlatformPattern;
use ocibake::Error;

use super::output::print;
use super::progress::ProgressMode;
use super::usage::count;
use super::{text, Answer, LocationParser, Session};

/// Show what is in an image
///
/// For an image for several platforms, shows which there are; --platform chooses one.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  ocibake inspect oci:out:v1 --largest 10")]
pub(super) struct Args {
    /// The image
    #[arg(value_parser = LocationParser)]
    image: Location,

    /// Which platform, where there is a choice: `os/architecture[/variant]`
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<PlatformPattern>,

    /// List the entries of each layer
    #[arg(long)]
    files: bool,

    /// Show the N largest files and directories
    #[arg(long, value_name = "N", value_parser = count, allow_hyphen_values = true)]
    largest: Option<NonZeroUsize>,

    /// How to show progress
    #[arg(long, value_name = "HOW", default_value = "auto")]
    progress: ProgressMode,

    /// Print a report in JSON
    #[arg(long, conflicts_with = "raw")]
    json: bool,

    /// Print a document as it is stored
    #[arg(long, value_name = "DOCUMENT", conflicts_with_all = ["files", "largest"])]
    raw: Option<RawDocument>,

    /// Print an attached file as it is stored, chosen by digest, type or title
    #[arg(long, value_name = "DIGEST|TYPE|TITLE", conflicts_with_all = ["files", "largest", "raw", "json"])]
    attached: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum RawDocument {
    Manifest,
    Config,
    Index,
}

impl From<RawDocument> for ImageDocument {
    fn from(document: RawDocument) -> Self {
        match document {
            RawDocument::Manifest => ImageDocument::Manifest,
            RawDocument::Config => ImageDocument::Config,
            RawDocument::Index => ImageDocument::Index,
        }
    }
}

pub(super) fn run(args: &Args, session: &Session) -> Result<Answer> {
    let mut options = InspectOptions::default();
    options.platform = args.platform.clone();
    options.files = if args.files { Files::Listed } else { Files::Omitted };
    options.largest = args.largest.map(NonZeroUsize::get);
    let display = session.display(args.progress);
    let work = display.work(None)?;
    let mut out = stdout().lock();
    if let Some(which) = args.raw {
        out.write_all(&document(&args.image, which.into(), &options, &work)?)?;
    } else if let Some(wanted) = &args.attached {
        copy_attached(&args.image, wanted, &options, &work, &mut out)
            .map_err(|error| Error::carried_by(error).map_or_else(anyhow::Error::from, anyhow::Error::from))?;
    } else {
        let report = inspect(&args.image, &options, &work)?;
        drop(display);
        print(args.json, &report, || text::inspection(&report))?;
    }
    Ok(Answer::Yes)
}
