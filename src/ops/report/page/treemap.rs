//! A treemap for pages without the script: rectangles whose areas are in proportion to sizes, as close to squares as
//! possible (squarified treemaps; Bruls, Huizing, van Wijk 2000).

use std::fmt::Write;

use super::text::{bytes, escape, number, path, share, signed};
use crate::ops::report::{SizeNode, SizeTree};

#[derive(Clone, Copy, Debug, PartialEq)]
struct Rectangle {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
}

/// The colours of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colours {
    /// A colour for each rectangle.
    Distinct,
    /// Colours for growth and shrinkage.
    Change,
}

/// The nodes of a tree that a page without the script shows, the largest first: the children of the root, and in place
/// of a directory that takes up most of the picture, the children of that.
pub(super) fn foremost(tree: &SizeTree) -> Vec<&SizeNode> {
    let whole = tree.root().map_or(0, SizeNode::area);
    let takes_most = |at: &usize| tree.nodes()[*at].directory && tree.nodes()[*at].area() / 11 * 20 > whole;
    let mut found: Vec<usize> = tree.children(0).collect();
    while let Some(at) = found.iter().position(takes_most) {
        let directory = found.swap_remove(at);
        found.extend(tree.children(directory));
    }
    let mut nodes: Vec<&SizeNode> = found.into_iter().map(|at| &tree.nodes()[at]).collect();
    nodes.sort_by(|a, b| b.area().cmp(&a.area()).then_with(|| a.path.cmp(&b.path)));
    nodes
}

const WIDTH: f64 = 1120.0;
const HEIGHT: f64 = 480.0;
/// How many colours the style has.
const HUES: usize = 10;

/// The meaning of a rectangle.
struct Tile {
    name: String,
    more: u64,
    less: u64,
}

impl Tile {
    fn area(&self) -> u64 {
        self.more + self.less
    }
}

/// The most rectangles of a picture.
const TILES: usize = 100;

/// The rectangles of a tree, the largest first. If there are too many, the smallest are combined.
fn tiles(tree: &SizeTree) -> Vec<Tile> {
    let nodes = foremost(tree);
    let (shown, rest) = nodes.split_at(if nodes.len() > TILES { TILES - 1 } else { nodes.len() });
    let tile = |node: &&SizeNode| Tile {
        name: path(&node.path, node.directory).trim_start_matches('/').to_owned(),
        more: node.more,
        less: node.less,
    };
    let mut tiles: Vec<Tile> = shown.iter().map(tile).collect();
    if !rest.is_empty() {
        let (more, less) = rest.iter().fold((0, 0), |(more, less), node| (more + node.more, less + node.less));
        tiles.push(Tile { name: format!("{} more", number(rest.len())), more, less });
        tiles.sort_by_key(|tile| std::cmp::Reverse(tile.area()));
    }
    tiles
}

/// Draws the treemap. `id` is that of the picture.
pub(super) fn svg(tree: &SizeTree, id: &str, label: &str, colours: Colours) -> String {
    let tiles = tiles(tree);
    let areas: Vec<f64> = tiles.iter().map(|tile| tile.area() as f64).collect();
    let whole: u64 = tiles.iter().map(Tile::area).sum();
    let label = escape(label);
    let mut svg = format!("<svg class=\"map\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{label}\">");
    if colours == Colours::Change {
        svg.push_str(&patterns(id));
    }
    let all = Rectangle { x: 0.0, y: 0.0, width: WIDTH, height: HEIGHT };
    for (at, (tile, place)) in tiles.iter().zip(squarify(&areas, all)).enumerate() {
        let Rectangle { x, y, width, height } = place;
        if width < 0.5 || height < 0.5 {
            continue;
        }
        let figure = match colours {
            Colours::Distinct => format!("{} ({})", bytes(tile.more), share(tile.more, whole)),
            Colours::Change => signed(tile.less, tile.more),
        };
        let class = match colours {
            Colours::Distinct => format!("c{}", at % HUES),
            Colours::Change if tile.more >= tile.less => "more".to_owned(),
            Colours::Change => "less".to_owned(),
        };
        write!(
            svg,
            "<svg x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"><title>{} {figure}</title>\
             <rect class=\"{class}\" width=\"100%\" height=\"100%\"/>",
            escape(&tile.name)
        )
        .expect("writing to a string");
        if colours == Colours::Change {
            write!(svg, "<rect width=\"100%\" height=\"100%\" fill=\"url(#{id}-{class})\"/>")
                .expect("writing to a string");
        }
        for (line, y) in [(&tile.name, 18.0), (&figure, 35.0)] {
            if let Some(fitting) = fitting(line, width - 14.0).filter(|_| height > y + 4.0) {
                write!(svg, "<text x=\"7\" y=\"{y}\">{}</text>", escape(&fitting)).expect("writing to a string");
            }
        }
        svg.push_str("</svg>");
    }
    svg + "</svg>"
}

/// Stripes and dots, with ids that are unique to the picture.
fn patterns(id: &str) -> String {
    format!(
        "<defs><pattern id=\"{id}-more\" width=\"8\" height=\"8\" patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">\
         <rect class=\"mark\" width=\"2\" height=\"8\"/></pattern>\
         <pattern id=\"{id}-less\" width=\"8\" height=\"8\" patternUnits=\"userSpaceOnUse\">\
         <circle class=\"mark\" cx=\"2\" cy=\"2\" r=\"1.3\"/></pattern></defs>"
    )
}

/// As much of a text as fits into a width, or `None` if hardly anything does.
fn fitting(text: &str, width: f64) -> Option<String> {
    const CHARACTER: f64 = 7.4;
    let room = (width / CHARACTER).clamp(0.0, 200.0).floor();
    let count = text.chars().count();
    if count as f64 <= room {
        return Some(text.to_owned());
    }
    let kept: String = text.chars().zip(1..).take_while(|(_, at)| f64::from(*at) < room).map(|(c, _)| c).collect();
    (kept.chars().count() >= 3).then(|| kept + "…")
}

/// Lays out areas, given largest first.
fn squarify(areas: &[f64], all: Rectangle) -> Vec<Rectangle> {
    let sum: f64 = areas.iter().sum();
    let scale = if sum > 0.0 { all.width * all.height / sum } else { 0.0 };
    let mut free = all;
    let mut places = Vec::with_capacity(areas.len());
    let mut rest = areas;
    while !rest.is_empty() {
        let side = free.width.min(free.height);
        let mut row = 1;
        while row < rest.len() && worst(&rest[..=row], side, scale) <= worst(&rest[..row], side, scale) {
            row += 1;
        }
        let (taken, left) = rest.split_at(row);
        let depth = if side > 0.0 { taken.iter().sum::<f64>() * scale / side } else { 0.0 };
        let mut along = 0.0;
        for area in taken {
            let length = if depth > 0.0 { area * scale / depth } else { 0.0 };
            places.push(if free.width >= free.height {
                Rectangle { x: free.x, y: free.y + along, width: depth, height: length }
            } else {
                Rectangle { x: free.x + along, y: free.y, width: length, height: depth }
            });
            along += length;
        }
        if free.width >= free.height {
            free.x += depth;
            free.width = (free.width - depth).max(0.0);
        } else {
            free.y += depth;
            free.height = (free.height - depth).max(0.0);
        }
        rest = left;
    }
    places
}

/// The worst aspect ratio in a row.
fn worst(row: &[f64], side: f64, scale: f64) -> f64 {
    let sum: f64 = row.iter().sum::<f64>() * scale;
    let (largest, smallest) = (row[0] * scale, row[row.len() - 1] * scale);
    let square = side * side;
    if smallest <= 0.0 || square <= 0.0 {
        return f64::INFINITY;
    }
    (square * largest / (sum * sum)).max(sum * sum / (square * smallest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_are_to_each_other_as_sizes() {
        let all = Rectangle { x: 0.0, y: 0.0, width: 600.0, height: 400.0 };
        let areas = [6.0, 6.0, 4.0, 3.0, 2.0, 2.0, 1.0];
        let places = squarify(&areas, all);
        for (area, place) in areas.iter().zip(&places) {
            assert!((place.width * place.height - area * 10_000.0).abs() < 1e-6, "{area}: {place:?}");
            assert!(place.width / place.height < 4.0 && place.height / place.width < 4.0, "{place:?}");
            assert!(place.x >= 0.0 && place.x + place.width <= 600.000_1 && place.y + place.height <= 400.000_1);
        }
        assert_eq!(squarify(&[], all), []);
        assert_eq!(squarify(&[0.0, 0.0], all).len(), 2);
    }

    #[test]
    fn labels_end_where_their_rectangle_does() {
        assert_eq!(fitting("usr", 100.0).as_deref(), Some("usr"));
        assert_eq!(fitting("a-long-name", 40.0).as_deref(), Some("a-lo…"));
        assert_eq!(fitting("a-long-name", 20.0), None);
        assert_eq!(fitting("x", -5.0), None);
    }
}
