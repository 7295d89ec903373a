//! Filesystem trees: every operation works on [`Entry`]s, and a [`Tree`] is an ordered map of them.

mod acl;
mod content;
mod device_table;
mod diff;
mod difference;
mod directories;
mod embedded_ids;
mod entry;
mod glob;
mod ids;
mod links;
mod mask;
mod mtime;
mod owner;
mod packed;
mod pairs;
mod path;
mod path_map;
mod resolve;
mod scan;
mod seen;
mod whiteout;
mod xattr;
mod xattrs;

pub use content::Content;
pub(crate) use content::Directory;
pub use device_table::DeviceTable;
pub(crate) use diff::{diff, diff_by};
pub use difference::{Change, Difference, FieldChange, FromTo};
pub use entry::{Device, Entry, Kind, LinkText, Metadata};
pub(crate) use glob::{form_of_idle, Excluded};
pub use glob::{Globs, DEVELOPMENT};
pub(crate) use mask::Mask;
pub use mtime::Mtime;
pub(crate) use owner::clamp_times;
pub use owner::{IdMap, OwnerPolicy};
pub(crate) use path::{members, path_members};
pub use path::{shown, TarPath};
pub(crate) use resolve::{Lost, Resolver};
pub use scan::ScanPolicy;
pub use scan::WhiteoutNames;
pub(crate) use scan::{scan, Scan};
pub(crate) use whiteout::{is_reserved, Whiteout};
pub use xattr::XattrPolicy;
pub use xattrs::Xattrs;

pub(crate) use acl::Acl;
pub(crate) use directories::Directories;
pub(crate) use embedded_ids::{Parsed as ParsedXattr, ACCESS_ACL, DEFAULT_ACL};
pub(crate) use glob::Exclusion;
pub(crate) use ids::Ids;
pub(crate) use links::HardLinks;
pub(crate) use owner::align_hardlinks;
pub(crate) use packed::pack_grown;
pub(crate) use pairs::{pairs, Pair};
pub(crate) use path_map::PathMap;
pub(crate) use xattr::read as read_xattrs;

use crate::error::{Error, Result};

/// Entries by path: parents before children, siblings in the order of their bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tree {
    /// In the order of their paths, of which each is there once. A map of them would take more room.
    entries: Vec<Entry>,
}

impl Tree {
    /// Makes a tree without even a root.
    pub fn new() -> Self {
        Tree::default()
    }

    /// Adds an entry, or replaces the one at its path and returns it. For many that are not in order,
    /// [`extend`](Extend::extend) is faster.
    pub fn insert(&mut self, entry: Entry) -> Option<Entry> {
        match self.position(&entry.path) {
            Ok(at) => Some(std::mem::replace(&mut self.entries[at], entry)),
            Err(at) => {
                self.entries.insert(at, entry);
                None
            }
        }
    }

    /// Where the entry at a path is, or where it would be.
    fn position(&self, path: &TarPath) -> Result<usize, usize> {
        match self.entries.last() {
            Some(last) if last.path < *path => Err(self.entries.len()),
            _ => self.entries.binary_search_by(|entry| entry.path.cmp(path)),
        }
    }

    /// Returns the entry at a path, or `None` if there is none.
    pub fn get(&self, path: &TarPath) -> Option<&Entry> {
        self.position(path).ok().map(|at| &self.entries[at])
    }

    /// Returns the entry at a path, for changes that leave the path alone.
    pub fn get_mut(&mut self, path: &TarPath) -> Option<&mut Entry> {
        self.position(path).ok().map(|at| &mut self.entries[at])
    }

    /// Returns the entry that holds the content of an entry of this tree: for a hard link, the file that it names.
    pub fn inode<'a>(&'a self, entry: &'a Entry) -> &'a Entry {
        match &entry.kind {
            Kind::Hardlink { target } => self.get(target).unwrap_or(entry),
            _ => entry,
        }
    }

    /// Adds missing directories that lead to entries, including the root: mode 0755, owner 0:0, and this time. Fails if
    /// something other than a directory is in their place.
    pub fn add_missing_parents(&mut self, mtime: Mtime) -> Result<()> {
        let mut missing = Vec::new();
        for entry in self.iter() {
            for parent in std::iter::successors(entry.path.parent(), TarPath::parent) {
                match self.get(&parent).map(|parent| &parent.kind) {
                    Some(Kind::Directory) => break,
                    Some(kind) => {
                        let reason = format!("`{parent}` should be a directory, found a {}", kind.name());
                        return Err(Error::malformed(entry.path.to_string(), reason));
                    }
                    None => missing.push(parent),
                }
            }
        }
        let made = |path| Entry { path, metadata: Metadata::of_missing_directory(mtime), kind: Kind::Directory };
        self.extend(missing.into_iter().map(made));
        Ok(())
    }

    /// Returns all entries in order.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// Returns all entries in order.
    pub(crate) fn into_entries(self) -> Vec<Entry> {
        self.entries
    }

    /// Returns the paths below a directory, in order.
    pub(crate) fn below<'a>(&'a self, directory: &'a TarPath) -> impl Iterator<Item = &'a TarPath> {
        let from = self.entries.partition_point(|entry| entry.path <= *directory);
        let after = self.entries[from..].iter().map(|entry| &entry.path);
        after.take_while(move |path| path.starts_with(directory))
    }

    /// Returns all entries in order, for changes that leave the path alone.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.entries.iter_mut()
    }

    /// Returns how many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the newest mtime, or `None` if the tree is empty.
    pub(crate) fn newest_mtime(&self) -> Option<Mtime> {
        self.iter().map(|entry| entry.metadata.mtime).max()
    }

    /// Returns the number of content bytes.
    pub(crate) fn content_size(&self) -> u64 {
        self.iter().map(Entry::size).sum()
    }
}

/// Of several entries with one path, the last counts.
impl From<Vec<Entry>> for Tree {
    fn from(mut entries: Vec<Entry>) -> Self {
        let is_in_order = |pair: &[Entry]| pair[0].path < pair[1].path;
        if !entries.windows(2).all(is_in_order) {
            entries.sort_by(|a, b| a.path.cmp(&b.path));
            // What is kept of two is the first.
            entries.dedup_by(|later, earlier| {
                let is_same = later.path == earlier.path;
                if is_same {
                    std::mem::swap(later, earlier);
                }
                is_same
            });
        }
        Tree { entries }
    }
}

impl FromIterator<Entry> for Tree {
    fn from_iter<I: IntoIterator<Item = Entry>>(entries: I) -> Self {
        Vec::from_iter(entries).into()
    }
}

impl Extend<Entry> for Tree {
    fn extend<I: IntoIterator<Item = Entry>>(&mut self, entries: I) {
        let mut all = std::mem::take(&mut self.entries);
        all.extend(entries);
        *self = all.into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &str, kind: Kind) -> Entry {
        Entry { path: TarPath::parse(path.as_bytes()).unwrap(), metadata: Metadata::default(), kind }
    }

    #[test]
    fn missing_parents_are_made() {
        let given = [entry("a/b/c", Kind::Fifo), entry("a/b/d", Kind::Fifo), entry("e", Kind::Directory)];
        let mut tree: Tree = given.iter().cloned().collect();
        tree.add_missing_parents((-7).into()).unwrap();
        let made = |path| Entry {
            metadata: Metadata { mode: 0o755, mtime: (-7).into(), ..Metadata::default() },
            ..entry(path, Kind::Directory)
        };
        let [c, d, e] = given;
        assert_eq!(tree, [made(""), made("a"), made("a/b"), c, d, e].into_iter().collect());
        let before = tree.clone();
        tree.add_missing_parents(9.into()).unwrap();
        assert_eq!(tree, before);
        assert!(Tree::new().add_missing_parents(Mtime::default()).is_ok());
    }

    #[test]
    fn the_last_entry_of_a_path_counts() {
        let paths = |tree: &Tree| tree.iter().map(|entry| entry.path.to_string()).collect::<Vec<_>>();
        let file = |path, size| entry(path, Kind::File { size });
        let mut tree: Tree = [file("b", 1), file("a", 1), file("b", 2), file("b", 3)].into_iter().collect();
        assert_eq!((paths(&tree), tree.content_size()), (vec!["/a".to_owned(), "/b".to_owned()], 4));
        assert_eq!(tree.insert(file("a", 5)), Some(file("a", 1)));
        assert_eq!(tree.insert(file("a/c", 7)), None);
        tree.extend([file("d", 9), file("b", 0)]);
        assert_eq!((paths(&tree), tree.content_size()), (["/a", "/a/c", "/b", "/d"].map(Into::into).to_vec(), 21));
        let below = |path| tree.below(&path).cloned().collect::<Vec<_>>();
        assert_eq!((below(TarPath::root()).len(), below(file("a", 0).path)), (4, vec![file("a/c", 0).path]));
        assert_eq!(tree.get(&file("c", 0).path), None);
    }

    #[test]
    fn nothing_lies_in_a_file() {
        let mut tree: Tree = [entry("a", Kind::File { size: 0 }), entry("a/b/c", Kind::Fifo)].into_iter().collect();
        let error = tree.add_missing_parents(Mtime::default()).unwrap_err();
        assert_eq!(error.to_string(), "/a/b/c: `/a` should be a directory, found a file");
    }

    #[test]
    fn names_of_one_inode() {
        let link = |path, target: &str| {
            entry(path, Kind::Hardlink { target: TarPath::parse(target.as_bytes()).unwrap().into() })
        };
        let (a, b, c) = (entry("a", Kind::Fifo), link("b", "a"), link("c", "nowhere"));
        let tree: Tree = [a.clone(), b.clone(), c.clone()].into_iter().collect();
        for (name, inode) in [(&a, &a), (&b, &a), (&c, &c)] {
            assert_eq!(tree.inode(name), inode);
        }
    }
}
