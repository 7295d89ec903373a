//! What is at a target's path, and how the target is written there.

use std::fs;
use std::io::{self, IsTerminal};
use std::os::unix::ffi::OsStrExt;

use crate::compress::Codec;
use crate::error::{Error, ErrorKind, IoContext, Result};
use crate::layout::transaction::hold::{check_version, refuse_linked_blobs};
use crate::layout::transaction::replaced::{holds_only_remains, refuse_other_file};
use crate::layout::{DockerForm, Layout, Location, Transport, INDEX};
use crate::limits::Limits;

/// The state of the target's path when the transaction was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TargetKind {
    /// A layout that gains images, or an empty directory that becomes one. The directory itself is kept: it may be a
    /// mount point, the current directory, or the target of a link.
    Directory,
    /// Does not exist; a layout will be created.
    NewLayout,
    /// An archive that is replaced as a whole, with this compression.
    Archive(Codec),
    /// Likewise for a docker archive.
    DockerArchive(Codec, DockerForm),
}

impl TargetKind {
    /// Whether the target is a file.
    pub(super) fn is_archive(self) -> bool {
        matches!(self, TargetKind::Archive(_) | TargetKind::DockerArchive(..))
    }

    /// Examines the path of a target. Fails if the target can neither replace nor extend what is there. `form` applies
    /// only to docker archives.
    pub(super) fn of(target: &Location, form: DockerForm, limits: Limits) -> Result<Self> {
        let path = &target.path;
        let archive = match target.transport {
            Transport::Oci => None,
            Transport::OciArchive | Transport::Archive => Some(TargetKind::Archive(target.outer_codec()?)),
            Transport::DockerArchive => Some(TargetKind::DockerArchive(target.outer_codec()?, form)),
        };
        if let (Some(archive), true) = (archive, target.is_stream()) {
            return refuse_terminal(target).map(|()| archive);
        }
        let metadata = match path.metadata() {
            Err(_) if path.symlink_metadata().is_ok() => return Err(not_followed(target)),
            metadata => metadata.ok(),
        };
        // A path with a trailing slash means a directory, whether it exists or not.
        let is_directory = metadata.as_ref().map_or(path.as_os_str().as_bytes().ends_with(b"/"), fs::Metadata::is_dir);
        let metadata = match metadata {
            Some(metadata) => metadata,
            None if is_directory && archive.is_some() => return Err(not_a_file(target)),
            None => return Ok(archive.unwrap_or(TargetKind::NewLayout)),
        };
        match (archive, is_directory) {
            // A rename would replace the link, even /dev/stdout.
            (Some(_), false) if path.is_symlink() => Err(not_followed(target)),
            (Some(_), false) if !metadata.is_file() => {
                Err(Error::refused(format!("target `{target}`: a file is wanted, found a device, pipe or socket"))
                    .of_kind(ErrorKind::Invalid))
            }
            (Some(archive), false) => refuse_other_file(target, limits).map(|()| archive),
            (Some(_), true) => Err(not_a_file(target)),
            (None, false) => Err(Error::refused_with_hint(
                format!("target `{target}`: a directory is wanted, found a file"),
                "write to an archive with `oci-archive:`",
            )
            .of_kind(ErrorKind::Invalid)),
            (None, true) => check_directory(target, limits).map(|()| TargetKind::Directory),
        }
    }
}

/// Accepts a layout, or a directory with nothing but the remains of a killed run, which would have written the index
/// last.
pub(super) fn check_directory(target: &Location, limits: Limits) -> Result<()> {
    let path = &target.path;
    refuse_linked_blobs(target)?;
    if !path.join(INDEX).is_file() {
        fs::read_dir(path).at("list", path)?;
        if holds_only_remains(path) {
            return Ok(());
        }
        return Err(Error::refused_with_hint(
            format!("target `{target}`: a layout or an empty directory is wanted, found other files"),
            "choose a directory of its own for the layout",
        ));
    }
    let layout = Layout::open(target, limits)?;
    layout.index()?;
    check_version(&layout)
}

fn refuse_terminal(target: &Location) -> Result<()> {
    if io::stdout().is_terminal() {
        return Err(Error::refused_with_hint(
            format!("target `{target}`: standard output is a terminal"),
            "send it to a file, or through a pipe to `docker load` or `podman load`",
        ));
    }
    Ok(())
}

/// Refuses an archive path that is a symbolic link.
pub(super) fn refuse_link(target: &Location) -> Result<()> {
    if target.path.is_symlink() {
        return Err(not_followed(target));
    }
    Ok(())
}

fn not_a_file(target: &Location) -> Error {
    Error::refused_with_hint(
        format!("target `{target}`: a file is wanted, found a directory"),
        "write to a layout directory with `oci:`",
    )
    .of_kind(ErrorKind::Invalid)
}

fn not_followed(target: &Location) -> Error {
    let is_stdout = ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"].iter().any(|path| target.path.as_os_str() == *path);
    let hint = if is_stdout {
        format!("for standard output, write `{}`", Location { path: "-".into(), ..target.clone() })
    } else {
        "give the path that it leads to".to_owned()
    };
    Error::refused_with_hint(format!("target `{target}` is a symbolic link, which is not followed"), hint)
}
