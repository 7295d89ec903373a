//! Resolves names in a tree as the kernel would, without leaving it.

use std::collections::BTreeMap;

use crate::tree::{Entry, Kind, TarPath, Tree};

/// How many symbolic links there may be on the way to a file; the kernel's limit.
const MAX_LINKS: usize = 40;

/// Resolves names in a tree like a process that has the tree as its root: links on the way are followed, and none leads
/// out.
#[derive(Debug)]
pub(crate) struct Resolver<'a> {
    tree: &'a Tree,
    /// Directories that were looked up, by the names used for them.
    directories: BTreeMap<Box<[u8]>, Option<TarPath>>,
}

/// Why a name cannot be resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    /// Nothing is there.
    Missing(TarPath),
    /// The path goes on, but this is not a directory.
    NoDirectory(TarPath),
    /// More links than the kernel follows.
    Loop,
}

impl<'a> Resolver<'a> {
    /// Makes a resolver for one tree, which remembers what it found.
    pub(crate) fn new(tree: &'a Tree) -> Self {
        Resolver { tree, directories: BTreeMap::new() }
    }

    /// Returns the path that a name has in the tree, or would have: its directories are resolved, and the last
    /// component is not followed. `None` if a directory is missing.
    pub(crate) fn place(&mut self, name: &[u8]) -> Option<TarPath> {
        let end = name.iter().rposition(|byte| *byte != b'/').map_or(0, |last| last + 1);
        let (directory, last) = match name[..end].iter().rposition(|byte| *byte == b'/') {
            Some(slash) => (&name[..slash], &name[slash + 1..end]),
            None => (&b""[..], &name[..end]),
        };
        if matches!(last, b"" | b"." | b"..") {
            return self.walk(name).filter(|path| self.is_directory(path));
        }
        if let Some(known) = self.directories.get(directory) {
            return known.as_ref().map(|directory| directory.join(last));
        }
        let found = self.walk(directory).filter(|path| self.is_directory(path));
        let place = found.as_ref().map(|directory| directory.join(last));
        self.directories.insert(directory.into(), found);
        place
    }

    /// Returns the entry that a name refers to, which is never a symbolic link; for a hard link, the file that it
    /// names.
    pub(crate) fn follow(&self, name: &[u8]) -> Option<&'a Entry> {
        let path = self.walk(name)?;
        self.tree.get(&path).map(|entry| self.tree.inode(entry))
    }

    /// Does the same as [`follow`](Self::follow), or says why the name cannot be resolved.
    pub(crate) fn find(&self, name: &[u8]) -> Result<Option<&'a Entry>, Lost> {
        self.way(name).map(|path| self.tree.get(&path).map(|entry| self.tree.inode(entry)))
    }

    fn is_directory(&self, path: &TarPath) -> bool {
        self.tree.get(path).is_some_and(|entry| entry.kind == Kind::Directory)
    }

    fn walk(&self, name: &[u8]) -> Option<TarPath> {
        self.way(name).ok()
    }

    /// Follows a name to its end.
    fn way(&self, name: &[u8]) -> Result<TarPath, Lost> {
        let mut reached = TarPath::root();
        // The components still to go, the next one last.
        let mut ahead: Vec<&[u8]> = name.split(|byte| *byte == b'/').rev().collect();
        let mut links = 0;
        while let Some(component) = ahead.pop() {
            let next = match component {
                b"" | b"." => continue,
                b".." => {
                    reached = reached.parent().unwrap_or(reached);
                    continue;
                }
                component => reached.join(component),
            };
            let Some(entry) = self.tree.get(&next) else { return Err(Lost::Missing(next)) };
            match &self.tree.inode(entry).kind {
                Kind::Directory => reached = next,
                Kind::Symlink { target } if links < MAX_LINKS => {
                    links += 1;
                    if target.starts_with(b"/") {
                        reached = TarPath::root();
                    }
                    ahead.extend(target.split(|byte| *byte == b'/').rev());
                }
                Kind::Symlink { .. } => return Err(Lost::Loop),
                _ if ahead.is_empty() => return Ok(next),
                _ => return Err(Lost::NoDirectory(next)),
            }
        }
        Ok(reached)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::model::{path, Model};

    fn tree() -> Tree {
        Model::parse(&[
            "usr/lib/libc.so=x",
            "usr/bin/sh->busybox",
            "usr/bin/busybox=x",
            "usr/bin/hard=>usr/bin/busybox",
            "lib->usr/lib",
            "bin->/usr/bin",
            "loop->loop",
            "up->../../usr/./lib//",
            "dangling->nowhere/x",
            "file->usr/lib/libc.so/x",
        ])
        .tree()
    }

    #[test]
    fn directories_are_resolved_and_the_last_component_is_not() {
        let tree = tree();
        let mut resolver = Resolver::new(&tree);
        for (name, expected) in [
            ("/lib/libc.so", Some("usr/lib/libc.so")),
            ("lib/new", Some("usr/lib/new")),
            ("/lib", Some("lib")),
            ("/lib/", Some("lib")),
            ("/lib/.", Some("usr/lib")),
            ("/up/libc.so", Some("usr/lib/libc.so")),
            ("/bin/sh", Some("usr/bin/sh")),
            ("./bin//sh", Some("usr/bin/sh")),
            ("/", Some("")),
            ("/.", Some("")),
            ("", Some("")),
            ("/loop/x", None),
            ("/missing/x", None),
            ("/usr/lib/libc.so/x", None),
            ("/dangling/x", None),
            ("/bin/../../../lib/libc.so", Some("usr/lib/libc.so")),
        ] {
            for _ in 0..2 {
                assert_eq!(resolver.place(name.as_bytes()), expected.map(path), "{name}");
            }
        }
    }

    #[test]
    fn links_are_followed_to_the_end() {
        let tree = tree();
        let resolver = Resolver::new(&tree);
        for (name, expected) in [
            ("bin/sh", Some("usr/bin/busybox")),
            ("bin/hard", Some("usr/bin/busybox")),
            ("up", Some("usr/lib")),
            ("/", Some("")),
            ("loop", None),
            ("dangling", None),
            ("file", None),
            ("missing", None),
        ] {
            assert_eq!(resolver.follow(name.as_bytes()).map(|entry| entry.path.clone()), expected.map(path), "{name}");
        }
        for (name, lost) in [
            ("loop", Lost::Loop),
            ("dangling", Lost::Missing(path("nowhere"))),
            ("file", Lost::NoDirectory(path("usr/lib/libc.so"))),
            ("lib/missing", Lost::Missing(path("usr/lib/missing"))),
        ] {
            assert_eq!(resolver.find(name.as_bytes()), Err(lost), "{name}");
        }
    }
}
