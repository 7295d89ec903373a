//! The checksum file of an archive: its SHA-256 in the format of `sha256sum`.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::layout::Location;

/// Whether an archive gets a checksum file, `FILE.sha256`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checksum {
    /// None is written; an existing one stays as it is.
    #[default]
    None,
    /// A file in the format of `sha256sum` is written.
    Sha256,
}

/// Returns the path of the checksum file; an error if something other than a file is there.
pub(super) fn place(target: &Location) -> Result<PathBuf> {
    let path = beside(&target.path);
    match path.symlink_metadata() {
        Ok(found) if !found.is_file() => {
            let path = path.display();
            Err(Error::refused(format!(
                "target `{target}`: a file is wanted for its checksum at `{path}`, found another"
            )))
        }
        _ => Ok(path),
    }
}

fn beside(archive: &Path) -> PathBuf {
    let mut path = archive.as_os_str().to_owned();
    path.push(".sha256");
    path.into()
}

/// The line that `sha256sum` prints and checks: if the name holds a line break or a backslash, it is escaped and a
/// backslash comes first.
pub(super) fn line(digest: &Digest, archive: &Path) -> Vec<u8> {
    let name = archive.file_name().unwrap_or(OsStr::new("")).as_bytes();
    let mut escaped = Vec::with_capacity(name.len());
    for byte in name {
        match byte {
            b'\\' => escaped.extend(br"\\"),
            b'\n' => escaped.extend(br"\n"),
            b'\r' => escaped.extend(br"\r"),
            other => escaped.push(*other),
        }
    }
    let mark: &[u8] = if escaped == name { b"" } else { b"\\" };
    [mark, digest.encoded().as_bytes(), b"  ", &escaped, b"\n"].concat()
}
