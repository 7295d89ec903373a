use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{FileType, Stat};

use crate::error::{Error, IoContext, Result};
use crate::tree::Mtime;

/// What a file is held to from its scan until it was read.
///
/// Not its ctime or link count, which change where others link to it. Packed, because there is one for each file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, packed(4))]
pub(super) struct Seen {
    device: u64,
    inode: u64,
    size: u64,
    mtime: Mtime,
}

/// Takes these fields from a `stat`: that of libc and that of the kernel are of different types.
macro_rules! seen {
    ($stat:expr) => {{
        let stat = $stat;
        let is_file = FileType::from_raw_mode(stat.st_mode as _) == FileType::RegularFile;
        let mtime = Mtime::new(stat.st_mtime as i64, stat.st_mtime_nsec as u32);
        mtime.filter(|_| is_file).map(|mtime| Seen {
            device: stat.st_dev as u64,
            inode: stat.st_ino as u64,
            size: stat.st_size as u64,
            mtime,
        })
    }};
}

// The types of the fields differ from one architecture to the next.
#[allow(clippy::unnecessary_cast, clippy::cast_sign_loss, clippy::cast_possible_wrap)]
impl Seen {
    /// A regular file, or `None` if it is something else.
    pub(super) fn of(stat: &Stat) -> Option<Self> {
        seen!(stat)
    }

    /// An error unless the open file is what it was.
    ///
    /// pseudo and fakeroot leave alone what is compared here, so this is the one place where the kernel is asked past them:
    /// under pseudo, their answer takes longer than to read a small file.
    pub(super) fn hold_open(&self, file: impl AsFd, path: &Path) -> Result<()> {
        self.hold(kernel::fs::fstat(file), path)
    }

    /// An error unless the name in the directory still stands for what it was.
    pub(super) fn hold_name(&self, directory: impl AsFd, name: &[u8], path: &Path) -> Result<()> {
        self.hold(kernel::fs::statat(directory, name, kernel::fs::AtFlags::SYMLINK_NOFOLLOW), path)
    }

    fn hold(&self, found: kernel::io::Result<kernel::fs::Stat>, path: &Path) -> Result<()> {
        let found = found.map_err(Into::into).at("read the metadata of", path)?;
        let changed = |what, expected: String, found: String| {
            Err(Error::Mismatch { subject: format!("`{}`", path.display()), what, expected, found })
        };
        match seen!(found) {
            None => changed("file changed while it was read: type", "file".into(), "something else".into()),
            Some(found) if found == *self => Ok(()),
            Some(found) => {
                // Copies, since nothing refers into what is packed.
                let Seen { device, inode, size, mtime } = *self;
                let (found_at, found_size, found_mtime) = ((found.device, found.inode), found.size, found.mtime);
                if found_at != (device, inode) {
                    let shown = |(device, inode): (u64, u64)| format!("{inode} of device {device}");
                    changed("file changed while it was read: inode", shown((device, inode)), shown(found_at))
                } else if found_size != size {
                    changed("file changed while it was read: size", size.to_string(), found_size.to_string())
                } else {
                    changed("file changed while it was read: mtime", mtime.to_string(), found_mtime.to_string())
                }
            }
        }
    }

    /// Its size when it was seen.
    pub(super) fn size(&self) -> u64 {
        self.size
    }
}
