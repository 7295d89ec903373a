//! Extended attributes, through libc's symbols: pseudo and fakeroot intercept only those.

use std::io;
use std::path::Path;

use rustix::io::Errno;

use crate::error::{IoContext, Result};
use crate::tree::{Globs, Xattrs};

/// Which attributes are part of an image.
#[derive(Clone, Debug, Default)]
pub enum XattrPolicy {
    /// All but those that describe the build host rather than the image: `security.selinux`, `system.nfs4_acl`,
    /// `trusted.overlay.*`.
    #[default]
    Portable,
    /// Those whose names match.
    Matching(Globs),
    /// None; they are not even read.
    None,
}

impl XattrPolicy {
    /// Returns whether an attribute of this name is kept.
    pub fn keeps(&self, name: &[u8]) -> bool {
        match self {
            XattrPolicy::Portable => {
                !matches!(name, b"security.selinux" | b"system.nfs4_acl") && !name.starts_with(b"trusted.overlay.")
            }
            XattrPolicy::Matching(globs) => globs.matches_name(name),
            XattrPolicy::None => false,
        }
    }
}

/// The attributes of a name, of the link itself where it is one; messages call it `shown`. Values may hold any bytes.
pub(crate) fn read(path: &Path, shown: &Path, policy: &XattrPolicy) -> Result<Xattrs> {
    if matches!(policy, XattrPolicy::None) {
        return Ok(Xattrs::new());
    }
    let list = match grow(|buffer| rustix::fs::llistxattr(path, buffer)) {
        // Not every filesystem supports attributes.
        Err(Errno::NOTSUP) => return Ok(Xattrs::new()),
        list => list.map_err(io::Error::from).at("list the attributes of", shown)?,
    };
    let mut xattrs = Xattrs::new();
    for name in list.split(|byte| *byte == 0).filter(|name| !name.is_empty() && policy.keeps(name)) {
        let value = match grow(|buffer| rustix::fs::lgetxattr(path, name, buffer)) {
            // Removed between the two calls.
            Err(Errno::NODATA) => continue,
            value => value.map_err(io::Error::from).at("read the attributes of", shown)?,
        };
        xattrs.insert(name.to_vec(), value.into());
    }
    Ok(xattrs)
}

/// Calls with a larger buffer until the answer fits.
///
/// If the buffer is too short, the kernel fails with ERANGE, while pseudo fills it and returns the length that it would
/// have needed: a length beyond the buffer must never be used to slice it.
fn grow(mut call: impl FnMut(&mut [u8]) -> Result<usize, Errno>) -> Result<Vec<u8>, Errno> {
    let mut small = [0; 256];
    let mut needed = match call(&mut small) {
        Ok(length) if length <= small.len() => return Ok(small[..length].to_vec()),
        Ok(length) => length,
        Err(Errno::RANGE) => small.len() * 16,
        Err(errno) => return Err(errno),
    };
    // The kernel's limit for one value and for one list is 64 KiB; anything that asks for far more is broken.
    while needed <= 1 << 20 {
        let mut buffer = vec![0; needed];
        match call(&mut buffer) {
            Ok(length) if length <= buffer.len() => {
                buffer.truncate(length);
                return Ok(buffer);
            }
            Ok(length) => needed = length,
            Err(Errno::RANGE) => needed *= 2,
            Err(errno) => return Err(errno),
        }
    }
    Err(Errno::TOOBIG)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_with_the_kernel_and_with_pseudo() {
        let value = vec![7_u8; 5000];
        for beyond_is_an_error in [true, false] {
            let read = grow(|buffer| {
                let fits = buffer.len().min(value.len());
                buffer[..fits].copy_from_slice(&value[..fits]);
                if fits < value.len() && beyond_is_an_error {
                    Err(Errno::RANGE)
                } else {
                    Ok(value.len())
                }
            });
            assert_eq!(read, Ok(value.clone()));
        }
        assert_eq!(grow(|_| Ok(usize::MAX)), Err(Errno::TOOBIG));
        assert_eq!(grow(|_| Err(Errno::RANGE)), Err(Errno::TOOBIG));
        assert_eq!(grow(|_| Ok(0)), Ok(vec![]));
    }

    #[test]
    fn what_leaks_from_the_host_is_left_out() {
        let only_user = XattrPolicy::Matching(Globs::parse(["user.*"]).unwrap());
        for (name, portable, user) in [
            ("security.capability", true, false),
            ("security.selinux", false, false),
            ("security.selinux.x", true, false),
            ("system.nfs4_acl", false, false),
            ("system.posix_acl_access", true, false),
            ("trusted.overlay.opaque", false, false),
            ("user.a.b", true, true),
        ] {
            assert_eq!(XattrPolicy::Portable.keeps(name.as_bytes()), portable, "{name}");
            assert_eq!(only_user.keeps(name.as_bytes()), user, "{name}");
            assert!(!XattrPolicy::None.keeps(name.as_bytes()));
        }
    }
}
