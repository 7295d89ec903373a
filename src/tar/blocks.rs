//! Reads an archive in blocks of 512 bytes and counts what was read.

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use tar::Header;

use crate::error::{Error, IoContext, Result};
use crate::tar::header::checksum;
use crate::tar::other::no_tar;
use crate::tar::{first, is_zero, BLOCK, TRAILING_LIMIT};

/// The bytes of an archive, counted and read in blocks.
#[derive(Debug)]
pub(super) struct Blocks<R> {
    source: BufReader<R>,
    position: u64,
    archive: String,
}

/// What may be found in place of a header.
// Nearly all are headers, and none is kept.
#[allow(clippy::large_enum_variant)]
pub(super) enum Block {
    /// A header, or what should be one.
    Header(Header),
    /// Zeros.
    Zero,
    /// The end of the source, with nothing but zeros before it.
    End,
}

/// What skipped bytes were.
#[derive(Clone, Copy, Debug)]
pub(super) struct SkippedBytes {
    /// They were all there.
    pub(super) whole: bool,
    /// They were all zero.
    pub(super) zero: bool,
}

impl<R: Read> Blocks<R> {
    pub(super) fn new(source: R, archive: String) -> Self {
        Blocks { source: BufReader::with_capacity(64 * 1024, source), position: 0, archive }
    }

    /// Continues counting from `position`.
    pub(super) fn count_from(&mut self, position: u64) {
        self.position = position;
    }

    /// Returns how many bytes were read.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Returns the name of the archive, for messages.
    pub(super) fn archive(&self) -> &str {
        &self.archive
    }

    /// Returns the error that something is wrong at a byte of the archive.
    pub(super) fn malformed(&self, offset: u64, reason: impl AsRef<str>) -> Error {
        Error::malformed(&*self.archive, format!("at byte {offset}: {}", reason.as_ref()))
    }

    /// Reads the next block.
    pub(super) fn next(&mut self) -> Result<Block> {
        let mut header = Header::new_old();
        let length = self.fill(header.as_mut_bytes())?;
        let is_zero = is_zero(first(header.as_bytes(), length as u64));
        match length {
            BLOCK if is_zero => Ok(Block::Zero),
            BLOCK => Ok(Block::Header(header)),
            _ if is_zero => Ok(Block::End),
            // Anything shorter than a header is not an archive that was cut off.
            _ if self.position < BLOCK as u64 => Err(no_tar(&self.archive, first(header.as_bytes(), length as u64))),
            _ => Err(self.truncated()),
        }
    }

    /// Reads a whole body of at most `limit` bytes. Memory grows with what is there, not with what is promised.
    pub(super) fn body(&mut self, size: u64, limit: u64) -> Result<Vec<u8>> {
        if size > limit {
            return Err(self.malformed(self.position, format!("a header goes up to {limit} bytes, found {size}")));
        }
        let mut body = Vec::new();
        let read = (&mut self.source).take(size).read_to_end(&mut body).at("read", Path::new(&self.archive))?;
        self.count(read);
        if read as u64 == size {
            Ok(body)
        } else {
            Err(self.truncated())
        }
    }

    /// Reads as many bytes as there are, up to the length of the buffer.
    pub(super) fn fill(&mut self, buffer: &mut [u8]) -> Result<usize> {
        fill(buffer, |room| self.read(room)).at("read", Path::new(&self.archive))
    }

    /// Reads some bytes; returns zero at the end of the source.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer)?;
        self.count(read);
        Ok(read)
    }

    fn count(&mut self, bytes: usize) {
        self.position = self.position.saturating_add(bytes as u64);
    }

    /// Skips `count` bytes, or as many as there are, and returns what they were.
    pub(super) fn skip(&mut self, count: u64) -> Result<SkippedBytes> {
        let mut skipped = SkippedBytes { whole: true, zero: true };
        let mut left = count;
        while left > 0 {
            let bytes = loop {
                match self.source.fill_buf() {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    result => break result.at("read", Path::new(&self.archive))?,
                }
            };
            if bytes.is_empty() {
                skipped.whole = false;
                break;
            }
            let bytes = first(bytes, left);
            let taken = bytes.len();
            skipped.zero = skipped.zero && is_zero(bytes);
            self.source.consume(taken);
            self.count(taken);
            left = left.saturating_sub(taken as u64);
        }
        Ok(skipped)
    }

    /// Skips `count` bytes that must be there, and returns whether they were zeros.
    pub(super) fn skip_whole(&mut self, count: u64) -> Result<bool> {
        let skipped = self.skip(count)?;
        if skipped.whole {
            Ok(skipped.zero)
        } else {
            Err(self.truncated())
        }
    }

    /// Reads what follows the end of the archive, and returns where the first byte is that is not zero. A member there
    /// would be lost silently, so it is an error.
    pub(super) fn read_after_end(&mut self) -> Result<Option<u64>> {
        let (mut found, end) = (None, self.position);
        loop {
            let start = self.position;
            let mut header = Header::new_old();
            let length = self.fill(header.as_mut_bytes())?;
            let rest = first(header.as_bytes(), length as u64);
            let nonzero = if is_zero(rest) { None } else { rest.iter().position(|byte| *byte != 0) };
            if nonzero.is_some() && length == BLOCK && checksum(&header).is_some() {
                return Err(self.malformed(start, "a member after the end of the archive, where no reader finds it"));
            }
            found = found.or(nonzero.map(|at| start.saturating_add(at as u64)));
            if length < BLOCK {
                return Ok(found);
            }
            if self.position.saturating_sub(end) > TRAILING_LIMIT {
                let reason = format!("more than {TRAILING_LIMIT} bytes after the end of the archive");
                return Err(self.malformed(end, reason));
            }
        }
    }

    pub(super) fn truncated(&self) -> Error {
        self.malformed(self.position, "the archive is cut off")
    }
}

/// Reads as many bytes as there are, up to the length of the buffer.
pub(super) fn fill(buffer: &mut [u8], mut read: impl FnMut(&mut [u8]) -> io::Result<usize>) -> io::Result<usize> {
    let mut filled: usize = 0;
    while let Some(room) = buffer.get_mut(filled..).filter(|room| !room.is_empty()) {
        match read(room) {
            Ok(0) => break,
            Ok(count) => filled = filled.saturating_add(count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
