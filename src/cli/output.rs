//! What verbs print on stdout.

use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, stderr, stdout, BufWriter, Write};
use std::path::{Path, PathBuf};

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

/// Writes a file that gets its name only when it is complete. Where a link stands, the file that it leads to is written; a
/// device or a pipe takes what is written as it comes.
pub(super) fn write_whole(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Error> {
    let io = |action, cause| Error::Io { action, path: path.to_path_buf(), cause };
    let filled = |to: File| {
        let mut out = BufWriter::new(to);
        // Dropped, it would keep an error of its last bytes to itself.
        let written = write(&mut out).and_then(|()| out.flush());
        written.map_err(|error| Error::carried_by(error).unwrap_or_else(|error| io("write", error)))
    };
    if is_stream(path) {
        return filled(File::options().write(true).open(path).map_err(|error| io("open", error))?);
    }
    let path = end_of_links(path).map_err(|error| io("follow the link", error))?;
    let mut beside = path.as_os_str().to_os_string();
    beside.push(format!(".ocibake-{}", std::process::id()));
    let file = File::options().write(true).create_new(true).open(&beside).map_err(|error| io("create", error))?;
    let written = filled(file).and_then(|()| fs::rename(&beside, &path).map_err(|error| io("write", error)));
    if written.is_err() {
        let _ = fs::remove_file(&beside);
    }
    written
}

/// What a link leads to in the end, whether it is there or not.
fn end_of_links(path: &Path) -> io::Result<PathBuf> {
    // As many as the kernel follows.
    const MOST: usize = 40;
    let mut path = path.to_path_buf();
    for _ in 0..MOST {
        match fs::read_link(&path) {
            Ok(target) => path = path.parent().unwrap_or(Path::new("")).join(target),
            // What is no link, or not there.
            Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::NotFound) => {
                return Ok(path)
            }
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("it leads to itself"))
}

/// Refuses a file that could not be written, before the work for it begins.
pub(super) fn check_place(path: &Path) -> Result<(), Error> {
    let refused = |cause| Err(Error::Io { action: "create", path: path.to_path_buf(), cause });
    match path.parent().filter(|parent| !parent.as_os_str().is_empty()).map(fs::metadata) {
        Some(Err(cause)) => refused(cause),
        Some(Ok(parent)) if !parent.is_dir() => refused(io::Error::other("what it would be in is no directory")),
        _ if path.is_dir() => refused(io::Error::other("it is a directory")),
        _ => Ok(()),
    }
}

/// Whether there is something that is no file and can be written: a device, a pipe.
pub(super) fn is_stream(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir())
}
