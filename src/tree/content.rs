use std::io::Read;

use crate::error::Result;
use crate::tree::Entry;

/// Where the bytes of regular files come from: a rootfs directory, another image, memory in tests.
///
/// This is the one seam between a tree and bytes.
pub trait Content {
    /// Opens the content of a regular file of the tree. The reader yields the bytes that there are; whoever reads
    /// compares their number with the entry's size.
    fn open<'a>(&'a self, entry: &Entry) -> Result<Box<dyn Read + 'a>>;
}
