//! Gathers the content of a target where no reader looks until it is published.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::OnceLock;

use crate::digest::{Digest, HashWriter};
use crate::error::{describe, Error, ErrorKind, IoContext, Result, STDOUT};
use crate::layer::KEEPING;
use crate::layout::transaction::staging::{about_target, is_refused, Staging};
use crate::layout::{blob_path, Layout, Location};
use crate::limits::Limits;
use crate::media_type::MediaType;
use crate::oci::{Descriptor, Document};

/// The blobs for one target, in a staging directory that is created on demand and removed on drop.
#[derive(Debug)]
pub(crate) struct Stage {
    target: Location,
    /// The parent of the staging directory.
    home: PathBuf,
    limits: Limits,
    staging: OnceLock<Staging>,
    /// Sizes of the staged blobs by digest.
    blobs: BTreeMap<Digest, u64>,
    /// Number of temporary names given out.
    files: AtomicUsize,
}

/// The path of a blob that has no name yet.
#[derive(Debug)]
pub(crate) struct BlobPath(PathBuf);

/// A file written for a target. Errors name the target, since the user does not know the temporary file.
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
            // `write_all` retries.
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
    pub(super) fn new(target: &Location, home: &Path, limits: Limits) -> Self {
        Stage {
            target: target.clone(),
            home: home.to_path_buf(),
            limits,
            staging: OnceLock::new(),
            blobs: BTreeMap::new(),
            files: AtomicUsize::new(0),
        }
    }

    /// How large documents may be.
    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    /// The path of the staging directory, created if necessary.
    pub(super) fn directory(&self) -> Result<&Path> {
        if self.staging.get().is_none() {
            let staging = Staging::create(&self.home).map_err(|error| self.named(error))?;
            fs::create_dir_all(staging.path().join("blobs/sha256")).at("write", self.place())?;
            // If two threads get here at once, one drops its directory.
            self.staging.get_or_init(|| staging);
        }
        Ok(self.staging.get().expect("it was made").path())
    }

    /// Returns an error about a [`scratch_file`](Self::scratch_file) by the name of the target.
    pub(crate) fn about_scratch(&self, error: Error) -> Error {
        match error {
            Error::Io { action: KEEPING, cause, .. } => {
                Error::Io { action: "keep contents beside", path: self.place().to_path_buf(), cause }
            }
            error => error,
        }
    }

    /// Returns an error about the directory of the target by the name of the target.
    fn named(&self, error: Error) -> Error {
        if self.target.is_stream() {
            return match error {
                Error::Io { cause, .. } if is_refused(&cause) => Error::refused_with_hint(
                    format!("cannot stage `{}` in the current directory: {}", self.target, describe(&cause)),
                    "the archive is sent when it is complete: run the command in a directory that can be written to",
                )
                .of_kind(ErrorKind::Io),
                error => error,
            };
        }
        about_target(error, &self.target.shown(), self.home == self.target.path)
    }

    /// Gives up a staging directory that has become the target.
    pub(super) fn leave(&mut self) {
        self.staging = OnceLock::new();
    }

    /// The parent of the staging directory.
    pub(super) fn home(&self) -> &Path {
        &self.home
    }

    /// The target's path, for errors: users never see the staged files.
    pub(super) fn place(&self) -> &Path {
        if self.target.is_stream() {
            Path::new(STDOUT)
        } else {
            &self.target.path
        }
    }

    /// Sizes of the staged blobs by digest.
    pub(super) fn blobs(&self) -> &BTreeMap<Digest, u64> {
        &self.blobs
    }

    /// Creates a file for a blob with a still unknown digest. Returns it with its path for [`adopt`](Self::adopt).
    pub(crate) fn blob_file(&self) -> Result<(TargetFile, BlobPath)> {
        let place = self.new_place()?;
        let file = File::create(place.path()).at("write", self.place())?;
        Ok((TargetFile::new(file, self.place()), place))
    }

    /// A new path for a blob, unique within the stage.
    pub(super) fn new_place(&self) -> Result<BlobPath> {
        let number = self.files.fetch_add(1, Ordering::Relaxed);
        Ok(BlobPath(self.directory()?.join(format!("blob-{number}"))))
    }

    /// Creates an unnamed temporary file, for use while the image is made.
    pub(crate) fn scratch_file(&self) -> Result<File> {
        let number = self.files.fetch_add(1, Ordering::Relaxed);
        let path = self.directory()?.join(format!("scratch-{number}"));
        let file = File::options().read(true).write(true).create_new(true).open(&path).at("write", self.place())?;
        fs::remove_file(&path).at("write", self.place())?;
        Ok(file)
    }

    /// Names a blob that was written to a [`blob_file`](Self::blob_file) of this stage.
    pub(crate) fn adopt(&mut self, blob: &BlobPath, digest: &Digest, size: u64) -> Result<()> {
        if self.holds(digest) {
            return fs::remove_file(blob.path()).at("write", self.place());
        }
        let path = self.place_of(digest)?;
        fs::rename(blob.path(), path).at("write", self.place())?;
        self.blobs.insert(digest.clone(), size);
        Ok(())
    }

    /// Stores a document. Refuses one that is too large to be read again.
    pub(crate) fn put<T>(&mut self, document: &Document<T>, media_type: MediaType) -> Result<Descriptor> {
        let descriptor = document.descriptor(media_type);
        let limit = self.limits.document;
        if descriptor.size > limit {
            let what = format!("a document of type `{}`", descriptor.media_type.as_str().escape_debug());
            return Err(too_large(&self.target, &what, descriptor.size, limit));
        }
        if self.holds(&descriptor.digest) {
            // The existing file may be a hard link to another layout's blob, which must not be changed.
            return Ok(descriptor);
        }
        let path = self.place_of(&descriptor.digest)?;
        fs::write(path, document.raw()).at("write", self.place())?;
        self.blobs.insert(descriptor.digest.clone(), descriptor.size);
        Ok(descriptor)
    }

    /// Stores a blob from a reader.
    pub(crate) fn put_blob(&mut self, content: &mut dyn Read, media_type: MediaType) -> Result<Descriptor> {
        let (file, place) = self.blob_file()?;
        let mut writer = HashWriter::new(file);
        io::copy(content, &mut writer).at("write", self.place())?;
        let (_, digest, size) = writer.finish();
        self.adopt(&place, &digest, size)?;
        Ok(Descriptor::new(media_type, digest, size))
    }

    /// Takes a blob from another stage, by a hard link if possible, else by a copy.
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

    /// Copies a stored blob from another layout without verifying it.
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

    /// Returns a staged document, or `None` if it is not staged.
    pub(super) fn staged(&self, digest: &Digest) -> Result<Option<Vec<u8>>> {
        if !self.holds(digest) {
            return Ok(None);
        }
        fs::read(self.place_of(digest)?).map(Some).at("read", self.place())
    }

    /// Writes a file that is not a blob.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<PathBuf> {
        let path = self.directory()?.join(name);
        File::create(&path).and_then(|mut file| file.write_all(bytes)).at("write", self.place())?;
        Ok(path)
    }

    /// The path of a staged blob. Its directory is created.
    pub(super) fn place_of(&self, digest: &Digest) -> Result<PathBuf> {
        let path = self.directory()?.join(blob_path(digest));
        if digest.algorithm_name() != "sha256" {
            let directory = path.parent().expect("a blob's path has a directory");
            fs::create_dir_all(directory).at("write", self.place())?;
        }
        Ok(path)
    }
}

/// The error for a document that is too large to be read again.
pub(super) fn too_large(target: &Location, what: &str, found: u64, limit: u64) -> Error {
    let limit = limit >> 20;
    Error::refused(format!("target `{target}`: {what} of {limit} MiB at most can be read again, found {found} bytes"))
        .of_kind(ErrorKind::Unsupported)
}
