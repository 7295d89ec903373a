use std::io::{self, Read};

use crate::error::Result;
use crate::tar::blocks::{Blocks, Skipped};
use crate::tar::padding;
use crate::tar::sparse::{Map, Run};

/// What is left of the content of a member.
#[derive(Debug)]
pub(super) struct Content {
    stored: u64,
    padding: usize,
    layout: Layout,
}

/// How the stored bytes make up what is read.
#[derive(Debug)]
pub(super) enum Layout {
    /// They are passed over: the member is no regular file.
    Hidden,
    /// They are the content.
    Dense,
    /// They are the content between its holes.
    Sparse(Map),
}

impl Content {
    /// Of a member that says it has `size` stored bytes, `stored` of which are still to come.
    pub(super) fn new(size: u64, stored: u64, layout: Layout) -> Self {
        Content { stored, padding: padding(size), layout }
    }

    pub(super) fn read<R: Read>(&mut self, blocks: &mut Blocks<R>, buffer: &mut [u8]) -> io::Result<usize> {
        let run = match &self.layout {
            Layout::Hidden => Run::End,
            Layout::Dense => Run::Stored(self.stored),
            Layout::Sparse(map) => map.run(),
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
        if let Layout::Sparse(map) = &mut self.layout {
            map.advance(count as u64);
        }
        Ok(count)
    }

    /// Passes over what was not read, which must be there, and over the padding, and says what that was.
    pub(super) fn skip<R: Read>(self, blocks: &mut Blocks<R>) -> Result<Skipped> {
        blocks.skip_whole(self.stored)?;
        blocks.skip(self.padding as u64)
    }
}

fn limit(buffer: &[u8], length: u64) -> usize {
    buffer.len().min(usize::try_from(length).unwrap_or(usize::MAX))
}
