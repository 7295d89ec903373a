//! The names of files in the directory, and how they are opened.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{utimensat, AtFlags, OFlags, Timespec, Timestamps, CWD, UTIME_NOW, UTIME_OMIT};

/// The directory of compressed blocks.
pub(super) const BLOBS: &str = "blobs";
/// The suffix of a list of blocks.
pub(super) const LIST: &str = ".blocks";
/// The suffix of a list of a layer's entries.
pub(super) const CHANGESET: &str = ".changeset";

/// Where the list of a file is.
pub(crate) fn list_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(LIST);
    name.into()
}

/// The flags for `open`, in the type that it takes: they refuse links and do not block.
#[allow(clippy::cast_possible_wrap)]
const FILE_ALONE: i32 = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).bits() as i32;

/// Opens a regular file that is not a link. Returns it with its size.
pub(crate) fn open_file(path: &Path) -> Option<(File, u64)> {
    let file = OpenOptions::new().read(true).custom_flags(FILE_ALONE).open(path).ok()?;
    let metadata = file.metadata().ok().filter(fs::Metadata::is_file)?;
    Some((file, metadata.size()))
}

/// Marks a file as just used. If that fails, it is only pruned earlier.
pub(super) fn touch(path: &Path) {
    let of = |tv_nsec| Timespec { tv_sec: 0, tv_nsec };
    let times = Timestamps { last_access: of(UTIME_OMIT), last_modification: of(UTIME_NOW) };
    let _ = utimensat(CWD, path, &times, AtFlags::empty());
}
