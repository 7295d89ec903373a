//! A target in the making: blobs and documents gather in a staging directory, and one rename shows them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::compress::Codec;
use crate::digest::Digest;
use crate::error::{Error, IoContext, Result};
use crate::layout::lock::lock;
use crate::layout::merge::{join_lists, merge};
use crate::layout::pack::{self, Content, Packed};
use crate::layout::staging::Staging;
use crate::layout::target::TargetKind;
use crate::layout::{blob_path, checksum, docker, DockerForm, Layout, Location, Transport, INDEX, MARKER};
use crate::media_type::MediaType;
use crate::oci::{Descriptor, Document, Index, LayoutMarker};

/// Writes images to one target. Nothing of the target changes before [`commit`](LayoutWriter::commit), and a writer
/// that is dropped leaves nothing behind.
#[derive(Debug)]
pub struct LayoutWriter {
    target: Location,
    kind: TargetKind,
    staging: Staging,
    /// Sizes by digest of what is staged.
    blobs: BTreeMap<Digest, u64>,
    /// What is to be in the index.
    descriptors: Vec<Descriptor>,
    /// How many were given names of their own.
    files: AtomicUsize,
    /// Where the checksum of an archive is to stand, if it is to have one.
    checksum: Option<PathBuf>,
}

/// The name of an archive's checksum while it is staged.
const CHECKSUM: &str = "checksum";

impl LayoutWriter {
    /// Looks at the target and makes a staging directory: inside of a directory that exists, beside one that does not.
    ///
    /// `form` matters to a docker archive alone.
    pub fn create(target: &Location, form: DockerForm) -> Result<Self> {
        let parent = target.directory();
        if !parent.is_dir() {
            return Err(Error::refused_with_hint(
                format!("target `{target}`: its directory `{}` is missing", parent.display()),
                "make it first",
            ));
        }
        LayoutWriter::stage(target, TargetKind::of(target, form)?)
    }

    /// A writer that adds to a layout directory which is known to be one, and whose lock is held.
    pub(super) fn within(target: &Location) -> Result<Self> {
        LayoutWriter::stage(target, TargetKind::Directory)
    }

    fn stage(target: &Location, kind: TargetKind) -> Result<Self> {
        let home = if kind == TargetKind::Directory { &target.path } else { target.directory() };
        let staging = Staging::create(home)?;
        fs::create_dir_all(staging.path().join("blobs/sha256")).at("create directories in", staging.path())?;
        Ok(LayoutWriter {
            target: target.clone(),
            kind,
            staging,
            blobs: BTreeMap::new(),
            descriptors: Vec::new(),
            files: AtomicUsize::new(0),
            checksum: None,
        })
    }

    /// An archive gets a checksum, in a file beside it that appears right after it. A layout has none.
    pub fn with_checksum(&mut self) -> Result<()> {
        if let TargetKind::Archive(_) | TargetKind::DockerArchive(..) = self.kind {
            self.checksum = Some(checksum::place(&self.target)?);
        }
        Ok(())
    }

    /// Whether it does.
    pub(super) fn has_checksum(&self) -> bool {
        self.checksum.is_some()
    }

    /// Where it goes.
    pub fn target(&self) -> &Location {
        &self.target
    }

    /// A file for a blob whose digest is not known yet.
    pub fn blob_file(&self) -> Result<BlobFile> {
        let BlobPath(path) = self.new_place();
        let file = File::create(&path).at("create", &path)?;
        Ok(BlobFile { file, path })
    }

    /// A place for a blob, which no other blob gets.
    pub(super) fn new_place(&self) -> BlobPath {
        let number = self.files.fetch_add(1, Ordering::Relaxed);
        BlobPath(self.staging.path().join(format!("blob-{number}")))
    }

    /// Takes a blob that was written to a [`BlobFile`] of this writer and gives it its name.
    pub fn adopt(&mut self, blob: &BlobPath, digest: &Digest, size: u64) -> Result<()> {
        let path = self.staged(digest)?;
        if self.holds(digest) {
            return fs::remove_file(&blob.0).at("remove", &blob.0);
        }
        fs::rename(&blob.0, &path).at("rename", &path)?;
        self.blobs.insert(digest.clone(), size);
        Ok(())
    }

    /// Takes a blob that another writer holds: by a hard link where that can be, else by a copy.
    pub fn share(&mut self, other: &LayoutWriter, digest: &Digest) -> Result<()> {
        if self.holds(digest) {
            return Ok(());
        }
        let from = other.staging.path().join(blob_path(digest));
        let to = self.staged(digest)?;
        if fs::hard_link(&from, &to).is_err() {
            fs::copy(&from, &to).at("copy a blob to", &to)?;
        }
        let size = other.blobs.get(digest).copied().expect("the other writer holds the blob");
        self.blobs.insert(digest.clone(), size);
        Ok(())
    }

    /// Takes a blob of another layout as it is stored, whatever it is worth.
    pub(super) fn copy_stored(&mut self, layout: &Layout, digest: &Digest, size: u64) -> Result<()> {
        let Some((mut stored, _)) = layout.stored_blob(digest)? else { return Ok(()) };
        let to = self.staged(digest)?;
        let mut file = File::create(&to).at("create", &to)?;
        io::copy(&mut stored, &mut file).at("copy a blob to", &to)?;
        self.blobs.insert(digest.clone(), size);
        Ok(())
    }

    /// A file of no name for what must be kept while the image is made.
    pub fn scratch_file(&self) -> Result<File> {
        let number = self.files.fetch_add(1, Ordering::Relaxed);
        let path = self.staging.path().join(format!("scratch-{number}"));
        let file = File::options().read(true).write(true).create_new(true).open(&path).at("create", &path)?;
        fs::remove_file(&path).at("remove", &path)?;
        Ok(file)
    }

    /// Stores a document.
    pub fn put<T>(&mut self, document: &Document<T>, media_type: MediaType) -> Result<Descriptor> {
        let descriptor = document.descriptor(media_type);
        if self.holds(&descriptor.digest) {
            // What is there may be a link of another layout's file, which must not be written to.
            return Ok(descriptor);
        }
        let path = self.staged(&descriptor.digest)?;
        fs::write(&path, document.raw()).at("write", &path)?;
        self.blobs.insert(descriptor.digest.clone(), descriptor.size);
        Ok(descriptor)
    }

    /// Lists an image in the index; its ref name moves to it.
    pub fn list(&mut self, descriptor: Descriptor) {
        self.descriptors.push(descriptor);
    }

    /// Does all that can fail for lack of space, so that several targets can be committed one right after another.
    /// `threads` of them compress an archive as a whole; its bytes do not depend on how many.
    pub fn prepare(&mut self, threads: NonZeroUsize) -> Result<()> {
        let mut index = Index::default();
        merge(&mut index, &self.descriptors);
        self.prepare_with(&Document::seal(LayoutMarker::default()), index, threads)
    }

    /// [`prepare`](Self::prepare) with a marker that there is, and an index of which all is known already.
    pub(super) fn prepare_with(
        &mut self,
        marker: &Document<LayoutMarker>,
        index: Index,
        threads: NonZeroUsize,
    ) -> Result<()> {
        self.write(MARKER, marker.raw())?;
        if self.kind != TargetKind::Directory {
            self.write(INDEX, Document::seal(index).raw())?;
        }
        match self.kind {
            TargetKind::Directory | TargetKind::NewLayout => Ok(()),
            TargetKind::Archive(codec) => self.pack(self.layout_files(), codec, threads),
            TargetKind::DockerArchive(codec, form) => {
                let staged = self.staged_layout()?;
                let planned = docker::plan(&staged, &self.descriptors, self.blobs.keys().cloned(), form)?;
                let files = planned.into_iter().map(|file| file.open(&staged, || self.scratch_file()));
                self.pack(files, codec, threads)
            }
        }
    }

    /// Shows the image: the target is whole before and after, whatever happens in between.
    pub fn commit(self) -> Result<()> {
        let listed = |before: &Index| {
            let mut after = before.clone();
            merge(&mut after, &self.descriptors);
            Some(after)
        };
        self.show(&listed).map(|_| ())
    }

    /// Shows an index that `edit` makes of the one that a layout has by then; nothing changes, and the answer is no, if it
    /// makes none, which is its way to say that somebody else has changed what it was made for. An archive, or a layout
    /// that was not there before, shows what was [listed](Self::list).
    pub fn commit_if(self, edit: &dyn Fn(&Index) -> Option<Index>) -> Result<bool> {
        self.show(edit)
    }

    fn show(&self, edit: &dyn Fn(&Index) -> Option<Index>) -> Result<bool> {
        let path = &self.target.path;
        match self.kind {
            TargetKind::Archive(_) | TargetKind::DockerArchive(..) => {
                fs::rename(self.archive_path(), path).at("rename the archive to", path)?;
                if let Some(checksum) = &self.checksum {
                    fs::rename(self.staging.path().join(CHECKSUM), checksum).at("rename the checksum to", checksum)?;
                }
            }
            TargetKind::Directory => return self.merge_into_layout(edit),
            TargetKind::NewLayout => match fs::rename(self.staging.path(), path) {
                // Somebody made a layout of this name in the meantime: join it.
                Err(_) if path.join(INDEX).is_file() => return self.merge_into_layout(edit),
                renamed => renamed.at("rename the layout to", path)?,
            },
        }
        Ok(true)
    }

    /// Blobs first, then the index, so that no reader ever meets a descriptor without its blob; all of it under a lock,
    /// so that no other writer's image is lost and nobody takes the blobs away that nothing mentions yet.
    fn merge_into_layout(&self, edit: &dyn Fn(&Index) -> Option<Index>) -> Result<bool> {
        let path = &self.target.path;
        let _lock = lock(path)?;
        let is_layout = path.join(INDEX).is_file();
        let layout = is_layout.then(|| Layout::open(&self.target)).transpose()?;
        let before = layout.as_ref().map_or(Ok(Index::default()), |layout| Ok(layout.index()?.into_value()))?;
        let Some(mut after) = edit(&before) else { return Ok(false) };
        self.place_blobs()?;
        if let Some(layout) = &layout {
            let read = |list: &Descriptor| layout.document(list).map(Document::into_value);
            for list in join_lists(read, &before, &mut after) {
                let staged = self.write("list", list.raw())?;
                self.place(&staged, &list.digest())?;
            }
            if after == before {
                return Ok(true);
            }
        } else {
            let marker = path.join(MARKER);
            fs::rename(self.staging.path().join(MARKER), &marker).at("rename the marker to", &marker)?;
        }
        self.place_index(after)?;
        Ok(true)
    }

    /// Whether a blob is staged.
    pub(super) fn holds(&self, digest: &Digest) -> bool {
        self.blobs.contains_key(digest)
    }

    /// A blob that is staged; none if it is not.
    pub(super) fn staged_blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>> {
        if !self.holds(digest) {
            return Ok(None);
        }
        let path = self.staging.path().join(blob_path(digest));
        fs::read(&path).map(Some).at("read", &path)
    }

    /// Waits until what is staged is on the disk.
    pub(super) fn sync(&self) -> Result<()> {
        match self.kind {
            TargetKind::Archive(_) => sync(&self.archive_path()),
            _ => self.blobs.keys().try_for_each(|digest| sync(&self.staging.path().join(blob_path(digest)))),
        }
    }

    /// Gives the staged blobs their places in the layout, whose lock is held.
    pub(super) fn place_blobs(&self) -> Result<()> {
        let staged = |digest| self.staging.path().join(blob_path(digest));
        self.blobs.keys().try_for_each(|digest| self.place(&staged(digest), digest))
    }

    /// Gives a staged file its place as a blob of the layout.
    fn place(&self, staged: &Path, digest: &Digest) -> Result<()> {
        let to = self.target.path.join(blob_path(digest));
        let directory = to.parent().expect("a blob's path has a directory");
        fs::create_dir_all(directory).at("create the directory", directory)?;
        // What stands there already may be damaged; a rename replaces it without touching a deployed hard link.
        fs::rename(staged, &to).at("rename a blob to", &to)
    }

    /// Puts an index in the place of the layout's own, whose lock is held.
    pub(super) fn place_index(&self, index: Index) -> Result<()> {
        let path = self.write(INDEX, Document::seal(index).raw())?;
        let to = self.target.path.join(INDEX);
        sync(&path)?;
        fs::rename(&path, &to).at("rename the index to", &to)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<PathBuf> {
        let path = self.staging.path().join(name);
        let mut file = BufWriter::new(File::create(&path).at("create", &path)?);
        file.write_all(bytes).and_then(|()| file.flush()).at("write", &path)?;
        Ok(path)
    }

    /// Marker and index first, so that a reader of a stream meets them first, then the blobs in the order of their digests.
    fn layout_files(&self) -> impl Iterator<Item = Result<Packed>> + '_ {
        let lists = [MARKER, INDEX].map(str::to_owned).into_iter();
        let open = |name: String| Ok(Packed { content: Content::open(&self.staging.path().join(&name))?, name });
        lists.chain(self.blobs.keys().map(blob_path)).map(open)
    }

    /// Makes the archive of its files.
    fn pack(&self, files: impl IntoIterator<Item = Result<Packed>>, codec: Codec, threads: NonZeroUsize) -> Result<()> {
        let path = self.archive_path();
        let file = File::create(&path).at("create", &path)?;
        let digest = pack::write(files, file, self.staging.path(), codec, threads)?;
        if self.has_checksum() {
            self.write(CHECKSUM, &checksum::line(&digest, &self.target.path))?;
        }
        Ok(())
    }

    /// What is staged, to be read.
    fn staged_layout(&self) -> Result<Layout> {
        let path = self.staging.path().to_path_buf();
        Layout::open(&Location { transport: Transport::Oci, path, name: None })
    }

    fn archive_path(&self) -> PathBuf {
        self.staging.path().join("archive")
    }

    /// Where a blob stands while it is staged.
    fn staged(&self, digest: &Digest) -> Result<PathBuf> {
        let path = self.staging.path().join(blob_path(digest));
        if digest.algorithm_name() != "sha256" {
            let directory = path.parent().expect("a blob's path has a directory");
            fs::create_dir_all(directory).at("create the directory", directory)?;
        }
        Ok(path)
    }
}

/// Waits until a file's content is on the disk.
fn sync(path: &Path) -> Result<()> {
    File::open(path).and_then(|file| file.sync_data()).at("write", path)
}

/// A file that becomes a blob.
#[derive(Debug)]
pub struct BlobFile {
    file: File,
    path: PathBuf,
}

/// Where a [`BlobFile`] was written.
#[derive(Debug)]
pub struct BlobPath(PathBuf);

impl BlobPath {
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl BlobFile {
    /// The file to write to, and its place for [`LayoutWriter::adopt`].
    pub fn into_parts(self) -> (File, BlobPath) {
        (self.file, BlobPath(self.path))
    }
}
