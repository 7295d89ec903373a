//! Differences as text for people.

use std::collections::BTreeMap;
use std::fmt::Write;

use ocibake::ops::diff::{DiffReport, DiffSummary, DocumentDifference};
use ocibake::tree::{Change, Difference};

use super::colour::{Colour, Paint};
use super::text;

/// The reason first and what must be fetched, then a line for each entry and each member of a document: `+` added, `-`
/// removed, `~` changed. Notes come last.
pub(super) fn all(report: &DiffReport, paint: Paint) -> String {
    let mut text = heading(report);
    let entries = report.entries.iter().map(entry);
    for (colour, line) in entries.chain(report.documents.iter().map(member)) {
        text += &paint.line(colour, &line);
    }
    text + &notes(report, paint)
}

/// The reason and how much differs.
pub(super) fn summary(report: &DiffReport, paint: Paint) -> String {
    let DiffSummary { added, removed, changed, fields, documents, .. } = &report.summary;
    let mut text = heading(report);
    if added + removed + changed > 0 {
        let fields = if fields.is_empty() { String::new() } else { format!(" ({})", counts(fields)) };
        writeln!(text, "entries: {added} added, {removed} removed, {changed} changed{fields}")
            .expect("writing to a string");
    }
    if !documents.is_empty() {
        writeln!(text, "members of documents: {}", counts(documents)).expect("writing to a string");
    }
    text + &notes(report, paint)
}

/// Why the digests differ, and what the update costs if it is one.
fn heading(report: &DiffReport) -> String {
    let cost = report.update.as_ref().filter(|_| !report.same).map(text::update_cost);
    format!("{}\n{}", report.reason, cost.unwrap_or_default())
}

fn counts(counts: &BTreeMap<&str, usize>) -> String {
    counts.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
}

/// What only the indexes say differently: not a difference.
fn notes(report: &DiffReport, paint: Paint) -> String {
    report.notes.iter().map(|note| paint.line(Colour::Blue, &format!("note: {}", member(note).1))).collect()
}

fn entry(Difference { path, change, .. }: &Difference) -> (Colour, String) {
    match change {
        Change::Added { kind } => (Colour::Green, format!("+ {path} ({})", kind.name())),
        Change::Removed { kind } => (Colour::Red, format!("- {path} ({})", kind.name())),
        Change::Changed { fields } => {
            let fields: Vec<String> = fields.iter().map(ToString::to_string).collect();
            (Colour::Yellow, format!("~ {path} {}", fields.join(", ")))
        }
    }
}

fn member(DocumentDifference { document, member, from, to, .. }: &DocumentDifference) -> (Colour, String) {
    match (from, to) {
        (None, Some(to)) => (Colour::Green, format!("+ {document} {member} {to}")),
        (Some(from), None) => (Colour::Red, format!("- {document} {member} {from}")),
        (from, to) => {
            let [from, to] = [from, to].map(|value| value.as_ref().map(ToString::to_string).unwrap_or_default());
            (Colour::Yellow, format!("~ {document} {member} {from} -> {to}"))
        }
    }
}
