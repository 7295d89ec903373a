//! Documents and what they refer to. Of manifests and indexes only the descriptors are kept, and of descriptors in
//! manifests only what is needed to follow them: all documents of a layout are read this way, and there may be
//! thousands.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::json::{nulls_in_optional_map, refuse_repeated, without_nulls};
use crate::media_type::{MediaKind, MediaType};
use crate::oci::{self, Annotations, Descriptor};

/// The parts of a descriptor that are needed to follow it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Link {
    pub(crate) media_type: MediaType,
    pub(crate) digest: Digest,
    #[serde(deserialize_with = "oci::descriptor_size")]
    pub(crate) size: u64,
    #[serde(default, deserialize_with = "without_nulls")]
    urls: Vec<String>,
    #[serde(default, deserialize_with = "nulls_in_optional_map")]
    pub(crate) annotations: Option<Annotations>,
}

impl Link {
    /// Returns a descriptor with only these parts.
    pub(crate) fn descriptor(&self) -> Descriptor {
        let mut descriptor = Descriptor::new(self.media_type.clone(), self.digest.clone(), self.size);
        descriptor.urls.clone_from(&self.urls);
        descriptor
    }
}

/// What a document says about others and about itself.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct DocumentLinks {
    /// In a manifest.
    pub(crate) config: Option<Link>,
    /// In a manifest.
    #[serde(deserialize_with = "null_as_empty")]
    layers: Option<Vec<Link>>,
    /// In an index.
    #[serde(deserialize_with = "null_as_empty")]
    manifests: Option<Vec<Descriptor>>,
    pub(crate) subject: Option<Link>,
    pub(crate) artifact_type: Option<String>,
    #[serde(deserialize_with = "nulls_in_optional_map")]
    pub(crate) annotations: Option<Annotations>,
    /// In a document of an unknown kind: everything that looks like a descriptor.
    #[serde(skip)]
    pub(crate) mentions: Vec<Link>,
    /// In such a document: everything that looks like a digest.
    #[serde(skip)]
    pub(crate) digests: Vec<Digest>,
}

/// Go writes an empty list as `null`.
fn null_as_empty<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<Vec<T>>, D::Error> {
    Ok(Some(Option::deserialize(deserializer)?.unwrap_or_default()))
}

impl DocumentLinks {
    /// Reads the links of a document. Returns `None` if it is missing.
    pub(crate) fn read(documents: &dyn Documents, descriptor: &Descriptor) -> Result<Option<Arc<Self>>> {
        let Some(raw) = documents.raw(descriptor)? else { return Ok(None) };
        let links = DocumentLinks::parse(&raw, &descriptor.media_type);
        links
            .map(|links| Some(Arc::new(links)))
            .map_err(|no| Error::malformed(documents.subject(&descriptor.digest), no))
    }

    /// Parses the links of a document that a descriptor of this kind refers to. The error says what is wrong.
    fn parse(raw: &[u8], media_type: &MediaType) -> Result<Self, String> {
        let kind = media_type.kind();
        if !matches!(kind, MediaKind::Index | MediaKind::Manifest) {
            let mut links = DocumentLinks::default();
            if let Ok(value) = serde_json::from_slice(raw) {
                links.mention_all(&value);
            }
            return Ok(links);
        }
        let links: DocumentLinks = serde_json::from_slice(raw).map_err(|error| error.to_string())?;
        refuse_repeated(raw).map_err(|error| error.to_string())?;
        DocumentHead::check(raw, media_type)?;
        let (wanted, is_whole) = match kind {
            MediaKind::Index => ("the member `manifests` of an index", links.manifests.is_some()),
            _ => ("the members `config` and `layers` of a manifest", links.config.is_some() && links.layers.is_some()),
        };
        if is_whole {
            Ok(links)
        } else {
            Err(format!("{wanted} expected, found none"))
        }
    }

    fn mention_all(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.digests.extend(text.parse::<Digest>()),
            Value::Array(values) => values.iter().for_each(|value| self.mention_all(value)),
            Value::Object(members) => {
                self.mentions.extend(Link::deserialize(value));
                members.values().for_each(|value| self.mention_all(value));
            }
            _ => {}
        }
    }

    /// The descriptors that an index lists.
    pub(crate) fn manifests(&self) -> &[Descriptor] {
        self.manifests.as_deref().unwrap_or_default()
    }

    /// Whether a manifest has the config of an image, and nothing that could form a filesystem.
    pub(crate) fn is_foreign(&self) -> bool {
        let is_image = self.config.as_ref().is_some_and(|config| config.media_type.kind() == MediaKind::Config);
        is_image && !self.layers().is_empty() && self.layers().iter().all(|layer| layer.media_type.is_foreign())
    }

    /// Whether a manifest is that of an image.
    pub(crate) fn is_image(&self) -> bool {
        self.config.as_ref().is_some_and(|config| config.media_type.kind() == MediaKind::Config) && !self.is_foreign()
    }

    /// The layers of a manifest.
    pub(crate) fn layers(&self) -> &[Link] {
        self.layers.as_deref().unwrap_or_default()
    }
}

/// What tells manifests and indexes apart.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct DocumentHead {
    media_type: Option<String>,
    /// The names of all members that are not null.
    #[serde(skip)]
    members: Vec<String>,
}

impl DocumentHead {
    /// Parses twice: serde would keep all values for a flattened member.
    fn read(raw: &[u8]) -> serde_json::Result<Self> {
        let members: BTreeMap<String, Option<IgnoredAny>> = serde_json::from_slice(raw)?;
        let members = members.into_iter().filter_map(|(name, value)| value.map(|_| name)).collect();
        Ok(DocumentHead { members, ..serde_json::from_slice(raw)? })
    }

    /// The error is that a manifest or index is not what its descriptor says, or that it can be taken for both
    /// (CVE-2021-41190).
    fn check(raw: &[u8], media_type: &MediaType) -> Result<(), String> {
        let head = DocumentHead::read(raw).map_err(|error| error.to_string())?;
        if head.has("manifests") && (head.has("layers") || head.has("config")) {
            return Err("a manifest or an index expected, found the members of both".to_owned());
        }
        // Those of Docker's first schema, too: Podman's readers refuse them.
        if head.has("fsLayers") || head.has("history") {
            return Err("a manifest or an index expected, found members of a schema 1 manifest".to_owned());
        }
        match head.media_type.filter(|own| !own.is_empty() && own != media_type.as_str()) {
            None => Ok(()),
            Some(own) => {
                let own = own.escape_debug();
                Err(format!("the media type `{media_type}` of its descriptor expected, found `{own}`"))
            }
        }
    }

    /// Whether it has a member, in any case: Go's readers do not tell the cases apart.
    fn has(&self, member: &str) -> bool {
        self.members.iter().any(|name| name.eq_ignore_ascii_case(member))
    }
}

/// The error is that a document is not what its descriptor says, as far as that can be told.
pub(crate) fn check_kind(raw: &[u8], descriptor: &Descriptor, subject: &str) -> Result<()> {
    match descriptor.media_type.kind() {
        MediaKind::Index | MediaKind::Manifest => {
            DocumentHead::check(raw, &descriptor.media_type).map_err(|reason| Error::malformed(subject, reason))
        }
        _ => Ok(()),
    }
}

/// A source of documents.
pub(crate) trait Documents {
    /// Returns the bytes of a document, verified if the algorithm of its digest is supported, or `None` if it is
    /// missing.
    fn raw(&self, descriptor: &Descriptor) -> Result<Option<Arc<[u8]>>>;

    /// The name of the document in messages.
    fn subject(&self, digest: &Digest) -> String;

    /// Returns the links of a document, or `None` if it is missing.
    fn links(&self, descriptor: &Descriptor) -> Result<Option<Arc<DocumentLinks>>>;
}

/// Documents that were read and verified. Each is read and parsed only once as long as all fit; in a larger layout,
/// some are read again.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    raw: BTreeMap<Digest, Arc<[u8]>>,
    links: BTreeMap<Digest, (MediaType, Arc<DocumentLinks>)>,
    bytes: usize,
}

/// Total size of the kept documents in bytes.
const ROOM: usize = 32 << 20;

impl Kept {
    pub(crate) fn raw(&self, descriptor: &Descriptor) -> Option<Arc<[u8]>> {
        self.raw.get(&descriptor.digest).filter(|raw| raw.len() as u64 == descriptor.size).cloned()
    }

    pub(crate) fn keep(&mut self, digest: &Digest, raw: &Arc<[u8]>) {
        if digest.algorithm().is_some() && raw.len() <= ROOM.saturating_sub(self.bytes) {
            self.bytes = self.bytes.saturating_add(raw.len());
            self.raw.insert(digest.clone(), Arc::clone(raw));
        }
    }

    /// The links of a kept document.
    pub(crate) fn links(&self, descriptor: &Descriptor) -> Option<Arc<DocumentLinks>> {
        self.raw(descriptor)?;
        let (media_type, links) = self.links.get(&descriptor.digest)?;
        (*media_type == descriptor.media_type).then(|| Arc::clone(links))
    }

    pub(crate) fn keep_links(&mut self, descriptor: &Descriptor, links: &Arc<DocumentLinks>) {
        if self.raw.contains_key(&descriptor.digest) {
            self.links.insert(descriptor.digest.clone(), (descriptor.media_type.clone(), Arc::clone(links)));
        }
    }
}
