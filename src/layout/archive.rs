//! A layout in a tar, written with the same bytes every time and read without being extracted.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use crate::compress::{self, Codec, Encoder, Format, InputDigest};
use crate::digest::Digest;
use crate::error::{Error, IoContext, Result};
use crate::layout::{blob_path, Stored, INDEX, MARKER};
use crate::tar;
use crate::tree::{Entry, Kind, Metadata, TarPath};

/// Writes the layout in `directory` as a tar: marker and index first, so that a reader of a stream meets them first,
/// then the blobs in the order of their digests. Owners are 0, times the epoch.
pub(super) fn write(
    directory: &Path,
    blobs: &BTreeMap<Digest, u64>,
    output: File,
    codec: Codec,
    threads: NonZeroUsize,
) -> Result<()> {
    let encoder = Encoder::new(output, codec, threads, InputDigest::Skip);
    let mut writer = tar::Writer::new(tar::Plain(encoder));
    let mut files = vec![MARKER.to_owned(), INDEX.to_owned()];
    files.extend(blobs.keys().map(blob_path));
    let mut directories = vec![TarPath::root()];
    for name in files {
        let path = TarPath::parse(name.as_bytes())?;
        for missing in missing_directories(&path, &directories) {
            writer.append(&entry(missing.clone(), 0o755, Kind::Directory), &mut io::empty())?;
            directories.push(missing);
        }
        let disk_path = directory.join(&name);
        let mut file = File::open(&disk_path).at("open", &disk_path)?;
        let size = file.metadata().at("read the metadata of", &disk_path)?.len();
        writer.append(&entry(path, 0o644, Kind::File { size }), &mut file)?;
    }
    let finished = writer.finish().and_then(|output| output.0.finish());
    finished.map(|_| ()).at("write the archive in", directory)
}

fn entry(path: TarPath, mode: u16, kind: Kind) -> Entry {
    Entry { path, metadata: Metadata { mode, ..Metadata::default() }, kind }
}

/// The directories that lead to `path` and are not among `present`, outermost first.
fn missing_directories(path: &TarPath, present: &[TarPath]) -> Vec<TarPath> {
    let mut missing: Vec<_> =
        std::iter::successors(path.parent(), TarPath::parent).take_while(|parent| !present.contains(parent)).collect();
    missing.reverse();
    missing
}

/// An archive and where in it the files stand.
#[derive(Debug)]
pub(super) struct Archive {
    path: PathBuf,
    format: Format,
    members: BTreeMap<String, Member>,
}

#[derive(Debug)]
struct Member {
    /// Where the content begins, in bytes of the uncompressed tar.
    offset: u64,
    size: u64,
    /// The content of a small file of a compressed archive, which would cost another pass over the stream.
    content: Option<Vec<u8>>,
}

/// Files up to this size are kept from the first pass over a compressed archive: documents, in practice …
const KEPT_SIZE: u64 = 1 << 20;
/// … and this much of them at most.
const KEPT_TOTAL: u64 = 16 << 20;

impl Archive {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let mut file = File::open(path).at("open", path)?;
        let mut magic = Vec::new();
        file.by_ref().take(MAGIC as u64).read_to_end(&mut magic).at("read", path)?;
        file.rewind().at("read", path)?;
        let format = compress::sniff(&magic);
        let mut archive = Archive { path: path.to_path_buf(), format, members: BTreeMap::new() };
        let indexed = match format {
            Format::Plain => archive.index_by_seeking(&mut file),
            _ => archive.index_by_reading(file),
        };
        indexed.map_err(|error| Error::malformed(format!("archive `{}`", path.display()), error.to_string()))?;
        Ok(archive)
    }

    /// Jumps from header to header.
    fn index_by_seeking(&mut self, file: &mut File) -> Result<()> {
        let mut at = 0;
        loop {
            file.seek(SeekFrom::Start(at)).at("read", &self.path)?;
            let mut reader = tar::Reader::new(&mut *file);
            let Some(member) = reader.next()? else { return Ok(()) };
            let (offset, size) = (at + reader.position(), member.entry.size());
            if let Kind::File { .. } = member.entry.kind {
                self.members.insert(name_of(&member.entry.path), Member { offset, size, content: None });
            }
            at = (offset + size).next_multiple_of(512);
        }
    }

    fn index_by_reading(&mut self, file: File) -> Result<()> {
        let mut reader = tar::Reader::new(compress::decode(file)?);
        let mut kept = 0;
        while let Some(member) = reader.next()? {
            let (offset, size) = (reader.position(), member.entry.size());
            if !matches!(member.entry.kind, Kind::File { .. }) {
                continue;
            }
            let mut content = None;
            if size <= KEPT_SIZE && kept + size <= KEPT_TOTAL {
                let mut bytes = Vec::with_capacity(size as usize);
                reader.read_to_end(&mut bytes).at("read", &self.path)?;
                kept += size;
                content = Some(bytes);
            }
            self.members.insert(name_of(&member.entry.path), Member { offset, size, content });
        }
        Ok(())
    }

    pub(super) fn files(&self) -> Vec<Stored> {
        self.members.iter().map(|(name, member)| Stored { name: name.clone(), size: member.size }).collect()
    }

    /// Opens a file of the archive. In a compressed one all before it is decompressed again: nothing is ever extracted.
    pub(super) fn file(&self, name: &str) -> Result<Option<(Box<dyn Read + '_>, u64)>> {
        let Some(member) = self.members.get(name) else { return Ok(None) };
        if let Some(content) = &member.content {
            return Ok(Some((Box::new(content.as_slice()), member.size)));
        }
        let mut file = File::open(&self.path).at("open", &self.path)?;
        let reader: Box<dyn Read> = if self.format == Format::Plain {
            file.seek(SeekFrom::Start(member.offset)).at("read", &self.path)?;
            Box::new(file)
        } else {
            let mut stream = compress::decode(file)?;
            io::copy(&mut stream.by_ref().take(member.offset), &mut io::sink()).at("read", &self.path)?;
            Box::new(stream)
        };
        Ok(Some((Box::new(reader.take(member.size)), member.size)))
    }
}

/// Names in a layout are ASCII; others can only be listed.
fn name_of(path: &TarPath) -> String {
    String::from_utf8_lossy(path.as_bytes()).into_owned()
}
