//! Something on disk whose metadata is set.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::{fchown, PermissionsExt};
use std::path::Path;

use rustix::fs::{AtFlags, Gid, Timespec, Timestamps, Uid, XattrFlags};

use crate::tree::Mtime;

/// An inode on disk, by the way in which it is reached.
#[derive(Clone, Copy, Debug)]
pub(super) enum Inode<'a> {
    /// An open regular file.
    File(&'a File),
    /// Something else.
    Named(NamedKind, InodeName<'a>),
}

/// What is reached by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NamedKind {
    Directory,
    /// A device or a pipe.
    Special,
    /// A symbolic link, which has no mode.
    Symlink,
}

/// A name in a directory.
#[derive(Clone, Copy, Debug)]
pub(super) struct InodeName<'a> {
    /// The directory.
    pub(super) holding: BorrowedFd<'a>,
    pub(super) name: &'a [u8],
    /// A path for the calls that do not look a name up in a directory.
    pub(super) reached: &'a Path,
}

/// A filesystem with more blocks and inodes left than this is not full.
const SPARE_BLOCKS: u64 = 64;

impl Inode<'_> {
    pub(super) fn set_owner(self, uid: u32, gid: u32) -> io::Result<()> {
        match self {
            Inode::File(file) => fchown(file, Some(uid), Some(gid)),
            Inode::Named(_, named) => {
                let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
                let flags = AtFlags::SYMLINK_NOFOLLOW;
                Ok(rustix::fs::chownat(named.holding, named.name, Some(uid), Some(gid), flags)?)
            }
        }
    }

    pub(super) fn set_xattr(self, name: &[u8], value: &[u8]) -> io::Result<()> {
        match self {
            Inode::File(file) => rustix::fs::fsetxattr(file, name, value, XattrFlags::empty())?,
            Inode::Named(_, named) => {
                rustix::fs::lsetxattr(named.reached, name, value, XattrFlags::empty())?;
            }
        }
        Ok(())
    }

    /// Whether there is room on the filesystem.
    pub(super) fn has_room(self) -> bool {
        let stat = match self {
            Inode::File(file) => rustix::fs::fstatvfs(file),
            Inode::Named(_, named) => rustix::fs::fstatvfs(named.holding),
        };
        stat.is_ok_and(|stat| stat.f_bavail > SPARE_BLOCKS && (stat.f_files == 0 || stat.f_favail > SPARE_BLOCKS))
    }

    pub(super) fn set_mode(self, mode: u16) -> io::Result<()> {
        let permissions = Permissions::from_mode(mode.into());
        match self {
            Inode::File(file) => file.set_permissions(permissions),
            Inode::Named(NamedKind::Symlink, _) => Ok(()),
            // rustix makes `fchmodat` a system call, which pseudo and fakeroot do not intercept.
            Inode::Named(_, named) => fs::set_permissions(named.reached, permissions),
        }
    }

    /// Sets both times of the entry, so that the clock is never read.
    pub(super) fn set_time(self, mtime: Mtime) -> io::Result<()> {
        let time = Timespec { tv_sec: mtime.seconds(), tv_nsec: mtime.nanoseconds().into() };
        let times = Timestamps { last_access: time, last_modification: time };
        match self {
            Inode::File(file) => rustix::fs::futimens(file, &times)?,
            Inode::Named(_, named) => {
                rustix::fs::utimensat(named.holding, named.name, &times, AtFlags::SYMLINK_NOFOLLOW)?;
            }
        }
        Ok(())
    }

    /// Returns whether the entry has this time, which the filesystem may have replaced by the nearest that it can hold.
    // The types of the times differ from one architecture to the next.
    #[allow(clippy::unnecessary_cast, clippy::cast_sign_loss)]
    pub(super) fn has_time(self, mtime: Mtime) -> io::Result<bool> {
        let stat = match self {
            Inode::File(file) => rustix::fs::fstat(file)?,
            Inode::Named(_, named) => rustix::fs::statat(named.holding, named.name, AtFlags::SYMLINK_NOFOLLOW)?,
        };
        Ok(Mtime::new(stat.st_mtime as i64, stat.st_mtime_nsec as u32) == Some(mtime))
    }
}
