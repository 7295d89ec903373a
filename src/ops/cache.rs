//! `cache`: what is in a cache of compressed blocks, made smaller, and held to its checksums.

use std::collections::BTreeMap;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::compress::decoded;
use crate::digest::ContentDigest;
use crate::error::{IoContext, Result};
use crate::image::cache::{items, lists, open_file, prune};
use crate::work::Work;

/// What is done with a cache beside looking at it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct CacheOptions {
    /// What was used least recently is removed until the rest has this many bytes at most.
    pub prune: Option<u64>,
}

/// What is in a cache.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct CacheReport {
    /// Its directory.
    pub directory: PathBuf,
    /// Bytes of all its files.
    pub bytes: u64,
    /// The part of these bytes that are an image's too, and cost nothing while the image is there.
    pub shared_bytes: u64,
    /// Layers, or parts of them, whose blocks it has, and base layers whose entries it has.
    pub items: usize,
    /// How many blocks it has of each encoding.
    pub blocks: BTreeMap<String, usize>,
    /// Bytes that were removed.
    pub removed_bytes: u64,
}

/// Looks at a cache, and makes it smaller if that is asked for.
pub fn cache(directory: &Path, options: &CacheOptions, work: &Work<'_>) -> Result<CacheReport> {
    std::fs::read_dir(directory).at("read the cache", directory)?;
    work.observer.check()?;
    let removed_bytes = match options.prune {
        Some(most_bytes) => prune(directory, most_bytes).at("prune the cache", directory)?,
        None => 0,
    };
    let mut report = CacheReport { directory: directory.to_path_buf(), removed_bytes, ..CacheReport::default() };
    for item in items(directory).at("read the cache", directory)? {
        report.items += 1;
        report.bytes += item.bytes;
        report.shared_bytes += item.shared_bytes;
    }
    for (_, list) in lists(directory) {
        *report.blocks.entry(list.encoding).or_default() += list.blocks.len();
    }
    Ok(report)
}

/// What became of the blocks of a cache when all of them were decompressed.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct CacheCheck {
    /// Blocks that are what their lists say.
    pub good: usize,
    /// Files with blocks that are not, each with the number of these.
    pub damaged: BTreeMap<PathBuf, usize>,
}

impl CacheCheck {
    /// Whether no block is damaged.
    pub fn is_good(&self) -> bool {
        self.damaged.is_empty()
    }
}

/// Decompresses every block of a cache and holds it to its digest. No run uses a block that is damaged; it is compressed anew.
pub fn check_cache(directory: &Path, work: &Work<'_>) -> Result<CacheCheck> {
    std::fs::read_dir(directory).at("read the cache", directory)?;
    let mut check = CacheCheck::default();
    for (path, list) in lists(directory) {
        let mut damaged = 0;
        let file = open_file(&path).filter(|(_, size)| *size == list.file_size);
        let mut stored = Vec::new();
        for (block, place) in &list.blocks {
            work.observer.check()?;
            let is_good = file.as_ref().is_some_and(|(file, size)| {
                if u64::from(place.size) > *size {
                    return false;
                }
                stored.resize(place.size as usize, 0);
                file.read_exact_at(&mut stored, place.offset).is_ok()
                    && crc32fast::hash(&stored) == place.stored_checksum
                    && decoded(&list.encoding, &stored).is_some_and(|bytes| ContentDigest::of(&bytes) == *block)
            });
            if is_good {
                check.good += 1;
            } else {
                damaged += 1;
            }
        }
        if damaged > 0 {
            check.damaged.insert(path, damaged);
        }
    }
    Ok(check)
}
