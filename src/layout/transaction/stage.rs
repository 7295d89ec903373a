//! What a target is to hold, gathered where no reader looks until it is shown.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::OnceLock;

use crate::digest::{Digest, HashWriter};
use crate::error::{Error, ErrorKind, IoContext, Result};
use crate::layout::transaction::staging::Staging;
use crate::layout::{blob_path, Layout, Location};
use crate::media_type::MediaType;
use crate::oci::{Descriptor, Document, MAX_DOCUMENT_SIZE};

/// The blobs of one target in the making, in a staging directory that is made when it is needed and goes when this is
/// dropped.
#[derive(Debug)]
pub(crate) struct Stage {
    target: Location,
    /// The directory that the staging directory is made in.
    home: PathBuf,
    staging: OnceLock<Staging>,
    /// Sizes by digest of what is staged.
    blobs: BTreeMap<Digest, u64>,
    /// How many files were given names of their own.
    files: AtomicUsize,
}

/// Where a blob stands that has no name yet.
#[derive(Debug)]
pub(crate) struct BlobPath(PathBuf);

/// A file that is written for a target, whose errors name the target: that is what the person knows.
#[derive(Debug)]
pub(crate) struct TargetFile {
    file: File,
    target: PathBuf,
}

impl TargetFile {
    pub(super) fn new(file: File, target: &Path) -> Self {
        TargetFile { file, target: target.to_path_buf() }
    }
}

impl Write for TargetFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.file.write(bytes) {
            // Who writes all of it tries again.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            written => Ok(written.at("write", &self.target)?),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(self.file.flush().at("write", &self.target)?)
    }
}

impl BlobPath {
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Stage {
    pub(super) fn new(target: &Location, home: &Path) -> Self {
        Stage {
            target: target.clone(),
            home: home.to_path_buf(),
            staging: OnceLock::new(),
            blobs: BTreeMap::new(),
            files: AtomicUsize::new(0),
        }
    }

    /// The staging directory.
    pub(super) fn directory(&self) -> Result<&Path> {
        if self.staging.get().is_none() {
            let staging = Staging::create(&self.home)?;
            fs::create_dir_all(staging.path().join("blobs/sha256")).at("write", self.place())?;
            // Of two threads that come here at once, one drops its own.
            self.staging.get_or_init(|| staging);
        }
        Ok(self.staging.get().expect("it was made").path())
    }

    /// Lets go of a staging directory that has become the target.
    pub(super) fn leave(&mut self) {
        self.staging = OnceLock::new();
    }

    /// The directory that the staging directory is made in.
    pub(super) fn home(&self) -> &Path {
        &self.home
    }

    /// Where it all goes. Errors name this rather than files that the person never saw.
    pub(super) fn place(&self) -> &Path {
        if self.target.is_stream() {
            Path::new("standard output")
        } else {
            &self.target.path
        }
    }

    /// What is staged: sizes by digest.
    pub(super) fn blobs(&self) -> &BTreeMap<Digest, u64> {
        &self.blobs
    }

    /// A file for a blob whose digest is not known yet, and its place for [`adopt`](Self::adopt).
    pub(crate) fn blob_file(&self) -> Result<(TargetFile, BlobPath)> {
        let place = self.new_place()?;
        let file = File::create(place.path()).at("write", self.place())?;
        Ok((TargetFile::new(file, self.place()), place))
    }

    /// A place for a blob, which no other blob gets.
    pub(super) fn new_place(&self) -> Result<BlobPath> {
        let number = self.files.fetch_add(1, Ordering::Relaxed);
        Ok(BlobPath(self.directory()?.join(format!("blob-{number}"))))
    }

    /// A file without a name for what must be kept while the image is made.
    pub(crate) fn scratch_file(&self) -> Result<File> {
        let number = self.files.fetch_add(1, Ordering::Relaxed);
        let path = self.directory()?.join(format!("scratch-{number}"));
        let file = File::options().read(true).write(true).create_new(true).open(&path).at("write", self.place())?;
        fs::remove_file(&path).at("write", self.place())?;
        Ok(file)
    }

    /// Takes a blob that was written to a [`blob_file`](Self::blob_file) of this stage and gives it its name.
    pub(crate) fn adopt(&mut self, blob: &BlobPath, digest: &Digest, size: u64) -> Result<()> {
        if self.holds(digest) {
            return fs::remove_file(blob.path()).at("write", self.place());
        }
        let path = self.place_of(digest)?;
        fs::rename(blob.path(), path).at("write", self.place())?;
        self.blobs.insert(digest.clone(), size);
        Ok(())
    }

    /// Stores a document. One that no reader would take for its size is refused.
    pub(crate) fn put<T>(&mut self, document: &Document<T>, media_type: MediaType) -> Result<Descriptor> {
        let descriptor = document.descriptor(media_type);
        if descriptor.size > MAX_DOCUMENT_SIZE {
            let what = format!("a document of type `{}`", descriptor.media_type.as_str().escape_debug());
            return Err(too_large(&self.target, &what, descriptor.size, MAX_DOCUMENT_SIZE));
        }
        if self.holds(&descriptor.digest) {
            // What is there may be a link of another layout's file, which must not be written to.
            return Ok(descriptor);
        }
        let path = self.place_of(&descriptor.digest)?;
        fs::write(path, document.raw()).at("write", self.place())?;
        self.blobs.insert(descriptor.digest.clone(), descriptor.size);
        Ok(descriptor)
    }

    /// Stores what `content` yields.
    pub(crate) fn put_blob(&mut self, content: &mut dyn Read, media_type: MediaType) -> Result<Descriptor> {
        let (file, place) = self.blob_file()?;
        let mut writer = HashWriter::new(file);
        io::copy(content, &mut writer).at("write", self.place())?;
        let (_, digest, size) = writer.finish();
        self.adopt(&place, &digest, size)?;
        Ok(Descriptor::new(media_type, digest, size))
    }

    /// Takes a blob that another stage holds: by a hard link where that can be, else by a copy.
    pub(crate) fn share(&mut self, other: &Stage, digest: &Digest) -> Result<()> {
        if self.holds(digest) {
            return Ok(());
        }
        let (from, to) = (other.place_of(digest)?, self.place_of(digest)?);
        if fs::hard_link(&from, &to).is_err() {
            fs::copy(&from, &to).at("write", self.place())?;
        }
        let size = other.blobs.get(digest).copied().expect("the other stage holds the blob");
        self.blobs.insert(digest.clone(), size);
        Ok(())
    }

    /// Takes a blob of another layout as it is stored, whatever it is worth.
    pub(super) fn copy_stored(&mut self, layout: &Layout, digest: &Digest, size: u64) -> Result<()> {
        let Some((mut stored, _)) = layout.stored_blob(digest)? else { return Ok(()) };
        let mut file = File::create(self.place_of(digest)?).at("write", self.place())?;
        io::copy(&mut stored, &mut file).at("write", self.place())?;
        self.blobs.insert(digest.clone(), size);
        Ok(())
    }

    /// Whether a blob is staged.
    pub(super) fn holds(&self, digest: &Digest) -> bool {
        self.blobs.contains_key(digest)
    }

    /// A document that is staged; none if it is not.
    pub(super) fn staged(&self, digest: &Digest) -> Result<Option<Vec<u8>>> {
        if !self.holds(digest) {
            return Ok(None);
        }
        fs::read(self.place_of(digest)?).map(Some).at("read", self.place())
    }

    /// Writes a file that is no blob.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<PathBuf> {
        let path = self.directory()?.join(name);
        File::create(&path).and_then(|mut file| file.write_all(bytes)).at("write", self.place())?;
        Ok(path)
    }

    /// Where a blob stands while it is staged; the directory for it is there.
    pub(super) fn place_of(&self, digest: &Digest) -> Result<PathBuf> {
        let path = self.directory()?.join(blob_path(digest));
        if digest.algorithm_name() != "sha256" {
            let directory = path.parent().expect("a blob's path has a directory");
            fs::create_dir_all(directory).at("write", self.place())?;
        }
        Ok(path)
    }
}

/// That a document would not be read again.
pub(super) fn too_large(target: &Location, what: &str, found: u64, limit: u64) -> Error {
    let limit = limit >> 20;
    Error::refused(format!("target `{target}`: {what} of {limit} MiB at most can be read again, found {found} bytes"))
        .of_kind(ErrorKind::Unsupported)
}
