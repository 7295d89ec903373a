//! What documents lead to: of manifests and indexes only their descriptors, and of these only what is needed to follow
//! them. A layout may hold thousands of documents, and this is read of all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::layout::reader::read_document;
use crate::layout::{Layout, VerifiedReader};
use crate::media_type::{MediaKind, MediaType};
use crate::oci::{Annotations, Descriptor, MAX_DOCUMENT_SIZE};

/// A descriptor, as far as it is needed to follow it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Link {
    pub(crate) media_type: MediaType,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    #[serde(default)]
    urls: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) annotations: Option<Annotations>,
}

/// What a manifest or an index says of itself and of others.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Links {
    pub(crate) config: Option<Link>,
    #[serde(deserialize_with = "null_as_empty")]
    pub(crate) layers: Option<Vec<Link>>,
    #[serde(deserialize_with = "null_as_empty")]
    pub(crate) manifests: Option<Vec<Link>>,
    pub(crate) subject: Option<Link>,
    pub(crate) artifact_type: Option<String>,
    pub(crate) annotations: Option<Annotations>,
}

/// Go writes an empty list as `null`.
fn null_as_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<Link>>, D::Error> {
    Ok(Some(Option::deserialize(deserializer)?.unwrap_or_default()))
}

impl From<&Descriptor> for Link {
    fn from(descriptor: &Descriptor) -> Self {
        Link {
            media_type: descriptor.media_type.clone(),
            digest: descriptor.digest.clone(),
            size: descriptor.size,
            urls: Some(descriptor.urls.clone()),
            annotations: None,
        }
    }
}

impl Link {
    /// Whether the blob may have been left to be fetched from elsewhere.
    fn is_elsewhere(&self) -> bool {
        self.urls.as_ref().is_some_and(|urls| !urls.is_empty()) || self.media_type.is_non_distributable()
    }
}

/// Where documents come from.
pub(crate) trait Documents {
    /// The bytes of a document, held to its descriptor as far as its digest can be computed here; none if it is missing.
    fn raw(&self, link: &Link) -> Result<Option<Vec<u8>>>;

    /// What messages call it.
    fn subject(&self, digest: &Digest) -> String;
}

impl Documents for Layout {
    fn raw(&self, link: &Link) -> Result<Option<Vec<u8>>> {
        let Some((stored, _)) = self.stored_blob(&link.digest)? else { return Ok(None) };
        let descriptor = Descriptor::new(link.media_type.clone(), link.digest.clone(), link.size);
        let reader: Box<dyn Read> = match link.digest.algorithm() {
            Some(_) => Box::new(VerifiedReader::new(stored, &descriptor)?),
            None => stored,
        };
        read_document(reader, link.size, &self.subject(&link.digest), &self.location().path).map(Some)
    }

    fn subject(&self, digest: &Digest) -> String {
        self.name_of(digest)
    }
}

/// Reads the links of a manifest or index; none if it is missing.
pub(crate) fn links(documents: &dyn Documents, link: &Link) -> Result<Option<Links>> {
    let Some(raw) = documents.raw(link)? else { return Ok(None) };
    let malformed = |reason: String| Error::malformed(documents.subject(&link.digest), reason);
    let links: Links = serde_json::from_slice(&raw).map_err(|error| malformed(error.to_string()))?;
    let (wanted, is_whole) = match link.media_type.kind() {
        MediaKind::Index => ("the member `manifests` of an index", links.manifests.is_some()),
        _ => ("the members `config` and `layers` of a manifest", links.config.is_some() && links.layers.is_some()),
    };
    if !is_whole {
        return Err(malformed(format!("{wanted} expected, found none")));
    }
    Ok(Some(links))
}

/// What is done about a blob that a descriptor promises and that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// It leads to nothing.
    Passed,
    /// It ends the walk with an error.
    Refused,
}

/// Whether a manifest leads to its subject.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Subjects {
    Followed,
    Left,
}

/// All that descriptors lead to.
#[derive(Debug, Default)]
pub(crate) struct Reach {
    /// Every blob that is mentioned.
    pub(crate) blobs: BTreeMap<Digest, Need>,
    /// What manifests and indexes name as their subject.
    pub(crate) subjects: BTreeSet<Digest>,
    read: BTreeSet<Digest>,
    open: Vec<(Link, Origin)>,
}

/// What a layout has a blob for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Need {
    /// Whether it is an index, a manifest or a config.
    pub(crate) is_document: bool,
    /// Whether a descriptor promises that it is there. Of a subject, none does (image-spec, manifest.md, `subject`).
    pub(crate) is_promised: bool,
}

/// Where a descriptor was met.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Origin {
    /// In an index.
    Index,
    /// In a manifest, as config or layer.
    Manifest,
    /// Somewhere as a subject, or in a document of a kind that is not known here.
    Aside,
}

impl Reach {
    /// Walks from descriptors to all that they lead to, through nested indexes and subjects. Where an index lists a
    /// document of a kind that is not known here, whatever looks like a digest in it is taken for a mention.
    ///
    /// # Errors
    ///
    /// A manifest or index cannot be read or is malformed, or one is missing and not [passed](Missing::Passed).
    pub(crate) fn of<'a>(
        documents: &dyn Documents,
        roots: impl IntoIterator<Item = &'a Descriptor>,
        missing: Missing,
    ) -> Result<Self> {
        Reach::walk(documents, roots, missing, Subjects::Followed)
    }

    /// The same without what is only named as a subject.
    pub(crate) fn without_subjects<'a>(
        documents: &dyn Documents,
        roots: impl IntoIterator<Item = &'a Descriptor>,
    ) -> Result<Self> {
        Reach::walk(documents, roots, Missing::Passed, Subjects::Left)
    }

    fn walk<'a>(
        documents: &dyn Documents,
        roots: impl IntoIterator<Item = &'a Descriptor>,
        missing: Missing,
        subjects: Subjects,
    ) -> Result<Self> {
        let mut reach = Reach::default();
        reach.open.extend(roots.into_iter().map(|root| (root.into(), Origin::Index)));
        while let Some((link, origin)) = reach.open.pop() {
            let is_promised = origin != Origin::Aside && !link.is_elsewhere();
            let kind = link.media_type.kind();
            let need = reach.blobs.entry(link.digest.clone()).or_default();
            need.is_promised |= is_promised;
            need.is_document |= matches!(kind, MediaKind::Index | MediaKind::Manifest | MediaKind::Config);
            if reach.read.contains(&link.digest) {
                continue;
            }
            let is_there = match kind {
                MediaKind::Index | MediaKind::Manifest => {
                    links(documents, &link)?.map(|found| reach.follow(found, subjects)).is_some()
                }
                MediaKind::Other if origin == Origin::Index && link.size <= MAX_DOCUMENT_SIZE => {
                    documents.raw(&link)?.map(|raw| reach.follow_unknown(&raw)).is_some()
                }
                _ => continue,
            };
            if is_there {
                reach.read.insert(link.digest);
            } else if is_promised && missing == Missing::Refused {
                return Err(Error::malformed(documents.subject(&link.digest), "the blob is missing"));
            }
        }
        Ok(reach)
    }

    fn follow(&mut self, found: Links, subjects: Subjects) {
        let held = found.config.into_iter().chain(found.layers.into_iter().flatten());
        self.open.extend(held.map(|link| (link, Origin::Manifest)));
        let listed = found.manifests.into_iter().flatten();
        self.open.extend(listed.map(|link| (link, Origin::Index)));
        if let Some(subject) = found.subject {
            self.subjects.insert(subject.digest.clone());
            if subjects == Subjects::Followed {
                self.open.push((subject, Origin::Aside));
            }
        }
    }

    fn follow_unknown(&mut self, raw: &[u8]) {
        if let Ok(value) = serde_json::from_slice(raw) {
            self.mention_all(&value);
        }
    }

    fn mention_all(&mut self, value: &Value) {
        match value {
            Value::String(text) => {
                if let Ok(digest) = text.parse() {
                    self.blobs.entry(digest).or_default();
                }
            }
            Value::Array(values) => values.iter().for_each(|value| self.mention_all(value)),
            Value::Object(members) => {
                if let Ok(link) = Link::deserialize(value) {
                    self.open.push((link, Origin::Aside));
                }
                members.values().for_each(|value| self.mention_all(value));
            }
            _ => {}
        }
    }
}
