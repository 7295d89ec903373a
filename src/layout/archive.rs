//! Reads a layout or a docker archive from a tar without extracting it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::compress::{Decoder, Format};
use crate::error::{Error, IoContext, Result};
use crate::layout::StoredFile;
use crate::limits::Limits;
use crate::tar;
use crate::tree::{Kind, TarPath};

/// An archive and the positions of its files.
#[derive(Debug)]
pub(super) struct Archive {
    path: PathBuf,
    /// What is read, even if another archive is renamed to its path.
    file: Arc<File>,
    format: Format,
    limits: Limits,
    members: BTreeMap<String, Member>,
    /// The last member, if the archive ends within its content.
    cut: Option<String>,
    /// The names that several files have.
    repeated: BTreeSet<String>,
    trailing: Trailing,
    /// Whether it is in xz without an integrity check.
    is_unchecked: bool,
}

/// What follows the end of an archive and is not zero: no reader looks at it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Trailing {
    /// Where it begins in the tar.
    pub(crate) in_tar: Option<u64>,
    /// How many bytes follow the compressed stream.
    pub(crate) after_stream: u64,
}

/// A member. Of several with the same name the last is kept; other readers may take the first.
#[derive(Debug)]
enum Member {
    File(Stretch),
    /// A link whose target is relative to the directory of the link.
    Symlink(String),
    /// A link whose target is relative to the root of the archive.
    Hardlink(String),
}

/// A file in the archive.
#[derive(Debug)]
pub(super) struct Stretch {
    /// Offset of the content in the uncompressed tar, in bytes.
    offset: u64,
    /// Size in bytes.
    pub(super) size: u64,
    /// How the file itself is compressed.
    pub(super) format: Format,
    /// The content of a small file in a compressed archive; reading it later would cost another pass over the stream.
    content: Option<Vec<u8>>,
}

/// Files up to this size are kept from the first pass over a compressed archive: documents, in practice …
const KEPT_SIZE: u64 = 4 << 20;
/// … and this much of them at most.
const KEPT_TOTAL: u64 = 64 << 20;
/// How many links are followed on the way to a file: as many as Linux follows (`path_resolution(7)`).
const MAX_LINKS: usize = 40;
const LEADS_OUT: &str = "it leads out of the archive";

impl Archive {
    /// Indexes the files of an archive. In an uncompressed one, content is skipped by seeking; a compressed stream is
    /// read once.
    pub(super) fn open(path: &Path, limits: Limits) -> Result<Self> {
        let mut file = File::open(path).at("open", path)?;
        let format = sniff(&mut file).at("read", path)?;
        file.rewind().at("read", path)?;
        let mut archive = Archive {
            path: path.to_path_buf(),
            file: Arc::new(file.try_clone().at("open", path)?),
            format,
            limits,
            members: BTreeMap::new(),
            cut: None,
            repeated: BTreeSet::new(),
            trailing: Trailing::default(),
            is_unchecked: false,
        };
        match format {
            Format::Plain => archive.index_by_seeking(&mut file)?,
            _ => archive.index_by_reading(file)?,
        }
        Ok(archive)
    }

    fn index_by_seeking(&mut self, file: &mut File) -> Result<()> {
        let length = file.seek(SeekFrom::End(0)).at("read", &self.path)?;
        let mut start = 0;
        while start < length {
            file.seek(SeekFrom::Start(start)).at("read", &self.path)?;
            let mut reader = tar::Reader::new(&mut *file, self.name(), self.limits).starting_at(start);
            let Some(member) = reader.next_member()? else {
                self.trailing.in_tar = trailing(&reader.finish()?);
                break;
            };
            let entry = member.entry?;
            let offset = member.content_offset;
            let end = offset.saturating_add(member.content_size);
            let name = name_of(&entry.path);
            if end > length {
                self.cut = Some(name.clone());
            }
            start = end.min(length).next_multiple_of(tar::BLOCK as u64);
            let member = match entry.kind {
                Kind::File { size } => {
                    refuse_sparse(&entry.path, &member.anomalies)?;
                    file.seek(SeekFrom::Start(offset)).at("read", &self.path)?;
                    let format = sniff(file.take(size)).at("read", &self.path)?;
                    Some(Member::File(Stretch { offset, size, format, content: None }))
                }
                kind => link(&kind),
            };
            self.add(name, member);
        }
        Ok(())
    }

    fn index_by_reading(&mut self, file: File) -> Result<()> {
        let mut decoder = Decoder::new(file, self.limits).at("read", &self.path)?;
        let mut reader = tar::Reader::new(&mut decoder, self.name(), self.limits);
        let mut kept = 0;
        while let Some(member) = reader.next_member()? {
            let entry = member.entry?;
            let offset = member.content_offset;
            let name = name_of(&entry.path);
            let member = match entry.kind {
                Kind::File { size } => {
                    refuse_sparse(&entry.path, &member.anomalies)?;
                    let keep = size <= KEPT_SIZE && size <= KEPT_TOTAL.saturating_sub(kept);
                    let wanted = if keep { size } else { Format::MAGIC_SIZE as u64 };
                    let mut content = Vec::new();
                    reader.by_ref().take(wanted).read_to_end(&mut content).at("read", &self.path)?;
                    let format = Format::sniff(&content);
                    kept = kept.saturating_add(if keep { size } else { 0 });
                    Some(Member::File(Stretch { offset, size, format, content: keep.then_some(content) }))
                }
                kind => link(&kind),
            };
            self.add(name, member);
        }
        // The checksum of the compressed stream is at its end.
        let in_tar = trailing(&reader.finish()?);
        let rest = decoder.finish().at("read", &self.path)?;
        self.trailing = Trailing { in_tar, after_stream: rest.trailing };
        self.is_unchecked = rest.is_unchecked;
        Ok(())
    }

    /// Records a member, unless it leads to no file.
    fn add(&mut self, name: String, member: Option<Member>) {
        let Some(member) = member else { return };
        if self.members.contains_key(&name) {
            self.repeated.insert(name.clone());
        }
        self.members.insert(name, member);
    }

    /// Names that several files have. Readers differ in which file they take.
    pub(super) fn repeated(&self) -> &BTreeSet<String> {
        &self.repeated
    }

    /// What follows the end.
    pub(super) fn trailing(&self) -> Trailing {
        self.trailing
    }

    /// Whether it is in xz without an integrity check.
    pub(super) fn is_unchecked(&self) -> bool {
        self.is_unchecked
    }

    /// How the archive is compressed as a whole.
    pub(super) fn format(&self) -> Format {
        self.format
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The error that a file is not there.
    pub(super) fn lacks(&self, name: &str) -> Error {
        Error::malformed(self.name(), format!("`{}` is missing", name.escape_debug()))
    }

    /// The name used in messages.
    pub(super) fn name(&self) -> String {
        format!("archive `{}`", self.path.display())
    }

    /// All files, links to files included.
    pub(super) fn files(&self) -> Vec<StoredFile> {
        let file = |name: &String| Some(StoredFile { name: name.clone(), size: self.stretch(name)?.size });
        self.members.keys().filter_map(file).collect()
    }

    /// The position of the file with this name. Links within the archive are followed.
    pub(super) fn stretch(&self, name: &str) -> Option<&Stretch> {
        match self.members.get(&self.resolve(name).ok()??) {
            Some(Member::File(stretch)) => Some(stretch),
            _ => None,
        }
    }

    /// Returns the member within whose content the archive ends, or `None` if it is complete.
    pub(super) fn cut(&self) -> Option<&str> {
        self.cut.as_deref()
    }

    /// Returns the name of the file that `path` leads to after links within the archive are followed, or `None` if
    /// there is no such file. A path that leaves the archive or loops is an error; the error text states only the
    /// reason.
    pub(super) fn resolve(&self, path: &str) -> Result<Option<String>, &'static str> {
        // The path is resolved one component at a time; one made of slashes alone could take hours without this limit.
        if path.len() > tar::NAME_LIMIT {
            return Err("it is longer than any name in an archive");
        }
        let mut resolved = Vec::new();
        let mut rest: Vec<&str> = path.split('/').rev().collect();
        let mut links = 0_usize;
        while let Some(component) = rest.pop() {
            match component {
                "" | "." => continue,
                ".." => {
                    resolved.pop().ok_or(LEADS_OUT)?;
                    continue;
                }
                name => resolved.push(name),
            }
            let target = match self.members.get(&resolved.join("/")) {
                Some(Member::Symlink(target)) if target.starts_with('/') => return Err(LEADS_OUT),
                Some(Member::Symlink(target)) => {
                    resolved.pop();
                    target
                }
                Some(Member::Hardlink(target)) => {
                    resolved.clear();
                    target
                }
                _ => continue,
            };
            links = links.saturating_add(1);
            if links > MAX_LINKS {
                return Err("it leads from link to link and to no file");
            }
            rest.extend(target.split('/').rev());
        }
        let name = resolved.join("/");
        Ok(matches!(self.members.get(&name), Some(Member::File(_))).then_some(name))
    }

    /// How large it, and what is in it, may be when it is read.
    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    /// Opens a file of the archive. In a compressed archive, everything before the file is decompressed again, because
    /// nothing is extracted.
    pub(super) fn file(&self, name: &str) -> Result<Option<(Box<dyn Read + Send + '_>, u64)>> {
        let subject = || format!("{}: `{}`", self.name(), name.escape_debug());
        if let Err(reason) = self.resolve(name) {
            return Err(Error::malformed(subject(), reason));
        }
        let Some(stretch) = self.stretch(name) else { return Ok(None) };
        if let Some(content) = &stretch.content {
            return Ok(Some((Box::new(content.as_slice()), stretch.size)));
        }
        let mut file = ReadAt { file: Arc::clone(&self.file), position: 0 };
        let reader: Box<dyn Read + Send> = if self.format == Format::Plain {
            file.position = stretch.offset;
            Box::new(file.take(stretch.size))
        } else {
            let mut stream = Decoder::new(file, self.limits).at("read", &self.path)?;
            io::copy(&mut stream.by_ref().take(stretch.offset), &mut io::sink()).at("read", &self.path)?;
            Box::new(stream.take(stretch.size))
        };
        Ok(Some((reader, stretch.size)))
    }
}

/// Reads a file that others read too, each from a position of its own.
struct ReadAt {
    file: Arc<File>,
    position: u64,
}

impl Read for ReadAt {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.position)?;
        self.position = self.position.saturating_add(read as u64);
        Ok(read)
    }
}

/// Where something other than zeros begins after the end of a tar.
fn trailing(end: &tar::End) -> Option<u64> {
    end.anomalies.iter().find_map(|anomaly| match anomaly {
        tar::Anomaly::TrailingBytes { offset } => Some(*offset),
        _ => None,
    })
}

/// The compression format of `reader`.
fn sniff(reader: impl Read) -> io::Result<Format> {
    let mut start = Vec::with_capacity(Format::MAGIC_SIZE);
    reader.take(Format::MAGIC_SIZE as u64).read_to_end(&mut start)?;
    Ok(Format::sniff(&start))
}

fn link(kind: &Kind) -> Option<Member> {
    match kind {
        Kind::Symlink { target } => Some(Member::Symlink(String::from_utf8_lossy(target).into_owned())),
        Kind::Hardlink { target } => Some(Member::Hardlink(name_of(target))),
        _ => None,
    }
}

/// Refuses a sparse member: its content is not stored contiguously, and no known tool writes blobs that way.
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
