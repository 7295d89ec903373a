//! Whether a file is still the one that was scanned. This is the one place that asks the kernel directly.

use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{FileType, Stat};

use crate::error::{Error, IoContext, Result};
use crate::tree::Mtime;

/// What a file is held to from its scan until it was read, besides the size that its entry has.
///
/// Not its ctime or link count, which change where others link to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    inode: u64,
    mtime: Mtime,
    /// Linux has 32 bits for it; `stat` has room for more.
    device: u32,
}

/// Takes these fields from a `stat`: that of libc and that of the kernel are of different types.
macro_rules! seen {
    ($stat:expr) => {{
        let stat = $stat;
        let is_file = FileType::from_raw_mode(stat.st_mode as _) == FileType::RegularFile;
        let mtime = Mtime::new(stat.st_mtime as i64, stat.st_mtime_nsec as u32);
        mtime.filter(|_| is_file).map(|mtime| Seen { inode: stat.st_ino as u64, mtime, device: stat.st_dev as u32 })
    }};
}

// The types of the fields differ from one architecture to the next.
#[allow(clippy::unnecessary_cast, clippy::cast_sign_loss, clippy::cast_possible_truncation, clippy::cast_possible_wrap)]
impl Seen {
    /// A regular file, or `None` if it is something else.
    pub(super) fn of(stat: &Stat) -> Option<Self> {
        seen!(stat)
    }

    /// An error unless the open file is what it was, with this size.
    ///
    /// pseudo and fakeroot leave alone what is compared here, so this is the one place where the kernel is asked past
    /// them: under pseudo, their answer takes longer than to read a small file.
    pub(super) fn hold_open(&self, file: impl AsFd, size: u64, path: &Path) -> Result<()> {
        self.hold(kernel::fs::fstat(file), size, path)
    }

    /// An error unless the name in the directory still stands for what it was, with this size.
    pub(super) fn hold_name(&self, directory: impl AsFd, name: &[u8], size: u64, path: &Path) -> Result<()> {
        self.hold(kernel::fs::statat(directory, name, kernel::fs::AtFlags::SYMLINK_NOFOLLOW), size, path)
    }

    fn hold(&self, found: kernel::io::Result<kernel::fs::Stat>, size: u64, path: &Path) -> Result<()> {
        let found = found.map_err(Into::into).at("read the metadata of", path)?;
        let changed = |what, expected: String, found: String| {
            Err(Error::Mismatch { subject: format!("`{}`", path.display()), what, expected, found })
        };
        let found_size = found.st_size as u64;
        match seen!(found) {
            None => changed("file changed while it was read: type", "file".into(), "something else".into()),
            Some(found) if (found.inode, found.device) != (self.inode, self.device) => {
                let shown = |seen: &Seen| format!("{} of device {}", seen.inode, seen.device);
                changed("file changed while it was read: inode", shown(self), shown(&found))
            }
            Some(_) if found_size != size => {
                changed("file changed while it was read: size", size.to_string(), found_size.to_string())
            }
            Some(found) if found.mtime != self.mtime => {
                changed("file changed while it was read: mtime", self.mtime.to_string(), found.mtime.to_string())
            }
            Some(_) => Ok(()),
        }
    }
}
