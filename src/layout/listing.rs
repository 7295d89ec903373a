//! The files of a layout directory.

use std::fs;
use std::io;
use std::path::Path;

use crate::error::{IoContext, Result};
use crate::layout::BLOBS;

/// A file of a layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredFile {
    /// Its path in the layout, such as `blobs/sha256/…`, with bytes that are not UTF-8 replaced.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
}

/// All files below a layout directory.
pub(super) fn list_files(root: &Path) -> Result<Vec<StoredFile>> {
    list_below(root, "", |_| false)
}

/// The files below the directory of blobs, and links to files.
pub(super) fn list_blobs(root: &Path) -> Result<Vec<StoredFile>> {
    let leads_to_file = |link: &Path| link.metadata().is_ok_and(|metadata| metadata.is_file());
    list_below(&root.join(BLOBS), &format!("{BLOBS}/"), leads_to_file)
}

/// The files below a directory, and the symbolic links that count as files. `prefix` is put before the names.
fn list_below(directory: &Path, prefix: &str, link_counts: impl Fn(&Path) -> bool) -> Result<Vec<StoredFile>> {
    let mut files = Vec::new();
    let mut directories = vec![(directory.to_path_buf(), prefix.to_owned())];
    while let Some((directory, prefix)) = directories.pop() {
        // What others stage or remove may be gone before it is looked at.
        let is_gone = |error: &io::Error| error.kind() == io::ErrorKind::NotFound;
        let listing = match fs::read_dir(&directory) {
            Err(error) if is_gone(&error) && !prefix.is_empty() => continue,
            listing => listing.at("list", &directory)?,
        };
        for entry in listing {
            let entry = entry.at("list", &directory)?;
            let metadata = match entry.metadata() {
                Err(error) if is_gone(&error) => continue,
                metadata => metadata.at("read the metadata of", &entry.path())?,
            };
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if metadata.is_dir() {
                directories.push((entry.path(), format!("{name}/")));
            } else if metadata.is_file() || (metadata.is_symlink() && link_counts(&entry.path())) {
                files.push(StoredFile { name, size: metadata.len() });
            }
        }
    }
    Ok(files)
}
