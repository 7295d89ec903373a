//! Tar archives, the content of layers (image-spec, layer.md).
//!
//! [`Writer`] has one way to write an entry: a ustar header, and a PAX header only for what ustar cannot express.
//! [`Reader`] accepts what other tools write, reports what is odd about it, and bounds the memory and time that it
//! needs. The `tar` crate lays out the header block; PAX, framing and rules are here. References: POSIX.1-2017, pax,
//! sections "pax Interchange Format" and "ustar Interchange Format".

// This input is foreign: no value in it may end the process.
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]

mod anomaly;
mod blocks;
mod content;
mod copy;
mod edge;
mod encode;
mod extended;
mod header;
mod keywords;
mod libarchive;
mod member;
mod other;
mod output;
mod path_set;
mod pax;
mod reader;
mod sparse;
#[cfg(test)]
mod tests;
mod writer;

pub use anomaly::Anomaly;
pub(crate) use copy::copy;
pub use edge::Edge;
pub(crate) use encode::is_storable;
pub(crate) use extended::OwnedRecord;
pub(crate) use keywords::LostKeywords;
pub use member::Member;
pub use output::Output;
pub(crate) use output::Plain;
pub use reader::End;
pub use reader::Reader;
pub use writer::Writer;

/// Headers and content come in blocks of this many bytes.
pub(crate) const BLOCK: usize = 512;

/// The most bytes that the extended headers of one member may have, in writing and in reading.
pub const EXTENDED_HEADER_LIMIT: u64 = 1 << 20;

/// The most bytes that the holes of an archive's sparse files may have together, 2 TiB. A login log that includes the
/// highest user id has 1.2 TB of them; a header can claim 8 EiB, which would take years to read.
pub const HOLE_LIMIT: u64 = 2 << 40;

/// The most bytes that the name of a member may have, and that of what it links to. No system bounds how deep
/// directories lie in each other, only the paths in its calls (`path_resolution(7)`): 256 names as long as Linux takes
/// them.
pub(crate) const NAME_LIMIT: usize = 64 << 10;

/// The most bytes that the names of all attributes of an entry may have, a NUL after each: as many as Linux takes
/// (`xattr(7)`). A value is as long as its header lets it be; that many entries have it costs nothing.
pub(crate) const XATTR_NAMES_LIMIT: usize = 64 << 10;

/// The most bytes that may follow the end of an archive, which no reader looks at. Records of tapes have 10 KiB.
pub(crate) const TRAILING_LIMIT: u64 = 64 << 20;

/// Returns whether all bytes are zero. They are compared many at a time.
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    const ZEROS: [u8; 4096] = [0; 4096];
    bytes.chunks(ZEROS.len()).all(|piece| piece == first(&ZEROS, piece.len() as u64))
}

/// Returns the first `count` bytes, or all if there are fewer.
fn first(bytes: &[u8], count: u64) -> &[u8] {
    bytes.split_at(limit(bytes.len(), count)).0
}

/// Returns the first `count` bytes, or all if there are fewer.
fn first_mut(bytes: &mut [u8], count: u64) -> &mut [u8] {
    bytes.split_at_mut(limit(bytes.len(), count)).0
}

fn limit(length: usize, count: u64) -> usize {
    length.min(usize::try_from(count).unwrap_or(usize::MAX))
}

/// Returns how many zero bytes follow `size` bytes of content up to the next block.
fn padding(size: u64) -> usize {
    (size as usize).wrapping_neg() % BLOCK
}
