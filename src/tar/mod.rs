//! Tar archives: what a layer is made of (image-spec, layer.md).
//!
//! [`Writer`] has one way to write an entry: a ustar header, and a PAX header for what ustar cannot say and nothing
//! else. [`Reader`] accepts what other tools write, says what is odd about it, and stays bounded by what it was given.
//! The `tar` crate lays out the header block; PAX, framing and rules are here. References: POSIX.1-2017, pax,
//! sections "pax Interchange Format" and "ustar Interchange Format".

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
mod output;
mod path_set;
mod pax;
mod reader;
mod sparse;
#[cfg(test)]
mod tests;
mod writer;

pub use anomaly::Anomaly;
pub use copy::copy;
pub use edge::Edge;
pub use extended::Record;
pub use keywords::LostKeywords;
pub use member::Member;
pub use output::{Output, Plain};
pub use reader::{End, Reader};
pub use writer::Writer;

/// Headers and content come in blocks of this many bytes.
pub(crate) const BLOCK: usize = 512;

/// The most bytes that the extended headers of one member may have, when writing as when reading.
pub const EXTENDED_HEADER_LIMIT: u64 = 1 << 20;

/// The most bytes that the holes of an archive's sparse files may have together, 2 TiB. A login log that knows the
/// highest user id has 1.2 TB of them; a header can claim 8 EiB, which nobody lives to see read.
pub const HOLE_LIMIT: u64 = 2 << 40;

/// The most bytes that the name of a member may have, and that of what it links to: as many as Linux takes
/// (`PATH_MAX`, `path_resolution(7)`).
pub const NAME_LIMIT: usize = 4096;

/// How many zero bytes follow `size` bytes of content up to the next block.
fn padding(size: u64) -> usize {
    (size.wrapping_neg() % BLOCK as u64) as usize
}
