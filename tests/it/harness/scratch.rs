//! A directory for each test; it is kept for inspection if the test fails.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{ioctl_getflags, ioctl_setflags, IFlags};

use super::{place, Fixture, Order};

/// The directory of the running test.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        Scratch::at(&place().join("it"))
    }

    /// On another filesystem: one in memory.
    pub(crate) fn in_memory() -> Self {
        Scratch::at(Path::new(&format!("/dev/shm/ocibake-it-{}", std::process::id())))
    }

    fn at(parent: &Path) -> Self {
        let thread = std::thread::current();
        let name = thread.name().expect("tests run in named threads").replace("::", "-");
        let path = parent.join(name);
        remove(&path);
        fs::create_dir_all(parent).unwrap();
        spread(parent);
        fs::create_dir_all(&path).unwrap();
        // Independent of the umask, because unprivileged users of some tests need access.
        for directory in [parent, &path] {
            fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).unwrap();
        }
        Scratch(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn make_directory(&self, name: &str) -> PathBuf {
        let path = self.join(name);
        fs::create_dir_all(&path).unwrap();
        path
    }

    /// A small rootfs that every user can make and read, named `rootfs`.
    pub(crate) fn small_rootfs(&self) -> PathBuf {
        self.rootfs("rootfs", "small")
    }

    /// A rootfs from a fixture. If this user cannot make it, the test fails.
    pub(crate) fn rootfs(&self, name: &str, fixture: &str) -> PathBuf {
        let path = self.join(name);
        Fixture::named(fixture).make(&path, Order::AsListed);
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("left for a look: {}", self.0.display());
            return;
        }
        remove(&self.0);
        // The parent of a scratch directory in memory is ours too; other tests still need it if it is not empty.
        let _ = fs::remove_dir(self.0.parent().expect("a scratch directory has a parent"));
    }
}

/// Asks ext4 to put what is made in a directory far apart. Where it has no journal, it looks at every inode of a group
/// that was freed within a minute before it takes one, which cost a tenth of the time of all tests. Other filesystems
/// refuse, which is as good.
fn spread(directory: &Path) {
    let Ok(directory) = fs::File::open(directory) else { return };
    if let Ok(flags) = ioctl_getflags(&directory) {
        let _ = ioctl_setflags(&directory, flags | IFlags::TOPDIR);
    }
}

fn remove(path: &Path) {
    if path.symlink_metadata().is_ok() {
        fs::remove_dir_all(path).unwrap_or_else(|error| panic!("cannot remove `{}`: {error}", path.display()));
    }
}

/// Whether nothing with this name exists.
pub(crate) fn is_missing(path: &Path) -> bool {
    path.symlink_metadata().is_err()
}

/// Every name below a directory with its type, in order, to check that nothing was added or removed.
pub(crate) fn names_below(directory: &Path) -> Vec<String> {
    let mut names = Vec::new();
    visit(directory, &mut |path, metadata| {
        let relative = path.strip_prefix(directory).unwrap().display().to_string();
        names.push(if metadata.is_dir() { relative + "/" } else { relative });
    });
    names
}

/// Every file below a directory with its bytes, directories as `None`.
pub(crate) fn bytes_of(directory: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut files = BTreeMap::new();
    visit(directory, &mut |path, metadata| {
        let content = metadata.is_file().then(|| fs::read(path).unwrap());
        files.insert(path.strip_prefix(directory).unwrap().to_path_buf(), content);
    });
    files
}

fn visit(directory: &Path, see: &mut dyn FnMut(&Path, &fs::Metadata)) {
    let Ok(listing) = fs::read_dir(directory) else { return };
    let mut paths: Vec<PathBuf> = listing.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        let metadata = path.symlink_metadata().unwrap();
        see(&path, &metadata);
        if metadata.is_dir() {
            visit(&path, see);
        }
    }
}
