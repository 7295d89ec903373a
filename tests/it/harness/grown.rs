//! Trees that grow from a seed, and changes to them, the same each time.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::Fixture;

/// A tree in memory. Names of one file have one inode.
#[derive(Clone)]
pub(crate) struct Grown {
    names: BTreeMap<PathBuf, usize>,
    inodes: Vec<Inode>,
    state: u64,
}

#[derive(Clone, PartialEq)]
struct Inode {
    what: What,
    mode: u32,
    owner: u64,
    mtime: u64,
    attribute: Option<u64>,
}

#[derive(Clone, PartialEq)]
enum What {
    Directory,
    File(u64),
    Symlink(u64),
    Device(char, u64),
    Fifo,
}

impl Grown {
    /// A tree of about this many entries.
    pub(crate) fn from_seed(seed: u64, size: usize) -> Self {
        let mut tree = Grown { names: BTreeMap::new(), inodes: Vec::new(), state: seed * 2 + 1 };
        // Small seeds give similar first numbers.
        for _ in 0..20 {
            let _ = tree.number(2);
        }
        let root = tree.inode(What::Directory);
        tree.names.insert(PathBuf::new(), root);
        (0..size).for_each(|_| tree.add());
        (0..size / 6).for_each(|_| tree.link());
        tree
    }

    /// The same tree after this many changes of every kind.
    pub(crate) fn changed(&self, count: usize) -> Self {
        let mut tree = self.clone();
        (0..count).for_each(|_| tree.change());
        tree
    }

    /// The lines of a fixture, with all paths below `directory`.
    pub(crate) fn lines(&self, directory: &str) -> String {
        let mut firsts: BTreeMap<usize, String> = BTreeMap::new();
        let mut lines = String::new();
        for (path, number) in &self.names {
            let Inode { what, mode, owner, mtime, attribute } = &self.inodes[*number];
            let path = format!("{directory}/{}", path.display());
            let path = path.trim_end_matches('/');
            if let Some(first) = firsts.get(number) {
                lines += &format!("h - - - {path} {first}\n");
                continue;
            }
            let (kind, rest) = match what {
                What::Directory => ('d', String::new()),
                What::File(content) => ('f', format!(" text {content:08}")),
                What::Symlink(target) => ('l', format!(" n{target}")),
                What::Device(kind, minor) => (*kind, format!(" 7:{minor}")),
                What::Fifo => ('p', String::new()),
            };
            if *what != What::Directory {
                firsts.insert(*number, path.to_owned());
            }
            let has_attributes = matches!(what, What::Directory | What::File(_));
            let attribute = attribute.filter(|_| has_attributes).map(|value| format!(" @user.grown={value:02x}"));
            let mode = if kind == 'l' { 0o777 } else { *mode };
            lines += &format!("{kind} {mode:04o} {owner}:7 {mtime} {path}{rest}{}\n", attribute.unwrap_or_default());
        }
        lines
    }

    /// Whether a directory in `self` is something else in `other`, or the reverse.
    pub(crate) fn changes_type(&self, other: &Grown) -> bool {
        let is_directory = |tree: &Grown, path: &Path| tree.names.get(path).map(|number| tree.is_directory(*number));
        self.names.keys().any(|path| {
            is_directory(other, path)
                .is_some_and(|is_directory_there| Some(is_directory_there) != is_directory(self, path))
        })
    }

    /// Makes several trees, each in a directory named by its number.
    pub(crate) fn side_by_side(trees: &[Grown]) -> Fixture {
        let mut text = "d 0755 0:0 1 /\n".to_owned();
        for (number, tree) in trees.iter().enumerate() {
            text += &tree.lines(&format!("/{number:02}"));
        }
        Fixture::parse(&text)
    }

    fn is_directory(&self, number: usize) -> bool {
        self.inodes[number].what == What::Directory
    }

    /// xorshift64.
    fn number(&mut self, below: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        (self.state >> 20) % below
    }

    fn pick<T: Clone>(&mut self, of: &[T]) -> Option<T> {
        let length = of.len() as u64;
        (length > 0).then(|| of[self.number(length) as usize].clone())
    }

    fn inode(&mut self, what: What) -> usize {
        let mode = [0o755, 0o644, 0o700, 0o4755, 0o1777][self.number(5) as usize];
        let (owner, mtime) = (self.number(3) * 1000, 1_000_000_000 + self.number(1000));
        let attribute = (self.number(4) == 0).then(|| self.number(200));
        self.inodes.push(Inode { what, mode, owner, mtime, attribute });
        self.inodes.len() - 1
    }

    fn leaf(&mut self) -> What {
        match self.number(10) {
            0 | 1 => What::Symlink(self.number(8)),
            2 => What::Device(if self.number(2) == 0 { 'c' } else { 'b' }, 1 + self.number(9)),
            3 => What::Fifo,
            _ => What::File(self.number(1 << 20)),
        }
    }

    fn paths(&self, wanted: impl Fn(usize) -> bool) -> Vec<PathBuf> {
        let is_root = |path: &PathBuf| path.as_os_str().is_empty();
        self.names
            .iter()
            .filter(|(path, number)| !is_root(path) && wanted(**number))
            .map(|(path, _)| path.clone())
            .collect()
    }

    fn new_path(&mut self) -> Option<PathBuf> {
        let directories: Vec<PathBuf> =
            self.names.iter().filter(|(_, number)| self.is_directory(**number)).map(|(path, _)| path.clone()).collect();
        // Few names, so that removed ones reappear, and one that is a prefix of another.
        let name = ["n1", "n2", "n3", "n4", "n5", "n6", "n", "n-1", "a", "z"][self.number(10) as usize];
        let path = self.pick(&directories)?.join(name);
        (path.components().count() < 5 && !self.names.contains_key(&path)).then_some(path)
    }

    fn add(&mut self) {
        let Some(path) = self.new_path() else { return };
        let what = if self.number(3) == 0 { What::Directory } else { self.leaf() };
        let inode = self.inode(what);
        self.names.insert(path, inode);
    }

    fn link(&mut self) {
        let files = self.paths(|number| !self.is_directory(number));
        if let (Some(path), Some(first)) = (self.new_path(), self.pick(&files)) {
            self.names.insert(path, self.names[&first]);
        }
    }

    fn remove_below(&mut self, path: &Path) {
        self.names.retain(|name, _| name == path || !name.starts_with(path));
    }

    fn change(&mut self) {
        let all = self.paths(|_| true);
        let Some(path) = self.pick(&all) else { return self.add() };
        let number = self.names[&path];
        let value = self.number(1000);
        match self.number(16) {
            0 => self.inodes[number].mtime += 1 + value,
            1 => self.inodes[number].mode ^= 0o22,
            2 => self.inodes[number].owner += 1 + value,
            3 => self.inodes[number].attribute = Some(value % 250),
            4 => self.inodes[number].attribute = None,
            // Of the same size, at the same time.
            5 | 6 => match &mut self.inodes[number].what {
                What::File(content) => *content ^= 1 + value,
                What::Symlink(target) => *target += 1 + value,
                What::Device(_, minor) => *minor += 1 + value % 90,
                What::Directory | What::Fifo => self.add(),
            },
            7 => {
                self.remove_below(&path);
                self.names.remove(&path);
            }
            // Something else in its place; of a hard-linked file only this name.
            8 | 9 => {
                self.remove_below(&path);
                let is_directory = self.is_directory(number);
                let what = if is_directory || value % 2 == 0 { self.leaf() } else { What::Directory };
                let inode = self.inode(what);
                self.names.insert(path.clone(), inode);
                if self.is_directory(inode) {
                    let below = self.inode(What::File(value));
                    self.names.insert(path.join("below"), below);
                }
            }
            // A file becomes a hard link, or a hard link a file.
            10 => self.link(),
            11 if !self.is_directory(number) => {
                self.inodes.push(self.inodes[number].clone());
                self.names.insert(path, self.inodes.len() - 1);
            }
            12 => {
                let files = self.paths(|number| !self.is_directory(number));
                if let Some(first) = self.pick(&files).filter(|first| !first.starts_with(&path)) {
                    self.remove_below(&path);
                    self.names.insert(path, self.names[&first]);
                }
            }
            // The first of several names is removed.
            13 => {
                let mut seen = BTreeSet::new();
                let again =
                    self.names.iter().find(|(_, number)| !self.is_directory(**number) && !seen.insert(**number));
                if let Some(number) = again.map(|(_, number)| *number) {
                    let first = self.names.iter().find(|(_, other)| **other == number).map(|(path, _)| path.clone());
                    self.names.remove(&first.expect("it has names"));
                }
            }
            _ => self.add(),
        }
    }
}
