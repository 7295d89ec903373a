//! Open directories, so that each name is looked up relative to its own.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, CWD};
use rustix::io::{retry_on_intr, Errno};

use crate::error::{Error, IoContext, Result};
use crate::tree::TarPath;

/// The directories of a tree on disk, open as far as they are near to the one that was asked for last.
///
/// A name is looked up in the directory that holds it, and each directory in the one above it: no symbolic link is
/// followed below the root, whatever is put in a directory's place, and no path is too long for the system.
#[derive(Debug)]
pub(crate) struct Directories {
    path: PathBuf,
    /// How messages call the root.
    shown: PathBuf,
    root: OwnedFd,
    /// From the outermost to the innermost, each below the one before it.
    open: VecDeque<(TarPath, OwnedFd)>,
}

/// So many directories are open beside the root. Beyond this depth the outer ones are closed, and opened again on the
/// way back.
const MOST_OPEN: usize = 64;

/// The system takes no path of 4096 bytes, and pseudo puts its own before it.
const LONGEST: usize = 3500;

const READ: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// An error about reading a tree, with what to do about a place that only root can read.
pub(super) fn with_way_to_read(error: Error, root: &Path) -> Error {
    let Error::Io { action: "open" | "list" | "read", cause, .. } = &error else { return error };
    if cause.kind() != io::ErrorKind::PermissionDenied {
        return error;
    }
    let root = root.to_string_lossy();
    let root = shell_words::quote(root.trim_end_matches('/'));
    let hint = format!(
        "run as root, or let root pack it, and build from the archive: \
         `tar --numeric-owner --xattrs -C {root} -cf rootfs.tar .`"
    );
    error.advising(hint)
}

impl Directories {
    /// Those below a directory, or below the one that a link leads to.
    pub(crate) fn below(root: &Path) -> Result<Self> {
        Directories::below_shown_as(root, root)
    }

    /// Those below a directory that messages call by another name.
    pub(crate) fn below_shown_as(root: &Path, shown: &Path) -> Result<Self> {
        let opened = retry_on_intr(|| rustix::fs::openat(CWD, root, READ, Mode::empty()));
        let opened = opened.map_err(Into::into).at("open", shown)?;
        Ok(Directories { path: root.into(), shown: shown.into(), root: opened, open: VecDeque::new() })
    }

    /// How messages call the root.
    pub(super) fn shown(&self) -> &Path {
        &self.shown
    }

    /// How messages call a path.
    pub(crate) fn show(&self, path: &TarPath) -> PathBuf {
        path.below(&self.shown)
    }

    /// A directory.
    pub(crate) fn at(&mut self, directory: &TarPath) -> Result<BorrowedFd<'_>> {
        while self.open.back().is_some_and(|(open, _)| !directory.starts_with(open)) {
            self.open.pop_back();
        }
        let mut above = self.open.back().map_or_else(TarPath::root, |(open, _)| open.clone());
        let below = directory.as_bytes().get(above.as_bytes().len()..).unwrap_or_default();
        for name in below.split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
            let fd = self.open.back().map_or(self.root.as_fd(), |(_, fd)| fd.as_fd());
            let path = above.join(name);
            let opened = retry_on_intr(|| rustix::fs::openat(fd, name, READ | OFlags::NOFOLLOW, Mode::empty()));
            let opened = match opened {
                Err(Errno::NOTDIR | Errno::LOOP) => return Err(self.changed(&path)),
                opened => opened.map_err(Into::into).at("open", &self.show(&path))?,
            };
            if self.open.len() == MOST_OPEN {
                self.open.pop_front();
            }
            self.open.push_back((path.clone(), opened));
            above = path;
        }
        Ok(self.open.back().map_or(self.root.as_fd(), |(_, fd)| fd.as_fd()))
    }

    /// The directory that holds a path.
    pub(crate) fn holding(&mut self, path: &TarPath) -> Result<BorrowedFd<'_>> {
        self.at(&path.parent().unwrap_or_else(TarPath::root))
    }

    /// A path for those calls that know no directory in which a name is looked up: for extended attributes.
    pub(crate) fn reach(&mut self, path: &TarPath) -> Result<PathBuf> {
        let plain = path.below(&self.path);
        if plain.as_os_str().len() <= LONGEST {
            return Ok(plain);
        }
        let holding = self.holding(path)?.as_raw_fd().to_string();
        Ok(["/proc/self/fd", &holding].iter().collect::<PathBuf>().join(OsStr::from_bytes(path.file_name())))
    }

    /// Closes a directory, and all below it, before it is removed.
    pub(crate) fn close(&mut self, directory: &TarPath) {
        self.open.retain(|(open, _)| !open.starts_with(directory));
    }

    fn changed(&self, path: &TarPath) -> Error {
        Error::Mismatch {
            subject: format!("`{}`", self.show(path).display()),
            what: "directory changed while it was read: type",
            expected: "directory".to_owned(),
            found: "something else".to_owned(),
        }
    }
}
