//! Wasted space, and entries that deserve a look.

use std::fmt::Write;

use super::part::Part;
use super::table::{Cell, Table};
use super::text::{bytes, count, escape, number, path, share, visible};
use crate::ops::report::{LostFiles, Notice};

/// How many of the paths of equal files are shown.
const PATHS: usize = 4;

/// Wasted space.
pub(super) fn waste(part: &Part<'_>) -> String {
    let waste = &part.image.waste;
    if waste.bytes == 0 {
        return part.section("waste", "<p class=\"good\">Every byte is used, and no two files are equal.</p>\n");
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
            let mut shown: Vec<String> = duplicate.paths.iter().take(PATHS).map(|one| path(&one.0, false)).collect();
            if duplicate.count > shown.len() {
                shown.push(format!("and {} more", number(duplicate.count - shown.len())));
            }
            table.row(vec![
                Cell::Lines(shown),
                Cell::Number(number(duplicate.count)),
                Cell::Number(bytes(duplicate.size)),
                Cell::Number(bytes(duplicate.bytes)),
            ]);
        }
        html.push_str(&table.cut(part.rows.min(20), waste.duplicates.len()).html());
    }
    part.section("waste", &html)
}

/// Entries that deserve a look.
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
    part.section("notices", &html)
}
