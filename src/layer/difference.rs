//! What a layer must hold to turn one tree into another (image-spec, layer.md#representing-changes).
//!
//! - Removals are explicit whiteouts, one for a whole directory; they come before their siblings.
//! - An entry replaces what was at its path. So a change of type is the new entry alone: no whiteout beside it, since
//!   that would be read as its removal, and nothing below what was a directory, since that would be written through it.
//! - The directories that lead to a change are part of the layer with their own metadata; other directories that did
//!   not change are not.
//! - Of the names of one inode the layer has all or none: a hard link cannot point into a layer below. They may stay
//!   below if all of them were names of one equal inode there, and no names that were separated from them stay as well.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::Result;
use crate::layer::Step;
use crate::tree::{pairs, Entry, HardLinks, Kind, Mask, Pair, TarPath, Tree};

/// The members of a layer in the order in which they are written: each directory, the whiteouts for what is gone from
/// it, and then its content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Steps<'a> {
    steps: Vec<Step<'a>>,
}

impl Steps<'_> {
    /// Returns whether the trees are equal, so that there is nothing to write.
    pub(crate) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

impl<'a> IntoIterator for Steps<'a> {
    type Item = Step<'a>;
    type IntoIter = std::vec::IntoIter<Step<'a>>;

    fn into_iter(self) -> Self::IntoIter {
        self.steps.into_iter()
    }
}

/// Plans the layer that turns `old` into `new`.
///
/// Both trees are canonical: parents exist, and of several names of one inode the first in order is the file and the
/// others are hard links to it. `same_content` says whether a regular file of the old tree and one of the new tree hold
/// the same bytes; it is called only if everything else about them is the same, and once for each pair of inodes.
///
/// What `mask` covers stays as it is in `old`, whatever `new` has there: it is neither added nor removed. But it goes
/// with a directory above it that is removed or becomes something else. Hard links across the edge of the mask are not
/// compared: if the names outside of it are written, they are a separate file.
pub(crate) fn difference<'a>(
    old: &'a Tree,
    new: &'a Tree,
    mask: &Mask,
    same_content: impl FnMut(&Entry, &Entry) -> Result<bool>,
) -> Result<Steps<'a>> {
    let old_links = HardLinks::of(old, |path| !mask.covers(path));
    let new_links = HardLinks::of(new, |path| !mask.covers(path));
    let mut inodes = Inodes {
        old,
        new,
        old_links: &old_links,
        new_links: &new_links,
        answers: BTreeMap::new(),
        taken: BTreeSet::new(),
        same_content,
    };
    let mut outline = Outline::default();
    // The last path at which the old tree's directory, if it is one, goes with everything in it.
    let mut gone: Option<&TarPath> = None;
    for pair in pairs(old, new, mask) {
        match pair {
            // A layer cannot remove the root.
            Pair::Old(entry) if entry.path.is_root() => {}
            Pair::Old(entry) => {
                if !gone.is_some_and(|gone| entry.path.starts_with(gone)) {
                    gone = Some(&entry.path);
                    outline.remove(&entry.path);
                }
            }
            Pair::New(entry) => outline.add(entry, Part::Member),
            Pair::Both { old: old_entry, new: new_entry } => {
                let stays = match (&old_entry.kind, &new_entry.kind) {
                    (Kind::Directory, Kind::Directory) => old_entry.metadata == new_entry.metadata,
                    (Kind::Directory, _) => {
                        gone = Some(&old_entry.path);
                        false
                    }
                    (_, Kind::Directory) => false,
                    _ => inodes.stays(new_entry)?,
                };
                outline.add(new_entry, if stays { Part::None } else { Part::Member });
            }
        }
    }
    Ok(Steps { steps: outline.steps(|entry| put(entry, new, &new_links)) })
}

/// Puts an entry; if the mask covers the name that holds the content, the first remaining name holds it instead.
fn put<'a>(entry: &'a Entry, new: &'a Tree, links: &HardLinks<'a>) -> Step<'a> {
    let inode = new.inode(entry);
    match links.names(inode).and_then(<[_]>::first) {
        Some(&first) if *first != inode.path => {
            let kind =
                if *first == entry.path { inode.kind.clone() } else { Kind::Hardlink { target: first.clone().into() } };
            let entry = Entry { path: entry.path.clone(), metadata: inode.metadata.clone(), kind };
            Step::PutAs { entry: Box::new(entry), source: inode }
        }
        _ => Step::Put(entry),
    }
}

/// Which inodes of the new tree are those of the old tree.
struct Inodes<'a, 'l, F> {
    old: &'a Tree,
    new: &'a Tree,
    old_links: &'l HardLinks<'a>,
    new_links: &'l HardLinks<'a>,
    /// For inodes of the new tree that have several names: whether they stay.
    answers: BTreeMap<&'a TarPath, bool>,
    /// Inodes of the old tree that have several names, some of which stay.
    taken: BTreeSet<&'a TarPath>,
    same_content: F,
}

impl<'a, F: FnMut(&Entry, &Entry) -> Result<bool>> Inodes<'a, '_, F> {
    /// Returns whether an entry of the new tree, other than a directory, stays as it is in the old tree, with all its
    /// names.
    fn stays(&mut self, entry: &'a Entry) -> Result<bool> {
        let inode = self.new.inode(entry);
        let Some(names) = self.new_links.names(inode) else { return self.same(inode, &[&entry.path]) };
        if let Some(stays) = self.answers.get(&inode.path) {
            return Ok(*stays);
        }
        let stays = self.same(inode, names)?;
        self.answers.insert(&inode.path, stays);
        Ok(stays)
    }

    fn same(&mut self, new: &Entry, names: &[&TarPath]) -> Result<bool> {
        let mut inodes = names.iter().map(|name| self.old.get(name).map(|entry| self.old.inode(entry)));
        let Some(Some(old)) = inodes.next() else { return Ok(false) };
        if !inodes.all(|other| other.is_some_and(|other| other.path == old.path)) {
            return Ok(false);
        }
        // Names that were linked and no longer are: the first ones stay, and the layer has the others.
        let shared = self.old_links.names(old).is_some();
        if shared && self.taken.contains(&old.path) {
            return Ok(false);
        }
        let same =
            old.metadata == new.metadata && old.kind == new.kind && (new.size() == 0 || (self.same_content)(old, new)?);
        if same && shared {
            self.taken.insert(&old.path);
        }
        Ok(same)
    }
}

/// The new tree in order, with what the layer has of it.
#[derive(Default)]
struct Outline<'a> {
    nodes: Vec<Node<'a>>,
    /// Removed paths, each with the directory that held it; `None` in a tree without a root.
    removed: Vec<(Option<usize>, &'a TarPath)>,
    /// The directories that lead to the last path, by their places among the nodes.
    open: Vec<usize>,
}

struct Node<'a> {
    entry: &'a Entry,
    parent: Option<usize>,
    part: Part,
}

/// Whether the layer has an entry.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    None,
    Member,
}

impl<'a> Outline<'a> {
    fn add(&mut self, entry: &'a Entry, part: Part) {
        let parent = self.parent_of(&entry.path);
        if entry.kind == Kind::Directory {
            self.open.push(self.nodes.len());
        }
        self.nodes.push(Node { entry, parent, part });
    }

    fn remove(&mut self, path: &'a TarPath) {
        let parent = self.parent_of(path);
        if let Some(parent) = parent {
            self.nodes[parent].part = Part::Member;
        }
        self.removed.push((parent, path));
    }

    fn parent_of(&mut self, path: &TarPath) -> Option<usize> {
        while let Some(&directory) = self.open.last() {
            if path.starts_with(&self.nodes[directory].entry.path) {
                return Some(directory);
            }
            self.open.pop();
        }
        None
    }

    fn steps(mut self, put: impl Fn(&'a Entry) -> Step<'a>) -> Vec<Step<'a>> {
        // Children come after their parents, so that one pass from the end reaches all parents.
        for i in (0..self.nodes.len()).rev() {
            if let Node { part: Part::Member, parent: Some(parent), .. } = self.nodes[i] {
                self.nodes[parent].part = Part::Member;
            }
        }
        // Stable, so that removals from one directory stay in order.
        self.removed.sort_by_key(|(parent, _)| *parent);
        let mut removed = self.removed.into_iter().peekable();
        let mut steps = Vec::new();
        while let Some((_, path)) = removed.next_if(|(parent, _)| parent.is_none()) {
            steps.push(Step::Whiteout(path.clone()));
        }
        for (i, node) in self.nodes.iter().enumerate() {
            if node.part == Part::Member {
                steps.push(put(node.entry));
                while let Some((_, path)) = removed.next_if(|(parent, _)| *parent == Some(i)) {
                    steps.push(Step::Whiteout(path.clone()));
                }
            }
        }
        steps
    }
}

#[cfg(test)]
mod tests;
