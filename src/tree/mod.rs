//! Filesystem trees: what flows through every operation is the [`Entry`], and a [`Tree`] is an ordered map of them.

mod content;
mod device_table;
mod entry;
mod fold;
mod glob;
mod owner;
mod path;
mod scan;
mod whiteout;
mod xattr;

pub use content::{Content, Directory};
pub use device_table::DeviceTable;
pub use entry::{Device, Entry, Kind, Metadata, Xattrs};
pub use fold::{Fold, Folded, Origin};
pub use glob::Globs;
pub use owner::{clamp_times, IdMap, OwnerPolicy};
pub use path::TarPath;
pub use scan::{scan, Scan, ScanPolicy};
pub use whiteout::{is_reserved, Whiteout};
pub use xattr::XattrPolicy;

use std::collections::BTreeMap;

/// Entries by path: parents before children, siblings in the order of their bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    entries: BTreeMap<TarPath, Entry>,
}

impl Tree {
    /// A tree without even a root.
    pub fn new() -> Self {
        Tree::default()
    }

    /// Adds an entry, or replaces the one at its path and returns it.
    pub fn insert(&mut self, entry: Entry) -> Option<Entry> {
        self.entries.insert(entry.path.clone(), entry)
    }

    /// The entry at a path.
    pub fn get(&self, path: &TarPath) -> Option<&Entry> {
        self.entries.get(path)
    }

    /// The entry at a path, for changes that leave the path alone.
    pub fn get_mut(&mut self, path: &TarPath) -> Option<&mut Entry> {
        self.entries.get_mut(path)
    }

    /// All entries in order.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// All entries in order, for changes that leave the path alone.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.entries.values_mut()
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The newest mtime, seconds since the epoch.
    pub fn newest_mtime(&self) -> Option<i64> {
        self.iter().map(|entry| entry.metadata.mtime).max()
    }

    /// The number of content bytes.
    pub fn content_size(&self) -> u64 {
        self.iter().map(Entry::size).sum()
    }
}

impl FromIterator<Entry> for Tree {
    fn from_iter<I: IntoIterator<Item = Entry>>(entries: I) -> Self {
        Tree { entries: entries.into_iter().map(|entry| (entry.path.clone(), entry)).collect() }
    }
}
