//! `index`: images for several platforms become one that has them all.

mod existing;
mod member;
mod options;
mod output;
mod report;
mod source;

pub use existing::Shape;
pub use member::SamePlatform;
pub use options::{Annotation, ExistingIndex, IndexOptions, PlatformAnnotation};
pub use report::{IndexReport, ListedManifest};

use crate::error::{Error, Result};
use crate::layout::{DockerForm, Layout, LayoutWriter, Location, Names, Transport, Trust};
use crate::media_type::MediaType;
use crate::observer::Observer;
use crate::oci::{Annotations, Descriptor, Document, Index};
use existing::{Existing, Stand};
use member::{gather, join, one_for, remove, Member};
use output::Output;
use source::{stage, Source};

/// Makes one index of what the locations of the layouts mean, in the order in which they are given: readers take the first
/// that they can run. Blobs that can be linked are not even read. The target changes only if all can be written, and
/// many that add to one index at once lose nothing.
pub fn index(
    layouts: &[Layout],
    target: &Location,
    options: &IndexOptions,
    observer: &dyn Observer,
) -> Result<IndexReport> {
    let sources: Vec<Source<'_>> = layouts.iter().map(Source::read).collect::<Result<_>>()?;
    let new = gather(sources.iter().map(|source| source.members.as_slice()))?;
    loop {
        // If somebody has changed the index in the meantime, it is made once more.
        if let Some(report) = try_once(&sources, &new, target, options, observer)? {
            return Ok(report);
        }
    }
}

fn try_once(
    sources: &[Source<'_>],
    new: &[Member],
    target: &Location,
    options: &IndexOptions,
    observer: &dyn Observer,
) -> Result<Option<IndexReport>> {
    observer.check()?;
    let names = options.target.names(target)?;
    let stand = stand(target, options, &names)?;
    let is_kept = options.keeps_what_is_there();
    // What has no name cannot be superseded by one.
    let is_flat_layout = options.shape == Shape::Flat && target.transport == Transport::Oci;
    let mut existing = if is_kept || is_flat_layout { Existing::read(target, &stand)? } else { Existing::default() };
    let members = merged(&mut existing, new, target, options)?;

    let mut output = Output::new(existing.edit.take(), target, &options.target)?;
    let staging = output.writer()?;
    observer.step(&format!("take the blobs of {} images", new.len()));
    // What is linked is believed, what is written is read first.
    let trust = if target.transport == Transport::Oci { Trust::Layout } else { Trust::Nothing };
    let blobs = stage(sources, staging, trust, options.threads, observer)?;
    existing.rewritten.store(staging)?;
    let (digest, own) = match options.shape {
        Shape::Nested => {
            let descriptor = nested(existing.document, &members, &options.annotations, staging)?;
            (Some(descriptor.digest.clone()), names.descriptors(&descriptor))
        }
        Shape::Flat => {
            let listed: Result<Vec<_>> = members.iter().map(|member| stand.flat_entries(member)).collect();
            (None, listed?.concat())
        }
    };

    let attached: Vec<Descriptor> = sources.iter().flat_map(|source| source.attached.clone()).collect();
    let changed = |before: &Index| {
        if is_kept && stand.own_entries(before) != existing.entries {
            return None;
        }
        Some(stand.changed(before, &existing.entries, &own, &attached))
    };
    observer.check()?;
    observer.step(&format!("write {target}"));
    if !output.commit(&[&own[..], &attached].concat(), &changed, options.threads)? {
        return Ok(None);
    }
    Ok(Some(IndexReport {
        digest,
        manifests: members.iter().map(ListedManifest::of).collect(),
        target: target.to_string(),
        refs: match options.shape {
            Shape::Nested => names.texts(),
            Shape::Flat => own.iter().filter_map(Descriptor::ref_name).map(str::to_owned).collect(),
        },
        blobs,
        warnings: sources.iter().flat_map(|source| source.warnings.clone()).collect(),
    }))
}

/// What the index is to list: what it lists already, without what is to go, and what is new.
fn merged(existing: &mut Existing, new: &[Member], target: &Location, options: &IndexOptions) -> Result<Vec<Member>> {
    if existing.entries.is_empty() && !options.remove.is_empty() {
        let message = format!("target `{target}`: there is no index of this name to take an image out of");
        return Err(Error::refused(message));
    }
    let index = format!("the index `{target}`");
    let mut members = std::mem::take(&mut existing.members);
    for platform in &options.remove {
        remove(&mut members, platform, &index)?;
    }
    let same = match options.existing {
        ExistingIndex::Extended(same) => same,
        ExistingIndex::Superseded if options.keeps_what_is_there() => SamePlatform::Refused,
        ExistingIndex::Superseded => SamePlatform::Replaced,
    };
    join(&mut members, new.to_vec(), same)?;
    if members.iter().all(|member| member.platform.is_none()) {
        let message = format!("index `{target}`: an image is wanted, and none would be left in it");
        return Err(Error::refused_with_hint(message, "`ocibake rm` takes a name away with all that it leads to"));
    }
    for PlatformAnnotation { platform, annotation } in &options.descriptor_annotations {
        let at = one_for(&members, platform, &index)?;
        let annotations = members[at].descriptor.annotations.get_or_insert_with(Annotations::new);
        annotations.insert(annotation.key.clone(), annotation.value.clone());
    }
    Ok(members)
}

/// Where the index stands in the target.
fn stand(target: &Location, options: &IndexOptions, names: &Names) -> Result<Stand> {
    let names = match names {
        // Nobody has to call a flat index by a name.
        Names::Layout(_) if options.shape == Shape::Flat && !options.target.gives_names(target) => Vec::new(),
        Names::Layout(names) => names.clone(),
        Names::Docker(_) => Vec::new(),
    };
    if options.target.docker_form == DockerForm::LegacyOnly {
        let message = "Docker's older form knows no platforms, and so no index";
        return Err(Error::refused_with_hint(message, "leave --docker-legacy-only out"));
    }
    if options.shape == Shape::Flat {
        if target.is_docker_archive() {
            let message = format!("target `{target}`: a docker archive holds no flat index");
            return Err(Error::refused_with_hint(message, "leave --flat out, or write to a layout"));
        }
        if !options.annotations.is_empty() {
            return Err(Error::refused_with_hint(
                "a flat index has no document of its own for annotations",
                "leave --flat out, or annotate descriptors with --descriptor-annotation",
            ));
        }
    }
    Ok(Stand { shape: options.shape, names })
}

/// Stores the index as a document; what an older one says beside its list stays.
fn nested(
    mut document: Index,
    members: &[Member],
    annotations: &[Annotation],
    writer: &mut LayoutWriter,
) -> Result<Descriptor> {
    document.media_type = Some(MediaType::INDEX);
    document.manifests = members.iter().map(|member| member.descriptor.clone()).collect();
    if !annotations.is_empty() {
        let pairs = annotations.iter().map(|annotation| (annotation.key.clone(), annotation.value.clone()));
        document.annotations.get_or_insert_with(Annotations::new).extend(pairs);
    }
    writer.put(&Document::seal(document), MediaType::INDEX)
}
