//! Image indexes (image-spec, image-index.md) and the marker of a layout (image-layout.md).

use serde::{Deserialize, Serialize};

use crate::json::{null_as_default, nulls_in_optional_map};
use crate::media_type::MediaType;
use crate::oci::{schema_version, Annotations, Descriptor, Unknown};

/// An image index: `index.json` itself, or a multi-platform image (image-spec, image-index.md).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    /// 2, and written as that. 0 if missing, which no spec permits but some writers do.
    #[serde(default, deserialize_with = "null_as_default", serialize_with = "schema_version")]
    pub schema_version: u32,
    /// [`MediaType::INDEX`]; older writers leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<MediaType>,
    /// The artifact type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// The descriptors, first match first. umoci writes `null` for none.
    #[serde(deserialize_with = "null_as_default")]
    pub manifests: Vec<Descriptor>,
    /// The manifest that it refers to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    /// Annotations of the index.
    #[serde(default, deserialize_with = "nulls_in_optional_map", skip_serializing_if = "Option::is_none")]
    pub annotations: Option<Annotations>,
    /// Members that this version does not know.
    #[serde(flatten)]
    pub other: Unknown,
}

impl Default for Index {
    fn default() -> Self {
        Index {
            schema_version: 2,
            media_type: Some(MediaType::INDEX),
            artifact_type: None,
            manifests: Vec::new(),
            subject: None,
            annotations: None,
            other: Unknown::new(),
        }
    }
}

/// The file `oci-layout` (image-spec, image-layout.md#oci-layout-file).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LayoutMarker {
    /// The layout's version.
    pub image_layout_version: String,
}

impl LayoutMarker {
    /// The only version there is.
    pub const VERSION: &'static str = "1.0.0";
}

impl Default for LayoutMarker {
    fn default() -> Self {
        LayoutMarker { image_layout_version: Self::VERSION.to_owned() }
    }
}
