use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use tar::Header;

use crate::error::{Error, IoContext, Result};
use crate::tar::BLOCK;

/// The bytes of an archive, counted and taken in blocks.
#[derive(Debug)]
pub(super) struct Blocks<R> {
    source: BufReader<R>,
    position: u64,
    archive: String,
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

    /// The next header; none where the source ends.
    pub(super) fn header(&mut self) -> Result<Option<Header>> {
        let mut header = Header::new_old();
        match self.fill(header.as_mut_bytes())? {
            0 => Ok(None),
            BLOCK => Ok(Some(header)),
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

    /// Passes over `count` bytes and says where the first stands that is not zero.
    pub(super) fn skip(&mut self, count: u64) -> Result<Option<u64>> {
        let mut left = count;
        let mut first = None;
        while left > 0 {
            let Some(taken) = self.pass(left, &mut first)? else { return Err(self.truncated()) };
            left -= taken;
        }
        Ok(first)
    }

    /// Reads the source to its end and says where the first byte stands that is not zero.
    pub(super) fn drain(&mut self) -> Result<Option<u64>> {
        let mut first = None;
        while self.pass(u64::MAX, &mut first)?.is_some() {}
        Ok(first)
    }

    /// Passes over what is in the buffer, `limit` bytes at most; none where the source ends.
    fn pass(&mut self, limit: u64, first: &mut Option<u64>) -> Result<Option<u64>> {
        let bytes = loop {
            match self.source.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result.at("read", Path::new(&self.archive))?,
            }
        };
        if bytes.is_empty() {
            return Ok(None);
        }
        let taken = bytes.len().min(usize::try_from(limit).unwrap_or(usize::MAX));
        if first.is_none() {
            *first = bytes[..taken].iter().position(|byte| *byte != 0).map(|at| self.position + at as u64);
        }
        self.source.consume(taken);
        self.position += taken as u64;
        Ok(Some(taken as u64))
    }

    pub(super) fn truncated(&self) -> Error {
        self.malformed(self.position, "the archive is cut off")
    }
}
