//! Reads a directory on disk into a [`Tree`]: one `lstat` per name, types from `st_mode` alone.
//!
//! Under pseudo each tracked call is a round trip to one serial server, and `readdir` reports the type on disk, where a
//! device is an empty regular file. So nothing is asked twice and `d_type` is never used.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::FileType;

use crate::error::{Error, IoContext, Result};
use crate::hint::{Hint, OptionName};
use crate::tree::xattr::{self, XattrPolicy};
use crate::tree::{is_reserved, Device, Entry, Excluded, Exclusion, Globs, Kind, Metadata, TarPath, Tree};
use crate::work::Observer;

/// What a scan leaves out.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ScanPolicy {
    /// Paths that are skipped; an excluded directory hides everything below it.
    pub exclude: Globs,
    /// Which extended attributes are read.
    pub xattrs: XattrPolicy,
    /// How names that begin with `.wh.` are treated.
    pub whiteout_names: WhiteoutNames,
}

/// How a name that begins with `.wh.` is treated, since a layer cannot hold it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhiteoutNames {
    /// A file that cannot be stored: an error.
    #[default]
    Refused,
    /// A mark of a filesystem that stores whiteouts this way: an entry like others.
    Kept,
}

/// A tree and what could not be part of it.
#[derive(Debug, Default)]
pub struct Scan {
    /// The entries, the root included.
    pub tree: Tree,
    /// Sockets: a layer cannot hold them.
    pub sockets: Vec<TarPath>,
    /// What was left out.
    pub excluded: Excluded,
}

/// Reads the metadata of everything below `root`.
///
/// The first path of an inode in order is the file; its other names become hard links to it. Fails on the first name
/// that cannot be read, and on names that begin with `.wh.` unless the policy keeps them.
pub fn scan(root: &Path, policy: &ScanPolicy, observer: &dyn Observer) -> Result<Scan> {
    let mut metadata = root.symlink_metadata().at("read the rootfs", root)?;
    // A slash at the end makes a link refer to its directory in every call to come.
    let linked = metadata.is_symlink().then(|| root.join(""));
    let root = linked.as_deref().unwrap_or(root);
    if linked.is_some() {
        metadata = root.symlink_metadata().at("read the rootfs", root)?;
    }
    if !metadata.is_dir() {
        return Err(Error::refused(format!("rootfs `{}`: a directory is wanted, found a file", root.display())));
    }
    let mut exclusion = Exclusion::new(&policy.exclude);
    let mut scanner = Scanner { root, policy, scan: Scan::default(), first_names: BTreeMap::new() };
    scanner.add(TarPath::root(), &metadata)?;

    // Directories being read, each with the names still to come, last first.
    let mut open = vec![(TarPath::root(), scanner.names(&TarPath::root())?)];
    while let Some((directory, names)) = open.last_mut() {
        let Some(name) = names.pop() else {
            open.pop();
            continue;
        };
        let path = directory.join(&name);
        if exclusion.leaves_out(&path) {
            continue;
        }
        observer.check()?;
        let disk_path = path.below(root);
        let metadata = disk_path.symlink_metadata().at("read the metadata of", &disk_path)?;
        scanner.add(path.clone(), &metadata)?;
        if metadata.is_dir() {
            let names = scanner.names(&path)?;
            open.push((path, names));
        }
    }
    Ok(Scan { excluded: exclusion.finish(), ..scanner.scan })
}

struct Scanner<'a> {
    root: &'a Path,
    policy: &'a ScanPolicy,
    scan: Scan,
    /// Paths by device and inode, of files that have several names.
    first_names: BTreeMap<(u64, u64), TarPath>,
}

impl Scanner<'_> {
    /// Returns the names in a directory in reverse order.
    fn names(&self, directory: &TarPath) -> Result<Vec<Vec<u8>>> {
        let disk_path = directory.below(self.root);
        let listing = fs::read_dir(&disk_path).at("list", &disk_path)?;
        let mut names = listing
            .map(|entry| entry.map(|entry| OsString::into_vec(entry.file_name())))
            .collect::<Result<Vec<_>, _>>()
            .at("list", &disk_path)?;
        names.sort_unstable_by(|a, b| b.cmp(a));
        Ok(names)
    }

    fn add(&mut self, path: TarPath, metadata: &fs::Metadata) -> Result<()> {
        let Some(kind) = self.kind(&path, metadata)? else {
            self.scan.sockets.push(path);
            return Ok(());
        };
        if is_reserved(&path) && self.policy.whiteout_names == WhiteoutNames::Refused {
            return Err(Error::refused_with_hint(
                format!("`{path}` in the rootfs: a name that begins with `.wh.` means a removal in a layer"),
                Hint::from("rename it or leave it out with ").option(OptionName::Exclude),
            ));
        }
        let metadata = Metadata {
            mode: (metadata.mode() & 0o7777) as u16,
            uid: metadata.uid(),
            gid: metadata.gid(),
            mtime: metadata.mtime().into(),
            xattrs: xattr::read(&path.below(self.root), &self.policy.xattrs)?,
        };
        self.scan.tree.insert(Entry { path, metadata, kind });
        Ok(())
    }

    /// Returns what a name is, or `None` for a socket.
    fn kind(&mut self, path: &TarPath, metadata: &fs::Metadata) -> Result<Option<Kind>> {
        let file_type = FileType::from_raw_mode(metadata.mode());
        if file_type != FileType::Directory && metadata.nlink() > 1 {
            let inode = (metadata.dev(), metadata.ino());
            if let Some(first) = self.first_names.get(&inode) {
                return Ok(Some(Kind::Hardlink { target: first.clone() }));
            }
            self.first_names.insert(inode, path.clone());
        }
        let device = Device { major: rustix::fs::major(metadata.rdev()), minor: rustix::fs::minor(metadata.rdev()) };
        Ok(Some(match file_type {
            FileType::Directory => Kind::Directory,
            FileType::RegularFile => Kind::File { size: metadata.size() },
            FileType::Symlink => {
                let disk_path = path.below(self.root);
                let target = fs::read_link(&disk_path).at("read the link", &disk_path)?;
                Kind::Symlink { target: target.into_os_string().into_vec().into() }
            }
            FileType::CharacterDevice => Kind::CharDevice(device),
            FileType::BlockDevice => Kind::BlockDevice(device),
            FileType::Fifo => Kind::Fifo,
            FileType::Socket | FileType::Unknown => return Ok(None),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TempDir;
    use crate::work::Silent;
    use std::os::unix::fs::{symlink, PermissionsExt};

    fn paths(tree: &Tree) -> Vec<String> {
        tree.iter().map(|entry| entry.path.to_string()).collect()
    }

    #[test]
    fn kinds_and_order() {
        let dir = TempDir::new("scan-kinds");
        fs::create_dir_all(dir.path().join("a/b")).unwrap();
        fs::write(dir.path().join("a/b/file"), "12345").unwrap();
        fs::write(dir.path().join("a-b"), "").unwrap();
        fs::hard_link(dir.path().join("a/b/file"), dir.path().join("z")).unwrap();
        symlink("nowhere/", dir.path().join("a/link")).unwrap();
        fs::set_permissions(dir.path().join("a-b"), fs::Permissions::from_mode(0o4755)).unwrap();

        let scan = scan(dir.path(), &ScanPolicy::default(), &Silent).unwrap();
        assert_eq!(paths(&scan.tree), ["/", "/a", "/a/b", "/a/b/file", "/a/link", "/a-b", "/z"]);
        let kind = |path: &str| scan.tree.get(&TarPath::parse(path.as_bytes()).unwrap()).unwrap().kind.clone();
        assert_eq!(kind("a/b/file"), Kind::File { size: 5 });
        assert_eq!(kind("z"), Kind::Hardlink { target: TarPath::parse(b"a/b/file").unwrap() });
        assert_eq!(kind("a/link"), Kind::Symlink { target: b"nowhere/".to_vec().into() });
        assert_eq!(scan.tree.get(&TarPath::parse(b"a-b").unwrap()).unwrap().metadata.mode, 0o4755);
    }

    #[test]
    fn an_excluded_first_name_hands_the_content_to_the_next() {
        let dir = TempDir::new("scan-exclude");
        fs::create_dir(dir.path().join("tmp")).unwrap();
        fs::write(dir.path().join("tmp/x"), "1").unwrap();
        fs::hard_link(dir.path().join("tmp/x"), dir.path().join("y")).unwrap();
        let policy = ScanPolicy { exclude: Globs::parse(["/tmp/*"]).unwrap(), ..ScanPolicy::default() };
        let scan = scan(dir.path(), &policy, &Silent).unwrap();
        assert_eq!(paths(&scan.tree), ["/", "/tmp", "/y"]);
        assert_eq!(scan.tree.get(&TarPath::parse(b"y").unwrap()).unwrap().kind, Kind::File { size: 1 });
    }

    #[test]
    fn sockets_are_left_out_and_named() {
        let dir = TempDir::new("scan-socket");
        std::os::unix::net::UnixListener::bind(dir.path().join("s")).unwrap();
        let scan = scan(dir.path(), &ScanPolicy::default(), &Silent).unwrap();
        assert_eq!(paths(&scan.tree), ["/"]);
        assert_eq!(scan.sockets, [TarPath::parse(b"s").unwrap()]);
    }

    #[test]
    fn whiteout_names_are_refused_unless_excluded() {
        let dir = TempDir::new("scan-wh");
        fs::write(dir.path().join(".wh.x"), "").unwrap();
        let error = scan(dir.path(), &ScanPolicy::default(), &Silent).unwrap_err();
        assert!(error.to_string().contains("`/.wh.x`"), "{error}");
        let policy = ScanPolicy { exclude: Globs::parse([".wh.*"]).unwrap(), ..ScanPolicy::default() };
        assert_eq!(scan(dir.path(), &policy, &Silent).unwrap().tree.len(), 1);
    }
}
