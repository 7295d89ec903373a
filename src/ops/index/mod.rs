//! `index`: images for several platforms become one that has them all.

mod existing;
mod member;

pub use existing::Shape;
pub use member::SamePlatform;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::str::FromStr;

use serde::Serialize;

use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::layout::{DockerForm, Layout, LayoutWriter, Location, Transport, Trust};
use crate::media_type::MediaType;
use crate::observer::Observer;
use crate::oci::annotations::{CONTAINERD_NAME, REF_NAME};
use crate::oci::{Annotations, Descriptor, Document, Index};
use crate::ops::names::Names;
use crate::ops::publish::{writers, TargetOptions};
use crate::ops::transfer::{self, move_all, BlobReport, Entry, EntryKind, Graph, Plan, Rewritten};
use crate::spec::ANNOTATION;
use existing::{Existing, Stand};
use member::{gather, join, members, one_for, remove, shown, Member};

/// What the index is to be.
#[derive(Clone, Debug)]
pub struct IndexOptions {
    /// How it stands in its target.
    pub shape: Shape,
    /// Whether what its name leads to already is a part of it.
    pub existing: ExistingIndex,
    /// The platforms whose images are taken away from it first, `os/architecture[/variant]`.
    pub remove: Vec<String>,
    /// Annotations of the index.
    pub annotations: Vec<Annotation>,
    /// Annotations of what it says of an image.
    pub descriptor_annotations: Vec<PlatformAnnotation>,
    /// What it is called.
    pub target: TargetOptions,
    /// How many threads read and hash.
    pub threads: NonZeroUsize,
}

/// What becomes of an index that the target has by this name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExistingIndex {
    /// The name moves to the new one.
    #[default]
    Superseded,
    /// What it lists stays, in front.
    Extended(SamePlatform),
}

/// `key=value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotation {
    /// The key, in full.
    pub key: String,
    /// The value; it may be empty.
    pub value: String,
}

/// `os/architecture[/variant]:key=value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformAnnotation {
    /// Of which image.
    pub platform: String,
    /// What is said of it.
    pub annotation: Annotation,
}

impl FromStr for Annotation {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (key, value) = (ANNOTATION.read)(text)
            .ok_or_else(|| Error::malformed(format!("annotation `{}`", text.escape_debug()), ANNOTATION.accepted))?;
        Ok(Annotation { key, value })
    }
}

impl FromStr for PlatformAnnotation {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.split_once(':') {
            Some((platform, annotation)) if platform.contains('/') && !platform.contains('=') => {
                let annotation: Annotation = annotation.parse()?;
                if [REF_NAME, CONTAINERD_NAME].contains(&annotation.key.as_str()) {
                    // Of a ref name the image-spec says where it may stand (annotations.md): not within an index.
                    let message = format!("annotation `{}`: what an index lists has no name", annotation.key);
                    return Err(Error::refused_with_hint(message, "name the index with --tag or in its target"));
                }
                Ok(PlatformAnnotation { platform: platform.to_owned(), annotation })
            }
            _ => Err(Error::malformed(
                format!("annotation `{}`", text.escape_debug()),
                "`os/architecture[/variant]:key=value` expected",
            )),
        }
    }
}

/// What the target lists now.
#[derive(Clone, Debug, Serialize)]
pub struct IndexReport {
    /// The digest of the index; a flat one has none.
    pub digest: Option<Digest>,
    /// What it lists, in its order.
    pub manifests: Vec<ListedManifest>,
    /// Transport and path of the target.
    pub target: String,
    /// What it is called there, or what the images of a flat one are called.
    pub refs: Vec<String>,
    /// What became of the blobs.
    pub blobs: Vec<BlobReport>,
    /// What was odd.
    pub warnings: Vec<String>,
}

/// A manifest that an index lists.
#[derive(Clone, Debug, Serialize)]
pub struct ListedManifest {
    /// Its digest.
    pub digest: Digest,
    /// What it is.
    pub media_type: MediaType,
    /// What it runs on, `os/architecture[/variant]`; none if it is no image.
    pub platform: Option<String>,
    /// The layout that it was found in.
    pub from: String,
}

/// A layout with images for the index.
struct Source<'a> {
    layout: &'a Layout,
    members: Vec<Member>,
    /// What is attached to them, for `index.json`.
    attached: Vec<Descriptor>,
    plan: Plan,
    rewritten: Rewritten,
    warnings: Vec<String>,
}

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
        if let Some(report) = try_index(&sources, &new, target, options, observer)? {
            return Ok(report);
        }
    }
}

fn try_index(
    sources: &[Source<'_>],
    new: &[Member],
    target: &Location,
    options: &IndexOptions,
    observer: &dyn Observer,
) -> Result<Option<IndexReport>> {
    observer.check()?;
    let names = options.target.names(target)?;
    let stand = stand(target, options, &names)?;
    let is_extended = options.existing != ExistingIndex::Superseded || !options.remove.is_empty();
    // What has no name cannot be superseded by one.
    let is_flat_layout = options.shape == Shape::Flat && target.transport == Transport::Oci;
    let mut existing =
        if is_extended || is_flat_layout { Existing::read(target, &stand)? } else { Existing::default() };
    if existing.entries.is_empty() && !options.remove.is_empty() {
        let message = format!("target `{target}`: there is no index of this name to take an image out of");
        return Err(Error::refused(message));
    }
    let mut members = std::mem::take(&mut existing.members);
    for platform in &options.remove {
        remove(&mut members, platform, &format!("the index `{target}`"))?;
    }
    let same = match options.existing {
        ExistingIndex::Extended(same) => same,
        ExistingIndex::Superseded if is_extended => SamePlatform::Refused,
        ExistingIndex::Superseded => SamePlatform::Replaced,
    };
    join(&mut members, new.to_vec(), same)?;
    if members.iter().all(|member| member.platform.is_none()) {
        let message = format!("index `{target}`: an image is wanted, and none would be left in it");
        return Err(Error::refused_with_hint(message, "`ocibake rm` takes a name away with all that it leads to"));
    }
    annotate(&mut members, target, &options.descriptor_annotations)?;

    let edit = existing.edit.take();
    let (mut edit, mut writer) = match edit {
        Some(edit) => (Some(edit), None),
        None => (None, writers(std::slice::from_ref(target), &options.target)?.pop()),
    };
    let staging = match (&mut edit, &mut writer) {
        (Some(edit), _) => {
            options.target.apply_checksum(edit.writer()?)?;
            edit.writer()?
        }
        (None, Some(writer)) => writer,
        (None, None) => unreachable!("there is a writer for each target"),
    };
    observer.step(&format!("take the blobs of {} images", new.len()));
    // What is linked is believed, what is written is read first.
    let trust = if target.transport == Transport::Oci { Trust::Layout } else { Trust::Nothing };
    let blobs = stage(sources, staging, trust, options.threads, observer)?;
    existing.rewritten.store(staging)?;

    let (digest, own) = match options.shape {
        Shape::Nested => {
            let descriptor = nested(std::mem::take(&mut existing.document), &members, options, staging)?;
            (Some(descriptor.digest.clone()), names.descriptors(&descriptor))
        }
        Shape::Flat => {
            let listed: Vec<Vec<Descriptor>> =
                members.iter().map(|member| stand.flat_entries(member)).collect::<Result<_>>()?;
            (None, listed.concat())
        }
    };
    let attached: Vec<Descriptor> = sources.iter().flat_map(|source| source.attached.clone()).collect();
    observer.check()?;
    observer.step(&format!("write {target}"));
    let changed = |before: &Index| {
        if is_extended && stand.own_entries(before) != existing.entries {
            return None;
        }
        stand.changed(before, &existing.entries, &own, &attached)
    };
    if let Some(mut edit) = edit {
        let after = changed(edit.index()).expect("the archive is locked");
        *edit.index_mut() = after;
        edit.free_replaced()?;
        edit.commit(options.threads)?;
    } else if let Some(mut writer) = writer {
        for descriptor in own.iter().chain(&attached) {
            writer.list(descriptor.clone());
        }
        writer.prepare(options.threads)?;
        if !writer.commit_if(&changed)? {
            return Ok(None);
        }
    }
    let refs = match options.shape {
        Shape::Nested => names.texts(),
        Shape::Flat => own.iter().filter_map(Descriptor::ref_name).map(str::to_owned).collect(),
    };
    Ok(Some(IndexReport {
        digest,
        manifests: members.iter().map(listed).collect(),
        target: target.to_string(),
        refs,
        blobs,
        warnings: sources.iter().flat_map(|source| source.warnings.clone()).collect(),
    }))
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

impl<'a> Source<'a> {
    fn read(layout: &'a Layout) -> Result<Self> {
        let entries = transfer::entries(layout)?;
        let images = entries.iter().filter(|entry| entry.kind == EntryKind::Image).map(|entry| &entry.descriptor);
        let all = Graph::read(layout, entries.iter().map(|entry| &entry.descriptor))?;
        let mut members = members(&all, images)?;
        if members.iter().all(|member| member.platform.is_none()) {
            return Err(Error::refused(format!("image `{}`: it holds no image for an index", layout.location())));
        }
        let attached = attached(&entries, &all, members.iter().map(|member| &member.descriptor.digest).collect());

        // Of the rest, the indexes that were taken apart among it, nothing goes along.
        let taken = members.iter().map(|member| &member.descriptor);
        let graph = Graph::read(layout, taken.chain(attached.iter().map(|entry| &entry.descriptor)))?;
        let plan = Plan::of(&graph, None)?;
        let rewritten = Rewritten::of(&graph, &plan, BTreeMap::new());
        let attached = attached.iter().map(|entry| entry.redirected(&rewritten).descriptor).collect();
        for member in &mut members {
            member.descriptor = rewritten.redirected(member.descriptor.clone());
        }
        let warnings = transfer::warnings(&graph, &plan);
        Ok(Source { layout, members, attached, plan, rewritten, warnings })
    }
}

/// What is attached to images, and what is attached to that.
fn attached<'e>(entries: &'e [Entry], graph: &Graph<'_>, images: BTreeSet<&'e Digest>) -> Vec<&'e Entry> {
    let mut subjects = images;
    loop {
        let attached: Vec<&Entry> = entries.iter().filter(|entry| entry.is_attached_to(graph, &subjects)).collect();
        let count = subjects.len();
        subjects.extend(attached.iter().map(|entry| &entry.descriptor.digest));
        if subjects.len() == count {
            return attached;
        }
    }
}

/// Puts blobs and documents of all sources into a staging directory.
fn stage(
    sources: &[Source<'_>],
    writer: &mut LayoutWriter,
    trust: Trust,
    threads: NonZeroUsize,
    observer: &dyn Observer,
) -> Result<Vec<BlobReport>> {
    let from: Vec<transfer::Source<'_>> =
        sources.iter().map(|source| transfer::Source { layout: source.layout, plan: &source.plan }).collect();
    let (blobs, _) = move_all(&from, std::slice::from_mut(writer), None, trust, threads, observer)?;
    sources.iter().try_for_each(|source| source.rewritten.store(writer))?;
    Ok(blobs)
}

fn annotate(members: &mut [Member], target: &Location, annotations: &[PlatformAnnotation]) -> Result<()> {
    for PlatformAnnotation { platform, annotation } in annotations {
        let at = one_for(members, platform, &format!("the index `{target}`"))?;
        let annotations = members[at].descriptor.annotations.get_or_insert_with(Annotations::new);
        annotations.insert(annotation.key.clone(), annotation.value.clone());
    }
    Ok(())
}

/// Stores the index as a document; what an older one says beside its list stays.
fn nested(
    mut document: Index,
    members: &[Member],
    options: &IndexOptions,
    writer: &mut LayoutWriter,
) -> Result<Descriptor> {
    document.media_type = Some(MediaType::INDEX);
    document.manifests = members.iter().map(|member| member.descriptor.clone()).collect();
    if !options.annotations.is_empty() {
        let pairs = options.annotations.iter().map(|annotation| (annotation.key.clone(), annotation.value.clone()));
        document.annotations.get_or_insert_with(Annotations::new).extend(pairs);
    }
    writer.put(&Document::seal(document), MediaType::INDEX)
}

fn listed(member: &Member) -> ListedManifest {
    ListedManifest {
        digest: member.descriptor.digest.clone(),
        media_type: member.descriptor.media_type.clone(),
        platform: member.platform.as_ref().map(shown),
        from: member.place.clone(),
    }
}
