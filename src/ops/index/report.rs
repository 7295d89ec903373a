//! What `index` reports.

use serde::Serialize;

use crate::digest::Digest;
use crate::image::transfer::BlobReport;
use crate::json;
use crate::media_type::MediaType;
use crate::ops::index::member::Candidate;
use crate::platform::Platform;

/// What the target lists now.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct IndexReport {
    /// The digest of the index; `None` for a flat one.
    pub digest: Option<Digest>,
    /// What it lists, in its order.
    pub manifests: Vec<ListedManifest>,
    /// Transport and path of the target.
    pub target: String,
    /// Its names there, or those of the images in a flat one.
    pub refs: Vec<String>,
    /// What became of the blobs.
    pub blobs: Vec<BlobReport>,
    /// Warnings.
    pub warnings: Vec<String>,
}

/// A manifest that an index lists.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ListedManifest {
    /// Its digest.
    pub digest: Digest,
    /// What it is.
    pub media_type: MediaType,
    /// What it runs on; `None` if it is not an image.
    #[serde(serialize_with = "json::optional_text")]
    pub platform: Option<Platform>,
    /// The layout that it was found in.
    pub from: String,
}

impl ListedManifest {
    pub(super) fn of(member: &Candidate) -> Self {
        ListedManifest {
            digest: member.descriptor.digest.clone(),
            media_type: member.descriptor.media_type.clone(),
            platform: member.platform.clone(),
            from: member.place.clone(),
        }
    }
}
