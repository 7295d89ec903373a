//! The command `index`: its arguments, and how they become a call of the library.

use std::ffi::OsString;

use anyhow::Result;
use ocibake::layout::Location;
use ocibake::ops::index::{
    index, Annotation, ExistingIndex, IndexMember, IndexOptions, IndexReport, IndexShape, MemberAnnotation,
    SamePlatform,
};
use ocibake::Error;

use super::output::{lines, print_beside};
use super::target_flags::TargetFlags;
use super::work_flags::WorkFlags;
use super::{Answer, Session};

/// Make one multi-platform image of images for several platforms
///
/// Prints the digest of the index; for a flat index, a line for each image with its platform. The platforms are those
/// in the images' configurations. Images are listed in the order in which they are given: readers take the first that
/// they can run. An IMAGE may itself be an index, whose images are added. Without a name, it means all images of a
/// layout, and what is attached to them is added too. Blobs are hard-linked if possible, and then not even read; layers
/// are never compressed again.
#[derive(clap::Args)]
#[allow(clippy::struct_excessive_bools)]
#[command(
    override_usage = "ocibake index [OPTIONS] IMAGE... TARGET\n       ocibake index [OPTIONS] --remove PLATFORM TARGET",
    after_help = "Examples:\n  ocibake index oci:amd64:v1 oci:arm64:v1 oci:out:v1\n  \
                  ocibake index oci:riscv64:v1 oci:out:v1 --add\n  \
                  ocibake index oci:out:v1 --remove linux/riscv64"
)]
pub(super) struct Args {
    /// The images, then the target
    #[arg(required = true, value_name = "IMAGE... TARGET")]
    locations: Vec<OsString>,

    /// List the images in `index.json` itself; if a name is given, each under the name and its platform (`v1-arm-v7`)
    #[arg(long)]
    flat: bool,

    /// Add to the index that has this name in the target
    #[arg(long)]
    add: bool,

    /// With --add: let an image replace the one that is there for the same platform
    #[arg(long, requires = "add")]
    replace: bool,

    /// Remove an image from the index in the target, by its platform `os/architecture[/variant]` or its digest
    /// (repeatable)
    #[arg(long, value_name = "PLATFORM|DIGEST")]
    remove: Vec<IndexMember>,

    /// Annotate the index; `.x=` is short for `org.opencontainers.image.x=` (repeatable)
    #[arg(long, value_name = "KEY=VALUE")]
    annotation: Vec<Annotation>,

    /// Annotate the descriptor of an image, by its platform or its digest (repeatable)
    #[arg(long, value_name = "PLATFORM|DIGEST:KEY=VALUE")]
    descriptor_annotation: Vec<MemberAnnotation>,

    #[command(flatten)]
    work: WorkFlags,

    #[command(flatten)]
    target: TargetFlags,
}

pub(super) fn run(args: &Args, session: &Session) -> Result<Answer> {
    let (target, images) = args.locations.split_last().expect("clap wants one at least");
    let target = Location::parse_target(target)?;
    let images: Vec<Location> = images.iter().map(|image| Location::parse(image)).collect::<Result<_, _>>()?;
    if images.is_empty() && args.remove.is_empty() && !args.add {
        return Err(Error::refused_with_hint(
            format!("`{target}` is the target, and the images are missing"),
            "give the images first, and at the end where their index goes",
        )
        .into());
    }
    let same = if args.replace { SamePlatform::Replaced } else { SamePlatform::Refused };
    let mut options = IndexOptions::default();
    options.shape = if args.flat { IndexShape::Flat } else { IndexShape::Nested };
    options.existing = if args.add { ExistingIndex::Extended(same) } else { ExistingIndex::Superseded };
    options.remove = args.remove.clone();
    options.annotations = args.annotation.clone();
    options.descriptor_annotations = args.descriptor_annotation.clone();
    options.target = args.target.options();
    let display = args.work.display(session);
    let report = index(&images, &target, &options, &args.work.of(&display)?)?;
    drop(display);
    print_beside(std::slice::from_ref(&target), args.work.json, &report, || listed(&report))?;
    Ok(Answer::Yes)
}

fn listed(report: &IndexReport) -> String {
    if let Some(digest) = &report.digest {
        return format!("{digest}\n");
    }
    lines(report.manifests.iter().map(|manifest| {
        let platform = manifest.platform.as_ref().map(|platform| format!(" {platform}")).unwrap_or_default();
        format!("{}{platform}", manifest.digest)
    }))
}
