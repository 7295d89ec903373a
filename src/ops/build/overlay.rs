//! The upper directory of an overlay as a changeset: what the kernel marks as removed becomes whiteouts.
//!
//! The marks are those of the kernel's overlayfs: a character device 0:0 or an empty file with the attribute
//! `overlay.whiteout` is a removed name, and a directory with `overlay.opaque` set to `y` hides what is below it. The
//! attributes are in the namespace `trusted.`, or `user.` where the overlay was mounted without privilege.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use crate::error::{Error, Result};
use crate::layer::{Changeset, Origin};
use crate::ops::build::base::Base;
use crate::tree::{
    scan, Content, Device, Directory, Entry, Globs, Kind, Metadata, ScanPolicy, TarPath, Tree, Whiteout, XattrPolicy,
    Xattrs,
};
use crate::work::Observer;

/// What the upper directory changes, and the sockets in it. The members stand in tree order. `policies` see
/// the upper directory alone: what is the base's stays as it is.
pub(super) fn read(
    upper: &Path,
    policy: &ScanPolicy,
    policies: impl FnOnce(&mut Tree) -> Result<()>,
    observer: &dyn Observer,
) -> Result<(Changeset, Vec<TarPath>)> {
    let everything = XattrPolicy::Matching(Globs::parse(["**"])?);
    let mut scan = scan(upper, &ScanPolicy { exclude: policy.exclude.clone(), xattrs: everything }, observer)?;
    for entry in scan.tree.iter_mut() {
        entry.metadata.xattrs.retain(|name, _| is_overlay(name) || policy.xattrs.keeps(name));
    }
    policies(&mut scan.tree)?;
    let mut changeset = Changeset::default();
    for entry in scan.tree.iter() {
        refuse_what_needs_the_lower(entry)?;
        let is_marked = |name: &str| mark(&entry.metadata.xattrs, name).is_some();
        let whiteout = Device { major: 0, minor: 0 };
        if entry.kind == Kind::CharDevice(whiteout) || (entry.size() == 0 && is_marked("whiteout")) {
            changeset.members.push(marker(&Whiteout::Remove(entry.path.clone()))?);
            continue;
        }
        if mark(&entry.metadata.xattrs, "opaque") == Some(b"y") {
            changeset.members.push(marker(&Whiteout::Opaque(entry.path.clone()))?);
        }
        let mut entry = entry.clone();
        entry.metadata.xattrs.retain(|name, _| !is_overlay(name));
        changeset.members.push(entry);
    }
    Ok((changeset, scan.sockets))
}

/// The content of the tree that the upper directory and the base make together.
pub(super) struct MergedContent<'a> {
    upper: Directory,
    base: &'a Base,
    origins: BTreeMap<TarPath, Origin>,
}

impl<'a> MergedContent<'a> {
    /// `origins` tell where the content of each regular file is: in a layer of the base, or above them.
    pub(super) fn new(upper: &Path, base: &'a Base, origins: BTreeMap<TarPath, Origin>) -> Self {
        MergedContent { upper: Directory::new(upper), base, origins }
    }
}

impl Content for MergedContent<'_> {
    fn open<'a>(&'a self, entry: &Entry) -> Result<Box<dyn Read + 'a>> {
        match self.origins.get(&entry.path) {
            Some(origin) if origin.layer < self.base.layer_count() => self.base.content(*origin),
            _ => self.upper.open(entry),
        }
    }
}

fn is_overlay(name: &[u8]) -> bool {
    name.starts_with(b"trusted.overlay.") || name.starts_with(b"user.overlay.")
}

fn mark<'a>(xattrs: &'a Xattrs, name: &str) -> Option<&'a [u8]> {
    ["trusted", "user"]
        .iter()
        .find_map(|namespace| xattrs.get(format!("{namespace}.overlay.{name}").as_bytes()))
        .map(Vec::as_slice)
}

/// Directories that were renamed and files of which only the metadata was copied up are in the lower directories.
fn refuse_what_needs_the_lower(entry: &Entry) -> Result<()> {
    for name in ["redirect", "metacopy"] {
        if mark(&entry.metadata.xattrs, name).is_some() {
            return Err(Error::refused_with_hint(
                format!("`{}` in the upper directory refers to a lower one (overlay.{name})", entry.path),
                format!("mount the overlay with {name}=off, or give the merged directory as the rootfs"),
            ));
        }
    }
    Ok(())
}

fn marker(whiteout: &Whiteout) -> Result<Entry> {
    let path = whiteout.marker().ok_or_else(|| Error::refused("the root of the upper directory is a whiteout"))?;
    Ok(Entry { path, metadata: Metadata::default(), kind: Kind::File { size: 0 } })
}
