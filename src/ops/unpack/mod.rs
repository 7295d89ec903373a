//! `unpack`: puts the image's filesystem on disk.
//!
//! The layers are read once, from the base up, and verified on the way: the digest and size of each blob and the
//! diff_id of its tar (image-spec, layer.md#applying-changesets). Everything is made in a staging directory beside the
//! target and appears by one rename, so a failed unpack leaves nothing. Names in an archive never reach anything
//! outside: the module `disk` says why.

mod apply;
mod content;
mod disk;
mod dress;
mod inode;
mod lookup;
mod options;
mod runtime;
mod skipped;
mod user;
mod xattr;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::digest::Digest;
use crate::error::{Error, ErrorKind, IoContext, Result};
use crate::image::tree::layers_of;
use crate::layout::{
    about_target, refuse_archive_as_directory, refuse_location_as_path, show, Layout, Location, Staging,
};
use crate::oci::total_size;
use crate::work::Work;

use disk::Disk;
pub use options::{Form, Rights, UnpackOptions};
pub use skipped::Skipped;

/// What was unpacked.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct UnpackReport {
    /// The digest of the image's manifest.
    pub digest: Digest,
    /// Entries on disk, including the root.
    pub entries: usize,
    /// Bytes of files' contents that were written; those that an upper layer replaced count too.
    pub bytes: u64,
    /// What could not be set or made, in the order of the paths.
    pub skipped: Vec<Skipped>,
    /// Warnings.
    pub warnings: Vec<String>,
}

/// Unpacks an image into a directory that does not exist or is empty.
///
/// The process's umask must not mask the owner's bits; otherwise it does not matter.
pub fn unpack(location: &Location, directory: &Path, options: &UnpackOptions, work: &Work<'_>) -> Result<UnpackReport> {
    let (mut report, warnings) = work.with_warnings(|work| unpack_told(location, directory, options, work))?;
    report.warnings = warnings;
    Ok(report)
}

fn unpack_told(
    location: &Location,
    directory: &Path,
    options: &UnpackOptions,
    work: &Work<'_>,
) -> Result<UnpackReport> {
    let observer = work.observer;
    let layout = &Layout::open(location, work.limits)?;
    let image = &layout.image(options.platform.as_ref())?;
    let layers = layers_of(layout, image, observer)?;
    let target = target(directory)?;
    let staging = Staging::beside(&target).map_err(|error| about_target(error, directory, false))?;
    // No other user gets in before everything has its owner and mode, and into a bundle not even then: an owner in the
    // container may be another user of the host.
    xattr::disinherit(staging.path(), directory)?;
    observer.expect(total_size(layers.iter().map(|(descriptor, _)| *descriptor)));

    let root_in = |directory: &Path| match options.form {
        Form::Rootfs => directory.to_path_buf(),
        Form::Bundle => directory.join(runtime::ROOTFS),
    };
    let mut disk = Disk::create(root_in(staging.path()), root_in(directory), options.rights)?;
    let mut warnings = Vec::new();
    for (number, (descriptor, diff_id)) in layers.iter().enumerate() {
        observer.step(&format!("apply layer {} of {}, {}", number + 1, layers.len(), descriptor.digest));
        let ignored = apply::layer(layout, descriptor, diff_id, &mut disk, observer)?;
        warnings.extend(ignored);
    }
    if options.form == Form::Bundle {
        let path = staging.path().join(runtime::CONFIG);
        let config = runtime::config(image.config.value(), &mut disk, options.rights, &mut warnings)?;
        fs::write(path, config).at("write", &directory.join(runtime::CONFIG))?;
    }
    let shown = disk.close_directories(observer).and_then(|()| {
        observer.check()?;
        let _showing = show()?;
        fs::rename(staging.path(), &target).at("rename the tree to", directory)
    });
    if let Err(error) = shown {
        // A directory that its owner may not read cannot be removed with its content.
        disk.open_directories();
        return Err(error);
    }

    let skipped = skipped::list(&disk);
    warnings.extend(skipped::summary(&skipped));
    work.warn(warnings);
    let digest = image.path.descriptor().digest.clone();
    Ok(UnpackReport { digest, entries: disk.entries(), bytes: disk.written(), skipped, warnings: Vec::new() })
}

/// Returns the directory by its parent and name, checked as far as possible before the work is done.
fn target(directory: &Path) -> Result<PathBuf> {
    let refuse = |found: &str, hint: &str| {
        let message = format!("`{}`: a new or empty directory is wanted, found {found}", directory.display());
        Err(Error::refused_with_hint(message, hint))
    };
    if directory == Path::new("-") {
        return refuse(
            "`-`, which means a stream elsewhere",
            "a directory of this name is `./-`; `tar -c` makes a stream of one",
        );
    }
    refuse_location_as_path("a new or empty directory", directory)?;
    refuse_archive_as_directory("a new or empty directory", directory)?;
    let Some(name) = directory.file_name() else {
        return refuse("a path without a name", "name the directory by its parent: the image appears by a rename");
    };
    let parent = match directory.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let parent_metadata = match parent.metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let message = format!("`{}`: its directory `{}` is missing", directory.display(), parent.display());
            return Err(Error::refused_with_hint(message, "make it first").of_kind(ErrorKind::NotFound));
        }
        metadata => metadata.at("read the metadata of", parent)?,
    };
    let target = parent.join(name);
    match target.symlink_metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(target),
        Err(error) => Err(error).at("read the metadata of", directory),
        Ok(metadata) if metadata.is_symlink() => refuse("a symbolic link", "name the directory itself"),
        Ok(metadata) if !metadata.is_dir() => refuse("a file", "choose another name"),
        Ok(metadata) if metadata.dev() != parent_metadata.dev() => {
            refuse("the root of a filesystem", "name a new directory in it: the image appears by a rename")
        }
        Ok(_) if fs::read_dir(&target).at("list", directory)?.next().is_some() => {
            refuse("a directory with something in it", "choose another name, or empty it first")
        }
        Ok(_) => Ok(target),
    }
}

#[cfg(test)]
mod tests;
