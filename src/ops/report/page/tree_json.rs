//! The tree of sizes as the page's script reads it: JSON that is small, and no more of it than a page should have.
//!
//! A directory is `[NAME, [CHILD…]]`, a file `[NAME, BYTES]`, and what is too small to stand alone `[FILES, BYTES]`. In
//! a comparison, bytes below zero are those by which files shrank. The numbers of recipe and layer follow where they
//! are not those that the directory has; a directory's are what most of its files have.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::text;
use crate::ops::report::{SizeNode, SizeTree};

/// What files have beside their sizes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Marks {
    recipe: usize,
    layer: usize,
}

/// Files that are too small to stand alone.
#[derive(Clone, Copy, Debug, Default)]
struct Others {
    files: usize,
    bytes: u64,
}

/// The JSON of a tree in `budget` bytes or hardly more: what is smaller than it takes is put together.
pub(super) fn json(tree: &SizeTree, budget: usize) -> String {
    const LEAST_OF_A_FILE: usize = 10;
    let mut areas: Vec<u64> = tree.nodes().iter().filter(|node| !node.directory).map(SizeNode::area).collect();
    let fitting = budget / LEAST_OF_A_FILE;
    let mut least = 0;
    if areas.len() > fitting {
        areas.sort_unstable_by(|a, b| b.cmp(a));
        least = areas[fitting];
    }
    let whole = tree.root().map_or(0, SizeNode::area);
    loop {
        let json = Writer { tree, least, text: String::new() }.write();
        if json.len() <= budget || least > whole {
            return json;
        }
        least = (least + least / 2).max(least + 1).max(whole / 10_000_000);
    }
}

struct Writer<'a> {
    tree: &'a SizeTree,
    /// The smallest that stands alone.
    least: u64,
    text: String,
}

impl Writer<'_> {
    fn write(mut self) -> String {
        if self.tree.root().is_some() {
            self.directory(0, "/", Marks::default());
        } else {
            self.text.push_str("[\"/\",[]]");
        }
        self.text
    }

    fn directory(&mut self, at: usize, name: &str, above: Marks) {
        let marks = self.most_common(at).unwrap_or(above);
        self.text.push('[');
        self.name(name);
        self.text.push_str(",[");
        let mut others: BTreeMap<(Marks, bool), Others> = BTreeMap::new();
        let mut is_first = true;
        let tree = self.tree;
        for child in tree.children(at) {
            let node = &tree.nodes()[child];
            if node.area() < self.least {
                for leaf in tree.leaves(child) {
                    let others = others.entry((Marks::of(leaf), leaf.less > 0)).or_default();
                    others.files += 1;
                    others.bytes += leaf.area();
                }
                continue;
            }
            if !std::mem::take(&mut is_first) {
                self.text.push(',');
            }
            let name = text::name(node.path.file_name());
            if node.directory {
                self.directory(child, &name, marks);
            } else {
                self.text.push('[');
                self.name(&name);
                self.bytes(node.area(), node.less > 0);
                self.marks(Marks::of(node), marks);
            }
        }
        for ((its, is_less), Others { files, bytes }) in others {
            let comma = if std::mem::take(&mut is_first) { "" } else { "," };
            write!(self.text, "{comma}[{files}").expect("writing to a string");
            self.bytes(bytes, is_less);
            self.marks(its, marks);
        }
        self.text.push(']');
        self.marks(marks, above);
    }

    /// What most of the files have that a directory holds itself.
    fn most_common(&self, at: usize) -> Option<Marks> {
        let files = self.tree.children(at).map(|child| &self.tree.nodes()[child]).filter(|node| !node.directory);
        let mut counts: BTreeMap<Marks, usize> = BTreeMap::new();
        files.for_each(|node| *counts.entry(Marks::of(node)).or_default() += 1);
        counts.into_iter().max_by_key(|(_, count)| *count).map(|(marks, _)| marks)
    }

    fn name(&mut self, name: &str) {
        self.text.push_str(&string(name));
    }

    fn bytes(&mut self, bytes: u64, is_less: bool) {
        write!(self.text, ",{}{bytes}", if is_less { "-" } else { "" }).expect("writing to a string");
    }

    /// The end of a node, with its marks if they are not those that are known.
    fn marks(&mut self, Marks { recipe, layer }: Marks, known: Marks) {
        if layer != known.layer {
            write!(self.text, ",{recipe},{layer}").expect("writing to a string");
        } else if recipe != known.recipe {
            write!(self.text, ",{recipe}").expect("writing to a string");
        }
        self.text.push(']');
    }
}

impl Marks {
    fn of(node: &SizeNode) -> Self {
        Marks { recipe: node.recipe, layer: node.layer }
    }
}

/// A string of JSON that can stand in an element of HTML.
pub(super) fn string(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

/// An array of strings.
pub(super) fn strings<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let strings: Vec<String> = texts.into_iter().map(string).collect();
    format!("[{}]", strings.join(","))
}
