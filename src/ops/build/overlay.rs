//! The upper directory of an overlay as a changeset: what the kernel marks as removed becomes whiteouts.
//!
//! The marks are those of the kernel's overlayfs. A character device 0:0, or an empty file with the attribute
//! `overlay.whiteout`, is a removed name. A directory with `overlay.opaque` set to `y` hides what is below it. The
//! attributes are in the namespace `trusted.`, or in `user.` if the overlay was mounted without privilege.
//! fuse-overlayfs has its own names for them. Where it cannot make devices, it writes the marks of a layer, `.wh.NAME`
//! and `.wh..wh..opq`. What it cannot set as an ordinary user it keeps in an attribute, `override_stat`.

use std::path::Path;

use crate::error::{Error, ErrorKind, Result};
use crate::layer::Changeset;
use crate::ops::build::image_as_rootfs::refuse_image;
use crate::tree::{
    scan, Device, Entry, Globs, Kind, Metadata, Scan, ScanPolicy, Tree, Whiteout, WhiteoutNames, XattrPolicy, Xattrs,
};
use crate::work::Observer;

/// Returns what the upper directory changes, with the members in tree order, and the scan. `policies` apply only to the
/// upper directory: what is the base's stays as it is.
pub(super) fn read(
    upper: &Path,
    policy: &ScanPolicy,
    policies: impl FnOnce(&mut Tree) -> Result<()>,
    observer: &dyn Observer,
) -> Result<(Changeset, Scan)> {
    refuse_image(&upper.display().to_string(), Some("oci"), |top| upper.join(top).symlink_metadata().is_ok())?;
    let everything = XattrPolicy::Matching(Globs::parse(["**"])?);
    let scan_policy =
        ScanPolicy { exclude: policy.exclude.clone(), xattrs: everything, whiteout_names: WhiteoutNames::Kept };
    let mut scan = scan(upper, &scan_policy, observer)?;
    scan.tree.iter_mut().try_for_each(override_stat)?;
    policies(&mut scan.tree)?;
    let mut changeset = Changeset::default();
    for entry in scan.tree.iter() {
        refuse_what_needs_the_lower(entry)?;
        match Whiteout::of(&entry.path)? {
            Whiteout::None => {}
            // Other names may be linked to it.
            Whiteout::Aufs => {
                changeset.members.push(entry.clone());
                continue;
            }
            whiteout => {
                if !matches!(entry.kind, Kind::File { size: 0 } | Kind::Hardlink { .. } | WHITEOUT) {
                    let (path, kind) = (&entry.path, entry.kind.name());
                    return Err(Error::malformed(
                        format!("whiteout `{path}` in the upper directory"),
                        format!("an empty file expected, found a {kind} of {} bytes", entry.size()),
                    ));
                }
                changeset.members.push(marker(&whiteout)?);
                continue;
            }
        }
        let is_marked = |name: &str| mark(&entry.metadata.xattrs, name).is_some();
        if entry.kind == WHITEOUT || (entry.size() == 0 && is_marked("whiteout")) {
            changeset.members.push(marker(&Whiteout::Remove(entry.path.clone()))?);
            continue;
        }
        if mark(&entry.metadata.xattrs, "opaque") == Some(b"y") {
            changeset.members.push(marker(&Whiteout::Opaque(entry.path.clone()))?);
        }
        let mut entry = entry.clone();
        entry.metadata.xattrs.retain(|name, _| !is_overlay(name) && policy.xattrs.keeps(name));
        changeset.members.push(entry);
    }
    Ok((changeset, scan))
}

/// The device that marks a removed name.
const WHITEOUT: Kind = Kind::CharDevice(Device { major: 0, minor: 0 });

/// The namespaces of the attributes that an overlay keeps for itself.
const NAMESPACES: [&str; 4] = ["trusted.overlay.", "user.overlay.", "user.fuseoverlayfs.", "security.fuseoverlayfs."];
/// `override_stat` in the spelling that podman and fuse-overlayfs share.
const CONTAINERS_STAT: &str = "user.containers.override_stat";

fn is_overlay(name: &[u8]) -> bool {
    name == CONTAINERS_STAT.as_bytes() || NAMESPACES.iter().any(|namespace| name.starts_with(namespace.as_bytes()))
}

fn mark<'a>(xattrs: &'a Xattrs, name: &str) -> Option<&'a [u8]> {
    let mut values = NAMESPACES.iter().filter_map(|namespace| xattrs.get([namespace, name].concat().as_bytes()));
    values.next().map(|value| &**value)
}

/// Sets the owner, mode and type that the overlay had no right to set: `UID:GID:MODE`, the mode in octal digits, and
/// perhaps `:TYPE`.
fn override_stat(entry: &mut Entry) -> Result<()> {
    let xattrs = &entry.metadata.xattrs;
    let Some(value) = mark(xattrs, "override_stat").or(xattrs.get(CONTAINERS_STAT.as_bytes()).map(|value| &**value))
    else {
        return Ok(());
    };
    let text = String::from_utf8_lossy(value).into_owned();
    let not_accepted = || {
        let subject = format!("`{}` in the upper directory", entry.path);
        Error::malformed(subject, format!("override_stat has `UID:GID:MODE:TYPE`, found `{}`", text.escape_debug()))
    };
    let fields: Vec<&str> = text.trim_end_matches('\0').split(':').collect();
    let (uid, gid, mode, kind) = match *fields.as_slice() {
        [uid, gid, mode] => (uid, gid, mode, ""),
        [uid, gid, mode, kind] => (uid, gid, mode, kind),
        _ => return Err(not_accepted()),
    };
    let id = |text: &str| text.parse().ok().filter(|id| *id != u32::MAX).ok_or_else(not_accepted);
    let (uid, gid) = (id(uid)?, id(gid)?);
    let mode = u32::from_str_radix(mode, 8).map_err(|_| not_accepted())?;
    let mut words = kind.split('-');
    let kind = words.next();
    let mut number = || words.next().and_then(|word| word.parse().ok()).ok_or_else(not_accepted);
    let mut device = || {
        let (major, minor) = (number()?, number()?);
        Device::checked(major, minor).map_err(|_| not_accepted())
    };
    let kind = match kind {
        Some("" | "file" | "dir" | "symlink") | None => None,
        Some("pipe") => Some(Kind::Fifo),
        Some("char") => Some(Kind::CharDevice(device()?)),
        Some("block") => Some(Kind::BlockDevice(device()?)),
        Some(_) => return Err(not_accepted()),
    };
    entry.metadata.mode = (mode & 0o7777) as u16;
    (entry.metadata.uid, entry.metadata.gid) = (uid, gid);
    if let (Some(kind), false) = (kind, matches!(entry.kind, Kind::Hardlink { .. })) {
        entry.kind = kind;
    }
    Ok(())
}

/// Refuses renamed directories and files of which only the metadata was copied up: their content is in the lower
/// directories.
fn refuse_what_needs_the_lower(entry: &Entry) -> Result<()> {
    for (name, option) in [("redirect", "redirect_dir"), ("metacopy", "metacopy")] {
        if mark(&entry.metadata.xattrs, name).is_some() {
            return Err(Error::refused_with_hint(
                format!("`{}` in the upper directory refers to a lower one (overlay.{name})", entry.path),
                format!("mount the overlay with {option}=off, or give the merged directory as the rootfs"),
            )
            .of_kind(ErrorKind::Unsupported));
        }
    }
    Ok(())
}

fn marker(whiteout: &Whiteout) -> Result<Entry> {
    let path = whiteout
        .marker()
        .ok_or_else(|| Error::refused("the root of the upper directory is a whiteout").of_kind(ErrorKind::Damaged))?;
    Ok(Entry { path, metadata: Metadata::default(), kind: Kind::File { size: 0 } })
}
