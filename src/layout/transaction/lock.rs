//! One at a time changes what a layout lists.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use rustix::fs::{flock, FlockOperation};
use rustix::io::Errno;

use crate::error::{IoContext, Result};
use crate::work::Observer;

/// How long to wait before the lock is tried again: at first, and at the most.
const PAUSES: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(50)];

/// Waits until no one else changes the layout at `path`, a directory or an archive, and keeps others waiting until the
/// file that is returned is dropped. The observer can end the wait.
///
/// # Errors
///
/// The path cannot be locked, for any other reason than that someone else has the lock.
pub(super) fn lock(path: &Path, observer: &dyn Observer) -> Result<File> {
    let [mut pause, longest] = PAUSES;
    loop {
        let file = File::open(path).at("open", path)?;
        // An archive changes by a rename: what was waited for may have made way for another.
        if try_lock(&file).at("lock", path)? && stands_at(&file, path) {
            return Ok(file);
        }
        observer.check()?;
        thread::sleep(pause);
        pause = (2 * pause).min(longest);
    }
}

/// Locks what is open, unless someone else has locked it.
pub(super) fn try_lock(file: &File) -> io::Result<bool> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK | Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Whether what was opened has this path still.
pub(super) fn stands_at(open: &File, path: &Path) -> bool {
    match (open.metadata(), path.metadata()) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}
