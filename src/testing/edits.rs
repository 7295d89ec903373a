//! Pairs of filesystems for properties: the second is the first with some more changes.

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
    /// The directory moves, and a symbolic link to its new place stands where it was.
    Merge(Index, TarPath),
    Mode(Index, u16),
    Uid(Index, u32),
    Gid(Index, u32),
    Mtime(Index, i64),
    Xattr(Index, Vec<u8>, Option<Vec<u8>>),
    Write(Index, Vec<u8>),
}

/// Few names, some of which begin like others, so that edits meet.
pub(crate) fn any_path() -> impl Strategy<Value = TarPath> {
    vec(select(vec!["a", "b", "ab", "a-b"]), 1..4).prop_map(|names| TarPath::parse(names.join("/").as_bytes()).unwrap())
}

/// Two filesystems.
pub(crate) fn pair() -> impl Strategy<Value = (Model, Model)> {
    (vec(edit(), 0..24), vec(edit(), 0..8)).prop_map(|(before, after)| {
        let mut old = Model::new();
        before.into_iter().for_each(|edit| edit.apply(&mut old));
        let mut new = old.clone();
        after.into_iter().for_each(|edit| edit.apply(&mut new));
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
    let value = proptest::option::of(select(vec![b"1".to_vec(), b"2".to_vec()]));
    prop_oneof![
        8 => (any_path(), inode()).prop_map(|(path, inode)| Edit::Put(path, inode)),
        5 => (at(), any_path()).prop_map(|(from, to)| Edit::Link(from, to)),
        2 => (at(), any_path()).prop_map(|(from, to)| Edit::Rename(from, to)),
        2 => at().prop_map(Edit::Remove),
        1 => (at(), any_path()).prop_map(|(from, to)| Edit::Merge(from, to)),
        1 => (at(), select(vec![0o644, 0o755, 0o4755])).prop_map(|(at, mode)| Edit::Mode(at, mode)),
        1 => (at(), 0_u32..2).prop_map(|(at, uid)| Edit::Uid(at, uid)),
        1 => (at(), 0_u32..2).prop_map(|(at, gid)| Edit::Gid(at, gid)),
        1 => (at(), -1_i64..2).prop_map(|(at, mtime)| Edit::Mtime(at, mtime)),
        1 => (at(), select(vec![b"user.x".to_vec(), b"user.y".to_vec()]), value)
            .prop_map(|(at, name, value)| Edit::Xattr(at, name, value)),
        2 => (at(), content()).prop_map(|(at, content)| Edit::Write(at, content)),
    ]
}

impl Edit {
    fn apply(self, model: &mut Model) {
        let at = |model: &Model, index: Index| -> TarPath {
            let names: Vec<_> = model.names().collect();
            (*index.get(&names)).clone()
        };
        let inode = match self {
            Edit::Put(path, inode) => return model.put(&path, inode),
            Edit::Link(from, to) => return model.link(&at(model, from), &to),
            Edit::Rename(from, to) => return model.rename(&at(model, from), &to),
            Edit::Remove(index) => return model.remove(&at(model, index)),
            Edit::Merge(from, to) => {
                let from = at(model, from);
                model.rename(&from, &to);
                if !from.is_root() && model.inode(&from).is_none() {
                    model.put(&from, Inode::new(Kind::Symlink { target: to.as_bytes().into() }));
                }
                return;
            }
            Edit::Mode(index, _)
            | Edit::Uid(index, _)
            | Edit::Gid(index, _)
            | Edit::Mtime(index, _)
            | Edit::Xattr(index, ..)
            | Edit::Write(index, _) => at(model, index),
        };
        let inode = model.inode_mut(&inode).unwrap();
        match self {
            Edit::Mode(_, mode) => inode.metadata.mode = mode,
            Edit::Uid(_, uid) => inode.metadata.uid = uid,
            Edit::Gid(_, gid) => inode.metadata.gid = gid,
            Edit::Mtime(_, mtime) => inode.metadata.mtime = mtime,
            Edit::Xattr(_, name, Some(value)) => drop(inode.metadata.xattrs.insert(name, value)),
            Edit::Xattr(_, name, None) => drop(inode.metadata.xattrs.remove(&name)),
            Edit::Write(_, content) if matches!(inode.kind, Kind::File { .. }) => {
                let metadata = inode.metadata.clone();
                *inode = Inode { metadata, ..Inode::file(&content) };
            }
            _ => {}
        }
    }
}
