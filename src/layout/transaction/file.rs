//! A plain file that appears when it is complete.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use crate::error::{Error, IoContext, Result};
use crate::layout::transaction::staging::{is_refused, show, Staging};

/// Writes a file that gets its name only when it is complete. What a killed run left beside it is cleared. Errors name
/// it as `shown`, the name by which it was asked for.
pub fn write_file(path: &Path, shown: &Path, write: impl FnOnce(&mut File) -> Result<()>) -> Result<()> {
    let staging = Staging::beside(path).map_err(|error| match error {
        Error::Io { cause, .. } if is_refused(&cause) => about_directory(path, cause),
        Error::Io { cause, .. } => Error::Io { action: "create", path: shown.to_path_buf(), cause },
        error => error,
    })?;
    let staged = staging.path().join("file");
    let mut file = File::create(&staged).at("create", shown)?;
    write(&mut file)?;
    let _leave = show()?;
    fs::rename(&staged, path).at("write", shown)
}

/// The error that the directory of a file takes no new name.
pub fn about_directory(file: &Path, cause: io::Error) -> Error {
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Error::Io { action: "write in the directory", path: directory.to_path_buf(), cause }
}
