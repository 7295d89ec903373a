//! Folds layers into one tree, as a runtime that unpacks them one over the other would have it (image-spec,
//! layer.md#applying-changesets), without writing to disk.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, Result};
use crate::layer::findings::LayerFinding;
use crate::rule::Rule;
use crate::tree::{Entry, Kind, Metadata, PathMap, TarPath, Tree, Whiteout};

/// Which member of which layer something comes from. Both are counted from zero, layers from the base.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin {
    /// The layer's number.
    pub layer: usize,
    /// The member's number in the layer's tar, including whiteouts.
    pub member: usize,
}

/// A tree made of layers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folded {
    /// The tree; of several names of one file, the first in order holds the content.
    pub tree: Tree,
    /// Where the content of each regular file is, by the path that holds it.
    pub origins: BTreeMap<TarPath, Origin>,
}

/// Layers being folded into one tree.
#[derive(Clone, Debug, Default)]
pub struct Fold {
    /// The members of all layers, the base's first: what is at a path is known by its number among them.
    members: Vec<Entry>,
    /// The numbers of the layers' first members.
    starts: Vec<usize>,
    nodes: PathMap<Node>,
    /// What AUFS kept for itself in the layer being applied: used only as targets of its hard links.
    kept_by_aufs: BTreeMap<TarPath, Node>,
    /// What the layer being applied hides and has hard links to.
    hidden: BTreeMap<TarPath, Hidden>,
    /// What has, or had, more than one name.
    linked: BTreeSet<u32>,
    below_lower: Vec<BelowLower>,
}

/// An entry of a layer below something of a lower layer that is no directory. A directory takes its place, as in an
/// overlay; other readers follow a link, or refuse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BelowLower {
    entry: TarPath,
    above: TarPath,
    is_link: bool,
}

/// How many are kept of one layer.
const BELOW_KEPT: usize = 1000;

impl BelowLower {
    /// Adds one, unless there are many.
    pub(crate) fn note(list: &mut Vec<Self>, entry: &TarPath, above: &TarPath, is_link: bool) {
        if list.len() < BELOW_KEPT {
            list.push(BelowLower { entry: entry.clone(), above: above.clone(), is_link });
        }
    }

    /// The finding that it is.
    pub(crate) fn finding(&self) -> LayerFinding {
        let (rule, what) =
            if self.is_link { (Rule::TarBelowLink, "a symbolic link") } else { (Rule::TarBelowLower, "a file") };
        let found = format_args!("{} is {what} in a lower layer", self.above);
        LayerFinding::new(rule, Some(&self.entry), &"a directory above it", &found)
    }

    /// A line for each rule, with the first of each.
    pub(crate) fn warnings(list: &[Self], layer: &str) -> Vec<String> {
        let of_kind = |is_link| {
            let mut all = list.iter().filter(move |below| below.is_link == is_link);
            let first = all.next()?.finding();
            Some(first.warning(layer, all.count() as u64))
        };
        [true, false].into_iter().filter_map(of_kind).collect()
    }
}

/// What a layer hides.
#[derive(Clone, Copy, Debug)]
struct Hidden {
    node: Node,
    /// The number of the whiteout among the members of its layer.
    by: usize,
}

/// What is at a path.
#[derive(Clone, Copy, Debug)]
enum Node {
    /// A member. Hard links are resolved: all names of a file are the member that holds its content.
    Member(u32),
    /// A directory that no member describes.
    MadeUp,
}

impl Fold {
    /// Makes a fold without layers.
    pub fn new() -> Self {
        Fold::default()
    }

    /// Returns how many layers there are.
    pub fn layers(&self) -> usize {
        self.starts.len()
    }

    /// Leaves out paths that `keep` rejects, with everything below them; other names of a file keep its content.
    pub fn retain(&mut self, mut keep: impl FnMut(&TarPath) -> bool) {
        let mut left_out: Option<TarPath> = None;
        self.nodes.retain(|path| {
            if left_out.as_ref().is_some_and(|above| path.starts_with(above)) {
                return false;
            }
            let kept = keep(path);
            if !kept {
                left_out = Some(path.clone());
            }
            kept
        });
    }

    /// What of the layer that was added last is below something of a lower layer that is no directory.
    pub(crate) fn take_below_lower(&mut self) -> Vec<BelowLower> {
        std::mem::take(&mut self.below_lower)
    }

    /// Removes what the whiteouts among the members of a layer hide, and adds nothing.
    fn hide(&mut self, members: &[Entry]) -> Result<()> {
        let target = |entry: &'_ Entry| match &entry.kind {
            Kind::Hardlink { target } => Some(TarPath::clone(target)),
            _ => None,
        };
        // Most layers have no whiteout.
        let mut linked: Option<BTreeSet<TarPath>> = None;
        self.hidden.clear();
        for (by, entry) in members.iter().enumerate() {
            let removed = match Whiteout::of(&entry.path)? {
                Whiteout::Remove(path) => self.remove(&path),
                Whiteout::Opaque(directory) => self.remove_below(&directory),
                Whiteout::None | Whiteout::Aufs => continue,
            };
            let linked = linked.get_or_insert_with(|| members.iter().filter_map(target).collect());
            let removed = removed.into_iter().filter(|(path, _)| linked.contains(path));
            self.hidden.extend(removed.map(|(path, node)| (path, Hidden { node, by })));
        }
        Ok(())
    }

    /// Adds a layer on top, with its members in the order of its tar.
    ///
    /// Whiteouts, opaque ones included, hide only what lower layers have, wherever they are in their layer. Of two
    /// members of one path, the later wins. A hard link must name something that exists: in a lower layer, also what a
    /// whiteout after the link hides.
    pub fn apply(&mut self, members: Vec<Entry>) -> Result<()> {
        self.hide(&members)?;
        let start = self.members.len();
        self.starts.push(start);
        if start == 0 {
            self.members = members;
        } else {
            self.members.extend(members);
        }
        for number in start..self.members.len() {
            let path = self.members[number].path.clone();
            match Whiteout::of(&path)? {
                Whiteout::None => {
                    self.look_above(&path, start);
                    self.make_parents(&path);
                    let node = self.resolve(number)?;
                    self.put(path, node);
                }
                Whiteout::Aufs => {
                    let node = self.resolve(number)?;
                    self.kept_by_aufs.insert(path, node);
                }
                Whiteout::Remove(_) | Whiteout::Opaque(_) => self.look_above(&path, start),
            }
        }
        self.kept_by_aufs.clear();
        self.hidden.clear();
        Ok(())
    }

    /// Returns the tree of all layers.
    pub fn finish(self) -> Folded {
        let Fold { mut members, starts, nodes, linked, .. } = self;
        let origin = |number: usize| {
            let layer = starts.partition_point(|start| *start <= number) - 1;
            Origin { layer, member: number - starts[layer] }
        };
        let mut origins = Vec::new();
        let mut first_names: BTreeMap<u32, TarPath> = BTreeMap::new();
        // Members that are what they say at their own paths stay where they are; a tree of a million has no second
        // place.
        let mut stays = vec![false; members.len()];
        let mut others = Vec::new();
        for (path, node) in nodes.into_ordered() {
            let Node::Member(member) = node else {
                others.push(made_up(path));
                continue;
            };
            let number = member as usize;
            let entry = &members[number];
            let first = first_names.get(&member).cloned();
            if first.is_none() && entry.is_file() {
                origins.push((path.clone(), origin(number)));
            }
            if !linked.contains(&member) {
                stays[number] = true;
                continue;
            }
            let kind = first.map_or(entry.kind.clone(), |target| Kind::Hardlink { target: target.into() });
            others.push(Entry { path: path.clone(), metadata: entry.metadata.clone(), kind });
            first_names.entry(member).or_insert(path);
        }
        let mut stays = stays.into_iter();
        members.retain(|_| stays.next() == Some(true));
        members.append(&mut others);
        members.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Folded { tree: members.into(), origins: origins.into_iter().collect() }
    }

    /// Returns what a member stands for: a hard link, for the file that it names.
    fn resolve(&mut self, number: usize) -> Result<Node> {
        let Entry { path, kind, .. } = &self.members[number];
        let Kind::Hardlink { target } = kind else {
            let too_many = |_| Error::malformed(path.to_string(), "more entries than any image has are before it");
            return Ok(Node::Member(u32::try_from(number).map_err(too_many)?));
        };
        let start = self.starts.last().copied().unwrap_or_default();
        let hidden = || self.hidden.get(target).filter(|hidden| hidden.by > number - start).map(|hidden| &hidden.node);
        match self.nodes.get(target).or_else(|| self.kept_by_aufs.get(target)).or_else(hidden).copied() {
            // A link's own header says nothing about the file that it names.
            Some(node @ Node::Member(file)) if !self.is_directory(node) => {
                self.linked.insert(file);
                Ok(node)
            }
            found => {
                let found = if found.is_some() { "a directory" } else { "nothing" };
                let reason = format!("a file at `{target}` expected, found {found}");
                Err(Error::malformed(format!("hard link `{path}`"), reason))
            }
        }
    }

    /// The member at a path that stands for something, or `None` for a directory that no member describes.
    fn member(&self, node: Node) -> Option<&Entry> {
        match node {
            Node::Member(number) => self.members.get(number as usize),
            Node::MadeUp => None,
        }
    }

    fn is_directory(&self, node: Node) -> bool {
        self.member(node).map_or(true, |entry| entry.kind == Kind::Directory)
    }

    /// Notes if a path of a layer, whose first member is that of this number, is below something of a lower layer that
    /// is no directory.
    fn look_above(&mut self, path: &TarPath, start: usize) {
        let mut parents = std::iter::successors(path.parent(), TarPath::parent);
        let Some((node, above)) = parents.find_map(|parent| Some((*self.nodes.get(&parent)?, parent))) else { return };
        match node {
            Node::Member(number) if !self.is_directory(node) && (number as usize) < start => {
                let is_link = matches!(self.members[number as usize].kind, Kind::Symlink { .. });
                BelowLower::note(&mut self.below_lower, path, &above, is_link);
            }
            _ => {}
        }
    }

    /// Puts a node in a place where the directories that lead to it exist.
    fn put(&mut self, path: TarPath, node: Node) {
        if !self.is_directory(node) && self.has_directory(&path) {
            let _ = self.remove_below(&path);
        }
        if !self.is_directory(node) && !self.hidden.is_empty() {
            // Nothing is below a file any more.
            let below = self.hidden.range(path.clone()..).map(|(hidden, _)| hidden);
            let below: Vec<TarPath> = below.take_while(|hidden| hidden.starts_with(&path)).cloned().collect();
            for hidden in below {
                self.hidden.remove(&hidden);
            }
        }
        self.nodes.insert(path, node);
    }

    fn has_directory(&self, path: &TarPath) -> bool {
        self.nodes.get(path).is_some_and(|node| self.is_directory(*node))
    }

    /// Adds missing directories that lead to a path, and replaces what is in their place.
    fn make_parents(&mut self, path: &TarPath) {
        for parent in std::iter::successors(path.parent(), TarPath::parent) {
            if self.has_directory(&parent) {
                return;
            }
            self.nodes.insert(parent, Node::MadeUp);
        }
    }

    /// Removes what is at a path and below it, and returns it.
    fn remove(&mut self, path: &TarPath) -> Vec<(TarPath, Node)> {
        let mut removed = self.remove_below(path);
        removed.extend(self.nodes.remove(path).map(|node| (path.clone(), node)));
        removed
    }

    /// Removes what is below a path, and returns it.
    fn remove_below(&mut self, directory: &TarPath) -> Vec<(TarPath, Node)> {
        let below: Vec<(TarPath, Node)> = self
            .nodes
            .from(directory.clone())
            .take_while(|(path, _)| path.starts_with(directory))
            .filter(|(path, _)| *path != directory)
            .map(|(path, node)| (path.clone(), *node))
            .collect();
        for (path, _) in &below {
            self.nodes.remove(path);
        }
        below
    }
}

fn made_up(path: TarPath) -> Entry {
    Entry { path, metadata: Metadata::of_missing_directory(0), kind: Kind::Directory }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> TarPath {
        TarPath::parse(text.as_bytes()).unwrap()
    }

    /// Reads `dir/`, `file=size`, `link->target`, `hard=>target`, and markers by their names.
    fn member(text: &str) -> Entry {
        let (name, kind) = if let Some(name) = text.strip_suffix('/') {
            (name, Kind::Directory)
        } else if let Some((name, target)) = text.split_once("=>") {
            (name, Kind::Hardlink { target: path(target).into() })
        } else if let Some((name, target)) = text.split_once("->") {
            (name, Kind::Symlink { target: target.as_bytes().into() })
        } else {
            let (name, size) = text.split_once('=').unwrap_or((text, "0"));
            (name, Kind::File { size: size.parse().unwrap() })
        };
        Entry { path: path(name), metadata: Metadata::default(), kind }
    }

    fn fold(layers: &[&[&str]]) -> Result<Folded> {
        let mut fold = Fold::new();
        for layer in layers {
            let members: Vec<Entry> = layer.iter().map(|text| member(text)).collect();
            fold.apply(members)?;
        }
        Ok(fold.finish())
    }

    fn shown(folded: &Folded) -> Vec<String> {
        let show = |entry: &Entry| {
            let name = String::from_utf8_lossy(entry.path.as_bytes()).into_owned();
            match &entry.kind {
                Kind::Directory => format!("{name}/"),
                Kind::File { size } => format!("{name}={size}"),
                Kind::Symlink { target } => format!("{name}->{}", String::from_utf8_lossy(target)),
                Kind::Hardlink { target } => format!("{name}=>{}", String::from_utf8_lossy(target.as_bytes())),
                kind => format!("{name} {}", kind.name()),
            }
        };
        folded.tree.iter().filter(|entry| !entry.path.is_root()).map(show).collect()
    }

    #[test]
    fn layers_hide_what_is_below() {
        for (what, layers, expected) in [
            ("a whiteout removes all below", &[&["a/", "a/b/", "a/b/c=1", "ab=2"][..], &[".wh.a"]][..], &["ab=2"][..]),
            ("wherever it stands", &[&["a=1"], &["a=2", ".wh.a"]], &["a=2"]),
            ("an opaque directory starts anew", &[&["d/", "d/x=1"], &["d/y=2", "d/.wh..wh..opq"]], &["d/", "d/y=2"]),
            ("an opaque root", &[&["x=1"], &[".wh..wh..opq", "y=2"]], &["y=2"]),
            ("of nothing is no error", &[&["x=1"], &[".wh.y", "z/.wh..wh..opq"]], &["x=1"]),
            ("a directory keeps its children", &[&["d/", "d/x=1"], &["d/"]], &["d/", "d/x=1"]),
            ("a file in its place does not", &[&["d/", "d/x=1"], &["d=5"]], &["d=5"]),
            ("nor a link", &[&["bin/", "bin/sh=1"], &["bin->usr/bin"]], &["bin->usr/bin"]),
            ("a file gives way to a directory", &[&["d=5"], &["d/x=1"]], &["d/", "d/x=1"]),
            ("the later of two wins", &[&["x=1", "x=2"]], &["x=2"]),
            ("aufs leaves marks", &[&[".wh..wh.plnk/", ".wh..wh.plnk/1=1", "x=1"]], &["x=1"]),
        ] {
            assert_eq!(shown(&fold(layers).unwrap()), expected, "{what}");
        }
    }

    #[test]
    fn names_of_one_file_stay_so() {
        for (what, layers, expected) in [
            ("the first name in order holds it", &[&["z=1", "a=>z"][..]][..], &["a=1", "z=>a"][..]),
            ("a removed name leaves the others", &[&["a=1", "b=>a", "c=>a"], &[".wh.a"]], &["b=1", "c=>b"]),
            ("a replaced one too", &[&["a=1", "b=>a", "c=>a"], &["a=9"]], &["a=9", "b=1", "c=>b"]),
            ("a link may name a lower layer's file", &[&["b=1"], &["a=>b"]], &["a=1", "b=>a"]),
            ("and one that a later whiteout hides", &[&["a=1"], &["b=>a", ".wh.a"]], &["b=1"]),
            ("or an opaque one", &[&["d/", "d/a=1"], &["b=>d/a", "d/a=2", "d/.wh..wh..opq"]], &["b=1", "d/", "d/a=2"]),
            ("with the directory above it", &[&["d/", "d/a=1"], &["b=>d/a", "c=>b", ".wh.d"]], &["b=1", "c=>b"]),
            ("a link to a link", &[&["a->x", "b=>a"]], &["a->x", "b=>a"]),
            ("what AUFS kept", &[&[".wh..wh.plnk/", ".wh..wh.plnk/7.9=3", "a=>.wh..wh.plnk/7.9"]], &["a=3"]),
            (
                "for two names",
                &[&["d/", ".wh..wh.plnk/1.2=3", "d/b=>.wh..wh.plnk/1.2", "a=>.wh..wh.plnk/1.2"]],
                &["a=3", "d/", "d/b=>a"],
            ),
            (
                "under two names of its own",
                &[&[".wh..wh.plnk/1=3", ".wh..wh.plnk/2=>.wh..wh.plnk/1", "a=>.wh..wh.plnk/2"]],
                &["a=3"],
            ),
        ] {
            assert_eq!(shown(&fold(layers).unwrap()), expected, "{what}");
        }
        let kept_below = &[&[".wh..wh.plnk/1=1", "b=>.wh..wh.plnk/1"][..], &["a=>.wh..wh.plnk/1"]][..];
        for layers in [&[&["a=>b"][..]][..], &[&["d/", "a=>d"]], &[&["a=1"], &[".wh.a", "b=>a"]], kept_below] {
            assert!(fold(layers).unwrap_err().to_string().starts_with("hard link "), "{layers:?}");
        }
    }

    #[test]
    fn origins_tell_where_content_is() {
        let folded = fold(&[&["a=1", "b=>a", "c=3"], &[".wh.a", "c=4", "c=5"]]).unwrap();
        let origins: Vec<_> = folded.origins.iter().map(|(path, origin)| (path.clone(), *origin)).collect();
        let from = |layer, member| Origin { layer, member };
        assert_eq!(origins, [(path("b"), from(0, 0)), (path("c"), from(1, 2))]);
    }
}
