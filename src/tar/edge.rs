//! The boundaries of entries in a tar, where compressed blocks may begin.

use crate::tar::BLOCK;

/// Where an entry starts in a tar, for an output that cuts the stream into blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Follows from the entry's name in its header alone, spread evenly over all values. So an entry has the same key
    /// wherever it is.
    pub key: u64,
    /// The bytes of content that follow the headers.
    pub size: u64,
}

impl Edge {
    /// Returns the edge before `headers`, which end in the entry's own header block, with `size` bytes of content after
    /// them.
    pub(super) fn before(headers: &[u8], size: u64) -> Self {
        let (_, header) = headers.split_at(headers.len().saturating_sub(BLOCK));
        let fields = [NAME, PREFIX].into_iter().filter_map(|field| header.get(field));
        Edge { key: spread(fields.flatten()), size }
    }
}

/// The fields of a ustar header that hold the name.
const NAME: std::ops::Range<usize> = 0..100;
const PREFIX: std::ops::Range<usize> = 345..500;

/// FNV-1a, with the high bits mixed into the low ones.
fn spread<'a>(bytes: impl Iterator<Item = &'a u8>) -> u64 {
    let sum =
        bytes.fold(0xCBF2_9CE4_8422_2325, |sum: u64, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3));
    let mixed = (sum ^ (sum >> 32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed ^ (mixed >> 29)
}
