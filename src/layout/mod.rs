//! Image layouts: a directory or a tar of blobs, documents and an index (image-spec, image-layout.md). Docker's own
//! archives are read as if they were layouts.
//!
//! Reading never trusts: a blob's size and digest are checked on the way through. Writing never shows half a thing: an
//! image is made in a staging directory and appears by renames, the index last.

mod archive;
mod blob;
mod checksum;
mod docker;
mod edit;
mod links;
mod lock;
mod merge;
mod names;
mod pack;
mod reader;
mod referrers;
pub(crate) mod staging;
mod take;
mod target;
#[cfg(test)]
mod tests;
mod walk;
mod writer;

pub use blob::VerifiedReader;
pub use checksum::Checksum;
pub use docker::DockerForm;
pub(crate) use docker::{is_docker_file, MANIFEST as DOCKER_MANIFEST};
pub use edit::Edit;
pub(crate) use links::{links, Link, Missing, Reach};
pub(crate) use merge::merge;
pub(crate) use names::Names;
pub use names::{AdditionalName, DockerName, DockerTag, ImageName, Location, Transport};
pub use reader::{Layout, Stored};
pub(crate) use referrers::{is_referrers_tag, names_digest, Rooted};
pub use referrers::{referrers_tag, AttachedFile, Referrer};
pub(crate) use take::Watched;
pub use take::{Taken, TakenBlob, Trust};
pub(crate) use walk::{called, names, MAX_DEPTH};
pub use walk::{Image, ImagePath};
pub use writer::{BlobFile, BlobPath, LayoutWriter};

use crate::digest::Digest;

/// The file that marks a layout.
pub(crate) const MARKER: &str = "oci-layout";
/// The file that lists what a layout holds.
pub(crate) const INDEX: &str = "index.json";

/// The directory of blobs.
pub(crate) const BLOBS: &str = "blobs";

/// Where a blob stands in a layout, relative to it.
pub(crate) fn blob_path(digest: &Digest) -> String {
    format!("{BLOBS}/{}/{}", digest.algorithm_name(), digest.encoded())
}

/// The digest that a file of a layout is named by; none if it is no blob.
pub(crate) fn digest_of_path(path: &str) -> Option<Digest> {
    let (algorithm, encoded) = path.strip_prefix(BLOBS)?.strip_prefix('/')?.split_once('/')?;
    format!("{algorithm}:{encoded}").parse().ok()
}
