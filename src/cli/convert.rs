//! The command `convert`: its arguments, and how they become a call of the library.

use std::collections::BTreeSet;

use anyhow::Result;
use ocibake::compress::Compression;
use ocibake::layout::Location;
use ocibake::ops::convert::{convert, ConvertOptions, ConvertReport, Digests};
use ocibake::platform::PlatformPattern;

use super::cache_flags::{CacheFlags, OpenCache};
use super::output::{lines, print_beside};
use super::target_flags::{warn_of_stray_targets, TargetFlags};
use super::work_flags::WorkFlags;
use super::{Answer, LocationParser, Session, TargetParser};

/// Carry images to other transports and compressions
///
/// Prints the digest of what the target lists; if there are several, a line for each with its names. Without a name,
/// everything in the layout is converted, under the names that it has. What need not change stays byte for byte: layers
/// are compressed again only if --compression asks for a compression that they do not have, and documents are rewritten
/// only if they mention such a layer or have a media type of Docker's for which OCI has its own.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  ocibake convert oci:out:v1 oci-archive:out.tar.xz\n  \
                        ocibake convert docker-archive:app.tar oci:out --compression zstd")]
#[command(mut_arg("tag", |tag| tag.help("A name for targets that give none (repeatable) [default: the names of the source]")))]
pub(super) struct Args {
    /// The image; without a name, everything in the layout
    #[arg(value_parser = LocationParser)]
    image: Location,

    /// Where it goes
    #[arg(required = true, value_parser = TargetParser)]
    targets: Vec<Location>,

    /// Take only the image for this platform: `os/architecture[/variant]`
    ///
    /// An image that names no platform, if it is the only one, is written as one for this platform.
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<PlatformPattern>,

    /// Compression of the layers: `none`, `gzip[:LEVEL]` or `zstd[:LEVEL]` [default: unchanged]
    ///
    /// The level applies to layers that have another compression: one that is in gzip stays as it is if gzip is asked
    /// for.
    #[arg(long, value_name = "COMPRESSION")]
    compression: Option<Compression>,

    /// Refuse to change any digest
    #[arg(long)]
    preserve_digests: bool,

    #[command(flatten)]
    work: WorkFlags,

    #[command(flatten)]
    cache: CacheFlags,

    #[command(flatten)]
    target: TargetFlags,
}

pub(super) fn run(args: &Args, session: &Session) -> Result<Answer> {
    let mut options = ConvertOptions::default();
    options.platform = args.platform.clone();
    options.compression = args.compression;
    options.digests = if args.preserve_digests { Digests::Preserved } else { Digests::MayChange };
    options.target = args.target.options();
    let strays = warn_of_stray_targets(&args.targets, session);
    let display = args.work.display(session);
    let cache = args.cache.open(session);
    let mut work = args.work.of(&display)?;
    work.cache = cache.as_ref().map(OpenCache::blocks);
    let mut report = convert(&args.image, &args.targets, &options, &work)?;
    report.warnings.splice(0..0, strays);
    drop(display);
    drop(cache);
    print_beside(&args.targets, args.work.json, &report, || listed(&report))?;
    Ok(Answer::Yes)
}

/// Returns the digest, or if there are several each with its names.
fn listed(report: &ConvertReport) -> String {
    let digests: BTreeSet<_> = report.images.iter().map(|image| &image.digest).collect();
    if digests.len() == 1 {
        return format!("{}\n", report.images[0].digest);
    }
    lines(report.images.iter().map(|image| {
        let words: Vec<&str> =
            [image.digest.as_str()].into_iter().chain(image.refs.iter().map(String::as_str)).collect();
        words.join(" ")
    }))
}
