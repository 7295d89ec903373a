//! The most important facts about an image, or about the images for several platforms.

use std::fmt::Write;

use super::part::Part;
use super::table::{definitions, Cell, Table};
use super::text::{bytes, escape, number, share, signed, visible};
use crate::digest::Digest;
use crate::ops::inspect::IndexInspection;
use crate::ops::report::ImageReport;

/// The images with a part in the page, and those that are missing.
pub(super) fn platforms(index: &IndexInspection, parts: &[Part<'_>]) -> String {
    let has_old = parts.iter().any(|part| part.image.comparison.is_some());
    let mut headings = vec!["Platform", "Stored", "", "Unpacked", "Layers", "Entries", "Wasted"];
    headings.extend(has_old.then_some("Update"));
    let mut table = Table::new("Platforms", &headings);
    for part in parts {
        let ImageReport { inspection, unpacked, entries, waste, comparison, layers, .. } = part.image;
        let mut cells = vec![
            Cell::Link(format!("#image-{}", part.number), part.name().to_owned()),
            Cell::Number(bytes(inspection.size)),
            Cell::Bar(inspection.size),
            Cell::Number(bytes(*unpacked)),
            Cell::Number(number(layers.len())),
            Cell::Number(number(*entries)),
            Cell::Number(share(waste.bytes, waste.of)),
        ];
        if has_old {
            let update = comparison.as_ref().map(|comparison| bytes(comparison.update.bytes));
            cells.push(Cell::Number(update.unwrap_or_else(|| "no older image".to_owned())));
        }
        table.row(cells);
    }
    let is_there = |digest: &Digest| parts.iter().any(|part| part.image.inspection.digest == *digest);
    let absent = index.images.iter().filter(|listed| !is_there(&listed.digest)).map(|listed| {
        let platform =
            listed.platform.as_ref().map_or_else(|| "an image without a platform".to_owned(), ToString::to_string);
        escape(&visible(&platform))
    });
    let absent: Vec<String> = absent.collect();
    let digest = format!("<code>{}</code>", escape(index.digest.as_str()));
    let mut html = table.html() + &definitions(&[("Index", digest)]);
    if !absent.is_empty() {
        writeln!(html, "<p>Not in this layout: {}.</p>", absent.join(", ")).expect("writing to a string");
    }
    format!("<section id=\"platforms\" aria-label=\"Platforms\">{html}</section>\n")
}

/// The most important facts.
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
    part.section("summary", &format!("{tiles}{facts}"))
}

/// The source of owners. The path of a package map is left out, since it is not part of the image.
fn known_from(source: &str) -> &str {
    match source {
        "dpkg" => "the database of dpkg",
        "opkg" => "the database of opkg",
        "apk" => "the database of apk",
        "layers" => "the annotations of layers",
        _ => "a package map",
    }
}
