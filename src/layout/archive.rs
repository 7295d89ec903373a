//! A layout in a tar, written with the same bytes every time and read without being extracted.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use crate::compress::{Codec, Decoder, Encoder, Format, InputDigest};
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
    let encoder = Encoder::new(output, codec, threads, InputDigest::Skip).at("write the archive in", directory)?;
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
    /// Finds the files of an archive. What is not compressed is jumped through from header to header; a compressed
    /// stream is read once.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let mut file = File::open(path).at("open", path)?;
        let mut start = Vec::new();
        file.by_ref().take(Format::MAGIC_SIZE as u64).read_to_end(&mut start).at("read", path)?;
        file.rewind().at("read", path)?;
        let format = Format::sniff(&start);
        let mut archive = Archive { path: path.to_path_buf(), format, members: BTreeMap::new() };
        match format {
            Format::Plain => archive.index_by_seeking(&mut file)?,
            _ => archive.index_by_reading(file)?,
        }
        Ok(archive)
    }

    fn index_by_seeking(&mut self, file: &mut File) -> Result<()> {
        let mut start = 0;
        loop {
            file.seek(SeekFrom::Start(start)).at("read", &self.path)?;
            let mut reader = tar::Reader::new(&mut *file, self.name());
            let Some(member) = reader.next_member()? else { return Ok(()) };
            let entry = member.entry?;
            let offset = start + member.content_offset;
            start = (offset + entry.size()).next_multiple_of(tar::BLOCK as u64);
            if let Kind::File { size } = entry.kind {
                refuse_sparse(&entry.path, &member.anomalies)?;
                self.members.insert(name_of(&entry.path), Member { offset, size, content: None });
            }
        }
    }

    fn index_by_reading(&mut self, file: File) -> Result<()> {
        let decoder = Decoder::new(file).at("read", &self.path)?;
        let mut reader = tar::Reader::new(decoder, self.name());
        let mut kept = 0;
        while let Some(member) = reader.next_member()? {
            let entry = member.entry?;
            let Kind::File { size } = entry.kind else { continue };
            refuse_sparse(&entry.path, &member.anomalies)?;
            let mut content = None;
            if size <= KEPT_SIZE && kept + size <= KEPT_TOTAL {
                let mut bytes = Vec::with_capacity(size as usize);
                reader.read_to_end(&mut bytes).at("read", &self.path)?;
                kept += size;
                content = Some(bytes);
            }
            self.members.insert(name_of(&entry.path), Member { offset: member.content_offset, size, content });
        }
        Ok(())
    }

    fn name(&self) -> String {
        format!("archive `{}`", self.path.display())
    }

    pub(super) fn files(&self) -> Vec<Stored> {
        self.members.iter().map(|(name, member)| Stored { name: name.clone(), size: member.size }).collect()
    }

    /// Opens a file of the archive. In a compressed one all before it is decompressed again: nothing is ever extracted.
    pub(super) fn file(&self, name: &str) -> Result<Option<(Box<dyn Read + Send + '_>, u64)>> {
        let Some(member) = self.members.get(name) else { return Ok(None) };
        if let Some(content) = &member.content {
            return Ok(Some((Box::new(content.as_slice()), member.size)));
        }
        let mut file = File::open(&self.path).at("open", &self.path)?;
        let reader: Box<dyn Read + Send> = if self.format == Format::Plain {
            file.seek(SeekFrom::Start(member.offset)).at("read", &self.path)?;
            Box::new(file.take(member.size))
        } else {
            let mut stream = Decoder::new(file).at("read", &self.path)?;
            io::copy(&mut stream.by_ref().take(member.offset), &mut io::sink()).at("read", &self.path)?;
            Box::new(stream.take(member.size))
        };
        Ok(Some((reader, member.size)))
    }
}

/// The content of a sparse member is not where its bytes are, and nobody writes blobs so.
fn refuse_sparse(path: &TarPath, anomalies: &[tar::Anomaly]) -> Result<()> {
    if anomalies.iter().any(|anomaly| matches!(anomaly, tar::Anomaly::Sparse)) {
        return Err(Error::malformed(
            format!("member `{path}` of an archive"),
            "a plain file expected, found a sparse one",
        ));
    }
    Ok(())
}

/// Names in a layout are ASCII; others can only be listed.
fn name_of(path: &TarPath) -> String {
    String::from_utf8_lossy(path.as_bytes()).into_owned()
}
