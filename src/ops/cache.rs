//! `cache`: what is in a cache of compressed blocks, and made smaller.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::error::{IoContext, Result};
use crate::image::cache::{check, items, lists, prune};
use crate::work::Work;

/// What is done with a cache besides showing it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct CacheOptions {
    /// How many bytes remain at most after what was used least recently is removed.
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
    /// The part of these bytes that is shared with images, and takes no space of its own while they are there.
    pub shared_bytes: u64,
    /// Layers, or parts of them, whose blocks it has, and base layers whose entries it has.
    pub items: usize,
    /// How many blocks it has of each encoding.
    pub blocks: BTreeMap<String, usize>,
    /// Bytes that were removed.
    pub removed_bytes: u64,
}

/// Describes a cache, pruned if that is asked for.
pub fn cache(directory: &Path, options: &CacheOptions, work: &Work<'_>) -> Result<CacheReport> {
    check(directory)?;
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
    for list in lists(directory).into_iter().filter_map(|(_, list)| list) {
        *report.blocks.entry(list.encoding).or_default() += list.blocks.len();
    }
    Ok(report)
}
