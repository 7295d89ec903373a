//! `gc`: removes blobs that nothing leads to.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{flock, FlockOperation};
use serde::Serialize;

use crate::digest::Digest;
use crate::error::{Error, ErrorKind, IoContext, Result};
use crate::hint::Hint;
use crate::layout::{Abandoned, Draft, Location, Reach, Transaction, Transport};
use crate::work::{Observer, Work};

/// How a layout is cleaned up.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct GcOptions {
    /// Whether blobs are removed.
    pub mode: GcMode,
}

/// Whether blobs are removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GcMode {
    /// They are removed.
    #[default]
    Free,
    /// They are only listed.
    DryRun,
}

/// What was, or would be, removed.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct GcReport {
    /// Where the layout is.
    pub image: String,
    /// Whether this was a dry run, which removes nothing.
    pub dry_run: bool,
    /// The blobs, in the order of their digests.
    pub freed: Vec<FreedBlob>,
    /// Their bytes.
    pub bytes: u64,
    /// The names of staging directories that killed runs have left.
    pub cleared: Vec<String>,
    /// How many blobs stay.
    pub kept: usize,
}

/// A blob that nothing leads to.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct FreedBlob {
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
}

/// Removes the blobs of a layout that no descriptor leads to, and what killed runs have left.
///
/// Everything that `index.json` leads to is kept, named or not: nested indexes, artifacts and their subjects, blobs of
/// unknown media types and the digests in them. What another run of this tool is writing is in a staging directory of
/// its own until it is listed, and is not touched. Neither are files that are not blobs.
///
/// # Errors
///
/// Nothing is removed if a document is malformed or a blob is missing, since what else is needed is then unknown, or
/// while umoci is writing, whose blobs are among the others before anything leads to them.
pub fn gc(location: &Location, options: &GcOptions, work: &Work<'_>) -> Result<GcReport> {
    if let Some(part) = location.part() {
        let message = format!("image `{location}`: a whole layout is wanted, found one of its images");
        return Err(Error::refused_with_hint(message, format!("leave `{part}` out")).of_kind(ErrorKind::Invalid));
    }
    let mode = options.mode;
    let target = Transaction::edit(location, work.limits)?;
    match mode {
        GcMode::DryRun => target.rehearse(work, |draft| Ok(collect(draft, mode, work.observer)?.0)),
        GcMode::Free => {
            let (report, abandoned) = target.commit(work, |draft| collect(draft, mode, work.observer))?;
            abandoned.into_iter().for_each(Abandoned::clear);
            Ok(report)
        }
    }
}

/// Finds what can be removed, and removes the blobs.
fn collect(draft: &mut Draft<'_>, mode: GcMode, observer: &dyn Observer) -> Result<(GcReport, Vec<Abandoned>)> {
    let layout = draft.layout()?;
    let location = layout.location();
    let is_directory = location.transport == Transport::Oci;
    if is_directory {
        refuse_while_umoci_writes(location)?;
    }
    observer.step(&format!("follow what {location} lists"));
    let stored = layout.blobs()?;
    let reach = Reach::of(layout, &draft.index().manifests).map_err(nothing_was_freed)?;
    let missing = reach.blobs.iter().find(|(digest, need)| need.is_promised && !stored.contains_key(digest));
    if let Some((digest, _)) = missing {
        return Err(nothing_was_freed(layout.lacks(digest)));
    }
    let kept = stored.keys().filter(|digest| reach.blobs.contains_key(digest)).count();
    let freed: Vec<FreedBlob> = stored
        .into_iter()
        .filter(|(digest, _)| !reach.blobs.contains_key(digest))
        .map(|(digest, size)| FreedBlob { digest, size })
        .collect();
    let abandoned = if is_directory { Abandoned::within(&location.path) } else { Vec::new() };
    let name = |abandoned: &Abandoned| abandoned.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
    draft.free(freed.iter().map(|blob| blob.digest.clone()));
    let report = GcReport {
        image: draft.target().to_string(),
        dry_run: mode == GcMode::DryRun,
        bytes: freed.iter().map(|blob| blob.size).sum(),
        cleared: abandoned.iter().map(name).collect(),
        freed,
        kept,
    };
    Ok((report, abandoned))
}

fn nothing_was_freed(error: Error) -> Error {
    match error {
        Error::Malformed { .. } | Error::Mismatch { .. } => {
            error.advising(Hint::from("nothing was freed, since no one can tell what is needed: see ").verb("verify"))
        }
        error => error,
    }
}

/// How the names of umoci's directories begin.
const UMOCI_PREFIX: &[u8] = b".umoci-";

/// Refuses to work while umoci is writing: it locks a directory in the layout, and writes blobs before it lists them.
fn refuse_while_umoci_writes(location: &Location) -> Result<()> {
    let layout = &location.path;
    for entry in fs::read_dir(layout).at("list", layout)? {
        let name = entry.at("list", layout)?.file_name();
        if name.as_bytes().starts_with(UMOCI_PREFIX) && is_locked(&layout.join(&name)) {
            return Err(Error::refused_with_hint(
                format!("image `{location}`: nothing was freed, since umoci is writing in `{}`", shown(&name)),
                "try again when it is done",
            ));
        }
    }
    Ok(())
}

fn shown(name: &OsStr) -> String {
    name.to_string_lossy().escape_debug().to_string()
}

fn is_locked(path: &Path) -> bool {
    let taken = |file: File| flock(&file, FlockOperation::NonBlockingLockExclusive).is_err();
    path.is_dir() && File::open(path).is_ok_and(taken)
}
