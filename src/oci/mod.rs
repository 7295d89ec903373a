//! The documents of an image, as small structs of our own.
//!
//! Maps are ordered, members stand in the order of the image-spec, and members that this version does not know are
//! kept: a document that is edited loses nothing, and one that is not edited is never written anew ([`Document`] holds
//! its raw bytes).

pub mod annotations;
mod config;
mod descriptor;
mod document;
mod index;
mod manifest;
mod ref_name;

pub use config::{ContainerConfig, Healthcheck, History, ImageConfig, RootFs};
pub use descriptor::Descriptor;
pub use document::{Document, MAX_DOCUMENT_SIZE, MAX_INDEX_SIZE};
pub use index::{Index, LayoutMarker};
pub use manifest::Manifest;
pub use ref_name::RefName;

use std::collections::BTreeMap;

/// Members of a document that this version does not know, kept as they are.
pub type Unknown = BTreeMap<String, serde_json::Value>;

/// Annotations or labels.
pub type Annotations = BTreeMap<String, String>;
