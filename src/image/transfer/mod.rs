//! Transfers images from layouts to targets, for `convert` and `index`.
//!
//! From a `Graph`, a `Plan` decides what stays and what changes, `move_all` moves the blobs, and `Rewritten` holds the
//! documents that must refer to new ones: manifests, indexes and the entries of `index.json`. All other documents are
//! copied byte for byte.

mod blobs;
mod entry;
mod plan;
mod rewrite;

pub(crate) use blobs::{move_all, BlobSource};
pub use blobs::{BlobReport, How};
pub(crate) use entry::{
    attached_to, check_names, entries, of_platform, tell_apart, without_names, EntryKind, IndexEntry,
};
pub(crate) use plan::TransferPlan;
pub(crate) use rewrite::{Rewritten, ATTESTED};

use crate::digest::Digest;
use crate::layout::{Graph, NodeContent};
use crate::oci::Descriptor;

/// Warnings about the result of a transfer.
pub(crate) fn warnings(graph: &Graph<'_>, plan: &TransferPlan) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(first) = plan.missing.first() {
        let others = match plan.missing.len() {
            1 => String::new(),
            count => format!(" and {} more", count - 1),
        };
        let first = &first.digest;
        warnings.push(format!("an index lists {first}{others}, which `{}` does not hold", graph.layout().location()));
    }
    for (image, mended) in &plan.mended {
        warnings.push(format!("image {}: {}", image.short(), mended.note));
    }
    for node in graph.nodes() {
        if let NodeContent::Manifest(_, Some(config)) = &node.content {
            let platform = config.value().platform_or(node.descriptor.platform.as_ref());
            if platform.architecture.is_empty() || platform.os.is_empty() {
                let image = node.descriptor.digest.short();
                warnings.push(format!("image {image}: nothing says which architecture and system it is for"));
            }
        }
        let subject = node.content.subject();
        if let Some(subject) = subject.filter(|subject| plan.changed.contains_key(&subject.digest)) {
            let attached = &node.descriptor.digest;
            let subject = &subject.digest;
            warnings
                .push(format!("{attached} is about {subject}, which changed: if it is a signature, it is of no use"));
        }
    }
    warnings
}

/// Returns a warning if attestations of an image are left out, or `None` if there are none. BuildKit lists them beside
/// the image in an index (of `all`), with its digest.
pub(crate) fn left_attestations(all: &Graph<'_>, image: &Digest) -> Option<String> {
    let indexes = all.nodes().filter_map(|node| match &node.content {
        NodeContent::Index(index) => Some(index.value()),
        _ => None,
    });
    let is_about = |listed: &&Descriptor| listed.annotation(ATTESTED) == Some(image.as_str());
    let mut left = indexes.flat_map(|index| index.manifests.iter().filter(is_about));
    let first = left.next()?.digest.short().to_owned();
    let rest = match left.count() {
        0 => String::new(),
        count => format!(" and {count} more"),
    };
    Some(format!("attestation {first}{rest} is about {image} in its index, and does not go along"))
}
