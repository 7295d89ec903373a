//! Owner, attributes, mode and time, in this order: a new owner takes setuid and capabilities away, and a file that may
//! no longer be written takes no attributes.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{fchown, lchown, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Timespec, Timestamps, XattrFlags, CWD};
use rustix::io::Errno;

use crate::error::{Error, IoContext, Result};
use crate::hint::{Hint, OptionName};
use crate::ops::unpack::xattr::{why_not, Why};
use crate::ops::unpack::Rights;
use crate::tree::{Kind, Metadata, Mtime, XattrPolicy};

/// Something that the image has and that could not be set or made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LeftOut {
    Owner {
        uid: u32,
        gid: u32,
    },
    /// A mode with setuid or setgid, for an owner that could not be set.
    SetId {
        mode: u16,
    },
    /// A device or a pipe.
    Special(Kind),
    Xattr {
        name: Box<[u8]>,
        why: Why,
    },
    /// An attribute that describes the host where the image was made.
    HostXattr(Box<[u8]>),
}

/// What is dressed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place<'a> {
    /// An open regular file.
    File(&'a File),
    /// A directory.
    Directory(&'a Path),
    /// A device or a pipe.
    Special(&'a Path),
    /// A symbolic link, which has no mode.
    Symlink(&'a Path),
}

/// Sets all metadata. Returns what could not be set: what nobody could set here, and with [`Rights::Rootless`] what this
/// user must not set.
pub(super) fn dress(
    place: Place<'_>,
    metadata: &Metadata,
    rights: Rights,
    shown: impl Fn() -> PathBuf,
) -> Result<Vec<LeftOut>> {
    let Metadata { mode, uid, gid, mtime, xattrs } = metadata;
    let mut left_out = Vec::new();
    let mut mode = *mode;
    if let Err(error) = place.set_owner(*uid, *gid) {
        if rights == Rights::Full || !is_refusal(&error) {
            return Err(failure("set the owner of", &shown(), error));
        }
        left_out.push(LeftOut::Owner { uid: *uid, gid: *gid });
        // Whoever runs such a file would get the rights of the user who unpacked it.
        if let (Place::File(_), true) = (place, mode & SET_ID != 0) {
            left_out.push(LeftOut::SetId { mode });
            mode &= !SET_ID;
        }
    }
    for (name, value) in xattrs {
        if !XattrPolicy::Portable.keeps(name) {
            left_out.push(LeftOut::HostXattr(name.as_slice().into()));
        } else if let Err(error) = place.set_xattr(name, value) {
            let why = match why_not(place, name, value, error) {
                Ok(why) => why,
                Err(error) if rights == Rights::Rootless && is_refusal(&error) => Why::Rights,
                Err(error) => {
                    let name = PathBuf::from(String::from_utf8_lossy(name).into_owned());
                    let error = failure("set the attribute", &name, error);
                    let kind = error.kind();
                    let message = format!("`{}`: {error}", shown().display());
                    return Err(match error.hint() {
                        Some(hint) => Error::refused_with_hint(message, hint),
                        None => Error::refused(message),
                    }
                    .of_kind(kind));
                }
            };
            left_out.push(LeftOut::Xattr { name: name.as_slice().into(), why });
        }
    }
    place.set_mode(mode).map_err(|error| failure("set the mode of", &shown(), error))?;
    place.set_time(*mtime).map_err(|error| failure("set the time of", &shown(), error))?;
    Ok(left_out)
}

const SET_ID: u16 = 0o6000;

/// With so many blocks and inodes left, a filesystem is not full.
const SPARE_BLOCKS: u64 = 64;

/// An error, with a hint if it is about rights.
pub(super) fn failure(action: &'static str, path: &Path, cause: io::Error) -> Error {
    let is_refusal = is_refusal(&cause);
    match Err::<(), _>(cause).at(action, path) {
        Err(error) if is_refusal => Error::refused_with_hint(
            error.to_string(),
            Hint::from("run it as root, or under pseudo or fakeroot; with ")
                .option(OptionName::Rootless)
                .text(", what cannot be set is left out and listed"),
        ),
        Err(error) => error,
        Ok(()) => unreachable!("an error was given"),
    }
}

/// Whether the system would have done it for somebody else, in another user namespace or on another filesystem: an id
/// that a namespace does not map is EINVAL.
fn is_refusal(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::PERM | Errno::INVAL | Errno::NOTSUP))
}

impl Place<'_> {
    fn set_owner(self, uid: u32, gid: u32) -> io::Result<()> {
        match self {
            Place::File(file) => fchown(file, Some(uid), Some(gid)),
            Place::Directory(path) | Place::Special(path) | Place::Symlink(path) => lchown(path, Some(uid), Some(gid)),
        }
    }

    fn set_xattr(self, name: &[u8], value: &[u8]) -> io::Result<()> {
        match self {
            Place::File(file) => rustix::fs::fsetxattr(file, name, value, XattrFlags::empty())?,
            Place::Directory(path) | Place::Special(path) | Place::Symlink(path) => {
                rustix::fs::lsetxattr(path, name, value, XattrFlags::empty())?;
            }
        }
        Ok(())
    }

    /// Whether there is room on the filesystem.
    pub(super) fn has_room(self) -> bool {
        let stat = match self {
            Place::File(file) => rustix::fs::fstatvfs(file),
            Place::Directory(path) | Place::Special(path) => rustix::fs::statvfs(path),
            Place::Symlink(path) => rustix::fs::statvfs(path.parent().unwrap_or(path)),
        };
        stat.is_ok_and(|stat| stat.f_bavail > SPARE_BLOCKS && (stat.f_files == 0 || stat.f_favail > SPARE_BLOCKS))
    }

    fn set_mode(self, mode: u16) -> io::Result<()> {
        let permissions = Permissions::from_mode(mode.into());
        match self {
            Place::File(file) => file.set_permissions(permissions),
            Place::Directory(path) | Place::Special(path) => fs::set_permissions(path, permissions),
            Place::Symlink(_) => Ok(()),
        }
    }

    /// Sets both times of the entry: the clock is never read.
    fn set_time(self, mtime: Mtime) -> io::Result<()> {
        let time = Timespec { tv_sec: mtime.seconds(), tv_nsec: mtime.nanoseconds().into() };
        let times = Timestamps { last_access: time, last_modification: time };
        match self {
            Place::File(file) => rustix::fs::futimens(file, &times)?,
            Place::Directory(path) | Place::Special(path) | Place::Symlink(path) => {
                rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?;
            }
        }
        Ok(())
    }
}
