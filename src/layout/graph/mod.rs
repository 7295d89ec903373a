//! The graph of documents that a layout's index leads to.
//!
//! A `Walk` follows descriptors and visits each document once; everything here builds on it. `select` resolves
//! locations, `choice` picks a platform, `reach` tells what each blob is needed for, `referrers` finds attached
//! artifacts, `attestations` what BuildKit attests, `nodes` holds complete documents, and `rewrite` updates the indexes
//! above changed documents. `snapshot` makes all of them see one state of `index.json` and read each document once.
//!
//! Names, digests and platforms are resolved to images here and nowhere else. Only `verify` has a walk of its own, over
//! raw JSON: it also reads documents that are malformed.

mod attestations;
mod choice;
mod documents;
mod nodes;
mod reach;
mod referrers;
mod rewrite;
mod select;
mod snapshot;
#[cfg(test)]
mod tests;
mod walk;

pub(in crate::layout) use attestations::take_orphans;
pub(crate) use choice::{choose, fitting, Choice};
pub(crate) use documents::{DocumentLinks, Documents};
pub(crate) use nodes::{Graph, Node, NodeContent};
pub(crate) use reach::Reach;
pub(crate) use referrers::{
    about, about_by_tag, has_own_name, is_referrers_tag, kind_of_referrer, names_digest, Rooted,
};
pub(crate) use referrers::{referrers_tag, AttachedFile, Referrer};
pub(crate) use rewrite::Redirects;
pub(crate) use select::{is_artifact, Image};
pub(in crate::layout) use snapshot::Snapshot;
pub(crate) use walk::DescriptorPath;
pub(crate) use walk::{Found, Opened, Subjects, Walk, MAX_DEPTH};
