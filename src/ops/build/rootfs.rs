//! Where the rootfs is: a directory, a tar archive, or the upper directory of an overlay.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::FileType;

use crate::digest::ContentDigest;
use crate::error::{Error, ErrorKind, IoContext, Result};
use crate::layout::{refuse_location_as_path, Location};
use crate::ops::build::image_as_rootfs::{self, refuse_image};
use crate::tree::{self, Content, Excluded, Scan, ScanPolicy, TarPath, Tree};
use crate::work::Observer;

/// A root filesystem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rootfs {
    /// A directory.
    Directory(PathBuf),
    /// A tar archive, compressed or not; the compression is detected from its content.
    Archive(PathBuf),
    /// A tar archive on standard input.
    Stdin,
    /// What an overlay filesystem has written over the base image.
    OverlayUpper(PathBuf),
}

/// A rootfs that was read.
pub(super) struct ReadRootfs<'a> {
    pub(super) tree: Tree,
    pub(super) content: Box<dyn Content + Sync + 'a>,
    /// What a layer cannot hold.
    pub(super) warnings: Vec<String>,
    /// What was left out.
    pub(super) excluded: Excluded,
    /// Directories that lead to entries of an archive and that it does not describe.
    pub(super) made_up: BTreeSet<TarPath>,
    /// Digests of files whose content is only in the base, by their paths.
    pub(super) of_base: BTreeMap<TarPath, ContentDigest>,
}

impl Rootfs {
    /// Parses what a user means by a path: `-` is standard input, a file is an archive.
    pub fn parse(path: &OsStr) -> Result<Self> {
        if path == "-" {
            return Ok(Rootfs::Stdin);
        }
        let path = PathBuf::from(path);
        if path.symlink_metadata().is_err() {
            refuse_location(&path)?;
        }
        let found = fs::metadata(&path).at("read the rootfs", &path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => {
                error.advising("it is a directory or a tar archive, or `-` for an archive on standard input")
            }
            _ => error,
        });
        match FileType::from_raw_mode(found?.mode()) {
            FileType::Directory => {
                refuse_layout(&path)?;
                Ok(Rootfs::Directory(path))
            }
            FileType::RegularFile | FileType::Fifo | FileType::CharacterDevice => Ok(Rootfs::Archive(path)),
            _ => Err(Error::refused(format!("rootfs `{}`: a directory or a tar archive is wanted", path.display()))
                .of_kind(ErrorKind::Invalid)),
        }
    }

    /// Its name in messages.
    pub(crate) fn name(&self) -> String {
        match self {
            Rootfs::Directory(path) | Rootfs::Archive(path) | Rootfs::OverlayUpper(path) => path.display().to_string(),
            Rootfs::Stdin => "standard input".to_owned(),
        }
    }

    /// Returns the directory that is read, or `None` if it is not one.
    pub(super) fn directory(&self) -> Option<&Path> {
        match self {
            Rootfs::Directory(path) | Rootfs::OverlayUpper(path) => Some(path),
            Rootfs::Archive(_) | Rootfs::Stdin => None,
        }
    }
}

/// Reads a directory.
pub(super) fn read_directory(root: &Path, policy: &ScanPolicy, observer: &dyn Observer) -> Result<ReadRootfs<'static>> {
    let name = root.display().to_string();
    refuse_layout(root)?;
    let Scan { tree, content, sockets, excluded } = tree::scan(root, policy, observer)?;
    if tree.len() == 1 {
        return Err(nothing_in(&name, &excluded));
    }
    let warnings = left_out(&sockets);
    let (made_up, of_base) = (BTreeSet::new(), BTreeMap::new());
    Ok(ReadRootfs { tree, content: Box::new(content), warnings, excluded, made_up, of_base })
}

/// Refuses a directory that is an image layout.
fn refuse_layout(root: &Path) -> Result<()> {
    refuse_image(&root.display().to_string(), Some("oci"), |top| root.join(top).symlink_metadata().is_ok())
}

/// Returns warnings about sockets.
pub(super) fn left_out(sockets: &[TarPath]) -> Vec<String> {
    sockets.iter().map(|path| format!("`{path}` is a socket, which a layer cannot hold: left out")).collect()
}

/// Refuses a path that has the form of an image's name: `oci:out:v1`.
fn refuse_location(path: &Path) -> Result<()> {
    const TRANSPORTS: [&[u8]; 4] = [b"oci:", b"oci-archive:", b"docker-archive:", b"docker:"];
    let text = path.as_os_str();
    if !TRANSPORTS.iter().any(|transport| text.as_bytes().starts_with(transport)) {
        return refuse_location_as_path("a root filesystem", path);
    }
    let location = Location::parse(text)?;
    Err(image_as_rootfs::refusal(&path.display().to_string(), "an image", &location.to_string()))
}

/// The error for a rootfs without anything that could be in an image.
pub(super) fn nothing_in(name: &str, excluded: &Excluded) -> Error {
    if excluded.anything {
        let message = format!("nothing is left of the rootfs `{name}`: all of it is excluded");
        Error::refused_with_hint(message, "`dir/*` is what is in one directory, `*` is all there is")
            .of_kind(ErrorKind::Invalid)
    } else {
        Error::refused(format!("rootfs `{name}` is empty")).of_kind(ErrorKind::Invalid)
    }
}

/// Opens an archive or standard input.
pub(super) fn open(path: Option<&Path>) -> Result<File> {
    match path {
        Some(path) => File::open(path).at("open the rootfs", path),
        // A descriptor of its own, so that a redirected file can be read at any place.
        None => io::stdin().as_fd().try_clone_to_owned().map(File::from).at("open", Path::new("standard input")),
    }
}
