//! Something on disk whose metadata is set.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{fchown, lchown, PermissionsExt};
use std::path::Path;

use rustix::fs::{AtFlags, Timespec, Timestamps, XattrFlags, CWD};

use crate::tree::Mtime;

/// An inode on disk, by the way in which it is reached.
#[derive(Clone, Copy, Debug)]
pub(super) enum Inode<'a> {
    /// An open regular file.
    File(&'a File),
    /// A directory.
    Directory(&'a Path),
    /// A device or a pipe.
    Special(&'a Path),
    /// A symbolic link, which has no mode.
    Symlink(&'a Path),
}

/// A filesystem with more blocks and inodes left than this is not full.
const SPARE_BLOCKS: u64 = 64;

impl Inode<'_> {
    pub(super) fn set_owner(self, uid: u32, gid: u32) -> io::Result<()> {
        match self {
            Inode::File(file) => fchown(file, Some(uid), Some(gid)),
            Inode::Directory(path) | Inode::Special(path) | Inode::Symlink(path) => lchown(path, Some(uid), Some(gid)),
        }
    }

    pub(super) fn set_xattr(self, name: &[u8], value: &[u8]) -> io::Result<()> {
        match self {
            Inode::File(file) => rustix::fs::fsetxattr(file, name, value, XattrFlags::empty())?,
            Inode::Directory(path) | Inode::Special(path) | Inode::Symlink(path) => {
                rustix::fs::lsetxattr(path, name, value, XattrFlags::empty())?;
            }
        }
        Ok(())
    }

    /// Whether there is room on the filesystem.
    pub(super) fn has_room(self) -> bool {
        let stat = match self {
            Inode::File(file) => rustix::fs::fstatvfs(file),
            Inode::Directory(path) | Inode::Special(path) => rustix::fs::statvfs(path),
            Inode::Symlink(path) => rustix::fs::statvfs(path.parent().unwrap_or(path)),
        };
        stat.is_ok_and(|stat| stat.f_bavail > SPARE_BLOCKS && (stat.f_files == 0 || stat.f_favail > SPARE_BLOCKS))
    }

    pub(super) fn set_mode(self, mode: u16) -> io::Result<()> {
        let permissions = Permissions::from_mode(mode.into());
        match self {
            Inode::File(file) => file.set_permissions(permissions),
            Inode::Directory(path) | Inode::Special(path) => fs::set_permissions(path, permissions),
            Inode::Symlink(_) => Ok(()),
        }
    }

    /// Sets both times of the entry, so that the clock is never read.
    pub(super) fn set_time(self, mtime: Mtime) -> io::Result<()> {
        let time = Timespec { tv_sec: mtime.seconds(), tv_nsec: mtime.nanoseconds().into() };
        let times = Timestamps { last_access: time, last_modification: time };
        match self {
            Inode::File(file) => rustix::fs::futimens(file, &times)?,
            Inode::Directory(path) | Inode::Special(path) | Inode::Symlink(path) => {
                rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?;
            }
        }
        Ok(())
    }
}
