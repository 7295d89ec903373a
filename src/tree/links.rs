//! The names of files with several names.

use std::collections::BTreeMap;

use crate::tree::{Entry, Kind, TarPath, Tree};

/// The names of each inode of a canonical tree that has several names.
#[derive(Debug)]
pub(crate) struct HardLinks<'a> {
    /// By the name under which the tree holds the inode; names in order.
    names: BTreeMap<&'a TarPath, Vec<&'a TarPath>>,
}

impl<'a> HardLinks<'a> {
    /// Collects the names that count; the others are treated as if they were not in the tree.
    pub(crate) fn of(tree: &'a Tree, counts: impl Fn(&TarPath) -> bool) -> Self {
        let mut links = HardLinks { names: BTreeMap::new() };
        for entry in tree.iter().filter(|entry| matches!(entry.kind, Kind::Hardlink { .. })) {
            let inode = tree.inode(entry);
            let names = links.names.entry(&inode.path).or_insert_with(|| {
                if counts(&inode.path) {
                    vec![&inode.path]
                } else {
                    Vec::new()
                }
            });
            if inode.path != entry.path && counts(&entry.path) {
                names.push(&entry.path);
            }
        }
        links
    }

    /// Returns the counted names of an inode, in order, or `None` if it has only one name in the tree.
    pub(crate) fn names(&self, inode: &Entry) -> Option<&[&'a TarPath]> {
        self.names.get(&inode.path).map(Vec::as_slice)
    }
}
