use std::io::{stdout, Write};
use std::num::NonZeroUsize;

use anyhow::Result;
use ocibake::compress::Compression;
use ocibake::layout::{Layout, Location};
use ocibake::ops::squash::{squash, SquashOptions};

use super::progress::{Display, ProgressMode};
use super::target_flags::TargetFlags;
use super::{threads, Answer, LocationParser, Session};

/// Make one layer of all layers of an image, or of some
///
/// Prints the digest of the new image's manifest. What lower layers hold and upper ones remove or replace is gone; names
/// of one file stay names of one file. Layers outside of the range are used as they are.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  ocibake squash oci:out:v1 oci:out:v1-flat --compression zstd")]
pub(super) struct Args {
    /// The image
    #[arg(value_parser = LocationParser)]
    image: Location,

    /// Where the new image goes
    #[arg(required = true, value_parser = LocationParser)]
    targets: Vec<Location>,

    /// Which platform, where there is a choice: `os/architecture[/variant]`
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<String>,

    /// The first layer that is squashed, counted from 1
    #[arg(long, value_name = "N", default_value = "1")]
    from: usize,

    /// The last layer that is squashed [default: the last there is]
    #[arg(long, value_name = "N")]
    to: Option<usize>,

    /// How the new layer is compressed: `none`, `gzip[:LEVEL]` or `zstd[:LEVEL]`
    #[arg(long, value_name = "COMPRESSION", default_value_t)]
    compression: Compression,

    /// Work with so many threads; the image is the same for any number [default: the machine's cores]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,

    /// How to show progress
    #[arg(long, value_name = "HOW", default_value = "auto")]
    progress: ProgressMode,

    /// Print a report in JSON instead of the digest
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    target: TargetFlags,
}

pub(super) fn run(args: &Args, session: &Session) -> Result<Answer> {
    let layout = Layout::open(&args.image)?;
    let image = layout.image(args.platform.as_deref())?;
    let last = args.to.unwrap_or(image.manifest.value().layers.len());
    let options = SquashOptions {
        range: Some(args.from..=last),
        compression: args.compression,
        target: args.target.options(),
        threads: threads(args.threads)?,
    };
    let display = Display::new(args.progress, session.verbosity, &session.interruption);
    let report = squash(&layout, &image, &args.targets, &options, &display)?;
    drop(display);
    let mut out = stdout().lock();
    if args.json {
        serde_json::to_writer_pretty(&mut out, &report)?;
        writeln!(out)?;
    } else {
        writeln!(out, "{}", report.digest)?;
    }
    Ok(Answer::Yes)
}
