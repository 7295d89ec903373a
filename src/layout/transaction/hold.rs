//! An existing target, locked against other writers.

use std::fs::File;

use crate::error::{Error, ErrorKind, Result};
use crate::hint::Hint;
use crate::layout::transaction::lock::lock;
use crate::layout::{digest_of_path, Layout, Location, Transport, BLOBS, DOCKER_MANIFEST, INDEX, MARKER};
use crate::limits::Limits;
use crate::oci::{Index, LayoutMarker};
use crate::work::Work;

/// Whether an archive keeps its images, in which case it must exist. A layout directory always keeps its images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FormerContent {
    Superseded,
    Edited,
}

/// The algorithms whose blobs have their own directory.
const ALGORITHMS: [&str; 2] = ["sha256", "sha512"];

/// A layout, directory or archive, that was locked and then read.
#[derive(Debug)]
pub(super) struct Held {
    /// `None` if there is no index yet.
    pub(super) layout: Option<Layout>,
    pub(super) index: Index,
    pub(super) _lock: File,
}

impl Held {
    /// Waits for the lock on the target's path, then reads its current index.
    pub(super) fn wait_for(target: &Location, existing: FormerContent, work: &Work<'_>) -> Result<Self> {
        let lock = lock(&target.path, work.observer)?;
        Held::read(target, existing, lock, work.limits)
    }

    fn read(target: &Location, existing: FormerContent, lock: File, limits: Limits) -> Result<Self> {
        refuse_linked_blobs(target)?;
        if existing == FormerContent::Edited {
            let layout = Layout::open(target, limits)?;
            check_transport(&layout)?;
            check_version(&layout)?;
            if layout.location().transport != Transport::Oci {
                check_archive(&layout)?;
            }
            let index = layout.index()?.value().clone();
            return Ok(Held { layout: Some(layout), index, _lock: lock });
        }
        if !target.path.join(INDEX).is_file() {
            return Ok(Held { layout: None, index: Index::default(), _lock: lock });
        }
        let layout = Layout::open(&target.of_all(), limits)?;
        let index = layout.index()?.value().clone();
        Ok(Held { layout: Some(layout), index, _lock: lock })
    }
}

/// Refuses a layout whose blob directory is a link: changes there would affect another layout without its knowledge.
pub(super) fn refuse_linked_blobs(target: &Location) -> Result<()> {
    let mut directories = vec![target.path.join(BLOBS)];
    directories.extend(ALGORITHMS.iter().map(|algorithm| target.path.join(BLOBS).join(algorithm)));
    match directories.iter().find(|directory| directory.is_symlink()) {
        Some(link) => Err(Error::refused_with_hint(
            format!("`{target}` is read, but not changed: `{}` is a symbolic link", link.display()),
            Hint::from("make a layout with blobs of its own with ").verb("convert"),
        )),
        None => Ok(()),
    }
}

fn check_transport(layout: &Layout) -> Result<()> {
    let location = layout.location();
    match location.transport {
        Transport::DockerArchive => Err(docker_archive(location)),
        _ => Ok(()),
    }
}

/// Refuses to edit a docker archive, also one with a layout in it.
fn docker_archive(location: &Location) -> Error {
    let path = location.path.display();
    Error::refused_with_hint(
        format!("image `{location}`: docker archives are read, not edited"),
        Hint::from("make a layout of it with ")
            .verb("convert")
            .text(format!(", from `docker-archive:{path}` to `oci:DIR`")),
    )
    .of_kind(ErrorKind::Unsupported)
}

/// Checks that a layout has the supported version.
pub(super) fn check_version(layout: &Layout) -> Result<()> {
    let version = layout.marker()?.into_value().image_layout_version;
    if version == LayoutMarker::VERSION {
        return Ok(());
    }
    let reason = format!("layout version {} expected, found {version}", LayoutMarker::VERSION);
    Err(Error::malformed(layout.location().to_string(), reason))
}

/// Checks that an archive can be rewritten with all its content and the same compression.
fn check_archive(layout: &Layout) -> Result<()> {
    let location = layout.location();
    let is_part = |name: &str| name == MARKER || name == INDEX || digest_of_path(name).is_some();
    let files = layout.files()?;
    if files.iter().any(|file| file.name == DOCKER_MANIFEST) {
        return Err(docker_archive(location));
    }
    if let Some(other) = files.into_iter().find(|file| !is_part(&file.name)) {
        return Err(Error::refused_with_hint(
            format!(
                "image `{location}`: an archive of nothing but a layout is wanted, found `{}`",
                other.name.escape_debug()
            ),
            Hint::from("it would be lost, or no longer fit: make a layout of it with ").verb("convert"),
        ));
    }
    let (found, ending) = (layout.outer_format(), location.outer_codec()?.format());
    if found != Some(ending) {
        return Err(Error::refused(format!(
            "image `{location}`: its name and its content do not tell the same compression"
        )));
    }
    Ok(())
}
