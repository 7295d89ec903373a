//! Files that flags name.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use ocibake::layout::refuse_location_as_path;
use ocibake::Error;

/// Reads the file that a flag names, and parses it: the parser gets the name for its errors. Errors about reading name
/// the flag too.
pub(super) fn read<T>(flag: &str, path: &Path, parse: impl FnOnce(&str, &[u8]) -> Result<T, Error>) -> Result<T> {
    refuse_location_as_path("a file", path).with_context(|| flag.to_owned())?;
    let cannot_read = |cause| Error::Io { action: "read", path: path.to_path_buf(), cause };
    let bytes = fs::read(path).map_err(cannot_read).with_context(|| flag.to_owned())?;
    Ok(parse(&path.display().to_string(), &bytes)?)
}
