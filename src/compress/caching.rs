//! Copies blocks that a cache knows instead of compressing them.

use std::io;
use std::sync::Arc;

use flate2::FlushDecompress;

use super::block::BlockSize;
use super::block_encoder::{BlockEncoder, EncodedBlock, KnownAs, MakeEncoder};
use super::buffer::Buffer;
use super::codec::{Codec, ZstdLevel};
use crate::block_cache::BlockCache;
use crate::digest::ContentDigest;

/// The versions of the encoders. Another version may make other bytes, which must not mix with those of this one; a
/// test compares them with the lock file.
const LIBDEFLATE: &str = "1.26.1";
const ZSTD: &str = "2.1.2+zstd.1.5.7";

/// The version of our own steps: the choice of a level by the block's content, and the open end.
const OWN: u32 = 1;

/// Returns what the bytes of a compressed block depend on besides its input, or `None` if a cache is not worthwhile.
pub(crate) fn encoding(codec: impl Into<Codec>) -> Option<String> {
    match codec.into() {
        Codec::Gzip(level) => Some(format!("gzip {} libdeflate {LIBDEFLATE} {OWN}", level.number())),
        Codec::Zstd(level) => Some(format!("zstd {} {ZSTD} {OWN}", level.number())),
        Codec::Plain | Codec::Xz(_) => None,
    }
}

/// What a compressed block was before, if it is one that `encoding` makes, and the CRC-32 of that where its format
/// wants one; at most as long as a block can be.
pub(crate) fn decoded(encoding: &str, stored: &[u8]) -> Option<(Vec<u8>, u32)> {
    let most = BlockSize::of(Codec::Zstd(ZstdLevel::default())).most;
    match encoding.split(' ').next()? {
        "gzip" => {
            let mut bytes = Vec::with_capacity(most);
            // Its last deflate block is not marked as final, so the stream does not end with it.
            let status = flate2::Decompress::new(false).decompress_vec(stored, &mut bytes, FlushDecompress::Sync);
            let checksum = crc32fast::hash(&bytes);
            status.is_ok().then_some((bytes, checksum))
        }
        "zstd" => Some((zstd::bulk::decompress(stored, most).ok()?, 0)),
        _ => None,
    }
}

/// Returns a maker of encoders that look into `cache` first.
pub(super) fn caching(make: MakeEncoder, encoding: String, cache: Arc<dyn BlockCache>) -> MakeEncoder {
    let encoding: Arc<str> = encoding.into();
    Arc::new(move || {
        let (make, encoding, cache) = (Arc::clone(&make), Arc::clone(&encoding), Arc::clone(&cache));
        Ok(Box::new(Caching { make, made: None, encoding, cache }))
    })
}

struct Caching {
    make: MakeEncoder,
    /// Made when first needed.
    made: Option<Box<dyn BlockEncoder>>,
    encoding: Arc<str>,
    cache: Arc<dyn BlockCache>,
}

impl BlockEncoder for Caching {
    fn encode(&mut self, input: &[u8], output: &mut Buffer) -> io::Result<EncodedBlock> {
        let block = ContentDigest::of(input);
        if let Some(found) = self.cache.find(&self.encoding, &block, output.room()) {
            output.fill(found.size);
            let checksum = crc32fast::Hasher::new_with_initial_len(found.checksum, input.len() as u64);
            let known = KnownAs { block, stored_checksum: found.stored_checksum, was_found: true };
            return Ok(EncodedBlock { checksum, known: Some(known) });
        }
        let encoder = match &mut self.made {
            Some(encoder) => encoder,
            None => self.made.insert((self.make)()?),
        };
        let made = encoder.encode(input, output)?;
        let known = KnownAs { block, stored_checksum: crc32fast::hash(output), was_found: false };
        Ok(EncodedBlock { known: Some(known), ..made })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_versions_are_those_that_are_locked() {
        let lock = include_str!("../../Cargo.lock");
        let locked =
            |name: &str, version: &str| lock.contains(&format!("name = \"{name}\"\nversion = \"{version}\"\n"));
        assert!(locked("libdeflate-sys", LIBDEFLATE));
        assert!(locked("zstd-sys", ZSTD));
    }
}
