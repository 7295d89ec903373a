//! Trees on disk: made from a fixture, and listed.

use std::collections::BTreeMap;
use std::ffi::{CString, OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Mode, Timespec, Timestamps, XattrFlags, CWD};

use super::fixture::{Bytes, Described, Fixture, Make};
use super::listing::{File, Listing, Node, What};

/// The order in which entries are created.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Order {
    AsListed,
    Reversed,
}

impl Fixture {
    /// Makes the tree at `root` and checks that the disk holds it.
    pub(crate) fn make(&self, root: &Path, order: Order) {
        fs::create_dir_all(root).unwrap();
        let files = self.entries.iter().filter(|entry| !matches!(entry.make, Make::Hardlink(_)));
        let links = self.entries.iter().filter(|entry| matches!(entry.make, Make::Hardlink(_)));
        let mut all: Vec<&Described> = files.chain(links).collect();
        match order {
            Order::AsListed => all.iter().for_each(|entry| create(root, entry)),
            Order::Reversed => {
                all.sort_by_key(|entry| matches!(entry.make, Make::Hardlink(_)));
                let first_link = all.iter().position(|entry| matches!(entry.make, Make::Hardlink(_)));
                let (files, links) = all.split_at(first_link.unwrap_or(all.len()));
                files.iter().rev().chain(links.iter().rev()).for_each(|entry| create(root, entry));
            }
        }
        // Directories last, innermost first, because making an entry in a directory changes its time.
        let (directories, others): (Vec<_>, Vec<_>) =
            self.entries.iter().partition(|entry| matches!(entry.make, Make::Directory));
        others.into_iter().chain(directories.into_iter().rev()).for_each(|entry| dress(root, entry));
        super::assert_same(&self.listing(), &list_directory(root), "the filesystem under the fixture");
    }
}

fn create(root: &Path, entry: &Described) {
    let path = below(root, &entry.path);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).unwrap();
    }
    let node = |kind, device| rustix::fs::mknodat(CWD, &path, kind, Mode::from_raw_mode(0o600), device);
    let made = match &entry.make {
        Make::Directory => fs::create_dir_all(&path),
        Make::File(Bytes::Are(bytes)) => fs::write(&path, bytes),
        Make::File(Bytes::Hole(size)) => fs::File::create(&path).and_then(|file| file.set_len(*size)),
        Make::Symlink(text) => std::os::unix::fs::symlink(OsStr::from_bytes(text), &path),
        Make::Hardlink(first) => fs::hard_link(below(root, first), &path),
        Make::CharDevice(major, minor) => {
            node(FileType::CharacterDevice, rustix::fs::makedev(*major, *minor)).map_err(Into::into)
        }
        Make::BlockDevice(major, minor) => {
            node(FileType::BlockDevice, rustix::fs::makedev(*major, *minor)).map_err(Into::into)
        }
        Make::Fifo => node(FileType::Fifo, 0).map_err(Into::into),
        Make::Socket => node(FileType::Socket, 0).map_err(Into::into),
    };
    made.unwrap_or_else(|error| panic!("cannot make `{}`: {error}", path.display()));
}

/// Owner, mode, attributes, time: in this order, since each may undo what follows it here.
fn dress(root: &Path, entry: &Described) {
    if matches!(entry.make, Make::Hardlink(_)) {
        return;
    }
    let path = below(root, &entry.path);
    let fail = |what: &str, error: &dyn std::fmt::Display| panic!("{what} of `{}`: {error}", path.display());
    if let Some((uid, gid)) = entry.owner {
        if (uid, gid) != own_ids() {
            std::os::unix::fs::lchown(&path, Some(uid), Some(gid)).unwrap_or_else(|error| fail("owner", &error));
        }
    }
    if !matches!(entry.make, Make::Symlink(_)) {
        fs::set_permissions(&path, fs::Permissions::from_mode(entry.mode)).unwrap();
    }
    for (name, value) in &entry.xattrs {
        let name = CString::new(name.as_slice()).unwrap();
        rustix::fs::lsetxattr(&path, &name, value, XattrFlags::empty())
            .unwrap_or_else(|error| fail("attributes", &error));
    }
    let time = Timespec { tv_sec: entry.seconds, tv_nsec: entry.nanoseconds.into() };
    let times = Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(CWD, &path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

fn below(root: &Path, path: &Path) -> PathBuf {
    if path.as_os_str().is_empty() {
        root.to_path_buf()
    } else {
        root.join(path)
    }
}

pub(crate) fn own_ids() -> (u32, u32) {
    (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw())
}

/// Lists a tree on disk, without its sockets. The first name of an inode, in order, is the file.
pub(crate) fn list_directory(root: &Path) -> Listing {
    let mut paths = vec![PathBuf::new()];
    collect(root, Path::new(""), &mut paths);
    paths.sort();
    let mut first_names = BTreeMap::new();
    paths.into_iter().filter_map(|path| Some((path.clone(), node(root, &path, &mut first_names)?))).collect()
}

fn collect(root: &Path, directory: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(below(root, directory)).unwrap() {
        let path = directory.join(entry.unwrap().file_name());
        if root.join(&path).symlink_metadata().unwrap().is_dir() {
            collect(root, &path, paths);
        }
        paths.push(path);
    }
}

fn node(root: &Path, path: &Path, first_names: &mut BTreeMap<(u64, u64), PathBuf>) -> Option<Node> {
    let disk_path = below(root, path);
    let metadata = disk_path.symlink_metadata().unwrap();
    let file_type = metadata.file_type();
    let inode = (metadata.dev(), metadata.ino());
    let (major, minor) = (rustix::fs::major(metadata.rdev()), rustix::fs::minor(metadata.rdev()));
    let what = if file_type.is_dir() {
        What::Directory
    } else if let Some(first) = first_names.get(&inode) {
        What::Hardlink(first.clone())
    } else if file_type.is_file() {
        What::File(File::of(&fs::read(&disk_path).unwrap()))
    } else if file_type.is_symlink() {
        What::Symlink(fs::read_link(&disk_path).unwrap().into_os_string().into_vec())
    } else if file_type.is_char_device() {
        What::CharDevice(major, minor)
    } else if file_type.is_block_device() {
        What::BlockDevice(major, minor)
    } else if file_type.is_fifo() {
        What::Fifo
    } else {
        return None;
    };
    first_names.entry(inode).or_insert_with(|| path.to_path_buf());
    Some(Node {
        what,
        mode: metadata.mode() & 0o7777,
        uid: metadata.uid(),
        gid: metadata.gid(),
        mtime: metadata.mtime(),
        xattrs: xattrs(&disk_path),
    })
}

fn xattrs(path: &Path) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut buffer = vec![0; 1 << 16];
    let length = rustix::fs::llistxattr(path, &mut buffer[..]).unwrap();
    let names = buffer[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    names
        .map(|name| {
            let mut value = vec![0; 1 << 16];
            let length = rustix::fs::lgetxattr(path, OsString::from_vec(name.to_vec()), &mut value[..]).unwrap();
            value.truncate(length);
            (name.to_vec(), value)
        })
        .collect()
}
