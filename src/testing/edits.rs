//! Pairs of filesystems for property tests: the second is the first with some more changes.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, Index};

use super::model::{Inode, Model};
use crate::tree::{Device, Kind, TarPath};

/// What a person or a package does to a filesystem.
#[derive(Clone, Debug)]
enum Edit {
    Put(TarPath, Inode),
    Link(Index, TarPath),
    Rename(Index, TarPath),
    Remove(Index),
    /// The directory moves, and a symbolic link to its new place replaces it.
    Merge(Index, TarPath),
    /// The name becomes a separate file, equal to what it was.
    CutOff(Index),
    Change(Index, Change),
}

#[derive(Clone, Debug)]
enum Change {
    Mode(u16),
    Uid(u32),
    Gid(u32),
    Mtime(i64),
    Xattr(Vec<u8>, Option<Vec<u8>>),
    Content(Vec<u8>),
}

/// Few names, some with the same beginning, so that edits meet.
pub(crate) fn any_path() -> impl Strategy<Value = TarPath> {
    vec(select(vec!["a", "b", "ab", "a-b"]), 1..4).prop_map(|names| TarPath::parse(names.join("/").as_bytes()).unwrap())
}

/// Makes two filesystems.
pub(crate) fn pair() -> impl Strategy<Value = (Model, Model)> {
    (vec(edit(), 0..24), vec(edit(), 0..8)).prop_map(|(before, after)| {
        let mut old = Model::new();
        for edit in before {
            edit.apply(&mut old);
        }
        let mut new = old.clone();
        for edit in after {
            edit.apply(&mut new);
        }
        (old, new)
    })
}

fn content() -> impl Strategy<Value = Vec<u8>> {
    select(vec!["", "A", "B", "AA", "AB"]).prop_map(|text| text.as_bytes().to_vec())
}

fn inode() -> impl Strategy<Value = Inode> {
    let device = || (0_u32..2, 0_u32..2).prop_map(|(major, minor)| Device { major, minor });
    prop_oneof![
        3 => content().prop_map(|content| Inode::file(&content)),
        3 => Just(Inode::new(Kind::Directory)),
        2 => select(vec!["a", "b/a"]).prop_map(|to| Inode::new(Kind::Symlink { target: to.as_bytes().into() })),
        1 => device().prop_map(|device| Inode::new(Kind::CharDevice(device))),
        1 => device().prop_map(|device| Inode::new(Kind::BlockDevice(device))),
        1 => Just(Inode::new(Kind::Fifo)),
    ]
}

fn edit() -> impl Strategy<Value = Edit> {
    let at = any::<Index>;
    prop_oneof![
        8 => (any_path(), inode()).prop_map(|(path, inode)| Edit::Put(path, inode)),
        5 => (at(), any_path()).prop_map(|(from, to)| Edit::Link(from, to)),
        2 => (at(), any_path()).prop_map(|(from, to)| Edit::Rename(from, to)),
        2 => at().prop_map(Edit::Remove),
        1 => (at(), any_path()).prop_map(|(from, to)| Edit::Merge(from, to)),
        2 => at().prop_map(Edit::CutOff),
        8 => (at(), change()).prop_map(|(at, change)| Edit::Change(at, change)),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    let name = select(vec![b"user.x".to_vec(), b"user.y".to_vec()]);
    let value = proptest::option::of(select(vec![b"1".to_vec(), b"2".to_vec()]));
    prop_oneof![
        select(vec![0o644, 0o755, 0o4755]).prop_map(Change::Mode),
        (0_u32..2).prop_map(Change::Uid),
        (0_u32..2).prop_map(Change::Gid),
        (-1_i64..2).prop_map(Change::Mtime),
        (name, value).prop_map(|(name, value)| Change::Xattr(name, value)),
        content().prop_map(Change::Content),
    ]
}

impl Edit {
    fn apply(self, model: &mut Model) {
        let at = |model: &Model, index: Index| {
            let names: Vec<&TarPath> = model.names().collect();
            (*index.get(&names)).clone()
        };
        match self {
            Edit::Put(path, inode) => model.put(&path, inode),
            Edit::Link(from, to) => model.link(&at(model, from), &to),
            Edit::Rename(from, to) => model.rename(&at(model, from), &to),
            Edit::Remove(index) => model.remove(&at(model, index)),
            Edit::Merge(from, to) => {
                let from = at(model, from);
                model.rename(&from, &to);
                if model.inode(&from).is_none() {
                    model.put(&from, Inode::new(Kind::Symlink { target: to.as_bytes().into() }));
                }
            }
            Edit::CutOff(index) => {
                let name = at(model, index);
                let inode = model.inode(&name).unwrap().clone();
                model.put(&name, inode);
            }
            Edit::Change(index, change) => change.apply(model.inode_mut(&at(model, index)).unwrap()),
        }
    }
}

impl Change {
    fn apply(self, inode: &mut Inode) {
        let metadata = &mut inode.metadata;
        match self {
            Change::Mode(mode) => metadata.mode = mode,
            Change::Uid(uid) => metadata.uid = uid,
            Change::Gid(gid) => metadata.gid = gid,
            Change::Mtime(mtime) => metadata.mtime = mtime.into(),
            // Other kinds cannot have such attributes on disk.
            Change::Xattr(name, value) if matches!(inode.kind, Kind::File { .. } | Kind::Directory) => {
                metadata.xattrs.retain(|other, _| *other != name);
                if let Some(value) = value {
                    metadata.xattrs.insert(name, value.into());
                }
            }
            Change::Xattr(..) => {}
            Change::Content(content) => {
                if let Kind::File { size } = &mut inode.kind {
                    *size = content.len() as u64;
                    inode.content = content;
                }
            }
        }
    }
}
