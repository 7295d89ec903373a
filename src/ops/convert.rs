//! `convert`: copies images to other transports and compressions, unchanged otherwise.

use std::collections::BTreeSet;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

use serde::Serialize;

use crate::compress::Compression;
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::hint::{Hint, OptionName};
use crate::image::publish::{open, TargetOptions};
use crate::image::sealed::{nameless, say_the_platform};
use crate::image::transfer::{self, move_all, BlobReport, BlobSource, IndexEntry, Rewritten, TransferPlan};
use crate::json;
use crate::layout::{commit_all, DescriptorPath, DockerForm, Draft, Graph, Layout, Location, Transport, Trust};
use crate::media_type::MediaType;
use crate::oci::annotations::CONTAINERD_NAME;
use crate::oci::Descriptor;
use crate::ops::build::TargetReport;
use crate::platform::{Platform, PlatformPattern};
use crate::work::Work;

/// How images are converted.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ConvertOptions {
    /// The platform to convert. `None` means all.
    pub platform: Option<PlatformPattern>,
    /// The compression of the layers. `None` keeps them as they are.
    pub compression: Option<Compression>,
    /// Whether documents may change.
    pub digests: Digests,
    /// The names of the images. By default they keep their names.
    pub target: TargetOptions,
}

/// Whether documents may change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Digests {
    /// Where that is needed.
    #[default]
    MayChange,
    /// An error tells what would have changed.
    Preserved,
}

/// What a conversion made.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ConvertReport {
    /// What the targets list, in its order.
    pub images: Vec<ConvertedImage>,
    /// What became of the blobs, including documents that did not change.
    pub blobs: Vec<BlobReport>,
    /// Where the images are, with all their names.
    pub targets: Vec<TargetReport>,
    /// Warnings.
    pub warnings: Vec<String>,
}

/// A manifest or an index that is listed.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ConvertedImage {
    /// Its digest.
    pub digest: Digest,
    /// The digest that it had before.
    pub from: Digest,
    /// What it is.
    pub media_type: MediaType,
    /// What it runs on, if the descriptor tells.
    #[serde(serialize_with = "json::optional_text")]
    pub platform: Option<Platform>,
    /// Its names in the first target.
    pub refs: Vec<String>,
}

/// Converts what the location means: the images of a name, or everything in the layout. No target changes unless all of
/// them can be written.
pub fn convert(
    location: &Location,
    targets: &[Location],
    options: &ConvertOptions,
    work: &Work<'_>,
) -> Result<ConvertReport> {
    let (mut report, warnings) = work.with_warnings(|work| convert_told(location, targets, options, work))?;
    report.warnings = warnings;
    Ok(report)
}

fn convert_told(
    location: &Location,
    targets: &[Location],
    options: &ConvertOptions,
    work: &Work<'_>,
) -> Result<ConvertReport> {
    let layout = &Layout::open(location, work.limits)?;
    if layout.location().part().is_none() {
        refuse_itself(layout, targets)?;
    }
    let compression = options.compression.map(|wanted| options.target.compression(targets, wanted));
    let (entries, graph, plan, left) = layout.by_one_index(|| {
        let mut entries = transfer::entries(layout)?;
        let mut beside = Vec::new();
        let attestations = layout.attestations(layout.meant()?.iter().map(DescriptorPath::entry))?;
        if let Some(platform) = &options.platform {
            (entries, beside) = transfer::of_platform(layout, &entries, platform)?;
        }
        transfer::tell_apart(&mut entries, layout, targets)?;
        let mut graph = Graph::read(layout, entries.iter().map(|entry| &entry.descriptor))?;
        let mut plan = TransferPlan::of(&graph, compression)?;
        if transfer::leave_untrue(&mut entries, &plan) {
            graph = Graph::read(layout, entries.iter().map(|entry| &entry.descriptor))?;
            plan = TransferPlan::of(&graph, compression)?;
        }
        let images = graph.nodes().map(|node| &node.descriptor.digest);
        let mut left = transfer::left_attestations(&attestations, images, |digest| graph.has(digest));
        left.extend(beside);
        Ok((entries, graph, plan, left))
    })?;
    if options.digests == Digests::Preserved {
        refuse_change(&graph, &plan, options.target.docker_form)?;
    } else if let Some(image) = plan.nameless.first() {
        let image = format!("image {} of `{}`", image.short(), layout.location());
        return Err(nameless(&image, say_the_platform()));
    }
    for (digest, reason) in &plan.changed {
        work.observer.step(&format!("{digest} changes: {reason}"));
    }
    transfer::check_names(&entries, layout, targets, &options.target)?;
    let unused = options.target.unused_tags(targets)?;
    let mut opened = open(targets, &options.target, work)?;

    work.observer.step(&format!("take {} blobs, compress {} anew", plan.taken.len(), plan.recompressed.len()));
    let sources = [BlobSource { layout, plan: &plan }];
    let (blobs, layers) = move_all(&sources, &mut opened, compression, Trust::Nothing, work)?;
    let mut rewritten = Rewritten::of(&graph, &plan, layers);
    let entries: Vec<(Digest, IndexEntry)> =
        entries.into_iter().map(|entry| (entry.descriptor.digest.clone(), entry.redirected(&mut rewritten))).collect();

    opened.iter_mut().try_for_each(|target| rewritten.store(target.stage_mut()))?;
    let (listed, _) = commit_all(opened, work, |draft| list(&entries, draft, &options.target))?;
    work.warn(unused);
    work.warn(left);
    work.warn(rewritten.warnings);
    work.warn(transfer::warnings(&graph, &plan));
    let mut reports = Vec::with_capacity(targets.len());
    for (target, listed) in targets.iter().zip(&listed) {
        work.warn(&listed.warnings);
        reports.push(TargetReport { target: target.to_string(), refs: listed.refs.concat() });
    }
    let first = listed.first().map(|listed| listed.refs.as_slice()).unwrap_or_default();
    let images = entries.iter().zip(first).map(|((from, entry), refs)| image(from, &entry.descriptor, refs.clone()));
    let images = images.collect();
    Ok(ConvertReport { images, blobs, targets: reports, warnings: Vec::new() })
}

/// What a target lists.
struct Listed {
    /// The names of each entry.
    refs: Vec<Vec<String>>,
    warnings: Vec<String>,
}

fn list(entries: &[(Digest, IndexEntry)], draft: &mut Draft<'_>, options: &TargetOptions) -> Result<Listed> {
    let mut listed = Listed { refs: Vec::with_capacity(entries.len()), warnings: Vec::new() };
    let mut all = Vec::with_capacity(entries.len());
    for (_, entry) in entries {
        let (descriptors, names) = entry.named(draft.target(), options, &mut listed.warnings)?;
        listed.refs.push(names);
        all.extend(descriptors);
    }
    let target = draft.target();
    if let (Some(name), None, true) =
        (&options.repository, &target.name, options.tags.is_empty() && options.additional_tags.is_empty())
    {
        let is_taken = entries.iter().any(|(_, entry)| entry.tag_of_repository(target, options).is_some());
        if target.transport != Transport::Oci && !is_taken {
            let name = name.repository();
            listed.warnings.push(format!("the repository `{name}` is not used in `{target}`: no image has a mere tag"));
        }
    }
    draft.list_all(all)?;
    // A name that two repositories share is a full one by now.
    let there: BTreeSet<_> = draft.index().manifests.iter().map(|there| (&there.digest, there.ref_name())).collect();
    for ((_, entry), names) in entries.iter().zip(&mut listed.refs) {
        let digest = &entry.descriptor.digest;
        let is_there = |name: &str| there.contains(&(digest, Some(name)));
        let full = entry.descriptor.annotation(CONTAINERD_NAME).filter(|full| is_there(full));
        if let (Some(full), false) = (full, names.iter().all(|name| is_there(name))) {
            *names = vec![full.to_owned()];
        }
    }
    listed.warnings.dedup();
    Ok(listed)
}

fn image(from: &Digest, descriptor: &Descriptor, refs: Vec<String>) -> ConvertedImage {
    ConvertedImage {
        digest: descriptor.digest.clone(),
        from: from.clone(),
        media_type: descriptor.media_type.clone(),
        platform: descriptor.platform.clone(),
        refs,
    }
}

/// Refuses a layout as the target of everything in it: what has no name would be listed twice.
fn refuse_itself(layout: &Layout, targets: &[Location]) -> Result<()> {
    let inode = |location: &Location| location.path.metadata().ok().filter(Metadata::is_dir);
    let Some(own) = inode(layout.location()) else { return Ok(()) };
    let is_own =
        |target: &&Location| inode(target).is_some_and(|found| (found.dev(), found.ino()) == (own.dev(), own.ino()));
    match targets.iter().find(is_own) {
        Some(target) => Err(Error::refused_with_hint(
            format!("target `{target}` is the layout that all images are taken from"),
            "name one of its images, or choose another target",
        )),
        None => Ok(()),
    }
}

/// Returns an error that names the first document that would change, if there is one.
fn refuse_change(graph: &Graph<'_>, plan: &TransferPlan, form: DockerForm) -> Result<()> {
    if form == DockerForm::LegacyOnly {
        let message = "in Docker's older form alone, there is no manifest whose digest could be kept";
        return Err(Error::refused_with_hint(
            message,
            Hint::from("leave ").option(OptionName::LegacyOnly).text(" out"),
        )
        .of_kind(ErrorKind::Unsupported));
    }
    let changed = graph.nodes().map(|node| &node.descriptor.digest).find(|digest| plan.changed.contains_key(*digest));
    match changed {
        Some(digest) => Err(Error::refused_with_hint(
            format!(
                "image `{}`: the digest {digest} cannot be kept: {}",
                graph.layout().location(),
                plan.changed[digest]
            ),
            Hint::from("leave ").option(OptionName::PreserveDigests).text(" out to let it change"),
        )),
        None => Ok(()),
    }
}
