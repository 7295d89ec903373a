//! The graph of documents that a layout's index leads to.
//!
//! A `Walk` goes from descriptors to all that they lead to, each document once; everything here is made of it. `select` is what
//! a location means, `choice` the platform among several, `reach` what blobs are needed for, `referrers` what is attached
//! to what, `nodes` the documents with all that they say, and `rewrite` what stands above those that changed. All of it
//! reads by one state of `index.json`, and each document once: `snapshot`.
//!
//! Names, digests, platforms: which images somebody means is decided here and nowhere else. `verify` alone walks by
//! itself, over raw JSON, for it looks at documents that cannot be read as what they are said to be.

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

pub(crate) use choice::{choose, fitting, Choice};
pub(crate) use documents::{Documents, Links};
pub(crate) use nodes::{Content, Graph, Node};
pub(crate) use reach::Reach;
pub(crate) use referrers::{is_referrers_tag, names_digest, Rooted};
pub use referrers::{referrers_tag, AttachedFile, Referrer};
pub(crate) use rewrite::Redirects;
pub use select::Image;
pub(crate) use select::{named, Named};
pub(in crate::layout) use snapshot::Snapshot;
pub use walk::DescriptorPath;
pub(crate) use walk::{Found, Opened, Subjects, Walk, MAX_DEPTH};
