//! Sparse files as GNU tar stores them: old headers of type `S` and PAX formats 0.0, 0.1 and 1.0 (GNU tar manual,
//! appendix "Storing Sparse Files"). They are read and never written: a layer should hold none (image-spec, layer.md).

use std::io::Read;

use tar::{GnuExtSparseHeader, GnuSparseHeader, Header};

use crate::error::Result;
use crate::tar::blocks::Blocks;
use crate::tar::header::number;
use crate::tar::pax::decimal;
use crate::tar::{first_mut, BLOCK};

/// The most segments that one file may have: they take 16 MiB.
const SEGMENT_LIMIT: usize = 1 << 20;

/// What `GNU.sparse.*` records say.
#[derive(Debug, Default)]
pub(super) struct Description {
    /// The name, if the member's own name is made up.
    pub(super) name: Option<Vec<u8>>,
    major: Option<u64>,
    minor: Option<u64>,
    size: Option<u64>,
    /// Offsets and lengths in turn.
    numbers: Vec<u64>,
}

impl Description {
    /// Applies a record, by its keyword after `GNU.sparse.`; returns `None` if the value is not accepted.
    pub(super) fn apply(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        match key {
            b"name" => self.name = Some(value.to_vec()),
            b"major" => self.major = Some(decimal(value)?),
            b"minor" => self.minor = Some(decimal(value)?),
            b"size" | b"realsize" => self.size = Some(decimal(value)?),
            b"map" => self.numbers = value.split(|byte| *byte == b',').map(decimal).collect::<Option<_>>()?,
            b"offset" if self.numbers.len() % 2 == 0 => self.numbers.push(decimal(value)?),
            b"numbytes" if self.numbers.len() % 2 == 1 => self.numbers.push(decimal(value)?),
            b"offset" | b"numbytes" => return None,
            _ => {}
        }
        Some(())
    }

    /// Whether there is a map, or a version, which says where it is.
    pub(super) fn is_mapped(&self) -> bool {
        self.major.is_some() || self.minor.is_some() || !self.numbers.is_empty()
    }

    pub(super) fn has_size(&self) -> bool {
        self.size.is_some()
    }

    /// Returns the map of the file. In format 1.0 it precedes the content and is subtracted from `stored`. The inner
    /// error affects this member alone.
    pub(super) fn map<R: Read>(self, blocks: &mut Blocks<R>, stored: &mut u64) -> Result<Result<Map, String>> {
        if !self.is_mapped() {
            return Ok(Err("a sparse file without its map".to_owned()));
        }
        let numbers = match (self.major, self.minor) {
            (None, None) | (Some(0), Some(0 | 1)) => self.numbers,
            // Go's readers take the member as it is stored.
            (major, minor) if (major, minor) != (Some(1), Some(0)) => {
                return Ok(Err("the version of the sparse file is not accepted".to_owned()));
            }
            _ => match read_numbers(blocks, stored)? {
                Ok(numbers) => numbers,
                Err(reason) => return Ok(Err(reason)),
            },
        };
        let Some(size) = self.size else { return Ok(Err("a sparse file without its size".to_owned())) };
        Ok(Map::new(&numbers, size, *stored))
    }
}

/// Returns the map in a header of type `S` and in the blocks that follow it.
pub(super) fn old_map<R: Read>(header: &Header, blocks: &mut Blocks<R>, stored: u64) -> Result<Result<Map, String>> {
    let Some(gnu) = header.as_gnu() else {
        return Ok(Err("a sparse file of GNU tar needs a header of GNU tar".to_owned()));
    };
    let mut numbers = Vec::new();
    let mut complete = take_segments(&gnu.sparse, &mut numbers);
    let mut extended = gnu.isextended[0] != 0;
    while extended {
        let mut extension = GnuExtSparseHeader::new();
        if blocks.fill(extension.as_mut_bytes())? < BLOCK {
            return Err(blocks.truncated());
        }
        if numbers.len() / 2 > SEGMENT_LIMIT {
            return Err(blocks.malformed(blocks.position(), too_many()));
        }
        complete = complete.and_then(|()| take_segments(&extension.sparse, &mut numbers));
        extended = extension.isextended[0] != 0;
    }
    let size = number(&gnu.realsize).and_then(|size| u64::try_from(size.value).ok());
    Ok(match (complete, size) {
        (Some(()), Some(size)) => Map::new(&numbers, size, stored),
        _ => Err("a number in the map of the sparse file is not accepted".to_owned()),
    })
}

/// Appends the segments of one header, up to the first blank one.
fn take_segments(segments: &[GnuSparseHeader], numbers: &mut Vec<u64>) -> Option<()> {
    for segment in segments.iter().take_while(|segment| segment.numbytes[0] != 0) {
        for field in [&segment.offset, &segment.numbytes] {
            numbers.push(u64::try_from(number(field)?.value).ok()?);
        }
    }
    Some(())
}

/// Reads the map of format 1.0: lines of one number each, first the number of segments, then their offsets and lengths,
/// padded to a block.
fn read_numbers<R: Read>(blocks: &mut Blocks<R>, stored: &mut u64) -> Result<Result<Vec<u64>, String>> {
    let mut numbers = Vec::new();
    let mut expected = None;
    let mut line = Vec::new();
    loop {
        let mut block = [0; BLOCK];
        let block = first_mut(&mut block, *stored);
        if block.is_empty() {
            return Ok(Err("the map of the sparse file is cut off".to_owned()));
        }
        if blocks.fill(block)? < block.len() {
            return Err(blocks.truncated());
        }
        *stored = stored.saturating_sub(block.len() as u64);
        for byte in &*block {
            if expected == Some(numbers.len()) {
                break;
            }
            if *byte != b'\n' {
                // `decimal` refuses more digits than a 64-bit number has; there is no need to keep them.
                if line.len() < 21 {
                    line.push(*byte);
                }
                continue;
            }
            let Some(number) = decimal(&line) else {
                let line = line.escape_ascii();
                return Ok(Err(format!("the map of the sparse file has numbers, found `{line}`")));
            };
            line.clear();
            match expected {
                Some(_) => numbers.push(number),
                None if number > SEGMENT_LIMIT as u64 => return Ok(Err(too_many())),
                None => expected = Some((number as usize).saturating_mul(2)),
            }
        }
        if expected == Some(numbers.len()) {
            return Ok(Ok(numbers));
        }
    }
}

fn too_many() -> String {
    format!("a sparse file has up to {SEGMENT_LIMIT} segments, found more")
}

/// Where the stored bytes of a sparse file belong.
#[derive(Debug)]
pub(super) struct Map {
    segments: Vec<Segment>,
    size: u64,
    /// What follows: the segment, and the position in the file.
    next: usize,
    position: u64,
}

#[derive(Clone, Copy, Debug)]
struct Segment {
    start: u64,
    end: u64,
}

/// The next bytes of a sparse file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Run {
    /// This many zeros.
    Hole(u64),
    /// This many stored bytes.
    Stored(u64),
    /// The end.
    End,
}

impl Map {
    /// Makes a map from offsets and lengths in turn. Segments must ascend within the size and add up to what is stored.
    fn new(numbers: &[u64], size: u64, stored: u64) -> Result<Self, String> {
        let mut segments = Vec::new();
        let mut end = 0;
        let mut total: u64 = 0;
        if numbers.len() / 2 > SEGMENT_LIMIT {
            return Err(too_many());
        }
        if numbers.len() % 2 != 0 {
            return Err("the last segment of the sparse file has no length".to_owned());
        }
        for pair in numbers.chunks_exact(2) {
            let &[start, length] = pair else { break };
            let next = start.checked_add(length).filter(|next| start >= end && *next <= size);
            end = next.ok_or("the segments of the sparse file overlap or go beyond its size")?;
            total = total.saturating_add(length);
            if length > 0 {
                segments.push(Segment { start, end });
            }
        }
        if i64::try_from(size).is_err() {
            return Err(format!("a file of {size} bytes is not accepted"));
        }
        if total != stored {
            return Err(format!("the segments of the sparse file have {total} bytes together, found {stored}"));
        }
        Ok(Map { segments, size, next: 0, position: 0 })
    }

    /// Returns the size of the file, holes included.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Returns what comes at the current position.
    pub(super) fn run(&self) -> Run {
        let up_to = |place: u64| place.saturating_sub(self.position);
        match self.segments.get(self.next) {
            Some(segment) if self.position < segment.start => Run::Hole(up_to(segment.start)),
            Some(segment) => Run::Stored(up_to(segment.end)),
            None if self.position < self.size => Run::Hole(up_to(self.size)),
            None => Run::End,
        }
    }

    /// Advances by `count` bytes, within one run.
    pub(super) fn advance(&mut self, count: u64) {
        self.position = self.position.saturating_add(count);
        if self.segments.get(self.next).is_some_and(|segment| self.position >= segment.end) {
            self.next = self.next.saturating_add(1);
        }
    }
}
