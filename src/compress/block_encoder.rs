//! What compresses blocks, whatever the format.

use std::io;
use std::sync::Arc;

use super::buffer::Buffer;
use crate::digest::ContentDigest;

/// Compresses one block after another, each independently of the others.
pub(super) trait BlockEncoder {
    /// Compresses `input` into `output`.
    fn encode(&mut self, input: &[u8], output: &mut Buffer) -> io::Result<EncodedBlock>;
}

/// What is known of a block that was compressed.
#[derive(Default)]
pub(super) struct EncodedBlock {
    /// The CRC-32 of the input, where the format wants it.
    pub(super) checksum: crc32fast::Hasher,
    /// What a cache knows it by, where there is a cache.
    pub(super) known: Option<KnownAs>,
}

/// What a cache knows a block by.
pub(super) struct KnownAs {
    pub(super) block: ContentDigest,
    pub(super) stored_checksum: u32,
    pub(super) was_found: bool,
}

/// Makes what compresses blocks, for each thread its own.
pub(super) type MakeEncoder = Arc<dyn Fn() -> io::Result<Box<dyn BlockEncoder>> + Send + Sync>;
