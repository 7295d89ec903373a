//! A lock that allows one writer of a layout at a time, and a reader whom writers wait for.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use rustix::fs::{flock, FlockOperation};
use rustix::io::{retry_on_intr, Errno};

use crate::error::{Error, IoContext, Result};
use crate::work::Observer;

/// The first and the longest pause before the lock is tried again.
const PAUSES: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(50)];

/// Waits for the lock on the layout at `path`, a directory or an archive, and holds it until the returned file is
/// dropped. The observer can end the wait.
///
/// # Errors
///
/// The path cannot be locked, for a reason other than that another process holds the lock.
pub(super) fn lock(path: &Path, observer: &dyn Observer) -> Result<File> {
    wait_for(path, FlockOperation::NonBlockingLockExclusive, observer)
}

/// Waits until no other process changes the layout at `path`, and keeps others from changing it until the returned lock
/// is dropped. Returns `None` if the filesystem has no locks.
///
/// # Errors
///
/// The observer ended the wait.
pub(crate) fn hold_still(path: &Path, observer: &dyn Observer) -> Result<Option<File>> {
    match wait_for(path, FlockOperation::NonBlockingLockShared, observer) {
        Err(Error::Interrupted) => Err(Error::Interrupted),
        held => Ok(held.ok()),
    }
}

fn wait_for(path: &Path, operation: FlockOperation, observer: &dyn Observer) -> Result<File> {
    let [mut pause, longest] = PAUSES;
    loop {
        let file = File::open(path).at("open", path)?;
        // An archive changes by a rename: the locked file may have been replaced meanwhile.
        if take(&file, operation).at("lock", path)? && stands_at(&file, path) {
            return Ok(file);
        }
        observer.check()?;
        thread::sleep(pause);
        pause = (2 * pause).min(longest);
    }
}

/// Tries to lock an open file. Returns `false` if another process holds the lock.
pub(super) fn try_lock(file: &File) -> io::Result<bool> {
    take(file, FlockOperation::NonBlockingLockExclusive)
}

fn take(file: &File, operation: FlockOperation) -> io::Result<bool> {
    match retry_on_intr(|| flock(file, operation)) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Whether the open file is still the one at this path.
pub(super) fn stands_at(open: &File, path: &Path) -> bool {
    match (open.metadata(), path.metadata()) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}
