//! The changes since an older image, and the cost of the update.

use std::fmt::Write;

use super::part::Part;
use super::picture::{picture, Picture};
use super::table::{definitions, Cell, Table};
use super::text::{bytes, count, escape, layer_name, number, path, share, signed, visible};
use super::treemap::Colours;
use crate::layer::groups::GENERATED;
use crate::ops::report::{Cause, Comparison, FetchReason, SizeChanges};

/// The comparison, if there is one.
pub(super) fn comparison(part: &Part<'_>) -> String {
    let Some(comparison) = &part.image.comparison else { return String::new() };
    let old = &comparison.old;
    let mut facts = vec![
        ("Older image", format!("<code>{}</code>", escape(old.digest.as_str()))),
        ("Created", escape(&visible(old.created.as_deref().unwrap_or_default()))),
        ("Differs", escape(&comparison.reason)),
    ];
    if let Some(other) = comparison.other_platform(&part.image.inspection.platform) {
        facts.push(("Platform", format!("<b>another</b>: {}", escape(&visible(&other.to_string())))));
    }
    let html = format!(
        "{}{}{}{}{}",
        definitions(&facts),
        update(part, comparison),
        difference(part, comparison),
        changes(part, comparison),
        documents(part, comparison)
    );
    part.section("comparison", &html)
}

/// The cost of the update, by layer and by recipe.
fn update(part: &Part<'_>, comparison: &Comparison) -> String {
    let update = &comparison.update;
    let mut html = part.heading("What the update costs");
    if update.bytes == 0 {
        return html + "<p class=\"good\">Nothing is fetched: all blobs are those of the older image.</p>\n";
    }
    writeln!(
        html,
        "<p><b>{}</b> of {} are fetched ({}), in {}.</p>",
        bytes(update.bytes),
        bytes(update.of),
        share(update.bytes, update.of),
        count(comparison.fetched.len(), "layer", "layers")
    )
    .expect("writing to a string");
    let mut by_layer = Table::new("By layer", &["Layer", "Fetched", "", "Changed", "Entries", "Because of"]);
    for layer in &comparison.fetched {
        let (names, remark) = because(layer);
        let because: Vec<String> = names.into_iter().chain(remark).collect();
        by_layer.row(vec![
            Cell::Text(layer_name(layer.layer - 1, layer.name.as_deref())),
            Cell::Number(bytes(layer.size)),
            Cell::Bar(layer.size),
            Cell::Number(bytes(layer.changed_bytes)),
            Cell::Number(number(layer.changed)),
            Cell::Text(because.join(", ")),
        ]);
    }
    let mut by_recipe = Table::new("By recipe", &["Recipe", "Version", "Fetched", "", "In layers"]);
    for cause in &comparison.causes {
        let layers: Vec<String> = cause.layers.iter().map(ToString::to_string).collect();
        by_recipe.row(vec![
            Cell::Text(cause_name(cause)),
            Cell::Text(versions(cause)),
            Cell::Number(bytes(cause.bytes)),
            Cell::Bar(cause.bytes),
            Cell::Text(layers.join(", ")),
        ]);
    }
    let recipes = comparison.causes.len();
    if !comparison.is_by_recipe() {
        return html + &by_layer.html();
    }
    html + "<div class=\"columns\">" + &by_layer.html() + &by_recipe.cut(part.rows, recipes).html() + "</div>\n"
}

/// Why a layer is fetched: the names of changed recipes, or of files if no recipe is known, and a remark.
pub(super) fn because(layer: &FetchReason) -> (Vec<String>, Option<String>) {
    const NAMED: usize = 8;
    if layer.recipes.is_empty() {
        return (Vec::new(), Some("nothing that changed: it is cut, ordered or compressed otherwise".to_owned()));
    }
    let is_known = layer.recipes.iter().any(|recipe| recipe.recipe != GENERATED);
    let (named, all): (Vec<String>, usize) = if is_known {
        let recipes = layer.recipes.iter().take(NAMED).map(|recipe| visible(&recipe.recipe));
        (recipes.collect(), layer.recipes.len())
    } else {
        (layer.largest.iter().map(|change| path(&change.path, false)).collect(), layer.changed)
    };
    let more = all - named.len();
    (named, (more > 0).then(|| format!("{} more", number(more))))
}

/// The download.
pub(super) fn cause_name(cause: &Cause) -> String {
    match (&cause.recipe, cause.layers.is_empty()) {
        (Some(recipe), _) => visible(recipe),
        (None, true) => "(manifest and configuration)".to_owned(),
        (None, false) => "(layers in which nothing changed)".to_owned(),
    }
}

/// The old and the new version.
pub(super) fn versions(cause: &Cause) -> String {
    match (&cause.from, &cause.to) {
        (Some(from), Some(to)) if from == to => visible(to),
        (Some(from), Some(to)) => format!("{} → {}", visible(from), visible(to)),
        (None, Some(to)) if cause.is_new => format!("{} (new)", visible(to)),
        (None, Some(to)) => visible(to),
        (Some(from), None) if cause.is_gone => format!("{} (gone)", visible(from)),
        (Some(from), None) => format!("{} before", visible(from)),
        (None, None) => String::new(),
    }
}

/// The picture of growth and shrinkage.
fn difference(part: &Part<'_>, comparison: &Comparison) -> String {
    let heading = part.heading("What grew and what shrank");
    let Some(root) = comparison.tree.root().filter(|root| root.area() > 0) else {
        return heading + "<p>No file has another size.</p>\n";
    };
    let legend = format!(
        "<p class=\"legend\"><span><i class=\"more\"></i> grew or came, {}</span> <span><i class=\"less\"></i> shrank or went, {}</span></p>\n",
        bytes(root.more),
        bytes(root.less)
    );
    let picture = picture(
        part,
        &Picture {
            id: "change",
            tree: &comparison.tree,
            title: "what grew and what shrank",
            colours: Colours::Change,
            budget: part.budget / 4,
            layers: Vec::new(),
            tables: String::new(),
        },
    );
    format!("{heading}{legend}{picture}")
}

/// Added, removed and changed entries.
fn changes(part: &Part<'_>, comparison: &Comparison) -> String {
    let Comparison { added, removed, changed, .. } = comparison;
    let mut html = part.heading("Entries");
    if added.count + removed.count + changed.count == 0 {
        return html + "<p>The filesystems are equal.</p>\n";
    }
    for (title, changes) in [("Added", added), ("Removed", removed), ("Changed", changed)] {
        if changes.count == 0 {
            continue;
        }
        let sum = size_of(changes);
        let is_changed = changes.entries.iter().any(|entry| !entry.fields.is_empty());
        let headings: &[_] =
            if is_changed { &["Path", "Before", "Now", "Change", "What differs"] } else { &["Path", "Size"] };
        let mut table = Table::new(title, headings);
        for entry in &changes.entries {
            let mut cells = vec![Cell::Code(path(&entry.path, false))];
            if is_changed {
                cells.push(Cell::Number(bytes(entry.from)));
                cells.push(Cell::Number(bytes(entry.to)));
                cells.push(Cell::Number(signed(entry.from, entry.to)));
                cells.push(Cell::Text(entry.fields.join(", ")));
            } else {
                cells.push(Cell::Number(bytes(entry.from.max(entry.to))));
            }
            table.row(cells);
        }
        let table = table.cut(part.rows, changes.count).html();
        let count = number(changes.count);
        writeln!(html, "<details><summary>{title} <b>{count}</b>{sum}</summary>{table}</details>")
            .expect("writing to a string");
    }
    html
}

/// By how much entries grew and shrank.
pub(super) fn size_of(changes: &SizeChanges) -> String {
    match (changes.grown, changes.shrunk) {
        (0, 0) => String::new(),
        (grown, 0) => format!(", +{}", bytes(grown)),
        (0, shrunk) => format!(", −{}", bytes(shrunk)),
        (grown, shrunk) => format!(", +{} −{}", bytes(grown), bytes(shrunk)),
    }
}

/// The differences between the documents.
fn documents(part: &Part<'_>, comparison: &Comparison) -> String {
    if comparison.documents.is_empty() {
        return String::new();
    }
    let mut table = Table::new("Configuration and manifest", &["Document", "Member", "Before", "Now"]);
    for difference in &comparison.documents {
        let value = |value: &Option<serde_json::Value>| value.as_ref().map(ToString::to_string).unwrap_or_default();
        table.row(vec![
            Cell::Text(difference.document.to_owned()),
            Cell::Code(visible(&difference.member)),
            Cell::Code(visible(&value(&difference.from))),
            Cell::Code(visible(&value(&difference.to))),
        ]);
    }
    part.heading("Documents") + &table.cut(part.rows, comparison.documents.len()).html()
}
