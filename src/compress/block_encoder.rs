//! The encoder of a block, whatever the format.

use std::io;
use std::sync::Arc;

use super::buffer::Buffer;
use crate::digest::ContentDigest;

/// Compresses one block after another, each independently of the others.
pub(super) trait BlockEncoder {
    /// Compresses `input` into `output`.
    fn encode(&mut self, input: &[u8], output: &mut Buffer) -> io::Result<EncodedBlock>;
}

/// What is known about a compressed block.
#[derive(Default)]
pub(super) struct EncodedBlock {
    /// The CRC-32 of the input, if the format needs it.
    pub(super) checksum: crc32fast::Hasher,
    /// How a cache identifies it, if there is a cache.
    pub(super) known: Option<KnownAs>,
}

/// How a cache identifies a block.
pub(super) struct KnownAs {
    pub(super) block: ContentDigest,
    pub(super) stored_checksum: u32,
    pub(super) was_found: bool,
}

/// Makes an encoder of blocks; each thread has its own.
pub(super) type MakeEncoder = Arc<dyn Fn() -> io::Result<Box<dyn BlockEncoder>> + Send + Sync>;
