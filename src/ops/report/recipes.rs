//! The recipes that files belong to.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::image::fetch::{annotation, groups_of};
use crate::layer::groups::{Groups, GENERATED};
use crate::layer::LayerGroups;
use crate::oci::annotations::{LAYER_GROUPS, LAYER_NAME};
use crate::oci::Descriptor;
use crate::tree::TarPath;

/// A recipe's share of the filesystem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RecipeUsage {
    /// Its name; `generated` for what no package owns.
    pub recipe: String,
    /// Its version, or several separated by commas; empty if unknown.
    pub version: String,
    /// Bytes of content of its files.
    pub bytes: u64,
    /// Its entries other than directories.
    pub entries: usize,
}

/// The recipes of an image, in the order of their names.
pub(super) struct Recipes {
    source: Option<String>,
    groups: Groups,
    /// Names and versions.
    all: Vec<(String, String)>,
    /// The number of the recipe of each package, and last that of entries without a package.
    of_packages: Vec<usize>,
    /// The number of the recipe of each layer, if only the layers tell.
    of_layers: Vec<usize>,
}

impl Recipes {
    /// Recipes from groups, or else from the annotations of layers.
    pub(super) fn new(groups: Groups, layers: &[Descriptor]) -> Self {
        if let Some(source) = groups.source() {
            let mut all: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::from([(GENERATED, BTreeSet::new())]);
            for package in groups.packages() {
                all.entry(&package.recipe).or_default().insert(&package.version);
            }
            let number = |recipe: &str| all.keys().position(|name| *name == recipe).unwrap_or_default();
            let numbers: BTreeMap<&str, usize> = all.keys().map(|name| (*name, number(name))).collect();
            let of_packages = groups.packages().iter().map(|package| numbers[package.recipe.as_str()]);
            let of_packages = of_packages.chain([numbers[GENERATED]]).collect();
            let all =
                all.iter().map(|(name, versions)| ((*name).to_owned(), joined(versions.iter().copied()))).collect();
            return Recipes { source: Some(source.to_owned()), all, of_packages, of_layers: Vec::new(), groups };
        }
        let named: Vec<(String, String)> = layers.iter().map(of_layer).collect();
        let all: BTreeSet<(String, String)> = named.iter().cloned().collect();
        let of_layers = named.iter().map(|one| all.iter().position(|other| other == one).unwrap_or_default()).collect();
        let is_known = layers.iter().any(|layer| annotation(layer, LAYER_GROUPS).is_some());
        let all = if is_known { all.into_iter().collect() } else { Vec::new() };
        Recipes { source: is_known.then(|| "layers".to_owned()), groups, all, of_packages: Vec::new(), of_layers }
    }

    /// The source of this information.
    pub(super) fn source(&self) -> Option<&str> {
        self.source.as_deref()
    }

    /// Why a package map cannot be used, if so.
    pub(super) fn useless_map(&self) -> Option<String> {
        self.groups.useless_map()
    }

    /// Names and versions.
    pub(super) fn all(&self) -> &[(String, String)] {
        &self.all
    }

    /// The name of the recipe with a number.
    pub(super) fn name(&self, number: usize) -> &str {
        self.all.get(number).map_or(GENERATED, |(name, _)| name)
    }

    /// The number of the recipe of a path in a layer.
    pub(super) fn of(&self, path: &TarPath, layer: usize) -> usize {
        if self.of_packages.is_empty() {
            return self.of_layers.get(layer).copied().unwrap_or_default();
        }
        // A directory that several packages own is attributed to none of them.
        let owner = match self.groups.owners(path) {
            [owner] => Some(*owner),
            _ => None,
        };
        self.of_packages[owner.unwrap_or(self.of_packages.len() - 1)]
    }

    /// All recipes, with empty sums.
    pub(super) fn usage(&self) -> Vec<RecipeUsage> {
        let usage = |(recipe, version): &(String, String)| RecipeUsage {
            recipe: recipe.clone(),
            version: version.clone(),
            bytes: 0,
            entries: 0,
        };
        self.all.iter().map(usage).collect()
    }

    /// The versions of recipes, as the annotations of layers tell, else packages. A package map may be that of another
    /// image: then `is_mapped` says to leave it aside.
    pub(super) fn versions(&self, layers: &[Descriptor], is_mapped: bool) -> BTreeMap<String, String> {
        let annotated = groups_of(layers);
        let annotated =
            annotated.iter().map(|(recipe, versions)| (recipe.to_owned(), joined(versions.iter().map(String::as_str))));
        let known = if self.of_packages.is_empty() || is_mapped { &[][..] } else { &self.all[..] };
        known.iter().cloned().chain(annotated).collect()
    }
}

/// A layer's one recipe, or its name if it has several.
fn of_layer(layer: &Descriptor) -> (String, String) {
    let groups = LayerGroups::parse(annotation(layer, LAYER_GROUPS).unwrap_or_default());
    let mut its = groups.iter();
    match (its.next(), its.count()) {
        (None, _) => (GENERATED.to_owned(), String::new()),
        (Some((recipe, versions)), 0) => (recipe.to_owned(), joined(versions.iter().map(String::as_str))),
        (Some((recipe, _)), others) => match annotation(layer, LAYER_NAME) {
            Some(name) => (format!("{name} ({} recipes)", others + 1), String::new()),
            None => (format!("{recipe} and {others} more"), String::new()),
        },
    }
}

fn joined<'a>(versions: impl Iterator<Item = &'a str>) -> String {
    versions.filter(|version| !version.is_empty()).collect::<Vec<_>>().join(",")
}
