//! The documents of an image: its layers, its configuration, and attached artifacts.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::part::Part;
use super::table::{definitions, Cell, Table};
use super::text::{bytes, count, escape, layer_name, number, share, visible};
use crate::digest::Digest;
use crate::layer::LayerGroups;
use crate::ops::inspect::Attached;
use crate::settings::ConfigField;

/// The layers.
pub(super) fn layers(part: &Part<'_>) -> String {
    let image = part.image;
    let mut table = Table::new(
        "From the base up",
        &["Layer", "Holds", "Stored", "", "Unpacked", "Ratio", "Entries", "Compression", "Digest"],
    );
    for (at, (layer, document)) in image.layers.iter().zip(&image.inspection.layers).enumerate() {
        table.row(vec![
            Cell::Text(layer_name(at, layer.name.as_deref())),
            groups(layer.groups.as_deref().unwrap_or_default()),
            Cell::Number(bytes(layer.stored)),
            Cell::Bar(layer.stored),
            Cell::Number(bytes(layer.unpacked)),
            Cell::Number(share(layer.stored, layer.unpacked)),
            Cell::Number(number(layer.entries)),
            Cell::Text(document.compression.to_owned()),
            Cell::Code(document.digest.short().to_owned()),
        ]);
    }
    let html = match image.layers.len() {
        0 => "<p>There is no layer.</p>\n".to_owned(),
        all => table.cut(all, all).html(),
    };
    part.section("layers", &html)
}

/// The recipes in a layer, with their versions.
fn groups(words: &str) -> Cell {
    let groups = LayerGroups::parse(words);
    let word = |(recipe, versions): (&str, &BTreeSet<String>)| {
        let versions: Vec<&str> = versions.iter().map(String::as_str).collect();
        format!("{} {}", visible(recipe), visible(&versions.join(","))).trim_end().to_owned()
    };
    let words: Vec<String> = groups.iter().map(word).collect();
    if words.len() > 6 {
        Cell::More(count(words.len(), "recipe", "recipes"), words.join(", "))
    } else {
        Cell::Text(words.join(", "))
    }
}

/// How it runs, and how it was made.
pub(super) fn configuration(part: &Part<'_>) -> String {
    let inspection = &part.image.inspection;
    let lines = |lines: &[String]| {
        let lines: Vec<String> = lines
            .iter()
            .filter(|line| !line.is_empty())
            .map(|line| format!("<code>{}</code>", escape(&visible(line))))
            .collect();
        lines.join("<br>")
    };
    let fields: Vec<(&str, String)> =
        ConfigField::all().map(|field| (field.name(), lines(&field.lines(&inspection.config)))).collect();
    let annotations: Vec<String> = inspection.annotations.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let fields: Vec<(&str, String)> = fields.into_iter().chain([("annotation", lines(&annotations))]).collect();
    let mut html = if fields.iter().all(|(_, value)| value.is_empty()) {
        "<p>The configuration sets nothing.</p>\n".to_owned()
    } else {
        definitions(&fields)
    };
    let mut history = Table::new("History", &["Created", "By", "Comment", "Layer"]);
    let mut layer = 0;
    for step in &inspection.history {
        let number = if step.is_empty_layer() {
            "none".to_owned()
        } else {
            layer += 1;
            layer.to_string()
        };
        let text = |text: &Option<String>| visible(text.as_deref().unwrap_or_default());
        history.row(vec![
            Cell::Text(text(&step.created)),
            Cell::Code(text(&step.created_by)),
            Cell::Text(text(&step.comment)),
            Cell::Number(number),
        ]);
    }
    let steps = inspection.history.len();
    if steps > 0 {
        let table = history.cut(steps.min(200), steps).html();
        writeln!(html, "<details><summary>History <b>{}</b></summary>{table}</details>", count(steps, "step", "steps"))
            .expect("writing to a string");
    }
    part.section("configuration", &html)
}

/// The subject of an artifact: the image itself, or an index that lists it.
fn subject(artifact: &Attached, image: &Digest) -> String {
    if artifact.subject == *image {
        "this image".to_owned()
    } else {
        format!("the index {}", artifact.subject.short())
    }
}

/// Attached artifacts.
pub(super) fn attached(part: &Part<'_>) -> String {
    let attached: &[Attached] = &part.image.inspection.attached;
    let mut table = Table::new("Documents", &["Title", "Type", "Size", "Digest", "Attached to"]);
    for artifact in attached {
        let subject = subject(artifact, &part.image.inspection.digest);
        for file in &artifact.files {
            let kind = artifact.artifact_type.clone().unwrap_or_else(|| file.media_type.to_string());
            table.row(vec![
                Cell::Text(visible(file.title.as_deref().unwrap_or("(no title)"))),
                Cell::Text(visible(&kind)),
                Cell::Number(bytes(file.size)),
                Cell::Code(file.digest.short().to_owned()),
                Cell::Text(subject.clone()),
            ]);
        }
    }
    let html = table.cut(usize::MAX, 0).html();
    let html = if html.is_empty() { "<p>Nothing is attached.</p>\n".to_owned() } else { html };
    part.section("attached", &html)
}
