//! What `plan` reports.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::image::fetch::UpdateCost;
use crate::layer::groups::GENERATED;
use crate::layer::plan::{Assignment, Place, Rate};
use crate::tree::{Kind, Tree};

/// A plan and what it would make.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct PlanReport {
    /// What tells who owns what: `dpkg`, `opkg`, `apk`, or the package map; `None` if nothing does.
    pub owners: Option<String>,
    /// Bytes of content of all files.
    pub bytes: u64,
    /// Entries that are not directories.
    pub entries: usize,
    /// The layers, the lowest first.
    pub layers: Vec<PlannedLayerReport>,
    /// What an update costs, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update: Option<UpdateCost>,
    /// Warnings.
    pub warnings: Vec<String>,
}

/// A layer of a plan.
#[derive(Clone, Debug, Default, Serialize)]
#[non_exhaustive]
pub struct PlannedLayerReport {
    /// Its line in the plan; `None` for the layer of what no line takes.
    pub line: Option<String>,
    /// Its name.
    pub name: String,
    /// The recipes in it, including `generated` for what no package owns.
    pub recipes: Vec<String>,
    /// Bytes of content of its files.
    pub bytes: u64,
    /// Entries that are not directories.
    pub entries: usize,
    /// The most steps between releases in which one of its recipes changed; only if a plan is updated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changes: Option<u32>,
}

/// Adds up what each layer has.
pub(super) fn describe(assignment: &Assignment<'_>, tree: &Tree, rates: Option<&BTreeMap<String, Rate>>) -> PlanReport {
    let (plan, groups) = (assignment.plan(), assignment.groups());
    let lines = plan.layers().iter().map(|layer| Some(layer.to_string())).chain([None]);
    let layer =
        |(number, line)| PlannedLayerReport { line, name: plan.layer_name(number), ..PlannedLayerReport::default() };
    let mut layers: Vec<PlannedLayerReport> = lines.enumerate().map(layer).collect();
    let mut recipes = vec![BTreeSet::new(); layers.len()];
    for entry in tree.iter().filter(|entry| entry.kind != Kind::Directory) {
        let inode = tree.inode(entry);
        let Some(Place::In(number)) = assignment.place(&inode.path) else { continue };
        layers[*number].bytes += entry.size();
        layers[*number].entries += 1;
        let owner = groups.owners(&entry.path).first().map(|owner| groups.packages()[*owner].recipe.as_str());
        recipes[*number].insert(owner.unwrap_or(GENERATED));
    }
    for (layer, recipes) in layers.iter_mut().zip(recipes) {
        layer.recipes = recipes.iter().map(|recipe| (*recipe).to_owned()).collect();
        let changes = |rates: &BTreeMap<String, Rate>| {
            recipes.iter().filter_map(|recipe| rates.get(*recipe)).map(|rate| rate.changes).max().unwrap_or_default()
        };
        layer.changes = rates.map(changes);
    }
    if layers.last().is_some_and(|rest| rest.entries == 0) {
        layers.pop();
    }
    PlanReport {
        owners: groups.source().map(str::to_owned),
        bytes: layers.iter().map(|layer| layer.bytes).sum(),
        entries: layers.iter().map(|layer| layer.entries).sum(),
        layers,
        update: None,
        warnings: Vec::new(),
    }
}
