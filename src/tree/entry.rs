//! Entries: what scans find, trees hold and layers store.

use std::ops::Deref;

use crate::tree::{Mtime, TarPath, Xattrs};

/// Something with a path: what a scan finds, a tree holds and a layer stores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its path in the image.
    pub path: TarPath,
    /// Owner, mode, time, attributes.
    pub metadata: Metadata,
    /// What it is.
    pub kind: Kind,
}

impl Entry {
    /// Returns whether it is a regular file that holds its content itself.
    pub fn is_file(&self) -> bool {
        matches!(self.kind, Kind::File { .. })
    }

    /// Returns the number of content bytes; zero for anything but a regular file.
    pub fn size(&self) -> u64 {
        match self.kind {
            Kind::File { size } => size,
            _ => 0,
        }
    }
}

/// What an entry has besides its content (image-spec, layer.md#file-attributes).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Permissions with setuid, setgid and sticky: `0o7777` at most, no type bits.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// When it was last changed.
    pub mtime: Mtime,
    /// Extended attributes, file capabilities among them.
    pub xattrs: Xattrs,
}

impl Metadata {
    /// Returns the metadata for a directory that is needed but not described.
    pub(crate) fn of_missing_directory(mtime: impl Into<Mtime>) -> Self {
        Metadata { mode: 0o755, mtime: mtime.into(), ..Metadata::default() }
    }
}

/// The types of entries that a layer can hold (image-spec, layer.md#file-types).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A regular file with its size in bytes.
    File {
        /// Size in bytes, holes included.
        size: u64,
    },
    /// A symbolic link.
    Symlink {
        /// The text of the link, as stored; never followed.
        target: LinkText,
    },
    /// Another name of a file elsewhere in the same tree.
    Hardlink {
        /// The name that holds the content; in a tree, the first in order.
        target: Box<TarPath>,
    },
    /// A character device.
    CharDevice(Device),
    /// A block device.
    BlockDevice(Device),
    /// A named pipe.
    Fifo,
}

impl Kind {
    /// Returns the type in one word: `directory`, `file`, `symlink`, `hardlink`, `char`, `block`, `fifo`.
    pub fn name(&self) -> &'static str {
        match self {
            Kind::Directory => "directory",
            Kind::File { .. } => "file",
            Kind::Symlink { .. } => "symlink",
            Kind::Hardlink { .. } => "hardlink",
            Kind::CharDevice(_) => "char",
            Kind::BlockDevice(_) => "block",
            Kind::Fifo => "fifo",
        }
    }

    /// Returns where a symbolic or hard link points, the latter with a leading slash, or `None` for anything else.
    pub fn target(&self) -> Option<Vec<u8>> {
        match self {
            Kind::Symlink { target } => Some(target.to_vec()),
            Kind::Hardlink { target } => Some([b"/", target.as_bytes()].concat()),
            _ => None,
        }
    }
}

/// The text of a symbolic link.
///
/// One pointer, as small as a size: most entries of a tree are no links, and have room for one all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkText(Box<Box<[u8]>>);

impl Deref for LinkText {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl From<&[u8]> for LinkText {
    fn from(text: &[u8]) -> Self {
        LinkText(Box::new(text.into()))
    }
}

impl From<Vec<u8>> for LinkText {
    fn from(text: Vec<u8>) -> Self {
        LinkText(Box::new(text.into()))
    }
}

/// The numbers of a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// The driver.
    pub major: u32,
    /// The device of that driver.
    pub minor: u32,
}

impl Device {
    /// The largest numbers that Linux has: 12 and 20 bits (`include/linux/kdev_t.h`).
    pub(crate) const LARGEST: Device = Device { major: (1 << 12) - 1, minor: (1 << 20) - 1 };

    /// Returns the device, or the reason why no kernel has it. Others would be another device when they are made.
    pub(crate) fn checked(major: u32, minor: u32) -> Result<Self, String> {
        let Device { major: most_major, minor: most_minor } = Device::LARGEST;
        if major > most_major || minor > most_minor {
            return Err(format!(
                "the device {major},{minor} is out of range: Linux has majors up to {most_major} and minors up to {most_minor}"
            ));
        }
        Ok(Device { major, minor })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::size_of;

    #[test]
    fn an_entry_is_small() {
        // Trees have millions. docs/performance.md says how much memory that takes.
        assert_eq!([size_of::<TarPath>(), size_of::<Metadata>(), size_of::<Kind>()], [16, 32, 16]);
        assert_eq!(size_of::<Entry>(), 64);
    }
}
