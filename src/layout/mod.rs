//! Image layouts: a directory or a tar with blobs, documents and an index (image-spec, image-layout.md). Docker's own
//! archives are read as if they were layouts.
//!
//! Reading trusts nothing: size and digest of each blob are checked while it is read. Writing is atomic: an image is
//! made in a staging directory and appears by renames, the index last.

// This input is foreign: no value in it may end the process.
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

mod archive;
mod blob;
mod docker;
mod graph;
mod listing;
#[allow(clippy::arithmetic_side_effects, clippy::expect_used, clippy::indexing_slicing)] // It splits what people type.
mod names;
mod pack;
mod reader;
#[cfg(test)]
mod tests;
#[allow(clippy::arithmetic_side_effects, clippy::expect_used, clippy::indexing_slicing)] // It writes what is ours.
mod transaction;

pub(crate) use blob::VerifiedReader;
pub use docker::DockerForm;
pub(crate) use docker::{is_docker_file, MANIFEST as DOCKER_MANIFEST};
pub(crate) use graph::{
    about, about_by_tag, choose, fitting, has_own_name, is_artifact, is_referrers_tag, kind_of_referrer, names_digest,
    Choice, DocumentLinks, Documents, Found, Graph, Node, NodeContent, Opened, Reach, Redirects, Rooted, Subjects,
    Walk, MAX_DEPTH,
};
pub(crate) use graph::{referrers_tag, AttachedFile, DescriptorPath, Image, Referrer};
pub(crate) use listing::StoredFile;
pub(crate) use names::{
    complete_names, full_name, most_specific, named, refuse_archive_as_directory, refuse_location_as_name,
    without_full_name, Named, Names, TellingNames,
};
pub use names::{
    refuse_location_as_path, AdditionalName, DigestPrefix, DockerName, DockerTag, ImageName, Location, Transport,
};
pub use reader::Layout;
pub use transaction::{abandon, about_directory, holds_no_image, write_file, Checksum};
pub(crate) use transaction::{
    about_target, bears, commit_all, displacement, hold_still, show, Abandoned, BlobPath, Draft, Stage, Staging, Taken,
    TakenBlob, Transaction, Trust, Watched, STAGING_PREFIX,
};

use crate::digest::Digest;
use crate::limits::Limits;

/// The file that marks a layout.
pub(crate) const MARKER: &str = "oci-layout";
/// The file that lists what a layout holds.
pub(crate) const INDEX: &str = "index.json";

/// The directory of blobs.
pub(crate) const BLOBS: &str = "blobs";

/// Returns how many bytes a document that has this name may have, for those who write it as for those who read it.
pub(crate) fn size_limit(name: &str, limits: Limits) -> u64 {
    if name == INDEX {
        limits.index
    } else {
        limits.document
    }
}

/// The path of a blob, relative to the layout.
pub(crate) fn blob_path(digest: &Digest) -> String {
    format!("{BLOBS}/{}/{}", digest.algorithm_name(), digest.encoded())
}

/// Returns the digest in the path of a blob, or `None` if the path is not that of a blob.
pub(crate) fn digest_of_path(path: &str) -> Option<Digest> {
    let (algorithm, encoded) = path.strip_prefix(BLOBS)?.strip_prefix('/')?.split_once('/')?;
    format!("{algorithm}:{encoded}").parse().ok()
}
