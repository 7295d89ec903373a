use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::media_type::MediaType;
use crate::oci::{Annotations, RefName, Unknown};
use crate::platform::Platform;

/// What a document says of a blob (image-spec, descriptor.md).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What the blob is.
    pub media_type: MediaType,
    /// The digest of its bytes.
    pub digest: Digest,
    /// Its size in bytes; a negative one is refused when a document is read.
    pub size: u64,
    /// Where else it can be had.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// Annotations of this mention of the blob.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotations: Option<Annotations>,
    /// The blob itself, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// What kind of artifact a manifest is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// What it runs on, in an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// Members that this version does not know.
    #[serde(flatten)]
    pub other: Unknown,
}

impl Descriptor {
    /// A descriptor with the three members that each must have.
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

    /// One annotation's value.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.annotations.as_ref()?.get(key).map(String::as_str)
    }

    /// The ref name in its text form, whether it keeps the grammar or not.
    pub fn ref_name(&self) -> Option<&str> {
        self.annotation(super::annotations::REF_NAME)
    }

    /// The same descriptor under a ref name.
    #[must_use]
    pub fn with_ref_name(mut self, name: &RefName) -> Self {
        self.annotations
            .get_or_insert_with(Annotations::new)
            .insert(super::annotations::REF_NAME.to_owned(), name.to_string());
        self
    }

    /// Leads to another blob. All else that is said stays, members that are not known here too, but for the copy of the
    /// old blob that it may hold.
    pub fn redirect(&mut self, to: &Descriptor) {
        self.media_type = to.media_type.clone();
        if self.digest != to.digest {
            self.digest = to.digest.clone();
            self.size = to.size;
            self.data = None;
        }
    }
}
