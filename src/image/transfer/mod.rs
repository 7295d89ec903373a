//! Images on their way from layouts to targets, for `convert` and `index`.
//!
//! Of a `Graph`, a `Plan` says what stays and what becomes something else, `move_all` moves the blobs, and `Rewritten` are
//! the documents that have to mention others than before: from manifests up to the entries of `index.json`. Documents that
//! nothing forces to change are copied byte for byte.

mod blobs;
mod entry;
mod plan;
mod rewrite;

pub(crate) use blobs::{move_all, Source};
pub use blobs::{BlobReport, How};
pub(crate) use entry::{attached_to, check_names, entries, of_platform, tell_apart, without_names, Entry, EntryKind};
pub(crate) use plan::Plan;
pub(crate) use rewrite::{Rewritten, ATTESTED};

use crate::digest::Digest;
use crate::layout::{Content, Graph};
use crate::oci::Descriptor;

/// What people should know before they trust in the result.
pub(crate) fn warnings(graph: &Graph<'_>, plan: &Plan) -> Vec<String> {
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

/// What is to be said where an image goes without those that attest something of it: of BuildKit, they stand beside it in an
/// index of `all` that leads to it, and name its digest.
pub(crate) fn left_attestations(all: &Graph<'_>, image: &Digest) -> Option<String> {
    let indexes = all.nodes().filter_map(|node| match &node.content {
        Content::Index(index) => Some(index.value()),
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
