//! A picture, with and without the script.

use super::part::Part;
use super::table::{Cell, Table};
use super::text::{bytes, escape, number, path, share, signed, visible};
use super::tree_json;
use super::treemap::{foremost, svg, Colours};
use crate::ops::report::SizeTree;

/// The content of a picture and its appearance.
pub(super) struct Picture<'a> {
    /// The beginning of its id.
    pub(super) id: &'static str,
    pub(super) tree: &'a SizeTree,
    /// Its title.
    pub(super) title: &'static str,
    pub(super) colours: Colours,
    /// The most bytes of the tree.
    pub(super) budget: usize,
    /// The names of layers; empty if there is no view by layer.
    pub(super) layers: Vec<String>,
    /// Tables with the content of its other views.
    pub(super) tables: String,
}

/// The picture, the tree for the script, and the tables that replace it without the script.
pub(super) fn picture(part: &Part<'_>, picture: &Picture<'_>) -> String {
    let Picture { id, tree, title, colours, budget, layers, tables } = picture;
    let id = format!("{id}-{}", part.number);
    let label = format!("{}: {title}, by directory", part.name());
    let kind = match colours {
        Colours::Distinct => "size",
        Colours::Change => "change",
    };
    let recipes: Vec<String> = tree.recipes().iter().map(|name| visible(name)).collect();
    format!(
        "<figure class=\"treemap\" id=\"{id}\" data-kind=\"{kind}\" aria-label=\"{}\">{}</figure>\n\
         <script type=\"application/json\" id=\"{id}-data\">{{\"recipes\":{},\"layers\":{},\"tree\":{}}}</script>\n\
         <div class=\"static\">{}{tables}</div>",
        escape(&label),
        svg(tree, &id, &label, *colours),
        tree_json::strings(recipes.iter().map(String::as_str)),
        tree_json::strings(layers.iter().map(String::as_str)),
        tree_json::json(tree, *budget),
        by_directory(tree, *colours, part.rows),
    )
}

/// A table with the content of the picture, for readers without the script.
fn by_directory(tree: &SizeTree, colours: Colours, rows: usize) -> String {
    let (caption, headings): (_, &[_]) = match colours {
        Colours::Distinct => ("By directory", &["Directory or file", "Size", "Share", "", "Files"]),
        Colours::Change => ("Growth by directory", &["Directory or file", "In all", "Grew", "Shrank", "Files"]),
    };
    let mut table = Table::new(caption, headings);
    let of = tree.root().map_or(0, |root| root.more);
    let nodes = foremost(tree);
    for node in &nodes {
        let mut cells = vec![Cell::Code(path(&node.path, node.directory))];
        cells.extend(match colours {
            Colours::Distinct => {
                [Cell::Number(bytes(node.more)), Cell::Number(share(node.more, of)), Cell::Bar(node.more)]
            }
            Colours::Change => [
                Cell::Number(signed(node.less, node.more)),
                Cell::Number(bytes(node.more)),
                Cell::Number(bytes(node.less)),
            ],
        });
        cells.push(Cell::Number(number(node.files)));
        table.row(cells);
    }
    table.cut(rows, nodes.len()).html()
}
