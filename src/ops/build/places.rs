//! Where rootfs, targets and cache are: an image must not become part of itself.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, IoContext, Result};
use crate::layout::{Location, Transport};
use crate::ops::build::rootfs::Rootfs;

/// Device and inode: the same for a directory under all its names.
type Inode = (u64, u64);

/// Refuses targets and a cache that are the rootfs or inside of it, and targets that contain it.
pub(super) fn check(rootfs: &Rootfs, targets: &[Location], cache: Option<&Path>) -> Result<()> {
    check_cache(targets, cache)?;
    let name = rootfs.name();
    let Some(directory) = rootfs.directory() else { return check_archive(rootfs, targets) };
    let metadata = directory.metadata().at("read the rootfs", directory)?;
    let inode = inode(&metadata);
    for target in targets {
        // A layout that is there is written to wherever its path leads; anything else appears at its name.
        let is_layout = matches!(target.transport, Transport::Oci) && target.path.is_dir();
        let place = if is_layout { &target.path } else { target.directory() };
        if is_layout && inode_of(&target.path) == Some(inode) {
            let message = format!("target `{target}` and the rootfs `{name}` are one directory");
            return Err(Error::refused_with_hint(message, "write the image beside the rootfs"));
        }
        if upwards(place).any(|above| above == inode) {
            let message = format!("target `{target}` is inside of the rootfs `{name}`");
            let hint = if inode_of(Path::new("/")) == Some(inode) {
                "nothing is beside `/`: pack it into a tar without the directory of the target, and give the tar as the rootfs"
            } else {
                "write the image beside the rootfs"
            };
            return Err(Error::refused_with_hint(message, hint));
        }
        if is_layout && inode_of(&target.path).is_some_and(|layout| upwards(directory).any(|above| above == layout)) {
            let message = format!("the rootfs `{name}` is inside of the target `{target}`");
            return Err(Error::refused_with_hint(message, "write the image beside the rootfs"));
        }
    }
    match cache {
        Some(cache) if upwards(cache).any(|above| above == inode) => {
            Err(Error::refused(format!("the cache `{}` is inside of the rootfs `{name}`", cache.display())))
        }
        _ => Ok(()),
    }
}

/// Refuses a cache in a layout that is written: nothing of it would be part of an image.
fn check_cache(targets: &[Location], cache: Option<&Path>) -> Result<()> {
    let Some(cache) = cache else { return Ok(()) };
    for target in targets.iter().filter(|target| matches!(target.transport, Transport::Oci)) {
        let is_inside = match inode_of(&target.path) {
            Some(layout) => upwards(cache).any(|above| above == layout),
            None => cache.starts_with(&target.path),
        };
        if is_inside {
            let message = format!("the cache `{}` is inside of the target `{target}`", cache.display());
            return Err(Error::refused_with_hint(message, "keep the cache beside the image"));
        }
    }
    Ok(())
}

/// Refuses targets that are the file being read.
fn check_archive(rootfs: &Rootfs, targets: &[Location]) -> Result<()> {
    let metadata = if let Rootfs::Archive(path) = rootfs {
        path.metadata().at("read the rootfs", path)?
    } else {
        let stdin = io::stdin().as_fd().try_clone_to_owned().map(std::fs::File::from);
        stdin.and_then(|stdin| stdin.metadata()).at("open", Path::new("standard input"))?
    };
    if !metadata.is_file() {
        return Ok(());
    }
    match targets.iter().find(|target| inode_of(&target.path) == Some(inode(&metadata))) {
        Some(target) => {
            Err(Error::refused(format!("target `{target}` and the rootfs `{}` are one file", rootfs.name())))
        }
        None => Ok(()),
    }
}

fn inode(metadata: &std::fs::Metadata) -> Inode {
    (metadata.dev(), metadata.ino())
}

fn inode_of(path: &Path) -> Option<Inode> {
    path.metadata().ok().map(|metadata| inode(&metadata))
}

/// Yields a directory and all above it, from the first that is there. They are found by `..`, which no symbolic link
/// can fool.
fn upwards(path: &Path) -> impl Iterator<Item = Inode> {
    let is_there = |path: &&Path| path.as_os_str().is_empty() || path.is_dir();
    let mut path = match path.ancestors().find(is_there) {
        Some(path) if !path.as_os_str().is_empty() => path.to_path_buf(),
        _ => PathBuf::from("."),
    };
    let mut below = None;
    std::iter::from_fn(move || {
        let inode = inode_of(&path)?;
        path.push("..");
        // The parent of the filesystem's root is the root itself.
        (below.replace(inode) != Some(inode)).then_some(inode)
    })
}
