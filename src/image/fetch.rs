//! What a device with one image must fetch to get another.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::digest::Digest;
use crate::layer::LayerGroups;
use crate::layout::Image;
use crate::oci::annotations::{LAYER_GROUPS, LAYER_NAME};
use crate::oci::{total_size, Descriptor};

/// What an update from one image to another costs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct UpdateCost {
    /// Bytes of the new image's blobs that the old image lacks.
    pub bytes: u64,
    /// Bytes of all blobs of the new image.
    pub of: u64,
    /// The layers that the old image lacks, base first.
    pub layers: Vec<FetchedLayer>,
}

/// A layer to be fetched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FetchedLayer {
    /// The digest of its blob.
    pub digest: Digest,
    /// The size of the blob in bytes.
    pub size: u64,
    /// Its name in the plan, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The recipes in it.
    pub recipes: Vec<FetchedRecipe>,
}

/// A recipe in a layer to be fetched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FetchedRecipe {
    /// The name of the recipe; `generated` for files that no package owns.
    pub recipe: String,
    /// The version in the old image; `None` if the recipe is absent or its version unknown.
    pub from: Option<String>,
    /// The version in the new image; `None` if unknown.
    pub to: Option<String>,
    /// `added`, `changed`, or `same` if the recipe only shares the layer.
    pub change: RecipeChange,
}

/// Why a recipe is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RecipeChange {
    /// The old image says which recipes it has, and lacks this one.
    Added,
    /// The recipe differs from that in the old image, or it is not known which recipes that has.
    Changed,
    /// The recipe is unchanged and only shares the layer.
    Same,
}

/// The groups of the layers, from their annotations.
pub(crate) fn groups_of(layers: &[Descriptor]) -> LayerGroups {
    let words = layers.iter().filter_map(|layer| annotation(layer, LAYER_GROUPS));
    LayerGroups::parse(&words.collect::<Vec<_>>().join(" "))
}

pub(crate) fn annotation<'a>(layer: &'a Descriptor, key: &str) -> Option<&'a str> {
    layer.annotations.as_ref()?.get(key).map(String::as_str)
}

impl UpdateCost {
    /// Compares two images.
    pub(crate) fn of_images(old: &Image, new: &Image) -> Self {
        let mut has: BTreeSet<&Digest> = old.manifest.value().layers.iter().map(|layer| &layer.digest).collect();
        has.extend([&old.manifest.value().config.digest, &old.path.descriptor().digest]);
        let (config, manifest) = (&new.manifest.value().config, new.path.descriptor());
        let mut cost = UpdateCost::of_layers(old, &new.manifest.value().layers, |_| None);
        for document in [config, manifest] {
            cost.of = cost.of.saturating_add(document.size);
            if !has.contains(&document.digest) {
                cost.bytes = cost.bytes.saturating_add(document.size);
            }
        }
        cost
    }

    /// Compares an image with layers. `changed` returns whether a recipe's files changed, if that is known more
    /// precisely than by version.
    pub(crate) fn of_layers(old: &Image, new: &[Descriptor], changed: impl Fn(&str) -> Option<bool>) -> Self {
        let old_layers = &old.manifest.value().layers;
        let before = groups_of(old_layers);
        let versions: BTreeMap<&str, String> =
            before.iter().map(|(recipe, versions)| (recipe, joined(versions))).collect();
        let mut seen: BTreeSet<&Digest> = old_layers.iter().map(|layer| &layer.digest).collect();
        let mut cost = UpdateCost { of: total_size(new), ..UpdateCost::default() };
        for layer in new {
            if !seen.insert(&layer.digest) {
                continue;
            }
            cost.bytes = cost.bytes.saturating_add(layer.size);
            let recipe = |(recipe, version): (&str, &BTreeSet<String>)| {
                let from = versions.get(recipe);
                let to = joined(version);
                let change = match (from, changed(recipe)) {
                    (_, Some(false)) => RecipeChange::Same,
                    // An older image without data about recipes is not known to lack any.
                    (None, _) if versions.is_empty() => RecipeChange::Changed,
                    (None, _) => RecipeChange::Added,
                    (Some(from), None) if *from == to => RecipeChange::Same,
                    (Some(_), _) => RecipeChange::Changed,
                };
                let known = |version: &String| Some(version.clone()).filter(|version| !version.is_empty());
                FetchedRecipe { recipe: recipe.to_owned(), from: from.and_then(known), to: known(&to), change }
            };
            let groups = LayerGroups::parse(annotation(layer, LAYER_GROUPS).unwrap_or_default());
            cost.layers.push(FetchedLayer {
                digest: layer.digest.clone(),
                size: layer.size,
                name: annotation(layer, LAYER_NAME).map(str::to_owned),
                recipes: groups.iter().map(recipe).collect(),
            });
        }
        cost
    }
}

fn joined(versions: &BTreeSet<String>) -> String {
    versions.iter().map(String::as_str).collect::<Vec<_>>().join(",")
}
