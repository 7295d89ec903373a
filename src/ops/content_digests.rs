//! The digests of files' contents, several files at a time.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::path::Path;

use crate::digest::{Digest, Hasher};
use crate::error::{IoContext, Result};
use crate::observer::Observer;
use crate::parallel;
use crate::tree::{Content, Entry, TarPath};

/// Reads and hashes `files`, regular files all of them.
pub(super) fn of(
    files: &[&Entry],
    content: &(dyn Content + Sync),
    threads: NonZeroUsize,
    observer: &dyn Observer,
) -> Result<BTreeMap<TarPath, Digest>> {
    observer.expect(files.iter().map(|entry| entry.size()).sum());
    let digests = parallel::map(files, threads, |entry| digest(entry, content, observer))?;
    Ok(files.iter().map(|entry| entry.path.clone()).zip(digests).collect())
}

fn digest(entry: &Entry, content: &dyn Content, observer: &dyn Observer) -> Result<Digest> {
    let mut hasher = Hasher::default();
    if entry.size() > 0 {
        let mut reader = content.open(entry)?;
        let mut buffer = vec![0; 128 << 10];
        loop {
            observer.check()?;
            match reader.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => {
                    hasher.update(&buffer[..read]);
                    observer.advance(read as u64);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error).at("read", &entry.path.below(Path::new("/"))),
            }
        }
    }
    Ok(hasher.finish())
}
