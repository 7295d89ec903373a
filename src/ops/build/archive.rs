//! A tar archive as a rootfs: entries keep the owners and devices that the archive gives them, which needs no root.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

use crate::compress::Format;
use crate::error::{Error, ErrorKind, IoContext, Result};
use crate::hint::{Hint, OptionName};
use crate::image::kept_content::{KeptContent, KeptFile};
use crate::layer::Fold;
use crate::layer::{Changeset, Contents};
use crate::ops::build::attributes::{is_applied, FilesystemAttributes};
use crate::ops::build::image_as_rootfs::refuse_image;
use crate::ops::build::rootfs::{nothing_in, ReadRootfs, Rootfs};
use crate::tree::{is_reserved, Entry, Exclusion, Kind, ScanPolicy, TarPath};
use crate::work::Work;

/// Reads an archive. If it is uncompressed and seekable, nothing is copied. Otherwise its files go to `spool`, since a
/// layer is written in another order than the archive's.
pub(super) fn read(
    mut archive: File,
    rootfs: &Rootfs,
    policy: &ScanPolicy,
    spool: impl FnOnce() -> Result<File>,
    work: &Work<'_>,
) -> Result<ReadRootfs<'static>> {
    let name = rootfs.name();
    let name = name.as_str();
    let (mut changeset, file) = if let Some(changeset) = locate(&mut archive, name, work)? {
        (changeset, archive)
    } else {
        let mut spool = spool()?;
        (Changeset::read(archive, Contents::Spool(&mut spool), name, work)?, spool)
    };
    let attributes = FilesystemAttributes::of(&changeset);
    changeset.lost.retain(|keyword| !is_applied(keyword));
    // Without a member, there is nothing else to warn of than bytes after the end.
    let is_tar = !changeset.members.is_empty() || changeset.warnings.is_empty();
    let mut members = changeset.members;
    let mut exclusion = Exclusion::new(&policy.exclude);
    for entry in &mut members {
        if is_reserved(&entry.path) && !exclusion.leaves_out(&entry.path) {
            let path = &entry.path;
            return Err(Error::refused_with_hint(
                format!("`{path}` in {name}: a name that begins with `.wh.` means a removal in a layer"),
                Hint::from("leave it out with ").option(OptionName::Exclude),
            )
            .of_kind(ErrorKind::Unsupported));
        }
        entry.metadata.xattrs.retain(|attribute, _| policy.xattrs.keeps(attribute));
    }
    let is_directory = |entry: &&Entry| entry.kind == Kind::Directory;
    let described: BTreeSet<TarPath> = members.iter().filter(is_directory).map(|entry| entry.path.clone()).collect();
    let mut fold = Fold::new();
    fold.apply(members)?;
    fold.retain(|path| !exclusion.leaves_out(path));
    let (mut folded, excluded) = (fold.finish(), exclusion.finish());
    let transport =
        if folded.tree.get(&TarPath::parse(b"oci-layout")?).is_some() { "oci-archive" } else { "docker-archive" };
    refuse_image(name, (*rootfs != Rootfs::Stdin).then_some(transport), |top| {
        TarPath::parse(top.as_bytes()).is_ok_and(|top| folded.tree.get(&top).is_some())
    })?;
    if folded.tree.len() < 2 {
        return Err(if is_tar { nothing_in(name, &excluded) } else { no_tar_after_zeros(name) });
    }
    let directories = folded.tree.iter().filter(is_directory).map(|entry| &entry.path);
    let made_up = directories.filter(|path| !described.contains(path)).cloned().collect();
    let mut content = KeptContent::default();
    let file = KeptFile { file, source: name.into() };
    content.add(file, &changeset.offsets, &folded.origins, 0);
    let mut warnings = attributes.apply(&mut folded.tree, &content, &policy.xattrs, name)?;
    warnings.extend(changeset.warnings);
    warnings.extend(changeset.lost.warnings(name));
    let (tree, content, of_base) = (folded.tree, Box::new(content), BTreeMap::new());
    Ok(ReadRootfs { tree, content, warnings, excluded, made_up, of_base })
}

/// The error for a file that begins as an empty tar ends, with zeros.
fn no_tar_after_zeros(name: &str) -> Error {
    Error::refused_with_hint(
        format!("rootfs `{name}`: this is not a tar archive: zeros, and then something else"),
        "filesystem images (ext4, Btrfs, F2FS, EROFS, ISO 9660) begin so: extract or mount it, and name the directory",
    )
    .of_kind(ErrorKind::Unsupported)
}

/// Returns the places of the contents in an archive that can be read at any place. Returns `None` if it cannot, or if
/// it holds sparse files, whose bytes are not contiguous.
fn locate(archive: &mut File, name: &str, work: &Work<'_>) -> Result<Option<Changeset>> {
    let place = Path::new(name);
    if !archive.metadata().at("read", place)?.is_file() {
        return Ok(None);
    }
    let start = archive.stream_position().at("read", place)?;
    let mut magic = Vec::new();
    (&*archive).take(Format::MAGIC_SIZE as u64).read_to_end(&mut magic).at("read", place)?;
    archive.rewind().at("read", place)?;
    if start != 0 || Format::sniff(&magic) != Format::Plain {
        return Ok(None);
    }
    let located = Changeset::read(&*archive, Contents::Locate, name, work);
    archive.rewind().at("read", place)?;
    match located {
        Err(Error::Interrupted) => Err(Error::Interrupted),
        // Other problems are found again, and reported, by the reader that needs no places.
        located => Ok(located.ok()),
    }
}
