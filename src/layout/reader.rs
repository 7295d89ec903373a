//! Reads layouts, be they directories, archives or docker archives, through one type.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, OFlags};
use serde::de::DeserializeOwned;

use crate::compress::Format;
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, IoContext, Result};
use crate::hint::Hint;
use crate::layout::archive::{Archive, Trailing};
use crate::layout::blob::VerifiedReader;
use crate::layout::docker::{is_docker_archive, DockerArchive};
use crate::layout::graph::Snapshot;
use crate::layout::listing::{list_blobs, list_files, StoredFile};
use crate::layout::{blob_path, digest_of_path, size_limit, Location, Transport, BLOBS, INDEX, MARKER};
use crate::limits::Limits;
use crate::oci::{Descriptor, Document, Index, LayoutMarker};

/// A layout that is read, as a directory or an archive.
#[derive(Debug)]
pub struct Layout {
    location: Location,
    store: Store,
    limits: Limits,
    pub(super) snapshot: Snapshot,
}

#[derive(Debug)]
enum Store {
    Directory(PathBuf),
    Archive(Archive),
    DockerArchive(DockerArchive),
}

impl Layout {
    /// Opens a layout. An archive is indexed in one pass; a directory is not read yet.
    ///
    /// An archive with two files of the same name is refused, since readers differ in which one they take.
    pub fn open(location: &Location, limits: Limits) -> Result<Self> {
        let layout = Layout::open_as_it_is(location, limits)?;
        match layout.repeated().first() {
            Some(name) => Err(Error::malformed(
                format!("image `{location}`"),
                format!("one `{}` expected, found several: readers differ in which they take", name.escape_debug()),
            )),
            None => Ok(layout),
        }
    }

    /// Like [`open`](Self::open), but accepts repeated names.
    pub(crate) fn open_as_it_is(location: &Location, limits: Limits) -> Result<Self> {
        let path = &location.path;
        let kind = FileType::from_raw_mode(location.metadata()?.mode());
        if location.transport == Transport::Oci {
            if kind != FileType::Directory {
                return Err(Error::refused_with_hint(
                    format!("image `{location}`: a directory is wanted, found a file"),
                    "if it is an archive, put `oci-archive:` or `docker-archive:` before it",
                )
                .of_kind(ErrorKind::Invalid));
            }
            return Ok(Layout {
                location: location.clone(),
                store: Store::Directory(path.clone()),
                limits,
                snapshot: Snapshot::default(),
            });
        }
        if kind == FileType::Directory {
            return Err(Error::refused_with_hint(
                format!("image `{location}`: a file is wanted, found a directory"),
                "if it is a layout, put `oci:` before it",
            )
            .of_kind(ErrorKind::Invalid));
        }
        if !matches!(kind, FileType::RegularFile | FileType::BlockDevice) {
            return Err(Error::refused_with_hint(
                format!("image `{location}`: an archive that can be read more than once is wanted, found a stream"),
                "write the stream to a file first",
            )
            .of_kind(ErrorKind::Unsupported));
        }
        Layout::open_archive(location, Archive::open(path, limits)?)
    }

    /// Opens the content staged for a target. Messages name the target.
    pub(super) fn staged(target: &Location, directory: &Path, limits: Limits) -> Self {
        let location = Location { transport: Transport::Oci, ..target.clone() };
        Layout { location, store: Store::Directory(directory.to_path_buf()), limits, snapshot: Snapshot::default() }
    }

    /// Opens an archive as its transport says. Without a transport, the content decides; an archive that is both is
    /// read as a layout.
    fn open_archive(location: &Location, archive: Archive) -> Result<Self> {
        let limits = archive.limits();
        let (is_layout, is_docker) = (archive.stretch(INDEX).is_some(), is_docker_archive(&archive));
        let transport = match location.transport {
            // Docker 25 has written an empty index beside its own list.
            Transport::Archive if is_docker && !(is_layout && lists_something(&archive)) => Transport::DockerArchive,
            Transport::Archive => Transport::OciArchive,
            transport => transport,
        };
        let location = Location { transport, ..location.clone() };
        let refused = |wanted, found, transport| {
            let message = format!("image `{location}`: {wanted} is wanted, found {found}");
            Err(Error::refused_with_hint(message, format!("write `{transport}:` before the path"))
                .of_kind(ErrorKind::Invalid))
        };
        let store = match transport {
            Transport::DockerArchive if is_layout && !is_docker => {
                return refused("a docker archive", "an archive of a layout", "oci-archive")
            }
            Transport::DockerArchive => Store::DockerArchive(DockerArchive::new(archive)?),
            _ if is_docker && !is_layout => {
                return refused("an archive of a layout", "a docker archive", "docker-archive")
            }
            _ => Store::Archive(archive),
        };
        Ok(Layout { location, store, limits, snapshot: Snapshot::default() })
    }

    /// The names that several files of an archive have.
    pub(crate) fn repeated(&self) -> Vec<&str> {
        let repeated = self.archive().map(|archive| archive.repeated().iter().map(String::as_str).collect());
        repeated.unwrap_or_default()
    }

    /// What follows the end of an archive.
    pub(crate) fn trailing(&self) -> Trailing {
        self.archive().map(Archive::trailing).unwrap_or_default()
    }

    /// What is in xz without an integrity check: the archive, layers of a docker archive.
    pub(crate) fn unchecked(&self) -> Vec<String> {
        let archive = self.archive().filter(|archive| archive.is_unchecked());
        let archive = archive.map(|archive| archive.path().display().to_string());
        let layers = match &self.store {
            Store::DockerArchive(archive) => archive.unchecked_layers(),
            Store::Directory(_) | Store::Archive(_) => Vec::new(),
        };
        archive.into_iter().chain(layers).collect()
    }

    /// Returns the member in the middle of which an archive ends, or `None` if it is complete.
    pub(crate) fn cut(&self) -> Option<&str> {
        self.archive()?.cut()
    }

    fn archive(&self) -> Option<&Archive> {
        match &self.store {
            Store::Directory(_) => None,
            Store::Archive(archive) => Some(archive),
            Store::DockerArchive(archive) => Some(archive.archive()),
        }
    }

    /// How large its layers may be when they are read.
    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// The location of the layout.
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// Returns the compression of an archive of a layout as a whole, or `None` for anything else.
    pub(super) fn outer_format(&self) -> Option<Format> {
        match &self.store {
            Store::Archive(archive) => Some(archive.format()),
            Store::Directory(_) | Store::DockerArchive(_) => None,
        }
    }

    /// The file that states the layout version (image-spec, image-layout.md#oci-layout-file).
    pub fn marker(&self) -> Result<Document<LayoutMarker>> {
        self.top_level(MARKER)
    }

    /// Returns the bytes of `index.json`, or `None` if it is missing.
    pub(super) fn raw_index(&self) -> Result<Option<Vec<u8>>> {
        let Some((reader, _)) = self.file(INDEX)? else { return Ok(None) };
        let mut raw = Vec::new();
        reader.take(self.limits.index.saturating_add(1)).read_to_end(&mut raw).at("read", &self.location.path)?;
        Ok(Some(raw))
    }

    pub(super) fn top_level<T: DeserializeOwned>(&self, name: &'static str) -> Result<Document<T>> {
        let subject = format!("{}: {name}", self.location);
        let Some((reader, size)) = self.file(name)? else {
            let reason = format!("no image layout: the file `{name}` is missing");
            self.refuse_other_content()?;
            return Err(Error::malformed(self.location.to_string(), reason));
        };
        let limit = size_limit(name, self.limits);
        Document::parse(read_document(limit, reader, size, &subject, &self.location.path)?, &subject)
    }

    /// Refuses what holds something, and nothing of a layout: a root filesystem.
    pub(crate) fn refuse_other_content(&self) -> Result<()> {
        let (is_other, what) = match &self.store {
            Store::Directory(root) => {
                let has = |name: &str| root.join(name).symlink_metadata().is_ok();
                let is_empty = || fs::read_dir(root).map_or(true, |mut entries| entries.next().is_none());
                (!has(MARKER) && !has(INDEX) && !has(BLOBS) && !is_empty(), "directory")
            }
            Store::Archive(archive) => {
                let files = archive.files();
                let is_part = |name: &str| name == MARKER || name == INDEX || name.starts_with("blobs/");
                (!files.is_empty() && !files.iter().any(|file| is_part(&file.name)), "archive")
            }
            Store::DockerArchive(_) => return Ok(()),
        };
        if !is_other {
            return Ok(());
        }
        let message =
            format!("{}: no image layout: `{MARKER}` and `{INDEX}` are missing in this {what}", self.location);
        let hint = Hint::from("if it is a root filesystem, ").verb("build").text(" makes an image of it");
        // A directory would have been taken for a root filesystem.
        let hint = match self.store {
            Store::Archive(_) => hint.text("; ").verb("diff").text(" also takes it unpacked, as a directory"),
            _ => hint,
        };
        Err(Error::refused_with_hint(message, hint).of_kind(ErrorKind::Damaged))
    }

    /// All files, sorted by name. Directories are left out, and in a layout directory symbolic links too.
    pub(crate) fn files(&self) -> Result<Vec<StoredFile>> {
        let mut files = match &self.store {
            Store::Directory(root) => list_files(root)?,
            Store::Archive(archive) => archive.files(),
            Store::DockerArchive(archive) => archive.files(),
        };
        files.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(files)
    }

    /// Returns a file and its size, not verified, or `None` if it is missing.
    pub fn file(&self, name: &str) -> Result<Option<(Box<dyn Read + Send + '_>, u64)>> {
        match &self.store {
            Store::Directory(root) => {
                let path = root.join(name);
                // Without this, opening a FIFO would block until there is a writer.
                let file = match File::options().read(true).custom_flags(NONBLOCK).open(&path) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                    opened => opened.at("open", &path)?,
                };
                let size = size_of_file(&file.metadata().at("read the metadata of", &path)?, &path)?;
                Ok(Some((Box::new(OpenFile { file, path }), size)))
            }
            Store::Archive(archive) => archive.file(name),
            Store::DockerArchive(archive) => archive.file(name),
        }
    }

    /// Whether a file is present. It is not opened.
    pub(super) fn has_file(&self, name: &str) -> Result<bool> {
        match &self.store {
            Store::Directory(root) => {
                let path = root.join(name);
                match path.metadata() {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
                    found => size_of_file(&found.at("read the metadata of", &path)?, &path).map(|_| true),
                }
            }
            Store::Archive(archive) => Ok(archive.stretch(name).is_some()),
            Store::DockerArchive(archive) => Ok(archive.has(name)),
        }
    }

    /// Returns the stored bytes of a blob and their number, not verified, or `None` if it is missing.
    pub(crate) fn stored_blob(&self, digest: &Digest) -> Result<Option<(Box<dyn Read + Send + '_>, u64)>> {
        self.file(&blob_path(digest))
    }

    /// The path of a blob's file, if the layout is a directory.
    pub(crate) fn blob_on_disk(&self, digest: &Digest) -> Option<PathBuf> {
        match &self.store {
            Store::Directory(root) => Some(root.join(blob_path(digest))),
            Store::Archive(_) | Store::DockerArchive(_) => None,
        }
    }

    /// Opens a blob, verified against its descriptor while it is read.
    pub(crate) fn blob(&self, descriptor: &Descriptor) -> Result<VerifiedReader<Box<dyn Read + Send + '_>>> {
        if let Store::DockerArchive(archive) = &self.store {
            archive.check_promise(&descriptor.digest)?;
        }
        match self.stored_blob(&descriptor.digest)? {
            Some((reader, _)) => VerifiedReader::new(reader, descriptor),
            None => Err(self.lacks(&descriptor.digest)),
        }
    }

    /// The name of a blob in messages.
    pub(super) fn name_of(&self, digest: &Digest) -> String {
        format!("{}: blob {}", self.location, digest.short())
    }

    /// Sizes of all blobs by digest. A symbolic link to a file in a directory has the size of the link. Files not named
    /// by a digest are left out.
    pub fn blobs(&self) -> Result<BTreeMap<Digest, u64>> {
        let files = match &self.store {
            Store::Directory(root) => list_blobs(root)?,
            Store::Archive(_) | Store::DockerArchive(_) => self.files()?,
        };
        let blob = |file: StoredFile| Some((digest_of_path(&file.name)?, file.size));
        Ok(files.into_iter().filter_map(blob).collect())
    }
}

/// A file of a layout, whose errors name it.
struct OpenFile {
    file: File,
    path: PathBuf,
}

impl Read for OpenFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.file.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            read => Ok(read.at("read", &self.path)?),
        }
    }
}

/// Whether the index of an archive lists anything. True if it cannot be read.
fn lists_something(archive: &Archive) -> bool {
    let Ok(Some((reader, _))) = archive.file(INDEX) else { return true };
    let index: Result<Index, _> = serde_json::from_reader(reader.take(archive.limits().index));
    index.map_or(true, |index| !index.manifests.is_empty())
}

/// Returns the size of a regular file; anything else is an error.
fn size_of_file(metadata: &fs::Metadata, path: &Path) -> Result<u64> {
    if metadata.is_file() {
        return Ok(metadata.len());
    }
    Err(Error::malformed(format!("`{}`", path.display()), "a regular file expected, found something else"))
}

/// The flag for `open`, in the type that it takes.
#[allow(clippy::cast_possible_wrap)]
const NONBLOCK: i32 = OFlags::NONBLOCK.bits() as i32;

/// Reads a document of `limit` bytes at most. In errors, `subject` names the document, and `path` the file that holds
/// it.
pub(super) fn read_document(limit: u64, reader: impl Read, size: u64, subject: &str, path: &Path) -> Result<Vec<u8>> {
    if size > limit {
        let reason = format!("a document of {} MiB at most expected, found {size} bytes", limit >> 20);
        return Err(Error::malformed(subject, reason));
    }
    let mut raw = Vec::with_capacity(size as usize);
    reader.take(limit.saturating_add(1)).read_to_end(&mut raw).at("read", path)?;
    if raw.len() as u64 != size {
        let (expected, found) = (size.to_string(), raw.len().to_string());
        return Err(Error::Mismatch { subject: subject.to_owned(), what: "size", expected, found });
    }
    Ok(raw)
}
