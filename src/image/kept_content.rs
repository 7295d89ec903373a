//! Keeps the contents of files read from a tar, to be read again in any order.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use crate::error::{Error, IoContext, Result};
use crate::layer::ByMember;
use crate::layer::Origin;
use crate::tree::{Content, Entry, TarPath};

/// A file with contents.
#[derive(Debug)]
pub(crate) struct KeptFile {
    pub(crate) file: File,
    /// Their source, as the user named it.
    pub(crate) source: PathBuf,
}

/// Contents stored in files, by path.
#[derive(Debug, Default)]
pub(crate) struct KeptContent {
    files: Vec<KeptFile>,
    /// For each path, which file and the offset in it.
    places: BTreeMap<TarPath, (usize, u64)>,
}

impl KeptContent {
    /// Adds the contents of one layer: `offsets` holds where its members begin in the file, `origins` which members are
    /// in the tree.
    pub(crate) fn add(
        &mut self,
        file: KeptFile,
        offsets: &ByMember<u64>,
        origins: &BTreeMap<TarPath, Origin>,
        layer: usize,
    ) {
        let number = self.files.len();
        self.files.push(file);
        for (path, origin) in origins.iter().filter(|(_, origin)| origin.layer == layer) {
            if let Some(offset) = offsets.get(origin.member) {
                self.places.insert(path.clone(), (number, *offset));
            }
        }
    }
}

impl Content for KeptContent {
    fn open<'a>(&'a self, entry: &Entry) -> Result<Box<dyn Read + 'a>> {
        let Some((number, offset)) = self.places.get(&entry.path) else {
            return Err(Error::malformed(entry.path.to_string(), "its content was not kept"));
        };
        Ok(Box::new(FileRange { file: &self.files[*number], position: *offset, left: entry.size() }))
    }
}

/// A range of a file, read without moving the file's position, so that several can be read at the same time.
struct FileRange<'a> {
    file: &'a KeptFile,
    position: u64,
    left: u64,
}

impl Read for FileRange<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let read = match self.file.file.read_at(&mut buffer[..length], self.position) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            read => read.at("read the content of", &self.file.source)?,
        };
        self.position += read as u64;
        self.left -= read as u64;
        Ok(read)
    }
}
