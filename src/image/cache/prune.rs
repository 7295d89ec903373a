//! Removes the least recently used items first.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::files::{list_of, BLOBS, CHANGESET, LIST};
use crate::error::{Error, ErrorKind, IoContext, Result};
use crate::layout::{Abandoned, STAGING_PREFIX};

/// Bytes without a list belong to a run that is about to write the list, unless they are older than this, in seconds.
const ORPHAN_AGE: i64 = 3600;

/// A part of the cache that is kept or removed as a whole.
pub(crate) struct Item {
    /// Time of last use, in seconds and nanoseconds.
    used: (i64, i64),
    /// The files to remove, in this order.
    pub(crate) paths: Vec<PathBuf>,
    pub(crate) bytes: u64,
    /// Bytes shared with an image through a hard link.
    pub(crate) shared_bytes: u64,
}

/// Removes the least recently used items until the rest has `most_bytes` at most. Returns how many bytes were removed.
/// Others may do so at the same time. Leftovers of killed runs are removed first.
pub(crate) fn prune(directory: &Path, most_bytes: u64) -> io::Result<u64> {
    Abandoned::within(directory).into_iter().for_each(Abandoned::clear);
    let mut items = items(directory)?;
    items.sort_by(|a, b| (a.used, &a.paths).cmp(&(b.used, &b.paths)));
    let mut left: u64 = items.iter().map(|item| item.bytes).sum();
    let before = left;
    for item in items {
        if left <= most_bytes {
            break;
        }
        for path in &item.paths {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        left -= item.bytes;
    }
    Ok(before - left)
}

/// Refuses a directory that has other files and none of a cache. An empty one is a cache.
pub(crate) fn check(directory: &Path) -> Result<()> {
    let mut has_others = false;
    for entry in fs::read_dir(directory).at("read the cache", directory)? {
        let name = entry.at("read the cache", directory)?.file_name();
        let name = name.as_bytes();
        if name.ends_with(CHANGESET.as_bytes()) {
            return Ok(());
        }
        has_others |= name != BLOBS.as_bytes() && !name.starts_with(STAGING_PREFIX.as_bytes());
    }
    let blobs = files(&directory.join(BLOBS)).at("read the cache", directory)?;
    if has_others && !blobs.iter().any(|(path, _)| path.as_os_str().as_bytes().ends_with(LIST.as_bytes())) {
        let message = format!("`{}` holds no cache: found only other files", directory.display());
        return Err(Error::refused_with_hint(message, "give the directory that a build was given as its cache")
            .of_kind(ErrorKind::NotFound));
    }
    Ok(())
}

/// All items of a cache; empty if the cache does not exist.
pub(crate) fn items(directory: &Path) -> io::Result<Vec<Item>> {
    let mut items = Vec::new();
    for (path, metadata) in files(directory)? {
        if path.to_string_lossy().ends_with(CHANGESET) {
            let used = (metadata.mtime(), metadata.mtime_nsec());
            items.push(Item { used, paths: vec![path], bytes: metadata.len(), shared_bytes: 0 });
        }
    }
    let files = files(&directory.join(BLOBS))?;
    let newest = files.iter().map(|(_, metadata)| metadata.ctime()).max().unwrap_or(0);
    let place = |name: &Path| files.binary_search_by(|(other, _)| other.as_path().cmp(name)).ok();
    for (path, metadata) in &files {
        if let Some(listed) = path.to_str().and_then(|path| path.strip_suffix(LIST)) {
            if place(Path::new(listed)).is_none() {
                // Its bytes are gone: a run writes the bytes before the list.
                let bytes = metadata.len();
                items.push(Item { used: (0, 0), paths: vec![path.clone()], bytes, shared_bytes: 0 });
            }
            continue;
        }
        let list = list_of(path);
        let shared_bytes = if metadata.nlink() > 1 { metadata.len() } else { 0 };
        let listed = place(&list).map(|at| &files[at].1);
        match listed {
            Some(listed) => items.push(Item {
                used: (listed.mtime(), listed.mtime_nsec()),
                paths: vec![list, path.clone()],
                bytes: metadata.len() + listed.len(),
                shared_bytes,
            }),
            None if newest - metadata.ctime() > ORPHAN_AGE => {
                items.push(Item { used: (0, 0), paths: vec![path.clone()], bytes: metadata.len(), shared_bytes });
            }
            None => {}
        }
    }
    Ok(items)
}

/// The files of a directory, sorted by name. Files removed meanwhile are skipped.
fn files(directory: &Path) -> io::Result<Vec<(PathBuf, Metadata)>> {
    let listing = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listing => listing?,
    };
    let mut files = Vec::new();
    for entry in listing {
        let entry = entry?;
        if let Some(metadata) = entry.metadata().ok().filter(Metadata::is_file) {
            files.push((entry.path(), metadata));
        }
    }
    files.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(files)
}
