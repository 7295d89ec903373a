//! Attributes that cannot be set, and those that the filesystem sets by itself.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::io::Errno;

use crate::error::{IoContext, Result};
use crate::ops::unpack::inode::{Inode, NamedKind};
use crate::tree::{self, ParsedXattr, XattrPolicy, ACCESS_ACL, DEFAULT_ACL};

/// Why an attribute is not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Why {
    /// This user may not set it.
    Rights,
    /// The filesystem has no attributes, or none of such a name.
    Filesystem,
    /// No kernel takes it on an entry of this kind.
    Kind,
    /// No kernel takes this value or name.
    Value,
    /// It does not fit.
    Size,
}

/// Returns why no user could set an attribute here. If some user could, the error is returned: it is about this user's
/// rights, or about the disk.
pub(super) fn why_not(place: Inode<'_>, name: &[u8], value: &[u8], error: io::Error) -> io::Result<Why> {
    let Some(errno) = Errno::from_io_error(&error) else { return Err(error) };
    let is_of_user = name.starts_with(b"user.");
    let is_acl = matches!(name, ACCESS_ACL | DEFAULT_ACL);
    match errno {
        // acl(5): a link has none.
        Errno::NOTSUP if is_acl && matches!(place, Inode::Named(NamedKind::Symlink, _)) => Ok(Why::Kind),
        // The kernel says so of a version that it does not know, too.
        Errno::NOTSUP if is_acl && ParsedXattr::parse(name, value).is_none() => Ok(Why::Value),
        Errno::NOTSUP => Ok(Why::Filesystem),
        // xattr(7): a link's permissions, and a device's, say nothing about its attributes.
        Errno::PERM if is_of_user && matches!(place, Inode::Named(NamedKind::Special | NamedKind::Symlink, _)) => {
            Ok(Why::Kind)
        }
        Errno::ACCESS if name == DEFAULT_ACL && !matches!(place, Inode::Named(NamedKind::Directory, _)) => {
            Ok(Why::Kind)
        }
        // Values with ids may name some that the user namespace does not map.
        Errno::INVAL if ParsedXattr::parse(name, value).map_or(true, |parsed| parsed.ids().is_empty()) => {
            Ok(Why::Value)
        }
        Errno::RANGE | Errno::TOOBIG => Ok(Why::Size),
        // On several filesystems the attributes of an inode must fit into one block.
        Errno::NOSPC if place.has_room() => Ok(Why::Size),
        _ => Err(error),
    }
}

/// Removes from a new directory what it has inherited, so that what is made in it inherits nothing: above all default
/// ACLs, which override the umask. What a security module put there stays. Then only its owner can enter the directory.
pub(super) fn disinherit(directory: &Path, shown: &Path) -> Result<()> {
    let inherited = tree::read_xattrs(directory, shown, &XattrPolicy::Portable)?;
    for name in inherited.keys().filter(|name| !name.starts_with(b"security.")) {
        let removed = rustix::fs::lremovexattr(directory, name.as_slice());
        // Some filesystems list what cannot be removed; an ACL always can.
        if matches!(name.as_slice(), ACCESS_ACL | DEFAULT_ACL) {
            removed.map_err(io::Error::from).at("remove the inherited ACL of", shown)?;
        }
    }
    fs::set_permissions(directory, Permissions::from_mode(0o700)).at("set the mode of", shown)
}
