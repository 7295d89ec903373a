//! What is kept from one run to the next in a directory of its own, so that a rebuild costs what changed.
//!
//! ```text
//! DIR/blobs/NAME              bytes of compressed blocks: a hard link to a layer, or a file of blocks that were new in one
//! DIR/blobs/NAME.blocks       which blocks these are, and where
//! DIR/sha256-….changeset      the entries of a layer, by its diff_id
//! ```
//!
//! Nothing in it is believed: lists end with their digest, and each block has a checksum of its stored bytes. What is damaged,
//! foreign, of another version or gone in the middle of a run is compressed or read anew. Files appear by a rename, first the
//! bytes and then the list; they go the other way round. So any number of runs may use one directory, and none waits.

pub(crate) mod changesets;
mod files;
mod list;
mod prune;
mod store;
#[cfg(test)]
mod tests;

pub(crate) use changesets::changesets;
pub(crate) use files::{list_of, open_file};
pub(crate) use prune::{items, prune};
pub(crate) use store::lists;
pub use store::Cache;
