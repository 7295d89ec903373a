//! The content of all layers of an image, read once.

use std::collections::{BTreeMap, BTreeSet};

use crate::digest::ContentDigest;
use crate::error::Result;
use crate::image::few_files::FewFiles;
use crate::image::tree::{read_layers, ImageLayers, ReadLayer, Reading, Wanted};
use crate::layer::groups::{database_files, Groups, PackageMap};
use crate::layer::{Folded, Origin};
use crate::layout::{Image, Layout};
use crate::ops::report::recipes::{RecipeUsage, Recipes};
use crate::ops::report::size_tree::{Leaf, SizeTree};
use crate::tree::{Entry, Resolver, TarPath, Tree};
use crate::work::Work;

/// The entries of an image: those of its filesystem, and those that later layers hide.
pub(super) struct ImageContents {
    pub(super) folded: Folded,
    /// The digests of the tree's files, by path.
    pub(super) digests: BTreeMap<TarPath, ContentDigest>,
    pub(super) recipes: Recipes,
    /// Whether the recipes come from a package map.
    pub(super) is_mapped: bool,
    /// The content of each layer, base first.
    pub(super) layers: Vec<LayerContent>,
    /// The highest layer with an entry at each path.
    pub(super) placed: BTreeMap<TarPath, usize>,
    /// Files that a layer stores and that are not in the tree, ordered by layer and member.
    pub(super) lost: Vec<(TarPath, u64, usize)>,
    /// The ids of the users that `etc/passwd` lists; `None` if there is no such file.
    pub(super) users: Option<BTreeSet<u32>>,
}

/// The content of a layer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LayerContent {
    /// Members of its tar.
    pub(super) entries: usize,
    /// Bytes of content of its files.
    pub(super) bytes: u64,
}

impl ImageContents {
    /// Reads an image.
    pub(super) fn read(layout: &Layout, image: &Image, map: Option<&PackageMap>, work: &Work<'_>) -> Result<Self> {
        let read = read_layers(layout, image, usize::MAX, &Wanted::Digests { cache: None }, Reading::Watched, work)?;
        let mut members = Members::default();
        for layer in &read {
            members.add(layer);
        }
        let mut layers = ImageLayers::default();
        layers.push(read, work.observer)?;
        let tree = layers.into_tree();
        let digests = tree.digests();
        let folded = tree.folded;
        let descriptors = &image.manifest.value().layers;
        let passwd = Resolver::new(&folded.tree).follow(b"etc/passwd").filter(|entry| entry.is_file());
        let databases = if map.is_none() { database_files(&folded.tree) } else { Vec::new() };
        let files = FewFiles::read(layout, descriptors, &folded.origins, databases.into_iter().chain(passwd))?;
        let users = passwd.and_then(|entry| files.get(&entry.path)).map(user_ids);
        let groups = match map {
            Some(map) => Groups::of_map(map, &folded.tree)?,
            None => Groups::detect(&folded.tree, &files)?,
        };
        let live: BTreeSet<Origin> = folded.origins.values().copied().collect();
        let lost = members.files.into_iter().filter(|(.., origin)| !live.contains(origin));
        Ok(ImageContents {
            lost: lost.map(|(path, size, origin)| (path, size, origin.layer)).collect(),
            digests,
            recipes: Recipes::new(groups, descriptors),
            is_mapped: map.is_some(),
            layers: members.layers,
            placed: members.placed,
            users,
            folded,
        })
    }

    /// The filesystem.
    pub(super) fn tree(&self) -> &Tree {
        &self.folded.tree
    }

    /// The layer that holds the content of a file.
    pub(super) fn layer_of(&self, path: &TarPath) -> usize {
        self.folded.origins.get(path).map_or(0, |origin| origin.layer)
    }

    /// The number of the recipe that a path belongs to.
    pub(super) fn recipe_of(&self, path: &TarPath) -> usize {
        let layer = self.folded.origins.get(path).map(|origin| origin.layer).or_else(|| self.placed.get(path).copied());
        self.recipes.of(path, layer.unwrap_or_default())
    }

    /// The files with content, and their sizes.
    pub(super) fn size_tree(&self) -> SizeTree {
        let files = self.tree().iter().filter(|entry| entry.size() > 0);
        let leaves = files.map(|entry| Leaf {
            path: &entry.path,
            more: entry.size(),
            less: 0,
            recipe: self.recipe_of(&entry.path),
            layer: self.layer_of(&entry.path),
        });
        SizeTree::of(leaves, self.recipes.all().iter().map(|(name, _)| name.clone()).collect())
    }

    /// The size of each recipe, largest first.
    pub(super) fn recipe_usage(&self) -> Vec<RecipeUsage> {
        let mut usage = self.recipes.usage();
        if usage.is_empty() {
            return usage;
        }
        for entry in self.tree().iter().filter(|entry| entry.kind != crate::tree::Kind::Directory) {
            let its = &mut usage[self.recipe_of(&entry.path)];
            its.bytes += entry.size();
            its.entries += 1;
        }
        usage.retain(|recipe| recipe.entries > 0);
        usage.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.recipe.cmp(&b.recipe)));
        usage
    }
}

/// The members of layers, before they become a tree.
#[derive(Default)]
struct Members {
    layers: Vec<LayerContent>,
    placed: BTreeMap<TarPath, usize>,
    files: Vec<(TarPath, u64, Origin)>,
}

impl Members {
    fn add(&mut self, read: &ReadLayer) {
        let layer = self.layers.len();
        let members = read.members();
        for (member, entry) in members.iter().enumerate() {
            self.placed.insert(entry.path.clone(), layer);
            if entry.size() > 0 {
                self.files.push((entry.path.clone(), entry.size(), Origin { layer, member }));
            }
        }
        self.layers.push(LayerContent { entries: members.len(), bytes: members.iter().map(Entry::size).sum() });
    }
}

/// The third column of each line.
fn user_ids(passwd: &[u8]) -> BTreeSet<u32> {
    let id = |line: &[u8]| std::str::from_utf8(line.split(|byte| *byte == b':').nth(2)?).ok()?.parse().ok();
    passwd.split(|byte| *byte == b'\n').filter_map(id).collect()
}
