//! One way to change what stands at a target, be it a layout directory, an archive of a layout or a docker archive.
//!
//! A [`Transaction`] is opened, blobs gather in its [`Stage`], and [`commit`](Transaction::commit) shows them together
//! with the index that a closure makes of a [`Draft`]: of what the target lists while no one else can change it. All
//! that can fail is done before the first rename, for several targets too ([`commit_all`]). A transaction that is
//! dropped leaves nothing behind.

mod archive;
mod checksum;
mod commit;
mod draft;
mod hold;
mod lock;
mod merge;
mod place;
mod stage;
mod staging;
mod take;
mod target;
#[cfg(test)]
mod tests;

pub use checksum::Checksum;
pub(crate) use commit::commit_all;
pub(crate) use draft::Draft;
pub(crate) use stage::{BlobPath, Stage};
pub(crate) use staging::{Abandoned, Staging};
pub(crate) use take::{Taken, TakenBlob, Trust, Watched};

use std::path::PathBuf;

use crate::error::{Error, IoContext, Result};
use crate::layout::{DockerForm, Layout, Location, INDEX};
use crate::work::Work;
use hold::Held;
use target::TargetKind;

/// A change of one target.
#[derive(Debug)]
pub(crate) struct Transaction {
    target: Location,
    kind: TargetKind,
    existing: Existing,
    stage: Stage,
    /// Where the checksum of an archive is to stand, if it is to have one.
    checksum: Option<PathBuf>,
}

/// What becomes of the images that an archive holds, and whether the target must be there. A layout directory keeps
/// its images always.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Existing {
    Superseded,
    Edited,
}

impl Transaction {
    /// Opens a target that may be new. A layout that exists gains images, an archive is written anew. `form` matters to a
    /// docker archive alone, and `checksum` to archives.
    pub(crate) fn create(target: &Location, form: DockerForm, checksum: Checksum) -> Result<Self> {
        let parent = target.directory();
        if !parent.is_dir() {
            return Err(Error::refused_with_hint(
                format!("target `{target}`: its directory `{}` is missing", parent.display()),
                "make it first",
            ));
        }
        let transaction =
            Transaction::new(target, TargetKind::of(target, form)?, Existing::Superseded).with_checksum(checksum)?;
        // A target that cannot be written is told before hours of work.
        transaction.stage.directory()?;
        Ok(transaction)
    }

    /// Opens what is there. An archive keeps what it holds.
    pub(crate) fn edit(location: &Location) -> Result<Self> {
        let metadata = location.path.metadata().at("open the image", &location.path)?;
        let kind = if metadata.is_dir() {
            if !location.path.join(INDEX).is_file() {
                // Nothing is staged in a directory that is no layout.
                let layout = Layout::open(location)?;
                layout.marker()?;
                layout.index()?;
            }
            TargetKind::Directory
        } else if metadata.is_file() {
            target::refuse_link(location)?;
            TargetKind::Archive(location.outer_codec()?)
        } else {
            let message =
                format!("image `{location}`: a layout or an archive is wanted, found a device, pipe or socket");
            return Err(Error::refused(message));
        };
        Ok(Transaction::new(location, kind, Existing::Edited))
    }

    /// Opens a target that may be new, and keeps what an archive holds.
    pub(crate) fn extend(target: &Location, form: DockerForm, checksum: Checksum) -> Result<Self> {
        if target.path.is_file() && !target.is_stream() {
            return Transaction::edit(&target.of_all())?.with_checksum(checksum);
        }
        Transaction::create(target, form, checksum)
    }

    fn new(target: &Location, kind: TargetKind, existing: Existing) -> Self {
        let home = if kind == TargetKind::Directory { &target.path } else { target.directory() };
        Transaction { target: target.clone(), kind, existing, stage: Stage::new(target, home), checksum: None }
    }

    /// An archive gets a checksum, in a file beside it that appears right after it. A layout or a stream has none.
    fn with_checksum(mut self, checksum: Checksum) -> Result<Self> {
        if checksum == Checksum::Sha256 && self.kind.is_archive() && !self.target.is_stream() {
            self.checksum = Some(checksum::place(&self.target)?);
        }
        Ok(self)
    }

    /// Where its blobs gather.
    pub(crate) fn stage(&self) -> &Stage {
        &self.stage
    }

    /// Where its blobs gather.
    pub(crate) fn stage_mut(&mut self) -> &mut Stage {
        &mut self.stage
    }

    /// Shows what is staged, and the index that `change` makes; returns what `change` does. The target is whole before
    /// and after, whatever happens in between. Where nothing changes, nothing is written.
    ///
    /// If someone else makes a layout in the moment in which this one was to appear, `change` is called once more, for
    /// that.
    pub(crate) fn commit<R>(self, work: &Work<'_>, change: impl FnMut(&mut Draft<'_>) -> Result<R>) -> Result<R> {
        let mut made = commit_all(vec![self], work, change)?;
        Ok(made.pop().expect("one change has one result"))
    }

    /// Lets `change` be made as [`commit`](Self::commit) does, and forgets it.
    pub(crate) fn rehearse<R>(
        mut self,
        work: &Work<'_>,
        change: impl FnOnce(&mut Draft<'_>) -> Result<R>,
    ) -> Result<R> {
        let Held { layout, index, _lock } = Held::wait_for(&self.target, self.existing, work.observer)?;
        change(&mut Draft::new(&self.target, layout.as_ref(), &index, index.clone(), &mut self.stage))
    }
}
