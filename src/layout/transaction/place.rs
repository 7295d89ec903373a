//! Staged files on their way to where readers find them, and to the disk.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::digest::Digest;
use crate::error::{IoContext, Result};
use crate::layout::transaction::Stage;
use crate::layout::{blob_path, BLOBS};
use crate::work::{Durability, Observer, Work};

/// Blobs that are ready to be placed: synced, and compared with what the layout has. Those that it has already, whole,
/// with the file that was found to be so.
#[derive(Debug, Default)]
pub(super) struct Settled(BTreeMap<Digest, Option<Inode>>);

type Inode = (u64, u64);

impl Stage {
    /// Finds out which of the staged blobs the layout has already, whole: these are not replaced, since other images may
    /// stand on them. All are synced, those included, which a run without syncing may have left.
    pub(super) fn settle(&self, settled: &mut Settled, work: &Work<'_>) -> Result<()> {
        for digest in self.blobs().keys() {
            if settled.0.contains_key(digest) {
                continue;
            }
            work.observer.check()?;
            let (staged, there) = (self.place_of(digest)?, self.place().join(blob_path(digest)));
            let found = whole(&staged, &there, work.observer)?;
            sync(if found.is_some() { &there } else { &staged }, self.place(), work.durability)?;
            settled.0.insert(digest.clone(), found);
        }
        Ok(())
    }

    /// Gives the settled blobs their places in the layout, whose lock is held, unless they are there.
    pub(super) fn place_blobs(&self, settled: &Settled, durability: Durability) -> Result<()> {
        let layout = self.place();
        let mut directories = Vec::new();
        for (digest, found) in &settled.0 {
            let to = layout.join(blob_path(digest));
            // What was found may have been collected since.
            if found.is_some() && to.metadata().ok().map(|there| inode(&there)) == *found {
                continue;
            }
            let directory = to.parent().expect("a blob's path has a directory");
            fs::create_dir_all(directory).at("write", layout)?;
            // What stands there is damaged: a rename replaces it without touching a deployed hard link.
            fs::rename(self.place_of(digest)?, &to).at("write", layout)?;
            if !directories.iter().any(|known| known == directory) {
                directories.push(directory.to_path_buf());
            }
        }
        if !directories.is_empty() {
            directories.extend([layout.join(BLOBS), layout.to_path_buf()]);
        }
        directories.iter().try_for_each(|directory| sync(directory, layout, durability))
    }

    /// Waits until all that is staged is on the disk, to be renamed as a whole.
    pub(super) fn sync_all(&self, files: &[PathBuf], durability: Durability) -> Result<()> {
        let mut directories = Vec::<PathBuf>::new();
        for digest in self.blobs().keys() {
            let path = self.place_of(digest)?;
            sync(&path, self.place(), durability)?;
            let directory = path.parent().expect("a blob's path has a directory");
            if directories.last().map(PathBuf::as_path) != Some(directory) {
                directories.push(directory.to_path_buf());
            }
        }
        let staging = self.directory()?;
        directories.extend([staging.join(BLOBS), staging.to_path_buf()]);
        files.iter().chain(&directories).try_for_each(|path| sync(path, self.place(), durability))
    }
}

/// Waits until a file's content, or the names in a directory, are on the disk. `place` is what an error names.
pub(super) fn sync(path: &Path, place: &Path, durability: Durability) -> Result<()> {
    if durability == Durability::Unsynced {
        return Ok(());
    }
    match File::open(path).and_then(|file| file.sync_all()) {
        // Some filesystems cannot do this with directories.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput && path.is_dir() => Ok(()),
        synced => synced.at("sync", place),
    }
}

/// Waits until the name of what was renamed to `path` is on the disk.
pub(super) fn sync_name(path: &Path, durability: Durability) -> Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    sync(parent.unwrap_or(Path::new(".")), path, durability)
}

fn inode(file: &Metadata) -> Inode {
    (file.dev(), file.ino())
}

/// The file at `there`, if it holds what is staged.
fn whole(staged: &Path, there: &Path, observer: &dyn Observer) -> Result<Option<Inode>> {
    let (Ok(new), Ok(old)) = (staged.metadata(), there.metadata()) else { return Ok(None) };
    if !old.is_file() || new.len() != old.len() {
        return Ok(None);
    }
    let is_same = inode(&new) == inode(&old)
        || match (File::open(staged), File::open(there)) {
            (Ok(new), Ok(old)) => same_bytes(new, old, observer)?,
            _ => false,
        };
    Ok(is_same.then(|| inode(&old)))
}

/// Bytes that are compared at a time.
const PIECE: usize = 256 << 10;

/// Whether two files hold the same. What cannot be read does not.
fn same_bytes(mut a: File, mut b: File, observer: &dyn Observer) -> Result<bool> {
    let (mut one, mut other) = (vec![0; PIECE], vec![0; PIECE]);
    loop {
        observer.check()?;
        let Ok(read) = a.read(&mut one) else { return Ok(false) };
        if read == 0 {
            return Ok(true);
        }
        if b.read_exact(&mut other[..read]).is_err() || one[..read] != other[..read] {
            return Ok(false);
        }
    }
}
