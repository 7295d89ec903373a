//! Used space: the picture, and the largest files and directories.

use super::part::Part;
use super::picture::{picture, Picture};
use super::table::{Cell, Table};
use super::text::{bytes, layer_name, number, share, usage_path, visible};
use super::treemap::Colours;
use crate::ops::inspect::Usage;

/// The picture of sizes.
pub(super) fn sizes(part: &Part<'_>) -> String {
    let image = part.image;
    if image.unpacked == 0 {
        return part.section("sizes", "<p>No file has content.</p>\n");
    }
    let mut recipes = Table::new("By recipe", &["Recipe", "Version", "Size", "Share", "", "Entries"]);
    for recipe in &image.recipes {
        recipes.row(vec![
            Cell::Text(visible(&recipe.recipe)),
            Cell::Text(visible(&recipe.version)),
            Cell::Number(bytes(recipe.bytes)),
            Cell::Number(share(recipe.bytes, image.unpacked)),
            Cell::Bar(recipe.bytes),
            Cell::Number(number(recipe.entries)),
        ]);
    }
    let mut layers = Table::new("By layer", &["Layer", "Size", "Share", ""]);
    for (at, layer) in image.layers.iter().enumerate() {
        layers.row(vec![
            Cell::Text(layer_name(at, layer.name.as_deref())),
            Cell::Number(bytes(layer.used)),
            Cell::Number(share(layer.used, image.unpacked)),
            Cell::Bar(layer.used),
        ]);
    }
    let picture = picture(
        part,
        &Picture {
            id: "map",
            tree: &image.tree,
            title: "what takes the space",
            colours: Colours::Distinct,
            // With an older image, the picture of the difference takes the rest.
            budget: if image.comparison.is_some() { part.budget / 4 * 3 } else { part.budget },
            layers: (0..).zip(&image.layers).map(|(at, layer)| layer_name(at, layer.name.as_deref())).collect(),
            tables: recipes.cut(part.rows, image.recipes.len()).html() + &layers.html(),
        },
    );
    part.section("sizes", &picture)
}

/// The largest files and directories.
pub(super) fn largest(part: &Part<'_>) -> String {
    let image = part.image;
    let rows = part.rows.min(25);
    let list = |caption: &str, all: &[Usage]| {
        let mut table = Table::new(caption, &["Path", "Size", "Share", ""]);
        for usage in all {
            table.row(vec![
                Cell::Code(usage_path(usage)),
                Cell::Number(bytes(usage.size)),
                Cell::Number(share(usage.size, image.unpacked)),
                Cell::Bar(usage.size),
            ]);
        }
        table.cut(rows, 0).html()
    };
    let html = format!(
        "<div class=\"columns\">{}{}</div>\n",
        list("Largest files", &image.largest_files),
        list("Largest directories", &image.largest_directories)
    );
    part.section("largest", &html)
}
