//! Packs files into a reproducible tar: owners are 0, times are the epoch, and parent directories come before their
//! files.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use crate::compress::{Codec, Encoder, InputDigest};
use crate::digest::Digest;
use crate::error::{IoContext, Result};
use crate::tar;
use crate::tree::{Entry, Kind, Metadata, TarPath};

/// A file to be packed.
#[derive(Debug)]
pub(super) struct Packed {
    /// Its path in the tar.
    pub(super) name: String,
    pub(super) content: FileContent,
}

/// The content of a file.
#[derive(Debug)]
pub(super) enum FileContent {
    Bytes(Vec<u8>),
    /// The content of an open file from its start, and the name of that file in errors.
    File(File, PathBuf),
    /// A symbolic link with this target.
    Symlink(String),
}

impl FileContent {
    /// What the staged file at `path` holds, which errors call by its target's name.
    pub(super) fn open(path: &Path, target: &Path) -> Result<Self> {
        Ok(FileContent::File(File::open(path).at("open what is staged for", target)?, target.to_path_buf()))
    }
}

/// Writes files in the given order. Returns the digest of the tar as stored. `place` names the tar in errors.
pub(super) fn write(
    files: impl IntoIterator<Item = Result<Packed>>,
    output: impl Write + Send + 'static,
    place: &Path,
    codec: Codec,
    threads: NonZeroUsize,
) -> Result<Digest> {
    let encoder = Encoder::new(output, codec, threads, InputDigest::Skip).at("write", place)?;
    let mut writer = tar::Writer::new(tar::Plain(encoder));
    let mut directories = BTreeSet::from([TarPath::root()]);
    for file in files {
        let Packed { name, content } = file?;
        let path = TarPath::parse(name.as_bytes())?;
        for missing in missing_directories(&path, &directories) {
            writer.append(&entry(missing.clone(), 0o755, Kind::Directory), &mut io::empty())?;
            directories.insert(missing);
        }
        match content {
            FileContent::Bytes(bytes) => {
                let kind = Kind::File { size: bytes.len() as u64 };
                writer.append(&entry(path, 0o644, kind), &mut bytes.as_slice())?;
            }
            FileContent::File(mut file, place) => {
                let size = file.metadata().at("read the metadata of", &place)?.len();
                let mut content = ReadFrom { file: &mut file, place: &place };
                writer.append(&entry(path, 0o644, Kind::File { size }), &mut content)?;
            }
            FileContent::Symlink(target) => {
                let kind = Kind::Symlink { target: target.into_bytes().into() };
                writer.append(&entry(path, 0o777, kind), &mut io::empty())?;
            }
        }
    }
    let finished = writer.finish().and_then(|output| output.0.finish());
    finished.map(|(_, encoded)| encoded.output).at("write", place)
}

/// A file whose errors name what it is read from rather than where it goes.
struct ReadFrom<'a> {
    file: &'a mut File,
    place: &'a Path,
}

impl Read for ReadFrom<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.file.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            read => Ok(read.at("read back what is staged for", self.place)?),
        }
    }
}

fn entry(path: TarPath, mode: u16, kind: Kind) -> Entry {
    Entry { path, metadata: Metadata { mode, ..Metadata::default() }, kind }
}

/// The parents of `path` that are not in `present`, outermost first.
fn missing_directories(path: &TarPath, present: &BTreeSet<TarPath>) -> Vec<TarPath> {
    let mut missing: Vec<_> =
        std::iter::successors(path.parent(), TarPath::parent).take_while(|parent| !present.contains(parent)).collect();
    missing.reverse();
    missing
}
