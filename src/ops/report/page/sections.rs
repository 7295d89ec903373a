//! The parts of the page, in their order.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::table::{definitions, Cell, Table};
use super::text::{bytes, count, escape, number, path, share, signed, usage_path, visible};
use super::tree_json;
use super::treemap::{foremost, svg, tiles, Colours, Tile};
use crate::layer::LayerGroups;
use crate::ops::inspect::{Attached, IndexInspection, Usage};
use crate::ops::report::{ImageReport, LostFiles, Notice, SizeTree};
use crate::settings::ConfigField;

/// The report of one image, and how much of it is shown.
pub(super) struct Part<'a> {
    pub(super) image: &'a ImageReport,
    /// Its number in the page.
    pub(super) number: usize,
    /// Whether the page has several.
    pub(super) is_one_of_several: bool,
    /// How many rows of each list are shown.
    pub(super) rows: usize,
    /// How many bytes its trees may have.
    pub(super) budget: usize,
}

impl Part<'_> {
    /// A section with its heading.
    pub(super) fn section(&self, id: &str, title: &str, content: &str) -> String {
        let level = if self.is_one_of_several { 3 } else { 2 };
        let id = format!("{id}-{}", self.number);
        let of = if self.is_one_of_several { format!("image-{}-h ", self.number) } else { String::new() };
        format!("<section id=\"{id}\" aria-labelledby=\"{of}{id}-h\"><h{level} id=\"{id}-h\">{title}</h{level}>\n{content}</section>\n")
    }

    /// A heading below a section's.
    pub(super) fn heading(&self, title: &str) -> String {
        let level = if self.is_one_of_several { 4 } else { 3 };
        format!("<h{level}>{}</h{level}>\n", escape(title))
    }
}

/// The platforms that the page has parts for, and those that are not there.
pub(super) fn platforms(index: &IndexInspection, images: &[ImageReport]) -> String {
    let mut html = String::from("<nav aria-label=\"Platforms\"><ul>");
    for listed in &index.images {
        let platform = listed.platform.as_ref().map_or_else(|| "no platform".to_owned(), ToString::to_string);
        let platform = escape(&visible(&platform));
        match images.iter().position(|image| image.inspection.digest == listed.digest) {
            Some(number) => {
                let size = bytes(images[number].inspection.size);
                write!(html, "<li><a href=\"#image-{number}\">{platform}</a> {size}</li>")
            }
            None => write!(html, "<li>{platform} is not in this layout</li>"),
        }
        .expect("writing to a string");
    }
    html + "</ul></nav>\n"
}

/// What a person wants to know first.
pub(super) fn summary(part: &Part<'_>) -> String {
    let ImageReport { inspection, unpacked, entries, waste, comparison, .. } = part.image;
    let mut tiles = String::from("<ul class=\"tiles\">");
    let mut tile = |figure: &str, name: &str, remark: &str| {
        write!(tiles, "<li><span>{name}</span><b>{figure}</b><small>{}</small></li>", escape(remark))
            .expect("writing to a string");
    };
    let before = comparison.as_ref().map(|comparison| &comparison.old);
    let change = |from: Option<u64>, to: u64| from.map(|from| signed(from, to)).unwrap_or_default();
    let count_change = |from: Option<usize>, to: usize| match from {
        Some(from) if from == to => "±0".to_owned(),
        Some(from) if from < to => format!("+{}", number(to - from)),
        Some(from) => format!("−{}", number(from - to)),
        None => String::new(),
    };
    tile(&bytes(inspection.size), "stored", &change(before.map(|old| old.size), inspection.size));
    tile(&bytes(*unpacked), "unpacked", &change(before.map(|old| old.unpacked), *unpacked));
    let layers = part.image.layers.len();
    tile(
        &number(layers),
        if layers == 1 { "layer" } else { "layers" },
        &count_change(before.map(|old| old.layers), layers),
    );
    tile(&number(*entries), "entries", &count_change(before.map(|old| old.entries), *entries));
    tile(&share(waste.bytes, waste.of), "wasted", &bytes(waste.bytes));
    if let Some(comparison) = comparison {
        let update = &comparison.update;
        tile(&bytes(update.bytes), "update", &format!("{} of the image", share(update.bytes, update.of)));
    }
    tiles.push_str("</ul>\n");
    let code = |text: String| if text.is_empty() { text } else { format!("<code>{}</code>", escape(&visible(&text))) };
    let words = |words: &Option<Vec<String>>| code(words.as_ref().map(shell_words::join).unwrap_or_default());
    let plain = |text: &str| escape(&visible(text));
    let config = &inspection.config;
    let facts = definitions(&[
        ("Names", plain(&inspection.refs.join(", "))),
        ("Digest", code(inspection.digest.to_string())),
        ("Platform", plain(&inspection.platform.to_string())),
        ("Created", plain(inspection.created.as_deref().unwrap_or_default())),
        ("Author", plain(inspection.author.as_deref().unwrap_or_default())),
        ("Entrypoint", words(&config.entrypoint)),
        ("Command", words(&config.cmd)),
        ("User", code(config.user.clone().unwrap_or_else(|| "0 (none is set)".to_owned()))),
        (
            "Owners",
            match &part.image.owners {
                Some(source) => format!("who owns which file is known from {}", known_from(source)),
                None => String::new(),
            },
        ),
    ]);
    part.section("summary", "Summary", &format!("{tiles}{facts}"))
}

/// Where owners are known from. Where a package map lies is no part of the image.
fn known_from(source: &str) -> &str {
    match source {
        "dpkg" => "the database of dpkg",
        "opkg" => "the database of opkg",
        "apk" => "the database of apk",
        "layers" => "the annotations of layers",
        _ => "a package map",
    }
}

/// The picture of sizes.
pub(super) fn sizes(part: &Part<'_>) -> String {
    let image = part.image;
    if image.unpacked == 0 {
        return part.section("sizes", "What takes the space", "<p>No file has content.</p>\n");
    }
    let budget = if image.comparison.is_some() { part.budget / 4 * 3 } else { part.budget };
    let label = format!("{}: what takes the space, by directory", visible(&image.inspection.platform.to_string()));
    let mut tables = first_level(&image.tree, part.rows);
    let mut recipes = Table::new("By recipe", &["Recipe", "Version", "Size", "Share", "", "Entries"]);
    for recipe in &image.recipes {
        recipes.row(vec![
            Cell::Text(visible(&recipe.recipe)),
            Cell::Text(visible(&recipe.version)),
            Cell::Number(bytes(recipe.bytes)),
            Cell::Number(share(recipe.bytes, image.unpacked)),
            Cell::Bar(recipe.bytes, image.unpacked),
            Cell::Number(number(recipe.entries)),
        ]);
    }
    tables += &recipes.cut(part.rows, image.recipes.len()).html();
    let mut layers = Table::new("By layer", &["Layer", "Size", "Share", ""]);
    for (at, layer) in image.layers.iter().enumerate() {
        layers.row(vec![
            Cell::Text(layer_name(at, layer.name.as_deref())),
            Cell::Number(bytes(layer.used)),
            Cell::Number(share(layer.used, image.unpacked)),
            Cell::Bar(layer.used, image.unpacked),
        ]);
    }
    tables += &layers.cut(part.rows.max(image.layers.len()), image.layers.len()).html();
    let picture = picture(&Picture {
        id: format!("map-{}", part.number),
        tree: &image.tree,
        tiles: &tiles(&image.tree),
        label,
        colours: Colours::Distinct,
        budget,
        layers: (0..image.layers.len()).map(|at| layer_name(at, image.layers[at].name.as_deref())).collect(),
    });
    part.section("sizes", "What takes the space", &format!("{picture}<div class=\"static\">{tables}</div>"))
}

/// A picture, for those with a script and for those without.
pub(super) struct Picture<'a> {
    pub(super) id: String,
    pub(super) tree: &'a SizeTree,
    pub(super) tiles: &'a [Tile],
    pub(super) label: String,
    pub(super) colours: Colours,
    pub(super) budget: usize,
    pub(super) layers: Vec<String>,
}

pub(super) fn picture(picture: &Picture<'_>) -> String {
    let Picture { id, tree, tiles, label, colours, budget, layers } = picture;
    let kind = if *colours == Colours::Change { "change" } else { "size" };
    format!(
        "<figure class=\"treemap\" id=\"{id}\" data-kind=\"{kind}\" aria-label=\"{}\">{}</figure>\n\
         <script type=\"application/json\" id=\"{id}-data\">{{\"recipes\":{},\"layers\":{},\"tree\":{}}}</script>\n",
        escape(label),
        svg(tiles, label, *colours),
        tree_json::strings(
            tree.recipes().iter().map(|name| visible(name)).collect::<Vec<_>>().iter().map(String::as_str)
        ),
        tree_json::strings(layers.iter().map(String::as_str)),
        tree_json::json(tree, *budget),
    )
}

fn first_level(tree: &SizeTree, rows: usize) -> String {
    let mut table = Table::new("By directory", &["Directory or file", "Size", "Share", "", "Files"]);
    let of = tree.root().map_or(0, |root| root.more);
    let nodes = foremost(tree);
    for node in &nodes {
        table.row(vec![
            Cell::Code(path(&node.path, node.directory)),
            Cell::Number(bytes(node.more)),
            Cell::Number(share(node.more, of)),
            Cell::Bar(node.more, of),
            Cell::Number(number(node.files)),
        ]);
    }
    table.cut(rows, nodes.len()).html()
}

/// A layer by its number and its name.
pub(super) fn layer_name(at: usize, name: Option<&str>) -> String {
    match name {
        Some(name) => format!("{} {}", at + 1, visible(name)),
        None => format!("{}", at + 1),
    }
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
                Cell::Bar(usage.size, image.unpacked),
            ]);
        }
        table.cut(rows, 0).html()
    };
    let html = format!(
        "<div class=\"columns\">{}{}</div>\n",
        list("Largest files", &image.largest_files),
        list("Largest directories", &image.largest_directories)
    );
    part.section("largest", "Largest files and directories", &html)
}

/// What is stored and of no use.
pub(super) fn waste(part: &Part<'_>) -> String {
    let waste = &part.image.waste;
    if waste.bytes == 0 {
        return part.section(
            "waste",
            "Waste",
            "<p class=\"good\">Every byte is used, and no two files are equal.</p>\n",
        );
    }
    let mut html = format!(
        "<p><b>{}</b> of {} in all layers are of no use ({}), before compression.</p>\n",
        bytes(waste.bytes),
        bytes(waste.of),
        share(waste.bytes, waste.of)
    );
    let lost = |html: &mut String, title: &str, lost: &LostFiles| {
        if lost.count > 0 {
            let sum = format!("{title}: {}, {}", count(lost.count, "file", "files"), bytes(lost.bytes));
            let mut table = Table::new(&sum, &["Path", "Stored in layer", "Size"]);
            for file in &lost.files {
                table.row(vec![
                    Cell::Code(path(&file.path, false)),
                    Cell::Number(file.layer.to_string()),
                    Cell::Number(bytes(file.size)),
                ]);
            }
            html.push_str(&table.cut(part.rows.min(20), lost.count).html());
        }
    };
    lost(&mut html, "Stored again by a later layer", &waste.replaced);
    lost(&mut html, "Removed or hidden by a later layer", &waste.removed);
    if waste.duplicate_count > 0 {
        let copies = count(waste.duplicate_count, "copy", "copies");
        let sum = format!("Equal files that are no hard links: {copies}, {}", bytes(waste.duplicate_bytes));
        let mut table = Table::new(&sum, &["Paths", "Files", "Size of each", "Costs"]);
        for duplicate in &waste.duplicates {
            let shown: Vec<String> = duplicate.paths.iter().take(4).map(|one| path(&one.0, false)).collect();
            let more = if duplicate.count > shown.len() { " …" } else { "" };
            table.row(vec![
                Cell::Code(format!("{}{more}", shown.join(" "))),
                Cell::Number(number(duplicate.count)),
                Cell::Number(bytes(duplicate.size)),
                Cell::Number(bytes(duplicate.bytes)),
            ]);
        }
        html.push_str(&table.cut(part.rows.min(20), waste.duplicates.len()).html());
    }
    part.section("waste", "Waste", &html)
}

/// The layers.
pub(super) fn layers(part: &Part<'_>) -> String {
    let image = part.image;
    let stored: u64 = image.layers.iter().map(|layer| layer.stored).sum();
    let mut table = Table::new(
        "From the base up",
        &["Layer", "Holds", "Stored", "", "Unpacked", "Ratio", "Entries", "Compression", "Digest"],
    );
    for (at, (layer, document)) in image.layers.iter().zip(&image.inspection.layers).enumerate() {
        table.row(vec![
            Cell::Text(layer_name(at, layer.name.as_deref())),
            groups(layer.groups.as_deref().unwrap_or_default()),
            Cell::Number(bytes(layer.stored)),
            Cell::Bar(layer.stored, stored),
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
    part.section("layers", "Layers", &html)
}

/// The recipes that a layer holds, with their versions.
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

/// What deserves a look.
pub(super) fn notices(part: &Part<'_>) -> String {
    let mut html = String::new();
    let (found, none): (Vec<&Notice>, Vec<&Notice>) = part.image.notices.iter().partition(|notice| notice.count > 0);
    for notice in found {
        let mut table = Table::new(notice.kind.title(), &["Path", "What", "Size"]);
        for entry in &notice.entries {
            table.row(vec![
                Cell::Code(path(&entry.path, false)),
                Cell::Text(visible(&entry.remark)),
                Cell::Number(if entry.size > 0 { bytes(entry.size) } else { String::new() }),
            ]);
        }
        let size = if notice.bytes > 0 { format!(", {}", bytes(notice.bytes)) } else { String::new() };
        writeln!(
            html,
            "<details><summary>{} <b>{}</b>{size}</summary>{}</details>",
            escape(notice.kind.title()),
            number(notice.count),
            table.cut(part.rows, notice.count).html()
        )
        .expect("writing to a string");
    }
    let none: Vec<String> = none.iter().map(|notice| notice.kind.title().to_lowercase()).collect();
    if !none.is_empty() {
        writeln!(html, "<p class=\"good\">None: {}.</p>", escape(&none.join(", "))).expect("writing to a string");
    }
    part.section("notices", "What deserves a look", &html)
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
    part.section("configuration", "Configuration", &html)
}

/// What is attached.
pub(super) fn attached(part: &Part<'_>) -> String {
    let attached: &[Attached] = &part.image.inspection.attached;
    let mut table = Table::new("Documents", &["Title", "Type", "Size", "Digest"]);
    for artifact in attached {
        for file in &artifact.files {
            let kind = artifact.artifact_type.clone().unwrap_or_else(|| file.media_type.to_string());
            table.row(vec![
                Cell::Text(visible(file.title.as_deref().unwrap_or("(no title)"))),
                Cell::Text(visible(&kind)),
                Cell::Number(bytes(file.size)),
                Cell::Code(file.digest.short().to_owned()),
            ]);
        }
    }
    let html = table.cut(usize::MAX, 0).html();
    let html = if html.is_empty() { "<p>Nothing is attached.</p>\n".to_owned() } else { html };
    part.section("attached", "Attached documents", &html)
}
