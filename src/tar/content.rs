use std::io::{self, Read};

use crate::error::Result;
use crate::tar::blocks::{Blocks, SkippedBytes};
use crate::tar::padding;
use crate::tar::sparse::{Map, Run};

/// The rest of a member's content.
#[derive(Debug)]
pub(super) struct MemberContent {
    stored: u64,
    padding: usize,
    layout: ContentLayout,
}

/// How the stored bytes form what is read.
#[derive(Debug)]
pub(super) enum ContentLayout {
    /// They are skipped: the member is not a regular file.
    Hidden,
    /// They are the content.
    Dense,
    /// They are the content between the holes.
    Sparse(Map),
}

impl MemberContent {
    /// Makes the content of a member with `size` stored bytes by its header, of which `stored` are still to come.
    pub(super) fn new(size: u64, stored: u64, layout: ContentLayout) -> Self {
        MemberContent { stored, padding: padding(size), layout }
    }

    pub(super) fn read<R: Read>(&mut self, blocks: &mut Blocks<R>, buffer: &mut [u8]) -> io::Result<usize> {
        let run = match &self.layout {
            ContentLayout::Hidden => Run::End,
            ContentLayout::Dense => Run::Stored(self.stored),
            ContentLayout::Sparse(map) => map.run(),
        };
        let count = match run {
            Run::End | Run::Stored(0) => 0,
            Run::Hole(length) => {
                let count = limit(buffer, length);
                buffer[..count].fill(0);
                count
            }
            Run::Stored(length) => {
                let count = limit(buffer, length);
                let read = blocks.read(&mut buffer[..count])?;
                if read == 0 && count > 0 {
                    return Err(blocks.truncated().into());
                }
                self.stored -= read as u64;
                read
            }
        };
        if let ContentLayout::Sparse(map) = &mut self.layout {
            map.advance(count as u64);
        }
        Ok(count)
    }

    /// Skips what was not read, which must be there, and the padding, and returns what the padding was.
    pub(super) fn skip<R: Read>(self, blocks: &mut Blocks<R>) -> Result<SkippedBytes> {
        blocks.skip_whole(self.stored)?;
        blocks.skip(self.padding as u64)
    }
}

fn limit(buffer: &[u8], length: u64) -> usize {
    buffer.len().min(usize::try_from(length).unwrap_or(usize::MAX))
}
