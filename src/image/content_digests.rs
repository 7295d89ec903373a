//! Computes the digests of files' contents, several files at a time.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;

use crate::digest::ContentDigest;
use crate::error::{IoContext, Result};
use crate::parallel;
use crate::tree::{Content, Entry, TarPath};
use crate::work::{Observer, Work};

/// Reads and hashes `files`, all of them regular files. The observer must already expect their bytes.
pub(crate) fn of(
    files: &[&Entry],
    content: &(dyn Content + Sync),
    work: &Work<'_>,
) -> Result<BTreeMap<TarPath, ContentDigest>> {
    let digests = parallel::map(files, work.threads, |entry| digest(entry, content, work.observer))?;
    Ok(files.iter().map(|entry| entry.path.clone()).zip(digests).collect())
}

/// Reads and hashes one regular file.
pub(crate) fn digest(entry: &Entry, content: &dyn Content, observer: &dyn Observer) -> Result<ContentDigest> {
    let mut reader: Box<dyn Read + '_> = if entry.size() > 0 {
        content.open(entry)?
    } else {
        content.confirm_empty(entry)?;
        Box::new(io::empty())
    };
    let digest = ContentDigest::read(&mut reader, &mut vec![0; 128 << 10], |piece| {
        observer.advance(piece.len() as u64);
        Ok(observer.check()?)
    });
    digest.at("read", &entry.path.below(Path::new("/")))
}
