//! Image layouts: a directory or a tar of blobs, documents and an index (image-spec, image-layout.md). Docker's own
//! archives are read as if they were layouts.
//!
//! Reading never trusts: a blob's size and digest are checked on the way through. Writing never shows half a thing: an
//! image is made in a staging directory and appears by renames, the index last.

mod archive;
mod blob;
mod docker;
mod image_name;
mod location;
mod reader;
pub(crate) mod staging;
#[cfg(test)]
mod tests;
mod walk;
mod writer;

pub use blob::VerifiedReader;
pub use docker::{DockerName, DockerTag};
pub use image_name::ImageName;
pub use location::{Location, Transport};
pub use reader::{Layout, Stored};
pub(crate) use walk::called;
pub use walk::{Image, ImagePath};
pub use writer::{BlobFile, LayoutWriter};

use crate::digest::Digest;

/// The file that marks a layout.
pub(crate) const MARKER: &str = "oci-layout";
/// The file that lists what a layout holds.
pub(crate) const INDEX: &str = "index.json";

/// Where a blob stands in a layout, relative to it.
pub(crate) fn blob_path(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm_name(), digest.encoded())
}
