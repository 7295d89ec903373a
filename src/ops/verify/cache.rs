//! A cache of compressed blocks: is every byte of it what it was when it was put there?

use std::collections::BTreeMap;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::compress::decoded;
use crate::digest::ContentDigest;
use crate::error::Result;
use crate::image::cache::{changesets, check, list_of, lists, open_file};
use crate::work::Work;

/// What a cache holds, and what is wrong with it.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct CacheVerification {
    /// The cache.
    pub cache: PathBuf,
    /// Compressed blocks that are what they were.
    pub blocks: usize,
    /// Lists of what layers hold that are what they were.
    pub layers: usize,
    /// The stored bytes of all that was read.
    pub bytes: u64,
    /// Files that are not what they were, in the order of their names, and what is wrong with each.
    pub findings: BTreeMap<PathBuf, String>,
}

impl CacheVerification {
    /// Whether all is as it was.
    pub fn is_good(&self) -> bool {
        self.findings.is_empty()
    }
}

/// Decompresses every block of a cache, and holds it to its digest and its checksums. No run uses a block that is
/// damaged; it is compressed anew.
pub fn verify_cache(directory: &Path, work: &Work<'_>) -> Result<CacheVerification> {
    check(directory)?;
    let mut report = CacheVerification { cache: directory.to_path_buf(), ..CacheVerification::default() };
    let lists = lists(directory);
    let all = lists.iter().filter_map(|(_, list)| list.as_ref()).flat_map(|list| &list.blocks);
    work.observer.expect(all.map(|(_, place)| u64::from(place.size)).sum());
    for (path, list) in lists {
        let Some(list) = list else {
            report.findings.insert(list_of(&path), "damaged, or of another version".to_owned());
            continue;
        };
        // A run may have removed the bytes while another put their list there. The next one to make room removes the
        // list.
        if path.symlink_metadata().is_err() {
            continue;
        }
        let Some((file, _)) = open_file(&path).filter(|(_, size)| *size == list.file_size) else {
            report.findings.insert(path, format!("a file of {} bytes expected, found something else", list.file_size));
            continue;
        };
        let mut damaged = 0;
        let mut stored = Vec::new();
        for (block, place) in &list.blocks {
            work.observer.check()?;
            work.observer.advance(place.size.into());
            report.bytes += u64::from(place.size);
            let is_within = place.offset.checked_add(place.size.into()).is_some_and(|end| end <= list.file_size);
            let is_good = is_within && {
                stored.resize(place.size as usize, 0);
                file.read_exact_at(&mut stored, place.offset).is_ok()
                    && crc32fast::hash(&stored) == place.stored_checksum
                    && decoded(&list.encoding, &stored).is_some_and(|(bytes, checksum)| {
                        ContentDigest::of(&bytes) == *block && checksum == place.checksum
                    })
            };
            if is_good {
                report.blocks += 1;
            } else {
                damaged += 1;
            }
        }
        if damaged > 0 {
            report.findings.insert(path, format!("{damaged} of {} blocks damaged", list.blocks.len()));
        }
    }
    for (path, is_whole) in changesets(directory) {
        if is_whole {
            report.layers += 1;
        } else {
            report.findings.insert(path, "damaged, or of another version".to_owned());
        }
    }
    Ok(report)
}
