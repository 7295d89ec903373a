use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use tar::Header;

use crate::error::{Error, IoContext, Result};
use crate::tar::header::checksum;
use crate::tar::BLOCK;

/// The bytes of an archive, counted and taken in blocks.
#[derive(Debug)]
pub(super) struct Blocks<R> {
    source: BufReader<R>,
    position: u64,
    archive: String,
}

/// What stands where a header can stand.
// Nearly all are headers, and none is kept.
#[allow(clippy::large_enum_variant)]
pub(super) enum Block {
    /// A header, or what should be one.
    Header(Header),
    /// Zeros.
    Zero,
    /// The source ends, within zeros at most.
    End,
}

/// What bytes were that were passed over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Skipped {
    /// As many as there should be.
    pub(super) whole: bool,
    /// Nothing but zeros.
    pub(super) zero: bool,
}

impl<R: Read> Blocks<R> {
    pub(super) fn new(source: R, archive: String) -> Self {
        Blocks { source: BufReader::with_capacity(64 * 1024, source), position: 0, archive }
    }

    /// Goes on counting from `position`.
    pub(super) fn count_from(&mut self, position: u64) {
        self.position = position;
    }

    /// How many bytes were taken.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// The name of the archive, for messages.
    pub(super) fn archive(&self) -> &str {
        &self.archive
    }

    /// That there is something wrong at a byte of the archive.
    pub(super) fn malformed(&self, offset: u64, reason: impl AsRef<str>) -> Error {
        Error::malformed(&*self.archive, format!("at byte {offset}: {}", reason.as_ref()))
    }

    /// The next block.
    pub(super) fn next(&mut self) -> Result<Block> {
        let mut header = Header::new_old();
        let length = self.fill(header.as_mut_bytes())?;
        let is_zero = header.as_bytes()[..length].iter().all(|byte| *byte == 0);
        match length {
            BLOCK if is_zero => Ok(Block::Zero),
            BLOCK => Ok(Block::Header(header)),
            _ if is_zero => Ok(Block::End),
            _ => Err(self.truncated()),
        }
    }

    /// A whole body that may be at most `limit` bytes. Memory grows with what is there, not with what is promised.
    pub(super) fn body(&mut self, size: u64, limit: u64) -> Result<Vec<u8>> {
        if size > limit {
            return Err(self.malformed(self.position, format!("a header goes up to {limit} bytes, found {size}")));
        }
        let mut body = Vec::new();
        let read = (&mut self.source).take(size).read_to_end(&mut body).at("read", Path::new(&self.archive))?;
        self.position += read as u64;
        if read as u64 == size {
            Ok(body)
        } else {
            Err(self.truncated())
        }
    }

    /// As many bytes as there are, up to the length of the buffer.
    pub(super) fn fill(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error).at("read", Path::new(&self.archive)),
            }
        }
        Ok(filled)
    }

    /// Some bytes; none where the source ends.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer)?;
        self.position += read as u64;
        Ok(read)
    }

    /// Passes over `count` bytes, or as many as there are, and says what they were.
    pub(super) fn skip(&mut self, count: u64) -> Result<Skipped> {
        let mut skipped = Skipped { whole: true, zero: true };
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
            let taken = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            skipped.zero = skipped.zero && bytes[..taken].iter().all(|byte| *byte == 0);
            self.source.consume(taken);
            self.position += taken as u64;
            left -= taken as u64;
        }
        Ok(skipped)
    }

    /// Passes over `count` bytes that must be there, and says whether they were zeros.
    pub(super) fn skip_whole(&mut self, count: u64) -> Result<bool> {
        let skipped = self.skip(count)?;
        if skipped.whole {
            Ok(skipped.zero)
        } else {
            Err(self.truncated())
        }
    }

    /// Reads what follows the end of the archive, and says where the first byte stands that is not zero. A member there
    /// would be lost without a word: it is an error.
    pub(super) fn read_after_end(&mut self) -> Result<Option<u64>> {
        let mut first = None;
        loop {
            let start = self.position;
            let mut header = Header::new_old();
            let length = self.fill(header.as_mut_bytes())?;
            let nonzero = header.as_bytes()[..length].iter().position(|byte| *byte != 0);
            if nonzero.is_some() && length == BLOCK && checksum(&header).is_some() {
                return Err(self.malformed(start, "a member after the end of the archive, where no reader finds it"));
            }
            first = first.or(nonzero.map(|at| start + at as u64));
            if length < BLOCK {
                return Ok(first);
            }
        }
    }

    pub(super) fn truncated(&self) -> Error {
        // What is shorter than a header was never an archive that somebody cut.
        let is_tar = self.position >= BLOCK as u64;
        self.malformed(self.position, if is_tar { "the archive is cut off" } else { "this is no tar archive" })
    }
}
