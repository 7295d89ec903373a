//! What a docker archive's documents say: the parts of its images, by their paths in the archive.

use serde::de::DeserializeOwned;

use crate::error::{Error, Result};
use crate::layout::archive::Archive;
use crate::layout::reader::read_document;
use crate::oci::Document;

/// An image and where its parts are.
pub(super) struct Parts {
    /// Its names, `REPOSITORY:TAG`.
    pub(super) names: Vec<String>,
    pub(super) config: Source,
    /// The layers' paths, base first.
    pub(super) layers: Vec<String>,
}

/// Where the bytes of a file are.
#[derive(Debug)]
pub(super) enum Source {
    /// In a member of the archive.
    Member(String),
    /// Here: they are in no archive.
    Made(Vec<u8>),
}

/// The name of the file that a path in a document means.
pub(super) fn member(archive: &Archive, path: &str) -> Result<String> {
    match archive.resolve(path) {
        Ok(Some(name)) => Ok(name),
        Ok(None) => Err(Error::malformed(archive.name(), format!("`{}` is missing", path.escape_debug()))),
        Err(reason) => Err(Error::malformed(format!("{}: `{}`", archive.name(), path.escape_debug()), reason)),
    }
}

/// The bytes of a document.
pub(super) fn read(archive: &Archive, name: &str) -> Result<Vec<u8>> {
    let (reader, size) = archive.file(name)?.expect("the name was resolved to a file");
    read_document(reader, size, &format!("{}: `{name}`", archive.name()), archive.path())
}

/// What a document says, if it is there.
pub(super) fn document<T: DeserializeOwned>(archive: &Archive, path: &str) -> Result<Option<T>> {
    if archive.stretch(path).is_none() {
        return Ok(None);
    }
    let subject = format!("{}: `{path}`", archive.name());
    Document::parse(read(archive, path)?, &subject).map(|document| Some(document.into_value()))
}
