//! What verbs print on stdout.

use std::ffi::OsStr;
use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, stderr, stdout, BufWriter, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::Result;
use ocibake::error::STDOUT;
use ocibake::layout::{about_directory, refuse_location_as_path, write_file, Location};
use ocibake::Error;
use serde::Serialize;

use super::{about_stdout, stdout_trouble};

/// Prints a report: as JSON for programs, or as text, which has its own line ends.
pub(super) fn print(json: bool, report: &impl Serialize, text: impl FnOnce() -> String) -> Result<()> {
    unless_closed(write_to(&mut stdout().lock(), json, report, text))
}

/// Ignores a closed stdout, so that the exit code is right: a difference is one even if its description is not read to
/// the end.
fn unless_closed(printed: Result<()>) -> Result<()> {
    match printed {
        Err(error) if stdout_trouble(&error) == Some(io::ErrorKind::BrokenPipe) => Ok(()),
        printed => printed,
    }
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
    let written: Vec<String> = targets.iter().map(|target| format!("`{target}`")).collect();
    let is = if targets.len() == 1 { "is" } else { "are" };
    print_done(&format!("{} {is} written", written.join(" and ")), json, report, text)
}

/// Prints a report on what was done. If stdout cannot be written, the error contains the text.
pub(super) fn print_done(done: &str, json: bool, report: &impl Serialize, text: impl FnOnce() -> String) -> Result<()> {
    let text = text();
    // What stdout still holds back may fail too.
    let printed =
        print(json, report, || text.clone()).and_then(|()| unless_closed(stdout().flush().map_err(Into::into)));
    printed.map_err(|error| {
        if stdout_trouble(&error).is_none() {
            return error;
        }
        let told: Vec<&str> = text.lines().collect();
        let told = if told.is_empty() { String::new() } else { format!(": {}", told.join(", ")) };
        Error::refused(format!("{}, but {done}{told}", about_stdout(error))).into()
    })
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

/// As many as the kernel follows.
const MOST_LINKS: usize = 40;

/// What a name given to `-o` means.
enum Sink {
    /// `-`, or a path that means the stdout of this process.
    Stdout,
    /// A device, a pipe or an open stream of a process, which is written to directly.
    Stream(File),
    /// A file that appears when it is complete, whether it is there or not.
    File(PathBuf),
}

/// Writes a file that gets its name only when it is complete. Where a link stands, the file that it leads to is
/// written; a device, a pipe or an open stream takes what is written as it comes.
pub(super) fn write_whole(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<()> {
    match sink(path)? {
        // A bare error is one about stdout.
        Sink::Stdout => unless_closed(
            write(&mut stdout().lock())
                .map_err(|error| Error::carried_by(error).map_or_else(anyhow::Error::from, anyhow::Error::from)),
        ),
        Sink::Stream(mut file) => Ok(fill(&mut file, path, write)?),
        Sink::File(end) => Ok(write_file(&end, path, |file| fill(file, path, write))?),
    }
}

fn fill(file: &mut File, path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Error> {
    let mut out = BufWriter::new(file);
    // Dropped, it would keep an error of its last bytes to itself.
    write(&mut out).and_then(|()| out.flush()).map_err(|error| {
        Error::carried_by(error).unwrap_or_else(|cause| Error::Io { action: "write", path: path.to_path_buf(), cause })
    })
}

/// Follows links to what is written in the end.
fn sink(path: &Path) -> Result<Sink, Error> {
    let io = |action, cause| Error::Io { action, path: path.to_path_buf(), cause };
    if is_stdout(path) {
        return Ok(Sink::Stdout);
    }
    refuse_location_as_path("a file", path)?;
    if is_stream(path) {
        // If the stream is a file, others may have written to it: append.
        return File::options().append(true).open(path).map(Sink::Stream).map_err(|error| io("open", error));
    }
    let mut end = path.to_path_buf();
    for _ in 0..MOST_LINKS {
        match fs::read_link(&end) {
            Ok(target) => end = end.parent().unwrap_or(Path::new("")).join(target),
            // What is no link, or not there.
            Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::NotFound) => {
                return Ok(Sink::File(end))
            }
            // Its directory cannot be searched, so it is unknown whether it is a link.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Err(about_directory(&end, error)),
            Err(error) => return Err(io("follow the link", error)),
        }
    }
    Err(io("follow the link", io::Error::other("it leads to itself")))
}

/// The open stream of a process that a path leads to, such as `/proc/self/fd/1` for `/dev/stdout`. The links there are
/// no names: the kernel opens what the process has open, whatever its name is now.
fn open_stream(path: &Path) -> Option<PathBuf> {
    let of_processes = fs::metadata("/proc").ok()?.dev();
    let mut path = path.to_path_buf();
    for _ in 0..MOST_LINKS {
        let target = fs::read_link(&path).ok()?;
        let is_number = |name: &OsStr| name.as_bytes().iter().all(u8::is_ascii_digit);
        if path.file_name().is_some_and(is_number) && fs::symlink_metadata(&path).ok()?.dev() == of_processes {
            return Some(path);
        }
        path = path.parent().unwrap_or(Path::new("")).join(target);
    }
    None
}

/// Whether it is `-`, or a name of this process's stdout.
pub(super) fn is_stdout(path: &Path) -> bool {
    let of_process = PathBuf::from(format!("/proc/{}/fd/1", std::process::id()));
    let is_own = |stream: PathBuf| {
        stream == of_process
            || ["/dev/fd/1", "/proc/self/fd/1", "/proc/thread-self/fd/1"].iter().any(|own| stream == Path::new(own))
    };
    path == Path::new(STDOUT) || open_stream(path).is_some_and(is_own)
}

/// Refuses a file that could not be written, before the work for it begins. In a directory, it could have this name.
pub(super) fn check_place(path: &Path, name: &OsStr) -> Result<(), Error> {
    refuse_location_as_path("a file", path)?;
    let refused = |cause| Err(Error::Io { action: "create", path: path.to_path_buf(), cause });
    match path.parent().filter(|parent| !parent.as_os_str().is_empty()).map(fs::metadata) {
        Some(Err(cause)) => refused(cause),
        Some(Ok(parent)) if !parent.is_dir() => refused(io::Error::other("what it would be in is no directory")),
        _ if path.is_dir() => Err(Error::refused_with_hint(
            format!("cannot create `{}`: it is a directory", path.display()),
            format!("name a file in it: `{}`", path.join(name).display()),
        )),
        _ => Ok(()),
    }
}

/// Whether there is something that takes what is written as it comes: a device, a pipe, an open stream of a process.
pub(super) fn is_stream(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| !found.is_dir() && (!found.is_file() || open_stream(path).is_some()))
}
