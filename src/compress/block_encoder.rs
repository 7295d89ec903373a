//! What compresses blocks, whatever the format.

use std::io;
use std::sync::Arc;

use super::buffer::Buffer;

/// Compresses one block after another, each independently of the others.
pub(super) trait BlockEncoder {
    /// Compresses `input` into `output`; returns the CRC-32 of `input` where the format wants it.
    fn encode(&mut self, input: &[u8], output: &mut Buffer) -> io::Result<crc32fast::Hasher>;
}

/// Makes what compresses blocks, for each thread its own.
pub(super) type MakeEncoder = Arc<dyn Fn() -> io::Result<Box<dyn BlockEncoder>> + Send + Sync>;
