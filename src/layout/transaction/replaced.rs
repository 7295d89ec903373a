//! What a target would replace: only an image archive may go, for nothing brings another file back.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::compress::Decoder;
use crate::error::{Error, IoContext, Result};
use crate::layout::transaction::staging::STAGING_PREFIX;
use crate::layout::{Layout, Location, Transport, BLOBS, INDEX, MARKER};
use crate::limits::Limits;
use crate::tar;

/// How many members are looked at for the marker of a layout, which is the first in archives of ours.
const MEMBERS: usize = 8;
/// How much of the tar is read for them.
const START: u64 = 64 << 10;

/// Refuses to replace a file that is no image archive and not empty. An archive of a layout may be cut off.
pub(super) fn refuse_other_file(target: &Location, limits: Limits) -> Result<()> {
    let file = File::open(&target.path).at("open", &target.path)?;
    if !is_other_file(file, &target.path, limits) {
        return Ok(());
    }
    let found = if is_cut(&target.path, limits) { "a compressed file that is cut short" } else { "another file" };
    Err(Error::refused_with_hint(
        format!("target `{target}`: an image archive or a new file is wanted, found {found}"),
        "it would be lost: remove it first, or choose another name",
    ))
}

/// Whether something is at a path that is neither an image nor empty, such as a root filesystem.
pub fn holds_no_image(path: &Path) -> bool {
    match path.metadata() {
        Ok(found) if found.is_dir() => !path.join(INDEX).is_file() && !holds_only_remains(path),
        Ok(found) => {
            let is_other = |file| is_other_file(file, path, Limits::default());
            found.is_file() && File::open(path).is_ok_and(is_other)
        }
        Err(_) => false,
    }
}

/// Whether a directory has nothing but what a killed run leaves, which would have written the index last.
pub(super) fn holds_only_remains(directory: &Path) -> bool {
    let is_ours = |name: &[u8]| {
        name == BLOBS.as_bytes() || name == MARKER.as_bytes() || name.starts_with(STAGING_PREFIX.as_bytes())
    };
    let Ok(entries) = fs::read_dir(directory) else { return true };
    entries.flatten().all(|entry| is_ours(entry.file_name().as_bytes()))
}

fn is_other_file(file: File, path: &Path, limits: Limits) -> bool {
    let is_empty = file.metadata().is_ok_and(|found| found.len() == 0);
    !is_empty && !begins_with_marker(file, limits) && !can_be_read(path, limits)
}

/// Whether it is compressed and ends before anything tells what is in it.
fn is_cut(path: &Path, limits: Limits) -> bool {
    let Ok(decoder) = File::open(path).and_then(|file| Decoder::new(file, limits)) else { return false };
    let mut block = Vec::new();
    matches!(decoder.take(512).read_to_end(&mut block), Err(error) if error.kind() == ErrorKind::UnexpectedEof)
}

/// Whether one of the first members is the marker of a layout: then the rest need not be read, nor be whole.
fn begins_with_marker(file: File, limits: Limits) -> bool {
    let Ok(decoder) = Decoder::new(file, limits) else { return false };
    let mut reader = tar::Reader::new(decoder.take(START), "the target", limits);
    for _ in 0..MEMBERS {
        let Ok(Some(member)) = reader.next_member() else { return false };
        if member.entry.is_ok_and(|entry| entry.path.as_bytes() == MARKER.as_bytes()) {
            return true;
        }
    }
    false
}

/// Whether the archive is read as a layout or as a docker archive.
fn can_be_read(path: &Path, limits: Limits) -> bool {
    let path = path.to_path_buf();
    let location = Location { transport: Transport::Archive, path, name: None, digest: None, bare: false };
    Layout::open_as_it_is(&location, limits).and_then(|layout| layout.index().map(drop)).is_ok()
}
