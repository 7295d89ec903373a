//! The summary in Markdown, for merge requests.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::changes::{because, cause_name, size_of, versions};
use super::text::{bytes, count, layer_name, number, path, share, signed, usage_path, visible};
use crate::digest::Digest;
use crate::ops::inspect::{Attached, AttachedContent};
use crate::ops::report::{Comparison, ImageReport, Report, TestedLimit};

/// How many rows of each list are shown.
const ROWS: usize = 10;

/// The summary.
pub fn markdown(report: &Report) -> String {
    let mut text = format!("# {}\n", code(&report.name));
    if let Some(old) = &report.old {
        write!(text, "\nCompared with {}.\n", code(old)).expect("writing to a string");
    }
    if let Some(index) = &report.index {
        write!(text, "\nIndex: {}\n", code(index.digest.short())).expect("writing to a string");
        let of_index = index.attached.iter().filter(|artifact| artifact.subject == index.digest);
        text.push_str(&attached("the index", of_index));
    }
    text.push_str(&limits(&report.limits));
    let index = report.index.as_ref().map(|index| &index.digest);
    for image in &report.images {
        if report.index.is_some() {
            write!(text, "\n## {}\n", code(&image.inspection.platform.to_string())).expect("writing to a string");
        }
        text.push_str(&image_summary(image));
        text.push_str(&attached_to_image(image, index));
    }
    text
}

/// Artifacts that are attached to an image or to indexes that list it, except the reported index.
fn attached_to_image(image: &ImageReport, index: Option<&Digest>) -> String {
    let inspection = &image.inspection;
    let others = inspection.attached.iter().filter(|artifact| Some(&artifact.subject) != index);
    let (own, of_indexes): (Vec<_>, Vec<_>) = others.partition(|artifact| artifact.subject == inspection.digest);
    let subjects: BTreeSet<&Digest> = of_indexes.iter().map(|artifact| &artifact.subject).collect();
    let mut text = attached("this image", own);
    for subject in subjects {
        let its = of_indexes.iter().filter(|artifact| artifact.subject == *subject).copied();
        text.push_str(&attached(&format!("the index {}", code(subject.short())), its));
    }
    text
}

/// A line of the names of attached files, or their types where they have none.
fn attached<'a>(subject: &str, artifacts: impl IntoIterator<Item = &'a Attached>) -> String {
    let files = artifacts.into_iter().flat_map(|artifact| artifact.files.iter().map(move |file| (artifact, file)));
    let name = |(artifact, file): (&Attached, &AttachedContent)| {
        let kind = || artifact.artifact_type.clone().unwrap_or_else(|| file.media_type.to_string());
        code(&file.title.clone().unwrap_or_else(kind))
    };
    let mut names: Vec<String> = files.map(name).collect();
    if names.is_empty() {
        return String::new();
    }
    let more = names.len().saturating_sub(ROWS);
    names.truncate(ROWS);
    names.extend((more > 0).then(|| format!("{} more", number(more))));
    format!("\nAttached to {subject}: {}.\n", names.join(", "))
}

/// Escapes text for Markdown, also in tables.
fn code(text: &str) -> String {
    let text = visible(text).replace('|', "\\|");
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest + 1);
    let blank = if text.starts_with('`') || text.ends_with('`') || text.is_empty() { " " } else { "" };
    format!("{fence}{blank}{text}{blank}{fence}")
}

/// A table, or nothing if it has no rows.
fn table(title: &str, headings: &[&str], rows: &[Vec<String>]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let is_figure = |at: usize| {
        rows.iter().all(|row| {
            !row[at].starts_with('`') && row[at].starts_with(|c: char| "+−±<".contains(c) || c.is_ascii_digit())
        })
    };
    let rule: Vec<&str> = (0..headings.len()).map(|at| if is_figure(at) { "--:" } else { "---" }).collect();
    let mut text = format!("\n**{title}**\n\n| {} |\n| {} |\n", headings.join(" | "), rule.join(" | "));
    for row in rows {
        writeln!(text, "| {} |", row.join(" | ")).expect("writing to a string");
    }
    text
}

fn limits(limits: &[TestedLimit]) -> String {
    let rows: Vec<Vec<String>> = limits
        .iter()
        .map(|limit| {
            let kept = if limit.broken { "**broken**" } else { "holds" };
            let found = limit.value.map_or_else(|| "no older image".to_owned(), |_| limit.shown());
            vec![code(&limit.limit.to_string()), code(&limit.platform.to_string()), found, kept.to_owned()]
        })
        .collect();
    table("Limits", &["limit", "platform", "found", ""], &rows)
}

fn image_summary(image: &ImageReport) -> String {
    let ImageReport { inspection, comparison, waste, .. } = image;
    let before = comparison.as_ref().map(|comparison| &comparison.old);
    let mut rows = Vec::new();
    let mut row = |what: &str, now: String, then: Option<String>, change: String| {
        let mut cells = vec![what.to_owned(), now];
        cells.extend(then.map(|then| vec![then, change]).into_iter().flatten());
        rows.push(cells);
    };
    let sizes = [
        ("stored", inspection.size, before.map(|old| old.size)),
        ("unpacked", image.unpacked, before.map(|old| old.unpacked)),
    ];
    for (what, now, then) in sizes {
        row(what, bytes(now), then.map(bytes), then.map(|then| signed(then, now)).unwrap_or_default());
    }
    let counts = [
        ("layers", image.layers.len(), before.map(|old| old.layers)),
        ("entries", image.entries, before.map(|old| old.entries)),
    ];
    for (what, now, then) in counts {
        let change = then.map(|then| {
            if now < then {
                format!("−{}", number(then - now))
            } else {
                format!("+{}", number(now - then))
            }
        });
        row(what, number(now), then.map(number), change.unwrap_or_default());
    }
    let headings: &[&str] = if before.is_some() { &["", "now", "before", "change"] } else { &["", "now"] };
    let mut text = table(
        &format!("{}, {}", code(&inspection.platform.to_string()), code(inspection.digest.short())),
        headings,
        &rows,
    );
    if let Some(comparison) = comparison {
        if let Some(other) = comparison.other_platform(&inspection.platform) {
            write!(text, "\n**The older image is for another platform**: {}.\n", code(&other.to_string()))
                .expect("writing to a string");
        }
        text.push_str(&update(comparison));
    }
    let usage = |usage: &crate::ops::inspect::Usage| {
        vec![code(&usage_path(usage)), bytes(usage.size), share(usage.size, image.unpacked)]
    };
    let directories: Vec<Vec<String>> = image.largest_directories.iter().skip(1).take(ROWS).map(usage).collect();
    text.push_str(&table("Largest directories", &["directory", "size", "share"], &directories));
    let files: Vec<Vec<String>> = image.largest_files.iter().take(ROWS).map(usage).collect();
    text.push_str(&table("Largest files", &["file", "size", "share"], &files));
    let recipes = image
        .recipes
        .iter()
        .take(ROWS)
        .map(|recipe| vec![code(&recipe.recipe), bytes(recipe.bytes), share(recipe.bytes, image.unpacked)]);
    text.push_str(&table("Largest recipes", &["recipe", "size", "share"], &recipes.collect::<Vec<_>>()));
    write!(text, "\nWasted: {} ({})", bytes(waste.bytes), share(waste.bytes, waste.of)).expect("writing to a string");
    let parts = [
        (waste.replaced.count, waste.replaced.bytes, "stored again"),
        (waste.removed.count, waste.removed.bytes, "removed or hidden"),
        (waste.duplicate_count, waste.duplicate_bytes, "copies of others"),
    ];
    for (files, size, what) in parts.into_iter().filter(|(files, ..)| *files > 0) {
        write!(text, "; {what}: {}, {}", count(files, "file", "files"), bytes(size)).expect("writing to a string");
    }
    text.push_str(".\n");
    let noticed: Vec<String> = image
        .notices
        .iter()
        .filter(|notice| notice.count > 0)
        .map(|notice| format!("{} {}", notice.kind.name(), number(notice.count)))
        .collect();
    if !noticed.is_empty() {
        write!(text, "\nDeserves a look: {}.\n", noticed.join(", ")).expect("writing to a string");
    }
    text
}

/// The changes and their cost.
fn update(comparison: &Comparison) -> String {
    let update = &comparison.update;
    let mut text =
        format!("\nUpdate: **{}** of {} ({}).", bytes(update.bytes), bytes(update.of), share(update.bytes, update.of));
    for (what, changes) in
        [("added", &comparison.added), ("removed", &comparison.removed), ("changed", &comparison.changed)]
    {
        write!(text, " {what}: {}{}.", number(changes.count), size_of(changes)).expect("writing to a string");
    }
    text.push('\n');
    let layers: Vec<Vec<String>> = comparison
        .fetched
        .iter()
        .take(ROWS)
        .map(|layer| {
            let (names, remark) = because(layer);
            let because: Vec<String> = names.iter().map(|name| code(name)).chain(remark).collect();
            vec![code(&layer_name(layer.layer - 1, layer.name.as_deref())), bytes(layer.size), because.join(", ")]
        })
        .collect();
    text.push_str(&table("Layers to fetch", &["layer", "size", "because of"], &layers));
    let causes: Vec<Vec<String>> = comparison
        .causes
        .iter()
        .filter(|_| comparison.is_by_recipe())
        .take(ROWS)
        .map(|cause| {
            let version = versions(cause);
            let version = if version.is_empty() { version } else { code(&version) };
            let name = cause_name(cause);
            let name = if cause.recipe.is_some() { code(&name) } else { name };
            vec![name, version, bytes(cause.bytes)]
        })
        .collect();
    text.push_str(&table("To fetch by recipe", &["recipe", "version", "size"], &causes));
    let changed = comparison.changed.entries.iter().chain(&comparison.added.entries).chain(&comparison.removed.entries);
    let mut changed: Vec<_> = changed.filter(|entry| entry.from != entry.to).collect();
    changed.sort_by(|a, b| a.by_change(b));
    let rows: Vec<Vec<String>> = changed
        .iter()
        .take(ROWS)
        .map(|entry| vec![code(&path(&entry.path, false)), signed(entry.from, entry.to), bytes(entry.to)])
        .collect();
    text.push_str(&table("Largest changes", &["file", "change", "now"], &rows));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_in_their_cells() {
        for (text, expected) in [
            ("a", "`a`"),
            ("a|b", "`a\\|b`"),
            ("a`b", "``a`b``"),
            ("`", "`` ` ``"),
            ("<b>*x*", "`<b>*x*`"),
            ("", "`  `"),
        ] {
            assert_eq!(code(text), expected);
        }
    }
}
