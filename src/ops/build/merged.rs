//! A rootfs that is added to a base: what only the base has stays.

use std::collections::BTreeMap;
use std::io::Read;

use crate::error::{Error, Result};
use crate::image::few_files::FewFiles;
use crate::image::tree::ImageLayers;
use crate::layer::{Changeset, Folded, Origin};
use crate::ops::build::base::Base;
use crate::ops::build::rootfs::ReadRootfs;
use crate::tree::{Content, Entry, Kind, TarPath, Tree};

/// How many conflicts an error lists.
const LISTED: usize = 5;

/// Returns the tree of base and rootfs together. If one has a directory where the other has something else, the content
/// of the directory would be lost: that is an error.
pub(super) fn merge<'a>(
    read: ReadRootfs<'a>,
    base: &'a Base,
    layers: &ImageLayers,
    few: impl FnOnce(&Folded) -> Result<FewFiles>,
) -> Result<ReadRootfs<'a>> {
    refuse_conflicts(&layers.so_far().tree, &read.tree)?;
    let members = read.tree.iter().cloned().collect();
    let merged = layers.with(Changeset { members, ..Changeset::default() })?;
    let of_base = layers.digests_of(&merged);
    let few = few(&merged)?;
    let content = Box::new(MergedContent { upper: read.content, base, few, origins: merged.origins });
    Ok(ReadRootfs { tree: merged.tree, content, of_base, ..read })
}

fn refuse_conflicts(base: &Tree, rootfs: &Tree) -> Result<()> {
    let is_directory = |entry: &Entry| entry.kind == Kind::Directory;
    let conflicts: Vec<String> = rootfs
        .iter()
        .filter_map(|new| Some((base.get(&new.path)?, new)))
        .filter(|(old, new)| is_directory(old) != is_directory(new))
        .map(|(old, new)| {
            format!("`{}` is a {} in the base and a {} in the rootfs", new.path, old.kind.name(), new.kind.name())
        })
        .collect();
    if conflicts.is_empty() {
        return Ok(());
    }
    let more = conflicts.len().saturating_sub(LISTED);
    let listed = conflicts.iter().take(LISTED).cloned().collect::<Vec<_>>().join(", ");
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    Err(Error::refused_with_hint(
        format!("the rootfs cannot be merged into the base: {listed}{more}"),
        "give both the same layout of directories (merged /usr or not), or take the rootfs alone with the base mode `exact`",
    ))
}

/// The content of the tree that a rootfs and the base make together.
pub(super) struct MergedContent<'a> {
    pub(super) upper: Box<dyn Content + Sync + 'a>,
    pub(super) base: &'a Base,
    /// Files of the base that are in memory already.
    pub(super) few: FewFiles,
    /// Where the content of each regular file is: in a layer of the base, or above them.
    pub(super) origins: BTreeMap<TarPath, Origin>,
}

impl Content for MergedContent<'_> {
    fn open<'a>(&'a self, entry: &Entry) -> Result<Box<dyn Read + 'a>> {
        match self.origins.get(&entry.path) {
            Some(origin) if origin.layer < self.base.layer_count() => match self.few.get(&entry.path) {
                Some(content) => Ok(Box::new(content)),
                None => self.base.content(*origin),
            },
            _ => self.upper.open(entry),
        }
    }

    fn confirm_empty(&self, entry: &Entry) -> Result<()> {
        match self.origins.get(&entry.path) {
            Some(origin) if origin.layer < self.base.layer_count() => Ok(()),
            _ => self.upper.confirm_empty(entry),
        }
    }
}
