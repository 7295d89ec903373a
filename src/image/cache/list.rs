//! The list of the blocks in a cache file.

use crate::digest::{ContentDigest, Digest};

/// The first line; it changes with the format.
const HEADING: &str = "ocibake blocks 1";

/// Size of a block's record in bytes.
const RECORD: usize = 32 + 8 + 4 + 4 + 4;

/// Blocks made with one encoding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct List {
    pub(crate) encoding: String,
    /// Size of the file with the blocks.
    pub(crate) file_size: u64,
    pub(crate) blocks: Vec<(ContentDigest, BlockPlace)>,
}

/// The position of a compressed block, and what its bytes are checked against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockPlace {
    pub(crate) offset: u64,
    pub(crate) size: u32,
    pub(crate) stored_checksum: u32,
    /// The CRC-32 of the uncompressed block.
    pub(crate) checksum: u32,
}

impl List {
    /// Encodes two lines of text, the records, and the digest of it all.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = format!("{HEADING}\n{} {}\n", self.file_size, self.encoding).into_bytes();
        for (block, place) in &self.blocks {
            bytes.extend_from_slice(block.as_bytes());
            bytes.extend_from_slice(&place.offset.to_le_bytes());
            for number in [place.size, place.stored_checksum, place.checksum] {
                bytes.extend_from_slice(&number.to_le_bytes());
            }
        }
        let digest = Digest::of(&bytes);
        bytes.extend_from_slice(digest.as_str().as_bytes());
        bytes
    }

    /// Returns the list, or `None` if any byte differs from what was written.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let end = bytes.len().checked_sub(Digest::of(b"").as_str().len())?;
        let (body, digest) = bytes.split_at(end);
        if Digest::of(body).as_str().as_bytes() != digest {
            return None;
        }
        let rest = body.strip_prefix(HEADING.as_bytes())?.strip_prefix(b"\n")?;
        let line = rest.iter().position(|byte| *byte == b'\n')?;
        let (file_size, encoding) = std::str::from_utf8(&rest[..line]).ok()?.split_once(' ')?;
        let records = &rest[line + 1..];
        if records.len() % RECORD != 0 {
            return None;
        }
        let blocks = records.chunks_exact(RECORD).map(record).collect::<Option<_>>()?;
        Some(List { encoding: encoding.to_owned(), file_size: file_size.parse().ok()?, blocks })
    }
}

fn record(bytes: &[u8]) -> Option<(ContentDigest, BlockPlace)> {
    let block: [u8; 32] = bytes.get(..32)?.try_into().ok()?;
    let offset = u64::from_le_bytes(bytes.get(32..40)?.try_into().ok()?);
    let number = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    Some((block.into(), BlockPlace { offset, size: number(40)?, stored_checksum: number(44)?, checksum: number(48)? }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out_and_damage_does_not() {
        let place = BlockPlace { offset: 10, size: 3, stored_checksum: 0xDEAD_BEEF, checksum: 7 };
        let list = List {
            encoding: "gzip 2 some encoder 1.0".to_owned(),
            file_size: 1 << 40,
            blocks: vec![
                (ContentDigest::of(b"a"), place),
                (ContentDigest::of(b"b"), BlockPlace { offset: 13, ..place }),
            ],
        };
        let bytes = list.encode();
        assert_eq!(List::decode(&bytes), Some(list));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert_eq!(List::decode(&damaged), None, "byte {at}");
            assert_eq!(List::decode(&bytes[..at]), None, "cut at {at}");
        }
        assert_eq!(List::decode(b""), None);
    }
}
