//! What stands where a target is to be, and how it is written for that.

use std::fs;
use std::io::{self, IsTerminal};
use std::os::unix::ffi::OsStrExt;

use crate::compress::Codec;
use crate::error::{Error, IoContext, Result};
use crate::layout::transaction::hold::{check_version, refuse_linked_blobs};
use crate::layout::transaction::staging::STAGING_PREFIX;
use crate::layout::{DockerForm, Layout, Location, Transport, INDEX, MARKER};

/// What stood at the target's path when the transaction was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TargetKind {
    /// A layout that gains images, or an empty directory that becomes one. It stays the directory that it is: it may be
    /// a mount point, the current directory, or what a link leads to.
    Directory,
    /// Nothing.
    NewLayout,
    /// An archive, replaced whole; how it is compressed.
    Archive(Codec),
    /// The same of a docker archive.
    DockerArchive(Codec, DockerForm),
}

impl TargetKind {
    /// Whether it is a file.
    pub(super) fn is_archive(self) -> bool {
        matches!(self, TargetKind::Archive(_) | TargetKind::DockerArchive(..))
    }

    /// What stands at the path of a target; an error if the target cannot take its place or grow there. `form` matters to a
    /// docker archive alone.
    pub(super) fn of(target: &Location, form: DockerForm) -> Result<Self> {
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
        // A slash at its end makes a name that of a directory, whether there is one or not.
        let is_directory = metadata.as_ref().map_or(path.as_os_str().as_bytes().ends_with(b"/"), fs::Metadata::is_dir);
        let metadata = match metadata {
            Some(metadata) => metadata,
            None if is_directory && archive.is_some() => return Err(not_a_file(target)),
            None => return Ok(archive.unwrap_or(TargetKind::NewLayout)),
        };
        match (archive, is_directory) {
            // A rename would put the archive in the link's place, be it that of /dev/stdout.
            (Some(_), false) if path.is_symlink() => Err(not_followed(target)),
            (Some(_), false) if !metadata.is_file() => {
                Err(Error::refused(format!("target `{target}`: a file is wanted, found a device, pipe or socket")))
            }
            (Some(archive), false) => Ok(archive),
            (Some(_), true) => Err(not_a_file(target)),
            (None, false) => Err(Error::refused_with_hint(
                format!("target `{target}`: a directory is wanted, found a file"),
                "write to an archive with `oci-archive:`",
            )),
            (None, true) => check_directory(target).map(|()| TargetKind::Directory),
        }
    }
}

/// A directory is a layout, or holds nothing but what a killed run may have left: the index would have been its last act.
pub(super) fn check_directory(target: &Location) -> Result<()> {
    let path = &target.path;
    refuse_linked_blobs(target)?;
    if !path.join(INDEX).is_file() {
        let is_ours =
            |name: &[u8]| name == b"blobs" || name == MARKER.as_bytes() || name.starts_with(STAGING_PREFIX.as_bytes());
        let mut names = fs::read_dir(path).at("list", path)?.flatten().map(|entry| entry.file_name());
        if names.all(|name| is_ours(name.as_bytes())) {
            return Ok(());
        }
        return Err(Error::refused_with_hint(
            format!("target `{target}`: a layout or an empty directory is wanted, found other files"),
            "choose a directory of its own for the layout",
        ));
    }
    let layout = Layout::open(target)?;
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

/// Refuses an archive that is a link.
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
}

fn not_followed(target: &Location) -> Error {
    Error::refused_with_hint(
        format!("target `{target}` is a symbolic link, which is not followed"),
        "give the path that it leads to",
    )
}
