//! What changed from one tree to another, entry by entry and field by field.
//!
//! Two names are compared by their inodes, and content by what the caller knows of it, never by size and time. That one
//! inode has several names shows only where a name was linked to another or separated from it: names that come and go
//! are added and removed, and change nothing in those that stay.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::Result;
use crate::tree::{
    pairs, Change, Difference, Entry, FieldChange, FromTo, HardLinks, Kind, Mask, Metadata, Mtime, Pair, TarPath, Tree,
};

/// Lists what changed from `old` to `new` in the order of the paths. What is below an added or removed directory is
/// listed too, but nothing that `mask` covers.
///
/// The trees are canonical: parents exist, and of several names of one inode the first in order is the file and the
/// others are hard links to it. `same_content` says whether a regular file of the old tree and one of the new tree,
/// both of the same size, hold the same bytes; it is called once for each pair of inodes.
pub(crate) fn diff(
    old: &Tree,
    new: &Tree,
    mask: &Mask,
    same_content: impl FnMut(&Entry, &Entry) -> Result<bool>,
) -> Result<Vec<Difference>> {
    diff_by(old, new, mask, |old, new| old == new, same_content)
}

/// Like [`diff`], but `same_time` says whether two times are the same.
pub(crate) fn diff_by(
    old: &Tree,
    new: &Tree,
    mask: &Mask,
    same_time: impl Fn(Mtime, Mtime) -> bool,
    mut same_content: impl FnMut(&Entry, &Entry) -> Result<bool>,
) -> Result<Vec<Difference>> {
    // Only names that both have can show that a link was made or cut.
    let old_links = HardLinks::of(old, |path| !mask.covers(path) && new.get(path).is_some());
    let new_links = HardLinks::of(new, |path| !mask.covers(path) && old.get(path).is_some());
    // Names of one inode share the answer.
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
                fields.extend(metadata_changes(&old_inode.metadata, &new_inode.metadata, &same_time));
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

/// Returns the first name of the inode, unless it is this one.
fn other_name(links: &HardLinks<'_>, inode: &Entry, path: &TarPath) -> Option<TarPath> {
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
        Kind::Symlink { target } => Some(Box::<[u8]>::from(&**target)),
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

fn metadata_changes(old: &Metadata, new: &Metadata, same_time: &impl Fn(Mtime, Mtime) -> bool) -> Vec<FieldChange> {
    let mut fields = Vec::new();
    fields.extend(changed(old.mode, new.mode).map(FieldChange::Mode));
    fields.extend(changed(old.uid, new.uid).map(FieldChange::Uid));
    fields.extend(changed(old.gid, new.gid).map(FieldChange::Gid));
    if !same_time(old.mtime, new.mtime) {
        fields.extend(changed(old.mtime, new.mtime).map(FieldChange::Mtime));
    }
    let mut names: Vec<&Vec<u8>> = old.xattrs.keys().chain(new.xattrs.keys()).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let (from, to) = (old.xattrs.get(name), new.xattrs.get(name));
        let value = |value: Option<&Arc<[u8]>>| value.map(|value| value.to_vec());
        let change = (from != to).then(|| FromTo { from: value(from), to: value(to) });
        fields.extend(change.map(|value| FieldChange::Xattr { name: name.clone(), value }));
    }
    fields
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::testing::edits::{any_path, pair};
    use crate::testing::model::{path, Model};

    fn compared(old: &Model, new: &Model, mask: &Mask) -> Vec<Difference> {
        let mut asked = BTreeSet::new();
        diff(&old.tree(), &new.tree(), mask, |old_entry, new_entry| {
            assert!(asked.insert((old_entry.path.clone(), new_entry.path.clone())), "{:?} again", new_entry.path);
            assert_eq!(old_entry.size(), new_entry.size());
            let content = |model: &Model, entry: &Entry| model.inode(&entry.path).unwrap().content.clone();
            Ok(content(old, old_entry) == content(new, new_entry))
        })
        .unwrap()
    }

    /// Returns differences as text: `+` added, `-` removed, `~` changed.
    fn shown(differences: &[Difference]) -> Vec<String> {
        differences
            .iter()
            .map(|Difference { path, change }| match change {
                Change::Added { kind } => format!("+ {path} {}", kind.name()),
                Change::Removed { kind } => format!("- {path} {}", kind.name()),
                Change::Changed { fields } => {
                    let fields: Vec<_> = fields.iter().map(ToString::to_string).collect();
                    format!("~ {path} {}", fields.join(", "))
                }
            })
            .collect()
    }

    #[test]
    fn every_field() {
        for (old, new, expected) in [
            ("x=A", "x=A", &[][..]),
            ("x=A", "x=B", &["~ /x content"]),
            ("x=A", "x=AB", &["~ /x size 1 -> 2"]),
            ("x=", "x=A", &["~ /x size 0 -> 1"]),
            ("x=A", "x=A mode=4755", &["~ /x mode 0755 -> 4755"]),
            (
                "x=A",
                "x=B uid=1 gid=2 mtime=-3",
                &["~ /x content, uid 0 -> 1, gid 0 -> 2, mtime 1970-01-01T00:00:00Z -> 1969-12-31T23:59:57Z"],
            ),
            ("x->a", "x->b", &["~ /x target a -> b"]),
            ("x c1,3", "x c1,5", &["~ /x device 1,3 -> 1,5"]),
            ("x c1,3", "x b1,3", &["~ /x type char -> block"]),
            ("x c1,3", "x p", &["~ /x type char -> fifo, device 1,3 -> none"]),
            ("x/", "x->a", &["~ /x type directory -> symlink, target none -> a"]),
            ("x=A", "x->a", &["~ /x type file -> symlink, size 1 -> none, target none -> a"]),
            ("x/", "x=", &["~ /x type directory -> file, size none -> 0"]),
            ("x/", "x/ user.a=1", &["~ /x xattr user.a none -> 1"]),
            (
                "x/ user.a=1 user.b=1 user.c=1",
                "x/ user.b=2 user.c=1 user.d=1",
                &["~ /x xattr user.a 1 -> none, xattr user.b 1 -> 2, xattr user.d none -> 1"],
            ),
        ] {
            let differences = compared(&Model::parse(&[old]), &Model::parse(&[new]), &Mask::default());
            assert_eq!(shown(&differences), expected, "{old} -> {new}");
        }
    }

    #[test]
    fn entries_come_and_go_one_by_one() {
        let old = Model::parse(&["a/b/c=A", "a/d=A", "bin/sh=A", "f=A"]);
        let new = Model::parse(&["bin->usr/bin", "f/g=A", "usr/bin/sh=A"]);
        let expected = [
            "- /a directory",
            "- /a/b directory",
            "- /a/b/c file",
            "- /a/d file",
            "~ /bin type directory -> symlink, target none -> usr/bin",
            "- /bin/sh file",
            "~ /f type file -> directory, size 1 -> none",
            "+ /f/g file",
            "+ /usr directory",
            "+ /usr/bin directory",
            "+ /usr/bin/sh file",
        ];
        assert_eq!(shown(&compared(&old, &new, &Mask::default())), expected);
        let mask: Mask = ["a/b", "bin", "usr/bin"].into_iter().map(path).collect();
        let expected = [
            "- /a directory",
            "- /a/d file",
            "~ /f type file -> directory, size 1 -> none",
            "+ /f/g file",
            "+ /usr directory",
        ];
        assert_eq!(shown(&compared(&old, &new, &mask)), expected);
    }

    #[test]
    fn links_that_were_made_or_cut() {
        for (what, old, new, expected) in [
            ("the same", &["a=A", "b=>a"][..], &["a=A", "b=>a"][..], &[][..]),
            ("a further name", &["a=A"], &["a=A", "b=>a"], &["+ /b hardlink"]),
            ("a further name that comes first", &["b=A"], &["a=A", "b=>a"], &["+ /a file"]),
            ("the first name removed", &["a=A", "b=>a", "c=>a"], &["b=A", "c=>b"], &["- /a file"]),
            ("linked", &["a=A", "b=A"], &["a=A", "b=>a"], &["~ /b hardlink none -> /a"]),
            ("cut off", &["a=A", "b=>a", "c=>a"], &["a=A", "b=>a", "c=A"], &["~ /c hardlink /a -> none"]),
            ("moved over", &["a=A", "b=A", "c=>a"], &["a=A", "b=A", "c=>b"], &["~ /c hardlink /a -> /b"]),
            ("changed under all names", &["a=A", "b=>a"], &["a=B", "b=>a"], &["~ /a content", "~ /b content"]),
            ("linked to a link", &["a->x", "b->x"], &["a->x", "b=>a"], &["~ /b hardlink none -> /a"]),
            (
                "now a directory",
                &["a=A", "b=>a"],
                &["a=A", "b/"],
                &["~ /b type file -> directory, size 1 -> none, hardlink /a -> none"],
            ),
        ] {
            let differences = compared(&Model::parse(old), &Model::parse(new), &Mask::default());
            assert_eq!(shown(&differences), expected, "{what}");
        }
        let mask = [path("a")].into_iter().collect();
        let (linked, cut) = (Model::parse(&["a=A", "b=>a"]), Model::parse(&["a=A", "b=A"]));
        assert_eq!(compared(&linked, &cut, &mask), []);
    }

    #[test]
    fn trouble_with_content_ends_the_comparison() {
        let tree = Model::parse(&["a=A"]).tree();
        let failed = diff(&tree, &tree, &Mask::default(), |_, _| Err(crate::Error::Interrupted));
        assert!(matches!(failed, Err(crate::Error::Interrupted)));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

        #[test]
        fn differences_are_all_there_is((old, new) in pair(), masked in proptest::option::of(any_path())) {
            let mask: Mask = masked.into_iter().collect();
            let differences = compared(&old, &new, &mask);
            let is_link = |field: &FieldChange| matches!(field, FieldChange::Hardlink(_));
            let names: BTreeSet<_> = old.names().chain(new.names()).filter(|name| !mask.covers(name)).collect();
            let listed: Vec<_> = differences.iter().map(|difference| &difference.path).collect();
            prop_assert!(listed.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert!(listed.iter().all(|path| names.contains(path)));
            for name in names {
                let change = differences.iter().find(|difference| difference.path == *name).map(|found| &found.change);
                match (old.inode(name), new.inode(name), change) {
                    (Some(_), None, Some(Change::Removed { .. })) | (None, Some(_), Some(Change::Added { .. })) => {}
                    (Some(old), Some(new), Some(Change::Changed { fields })) => {
                        prop_assert_eq!(fields.iter().any(|field| !is_link(field)), old != new);
                    }
                    (Some(old), Some(new), None) => prop_assert_eq!(old, new),
                    other => prop_assert!(false, "{:?}: {:?}", name, other),
                }
            }
            // Ignoring names that only one has, both are linked alike unless a change says otherwise.
            let both = |name: &TarPath| old.inode(name).is_some() && new.inode(name).is_some() && !mask.covers(name);
            let firsts = |model: &Model| -> Vec<TarPath> {
                model.shape(both).into_values().map(|(_, first)| first.clone()).collect()
            };
            let told = differences.iter().any(|difference| match &difference.change {
                Change::Changed { fields } => fields.iter().any(is_link),
                _ => false,
            });
            prop_assert_eq!(told, firsts(&old) != firsts(&new));
        }
    }
}
