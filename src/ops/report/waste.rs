//! Wasted space: stored files that the filesystem does not show, and equal files.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::digest::ContentDigest;
use crate::ops::report::contents::ImageContents;
use crate::ops::report::LISTED;
use crate::tree::{path_members, TarPath};

/// Wasted space, in bytes of content before compression.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Waste {
    /// All wasted bytes.
    pub bytes: u64,
    /// Bytes of content of all layers.
    pub of: u64,
    /// Files that a later layer stores again.
    pub replaced: LostFiles,
    /// Files that a later layer removes or hides.
    pub removed: LostFiles,
    /// Bytes of files that equal another file and are not hard links to it.
    pub duplicate_bytes: u64,
    /// How many such files there are.
    pub duplicate_count: usize,
    /// Groups of equal files, the most expensive first.
    pub duplicates: Vec<Duplicate>,
}

/// Stored files that are not in the filesystem.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LostFiles {
    /// How many there are.
    pub count: usize,
    /// Bytes of their content.
    pub bytes: u64,
    /// The largest ones, largest first.
    pub files: Vec<LostFile>,
}

/// A stored file that is not in the filesystem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LostFile {
    /// Its path.
    #[serde(flatten, serialize_with = "path_members")]
    pub path: TarPath,
    /// The number of the layer that stores it, the base's being 1.
    pub layer: usize,
    /// Bytes of its content.
    pub size: u64,
}

/// A group of equal files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Duplicate {
    /// How many files there are.
    pub count: usize,
    /// Bytes of each.
    pub size: u64,
    /// Bytes of all but one.
    pub bytes: u64,
    /// The first few paths.
    pub paths: Vec<DuplicatePath>,
}

/// The path of one of several equal files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DuplicatePath(#[serde(serialize_with = "path_members")] pub TarPath);

/// How many paths of equal files are listed.
const PATHS: usize = 10;

impl Waste {
    pub(super) fn of(contents: &ImageContents) -> Self {
        let (mut replaced, mut removed) = (LostFiles::default(), LostFiles::default());
        for (path, size, layer) in &contents.lost {
            // A later member of the same layer replaces it as well.
            let is_replaced = contents.tree().get(path).is_some_and(|entry| contents.tree().inode(entry).is_file());
            let lost = if is_replaced { &mut replaced } else { &mut removed };
            lost.count += 1;
            lost.bytes += size;
            lost.files.push(LostFile { path: path.clone(), layer: layer + 1, size: *size });
        }
        for lost in [&mut replaced, &mut removed] {
            lost.files.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| (&a.path, a.layer).cmp(&(&b.path, b.layer))));
            lost.files.truncate(LISTED);
        }
        let mut duplicates = duplicates(contents);
        let duplicate_bytes = duplicates.iter().map(|duplicate| duplicate.bytes).sum();
        let duplicate_count = duplicates.iter().map(|duplicate| duplicate.count - 1).sum();
        duplicates.truncate(LISTED);
        Waste {
            bytes: replaced.bytes + removed.bytes + duplicate_bytes,
            of: contents.layers.iter().map(|layer| layer.bytes).sum(),
            replaced,
            removed,
            duplicate_bytes,
            duplicate_count,
            duplicates,
        }
    }
}

/// All groups of equal files, the most expensive first.
fn duplicates(contents: &ImageContents) -> Vec<Duplicate> {
    let mut by_content: BTreeMap<&ContentDigest, (u64, Vec<&TarPath>)> = BTreeMap::new();
    for (path, digest) in &contents.digests {
        let size = contents.tree().get(path).map_or(0, crate::tree::Entry::size);
        if size > 0 {
            let (of, paths) = by_content.entry(digest).or_default();
            *of = size;
            paths.push(path);
        }
    }
    let several = by_content.into_values().filter(|(_, paths)| paths.len() > 1);
    let duplicate = |(size, paths): (u64, Vec<&TarPath>)| Duplicate {
        count: paths.len(),
        size,
        bytes: size * (paths.len() as u64 - 1),
        paths: paths.into_iter().take(PATHS).cloned().map(DuplicatePath).collect(),
    };
    let mut duplicates: Vec<Duplicate> = several.map(duplicate).collect();
    duplicates.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.paths[0].0.cmp(&b.paths[0].0)));
    duplicates
}
