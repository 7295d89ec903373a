use std::collections::BTreeMap;

use crate::tree::{Entry, Kind, TarPath, Tree};

/// The names of each inode of a canonical tree that has several.
#[derive(Debug)]
pub(crate) struct Links<'a> {
    /// By the name under which the tree holds the inode; names in order.
    names: BTreeMap<&'a TarPath, Vec<&'a TarPath>>,
}

impl<'a> Links<'a> {
    /// Collects the names that count; the others are as if they were not in the tree.
    pub(crate) fn of(tree: &'a Tree, counts: impl Fn(&TarPath) -> bool) -> Self {
        let mut links = Links { names: BTreeMap::new() };
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

    /// The names of an inode that count, in order; none of an inode that has one name in the tree.
    pub(crate) fn names(&self, inode: &Entry) -> Option<&[&'a TarPath]> {
        self.names.get(&inode.path).map(Vec::as_slice)
    }
}
