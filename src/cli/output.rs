//! What verbs print on stdout.

use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, stderr, stdout, BufWriter, Write};
use std::path::Path;

use anyhow::Result;
use ocibake::layout::Location;
use ocibake::Error;
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

/// Writes a file that gets its name only when it is complete.
pub(super) fn write_whole(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Error> {
    let io = |action, cause| Error::Io { action, path: path.to_path_buf(), cause };
    let mut beside = path.as_os_str().to_os_string();
    beside.push(format!(".ocibake-{}", std::process::id()));
    let file = File::options().write(true).create_new(true).open(&beside).map_err(|error| io("create", error))?;
    let written = write(&mut BufWriter::new(file))
        .map_err(|error| Error::carried_by(error).unwrap_or_else(|error| io("write", error)))
        .and_then(|()| fs::rename(&beside, path).map_err(|error| io("write", error)));
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written
}
