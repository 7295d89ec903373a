use std::cmp::Ordering;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use rustix::fs::{seek, SeekFrom};
use rustix::io::Errno;

use crate::error::{IoContext, Result};
use crate::tree::Entry;

/// Where the bytes of regular files come from: a rootfs directory, another image, memory in tests.
///
/// This is the only place where a tree meets bytes.
pub trait Content {
    /// Opens the content of a regular file of the tree. The reader yields the bytes that there are; the caller compares
    /// their number with the entry's size.
    fn open<'a>(&'a self, entry: &Entry) -> Result<Box<dyn Read + 'a>>;
}

/// The content of a directory on disk.
#[derive(Clone, Debug)]
pub struct Directory {
    root: PathBuf,
}

impl Directory {
    /// Returns the content of the tree that a scan of `root` returns.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Directory { root: root.into() }
    }
}

impl Content for Directory {
    fn open<'a>(&'a self, entry: &Entry) -> Result<Box<dyn Read + 'a>> {
        let path = entry.path.below(&self.root);
        let file = File::open(&path).at("open", &path)?;
        Ok(if entry.size() >= WORTH_A_SEEK { Box::new(SparseReader::new(file)) } else { Box::new(file) })
    }
}

/// Below this size, reading a hole costs less than looking for it.
const WORTH_A_SEEK: u64 = 1 << 20;

/// Reads a file with its holes as zeros, without asking the disk for them.
struct SparseReader {
    file: File,
    position: u64,
    /// Where the next bytes come from; `None` before the first look.
    extent: Option<Extent>,
}

#[derive(Clone, Copy)]
enum Extent {
    /// Stored bytes up to this position.
    Stored(u64),
    /// A hole up to this position.
    Hole(u64),
    /// Seeking for holes is not supported here: plain reading to the end.
    Unknown,
}

impl SparseReader {
    fn new(file: File) -> Self {
        SparseReader { file, position: 0, extent: None }
    }

    /// Finds the extent at the current position, and leaves the file there.
    fn look(&mut self) -> io::Result<Extent> {
        let extent = match seek(&self.file, SeekFrom::Data(self.position)) {
            Ok(data) if data > self.position => Extent::Hole(data),
            Ok(data) => match seek(&self.file, SeekFrom::Hole(data)) {
                Ok(hole) if hole > self.position => Extent::Stored(hole),
                _ => Extent::Unknown,
            },
            // No stored byte after the position: a hole to the end, or the end itself.
            Err(Errno::NXIO) => {
                let end = seek(&self.file, SeekFrom::End(0))?;
                match end.cmp(&self.position) {
                    Ordering::Greater => Extent::Hole(end),
                    Ordering::Equal => Extent::Unknown,
                    // Zeros were returned for a hole that no longer exists; no short read would reveal it.
                    Ordering::Less => {
                        let reason = format!("file changed while it was read: its size is {end} now");
                        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, reason));
                    }
                }
            }
            Err(_) => Extent::Unknown,
        };
        seek(&self.file, SeekFrom::Start(self.position))?;
        Ok(extent)
    }
}

impl Read for SparseReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let extent = match self.extent {
            Some(Extent::Stored(end) | Extent::Hole(end)) if self.position >= end => None,
            extent => extent,
        };
        let extent = match extent {
            Some(extent) => extent,
            None => self.look()?,
        };
        self.extent = Some(extent);
        let read = match extent {
            Extent::Unknown => self.file.read(buffer)?,
            Extent::Stored(end) => {
                let length = usize::try_from(end - self.position).unwrap_or(usize::MAX).min(buffer.len());
                self.file.read(&mut buffer[..length])?
            }
            Extent::Hole(end) => {
                let length = usize::try_from(end - self.position).unwrap_or(usize::MAX).min(buffer.len());
                buffer[..length].fill(0);
                length
            }
        };
        self.position += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TempDir;
    use std::io::{Seek, Write};

    #[test]
    fn holes_read_as_zeros_wherever_they_stand() {
        let dir = TempDir::new("sparse");
        let path = dir.path().join("f");
        for (pieces, size) in [
            (&[][..], 3_u64 << 20),
            (&[(0_u64, &b"start"[..])], 2 << 20),
            (&[((1 << 20) + 7, &b"middle"[..])], 2 << 20),
            (&[(0, &b"a"[..]), (5 << 20, &b"end"[..])], (5 << 20) + 3),
            (&[], 0),
        ] {
            let mut file = File::create(&path).unwrap();
            file.set_len(size).unwrap();
            let mut expected = vec![0; size as usize];
            for (at, bytes) in pieces {
                file.seek(io::SeekFrom::Start(*at)).unwrap();
                file.write_all(bytes).unwrap();
                expected[*at as usize..*at as usize + bytes.len()].copy_from_slice(bytes);
            }
            let mut found = Vec::new();
            SparseReader::new(File::open(&path).unwrap()).read_to_end(&mut found).unwrap();
            assert!(found == expected, "{pieces:?}");
        }
    }

    #[test]
    fn a_hole_that_shrinks_while_it_is_read_is_an_error() {
        let dir = TempDir::new("sparse-shrinks");
        let path = dir.path().join("f");
        let file = File::create(&path).unwrap();
        file.set_len(3 << 20).unwrap();
        let mut reader = SparseReader::new(File::open(&path).unwrap());
        reader.read_exact(&mut [0; 10]).unwrap();
        file.set_len(1).unwrap();
        let error = reader.read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), "file changed while it was read: its size is 1 now");
    }
}
