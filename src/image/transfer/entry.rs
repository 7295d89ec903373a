use std::collections::BTreeSet;

use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::image::publish::TargetOptions;
use crate::image::transfer::graph::{Content, Graph};
use crate::image::transfer::rewrite::Rewritten;
use crate::layout::{called, choose, fitting, names, Choice, ImageName, Layout, Location, Transport};
use crate::media_type::MediaKind;
use crate::oci::annotations::{CONTAINERD_NAME, REF_NAME};
use crate::oci::{Annotations, Descriptor};
use crate::platform::PlatformPattern;

/// What an index of a layout lists, on its way into another.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) descriptor: Descriptor,
    pub(crate) kind: EntryKind,
}

/// What an entry is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EntryKind {
    /// Itself: names may be given to it.
    Image,
    /// What it says of another image. Its name, if it has one, is how that is found.
    Attached,
}

/// The entries that the layout's location means: those of its name, or all.
pub(crate) fn entries(layout: &Layout) -> Result<Vec<Entry>> {
    let index = layout.index()?.into_value();
    let meant: Vec<Descriptor> = match &layout.location().name {
        None => index.manifests.clone(),
        Some(name) => called(&index.manifests, name, Descriptor::annotation).into_iter().cloned().collect(),
    };
    match &layout.location().name {
        Some(name) if meant.is_empty() => return Err(layout.unknown_ref_name(name, &names(&index))),
        None if meant.is_empty() => {
            return Err(Error::refused(format!("image `{}`: the layout holds no image", layout.location())));
        }
        // What was asked for by its name is wanted for itself.
        Some(_) => {
            return Ok(meant.into_iter().map(|descriptor| Entry { descriptor, kind: EntryKind::Image }).collect())
        }
        None => {}
    }
    let graph = Graph::read(layout, &meant)?;
    let mut entries: Vec<Entry> = meant
        .into_iter()
        .map(|descriptor| {
            let is_attached = TagOfDigest::parse(&descriptor).is_some() || has_subject(&graph, &descriptor);
            Entry { descriptor, kind: if is_attached { EntryKind::Attached } else { EntryKind::Image } }
        })
        .collect();
    if entries.iter().all(|entry| entry.kind == EntryKind::Attached) {
        for entry in &mut entries {
            entry.kind = EntryKind::Image;
        }
    }
    Ok(entries)
}

fn has_subject(graph: &Graph<'_>, descriptor: &Descriptor) -> bool {
    match &graph.node(&descriptor.digest).content {
        Content::Index(index) => index.value().subject.is_some(),
        Content::Manifest(manifest, _) => manifest.value().subject.is_some(),
        Content::Unknown | Content::Missing => false,
    }
}

/// The image for a platform in the place of each entry that has one.
pub(crate) fn of_platform(layout: &Layout, entries: Vec<Entry>, platform: &PlatformPattern) -> Result<Vec<Entry>> {
    let graph = Graph::read(layout, entries.iter().map(|entry| &entry.descriptor))?;
    let subject = format!("image `{}`", layout.location());
    let mut chosen = Vec::new();
    let mut all = Vec::new();
    for entry in entries.into_iter().filter(|entry| entry.kind == EntryKind::Image) {
        let mut manifests = Vec::new();
        let mut choices = Vec::new();
        for manifest in graph.manifests_below(&entry.descriptor) {
            let config = match &graph.node(&manifest.digest).content {
                Content::Manifest(_, Some(config)) => Some(config.value().platform()),
                Content::Missing if manifest.media_type.kind() == MediaKind::Manifest => None,
                _ => continue,
            };
            let choice = Choice::new(&manifest, &entry.descriptor, config.as_ref());
            let Some(choice) = choice.filter(|choice| !choice.is_unknown()) else { continue };
            choices.push(choice);
            manifests.push(manifest);
        }
        // Another entry may have an image for it.
        if !fitting(platform, &choices).is_empty() {
            let at = choose(&subject, platform, &choices)?;
            chosen.push(entry.with(manifests.swap_remove(at)));
        }
        all.extend(choices);
    }
    if chosen.is_empty() {
        choose(&subject, platform, &all)?;
    }
    Ok(chosen)
}

/// Refuses a name that would be given to several images, before anything is written.
pub(crate) fn check_names(
    entries: &[Entry],
    layout: &Layout,
    targets: &[Location],
    options: &TargetOptions,
) -> Result<()> {
    let images = entries.iter().filter(|entry| entry.kind == EntryKind::Image);
    let digests: BTreeSet<&Digest> = images.map(|entry| &entry.descriptor.digest).collect();
    match targets.iter().find(|target| options.gives_names(target)) {
        Some(_) if digests.len() > 1 => {
            let names: Vec<&str> = entries.iter().filter_map(|entry| entry.descriptor.ref_name()).collect();
            let hint = format!("name one: {}", names.join(", "));
            let message =
                format!("image `{}`: one image is wanted for the name, found {}", layout.location(), digests.len());
            Err(if names.is_empty() { Error::refused(message) } else { Error::refused_with_hint(message, hint) })
        }
        _ => Ok(()),
    }
}

impl Entry {
    /// A manifest below this entry in its place.
    fn with(&self, manifest: Descriptor) -> Self {
        if manifest.digest == self.descriptor.digest {
            return self.clone();
        }
        let mut descriptor = without_names(manifest);
        for key in [REF_NAME, CONTAINERD_NAME] {
            if let Some(name) = self.descriptor.annotation(key) {
                descriptor.annotations.get_or_insert_with(Annotations::new).insert(key.to_owned(), name.to_owned());
            }
        }
        Entry { descriptor, kind: self.kind }
    }

    /// Whether it says something of one of these.
    pub(crate) fn is_attached_to(&self, graph: &Graph<'_>, images: &BTreeSet<&Digest>) -> bool {
        if self.kind == EntryKind::Image {
            return false;
        }
        let subject = match &graph.node(&self.descriptor.digest).content {
            Content::Index(index) => index.value().subject.as_ref(),
            Content::Manifest(manifest, _) => manifest.value().subject.as_ref(),
            Content::Unknown | Content::Missing => None,
        };
        let tag = TagOfDigest::parse(&self.descriptor);
        subject.is_some_and(|subject| images.contains(&subject.digest))
            || tag.is_some_and(|tag| images.iter().any(|digest| tag.is_about(digest)))
    }

    /// The entry of what stands in the place of what it listed.
    pub(crate) fn redirected(&self, rewritten: &Rewritten) -> Self {
        let mut descriptor = rewritten.redirected(self.descriptor.clone());
        if let Some(tag) = TagOfDigest::parse(&self.descriptor) {
            if let Some(new) = rewritten.replacement(|old| tag.is_about(old)) {
                let annotations = descriptor.annotations.get_or_insert_with(Annotations::new);
                annotations.insert(REF_NAME.to_owned(), tag.about(&new.digest));
            }
        }
        Entry { descriptor, kind: self.kind }
    }

    /// The descriptors by which a target lists it, one for each name, and these names.
    pub(crate) fn named(
        &self,
        target: &Location,
        options: &TargetOptions,
        warnings: &mut Vec<String>,
    ) -> Result<(Vec<Descriptor>, Vec<String>)> {
        if self.kind == EntryKind::Image && options.gives_names(target) {
            let mut options = options.clone();
            if target.name.is_none() && options.tags.is_empty() {
                options.tags.extend(self.own_name(target));
            }
            let names = options.names(target)?;
            return Ok((names.descriptors(&without_names(self.descriptor.clone())), names.texts()));
        }
        let refs = if target.is_docker_archive() {
            let name = self.own_name(target).map(|name| name.to_string());
            if let (EntryKind::Image, None, Some(word)) = (self.kind, &name, self.descriptor.ref_name()) {
                let word = word.escape_debug();
                warnings.push(format!("`{word}` is no name that Docker knows: the image has none in `{target}`"));
            }
            name
        } else {
            self.descriptor.ref_name().map(str::to_owned)
        };
        Ok((vec![self.descriptor.clone()], refs.into_iter().collect()))
    }

    /// What it is called now, as the target would call it. To Docker, a word is no name but a tag of one.
    fn own_name(&self, target: &Location) -> Option<ImageName> {
        let parsed = |name: &str| name.parse::<ImageName>().ok();
        let ref_name = self.descriptor.ref_name().and_then(parsed);
        let whole_name = self.descriptor.annotation(CONTAINERD_NAME).and_then(parsed);
        match target.transport {
            Transport::DockerArchive => whole_name.or_else(|| ref_name.filter(|name| !name.is_word())),
            Transport::Oci | Transport::OciArchive | Transport::Archive => ref_name,
        }
    }
}

/// A name that says by itself what it is about, as the referrers tag does (distribution-spec,
/// spec.md#referrers-tag-schema) and those that cosign makes of it: `sha256-…`, `sha256-….sig`.
struct TagOfDigest<'a> {
    algorithm: &'a str,
    /// The beginning of the digest.
    encoded: &'a str,
    suffix: &'a str,
}

impl<'a> TagOfDigest<'a> {
    /// How much of a digest it holds.
    const LENGTH: usize = 64;

    fn parse(descriptor: &'a Descriptor) -> Option<Self> {
        let (algorithm, rest) = descriptor.ref_name()?.split_once('-')?;
        let length = rest.bytes().take_while(u8::is_ascii_hexdigit).count();
        let is_tag = matches!(algorithm, "sha256" | "sha512") && length == Self::LENGTH;
        is_tag.then(|| TagOfDigest { algorithm, encoded: &rest[..length], suffix: &rest[length..] })
    }

    fn is_about(&self, digest: &Digest) -> bool {
        digest.algorithm_name() == self.algorithm && digest.encoded().starts_with(self.encoded)
    }

    /// The same name about something else.
    fn about(&self, digest: &Digest) -> String {
        let length = digest.encoded().len().min(Self::LENGTH);
        format!("{}-{}{}", digest.algorithm_name(), &digest.encoded()[..length], self.suffix)
    }
}

/// A descriptor that nobody calls by a name.
pub(crate) fn without_names(mut descriptor: Descriptor) -> Descriptor {
    if let Some(annotations) = &mut descriptor.annotations {
        annotations.retain(|key, _| key != REF_NAME && key != CONTAINERD_NAME);
    }
    descriptor.annotations = descriptor.annotations.filter(|annotations| !annotations.is_empty());
    descriptor
}
