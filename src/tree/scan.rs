//! Reads a directory on disk into a [`Tree`]: one `lstat` per name, types from `st_mode` alone.
//!
//! Under pseudo each tracked call is a round trip to one serial server, and the type that `readdir` reports is the one
//! on disk, where a device is an empty regular file. So nothing is asked twice and `d_type` is never looked at. Every
//! name is looked up in the directory that holds it, so that no link is followed and no path is too long.

use std::collections::BTreeMap;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Stat};

use crate::error::{Error, ErrorKind, IoContext, Result};
use crate::hint::{Hint, OptionName};
use crate::tree::directories::{with_way_to_read, Directories};
use crate::tree::packed;
use crate::tree::seen::Seen;
use crate::tree::xattr::{self, XattrPolicy};
use crate::tree::{
    is_reserved, Device, Directory, Entry, Excluded, Exclusion, Globs, Kind, Metadata, Mtime, TarPath, Tree,
};
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
#[derive(Debug)]
pub(crate) struct Scan {
    /// The entries, the root included.
    pub tree: Tree,
    /// What the files hold.
    pub content: Directory,
    /// Sockets: a layer cannot hold them.
    pub sockets: Vec<TarPath>,
    /// What was left out.
    pub excluded: Excluded,
}

/// Reads the metadata of everything below `root`.
///
/// The first path of an inode in order is the file; its other names become hard links to it. Fails on the first name
/// that cannot be read, and on names that begin with `.wh.` unless the policy keeps them.
pub(crate) fn scan(root: &Path, policy: &ScanPolicy, observer: &dyn Observer) -> Result<Scan> {
    scan_readable(root, policy, observer).map_err(|error| with_way_to_read(error, root))
}

fn scan_readable(root: &Path, policy: &ScanPolicy, observer: &dyn Observer) -> Result<Scan> {
    if !root.metadata().at("read the rootfs", root)?.is_dir() {
        return Err(Error::refused(format!("rootfs `{}`: a directory is wanted, found a file", root.display()))
            .of_kind(ErrorKind::Invalid));
    }
    // A slash at its end makes a link stand for the directory that it leads to, in every call to come.
    let is_link = root.symlink_metadata().at("read the rootfs", root)?.is_symlink();
    let linked = is_link.then(|| root.join(""));
    let root = linked.as_deref().unwrap_or(root);
    let mut exclusion = Exclusion::new(&policy.exclude);
    let mut scanner = Scanner {
        policy,
        directories: Directories::below(root)?,
        entries: Vec::new(),
        sockets: Vec::new(),
        seen: Vec::new(),
        first_names: BTreeMap::new(),
    };
    let top = TarPath::root();
    let stat = rustix::fs::fstat(scanner.directories.at(&top)?);
    let stat = stat.map_err(Into::into).at("read the metadata of", root)?;
    scanner.add(top.clone(), &stat)?;

    // Directories that are being read, each with the paths that are still to come, last first.
    let paths = scanner.paths_in(&top)?;
    let mut open = vec![(top, paths)];
    while let Some((directory, paths)) = open.last_mut() {
        let Some(path) = paths.pop() else {
            open.pop();
            continue;
        };
        if exclusion.leaves_out(&path) {
            continue;
        }
        observer.check()?;
        let stat = rustix::fs::statat(scanner.directories.at(directory)?, path.file_name(), AtFlags::SYMLINK_NOFOLLOW);
        let stat = stat.map_err(Into::into).at("read the metadata of", &scanner.directories.show(&path))?;
        scanner.add(path.clone(), &stat)?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            let paths = scanner.paths_in(&path)?;
            open.push((path, paths));
        }
    }
    let Scanner { entries, sockets, directories, seen, .. } = scanner;
    Ok(Scan { tree: entries.into(), content: Directory::new(directories, seen), sockets, excluded: exclusion.finish() })
}

struct Scanner<'a> {
    policy: &'a ScanPolicy,
    directories: Directories,
    /// In the order of the tree.
    entries: Vec<Entry>,
    sockets: Vec<TarPath>,
    seen: Vec<(TarPath, Seen)>,
    /// Paths by device and inode, of files that have several names.
    first_names: BTreeMap<(u64, u64), TarPath>,
}

impl Scanner<'_> {
    /// The paths of what is in a directory in reverse order.
    fn paths_in(&mut self, directory: &TarPath) -> Result<Vec<TarPath>> {
        let shown = self.directories.show(directory);
        let listing = Dir::read_from(self.directories.at(directory)?).map_err(Into::into).at("list", &shown)?;
        let mut names: Vec<Box<[u8]>> = Vec::new();
        for entry in listing {
            let entry = entry.map_err(Into::into).at("list", &shown)?;
            let name = entry.file_name().to_bytes();
            if !matches!(name, b"." | b"..") {
                names.push(name.into());
            }
        }
        names.sort_unstable();
        names.reverse();
        Ok(packed::paths_in(directory, &names))
    }

    // The types of the times differ from one architecture to the next.
    #[allow(clippy::unnecessary_cast, clippy::cast_sign_loss)]
    fn add(&mut self, path: TarPath, stat: &Stat) -> Result<()> {
        let Some(kind) = self.kind(&path, stat)? else {
            self.sockets.push(path);
            return Ok(());
        };
        if is_reserved(&path) && self.policy.whiteout_names == WhiteoutNames::Refused {
            return Err(Error::refused_with_hint(
                format!("`{path}` in the rootfs: a name that begins with `.wh.` means a removal in a layer"),
                Hint::from("rename it or leave it out with ").option(OptionName::Exclude),
            )
            .of_kind(ErrorKind::Unsupported));
        }
        if let (Kind::File { .. }, Some(seen)) = (&kind, Seen::of(stat)) {
            self.seen.push((path.clone(), seen));
        }
        let (reached, shown) = (self.directories.reach(&path)?, self.directories.show(&path));
        let xattrs = xattr::read(&reached, &shown, &self.policy.xattrs)?;
        let metadata = Metadata {
            mode: (stat.st_mode & 0o7777) as u16,
            uid: stat.st_uid,
            gid: stat.st_gid,
            mtime: Mtime::new(stat.st_mtime as i64, stat.st_mtime_nsec as u32).unwrap_or_default(),
            xattrs,
        };
        self.entries.push(Entry { path, metadata, kind });
        Ok(())
    }

    /// What a name is; none for a socket.
    fn kind(&mut self, path: &TarPath, stat: &Stat) -> Result<Option<Kind>> {
        let file_type = FileType::from_raw_mode(stat.st_mode);
        if file_type != FileType::Directory && stat.st_nlink > 1 {
            let inode = (stat.st_dev, stat.st_ino);
            if let Some(first) = self.first_names.get(&inode) {
                return Ok(Some(Kind::Hardlink { target: first.clone().into() }));
            }
            self.first_names.insert(inode, path.clone());
        }
        let device = Device { major: rustix::fs::major(stat.st_rdev), minor: rustix::fs::minor(stat.st_rdev) };
        Ok(Some(match file_type {
            FileType::Directory => Kind::Directory,
            FileType::RegularFile => Kind::File { size: stat.st_size.try_into().unwrap_or_default() },
            FileType::Symlink => {
                let shown = self.directories.show(path);
                let target = rustix::fs::readlinkat(self.directories.holding(path)?, path.file_name(), Vec::new());
                Kind::Symlink { target: target.map_err(Into::into).at("read the link", &shown)?.into_bytes().into() }
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
    use std::fs;
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
        assert_eq!(kind("z"), Kind::Hardlink { target: TarPath::parse(b"a/b/file").unwrap().into() });
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
