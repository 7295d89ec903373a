//! A rootfs that is added to a base: what only the base has stays.

use std::collections::BTreeMap;
use std::io::Read;

use crate::error::{Error, Result};
use crate::image::few_files::FewFiles;
use crate::image::tree::ImageLayers;
use crate::layer::{Changeset, Folded, Origin};
use crate::ops::build::base::Base;
use crate::ops::build::rootfs::ReadRootfs;
use crate::tree::{Content, Entry, Kind, Resolver, TarPath, Tree};

/// How many conflicts an error lists.
const LISTED: usize = 5;

/// Returns the tree of base and rootfs together. If one has a directory where the other has something else, the content
/// of the directory would be lost: that is an error. So is a file in place of a link to a directory. A link that leads
/// to another directory than in the base is a warning, because the rootfs may mean it.
pub(super) fn merge<'a>(
    read: ReadRootfs<'a>,
    base: &'a Base,
    layers: &ImageLayers,
    few: impl FnOnce(&Folded) -> Result<FewFiles>,
) -> Result<ReadRootfs<'a>> {
    refuse_conflicts(&layers.so_far().tree, &read.tree)?;
    let members = read.tree.iter().cloned().collect();
    let merged = layers.with(Changeset { members, ..Changeset::default() })?;
    let mut warnings = read.warnings;
    warnings.extend(led_elsewhere(&layers.so_far().tree, &read.tree, &merged.tree));
    let of_base = layers.digests_of(&merged);
    let few = few(&merged)?;
    let content = Box::new(MergedContent { upper: read.content, base, few, origins: merged.origins });
    Ok(ReadRootfs { tree: merged.tree, content, of_base, warnings, ..read })
}

fn refuse_conflicts(base: &Tree, rootfs: &Tree) -> Result<()> {
    let is_directory = |entry: &Entry| entry.kind == Kind::Directory;
    let of_base = Resolver::new(base);
    // What the name of a link to a directory leads to would be lost too.
    let hides = |old: &Entry, new: &Entry| !is_link(new) && is_link(old) && leads_to(&of_base, old).is_some();
    let conflicts: Vec<String> = rootfs
        .iter()
        .filter_map(|new| Some((base.get(&new.path)?, new)))
        .filter(|(old, new)| is_directory(old) != is_directory(new) || hides(old, new))
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

/// Returns warnings about links of the base that the rootfs has too and that lead to another directory in the image,
/// unless everything is there as well.
fn led_elsewhere(base: &Tree, rootfs: &Tree, merged: &Tree) -> Vec<String> {
    let (of_base, of_image) = (Resolver::new(base), Resolver::new(merged));
    let links = rootfs.iter().filter(|new| is_link(new)).filter_map(|new| base.get(&new.path));
    let moved = links.filter(|old| is_link(old)).filter_map(|old| {
        let before = leads_to(&of_base, old)?;
        let after = of_image.follow(old.path.as_bytes()).map(|entry| &entry.path);
        let is_there = |path: &TarPath| {
            let names = path.as_bytes()[before.as_bytes().len()..].split(|byte| *byte == b'/').skip(1);
            let moved = |to: &TarPath| names.fold(to.clone(), |moved, name| moved.join(name));
            after.is_some_and(|after| merged.get(&moved(after)).is_some())
        };
        let is_lost = after != Some(before) && base.below(before).any(|path| !is_there(path));
        is_lost.then(|| {
            let to = after.map_or_else(|| "nothing".to_owned(), |after| format!("`{after}`"));
            format!(
                "`{}` leads to `{before}` in the base and to {to} in the image: what the base has there is not found by that name",
                old.path
            )
        })
    });
    moved.collect()
}

fn is_link(entry: &Entry) -> bool {
    matches!(entry.kind, Kind::Symlink { .. })
}

/// Returns the directory that a link leads to.
fn leads_to<'a>(resolver: &Resolver<'a>, link: &Entry) -> Option<&'a TarPath> {
    resolver.follow(link.path.as_bytes()).filter(|entry| entry.kind == Kind::Directory).map(|entry| &entry.path)
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
