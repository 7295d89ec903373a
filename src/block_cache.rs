//! A cache of compressed blocks from earlier work, as the code that compresses sees it.

use std::path::Path;

use crate::digest::{ContentDigest, Digest};

/// Where compressed blocks are found and kept. A block may be missing, damaged or gone a moment later; that costs time,
/// never correctness.
pub trait BlockCache: Send + Sync {
    /// Copies the form of a block that `encoding` made into `output`, if it is known and intact.
    fn find(&self, encoding: &str, block: &ContentDigest, output: &mut [u8]) -> Option<FoundBlock>;

    /// Remembers where the blocks of a blob are in its file.
    fn keep(&self, encoding: &str, blob: &Digest, file: &Path, blocks: &[KeptBlock]);

    /// What the person who asked for the cache should know, such as why nothing is kept. Each is returned once.
    fn complaint(&self) -> Option<String> {
        None
    }
}

/// A compressed block that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundBlock {
    /// The bytes of its compressed form.
    pub size: usize,
    /// The CRC-32 of its compressed form.
    pub stored_checksum: u32,
    /// The CRC-32 of the block, if its format needs it.
    pub checksum: u32,
}

/// A compressed block and its place in a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptBlock {
    /// The SHA-256 of the block before compression.
    pub block: ContentDigest,
    /// The CRC-32 of the block before compression, if its format needs it.
    pub checksum: u32,
    /// Where its compressed form begins in the blob.
    pub offset: u64,
    /// The bytes of its compressed form.
    pub size: u32,
    /// The CRC-32 of its compressed form.
    pub stored_checksum: u32,
    /// Whether it was found in the cache.
    pub was_found: bool,
}
