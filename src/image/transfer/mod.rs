//! Transfers images from layouts to targets, for `convert` and `index`.
//!
//! From a `Graph`, a `Plan` decides what stays and what changes, `move_all` moves the blobs, and `Rewritten` holds the
//! documents that must refer to new ones: manifests, indexes and the entries of `index.json`. All other documents are
//! copied byte for byte.

mod attestations;
mod blobs;
mod entry;
mod name_clashes;
mod plan;
mod platform;
mod rewrite;

pub(crate) use attestations::{left_attestations, left_beside, take_along};
pub(crate) use blobs::{move_all, BlobSource};
pub use blobs::{BlobReport, How};
pub(crate) use entry::{attached_to, entries, leave_untrue, without_names, EntryKind, IndexEntry};
pub(crate) use name_clashes::{check_names, tell_apart};
pub(crate) use plan::TransferPlan;
pub(crate) use platform::of_platform;
pub(crate) use rewrite::Rewritten;

use crate::image::sealed::{has_null_in_entries, NULL};
use crate::image::transfer::entry::is_signature;
use crate::layout::{about, Graph, NodeContent, INDEX};

/// The warning about indexes that list documents which the layout lacks.
pub(crate) fn missing(graph: &Graph<'_>) -> Option<String> {
    let mut missing = graph.nodes().filter(|node| matches!(node.content, NodeContent::Missing));
    let first = &missing.next()?.descriptor.digest;
    let others = match missing.count() {
        0 => String::new(),
        count => format!(" and {count} more"),
    };
    Some(format!("an index lists {first}{others}, which `{}` does not hold", graph.layout().location()))
}

/// Warnings about the result of a transfer.
pub(crate) fn warnings(graph: &Graph<'_>, plan: &TransferPlan) -> Vec<String> {
    let mut warnings = Vec::from_iter(missing(graph));
    for (image, mended) in &plan.mended {
        warnings.push(format!("image {}: {}", image.short(), mended.note));
    }
    for document in &plan.with_null {
        warnings.push(format!("{}: {NULL}", document.short()));
    }
    let is_taken = |digest: &str| digest.parse().is_ok_and(|digest| graph.has(&digest));
    if graph.layout().index().is_ok_and(|index| has_null_in_entries(index.raw(), is_taken)) {
        warnings.push(format!("{INDEX} of `{}`: {NULL}", graph.layout().location()));
    }
    for image in &plan.nameless {
        warnings.push(format!("image {}: nothing says which architecture and system it is for", image.short()));
    }
    for node in graph.nodes().filter(|node| !plan.changed.is_empty() && is_signature(&node.descriptor, &node.content)) {
        if about(&node.descriptor).is_none() && node.content.subject().is_none() {
            let signature = node.descriptor.digest.short();
            warnings.push(format!(
                "signature {signature} tells no image: if it is about one that changed, it is of no use"
            ));
        }
    }
    for node in graph.nodes() {
        // The fate of attestations is reported where they are copied.
        let attested = node.descriptor.attested();
        let subject = node.content.subject().filter(|subject| attested.as_ref() != Some(&subject.digest));
        if let Some(subject) = subject.filter(|subject| plan.changed.contains_key(&subject.digest)) {
            let attached = &node.descriptor.digest;
            let subject = &subject.digest;
            warnings
                .push(format!("{attached} is about {subject}, which changed: if it is a signature, it is of no use"));
        }
    }
    warnings
}
