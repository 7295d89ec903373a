//! Compressed blocks that earlier work has left, as far as whoever compresses sees them.

use std::path::Path;

use crate::digest::{ContentDigest, Digest};

/// Where compressed blocks are found and left. What is found may be missing, damaged or gone in the next moment; that
/// costs time and never correctness.
pub trait BlockCache: Send + Sync {
    /// Puts what `encoding` made of a block into `output`, if it is known and whole.
    fn find(&self, encoding: &str, block: &ContentDigest, output: &mut [u8]) -> Option<FoundBlock>;

    /// Remembers where in the file of a blob its blocks are.
    fn keep(&self, encoding: &str, blob: &Digest, file: &Path, blocks: &[KeptBlock]);
}

/// A compressed block that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundBlock {
    /// The bytes of its compressed form.
    pub size: usize,
    /// The CRC-32 of its compressed form.
    pub stored_checksum: u32,
    /// The CRC-32 of the block, where its format wants that.
    pub checksum: u32,
}

/// A compressed block and its place in a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeptBlock {
    /// The SHA-256 of the block before it was compressed.
    pub block: ContentDigest,
    /// The CRC-32 of the block before it was compressed, where its format wants that.
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
