//! What a verb answers on stdout.

use std::fmt::Display;
use std::io::{stdout, Write};

use anyhow::Result;
use serde::Serialize;

/// Prints a report: in JSON for programs, else as text, which has its own line ends.
pub(super) fn print(json: bool, report: &impl Serialize, text: impl FnOnce() -> String) -> Result<()> {
    let mut out = stdout().lock();
    if json {
        serde_json::to_writer_pretty(&mut out, report)?;
        writeln!(out)?;
    } else {
        write!(out, "{}", text())?;
    }
    Ok(())
}

/// A line for each.
pub(super) fn lines<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().fold(String::new(), |lines, item| lines + &item.to_string() + "\n")
}
