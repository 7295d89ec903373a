//! The content of the current member while it is read, holes included.

use std::io::{self, Read};

use crate::error::Result;
use crate::tar::blocks::{Blocks, SkippedBytes};
use crate::tar::sparse::{Map, Run};
use crate::tar::{first_mut, padding};

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
                let zeros = first_mut(buffer, length);
                zeros.fill(0);
                zeros.len()
            }
            Run::Stored(length) => {
                let wanted = first_mut(buffer, length);
                let read = blocks.read(wanted)?;
                if read == 0 && !wanted.is_empty() {
                    return Err(blocks.truncated().into());
                }
                self.stored = self.stored.saturating_sub(read as u64);
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
