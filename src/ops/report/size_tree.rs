//! Sizes of files and of the directories that hold them.

use crate::ops::inspect::Usage;
use crate::tree::TarPath;

/// Directories and files with their sizes. The root comes first, and each directory comes before its content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SizeTree {
    nodes: Vec<SizeNode>,
    /// The names of recipes by number; empty if unknown.
    recipes: Vec<String>,
}

/// A file or a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SizeNode {
    /// Where it stands.
    pub path: TarPath,
    /// Bytes at and below it; in a comparison, the growth.
    pub more: u64,
    /// In a comparison, the bytes by which files shrank; otherwise zero.
    pub less: u64,
    /// Whether it is a directory.
    pub directory: bool,
    /// The number of a file's recipe.
    pub recipe: usize,
    /// The number of the layer with a file's content; the base's is zero.
    pub layer: usize,
    /// Files at and below it.
    pub files: usize,
    /// The number of the next node that is not below it.
    end: usize,
}

/// A file that goes into a tree.
pub(super) struct Leaf<'a> {
    pub(super) path: &'a TarPath,
    pub(super) more: u64,
    pub(super) less: u64,
    pub(super) recipe: usize,
    pub(super) layer: usize,
}

impl SizeNode {
    /// The size of a rectangle for it.
    pub(crate) fn area(&self) -> u64 {
        self.more + self.less
    }

    fn directory(path: TarPath) -> Self {
        SizeNode { path, more: 0, less: 0, directory: true, recipe: 0, layer: 0, files: 0, end: 0 }
    }
}

impl SizeTree {
    /// Builds a tree from files in the order of their paths.
    pub(super) fn of<'a>(leaves: impl Iterator<Item = Leaf<'a>>, recipes: Vec<String>) -> Self {
        let mut nodes = vec![SizeNode::directory(TarPath::root())];
        // The directories that are open, the root first.
        let mut open = vec![0];
        for leaf in leaves {
            while open.len() > 1 && !is_below(leaf.path, &nodes[open[open.len() - 1]].path) {
                close(&mut nodes, &mut open);
            }
            let reached = nodes[open[open.len() - 1]].path.clone();
            let mut missing: Vec<TarPath> = std::iter::successors(leaf.path.parent(), TarPath::parent)
                .take_while(|parent| *parent != reached)
                .collect();
            while let Some(parent) = missing.pop() {
                open.push(nodes.len());
                nodes.push(SizeNode::directory(parent));
            }
            let end = nodes.len() + 1;
            let Leaf { path, more, less, recipe, layer } = leaf;
            nodes.push(SizeNode { path: path.clone(), more, less, directory: false, recipe, layer, files: 1, end });
            let last = nodes.len() - 1;
            add(&mut nodes, open[open.len() - 1], last);
        }
        while !open.is_empty() {
            close(&mut nodes, &mut open);
        }
        SizeTree { nodes, recipes }
    }

    /// All nodes in order.
    pub fn nodes(&self) -> &[SizeNode] {
        &self.nodes
    }

    /// The names of recipes by number; empty if unknown.
    pub fn recipes(&self) -> &[String] {
        &self.recipes
    }

    /// The root, or `None` if the tree is empty.
    pub fn root(&self) -> Option<&SizeNode> {
        self.nodes.first()
    }

    /// The numbers of a directory's children, in order.
    pub fn children(&self, of: usize) -> impl Iterator<Item = usize> + '_ {
        let end = self.nodes.get(of).map_or(0, |node| node.end);
        let within = move |at: usize| (at < end).then_some(at);
        std::iter::successors(within(of + 1), move |at| within(self.nodes[*at].end))
    }

    /// The files at and below a node.
    pub(super) fn leaves(&self, of: usize) -> impl Iterator<Item = &SizeNode> + '_ {
        let end = self.nodes.get(of).map_or(0, |node| node.end);
        self.nodes.get(of..end).into_iter().flatten().filter(|node| !node.directory)
    }

    /// The `count` largest files and the `count` largest directories, largest first.
    pub(super) fn largest(&self, count: usize) -> (Vec<Usage>, Vec<Usage>) {
        let of_kind = |directory: bool| {
            let mut found: Vec<&SizeNode> =
                self.nodes.iter().filter(|node| node.directory == directory && node.more > 0).collect();
            found.sort_by(|a, b| b.more.cmp(&a.more).then_with(|| a.path.cmp(&b.path)));
            found.truncate(count);
            found.iter().map(|node| Usage { path: node.path.clone(), size: node.more, directory }).collect()
        };
        (of_kind(false), of_kind(true))
    }
}

/// Whether a path is below a directory.
fn is_below(path: &TarPath, directory: &TarPath) -> bool {
    path != directory && path.starts_with(directory)
}

/// Closes the innermost directory and adds its sums to its parent.
fn close(nodes: &mut [SizeNode], open: &mut Vec<usize>) {
    let Some(closed) = open.pop() else { return };
    nodes[closed].end = nodes.len();
    if let Some(parent) = open.last() {
        add(nodes, *parent, closed);
    }
}

fn add(nodes: &mut [SizeNode], to: usize, from: usize) {
    let SizeNode { more, less, files, .. } = nodes[from];
    nodes[to].more += more;
    nodes[to].less += less;
    nodes[to].files += files;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::model::path;

    fn tree(files: &[(&str, u64)]) -> SizeTree {
        let paths: Vec<TarPath> = files.iter().map(|(name, _)| path(name)).collect();
        let leaves =
            paths.iter().zip(files).map(|(path, (_, size))| Leaf { path, more: *size, less: 1, recipe: 0, layer: 0 });
        SizeTree::of(leaves, Vec::new())
    }

    #[test]
    fn directories_hold_what_is_below_them() {
        let tree = tree(&[("a", 1), ("a/b/c", 2), ("a/b/d", 4), ("a/e", 8), ("b", 16), ("c/d/e/f", 32)]);
        let shown = |at: &usize| {
            let node = &tree.nodes()[*at];
            format!("{}{} {} {} {}", node.path, if node.directory { "/" } else { "" }, node.more, node.less, node.files)
        };
        let children = |of: usize| tree.children(of).map(|at| shown(&at)).collect::<Vec<_>>();
        assert_eq!(shown(&0), "// 63 6 6");
        assert_eq!(children(0), ["/a 1 1 1", "/a/ 14 3 3", "/b 16 1 1", "/c/ 32 1 1"]);
        assert_eq!(children(2), ["/a/b/ 6 2 2", "/a/e 8 1 1"]);
        assert_eq!(children(1), Vec::<String>::new());
        let (files, directories) = tree.largest(2);
        let names = |all: &[Usage]| all.iter().map(|one| format!("{} {}", one.path, one.size)).collect::<Vec<_>>();
        assert_eq!(names(&files), ["/c/d/e/f 32", "/b 16"]);
        assert_eq!(names(&directories), ["/ 63", "/c 32"]);
    }

    #[test]
    fn nothing_is_a_root() {
        let tree = tree(&[]);
        assert_eq!(tree.root().map(SizeNode::area), Some(0));
        assert_eq!(tree.children(0).count(), 0);
        assert_eq!(SizeTree::default().children(0).count(), 0);
    }
}
