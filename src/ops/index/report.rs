use serde::Serialize;

use crate::digest::Digest;
use crate::image::transfer::BlobReport;
use crate::json;
use crate::media_type::MediaType;
use crate::ops::index::member::Member;
use crate::platform::Platform;

/// What the target lists now.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct IndexReport {
    /// The digest of the index; a flat one has none.
    pub digest: Option<Digest>,
    /// What it lists, in its order.
    pub manifests: Vec<ListedManifest>,
    /// Transport and path of the target.
    pub target: String,
    /// What it is called there, or what the images of a flat one are called.
    pub refs: Vec<String>,
    /// What became of the blobs.
    pub blobs: Vec<BlobReport>,
    /// What was odd.
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
    /// What it runs on; none if it is no image.
    #[serde(serialize_with = "json::optional_text")]
    pub platform: Option<Platform>,
    /// The layout that it was found in.
    pub from: String,
}

impl ListedManifest {
    pub(super) fn of(member: &Member) -> Self {
        ListedManifest {
            digest: member.descriptor.digest.clone(),
            media_type: member.descriptor.media_type.clone(),
            platform: member.platform.clone(),
            from: member.place.clone(),
        }
    }
}
