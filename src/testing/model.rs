//! A filesystem of names and inodes in the plainest form, to compare trees and layers with.

use std::collections::BTreeMap;

use crate::layer::Step;
use crate::tree::{Device, Entry, Kind, Metadata, Mtime, TarPath, Tree};

/// What a name refers to; never a hard link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Inode {
    pub(crate) kind: Kind,
    pub(crate) metadata: Metadata,
    pub(crate) content: Vec<u8>,
}

/// Names, each with the number of its inode. Numbers only tell whether inodes are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    names: BTreeMap<TarPath, usize>,
    inodes: Vec<Inode>,
}

pub(crate) fn path(text: &str) -> TarPath {
    TarPath::parse(text.as_bytes()).unwrap()
}

impl Inode {
    pub(crate) fn new(kind: Kind) -> Self {
        Inode { kind, metadata: Metadata { mode: 0o755, ..Metadata::default() }, content: Vec::new() }
    }

    pub(crate) fn file(content: &[u8]) -> Self {
        Inode { content: content.to_vec(), ..Inode::new(Kind::File { size: content.len() as u64 }) }
    }
}

impl Model {
    /// Makes a root with nothing in it.
    pub(crate) fn new() -> Self {
        let mut model = Model::default();
        model.put(&TarPath::root(), Inode::new(Kind::Directory));
        model
    }

    /// Reads `dir/`, `file=content`, `link->target`, `hard=>target`, `node c5,1` (or `b`), `pipe p`, each optionally
    /// followed by `mode=`, `uid=`, `gid=`, `mtime=` or `user.NAME=`. Makes missing parents.
    pub(crate) fn parse(lines: &[&str]) -> Self {
        let mut model = Model::new();
        for line in lines {
            let mut words = line.split(' ');
            let name = words.next().unwrap();
            let mut words = words.peekable();
            let device = |text: &str| {
                let (major, minor) = text.split_once(',').unwrap();
                Device { major: major.parse().unwrap(), minor: minor.parse().unwrap() }
            };
            let special = words.next_if(|word| !word.contains('=')).map(|word| match word.split_at(1) {
                ("c", numbers) => Kind::CharDevice(device(numbers)),
                ("b", numbers) => Kind::BlockDevice(device(numbers)),
                _ => Kind::Fifo,
            });
            let (name, inode) = if let Some((name, target)) = name.split_once("=>") {
                model.link(&path(target), &path(name));
                (name, None)
            } else if let Some((name, target)) = name.split_once("->") {
                (name, Some(Inode::new(Kind::Symlink { target: target.as_bytes().into() })))
            } else if let Some(kind) = special {
                (name, Some(Inode::new(kind)))
            } else if let Some((name, content)) = name.split_once('=') {
                (name, Some(Inode::file(content.as_bytes())))
            } else {
                (name, Some(Inode::new(Kind::Directory)))
            };
            if let Some(inode) = inode {
                model.put(&path(name), inode);
            }
            let inode = model.inode_mut(&path(name)).unwrap();
            for word in words {
                let (field, value) = word.split_once('=').unwrap();
                match field {
                    "mode" => inode.metadata.mode = u16::from_str_radix(value, 8).unwrap(),
                    "uid" => inode.metadata.uid = value.parse().unwrap(),
                    "gid" => inode.metadata.gid = value.parse().unwrap(),
                    "mtime" => inode.metadata.mtime = Mtime::parse(value.as_bytes()).unwrap(),
                    xattr => drop(inode.metadata.xattrs.insert(xattr.into(), value.as_bytes().into())),
                }
            }
        }
        model
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &TarPath> {
        self.names.keys()
    }

    pub(crate) fn inode(&self, path: &TarPath) -> Option<&Inode> {
        self.names.get(path).map(|number| &self.inodes[*number])
    }

    pub(crate) fn inode_mut(&mut self, path: &TarPath) -> Option<&mut Inode> {
        self.names.get(path).map(|number| &mut self.inodes[*number])
    }

    pub(crate) fn is_directory(&self, path: &TarPath) -> bool {
        self.inode(path).is_some_and(|inode| inode.kind == Kind::Directory)
    }

    /// Returns all names of the inode of a name, in order.
    pub(crate) fn links(&self, path: &TarPath) -> Vec<&TarPath> {
        let number = self.names[path];
        self.names.iter().filter(|(_, other)| **other == number).map(|(name, _)| name).collect()
    }

    /// Returns each counted name with its inode, and the first counted name of that inode.
    pub(crate) fn shape(&self, counts: impl Fn(&TarPath) -> bool) -> BTreeMap<&TarPath, (&Inode, &TarPath)> {
        let mut firsts = BTreeMap::new();
        let names = self.names.iter().filter(|(name, _)| counts(name));
        names.map(|(name, number)| (name, (&self.inodes[*number], *firsts.entry(number).or_insert(name)))).collect()
    }

    pub(crate) fn tree(&self) -> Tree {
        self.shape(|_| true)
            .into_iter()
            .map(|(name, (inode, first))| Entry {
                path: name.clone(),
                metadata: inode.metadata.clone(),
                kind: if name == first { inode.kind.clone() } else { Kind::Hardlink { target: first.clone().into() } },
            })
            .collect()
    }

    /// Gives a name a new inode and makes the directories that lead to it. An existing directory keeps its content only
    /// if the new inode is a directory.
    pub(crate) fn put(&mut self, path: &TarPath, inode: Inode) {
        self.make_room(path, inode.kind == Kind::Directory);
        self.names.insert(path.clone(), self.inodes.len());
        self.inodes.push(inode);
    }

    /// Gives an inode another name. Does nothing for a directory, or if one of the names is below the other.
    pub(crate) fn link(&mut self, from: &TarPath, to: &TarPath) {
        let Some(number) = self.names.get(from).copied() else { return };
        if from == to || self.is_directory(from) || from.starts_with(to) || to.starts_with(from) {
            return;
        }
        self.make_room(to, false);
        self.names.insert(to.clone(), number);
    }

    /// Moves a name with everything below it, and replaces what is at the new name.
    pub(crate) fn rename(&mut self, from: &TarPath, to: &TarPath) {
        if !self.names.contains_key(from) || from.starts_with(to) || to.starts_with(from) {
            return;
        }
        let moved: Vec<_> =
            self.names.iter().filter(|(name, _)| name.starts_with(from)).map(|(n, i)| (n.clone(), *i)).collect();
        self.remove(from);
        self.make_room(to, false);
        for (name, number) in moved {
            let rest = &name.as_bytes()[from.as_bytes().len()..];
            self.names.insert(TarPath::parse(&[to.as_bytes(), rest].concat()).unwrap(), number);
        }
    }

    pub(crate) fn remove(&mut self, path: &TarPath) {
        self.names.retain(|name, _| path.is_root() || !name.starts_with(path));
    }

    fn make_room(&mut self, path: &TarPath, for_directory: bool) {
        if let Some(parent) = path.parent() {
            if !self.is_directory(&parent) {
                self.put(&parent, Inode::new(Kind::Directory));
            }
            if !(for_directory && self.is_directory(path)) {
                self.remove(path);
            }
        }
    }

    /// Returns what a runtime has after it applies a layer to this. `from` has the content.
    ///
    /// Upper and lower names stay apart until the end, so that nothing in the layer can act on the layer itself.
    pub(crate) fn apply(&self, layer: &[Step<'_>], from: &Model) -> Model {
        let mut result = self.clone();
        let mut upper = BTreeMap::new();
        for step in layer {
            if let Step::Whiteout(gone) = step {
                result.names.retain(|name, _| !name.starts_with(gone));
            }
        }
        for step in layer {
            let Some((entry, source)) = step.entry_and_source() else { continue };
            let directory = entry.kind == Kind::Directory;
            if !(directory && result.is_directory(&entry.path)) {
                result.names.retain(|name, _| !name.starts_with(&entry.path));
            }
            let number = match &entry.kind {
                Kind::Hardlink { target } => *upper.get(&**target).expect("a hard link stays in its layer"),
                kind => {
                    let content = from.inode(&source.path).unwrap().content.clone();
                    assert_eq!(content.len() as u64, entry.size());
                    let inode = Inode { kind: kind.clone(), metadata: entry.metadata.clone(), content };
                    result.inodes.push(inode);
                    result.inodes.len() - 1
                }
            };
            assert!(upper.insert(entry.path.clone(), number).is_none(), "{:?} occurs twice", entry.path);
        }
        result.names.extend(upper);
        result
    }
}
