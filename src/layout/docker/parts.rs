//! The parts of the images in a docker archive, by their paths in it.

use serde::de::DeserializeOwned;

use crate::error::{Error, Result};
use crate::layout::archive::Archive;
use crate::layout::reader::read_document;
use crate::oci::Document;

/// An image and the paths of its parts.
pub(super) struct Parts {
    /// Its names, `REPOSITORY:TAG`.
    pub(super) names: Vec<String>,
    pub(super) config: FileSource,
    /// The paths of the layers, base first.
    pub(super) layers: Vec<String>,
}

/// Where the bytes of a file come from.
#[derive(Debug)]
pub(super) enum FileSource {
    /// In a member of the archive.
    Member(String),
    /// Made in memory; not in the archive.
    Made(Vec<u8>),
}

/// The name of the member that a path in a document leads to.
pub(super) fn member(archive: &Archive, path: &str) -> Result<String> {
    match archive.resolve(path) {
        Ok(Some(name)) => Ok(name),
        Ok(None) => Err(archive.lacks(path)),
        Err(reason) => Err(Error::malformed(format!("{}: `{}`", archive.name(), path.escape_debug()), reason)),
    }
}

/// Reads the bytes of a document.
pub(super) fn read(archive: &Archive, name: &str) -> Result<Vec<u8>> {
    let Some((reader, size)) = archive.file(name)? else { return Err(archive.lacks(name)) };
    let subject = format!("{}: `{name}`", archive.name());
    read_document(archive.limits().document, reader, size, &subject, archive.path())
}

/// Reads a document. Returns `None` if it is missing.
pub(super) fn document<T: DeserializeOwned>(archive: &Archive, path: &str) -> Result<Option<T>> {
    if archive.stretch(path).is_none() {
        return Ok(None);
    }
    let subject = format!("{}: `{path}`", archive.name());
    Document::parse(read(archive, path)?, &subject).map(|document| Some(document.into_value()))
}
