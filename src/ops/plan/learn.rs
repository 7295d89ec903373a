//! What older images tell: how often each recipe changed, and what the last of them has that can stay.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, ErrorKind, Result};
use crate::image::fetch::annotation;
use crate::image::few_files::FewFiles;
use crate::image::read_tree::ReadTree;
use crate::layer::groups::{Groups, GENERATED};
use crate::layer::plan::{home, Plan, PlannedLayer, Rate, Weight};
use crate::layer::LayerGroups;
use crate::layout::Location;
use crate::oci::annotations::{LAYER_GROUPS, LAYER_NAME};
use crate::ops::plan::PlanOptions;
use crate::tree::TarPath;
use crate::work::Work;

/// What was learned.
pub(super) struct Learned {
    pub(super) rates: BTreeMap<String, Rate>,
    /// The recipes that changed last, on the way to the new tree.
    changed: BTreeSet<String>,
    /// The recipes of each layer of the last image.
    layers: BTreeMap<String, BTreeSet<String>>,
}

impl Learned {
    /// Compares images, the oldest first, and finally the new tree.
    pub(super) fn from(
        old: &[Location],
        new: &ReadTree,
        groups: &Groups,
        options: &PlanOptions,
        work: &Work<'_>,
    ) -> Result<Self> {
        let Some(last) = old.last() else {
            return Err(Error::refused_with_hint(
                "a plan learns from images of earlier releases, and none is given",
                "name the images of earlier releases, the oldest first",
            )
            .of_kind(ErrorKind::Invalid));
        };
        let mut rates: BTreeMap<String, Rate> = BTreeMap::new();
        let mut changed = BTreeSet::new();
        let mut before: Option<(ReadTree, FewFiles)> = None;
        let mut step = |before: &(ReadTree, FewFiles), after: &ReadTree| -> Result<BTreeSet<String>> {
            let changed = changed_recipes(before, after, groups, options)?;
            for recipe in groups.packages().iter().map(|package| &package.recipe).collect::<BTreeSet<_>>() {
                let rate = rates.entry(recipe.clone()).or_default();
                rate.steps += 1;
                rate.changes += u32::from(changed.contains(recipe));
            }
            Ok(changed)
        };
        for location in old {
            let (layout, image) = options.open(location, work)?;
            let read = ReadTree::and_databases(&layout, &image, work)?;
            if let Some(before) = &before {
                step(before, &read.0)?;
            }
            before = Some(read);
        }
        if let Some(before) = &before {
            changed = step(before, new)?;
        }
        let (_, image) = options.open(last, work)?;
        let named = image.manifest.value().layers.iter().filter_map(|layer| {
            let groups = LayerGroups::parse(annotation(layer, LAYER_GROUPS)?);
            let recipes = groups.iter().map(|(recipe, _)| recipe.to_owned()).filter(|recipe| recipe != GENERATED);
            Some((annotation(layer, LAYER_NAME)?.to_owned(), recipes.collect()))
        });
        Ok(Learned { layers: named.collect(), rates, changed })
    }

    /// Returns the names of a plan's layers that must be fetched in any case: something in them changed, or the last
    /// image has another layer of the name, or none.
    pub(super) fn fetched(&self, plan: &Plan, groups: &Groups, weights: &BTreeMap<String, Weight>) -> BTreeSet<String> {
        let mut recipes: Vec<BTreeSet<String>> = vec![BTreeSet::new(); plan.layers().len()];
        for recipe in weights.keys() {
            if let Some(home) = home(plan, groups, recipe) {
                recipes[home].insert(recipe.clone());
            }
        }
        let is_fetched = |(layer, its): &(&PlannedLayer, BTreeSet<String>)| {
            self.layers.get(&layer.name) != Some(its) || its.iter().any(|recipe| self.changed.contains(recipe))
        };
        plan.layers().iter().zip(recipes).filter(is_fetched).map(|(layer, _)| layer.name.clone()).collect()
    }
}

/// Returns the recipes with differences. The older tree's database tells who owned what is gone.
pub(super) fn changed_recipes(
    (before, files): &(ReadTree, FewFiles),
    after: &ReadTree,
    groups: &Groups,
    options: &PlanOptions,
) -> Result<BTreeSet<String>> {
    let older = match &options.build.package_map {
        Some(_) => None,
        None => Some(Groups::detect(&before.tree, files)?),
    };
    let owner = |path: &TarPath| -> Option<String> {
        let of = |groups: &Groups| groups.owners(path).first().map(|owner| groups.packages()[*owner].recipe.clone());
        of(groups).or_else(|| of(older.as_ref()?))
    };
    let changed = before.changed(after).into_iter();
    Ok(changed.map(|path| owner(path).unwrap_or_else(|| GENERATED.to_owned())).collect())
}
