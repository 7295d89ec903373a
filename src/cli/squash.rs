//! The command `squash`: its arguments, and how they become a call of the library.

use std::num::NonZeroUsize;

use anyhow::Result;
use ocibake::compress::Compression;
use ocibake::layout::Location;
use ocibake::ops::squash::{squash, SquashOptions};
use ocibake::platform::PlatformPattern;

use super::cache_flags::{CacheFlags, OpenCache};
use super::output::print_beside;
use super::target_flags::{warn_of_stray_targets, TargetFlags};
use super::usage::count;
use super::work_flags::WorkFlags;
use super::{Answer, LocationParser, Session, TargetParser};

/// Make one layer of all layers of an image, or of some
///
/// Prints the digest of the new image's manifest. What upper layers remove or replace is gone, and hard links stay hard
/// links. Layers outside of the range are used as they are.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  ocibake squash oci:out:v1 oci:out:v1-flat --compression zstd")]
pub(super) struct Args {
    /// The image
    #[arg(value_parser = LocationParser)]
    image: Location,

    /// Where the new image goes
    #[arg(required = true, value_parser = TargetParser)]
    targets: Vec<Location>,

    /// Which platform, where there is a choice: `os/architecture[/variant]`
    ///
    /// If the only image names no platform, it becomes one for this.
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<PlatformPattern>,

    /// First layer to squash, counted from 1
    #[arg(long, value_name = "N", default_value = "1", value_parser = count, allow_hyphen_values = true)]
    from: NonZeroUsize,

    /// Last layer to squash [default: the last of the image]
    #[arg(long, value_name = "N", value_parser = count, allow_hyphen_values = true)]
    to: Option<NonZeroUsize>,

    /// Compression of the new layer: `none`, `gzip[:LEVEL]` or `zstd[:LEVEL]`
    #[arg(long, value_name = "COMPRESSION", default_value_t)]
    compression: Compression,

    #[command(flatten)]
    work: WorkFlags,

    #[command(flatten)]
    cache: CacheFlags,

    #[command(flatten)]
    target: TargetFlags,
}

pub(super) fn run(args: &Args, session: &Session) -> Result<Answer> {
    let mut options = SquashOptions::default();
    options.platform = args.platform.clone();
    options.first = Some(args.from.get());
    options.last = args.to.map(NonZeroUsize::get);
    options.compression = args.compression;
    options.target = args.target.options();
    let strays = warn_of_stray_targets(&args.targets, session);
    let display = args.work.display(session);
    let cache = args.cache.open(session);
    let mut work = args.work.of(&display)?;
    work.cache = cache.as_ref().map(OpenCache::blocks);
    let mut report = squash(&args.image, &args.targets, &options, &work)?;
    report.warnings.splice(0..0, strays);
    drop(display);
    drop(cache);
    print_beside(&args.targets, args.work.json, &report, || format!("{}\n", report.digest))?;
    Ok(Answer::Yes)
}
