//! What verbs print on stdout.

use std::fmt::Display;
use std::io::{stderr, stdout, Write};

use anyhow::Result;
use ocibake::layout::Location;
use serde::Serialize;

/// Prints a report: as JSON for programs, or as text, which has its own line ends.
pub(super) fn print(json: bool, report: &impl Serialize, text: impl FnOnce() -> String) -> Result<()> {
    write_to(&mut stdout().lock(), json, report, text)
}

/// Prints a report on what was written to targets: on stderr if one of them is stdout.
pub(super) fn print_beside(
    targets: &[Location],
    json: bool,
    report: &impl Serialize,
    text: impl FnOnce() -> String,
) -> Result<()> {
    if targets.iter().any(Location::is_stream) {
        return write_to(&mut stderr().lock(), json, report, text);
    }
    print(json, report, text)
}

fn write_to(out: &mut dyn Write, json: bool, report: &impl Serialize, text: impl FnOnce() -> String) -> Result<()> {
    if json {
        serde_json::to_writer_pretty(&mut *out, report)?;
        writeln!(out)?;
    } else {
        write!(out, "{}", text())?;
    }
    Ok(())
}

/// Returns a line for each item.
pub(super) fn lines<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().fold(String::new(), |lines, item| lines + &item.to_string() + "\n")
}
