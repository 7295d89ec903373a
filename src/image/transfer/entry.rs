//! The entries of an index on their way into another: which ones are meant, what goes along with them, and which names
//! they keep.

use std::collections::{BTreeMap, BTreeSet};

use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::image::publish::TargetOptions;
use crate::image::transfer::plan::TransferPlan;
use crate::image::transfer::rewrite::Rewritten;
use crate::layout::{
    about, about_by_tag, full_name, is_artifact, is_referrers_tag, referrers_tag, without_full_name, DescriptorPath,
    DockerTag, Graph, ImageName, Layout, Location, NodeContent, Transport,
};
use crate::oci::annotations::{CONTAINERD_NAME, REF_NAME};
use crate::oci::{Annotations, Descriptor};

/// An entry of a layout's index, on its way into another.
#[derive(Clone, Debug)]
pub(crate) struct IndexEntry {
    pub(crate) descriptor: Descriptor,
    pub(crate) kind: EntryKind,
}

/// Why an entry is transferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EntryKind {
    /// It is itself wanted, and can be given names.
    Image,
    /// It accompanies an image without being one: an artifact or an attestation without a subject.
    Other,
    /// It is about another image. Its name, if any, is how it is found.
    Attached,
    /// The same, but only its content tells which image: a signature of cosign without its tag, as `cosign save` lists
    /// it.
    Signature,
}

/// The entries that the layout's location means: those with its name, those with its digest, or all.
pub(crate) fn entries(layout: &Layout) -> Result<Vec<IndexEntry>> {
    let meant = layout.meant()?;
    let image = |descriptor: &Descriptor| IndexEntry { descriptor: descriptor.clone(), kind: EntryKind::Image };
    // An entry that was asked for counts as an image.
    if layout.location().name.is_some() {
        return Ok(meant.iter().map(|path| image(path.entry()).with(path.descriptor().clone())).collect());
    }
    if layout.location().digest.is_some() {
        return Ok(meant.iter().map(|path| image(path.descriptor())).collect());
    }
    if meant.is_empty() {
        return Err(Error::refused(format!("image `{}`: the layout holds no image", layout.location()))
            .of_kind(ErrorKind::NotFound));
    }
    let graph = Graph::read(layout, meant.iter().map(DescriptorPath::descriptor))?;
    let entry = |path: &DescriptorPath| {
        let descriptor = path.descriptor().clone();
        let content = &graph.node(&descriptor.digest).content;
        let kind = match content {
            _ if tells_subject_by_name(&descriptor) => EntryKind::Attached,
            // It stands beside its image, even if it also has a subject.
            _ if descriptor.attested().is_some() => EntryKind::Other,
            _ if content.subject().is_some() => EntryKind::Attached,
            _ if is_signature(&descriptor, content) => EntryKind::Signature,
            NodeContent::Manifest(_, None) | NodeContent::Unknown => EntryKind::Other,
            _ if is_artifact(&descriptor) => EntryKind::Other,
            _ => EntryKind::Image,
        };
        IndexEntry { descriptor, kind }
    };
    let mut entries: Vec<IndexEntry> = meant.iter().map(entry).collect();
    if entries.iter().all(|entry| entry.kind != EntryKind::Image) {
        for entry in &mut entries {
            entry.kind = EntryKind::Image;
        }
    }
    Ok(entries)
}

/// The entries attached to images, directly or through other entries.
pub(crate) fn attached_to<'e>(
    entries: &'e [IndexEntry],
    graph: &Graph<'_>,
    images: impl IntoIterator<Item = &'e Digest>,
) -> Vec<&'e IndexEntry> {
    let mut by_subject: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, entry) in entries.iter().enumerate() {
        entry.subjects(graph).into_iter().for_each(|subject| by_subject.entry(subject).or_default().push(at));
    }
    let mut attached = BTreeSet::new();
    let mut open: Vec<&Digest> = images.into_iter().collect();
    while let Some(digest) = open.pop() {
        let tag = referrers_tag(digest).ok().map(|tag| tag.to_string());
        for at in
            tag.into_iter().chain([digest.to_string()]).filter_map(|subject| by_subject.remove(&subject)).flatten()
        {
            if attached.insert(at) {
                open.push(&entries[at].descriptor.digest);
            }
        }
    }
    attached.into_iter().map(|at| &entries[at]).collect()
}

/// Whether the name of an entry is only that of its subject.
fn tells_subject_by_name(entry: &Descriptor) -> bool {
    is_referrers_tag(entry) || entry.ref_name().is_some_and(|name| about_by_tag(name).is_some())
}

/// Whether an entry is a signature or an attestation of cosign, which has the config of an image.
pub(super) fn is_signature(entry: &Descriptor, content: &NodeContent) -> bool {
    let of_cosign = ["application/vnd.dev.cosign.simplesigning.v1+json", "application/vnd.dsse.envelope.v1+json"];
    let is_kind = |kind: &str| ["/sigs", "/atts"].iter().any(|end| kind == format!("dev.cosignproject.cosign{end}"));
    let NodeContent::Manifest(manifest, None) = content else { return false };
    let layers = &manifest.value().layers;
    entry.annotation("kind").is_some_and(is_kind)
        || (!layers.is_empty() && layers.iter().all(|layer| of_cosign.contains(&layer.media_type.as_str())))
}

/// Leaves out entries whose statements would no longer be true. Returns whether there were any.
pub(crate) fn leave_untrue(entries: &mut Vec<IndexEntry>, plan: &TransferPlan) -> bool {
    let mut left = BTreeSet::new();
    loop {
        let before = left.len();
        for entry in entries.iter().filter(|entry| entry.is_untrue(plan, &left)).collect::<Vec<_>>() {
            left.insert(entry.descriptor.digest.clone());
        }
        if left.len() == before {
            break;
        }
    }
    let count = entries.len();
    entries.retain(|entry| !(tells_subject_by_name(&entry.descriptor) && left.contains(&entry.descriptor.digest)));
    entries.len() < count
}

impl IndexEntry {
    /// This entry with one of its manifests in its place.
    pub(super) fn with(&self, manifest: Descriptor) -> Self {
        if manifest.digest == self.descriptor.digest {
            return self.clone();
        }
        let mut descriptor = without_names(manifest);
        for key in [REF_NAME, CONTAINERD_NAME] {
            if let Some(name) = self.descriptor.annotation(key) {
                descriptor.annotations.get_or_insert_with(Annotations::new).insert(key.to_owned(), name.to_owned());
            }
        }
        IndexEntry { descriptor, kind: self.kind }
    }

    /// What the entry is attached to: the digests of subjects, and names that contain a digest.
    fn subjects(&self, graph: &Graph<'_>) -> Vec<String> {
        if self.kind != EntryKind::Attached {
            return Vec::new();
        }
        let subject = graph.node(&self.descriptor.digest).content.subject().map(|subject| subject.digest.clone());
        let told = about(&self.descriptor);
        let tag = self.descriptor.ref_name().filter(|_| is_referrers_tag(&self.descriptor));
        subject.into_iter().chain(told).map(|digest| digest.to_string()).chain(tag.map(str::to_owned)).collect()
    }

    /// Whether its subject changes or is missing: what cosign lists under a tag is about one digest.
    fn is_untrue(&self, plan: &TransferPlan, left: &BTreeSet<Digest>) -> bool {
        let is_gone = |subject: &Digest| plan.changed.contains_key(subject) || left.contains(subject);
        match self.descriptor.ref_name() {
            _ if self.kind != EntryKind::Attached => false,
            // Such a list changes with what is in it.
            Some(name) if is_referrers_tag(&self.descriptor) => {
                let is_about = |subject: &Digest| referrers_tag(subject).is_ok_and(|tag| tag.as_str() == name);
                !plan.changed.contains_key(&self.descriptor.digest) && plan.changed.keys().any(is_about)
            }
            Some(name) => about_by_tag(name).is_some_and(|subject| is_gone(&subject)),
            None => false,
        }
    }

    /// This entry with its descriptor redirected to the new document.
    pub(crate) fn redirected(&self, rewritten: &mut Rewritten) -> Self {
        let mut descriptor = rewritten.redirected(self.descriptor.clone());
        // A list of what is attached is named after the subject of what it lists.
        if is_referrers_tag(&descriptor) && descriptor.digest != self.descriptor.digest {
            let tag = |digest: &Digest| referrers_tag(digest).ok();
            let is_meant = |old: &Digest| tag(old).is_some_and(|tag| Some(tag.as_str()) == descriptor.ref_name());
            if let Some(new) = rewritten.replacement(is_meant).and_then(|new| tag(&new.digest)) {
                descriptor = descriptor.with_ref_name(&new);
            }
        }
        IndexEntry { descriptor, kind: self.kind }
    }

    /// The descriptors for the target, one for each name, and the names.
    pub(crate) fn named(
        &self,
        target: &Location,
        options: &TargetOptions,
        warnings: &mut Vec<String>,
    ) -> Result<(Vec<Descriptor>, Vec<String>)> {
        let keeps_own = target.name.is_none() && options.tags.is_empty();
        let tag = self.tag_of_repository(target, options);
        let lost = self.lost_name(target).filter(|_| self.kind == EntryKind::Image && keeps_own && tag.is_none());
        if let Some(name) = lost {
            warnings.push(lost_warning(name, target));
        }
        if self.kind == EntryKind::Image && (options.gives_names(target) || tag.is_some()) {
            let mut options = options.clone();
            if keeps_own {
                options.tags.extend(tag.or_else(|| self.own_name(target)));
            }
            let names = options.names(target)?;
            return Ok((names.descriptors(&without_names(self.descriptor.clone())), names.texts()));
        }
        // The index within a docker archive takes more names than Docker does.
        let descriptor = match lost {
            Some(name) if name.parse::<ImageName>().is_err() => without_names(self.descriptor.clone()),
            _ => self.descriptor.clone(),
        };
        let refs = match target.transport {
            Transport::DockerArchive => self.own_name(target).map(|name| name.to_string()),
            _ => descriptor.ref_name().map(str::to_owned),
        };
        let descriptor = match target.transport {
            Transport::Oci => without_full_name(descriptor),
            _ => descriptor,
        };
        Ok((vec![descriptor], refs.into_iter().collect()))
    }

    /// The tag of an image that keeps its name in an archive, where a repository is given for tags alone. One that has
    /// a full name beside it keeps that.
    pub(crate) fn tag_of_repository(&self, target: &Location, options: &TargetOptions) -> Option<ImageName> {
        let keeps_own = target.name.is_none() && options.tags.is_empty() && self.kind == EntryKind::Image;
        if target.transport == Transport::Oci || options.repository.is_none() || !keeps_own {
            return None;
        }
        let tag: ImageName = self.descriptor.ref_name()?.parse().ok()?;
        let is_tag = tag.is_word() && tag.as_str().parse::<DockerTag>().is_ok();
        (is_tag && full_name(&self.descriptor).is_none()).then_some(tag)
    }

    /// The name that the image has and that the target cannot hold, if it has no other.
    fn lost_name(&self, target: &Location) -> Option<&str> {
        let (ref_name, full) = (self.descriptor.ref_name(), self.descriptor.annotation(CONTAINERD_NAME));
        let is_lost = if target.is_docker_archive() {
            self.own_name(target).is_none()
        } else {
            ref_name.is_none() && full.is_some_and(|name| name.parse::<ImageName>().is_err())
        };
        ref_name.or(full).filter(|_| is_lost)
    }

    /// The current name in the form of the target. Docker takes a single word for a tag, not a name.
    fn own_name(&self, target: &Location) -> Option<ImageName> {
        let parsed = |name: &str| name.parse::<ImageName>().ok();
        let ref_name = self.descriptor.ref_name().and_then(parsed);
        let whole_name = self.descriptor.annotation(CONTAINERD_NAME).and_then(parsed);
        match target.transport {
            Transport::DockerArchive => {
                let names = whole_name.into_iter().chain(ref_name.filter(|name| !name.is_word()));
                names.into_iter().find(|name| name.docker_name().is_ok())
            }
            Transport::Oci | Transport::OciArchive | Transport::Archive => ref_name,
        }
    }
}

/// The warning about a name that an image loses in a target, and how a tag gets the name that Docker needs.
fn lost_warning(name: &str, target: &Location) -> String {
    let shown = name.escape_debug();
    if !target.is_docker_archive() {
        return format!("`{shown}` is no name: the image has none in `{target}`");
    }
    let told = format!("`{shown}` is no name that Docker knows: the image has none in `{target}`");
    match name.parse::<DockerTag>() {
        Ok(tag) => format!("{told}; write `{target}:NAME:{}`, or give a repository for its tag", tag.as_str()),
        Err(_) => format!("{told}; write `{target}:NAME:TAG`"),
    }
}

/// Removes the names from a descriptor.
pub(crate) fn without_names(mut descriptor: Descriptor) -> Descriptor {
    if let Some(annotations) = &mut descriptor.annotations {
        annotations.retain(|key, _| key != REF_NAME && key != CONTAINERD_NAME);
    }
    descriptor.annotations = descriptor.annotations.filter(|annotations| !annotations.is_empty());
    descriptor
}
