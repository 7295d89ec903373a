//! Documents and what they lead to: of manifests and indexes only their descriptors, and of those in manifests only what is
//! needed to follow them. A layout may hold thousands of documents, and this is read of all of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::media_type::{MediaKind, MediaType};
use crate::oci::{Annotations, Descriptor};

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

impl Link {
    /// The descriptor without what is not needed to follow it.
    pub(crate) fn descriptor(&self) -> Descriptor {
        let mut descriptor = Descriptor::new(self.media_type.clone(), self.digest.clone(), self.size);
        descriptor.urls = self.urls.clone().unwrap_or_default();
        descriptor
    }
}

/// What a document says of others and of itself.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Links {
    /// Of a manifest.
    pub(crate) config: Option<Link>,
    /// Of a manifest.
    #[serde(deserialize_with = "null_as_empty")]
    layers: Option<Vec<Link>>,
    /// Of an index.
    #[serde(deserialize_with = "null_as_empty")]
    manifests: Option<Vec<Descriptor>>,
    pub(crate) subject: Option<Link>,
    pub(crate) artifact_type: Option<String>,
    pub(crate) annotations: Option<Annotations>,
    /// Of a document of a kind that is not known here: what looks like a descriptor in it.
    #[serde(skip)]
    pub(crate) mentions: Vec<Link>,
    /// Of such a document: what looks like a digest in it.
    #[serde(skip)]
    pub(crate) digests: Vec<Digest>,
}

/// Go writes an empty list as `null`.
fn null_as_empty<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<Vec<T>>, D::Error> {
    Ok(Some(Option::deserialize(deserializer)?.unwrap_or_default()))
}

impl Links {
    /// Reads them; none, if the document is missing.
    pub(crate) fn read(documents: &dyn Documents, descriptor: &Descriptor) -> Result<Option<Arc<Self>>> {
        let Some(raw) = documents.raw(descriptor)? else { return Ok(None) };
        let links = Links::parse(&raw, descriptor.media_type.kind());
        links
            .map(|links| Some(Arc::new(links)))
            .map_err(|no| Error::malformed(documents.subject(&descriptor.digest), no))
    }

    /// What a document says that was found by a descriptor of this kind; an error says what is wrong with it.
    fn parse(raw: &[u8], kind: MediaKind) -> Result<Self, String> {
        if !matches!(kind, MediaKind::Index | MediaKind::Manifest) {
            let mut links = Links::default();
            if let Ok(value) = serde_json::from_slice(raw) {
                links.mention_all(&value);
            }
            return Ok(links);
        }
        let links: Links = serde_json::from_slice(raw).map_err(|error| error.to_string())?;
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

    /// What an index lists.
    pub(crate) fn manifests(&self) -> &[Descriptor] {
        self.manifests.as_deref().unwrap_or_default()
    }

    /// The layers of a manifest.
    pub(crate) fn layers(&self) -> &[Link] {
        self.layers.as_deref().unwrap_or_default()
    }
}

/// Where documents come from.
pub(crate) trait Documents {
    /// The bytes of a document, held to its descriptor as far as its digest can be computed here; none if it is missing.
    fn raw(&self, descriptor: &Descriptor) -> Result<Option<Arc<[u8]>>>;

    /// What messages call it.
    fn subject(&self, digest: &Digest) -> String;

    /// What it leads to; none if it is missing.
    fn links(&self, descriptor: &Descriptor) -> Result<Option<Arc<Links>>>;
}

/// Documents that were read and held to their digests. Each is opened once and followed without being parsed again, as long
/// as there is room for them: of a layout with more of them, some are read again.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    raw: BTreeMap<Digest, Arc<[u8]>>,
    links: BTreeMap<Digest, (MediaKind, Arc<Links>)>,
    bytes: usize,
}

/// How many bytes of documents are kept.
const ROOM: usize = 32 << 20;

impl Kept {
    pub(crate) fn raw(&self, descriptor: &Descriptor) -> Option<Arc<[u8]>> {
        self.raw.get(&descriptor.digest).filter(|raw| raw.len() as u64 == descriptor.size).cloned()
    }

    pub(crate) fn keep(&mut self, digest: &Digest, raw: &Arc<[u8]>) {
        if digest.algorithm().is_some() && self.bytes + raw.len() <= ROOM {
            self.bytes += raw.len();
            self.raw.insert(digest.clone(), Arc::clone(raw));
        }
    }

    /// Of a document that is kept.
    pub(crate) fn links(&self, descriptor: &Descriptor) -> Option<Arc<Links>> {
        self.raw(descriptor)?;
        let (kind, links) = self.links.get(&descriptor.digest)?;
        (*kind == descriptor.media_type.kind()).then(|| Arc::clone(links))
    }

    pub(crate) fn keep_links(&mut self, descriptor: &Descriptor, links: &Arc<Links>) {
        if self.raw.contains_key(&descriptor.digest) {
            self.links.insert(descriptor.digest.clone(), (descriptor.media_type.kind(), Arc::clone(links)));
        }
    }
}
