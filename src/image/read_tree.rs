//! A tree with the digests of its contents, for comparison with another.

use std::collections::{BTreeMap, BTreeSet};

use crate::digest::ContentDigest;
use crate::error::Result;
use crate::image::content_digests;
use crate::image::few_files::FewFiles;
use crate::image::tree::{read_layers, ImageLayers, Reading, Wanted};
use crate::layer::groups::database_files;
use crate::layout::{Image, Layout};
use crate::tree::{Content, Entry, Kind, TarPath, Tree};
use crate::work::Work;

/// A tree and the digests of its files, by path.
pub(crate) struct ReadTree {
    pub(crate) tree: Tree,
    pub(crate) digests: BTreeMap<TarPath, ContentDigest>,
}

impl ReadTree {
    /// Reads an image.
    pub(crate) fn of_image(layout: &Layout, image: &Image, work: &Work<'_>) -> Result<Self> {
        Ok(ReadTree::with_databases(layout, image, work, false)?.0)
    }

    /// Reads an image and the files of its package databases.
    pub(crate) fn and_databases(layout: &Layout, image: &Image, work: &Work<'_>) -> Result<(Self, FewFiles)> {
        ReadTree::with_databases(layout, image, work, true)
    }

    fn with_databases(layout: &Layout, image: &Image, work: &Work<'_>, databases: bool) -> Result<(Self, FewFiles)> {
        work.observer.step(&format!("read {}", layout.location()));
        let mut layers = ImageLayers::default();
        let wanted = Wanted::Digests { cache: None };
        layers.push(read_layers(layout, image, usize::MAX, &wanted, Reading::Watched, work)?, work.observer)?;
        let tree = layers.into_tree();
        let descriptors = &image.manifest.value().layers;
        let wanted = if databases { database_files(&tree.folded.tree) } else { Vec::new() };
        let files = FewFiles::read(layout, descriptors, &tree.folded.origins, wanted)?;
        Ok((ReadTree { digests: tree.digests(), tree: tree.folded.tree }, files))
    }

    /// Hashes the files of a tree.
    pub(crate) fn of_tree(tree: Tree, content: &(dyn Content + Sync), work: &Work<'_>) -> Result<Self> {
        let files: Vec<&Entry> = tree.iter().filter(|entry| entry.is_file()).collect();
        let digests = content_digests::of(&files, content, work)?;
        Ok(ReadTree { tree, digests })
    }

    /// The paths at which two trees differ. Directories are left out: their differences follow from their content.
    pub(crate) fn changed<'a>(&'a self, other: &'a ReadTree) -> BTreeSet<&'a TarPath> {
        let shown = |side: &'a ReadTree, path: &TarPath| {
            let inode = side.tree.inode(side.tree.get(path)?);
            Some((&inode.kind, &inode.metadata, side.digests.get(&inode.path)))
        };
        let is_directory =
            |side: &ReadTree, path: &TarPath| side.tree.get(path).map_or(true, |e| e.kind == Kind::Directory);
        let paths = self.tree.iter().chain(other.tree.iter()).map(|entry| &entry.path);
        let differ = paths.filter(|path| shown(self, path) != shown(other, path));
        differ.filter(|path| !(is_directory(self, path) && is_directory(other, path))).collect()
    }
}
