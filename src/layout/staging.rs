//! A directory in which an image is made before it appears.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{flock, FlockOperation};

use crate::error::{IoContext, Result};

/// What the names of staging directories begin with.
pub(crate) const STAGING_PREFIX: &str = ".ocibake-";

/// A locked directory beside or inside of a target, removed with all that is left in it when it is dropped.
///
/// The lock tells a living owner from one that was killed: whoever makes a staging directory clears away those whose
/// lock nobody holds.
#[derive(Debug)]
pub(crate) struct Staging {
    path: PathBuf,
    _lock: File,
}

impl Staging {
    /// Makes a staging directory in `parent`, which must exist.
    pub(crate) fn create(parent: &Path) -> Result<Self> {
        clear_abandoned(parent);
        for attempt in 0_u32.. {
            let path = parent.join(format!("{STAGING_PREFIX}{}-{attempt}", std::process::id()));
            match fs::create_dir(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => continue,
                created => created.at("create the directory", &path)?,
            }
            // Until it is locked, somebody who clears up may take it for abandoned.
            let lock = match File::open(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                opened => opened.at("open", &path)?,
            };
            let locked = flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok();
            if locked && is_same_directory(&lock, &path) {
                return Ok(Staging { path, _lock: lock });
            }
        }
        unreachable!("every attempt has a name of its own")
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // Nothing is left to do about an error here; the next run tries again.
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn is_same_directory(open: &File, path: &Path) -> bool {
    match (open.metadata(), path.symlink_metadata()) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}

/// Removes staging directories whose owner is gone. It is a courtesy: what cannot be removed stays.
fn clear_abandoned(parent: &Path) {
    let Ok(listing) = fs::read_dir(parent) else { return };
    for entry in listing.flatten() {
        if !entry.file_name().to_string_lossy().starts_with(STAGING_PREFIX) {
            continue;
        }
        let Ok(directory) = File::open(entry.path()) else { continue };
        if flock(&directory, FlockOperation::NonBlockingLockExclusive).is_ok() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TempDir;

    #[test]
    fn many_that_clear_up_at_once_do_not_clear_each_other() {
        let dir = TempDir::new("staging-race");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let staging = Staging::create(dir.path()).unwrap();
                        fs::write(staging.path().join("blob"), "x").unwrap();
                        assert_eq!(fs::read(staging.path().join("blob")).unwrap(), b"x");
                    }
                });
            }
        });
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn it_is_gone_when_dropped_and_abandoned_ones_with_it() {
        let dir = TempDir::new("staging");
        let abandoned = dir.path().join(".ocibake-1-0");
        fs::create_dir(&abandoned).unwrap();
        fs::write(abandoned.join("blob"), "x").unwrap();

        let first = Staging::create(dir.path()).unwrap();
        fs::write(first.path().join("blob"), "x").unwrap();
        let second = Staging::create(dir.path()).unwrap();
        assert_ne!(first.path(), second.path());
        assert!(first.path().is_dir(), "a living owner's directory must stay");
        drop(first);
        drop(second);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
