//! Which recipes cause the cost of an update.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::digest::Digest;
use crate::image::fetch::{annotation, UpdateCost};
use crate::layout::Image;
use crate::oci::annotations::LAYER_NAME;
use crate::ops::report::contents::ImageContents;
use crate::ops::report::size_change::SizeChange;
use crate::tree::{Change, Difference};

/// Why a layer is fetched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FetchReason {
    /// The number of the layer, the base's being 1.
    pub layer: usize,
    /// Its name in the plan, if there was one.
    pub name: Option<String>,
    /// Bytes of its blob.
    pub size: u64,
    /// Entries that it adds, changes or removes compared with the older image.
    pub changed: usize,
    /// Bytes of content of the added and changed entries.
    pub changed_bytes: u64,
    /// The entries that changed most in size.
    pub largest: Vec<SizeChange>,
    /// The recipes of these entries, the one with the most bytes first; empty if only the layer's encoding differs.
    pub recipes: Vec<ChangedRecipe>,
}

/// The changes of one recipe in a layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ChangedRecipe {
    /// Its name.
    pub recipe: String,
    /// Entries that changed.
    pub changed: usize,
    /// Bytes of content of those that the layer stores.
    pub bytes: u64,
}

/// The part of a download that one recipe causes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Cause {
    /// Its name; `None` for layers in which nothing changed, and for the manifest and the configuration.
    pub recipe: Option<String>,
    /// Its version in the older image; `None` if it was not there or is unknown.
    pub from: Option<String>,
    /// Its version now; `None` if it is gone or unknown.
    pub to: Option<String>,
    /// Bytes of blobs: each fetched layer is divided among the recipes that changed in it, in proportion to the bytes
    /// of changed content.
    pub bytes: u64,
    /// The numbers of the layers, the base's being 1.
    pub layers: Vec<usize>,
    /// Whether the older image is known to lack it.
    #[serde(skip)]
    pub is_new: bool,
    /// Whether the newer image is known to lack it.
    #[serde(skip)]
    pub is_gone: bool,
}

/// How many entries of a layer are named.
const LARGEST: usize = 3;

/// For each layer that the older image lacks, why it is fetched.
pub(super) fn of_layers(
    (old_image, before): (&Image, &ImageContents),
    (new_image, after): (&Image, &ImageContents),
    differences: &[Difference],
    sizes: &[SizeChange],
) -> Vec<FetchReason> {
    let mut seen: BTreeSet<&Digest> = old_image.manifest.value().layers.iter().map(|layer| &layer.digest).collect();
    let descriptors = &new_image.manifest.value().layers;
    let is_fetched: Vec<bool> = descriptors.iter().map(|layer| seen.insert(&layer.digest)).collect();
    let mut changed: Vec<BTreeMap<&str, ChangedRecipe>> = vec![BTreeMap::new(); descriptors.len()];
    let mut largest: Vec<Vec<&SizeChange>> = vec![Vec::new(); descriptors.len()];
    let homes = homes(after);
    for (difference, size) in differences.iter().zip(sizes) {
        let is_gone = matches!(difference.change, Change::Removed { .. });
        let contents = if is_gone { before } else { after };
        let recipe = contents.recipes.name(contents.recipe_of(&difference.path));
        let in_layers: Vec<usize> = if is_gone {
            homes.get(recipe).into_iter().flatten().copied().collect()
        } else {
            vec![place(after, difference)]
        };
        for layer in in_layers.into_iter().filter(|layer| is_fetched[*layer]) {
            largest[layer].push(size);
            let of = || ChangedRecipe { recipe: recipe.to_owned(), changed: 0, bytes: 0 };
            let changed = changed[layer].entry(recipe).or_insert_with(of);
            changed.changed += 1;
            changed.bytes += if is_gone { 0 } else { size.to };
        }
    }
    let reason = |(layer, (changed, mut largest)): (usize, (BTreeMap<&str, ChangedRecipe>, Vec<&SizeChange>))| {
        largest.sort_by(|a, b| a.by_change(b));
        let mut recipes: Vec<ChangedRecipe> = changed.into_values().collect();
        recipes.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.recipe.cmp(&b.recipe)));
        FetchReason {
            layer: layer + 1,
            name: annotation(&descriptors[layer], LAYER_NAME).map(str::to_owned),
            size: descriptors[layer].size,
            changed: recipes.iter().map(|recipe| recipe.changed).sum(),
            largest: largest.into_iter().take(LARGEST).cloned().collect(),
            changed_bytes: recipes.iter().map(|recipe| recipe.bytes).sum(),
            recipes,
        }
    };
    changed.into_iter().zip(largest).enumerate().filter(|(layer, _)| is_fetched[*layer]).map(reason).collect()
}

/// The layer that stores an added or changed entry.
fn place(contents: &ImageContents, difference: &Difference) -> usize {
    let path = &difference.path;
    let origin = contents.tree().get(path).map(|entry| &contents.tree().inode(entry).path);
    let origin = origin.and_then(|path| contents.folded.origins.get(path));
    origin.map(|origin| origin.layer).or_else(|| contents.placed.get(path).copied()).unwrap_or_default()
}

/// The layers that store entries of each recipe.
fn homes(contents: &ImageContents) -> BTreeMap<&str, BTreeSet<usize>> {
    let mut homes: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    for (path, origin) in &contents.folded.origins {
        let recipe = contents.recipes.name(contents.recipe_of(path));
        homes.entry(recipe).or_default().insert(origin.layer);
    }
    homes
}

/// The costs of layers by the recipes that caused them, and of the documents.
pub(super) fn by_recipe(
    (old_image, before): (&Image, &ImageContents),
    (new_image, after): (&Image, &ImageContents),
    fetched: &[FetchReason],
    update: &UpdateCost,
) -> Vec<Cause> {
    let (from, to) = (
        before.recipes.versions(&old_image.manifest.value().layers, before.is_mapped),
        after.recipes.versions(&new_image.manifest.value().layers, false),
    );
    let mut causes: BTreeMap<Option<&str>, (u64, Vec<usize>)> = BTreeMap::new();
    for layer in fetched {
        for (recipe, bytes) in shares(layer) {
            let (sum, layers) = causes.entry(recipe).or_default();
            *sum += bytes;
            layers.push(layer.layer);
        }
    }
    let version = |versions: &BTreeMap<String, String>, recipe: &str| {
        versions.get(recipe).filter(|version| !version.is_empty()).cloned()
    };
    // An image without data about recipes is not known to lack any.
    let lacks = |versions: &BTreeMap<String, String>, recipe: Option<&str>| {
        !versions.is_empty() && recipe.is_some_and(|recipe| !versions.contains_key(recipe))
    };
    let cause = |(recipe, (bytes, layers)): (Option<&str>, (u64, Vec<usize>))| Cause {
        is_new: lacks(&from, recipe),
        is_gone: lacks(&to, recipe),
        from: recipe.and_then(|recipe| version(&from, recipe)),
        to: recipe.and_then(|recipe| version(&to, recipe)),
        recipe: recipe.map(str::to_owned),
        bytes,
        layers,
    };
    let mut causes: Vec<Cause> = causes.into_iter().map(cause).collect();
    causes.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.recipe.cmp(&b.recipe)));
    let documents = update.bytes - fetched.iter().map(|layer| layer.size).sum::<u64>();
    if documents > 0 {
        causes.push(Cause {
            recipe: None,
            from: None,
            to: None,
            bytes: documents,
            layers: Vec::new(),
            is_new: false,
            is_gone: false,
        });
    }
    causes
}

/// Divides the bytes of a layer among its recipes without losing any to rounding.
fn shares(layer: &FetchReason) -> Vec<(Option<&str>, u64)> {
    // A change without content, such as that of a mode, must have a weight too.
    let weight = |recipe: &ChangedRecipe| u128::from(recipe.bytes.max(1));
    let of: u128 = layer.recipes.iter().map(weight).sum();
    let (mut weighed, mut given) = (0, 0);
    let mut shares = Vec::new();
    for recipe in &layer.recipes {
        weighed += weight(recipe);
        let until = (u128::from(layer.size) * weighed / of) as u64;
        shares.push((Some(recipe.recipe.as_str()), until - given));
        given = until;
    }
    if shares.is_empty() {
        shares.push((None, layer.size));
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_lose_nothing() {
        let layer = |size: u64, bytes: &[u64]| {
            let recipe =
                |(at, bytes): (usize, &u64)| ChangedRecipe { recipe: at.to_string(), changed: 1, bytes: *bytes };
            let recipes = bytes.iter().enumerate().map(recipe).collect();
            FetchReason { layer: 1, name: None, size, changed: 0, changed_bytes: 0, largest: Vec::new(), recipes }
        };
        for (size, bytes, expected) in [
            (100, &[1, 1, 1][..], &[33, 33, 34][..]),
            (100, &[0, 99], &[1, 99]),
            (7, &[], &[7]),
            (0, &[5], &[0]),
            (u64::MAX / 2, &[u64::MAX / 2, u64::MAX / 2], &[u64::MAX / 4, u64::MAX / 4 + 1]),
        ] {
            let layer = layer(size, bytes);
            let found: Vec<u64> = shares(&layer).into_iter().map(|(_, bytes)| bytes).collect();
            assert_eq!(found, expected);
            assert_eq!(found.iter().sum::<u64>(), size);
        }
    }
}
