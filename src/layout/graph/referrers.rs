//! What is attached to an image: manifests with a `subject` (image-spec, manifest.md). They are listed in `index.json`,
//! and also in an index named after the subject's digest, the referrers tag, for readers without the referrers API
//! (distribution-spec, spec.md#referrers-tag-schema). Attestations of `BuildKit` that `index.json` lists are attached
//! to the image that their annotation names, and what cosign lists to the one that its tag names: `sha256-….sig`,
//! `.att` or `.sbom` (cosign, `specs/SIGNATURE_SPEC.md`). These have no subject: only the descriptor says what they are
//! about.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::digest::Digest;
use crate::error::{despite_damage, Result};
use crate::layout::graph::documents::{DocumentLinks, Documents, Link};
use crate::layout::graph::reach::Reach;
use crate::layout::Layout;
use crate::media_type::MediaKind;
use crate::oci::annotations::TITLE;
use crate::oci::{Annotations, Descriptor, RefName};

/// A manifest or an index that is attached to another.
#[derive(Clone, Debug)]
pub(crate) struct Referrer {
    /// The descriptor that lists it.
    pub descriptor: Descriptor,
    /// The digest of the document that it is attached to.
    pub subject: Digest,
    /// The type of the artifact.
    pub artifact_type: Option<String>,
    /// Its annotations.
    pub annotations: Annotations,
    /// The files of the artifact.
    pub files: Vec<AttachedFile>,
}

/// A file of an artifact.
#[derive(Clone, Debug)]
pub(crate) struct AttachedFile {
    /// The descriptor of its blob.
    pub descriptor: Descriptor,
    /// The original file name.
    pub title: Option<String>,
}

impl Layout {
    /// Everything that is attached to anything, each item once, in the order of the index. Unreadable documents are
    /// skipped, since they may not matter to the caller.
    pub(crate) fn referrers(&self) -> Result<Vec<Referrer>> {
        let index = self.index()?;
        let mut seen = BTreeSet::new();
        let mut referrers = Vec::new();
        let (tags, others): (Vec<_>, Vec<_>) =
            index.value().manifests.iter().partition(|entry| is_referrers_tag(entry));
        let lists: Vec<Option<Arc<DocumentLinks>>> =
            tags.into_iter().map(|tag| Ok(despite_damage(self.links(tag))?.flatten())).collect::<Result<_>>()?;
        let lists: Vec<Arc<DocumentLinks>> = lists.into_iter().flatten().collect();
        for descriptor in others.into_iter().chain(lists.iter().flat_map(|list| list.manifests())) {
            if !matches!(descriptor.media_type.kind(), MediaKind::Manifest | MediaKind::Index) {
                continue;
            }
            if !seen.insert(&descriptor.digest) {
                continue;
            }
            if let Some(found) = despite_damage(self.links(descriptor))?.flatten() {
                referrers.extend(referrer(descriptor, &found));
            }
        }
        Ok(referrers)
    }
}

fn referrer(descriptor: &Descriptor, found: &DocumentLinks) -> Option<Referrer> {
    let config_type = match found.layers().first() {
        // It has the config of an image, as attestations do.
        Some(content) if found.is_foreign() => Some(content.media_type.to_string()),
        _ => found.config.as_ref().map(|config| config.media_type.to_string()),
    };
    let file = |link: &Link| {
        let mut descriptor = Descriptor::new(link.media_type.clone(), link.digest.clone(), link.size);
        descriptor.annotations.clone_from(&link.annotations);
        AttachedFile { title: descriptor.annotation(TITLE).map(str::to_owned), descriptor }
    };
    Some(Referrer {
        descriptor: descriptor.clone(),
        subject: found.subject.as_ref().map(|subject| subject.digest.clone()).or_else(|| about(descriptor))?,
        artifact_type: found.artifact_type.clone().filter(|text| !text.is_empty()).or(config_type),
        annotations: found.annotations.clone().unwrap_or_default(),
        files: found.layers().iter().map(file).collect(),
    })
}

/// Number of digits of the digest in a referrers tag.
const LENGTH: usize = 64;

/// The referrers tag of a digest: `sha256-…`.
pub(crate) fn referrers_tag(subject: &Digest) -> Result<RefName> {
    let plain = |text: &str, length: usize| -> String {
        text.chars().take(length).map(|c| if c.is_ascii_alphanumeric() || "_.".contains(c) { c } else { '-' }).collect()
    };
    format!("{}-{}", plain(subject.algorithm_name(), 32), plain(subject.encoded(), LENGTH)).parse()
}

/// Whether an entry of `index.json` is a list of referrers.
pub(crate) fn is_referrers_tag(entry: &Descriptor) -> bool {
    entry.media_type.kind() == MediaKind::Index && entry.ref_name().is_some_and(names_digest)
}

/// Whether a ref name is a referrers tag.
pub(crate) fn names_digest(name: &str) -> bool {
    name.split_once('-').is_some_and(|(algorithm, encoded)| {
        ["sha256", "sha512"].contains(&algorithm)
            && encoded.len() == LENGTH
            && encoded.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

/// What an entry of `index.json` is about, as far as its descriptor tells: an attestation of `BuildKit`, or what cosign
/// lists under a tag of its own.
pub(crate) fn about(entry: &Descriptor) -> Option<Digest> {
    entry.attested().or_else(|| about_by_tag(entry.ref_name()?))
}

/// The digest in a tag of cosign, which is no name of an image, but that of a signature and the like.
pub(crate) fn about_by_tag(name: &str) -> Option<Digest> {
    let (digest, kind) = name.split_once('.')?;
    let encoded = digest.strip_prefix("sha256-").filter(|_| kind_of_tag(kind).is_some())?;
    format!("sha256:{encoded}").parse().ok()
}

/// What such a tag is the name of, by its last part.
fn kind_of_tag(kind: &str) -> Option<&'static str> {
    match kind {
        "sig" => Some("signature"),
        "att" => Some("attestation"),
        "sbom" => Some("SBOM"),
        _ => None,
    }
}

/// What messages call an entry that is [`about`] an image.
pub(crate) fn kind_of_referrer(entry: &Descriptor) -> &'static str {
    let by_tag = entry.ref_name().and_then(|name| kind_of_tag(name.split_once('.')?.1));
    by_tag.filter(|_| entry.attested().is_none()).unwrap_or("attestation")
}

/// Whether an entry has a name by which an image is found: not that of its subject.
pub(crate) fn has_own_name(entry: &Descriptor) -> bool {
    !is_referrers_tag(entry) && entry.ref_name().is_some_and(|name| about_by_tag(name).is_none())
}

/// What entries of an index lead to if being a subject keeps nothing: images and named artifacts, everything below
/// them, and everything attached to any of it.
pub(crate) struct Rooted {
    digests: BTreeSet<Digest>,
    tags: BTreeSet<String>,
}

impl Rooted {
    pub(crate) fn of(documents: &dyn Documents, entries: &[Descriptor], referrers: &[Referrer]) -> Result<Self> {
        let attached: BTreeSet<&Digest> = referrers.iter().map(|referrer| &referrer.descriptor.digest).collect();
        let mut by_subject: BTreeMap<&Digest, Vec<&Descriptor>> = BTreeMap::new();
        for referrer in referrers {
            by_subject.entry(&referrer.subject).or_default().push(&referrer.descriptor);
        }
        let is_root =
            |entry: &&Descriptor| has_own_name(entry) || !(is_referrers_tag(entry) || attached.contains(&entry.digest));
        let roots: Vec<Descriptor> = entries.iter().filter(is_root).cloned().collect();
        let digests: BTreeSet<Digest> =
            Reach::with_referrers(documents, &roots, &by_subject)?.blobs.into_keys().collect();
        let tags = digests.iter().filter_map(|digest| referrers_tag(digest).ok()).map(|tag| tag.to_string()).collect();
        Ok(Rooted { digests, tags })
    }

    /// Whether an entry is kept. A referrers tag is kept with its subject.
    pub(crate) fn holds(&self, entry: &Descriptor) -> bool {
        match entry.ref_name() {
            Some(name) if is_referrers_tag(entry) => self.tags.contains(name),
            _ => self.digests.contains(&entry.digest),
        }
    }
}
