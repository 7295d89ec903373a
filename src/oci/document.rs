//! Documents with their bytes: a digest is of bytes, not of values.

use serde::de::DeserializeOwned;
use serde::Serialize;

use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::json::refuse_repeated;
use crate::media_type::MediaType;
use crate::oci::Descriptor;

/// A document's bytes together with their parsed value.
///
/// The digest belongs to the bytes: a document from elsewhere is copied unchanged, and only [`seal`](Document::seal)
/// makes new bytes.
#[derive(Clone, Debug)]
pub struct Document<T> {
    raw: Vec<u8>,
    value: T,
}

impl<T> Document<T> {
    /// Returns the bytes, as they are stored.
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// Returns the parsed value.
    pub fn value(&self) -> &T {
        &self.value
    }

    /// Returns the parsed value for editing; the bytes are gone.
    pub fn into_value(self) -> T {
        self.value
    }

    /// Returns the digest of the bytes.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.raw)
    }

    /// Returns a descriptor of the bytes.
    pub fn descriptor(&self, media_type: MediaType) -> Descriptor {
        Descriptor::new(media_type, self.digest(), self.raw.len() as u64)
    }
}

impl<T: Serialize> Document<T> {
    /// Writes `value` as compact JSON, members in the order of the image-spec, maps in the order of their keys.
    // Nothing of others is in the way: what is written has keys of text and no number that JSON lacks.
    #[allow(clippy::expect_used)]
    pub fn seal(value: T) -> Self {
        let raw = serde_json::to_vec(&value).expect("documents have string keys and finite numbers");
        Document { raw, value }
    }
}

impl<T: DeserializeOwned> Document<T> {
    /// Parses bytes; `subject` names them in an error.
    pub fn parse(raw: Vec<u8>, subject: &str) -> Result<Self> {
        let value = serde_json::from_slice(&raw).and_then(|value| refuse_repeated(&raw).map(|()| value));
        match value {
            Ok(value) => Ok(Document { raw, value }),
            Err(error) => Err(Error::malformed(subject, error.to_string())),
        }
    }
}
