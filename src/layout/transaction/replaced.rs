//! What a target would replace: only an image archive may go, for nothing brings another file back.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::compress::Decoder;
use crate::error::{Error, Result};
use crate::layout::transaction::staging::STAGING_PREFIX;
use crate::layout::{Location, BLOBS, DOCKER_MANIFEST, INDEX, MARKER};
use crate::limits::Limits;
use crate::tar;

/// How many members are looked at. Each known writer begins with one that tells.
const MEMBERS: usize = 32;
/// How much of the tar is read for them.
const START: u64 = 4 << 20;

/// Refuses to replace a file that is no image archive and not empty. A damaged image archive may go.
pub(super) fn refuse_other_file(target: &Location, limits: Limits) -> Result<()> {
    if !is_other_file(&target.path, limits) {
        return Ok(());
    }
    Err(Error::refused_with_hint(
        format!("target `{target}`: an image archive or a new file is wanted, found another file"),
        "it would be lost: remove it first, or choose another name",
    ))
}

/// Whether something is at a path that is neither an image nor empty, such as a root filesystem.
pub fn holds_no_image(path: &Path) -> bool {
    match path.metadata() {
        Ok(found) if found.is_dir() => !path.join(INDEX).is_file() && !holds_only_remains(path),
        Ok(found) => found.is_file() && is_other_file(path, Limits::default()),
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

/// A file that cannot be read is taken for another one.
fn is_other_file(path: &Path, limits: Limits) -> bool {
    let is_empty = path.metadata().is_ok_and(|found| found.len() == 0);
    !is_empty && !File::open(path).is_ok_and(|file| begins_as_image(file, limits))
}

/// Whether one of the first members of an archive is that of an image.
fn begins_as_image(file: File, limits: Limits) -> bool {
    let Ok(decoder) = Decoder::new(file, limits) else { return false };
    let mut reader = tar::Reader::new(decoder.take(START), "the target", limits);
    for _ in 0..MEMBERS {
        let Ok(Some(member)) = reader.next_member() else { return false };
        let Ok(entry) = member.entry else { return false };
        if is_of_image(&String::from_utf8_lossy(entry.path.as_bytes())) {
            return true;
        }
    }
    false
}

/// Whether a layout or a docker archive has a member of this name. Docker and others begin with a directory, a layer or a
/// config that is called after a digest.
fn is_of_image(name: &str) -> bool {
    let first = name.split('/').next().unwrap_or_default();
    let digest = first.strip_prefix("sha256:").unwrap_or(first).split('.').next().unwrap_or_default();
    let is_digest = digest.len() == 64 && digest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    first == BLOBS || is_digest || [MARKER, INDEX, DOCKER_MANIFEST].contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_that_tell_an_image() {
        let digest = "8c3d".repeat(16);
        for name in ["oci-layout", "index.json", "manifest.json", "blobs", "blobs/sha256/x"] {
            assert!(is_of_image(name), "{name}");
        }
        for name in ["{}/VERSION", "{}", "{}.tar", "{}.json", "sha256:{}", "{}.tar.gz"] {
            assert!(is_of_image(&name.replace("{}", &digest)), "{name}");
        }
        for name in ["", "etc", "etc/index.json", "usr/blobs", "8c3d", "manifest.json.bak"] {
            assert!(!is_of_image(name), "{name}");
        }
    }
}
