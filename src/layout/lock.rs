//! One at a time changes what a layout lists.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{flock, FlockOperation};

use crate::error::{IoContext, Result};

/// Waits until nobody else changes the layout at `path`, a directory or an archive, and keeps others waiting until the
/// file that is given back is dropped.
pub(super) fn lock(path: &Path) -> Result<File> {
    loop {
        let file = File::open(path).at("open", path)?;
        flock(&file, FlockOperation::LockExclusive).map_err(io::Error::from).at("lock", path)?;
        // An archive changes by a rename: what was waited for may have made way for another.
        if stands_at(&file, path) {
            return Ok(file);
        }
    }
}

/// Whether what was opened has this path still.
pub(super) fn stands_at(open: &File, path: &Path) -> bool {
    match (open.metadata(), path.metadata()) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}
