//! Image manifests (image-spec, manifest.md).

use serde::{Deserialize, Serialize};

use crate::json::{null_as_default, nulls_in_optional_map};
use crate::media_type::{MediaKind, MediaType};
use crate::oci::{schema_version, Annotations, Descriptor, Unknown};

/// An image manifest (image-spec, manifest.md).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// 2, and written as that. 0 if missing, which no spec permits but some writers do.
    #[serde(default, deserialize_with = "null_as_default", serialize_with = "schema_version")]
    pub schema_version: u32,
    /// [`MediaType::MANIFEST`]; older writers leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<MediaType>,
    /// The artifact type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The image's configuration.
    pub config: Descriptor,
    /// The layers, base first. BuildKit writes `null` for none.
    #[serde(default, deserialize_with = "null_as_default")]
    pub layers: Vec<Descriptor>,
    /// The manifest that it refers to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Annotations of the image.
    #[serde(default, deserialize_with = "nulls_in_optional_map", skip_serializing_if = "Option::is_none")]
    pub annotations: Option<Annotations>,
    /// Members that this version does not know.
    #[serde(flatten)]
    pub other: Unknown,
}

impl Manifest {
    /// Makes a manifest of an image.
    pub fn new(config: Descriptor, layers: Vec<Descriptor>) -> Self {
        Manifest {
            schema_version: 2,
            media_type: Some(MediaType::MANIFEST),
            artifact_type: None,
            config,
            layers,
            subject: None,
            annotations: None,
            other: Unknown::new(),
        }
    }

    /// Returns whether it is the manifest of an image. Cosign signatures and BuildKit attestations have an image's
    /// config, but nothing that could form a filesystem.
    pub(crate) fn is_image(&self) -> bool {
        let is_foreign = |layer: &Descriptor| layer.media_type.is_foreign();
        self.config.media_type.kind() == MediaKind::Config
            && (self.layers.is_empty() || !self.layers.iter().all(is_foreign))
    }
}
