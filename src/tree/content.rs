//! The contents of regular files, which a tree refers to by path.

use std::cmp::Ordering;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use rustix::fs::{seek, Mode, OFlags, SeekFrom};
use rustix::io::{retry_on_intr, Errno};

use crate::error::{Error, IoContext, Result};
use crate::tree::directories::{with_way_to_read, Directories};
use crate::tree::seen::Seen;
use crate::tree::{Entry, TarPath};

/// Where the bytes of regular files come from: a rootfs directory, another image, memory in tests.
///
/// This is the only place where a tree meets bytes.
pub trait Content {
    /// Opens the content of a regular file of the tree. The reader yields the bytes that there are; the caller compares
    /// their number with the entry's size.
    fn open<'a>(&'a self, entry: &Entry) -> Result<Box<dyn Read + 'a>>;

    /// Says whether a regular file that is not read, since it is empty, is still what the tree says.
    fn confirm_empty(&self, _entry: &Entry) -> Result<()> {
        Ok(())
    }
}

/// The content of a directory on disk, as a scan found it.
///
/// A file that is another one when it is read, or that was written to in the meantime, is an error that names it.
#[derive(Debug)]
pub(crate) struct Directory {
    directories: Mutex<Directories>,
    /// Its regular files, in the order of the tree.
    seen: Vec<(TarPath, Seen)>,
}

impl Directory {
    /// The content of the files that were seen, in the order of the tree.
    pub(super) fn new(directories: Directories, mut seen: Vec<(TarPath, Seen)>) -> Self {
        seen.shrink_to_fit();
        Directory { directories: Mutex::new(directories), seen }
    }

    /// What a scan saw at a path.
    fn seen(&self, path: &TarPath) -> Result<&Seen> {
        let found = self.seen.binary_search_by(|(seen, _)| seen.cmp(path)).ok().and_then(|at| self.seen.get(at));
        found.map(|(_, seen)| seen).ok_or_else(|| Error::malformed(path.to_string(), "no file was here before"))
    }
}

impl Content for Directory {
    fn open<'a>(&'a self, entry: &Entry) -> Result<Box<dyn Read + 'a>> {
        let seen = self.seen(&entry.path)?;
        // No link is followed, and neither a pipe nor a terminal waited for or taken.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let mut directories = self.directories.lock().unwrap_or_else(PoisonError::into_inner);
        let path = directories.show(&entry.path);
        let holding = directories.holding(&entry.path)?;
        let opened = retry_on_intr(|| rustix::fs::openat(holding, entry.path.file_name(), flags, Mode::empty()));
        let file = match opened {
            Err(Errno::LOOP) => {
                let what = "file changed while it was read: type";
                let (expected, found) = ("file".into(), "symlink".into());
                return Err(Error::Mismatch { subject: format!("`{}`", path.display()), what, expected, found });
            }
            file => {
                let file = file.map_err(Into::into).at("open", &path);
                File::from(file.map_err(|error| with_way_to_read(error, directories.shown()))?)
            }
        };
        let size = entry.size();
        Ok(Box::new(HeldFile { file: SparseReader::new(file, size), seen, size, path }))
    }

    fn confirm_empty(&self, entry: &Entry) -> Result<()> {
        let seen = self.seen(&entry.path)?;
        let mut directories = self.directories.lock().unwrap_or_else(PoisonError::into_inner);
        let path = directories.show(&entry.path);
        let holding = directories.holding(&entry.path)?;
        seen.hold_name(holding, entry.path.file_name(), entry.size(), &path)
    }
}

/// A file that must be what was seen, also after it was read.
///
/// It is looked at once, at its end: what was written to it before, or put in its place, shows then too.
struct HeldFile<'a> {
    file: SparseReader,
    seen: &'a Seen,
    /// That of the entry.
    size: u64,
    path: PathBuf,
}

impl HeldFile<'_> {
    fn hold(&self) -> Result<()> {
        self.seen.hold_open(&self.file.file, self.size, &self.path)
    }
}

impl Read for HeldFile<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.size - self.file.position).unwrap_or(usize::MAX);
        let wanted = left.min(buffer.len());
        if left == 0 {
            self.hold()?;
            return Ok(0);
        }
        match self.file.read(&mut buffer[..wanted]) {
            Ok(0) if wanted > 0 => {
                self.hold()?;
                Ok(0)
            }
            Ok(read) => Ok(read),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                // Of a pipe in its place, this says more.
                self.hold()?;
                Err::<usize, _>(error).at("read", &self.path).map_err(Into::into)
            }
        }
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
    fn new(file: File, size: u64) -> Self {
        SparseReader { file, position: 0, extent: (size < WORTH_A_SEEK).then_some(Extent::Unknown) }
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
            SparseReader::new(File::open(&path).unwrap(), u64::MAX).read_to_end(&mut found).unwrap();
            assert!(found == expected, "{pieces:?}");
        }
    }

    #[test]
    fn a_hole_that_shrinks_while_it_is_read_is_an_error() {
        let dir = TempDir::new("sparse-shrinks");
        let path = dir.path().join("f");
        let file = File::create(&path).unwrap();
        file.set_len(3 << 20).unwrap();
        let mut reader = SparseReader::new(File::open(&path).unwrap(), u64::MAX);
        reader.read_exact(&mut [0; 10]).unwrap();
        file.set_len(1).unwrap();
        let error = reader.read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), "file changed while it was read: its size is 1 now");
    }
}
