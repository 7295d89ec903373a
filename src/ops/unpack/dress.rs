//! Sets owner, attributes, mode and time, in this order: a new owner clears setuid and capabilities, and a file that is
//! no longer writable takes no attributes.

use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use crate::error::{Error, IoContext, Result};
use crate::hint::{Hint, OptionName};
use crate::ops::unpack::inode::Inode;
use crate::ops::unpack::xattr::{why_not, Why};
use crate::ops::unpack::Rights;
use crate::tree::{Kind, Metadata, Mtime, ParsedXattr, XattrPolicy};

/// Something in the image that could not be set or made.
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
    /// A time that the filesystem cannot hold.
    Time(Mtime),
}

/// Sets all metadata. Returns what could not be set: what no user could set here and, with [`Rights::Rootless`], what
/// this user may not set.
pub(super) fn dress(
    place: Inode<'_>,
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
        // Otherwise such a file would run with the rights of the user who unpacked it.
        if let (Inode::File(_), true) = (place, mode & SET_ID != 0) {
            left_out.push(LeftOut::SetId { mode });
            mode &= !SET_ID;
        }
    }
    for (name, value) in xattrs {
        if !XattrPolicy::Portable.keeps(name) {
            left_out.push(LeftOut::HostXattr(name.as_slice().into()));
        } else if value.is_empty() && !ParsedXattr::is_valid(name, value) {
            // The kernel takes it, and does not run the file any more.
            left_out.push(LeftOut::Xattr { name: name.as_slice().into(), why: Why::Value });
        } else if let Err(error) = place.set_xattr(name, value) {
            let why = match why_not(place, name, value, error) {
                Ok(why) => why,
                Err(error) if rights == Rights::Rootless && is_refusal(&error) => Why::Rights,
                Err(error) => {
                    let name = PathBuf::from(String::from_utf8_lossy(name).into_owned());
                    let error = failure("set the attribute", &name, error);
                    return Err(error.about(format!("`{}`", shown().display())));
                }
            };
            left_out.push(LeftOut::Xattr { name: name.as_slice().into(), why });
        }
    }
    place.set_mode(mode).map_err(|error| failure("set the mode of", &shown(), error))?;
    place.set_time(*mtime).map_err(|error| failure("set the time of", &shown(), error))?;
    if !EVERYWHERE.contains(&mtime.seconds())
        && !place.has_time(*mtime).map_err(|error| failure("read the time of", &shown(), error))?
    {
        left_out.push(LeftOut::Time(*mtime));
    }
    Ok(left_out)
}

/// Times that every filesystem holds, from 1970 to 2038. Others are looked at again, since the kernel sets the nearest
/// that the filesystem can hold and says nothing.
const EVERYWHERE: RangeInclusive<i64> = 0..=0x7fff_ffff;

const SET_ID: u16 = 0o6000;

/// Returns the error, with a hint if it is about rights.
pub(super) fn failure(action: &'static str, path: &Path, cause: io::Error) -> Error {
    let is_refusal = is_refusal(&cause);
    match Err::<(), _>(cause).at(action, path) {
        Err(error) if is_refusal => error.advising(
            Hint::from("run it as root, or under pseudo or fakeroot; with ")
                .option(OptionName::Rootless)
                .text(", what cannot be set is left out and listed"),
        ),
        Err(error) => error,
        Ok(()) => unreachable!("an error was given"),
    }
}

/// Whether another user, user namespace or filesystem could have allowed it: an id that a namespace does not map is
/// EINVAL.
fn is_refusal(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::PERM | Errno::INVAL | Errno::NOTSUP))
}
