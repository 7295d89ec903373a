//! The documents of an image, as small structs.
//!
//! Maps are ordered, members follow the order of the image-spec, and unknown members are kept: editing a document loses
//! nothing, and a document that is not edited is never rewritten ([`Document`] holds its raw bytes).

// These bytes are others': no value of theirs may end the process.
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]

pub mod annotations;
mod config;
mod descriptor;
mod document;
mod index;
mod manifest;
mod ref_name;

pub use config::{ContainerConfig, Healthcheck, History, ImageConfig, RootFs};
pub use descriptor::Descriptor;
pub(crate) use descriptor::{size as descriptor_size, total_size};
pub use document::Document;
pub use index::{Index, LayoutMarker};
pub use manifest::Manifest;
pub use ref_name::RefName;

use std::collections::BTreeMap;

/// Members of a document that this version does not know, kept unchanged.
pub type Unknown = BTreeMap<String, serde_json::Value>;

/// Writes the version of manifests and indexes, the only one there is.
// Serde passes the member.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn schema_version<S: serde::Serializer>(_: &u32, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u32(2)
}

/// Annotations or labels.
pub type Annotations = BTreeMap<String, String>;
