//! Looks into files of the tree: `etc/passwd` may be a symbolic link like any other.

use std::fs::File;

use crate::error::Result;
use crate::ops::unpack::disk::{Disk, OnDisk};
use crate::tree::TarPath;

/// How many symbolic links may be on the way to a file; the same number as the kernel's.
const MAX_LINKS: usize = 40;

impl Disk {
    /// Opens a regular file, or returns `None` if there is none. Symbolic links on the way are resolved here, step by
    /// step in the map of what is on disk, as a process would whose root is the tree's: nothing leads out.
    pub(super) fn open(&mut self, path: &TarPath) -> Result<Option<File>> {
        let mut reached = TarPath::root();
        // The rest of the path, the next component last.
        let mut ahead = reversed(path.as_bytes());
        let mut links = 0;
        while let Some(component) = ahead.pop() {
            let next = match &*component {
                b"" | b"." => continue,
                b".." => {
                    reached = reached.parent().unwrap_or(reached);
                    continue;
                }
                component => reached.join(component),
            };
            match self.nodes.get(&next).map(|node| &node.on_disk) {
                Some(OnDisk::Directory(_)) => reached = next,
                Some(OnDisk::File) if ahead.is_empty() => {
                    return self.open_file(&next).map(Some);
                }
                Some(OnDisk::Symlink) if links < MAX_LINKS => {
                    links += 1;
                    let target = self.read_link(&next)?;
                    if target.starts_with(b"/") {
                        reached = TarPath::root();
                    }
                    ahead.extend(reversed(&target));
                }
                _ => return Ok(None),
            }
        }
        Ok(None)
    }
}

fn reversed(path: &[u8]) -> Vec<Box<[u8]>> {
    path.split(|byte| *byte == b'/').rev().map(Into::into).collect()
}
