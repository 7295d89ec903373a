//! A directory of reusable results, so that a rebuild costs only what changed.
//!
//! ```text
//! DIR/blobs/NAME              bytes of compressed blocks: a hard link to a layer, or the new blocks of one
//! DIR/blobs/NAME.blocks       which blocks these are, and where
//! DIR/sha256-….changeset      the entries of a layer, by its diff_id
//! ```
//!
//! The content is never trusted: lists end with their digest, and each block has a checksum of its stored bytes. What
//! is damaged, foreign, of another version or removed during a run is compressed or read again. Files appear by a
//! rename, the bytes before the list, and are removed in reverse. So any number of runs may share a directory without
//! waiting.

pub(crate) mod changesets;
mod files;
mod list;
mod prune;
mod store;
#[cfg(test)]
mod tests;

pub(crate) use changesets::changesets;
pub(crate) use files::{list_of, open_file};
pub(crate) use prune::{check, items, prune};
pub(crate) use store::lists;
pub use store::Cache;
