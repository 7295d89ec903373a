//! Packs an archive from what is staged.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::PathBuf;

use crate::compress::Codec;
use crate::digest::Digest;
use crate::error::{Error, IoContext, Result};
use crate::layout::names::with_full_names;
use crate::layout::pack::{self, FileContent, Packed};
use crate::layout::transaction::stage::{too_large, TargetFile};
use crate::layout::transaction::target::TargetKind;
use crate::layout::transaction::{checksum, Transaction};
use crate::layout::{blob_path, docker, size_limit, Layout, INDEX, MARKER};
use crate::oci::{Document, Index, LayoutMarker};
use crate::work::Work;

/// The names of an archive and its checksum in the staging directory.
const ARCHIVE: &str = "archive";
const CHECKSUM: &str = "checksum";

impl Transaction {
    /// Packs what is staged. When an archive is edited, `layout` is that archive, and its content is kept except for
    /// the `freed` blobs. Returns the pending renames: none for standard output.
    pub(super) fn pack(
        &mut self,
        layout: Option<&Layout>,
        index: Index,
        freed: &BTreeSet<Digest>,
        work: &Work<'_>,
    ) -> Result<Vec<(PathBuf, PathBuf)>> {
        let marker = match layout {
            Some(layout) => {
                self.keep(layout, freed)?;
                layout.marker()?
            }
            None => Document::seal(LayoutMarker::default()),
        };
        self.stage.write(MARKER, marker.raw())?;
        let digest = match self.kind {
            TargetKind::DockerArchive(codec, form) => {
                let staged = Layout::staged(&self.target, self.stage.directory()?, work.limits);
                let blobs = self.stage.blobs().keys().cloned();
                let planned =
                    docker::plan(&staged, &index.manifests, blobs, form).map_err(|error| self.about_staged(error))?;
                if let Some((name, size)) = planned.iter().find_map(|file| file.beyond_limit(self.stage.limits())) {
                    let limit = size_limit(name, self.stage.limits());
                    return Err(too_large(&self.target, &format!("`{name}`"), size, limit));
                }
                let files = planned.into_iter().map(|file| file.open(&staged, || self.stage.scratch_file()));
                self.write_archive(files, codec, work)?
            }
            TargetKind::Archive(codec) => {
                self.write_index(with_full_names(index))?;
                self.write_archive(self.files()?, codec, work)?
            }
            TargetKind::Directory | TargetKind::NewLayout => unreachable!("a layout is not packed"),
        };
        if self.target.is_stream() {
            return Ok(Vec::new());
        }
        let staging = self.stage.directory()?;
        let mut renames = vec![(staging.join(ARCHIVE), self.target.path.clone())];
        if let Some(checksum) = &self.checksum {
            let line = checksum::line(&digest, &self.target.path);
            renames.push((self.stage.write(CHECKSUM, &line)?, checksum.clone()));
        }
        Ok(renames)
    }

    /// Returns an error about what is staged by the name of the target.
    fn about_staged(&self, error: Error) -> Error {
        match error {
            Error::Io { cause, .. } => {
                Error::Io { action: "read back what is staged for", path: self.stage.place().to_path_buf(), cause }
            }
            error => error,
        }
    }

    /// Copies the kept content of an archive.
    fn keep(&mut self, layout: &Layout, freed: &BTreeSet<Digest>) -> Result<()> {
        let kept = layout.blobs()?.into_iter().filter(|(digest, _)| !freed.contains(digest));
        for (digest, size) in kept {
            if !self.stage.holds(&digest) {
                self.stage.copy_stored(layout, &digest, size)?;
            }
        }
        Ok(())
    }

    /// Lists marker and index first, for readers of a stream, then the blobs in the order of their digests.
    fn files(&self) -> Result<impl Iterator<Item = Result<Packed>> + '_> {
        let staging = self.stage.directory()?;
        let lists = [MARKER, INDEX].map(str::to_owned).into_iter();
        let open =
            |name: String| Ok(Packed { content: FileContent::open(&staging.join(&name), self.stage.place())?, name });
        Ok(lists.chain(self.stage.blobs().keys().map(blob_path)).map(open))
    }

    fn write_archive(
        &self,
        files: impl IntoIterator<Item = Result<Packed>>,
        codec: Codec,
        work: &Work<'_>,
    ) -> Result<Digest> {
        let file = if self.target.is_stream() {
            io::stdout().as_fd().try_clone_to_owned().map(File::from)
        } else {
            File::create(self.stage.directory()?.join(ARCHIVE))
        };
        let file = TargetFile::new(file.at("write", self.stage.place())?, self.stage.place());
        pack::write(files, file, self.stage.place(), codec, work.threads)
    }
}
