//! The tree of sizes as compact JSON for the page's script, limited to a size that a page should have.
//!
//! A directory is `[NAME, [CHILD…]]`, a file is `[NAME, BYTES]`, and files that are too small to be listed are combined
//! as `[FILES, BYTES]`. In a comparison, negative bytes are those by which files shrank. The numbers of recipe and
//! layer follow if they differ from those of the directory, which has the numbers of most of its files.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::text;
use crate::ops::report::{SizeNode, SizeTree};

/// What files have besides their sizes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Marks {
    recipe: usize,
    layer: usize,
}

/// Files that are too small to be listed.
#[derive(Clone, Copy, Debug, Default)]
struct Others {
    files: usize,
    bytes: u64,
}

/// The JSON of a tree in about `budget` bytes: files that are too small for it are combined.
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
    /// The smallest size that is listed.
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

    /// The most frequent value among the files directly in a directory.
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

    /// The end of a node, with its numbers if they differ from the inherited ones.
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

/// A JSON string that is safe in an HTML element.
pub(super) fn string(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

/// An array of strings.
pub(super) fn strings<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let strings: Vec<String> = texts.into_iter().map(string).collect();
    format!("[{}]", strings.join(","))
}
