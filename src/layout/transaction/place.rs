//! Moves staged files to where readers find them, and syncs them to disk.

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

/// Blobs ready to be moved: synced, and compared with the layout. A blob that the layout already holds intact has the
/// inode of that file.
#[derive(Debug, Default)]
pub(super) struct Settled(BTreeMap<Digest, Option<Inode>>);

type Inode = (u64, u64);

impl Stage {
    /// Finds the staged blobs that the layout already holds intact. These are not replaced, since other images may use
    /// them. All blobs are synced, existing ones too, since an unsynced run may have left them.
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

    /// Moves the settled blobs into the layout, which must be locked, unless they are already there.
    pub(super) fn place_blobs(&self, settled: &Settled, durability: Durability) -> Result<()> {
        let layout = self.place();
        let mut directories = Vec::new();
        for (digest, found) in &settled.0 {
            let to = layout.join(blob_path(digest));
            // The existing blob may have been removed since.
            if found.is_some() && to.metadata().ok().map(|there| inode(&there)) == *found {
                continue;
            }
            let directory = to.parent().expect("a blob's path has a directory");
            fs::create_dir_all(directory).at("write", layout)?;
            // An existing file here is damaged: a rename replaces it without changing a deployed hard link.
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

    /// Syncs everything that is staged, to be renamed as a whole.
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

/// Syncs the content of a file or the entries of a directory. `place` is the path named in errors.
pub(super) fn sync(path: &Path, place: &Path, durability: Durability) -> Result<()> {
    if durability == Durability::Unsynced {
        return Ok(());
    }
    match File::open(path).and_then(|file| file.sync_all()) {
        // Some filesystems cannot sync directories.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput && path.is_dir() => Ok(()),
        synced => synced.at("sync", place),
    }
}

/// Syncs the directory entry of what was renamed to `path`.
pub(super) fn sync_name(path: &Path, durability: Durability) -> Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    sync(parent.unwrap_or(Path::new(".")), path, durability)
}

fn inode(file: &Metadata) -> Inode {
    (file.dev(), file.ino())
}

/// The inode of the file at `there`, if its content equals the staged file.
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

/// Bytes compared at a time.
const PIECE: usize = 256 << 10;

/// Whether two files have the same content. A file that cannot be read does not.
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
