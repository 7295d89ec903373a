//! A directory in which something is made before it appears.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::error::{Error, ErrorKind, IoContext, Result};
use crate::layout::transaction::lock::{stands_at, try_lock};

/// The prefix of staging directory names.
pub(crate) const STAGING_PREFIX: &str = ".ocibake-";

/// The staging directories of this process; none any more after [`abandon`].
static ALIVE: Mutex<Option<BTreeSet<PathBuf>>> = Mutex::new(Some(BTreeSet::new()));

/// Held while a target appears; whether none may any more.
static SHOWING: Mutex<bool> = Mutex::new(false);

/// Removes what this process has staged, and lets nothing appear any more.
///
/// It is for a process that is about to end although other threads are at work or wait: their work fails from here on.
/// A target that is about to appear does so before.
pub fn abandon() {
    let mut is_over = SHOWING.lock().unwrap_or_else(PoisonError::into_inner);
    *is_over = true;
    let paths = ALIVE.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default();
    for path in paths {
        // Another thread may write into it meanwhile.
        (0..10).any(|_| fs::remove_dir_all(&path).is_ok() || path.symlink_metadata().is_err());
    }
}

/// Leave to let a target appear, as long as it is held.
pub(crate) fn show() -> Result<MutexGuard<'static, bool>> {
    let is_over = SHOWING.lock().unwrap_or_else(PoisonError::into_inner);
    if *is_over {
        return Err(Error::Interrupted);
    }
    Ok(is_over)
}

const CREATE: &str = "create a directory in";
/// What a user calls it, who knows no staging directory.
const WRITE_LAYOUT: &str = "write to the layout of";
const WRITE_BESIDE: &str = "write in the directory of";
const LOCK: &str = "lock a directory in";

/// Whether a directory takes no new names from this user.
pub(super) fn is_refused(cause: &io::Error) -> bool {
    cause.kind() == io::ErrorKind::PermissionDenied || Errno::from_io_error(cause) == Some(Errno::ROFS)
}

/// Says of an error about a directory that it is about what a target needs beside it, or in it.
pub(crate) fn about_target(error: Error, target: &Path, is_within: bool) -> Error {
    match error {
        Error::Io { action, cause, .. } => {
            let action = match (action == LOCK, is_within) {
                (true, true) => LOCK,
                (false, true) => WRITE_LAYOUT,
                (true, false) => "lock a directory beside",
                (false, false) => WRITE_BESIDE,
            };
            Error::Io { action, path: target.to_path_buf(), cause }
        }
        error => error,
    }
}

/// How many names are tried before the directory is given up.
const ATTEMPTS: u32 = 1000;

/// A locked directory beside or inside a target, removed with its content on drop.
///
/// The lock shows whether the owner is still alive: each new run removes staging directories whose lock is free.
#[derive(Debug)]
pub(crate) struct Staging {
    path: PathBuf,
    _lock: File,
}

impl Staging {
    /// Creates a staging directory in `parent`, which must exist.
    pub(crate) fn create(parent: &Path) -> Result<Self> {
        Staging::create_named(parent, OsStr::new(STAGING_PREFIX))
    }

    /// Creates a staging directory beside `target`, whose parent must exist. Its name begins with the target's, since
    /// pseudo selects the paths it tracks by prefix.
    pub(crate) fn beside(target: &Path) -> Result<Self> {
        let parent = target.parent().unwrap_or(Path::new(""));
        let mut prefix = target.file_name().unwrap_or_default().to_os_string();
        prefix.push(STAGING_PREFIX);
        Staging::create_named(if parent.as_os_str().is_empty() { Path::new(".") } else { parent }, &prefix)
    }

    fn create_named(parent: &Path, prefix: &OsStr) -> Result<Self> {
        abandoned(parent, prefix).into_iter().for_each(Abandoned::clear);
        // The trailing slash makes messages show a directory.
        let shown = parent.join("");
        for attempt in 0..ATTEMPTS {
            let mut name = prefix.to_os_string();
            name.push(format!("{}-{attempt}", std::process::id()));
            let path = parent.join(name);
            match create_alive(&path)? {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                created => created.at(CREATE, &shown)?,
            }
            // Until it is locked, another run may take it for abandoned.
            let lock = match open_directory(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    forget(&path);
                    continue;
                }
                Err(error) => {
                    give_up(&path);
                    return Err(error).at("open a directory in", &shown);
                }
                Ok(opened) => opened,
            };
            match try_lock(&lock) {
                Ok(true) if stands_at(&lock, &path) => return Ok(Staging { path, _lock: lock }),
                Ok(_) => forget(&path),
                Err(error) => {
                    give_up(&path);
                    return Err(error).at(LOCK, &shown);
                }
            }
        }
        Err(Error::refused(format!("cannot write in `{}`: {ATTEMPTS} names for it are taken", parent.display()))
            .of_kind(ErrorKind::Io))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // Errors are ignored; the next run tries again.
        let _ = fs::remove_dir_all(&self.path);
        forget(&self.path);
    }
}

/// Makes a staging directory that [`abandon`] knows of.
fn create_alive(path: &Path) -> Result<io::Result<()>> {
    let mut alive = ALIVE.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(alive) = alive.as_mut() else { return Err(Error::Interrupted) };
    let created = fs::create_dir(path);
    if created.is_ok() {
        alive.insert(path.to_path_buf());
    }
    Ok(created)
}

/// Removes a staging directory in which nothing is staged yet.
fn give_up(path: &Path) {
    let _ = fs::remove_dir(path);
    forget(path);
}

fn forget(path: &Path) {
    if let Some(alive) = ALIVE.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
        alive.remove(path);
    }
}

/// A staging directory whose owner is gone, locked so that no other run removes it.
#[derive(Debug)]
pub(crate) struct Abandoned {
    path: PathBuf,
    _lock: File,
}

impl Abandoned {
    /// Abandoned staging directories inside a directory.
    pub(crate) fn within(parent: &Path) -> Vec<Self> {
        abandoned(parent, OsStr::new(STAGING_PREFIX))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the directory. Errors are ignored: it is only a courtesy.
    pub(crate) fn clear(self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Removes what killed runs have left in a directory.
pub(super) fn clear_abandoned(parent: &Path) {
    Abandoned::within(parent).into_iter().for_each(Abandoned::clear);
}

/// Finds abandoned directories. Those that cannot be listed, opened or locked are skipped.
fn abandoned(parent: &Path, prefix: &OsStr) -> Vec<Abandoned> {
    let Ok(listing) = fs::read_dir(parent) else { return Vec::new() };
    let names = listing.flatten().filter(|entry| is_staging_name(&entry.file_name(), prefix));
    let unlocked = names.filter_map(|entry| {
        let path = entry.path();
        let directory = open_directory(&path).ok()?;
        // The directory may have been removed since, and its name may belong to something else.
        let is_free = try_lock(&directory).unwrap_or(false) && stands_at(&directory, &path);
        (is_free && !path.is_symlink()).then_some(Abandoned { path, _lock: directory })
    });
    unlocked.collect()
}

/// Opens a directory and nothing else: a FIFO of the same name would block, and a link would lead elsewhere.
fn open_directory(path: &Path) -> io::Result<File> {
    #[allow(clippy::cast_possible_wrap)]
    const FLAGS: i32 = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).bits() as i32;
    File::options().read(true).custom_flags(FLAGS).open(path)
}

/// Whether a name is the prefix followed by two numbers: `out.ocibake-backup` is not a staging directory.
fn is_staging_name(name: &OsStr, prefix: &OsStr) -> bool {
    let is_number = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    match name.as_bytes().strip_prefix(prefix.as_bytes()) {
        Some(rest) => rest.split(|byte| *byte == b'-').map(is_number).eq([true, true]),
        None => false,
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

    #[test]
    fn only_what_was_staged_is_cleared() {
        for (name, prefix, expected) in [
            (".ocibake-1-0", ".ocibake-", true),
            ("out.ocibake-12-34", "out.ocibake-", true),
            ("out.ocibake-12-34", ".ocibake-", false),
            (".ocibake-1-0", "out.ocibake-", false),
            ("out.ocibake-backup", "out.ocibake-", false),
            ("out.ocibake-1", "out.ocibake-", false),
            ("out.ocibake-1-", "out.ocibake-", false),
            ("out.ocibake-1-2-3", "out.ocibake-", false),
        ] {
            assert_eq!(is_staging_name(OsStr::new(name), OsStr::new(prefix)), expected, "{name}");
        }
    }

    #[test]
    fn a_staging_directory_beside_a_target_begins_with_its_name() {
        let dir = TempDir::new("staging-beside");
        let staging = Staging::beside(&dir.path().join("out")).unwrap();
        let name = staging.path().strip_prefix(dir.path()).unwrap().to_str().unwrap();
        assert!(name.starts_with("out.ocibake-"), "{name}");
    }
}
