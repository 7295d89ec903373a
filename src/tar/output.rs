//! Where tar streams are written.

use std::io::{self, Read, Write};

use crate::tar::Edge;

/// Where a tar stream goes.
///
/// More than `Write`, because a compressing encoder cuts its blocks at entry edges and can take content straight into
/// its buffers.
pub trait Output: Write {
    /// Says that the next byte is the first of an entry's headers.
    fn entry_edge(&mut self, _edge: Edge) {}

    /// Writes what `reader` yields, at most `limit` bytes, and returns how many there were.
    fn read_from(&mut self, reader: &mut dyn Read, limit: u64) -> io::Result<u64> {
        io::copy(&mut reader.take(limit), self)
    }
}

impl<O: Output + ?Sized> Output for &mut O {
    fn entry_edge(&mut self, edge: Edge) {
        (**self).entry_edge(edge);
    }

    fn read_from(&mut self, reader: &mut dyn Read, limit: u64) -> io::Result<u64> {
        (**self).read_from(reader, limit)
    }
}

impl Output for Vec<u8> {}

/// Any writer as an [`Output`] that ignores edges.
#[derive(Debug)]
pub(crate) struct Plain<W>(pub W);

impl<W: Write> Write for Plain<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl<W: Write> Output for Plain<W> {}
