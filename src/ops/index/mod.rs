//! `index`: makes one image for several platforms of images for one each.

mod existing;
mod member;
mod options;
mod report;
mod source;

pub use existing::IndexShape;
pub use member::SamePlatform;
pub use options::{Annotation, ExistingIndex, IndexMember, IndexOptions, MemberAnnotation};
pub use report::{IndexReport, ListedManifest};

use crate::digest::Digest;
use crate::error::{despite_damage, Error, ErrorKind, Result};
use crate::hint::{Hint, OptionName};
use crate::image::publish::{self, TargetOptions};
use crate::layout::{
    displacement, is_referrers_tag, DockerForm, Draft, Layout, Location, Names, Reach, Transaction, Transport, Trust,
};
use crate::limits::Limits;
use crate::media_type::{MediaKind, MediaType};
use crate::oci::{Annotations, Descriptor, Document, Index};
use crate::work::Work;
use existing::{Existing, Stand};
use member::{gather, join, one_of, Candidate};
use source::{stage, Source};

/// Makes one index of what the locations mean, in the order in which they are given: readers take the first that they
/// can run. Blobs that can be linked are not even read. The target changes only if everything can be written, and when
/// several runs add to one index at once, nothing is lost.
pub fn index(images: &[Location], target: &Location, options: &IndexOptions, work: &Work<'_>) -> Result<IndexReport> {
    let (mut report, warnings) = work.with_warnings(|work| index_told(images, target, options, work))?;
    report.warnings = warnings;
    Ok(report)
}

fn index_told(images: &[Location], target: &Location, options: &IndexOptions, work: &Work<'_>) -> Result<IndexReport> {
    let layouts: Vec<Layout> = images.iter().map(|image| Layout::open(image, work.limits)).collect::<Result<_>>()?;
    let sources: Vec<Source<'_>> = layouts.iter().map(Source::read).collect::<Result<_>>()?;
    let new = gather(sources.iter().map(|source| source.members.as_slice()))?;
    let names = options.target.names(target)?;
    let stand = stand(target, options, &names)?;
    refuse_to_lose_archive(target, &new, options, work.limits)?;
    let mut opened = open(target, options, work.limits)?;
    work.observer.step(&format!("take the blobs of {} images", new.len()));
    // Linked blobs are trusted; blobs that are written are read first.
    let trust = if target.transport == Transport::Oci { Trust::Layout } else { Trust::Nothing };
    let blobs = stage(&sources, &mut opened, trust, work)?;
    let attached: Vec<Descriptor> = sources.iter().flat_map(|source| source.attached.clone()).collect();
    let listed = opened.commit(work, |draft| {
        let listed = list(draft, target, (&stand, &names), &new, options)?;
        attached.iter().try_for_each(|entry| draft.list(entry.clone()))?;
        if target.transport != Transport::Oci {
            draft.free_replaced()?;
        }
        Ok(listed)
    })?;
    work.warn(sources.iter().flat_map(|source| &source.warnings));
    work.warn(listed.warnings);
    Ok(IndexReport {
        digest: listed.digest,
        manifests: listed.manifests,
        target: target.to_string(),
        refs: listed.refs,
        blobs,
        warnings: Vec::new(),
    })
}

/// Opens the target, and keeps its images if the index keeps some of them.
fn open(target: &Location, options: &IndexOptions, limits: Limits) -> Result<Transaction> {
    let TargetOptions { docker_form, checksum, .. } = options.target;
    publish::check(std::slice::from_ref(target), &options.target)?;
    publish::check_checksum(std::slice::from_ref(target), checksum)?;
    if !options.keeps_what_is_there() {
        return Transaction::create(target, docker_form, checksum, limits);
    }
    if target.is_docker_archive() {
        let message = format!("target `{target}`: docker archives are written whole, and not added to");
        let hint =
            Hint::from("make a layout of it with ").verb("convert").text(", and of that a docker archive in the end");
        return Err(Error::refused_with_hint(message, hint).of_kind(ErrorKind::Unsupported));
    }
    Transaction::extend(target, docker_form, checksum, limits)
}

/// What the target lists for the index.
struct Listed {
    /// The digest of the index; `None` for a flat one.
    digest: Option<Digest>,
    manifests: Vec<ListedManifest>,
    refs: Vec<String>,
    warnings: Vec<String>,
}

/// Lists the index, with the images that the target already has for it if they stay.
fn list(
    draft: &mut Draft<'_>,
    target: &Location,
    (stand, names): (&Stand, &Names),
    new: &[Candidate],
    options: &IndexOptions,
) -> Result<Listed> {
    // A flat index has no single entry that a name could supersede, so it is read.
    let is_read = options.keeps_what_is_there() || options.shape == IndexShape::Flat;
    let mut existing = match draft.existing() {
        Some(layout) if is_read => Existing::of(layout, stand, &options.remove, &format!("index `{target}`"))?,
        _ => Existing::default(),
    };
    let members = merged(&mut existing, new, target, options)?;
    existing.rewritten.store(draft.stage_mut())?;
    let manifests = members.iter().map(ListedManifest::of).collect();
    if options.shape == IndexShape::Flat {
        let entries: Result<Vec<_>> = members.iter().map(|member| stand.flat_entries(member)).collect();
        let entries = entries?.concat();
        let refs = entries.iter().filter_map(Descriptor::ref_name).map(str::to_owned).collect();
        Stand::replace(draft, &existing.entries, entries)?;
        return Ok(Listed { digest: None, manifests, refs, warnings: Vec::new() });
    }
    let document = nested(existing.document, &members, &options.annotations);
    let descriptor = draft.put(&document, MediaType::INDEX)?;
    let warnings = displaced(draft, stand, &document, target, options)?;
    names.descriptors(&descriptor).into_iter().try_for_each(|named| draft.list(named))?;
    Ok(Listed { digest: Some(descriptor.digest), manifests, refs: names.texts(), warnings })
}

/// Warnings about images that lose their name to the index without being listed in it. If nothing else leads to such an
/// image, and no image was to be removed from the index, that is an error: the target was probably forgotten, and the
/// last image taken for it.
fn displaced(
    draft: &Draft<'_>,
    stand: &Stand,
    document: &Document<Index>,
    target: &Location,
    options: &IndexOptions,
) -> Result<Vec<String>> {
    let is_listed = |entry: &Descriptor| document.value().manifests.iter().any(|member| member.digest == entry.digest);
    // An entry with another spelling of the name is told of where it gives way.
    let is_named = |entry: &Descriptor| stand.names.iter().any(|name| entry.ref_name() == Some(name.as_str()));
    let own = stand.own_entries(draft.index());
    let is_lost =
        |entry: &&Descriptor| entry.media_type.kind() == MediaKind::Manifest && is_named(entry) && !is_listed(entry);
    let mut warnings = Vec::new();
    for entry in own.iter().filter(is_lost) {
        if !options.keeps_what_is_there() && !is_led_to_by_others(draft, &own, entry)? {
            return Err(would_be_lost(target, &entry.digest));
        }
        warnings.push(displacement(&target.to_string(), entry, "which the index does not list"));
    }
    Ok(warnings)
}

/// Whether an image is listed by an entry that is not the index's own, or by an index of such an entry.
fn is_led_to_by_others(draft: &Draft<'_>, own: &[Descriptor], image: &Descriptor) -> Result<bool> {
    let is_other = |entry: &&Descriptor| !own.contains(entry) && !is_referrers_tag(entry);
    let (indexes, images): (Vec<Descriptor>, Vec<Descriptor>) = draft
        .index()
        .manifests
        .iter()
        .filter(is_other)
        .cloned()
        .partition(|entry| entry.media_type.kind() == MediaKind::Index);
    if images.iter().any(|other| other.digest == image.digest) {
        return Ok(true);
    }
    let reached = despite_damage(Reach::of(draft, &indexes))?;
    Ok(reached.is_some_and(|reached| reached.blobs.contains_key(&image.digest)))
}

/// Refuses to replace an archive of one image that the index does not list: nothing of the archive stays.
fn refuse_to_lose_archive(target: &Location, new: &[Candidate], options: &IndexOptions, limits: Limits) -> Result<()> {
    let is_replaced = target.transport != Transport::Oci && !target.is_stream() && target.path.is_file();
    // A flat index may be of one image.
    if !is_replaced || options.keeps_what_is_there() || options.shape == IndexShape::Flat {
        return Ok(());
    }
    match Layout::open(&target.of_all(), limits).and_then(|archive| archive.entry()) {
        Ok(image)
            if image.media_type.kind() == MediaKind::Manifest
                && new.iter().all(|member| member.descriptor.digest != image.digest) =>
        {
            Err(would_be_lost(target, &image.digest))
        }
        _ => Ok(()),
    }
}

fn would_be_lost(target: &Location, image: &Digest) -> Error {
    let message =
        format!("target `{target}` is the image {}, which the index does not list: it would be lost", image.short());
    let hint = Hint::from("name the target after the images, such as ");
    let hint = if target.transport == Transport::Oci {
        hint.text(format!("`oci:DIR:NAME`, or take `{target}` away first with ")).verb("rm")
    } else {
        hint.text(format!("`oci-archive:FILE:NAME`, or remove the file `{}` first", target.path.display()))
    };
    Error::refused_with_hint(message, hint)
}

/// Returns what the index is to list: what it lists already, without what is removed, and what is new.
fn merged(
    existing: &mut Existing,
    new: &[Candidate],
    target: &Location,
    options: &IndexOptions,
) -> Result<Vec<Candidate>> {
    if existing.entries.is_empty() && !options.remove.is_empty() {
        let message = format!("target `{target}`: there is no index of this name to take an image out of");
        return Err(Error::refused(message).of_kind(ErrorKind::NotFound));
    }
    let index = format!("index `{target}`");
    let mut members = std::mem::take(&mut existing.members);
    let same = match options.existing {
        ExistingIndex::Extended(same) => same,
        ExistingIndex::Superseded if options.keeps_what_is_there() => SamePlatform::Refused,
        ExistingIndex::Superseded => SamePlatform::Replaced,
    };
    join(&mut members, new.to_vec(), same)?;
    if !members.iter().any(|member| member.platform.is_some() && member.is_here) {
        let message = format!("index `{target}`: an image is wanted, and none would be left in it");
        return Err(Error::refused_with_hint(
            message,
            Hint::default().verb("rm").text(" takes a name away with all that it leads to"),
        ));
    }
    for MemberAnnotation { member, annotation } in &options.descriptor_annotations {
        let at = one_of(&members, member, &index)?;
        let annotations = members[at].descriptor.annotations.get_or_insert_with(Annotations::new);
        annotations.insert(annotation.key.clone(), annotation.value.clone());
    }
    Ok(members)
}

/// Returns which entries of the target belong to the index.
fn stand(target: &Location, options: &IndexOptions, names: &Names) -> Result<Stand> {
    let names = match names {
        // A flat index needs no name.
        Names::Layout(..) if options.shape == IndexShape::Flat && !options.target.gives_names(target) => Vec::new(),
        Names::Layout(names, _) => names.clone(),
        Names::Docker(_) => Vec::new(),
    };
    if options.target.docker_form == DockerForm::LegacyOnly {
        let message = "Docker's older form knows no platforms, and so no index";
        return Err(Error::refused_with_hint(
            message,
            Hint::from("leave ").option(OptionName::LegacyOnly).text(" out"),
        )
        .of_kind(ErrorKind::Unsupported));
    }
    if options.shape == IndexShape::Flat {
        if target.is_docker_archive() {
            let message = format!("target `{target}`: a docker archive holds no flat index");
            return Err(Error::refused_with_hint(
                message,
                Hint::from("leave ").option(OptionName::Flat).text(" out, or write to a layout"),
            )
            .of_kind(ErrorKind::Unsupported));
        }
        if !options.annotations.is_empty() {
            return Err(Error::refused_with_hint(
                "a flat index has no document of its own for annotations",
                Hint::from("leave ")
                    .option(OptionName::Flat)
                    .text(" out, or annotate descriptors with ")
                    .option(OptionName::DescriptorAnnotations),
            )
            .of_kind(ErrorKind::Unsupported));
        }
    }
    Ok(Stand { shape: options.shape, names })
}

/// Returns the index as a document. What an older one says besides its list stays.
fn nested(mut document: Index, members: &[Candidate], annotations: &[Annotation]) -> Document<Index> {
    document.media_type = Some(MediaType::INDEX);
    document.manifests = members.iter().map(|member| member.descriptor.clone()).collect();
    if !annotations.is_empty() {
        let pairs = annotations.iter().map(|annotation| (annotation.key.clone(), annotation.value.clone()));
        document.annotations.get_or_insert_with(Annotations::new).extend(pairs);
    }
    Document::seal(document)
}
