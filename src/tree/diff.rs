//! What changed from one tree to another, entry by entry and field by field.
//!
//! Two names are compared by the inodes that they stand for, and content by what the caller knows of it, never by size
//! and time. That one inode has several names shows only where a name was linked to another or was cut off from it:
//! names that come and go are added and removed, and change nothing in those that stay.

use std::collections::BTreeMap;

use crate::error::Result;
use crate::tree::{
    pairs, Change, Difference, Entry, FieldChange, FromTo, Kind, Links, Mask, Metadata, Pair, TarPath, Tree, Xattrs,
};

/// Lists what changed from `old` to `new` in the order of the paths; what is below an added or removed directory is
/// listed too, and nothing that `mask` covers.
///
/// The trees are canonical: parents are there, and of several names of one inode the first in order is the file and the
/// others are hard links to it. `same_content` is asked whether a regular file of the old tree and one of the new tree,
/// both of the same size, hold the same bytes; once for each pair of inodes.
pub fn diff(
    old: &Tree,
    new: &Tree,
    mask: &Mask,
    mut same_content: impl FnMut(&Entry, &Entry) -> Result<bool>,
) -> Result<Vec<Difference>> {
    // Only names that both have can tell that a link was made or cut.
    let old_links = Links::of(old, |path| !mask.covers(path) && new.get(path).is_some());
    let new_links = Links::of(new, |path| !mask.covers(path) && old.get(path).is_some());
    // Names of one inode share its answer.
    let mut answers = BTreeMap::new();
    let mut same_content = |old: &Entry, new: &Entry| {
        if old_links.names(old).is_none() && new_links.names(new).is_none() {
            return same_content(old, new);
        }
        let inodes = (old.path.clone(), new.path.clone());
        if let Some(same) = answers.get(&inodes) {
            return Ok(*same);
        }
        let same = same_content(old, new)?;
        answers.insert(inodes, same);
        Ok(same)
    };
    let mut differences = Vec::new();
    for pair in pairs(old, new, mask) {
        let (path, change) = match pair {
            Pair::Old(entry) => (&entry.path, Change::Removed { kind: entry.kind.clone() }),
            Pair::New(entry) => (&entry.path, Change::Added { kind: entry.kind.clone() }),
            Pair::Both { old: old_entry, new: new_entry } => {
                let path = &new_entry.path;
                let (old_inode, new_inode) = (old.inode(old_entry), new.inode(new_entry));
                let mut fields = kind_changes(old_inode, new_inode, &mut same_content)?;
                let (from, to) = (other_name(&old_links, old_inode, path), other_name(&new_links, new_inode, path));
                fields.extend(changed(from, to).map(FieldChange::Hardlink));
                fields.extend(metadata_changes(&old_inode.metadata, &new_inode.metadata));
                if fields.is_empty() {
                    continue;
                }
                (path, Change::Changed { fields })
            }
        };
        differences.push(Difference { path: path.clone(), change });
    }
    Ok(differences)
}

/// The first name of the inode, unless it is this one.
fn other_name(links: &Links<'_>, inode: &Entry, path: &TarPath) -> Option<TarPath> {
    let first = *links.names(inode)?.first()?;
    (first != path).then(|| first.clone())
}

fn changed<T: PartialEq>(from: T, to: T) -> Option<FromTo<T>> {
    (from != to).then_some(FromTo { from, to })
}

fn kind_changes(
    old: &Entry,
    new: &Entry,
    same_content: impl FnOnce(&Entry, &Entry) -> Result<bool>,
) -> Result<Vec<FieldChange>> {
    let size = |entry: &Entry| matches!(entry.kind, Kind::File { .. }).then(|| entry.size());
    let target = |entry: &Entry| match &entry.kind {
        Kind::Symlink { target } => Some(target.clone()),
        _ => None,
    };
    let device = |entry: &Entry| match entry.kind {
        Kind::CharDevice(device) | Kind::BlockDevice(device) => Some(device),
        _ => None,
    };
    let mut fields = Vec::new();
    fields.extend(changed(old.kind.name(), new.kind.name()).map(FieldChange::Type));
    fields.extend(changed(size(old), size(new)).map(FieldChange::Size));
    if old.size() > 0 && size(old) == size(new) && !same_content(old, new)? {
        fields.push(FieldChange::Content);
    }
    fields.extend(changed(target(old), target(new)).map(FieldChange::Target));
    fields.extend(changed(device(old), device(new)).map(FieldChange::Device));
    Ok(fields)
}

fn metadata_changes(old: &Metadata, new: &Metadata) -> Vec<FieldChange> {
    let mut fields = Vec::new();
    fields.extend(changed(old.mode, new.mode).map(FieldChange::Mode));
    fields.extend(changed(old.uid, new.uid).map(FieldChange::Uid));
    fields.extend(changed(old.gid, new.gid).map(FieldChange::Gid));
    fields.extend(changed(old.mtime, new.mtime).map(FieldChange::Mtime));
    let mut names: Vec<&Vec<u8>> = old.xattrs.keys().chain(new.xattrs.keys()).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let value = |xattrs: &Xattrs| xattrs.get(name).cloned();
        let change = changed(value(&old.xattrs), value(&new.xattrs));
        fields.extend(change.map(|value| FieldChange::Xattr { name: name.clone(), value }));
    }
    fields
}
