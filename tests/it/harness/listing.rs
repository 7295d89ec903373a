//! The content of a tree from any source: a fixture, a directory on disk, or a tar as read by a peer.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::sha256;

/// Entries by path. `PathBuf`s are ordered by components, as images are.
pub(crate) type Listing = BTreeMap<PathBuf, Node>;

/// One entry.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    pub(crate) what: What,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Whole seconds.
    pub(crate) mtime: i64,
    pub(crate) xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum What {
    Directory,
    File(File),
    Symlink(Vec<u8>),
    /// Another name of an earlier path.
    Hardlink(PathBuf),
    CharDevice(u32, u32),
    BlockDevice(u32, u32),
    Fifo,
}

/// The content of a file: its size, and its digest in hex.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct File {
    pub(crate) size: u64,
    pub(crate) sha256: String,
}

impl File {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        File { size: bytes.len() as u64, sha256: sha256(bytes) }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Node { mode, uid, gid, mtime, .. } = self;
        match &self.what {
            What::Directory => f.write_str("d"),
            What::File(File { size, sha256 }) => write!(f, "f {size} bytes {}…", &sha256[..8]),
            What::Symlink(text) => write!(f, "l -> {}", text.escape_ascii()),
            What::Hardlink(first) => write!(f, "h == {}", escaped(first)),
            What::CharDevice(major, minor) => write!(f, "c {major}:{minor}"),
            What::BlockDevice(major, minor) => write!(f, "b {major}:{minor}"),
            What::Fifo => f.write_str("p"),
        }?;
        write!(f, " {mode:04o} {uid}:{gid} @{mtime}")?;
        self.xattrs.iter().try_for_each(|(name, value)| write!(f, " {}={}", name.escape_ascii(), value.escape_ascii()))
    }
}

fn escaped(path: &Path) -> String {
    format!("/{}", path.as_os_str().as_bytes().escape_ascii())
}

/// Fails with the entries that differ, one per line.
#[track_caller]
pub(crate) fn assert_same(expected: &Listing, found: &Listing, who: &str) {
    let mut differences = String::new();
    let paths: std::collections::BTreeSet<_> = expected.keys().chain(found.keys()).collect();
    for path in paths {
        let (wanted, got) = (expected.get(path), found.get(path));
        if wanted != got {
            let text = |node: Option<&Node>| node.map_or("(nothing)".to_owned(), ToString::to_string);
            writeln!(differences, "{}\n    expected {}\n    found    {}", escaped(path), text(wanted), text(got))
                .unwrap();
        }
    }
    assert!(differences.is_empty(), "{who} sees another tree:\n{differences}");
}
