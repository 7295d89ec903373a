//! The one way to change a target: a layout directory, an archive of a layout or a docker archive.
//!
//! A [`Transaction`] is opened, blobs are added to its [`Stage`], and [`commit`](Transaction::commit) publishes them
//! with the index that a closure makes from a [`Draft`], while the target is locked. Everything that can fail is done
//! before the first rename, also for several targets ([`commit_all`]). A dropped transaction leaves no trace.

mod archive;
mod checksum;
mod commit;
mod draft;
mod file;
mod hold;
mod lock;
mod merge;
mod place;
mod replaced;
mod stage;
mod staging;
mod take;
mod target;
#[cfg(test)]
mod tests;

pub use checksum::Checksum;
pub(crate) use commit::commit_all;
pub(crate) use draft::{displacement, Draft};
pub use file::{about_directory, write_file};
pub(crate) use lock::hold_still;
pub(crate) use merge::bears;
pub use replaced::holds_no_image;
pub(crate) use stage::{BlobPath, Stage};
pub use staging::abandon;
pub(crate) use staging::{about_target, show, Abandoned, Staging, STAGING_PREFIX};
pub(crate) use take::{Taken, TakenBlob, Trust, Watched};

use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};
use crate::layout::{DockerForm, Layout, Location, INDEX};
use crate::limits::Limits;
use hold::FormerContent;
use target::TargetKind;

/// A change of one target.
#[derive(Debug)]
pub(crate) struct Transaction {
    target: Location,
    kind: TargetKind,
    existing: FormerContent,
    stage: Stage,
    /// The path of the checksum file, if one is wanted.
    checksum: Option<PathBuf>,
}

impl Transaction {
    /// Opens a target that may be new. An existing layout gains images, an archive is replaced. `form` applies only to
    /// docker archives, `checksum` only to archives.
    pub(crate) fn create(target: &Location, form: DockerForm, checksum: Checksum, limits: Limits) -> Result<Self> {
        let parent = target.directory();
        if !parent.is_dir() {
            return Err(Error::refused_with_hint(
                format!("target `{target}`: its directory `{}` is missing", parent.display()),
                match target.path.strip_prefix("~") {
                    Ok(path) => {
                        let meant = Location { path: Path::new("$HOME").join(path), ..target.clone() };
                        format!("a shell does not expand `~` after a colon: write `{meant}`")
                    }
                    Err(_) => "make it first".to_owned(),
                },
            )
            .of_kind(ErrorKind::NotFound));
        }
        let kind = TargetKind::of(target, form, limits)?;
        let transaction = Transaction::new(target, kind, FormerContent::Superseded, limits).with_checksum(checksum)?;
        // Report a target that cannot be written now, not after hours of work.
        transaction.stage.directory()?;
        Ok(transaction)
    }

    /// Opens an existing target. An archive keeps its content.
    pub(crate) fn edit(location: &Location, limits: Limits) -> Result<Self> {
        let metadata = location.metadata_in_place()?;
        let kind = if metadata.is_dir() {
            if !location.path.join(INDEX).is_file() {
                // Nothing is staged in a directory that is not a layout.
                let layout = Layout::open(location, limits)?;
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
            return Err(Error::refused(message).of_kind(ErrorKind::Invalid));
        };
        Ok(Transaction::new(location, kind, FormerContent::Edited, limits))
    }

    /// Opens a target that may be new. An archive keeps its content.
    pub(crate) fn extend(target: &Location, form: DockerForm, checksum: Checksum, limits: Limits) -> Result<Self> {
        if target.path.is_file() && !target.is_stream() {
            return Transaction::edit(&target.of_all(), limits)?.with_checksum(checksum);
        }
        Transaction::create(target, form, checksum, limits)
    }

    fn new(target: &Location, kind: TargetKind, existing: FormerContent, limits: Limits) -> Self {
        let home = if kind == TargetKind::Directory { &target.path } else { target.directory() };
        let stage = Stage::new(target, home, limits);
        Transaction { target: target.clone(), kind, existing, stage, checksum: None }
    }

    /// Requests a checksum file, which appears right after the archive. Layouts and streams have none.
    fn with_checksum(mut self, checksum: Checksum) -> Result<Self> {
        if checksum == Checksum::Sha256 && self.kind.is_archive() && !self.target.is_stream() {
            self.checksum = Some(checksum::place(&self.target)?);
        }
        Ok(self)
    }

    /// The stage of the target's blobs.
    pub(crate) fn stage(&self) -> &Stage {
        &self.stage
    }

    /// The stage of the target's blobs.
    pub(crate) fn stage_mut(&mut self) -> &mut Stage {
        &mut self.stage
    }
}
