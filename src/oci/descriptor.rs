//! Descriptors (image-spec, descriptor.md).

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

use crate::digest::Digest;
use crate::json::{nulls_in_optional_map, without_nulls};
use crate::media_type::MediaType;
use crate::oci::{Annotations, RefName, Unknown};
use crate::platform::Platform;

/// A reference to a blob (image-spec, descriptor.md).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the blob is.
    pub media_type: MediaType,
    /// The digest of its bytes.
    pub digest: Digest,
    /// Its size in bytes; one that is no number of 63 bits is refused when a document is read.
    #[serde(deserialize_with = "size")]
    pub size: u64,
    /// Other places to get it from.
    #[serde(default, deserialize_with = "without_nulls", skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// Annotations on this reference to the blob.
    #[serde(default, deserialize_with = "nulls_in_optional_map", skip_serializing_if = "Option::is_none")]
    pub annotations: Option<Annotations>,
    /// The blob itself, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// The artifact type of the manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The platform that it runs on, in an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Members that this version does not know.
    #[serde(flatten)]
    pub other: Unknown,
}

/// Reads a size, a number of 63 bits (image-spec, descriptor.md#properties).
pub(crate) fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let size = u64::deserialize(deserializer)?;
    match i64::try_from(size) {
        Ok(_) => Ok(size),
        Err(_) => Err(Error::custom(format_args!("a size of 63 bits expected, found {size}"))),
    }
}

/// The bytes of several blobs together. What descriptors claim may be more than a number holds.
pub(crate) fn total_size<'a>(descriptors: impl IntoIterator<Item = &'a Descriptor>) -> u64 {
    descriptors.into_iter().fold(0, |total, descriptor| total.saturating_add(descriptor.size))
}

impl Descriptor {
    /// Makes a descriptor with the three required members.
    pub fn new(media_type: MediaType, digest: Digest, size: u64) -> Self {
        Descriptor {
            media_type,
            digest,
            size,
            urls: Vec::new(),
            annotations: None,
            data: None,
            artifact_type: None,
            platform: None,
            other: Unknown::new(),
        }
    }

    /// Returns the value of an annotation.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.as_ref()?.get(key).map(String::as_str)
    }

    /// Returns the ref name as text, whether or not it follows the grammar.
    pub fn ref_name(&self) -> Option<&str> {
        self.annotation(super::annotations::REF_NAME)
    }

    /// Returns the digest of the image that it attests something about, if it is such an attestation of `BuildKit`.
    pub fn attested(&self) -> Option<Digest> {
        self.annotation(super::annotations::ATTESTED)?.parse().ok()
    }

    /// Returns the same descriptor with this ref name.
    #[must_use]
    pub(crate) fn with_ref_name(mut self, name: &RefName) -> Self {
        self.annotations
            .get_or_insert_with(Annotations::new)
            .insert(super::annotations::REF_NAME.to_owned(), name.to_string());
        self
    }

    /// Makes it refer to another blob. All other members stay, unknown ones too, except an embedded copy of the old
    /// blob.
    pub fn redirect(&mut self, to: &Descriptor) {
        self.media_type = to.media_type.clone();
        if self.digest != to.digest {
            self.digest = to.digest.clone();
            self.size = to.size;
            self.data = None;
        }
    }
}
