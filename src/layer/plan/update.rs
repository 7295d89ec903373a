//! Updates a plan from history: recipes that change often have layers of their own, the others share one.
//!
//! What has to be fetched anyway may be cut and joined anew at no cost; everything else stays where it is.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use crate::layer::groups::Groups;
use crate::layer::plan::selector::Takes;
use crate::layer::plan::{unused, Plan, PlannedLayer, Weight};

/// How often a recipe changed from one release to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rate {
    /// The number of steps in which it changed.
    pub changes: u32,
    /// The number of steps in which it was present.
    pub steps: u32,
}

impl Rate {
    /// Returns the probability that it changes in the next step, allowing for doubt about what was seen seldom.
    fn probability(self) -> f64 {
        ((f64::from(self.changes) + 0.1) / (f64::from(self.steps) + 0.5)).min(0.99)
    }
}

/// What a plan is updated with.
#[derive(Clone, Copy, Debug)]
pub struct PlanUpdate<'a> {
    /// What each recipe has in the new tree.
    pub weights: &'a BTreeMap<String, Weight>,
    /// How often each recipe changed; a missing recipe was never seen.
    pub rates: &'a BTreeMap<String, Rate>,
    /// The names of the layers that must be fetched whatever the plan is.
    pub fetched: &'a BTreeSet<String>,
    /// How many layers there may be.
    pub max: usize,
}

/// Returns the line of a plan that takes a recipe by its name, by that of one of its packages, or with everything left.
pub(crate) fn home(plan: &Plan, groups: &Groups, recipe: &str) -> Option<usize> {
    let its = || groups.packages().iter().filter(|package| package.recipe == recipe);
    plan.layers().iter().position(|layer| {
        layer.selectors.iter().any(|selector| {
            matches!(selector.takes(), Takes::Rest) || its().any(|package| selector.takes_package(package))
        })
    })
}

/// Updates a plan. Lines that name things other than recipes stay the same.
pub fn update(plan: &Plan, groups: &Groups, history: &PlanUpdate<'_>) -> Plan {
    let is_of_recipes =
        |layer: &PlannedLayer| layer.selectors.iter().all(|selector| matches!(selector.takes(), Takes::Recipes(_)));
    let recut: Vec<bool> =
        plan.layers().iter().map(|layer| is_of_recipes(layer) && history.fetched.contains(&layer.name)).collect();
    let probability = |recipe: &str| history.rates.get(recipe).copied().unwrap_or_default().probability();
    let mut pool = Vec::new();
    let mut chances = vec![1.0; plan.layers().len()];
    for (recipe, weight) in history.weights {
        match home(plan, groups, recipe) {
            Some(home) if !recut[home] => chances[home] *= 1.0 - probability(recipe),
            _ => pool.push(Item { recipe, bytes: weight.bytes, chance: probability(recipe) }),
        }
    }
    let kept: Vec<(PlannedLayer, f64)> = (plan.layers().iter().cloned().zip(chances).zip(&recut))
        .filter(|(_, recut)| !**recut)
        .map(|((layer, stays), _)| (layer, 1.0 - stays))
        .collect();
    let room = history.max.saturating_sub(kept.len()).max(1);
    let mut names: Vec<String> = kept.iter().map(|(layer, _)| layer.name.clone()).collect();
    let mut made = Vec::new();
    for items in partition(pool, room) {
        let wanted = match &items[..] {
            [only] => only.recipe.to_owned(),
            several if several.iter().all(|item| item.chance < 0.25) => "stable".to_owned(),
            _ => "volatile".to_owned(),
        };
        let name = unused(&wanted, |name| names.iter().any(|other| other == name));
        names.push(name.clone());
        let layer = PlannedLayer::of_recipes(&name, items.iter().map(|item| item.recipe));
        made.push((layer, 1.0 - items.iter().map(|item| 1.0 - item.chance).product::<f64>()));
    }
    // Lines of other kinds before the first line of recipes; all of them are kept.
    let first = plan.layers().iter().position(is_of_recipes).unwrap_or(0);
    Plan { layers: ordered(first, kept, made, is_of_recipes) }
}

/// Puts stable layers lowest; but no line of recipes passes one of another kind, which might take its entries.
fn ordered(
    first: usize,
    kept: Vec<(PlannedLayer, f64)>,
    made: Vec<(PlannedLayer, f64)>,
    is_of_recipes: impl Fn(&PlannedLayer) -> bool,
) -> Vec<PlannedLayer> {
    let length = kept[first..].iter().take_while(|(layer, _)| is_of_recipes(layer)).count();
    let mut layers = kept;
    let others = layers.split_off(first + length);
    let mut recipes = made;
    recipes.append(&mut layers.split_off(first));
    recipes.sort_by(|a, b| a.1.total_cmp(&b.1));
    layers.into_iter().chain(recipes).chain(others).map(|(layer, _)| layer).collect()
}

/// A recipe to be placed.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Item<'a> {
    recipe: &'a str,
    bytes: u64,
    chance: f64,
}

/// Bytes that the documents need for a layer, fetched with each update.
const PER_LAYER: f64 = 1024.0;

/// Returns what a layer of these recipes is expected to cost in the next step: its size, times the chance that
/// something in it changes.
fn cost<'i, 'a: 'i>(items: impl Iterator<Item = &'i Item<'a>>) -> f64 {
    let mut layer = Expected::default();
    items.for_each(|item| layer = layer.with(item));
    layer.cost()
}

/// Bytes, and the chance that nothing changes.
#[derive(Clone, Copy, Debug)]
struct Expected {
    bytes: f64,
    stays: f64,
    is_empty: bool,
}

impl Default for Expected {
    fn default() -> Self {
        Expected { bytes: 0.0, stays: 1.0, is_empty: true }
    }
}

impl Expected {
    fn with(self, item: &Item<'_>) -> Self {
        Expected { bytes: self.bytes + item.bytes as f64, stays: self.stays * (1.0 - item.chance), is_empty: false }
    }

    fn cost(self) -> f64 {
        if self.is_empty {
            0.0
        } else {
            self.bytes * (1.0 - self.stays) + PER_LAYER
        }
    }
}

/// Puts recipes into at most `count` layers, so that the next step costs least. Recipes of similar chance and size
/// stand together.
fn partition(items: Vec<Item<'_>>, count: usize) -> Vec<Vec<Item<'_>>> {
    let mut layers = cut_in_order(items, count);
    layers.resize(count.max(layers.len()), Vec::new());
    // Each move makes it cheaper, so that it comes to an end.
    while (0..layers.len()).any(|from| move_one(&mut layers, from)) {}
    layers.retain(|layer| !layer.is_empty());
    for layer in &mut layers {
        layer.sort_by(in_order);
    }
    layers
}

fn in_order(a: &Item<'_>, b: &Item<'_>) -> Ordering {
    a.chance.total_cmp(&b.chance).then(a.bytes.cmp(&b.bytes)).then(a.recipe.cmp(b.recipe))
}

/// What a move must save, in parts of what both layers cost: rounding is no gain.
const WORTH_A_MOVE: f64 = 1e-9;

/// Moves one recipe of a layer to another one, if that makes the next step cheaper.
fn move_one(layers: &mut [Vec<Item<'_>>], from: usize) -> bool {
    let expected = |layer: &Vec<Item<'_>>| layer.iter().fold(Expected::default(), |layer, item| layer.with(item));
    let all: Vec<Expected> = layers.iter().map(expected).collect();
    for at in 0..layers[from].len() {
        let item = layers[from][at];
        let others = layers[from].iter().enumerate().filter(|(other, _)| *other != at);
        let saved = all[from].cost() - cost(others.map(|(_, other)| other));
        let gains = (0..layers.len()).filter(|to| *to != from).map(|to| {
            let more = all[to].with(&item).cost() - all[to].cost();
            (saved - more, to)
        });
        let Some((gain, to)) = gains.max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1))) else { continue };
        if gain > WORTH_A_MOVE * (all[from].cost() + all[to].cost()) {
            layers[from].remove(at);
            layers[to].push(item);
            return true;
        }
    }
    false
}

/// Cuts recipes, sorted by chance and size, into at most `count` layers at the least cost that this order allows.
fn cut_in_order(mut items: Vec<Item<'_>>, count: usize) -> Vec<Vec<Item<'_>>> {
    items.sort_by(in_order);
    let length = items.len();
    // For each number of layers and each beginning of the list: the least cost, and where the last layer begins.
    let mut best = vec![vec![(f64::INFINITY, 0); length + 1]; count.min(length) + 1];
    best[0][0] = (0.0, 0);
    for end in 1..=length {
        let mut layer = Expected::default();
        for begin in (0..end).rev() {
            layer = layer.with(&items[begin]);
            let cost = layer.cost();
            for layers in 1..best.len() {
                let total = best[layers - 1][begin].0 + cost;
                if total < best[layers][end].0 {
                    best[layers][end] = (total, begin);
                }
            }
        }
    }
    let least = (0..best.len()).min_by(|a, b| best[*a][length].0.total_cmp(&best[*b][length].0)).unwrap_or_default();
    let mut cut = Vec::new();
    let mut end = length;
    for layers in (1..=least).rev() {
        let begin = best[layers][end].1;
        cut.push(items[begin..end].to_vec());
        end = begin;
    }
    cut.reverse();
    cut
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::groups::PackageMap;
    use crate::testing::model::Model;

    fn updated(plan: &str, recipes: &[(&str, u64, u32)], fetched: &[&str], max: usize) -> Vec<String> {
        let lines: Vec<String> =
            recipes.iter().map(|(recipe, ..)| format!("/{recipe}\t{recipe}\t{recipe}\t1\n")).collect();
        let map = lines.concat();
        let files: Vec<String> = recipes.iter().map(|(recipe, ..)| format!("{recipe}=x")).collect();
        let tree = Model::parse(&files.iter().map(String::as_str).collect::<Vec<_>>()).tree();
        let groups = Groups::of_map(&PackageMap::parse("map", map.as_bytes()).unwrap(), &tree).unwrap();
        let weights = recipes
            .iter()
            .map(|(recipe, bytes, _)| ((*recipe).to_owned(), Weight { bytes: *bytes * 1000, entries: 1 }));
        let rates =
            recipes.iter().map(|(recipe, _, changes)| ((*recipe).to_owned(), Rate { changes: *changes, steps: 10 }));
        let (weights, rates) = (weights.collect(), rates.collect());
        let fetched = fetched.iter().map(|name| (*name).to_owned()).collect();
        let history = PlanUpdate { weights: &weights, rates: &rates, fetched: &fetched, max };
        let plan = Plan::parse("plan", plan.as_bytes()).unwrap();
        update(&plan, &groups, &history).to_string().lines().map(str::to_owned).collect()
    }

    #[test]
    fn what_changes_often_has_a_layer_of_its_own() {
        let recipes = [("a", 1000, 0), ("b", 900, 9), ("c", 800, 0), ("d", 10, 8), ("e", 700, 0)];
        assert_eq!(
            updated("all: recipe:*\ngenerated: generated\n", &recipes, &["all"], 4),
            ["stable: recipe:e recipe:c recipe:a", "d: recipe:d", "b: recipe:b", "generated: generated"]
        );
    }

    #[test]
    fn what_need_not_be_fetched_stays() {
        let recipes = [("a", 1000, 9), ("b", 900, 0), ("c", 800, 0), ("new", 10, 0)];
        let plan = "x: recipe:a recipe:b\ny: recipe:c\ngenerated: generated\n";
        assert_eq!(
            updated(plan, &recipes, &[], 5),
            ["new: recipe:new", "y: recipe:c", "x: recipe:a recipe:b", "generated: generated"]
        );
        assert_eq!(
            updated(plan, &recipes, &["x"], 6),
            ["new: recipe:new", "b: recipe:b", "y: recipe:c", "a: recipe:a", "generated: generated"]
        );
    }

    #[test]
    fn lines_of_other_kinds_keep_their_places() {
        let recipes = [("a", 1000, 9), ("b", 900, 0)];
        let plan = "etc: /etc\na: recipe:a\nopt: /opt\nb: recipe:b\nrest: *\n";
        assert_eq!(
            updated(plan, &recipes, &["a", "b"], 9),
            ["etc: /etc", "b: recipe:b", "a: recipe:a", "opt: /opt", "rest: *"]
        );
        assert_eq!(updated(plan, &recipes, &[], 9), plan.lines().collect::<Vec<_>>());
    }

    /// Every way to put six recipes into layers, and the layers that were found.
    #[test]
    fn partitions_are_cheap() {
        let sizes = [50_000, 40_000, 30_000, 5000, 2000, 1000];
        for (number, chances) in
            [[0.9, 0.05, 0.5, 0.05, 0.9, 0.3], [0.1, 0.1, 0.1, 0.1, 0.1, 0.1], [0.02, 0.3, 0.02, 0.3, 0.02, 0.9]]
                .into_iter()
                .enumerate()
        {
            let items: Vec<Item<'_>> = (sizes.iter().zip(chances))
                .map(|(bytes, chance)| Item { recipe: "r", bytes: *bytes, chance })
                .collect();
            let total = |layers: &[Vec<Item<'_>>]| -> f64 { layers.iter().map(|layer| cost(layer.iter())).sum() };
            for count in 1..=6_usize {
                let mut least = f64::INFINITY;
                for code in 0..count.pow(6) {
                    let mut layers = vec![Vec::new(); count];
                    for (at, item) in items.iter().enumerate() {
                        layers[code / count.pow(at as u32) % count].push(*item);
                    }
                    least = least.min(total(&layers));
                }
                let found = total(&partition(items.clone(), count));
                let in_order = total(&cut_in_order(items.clone(), count));
                assert!(found <= in_order && found <= 1.01 * least, "{number}, {count}: {found} {in_order} {least}");
            }
        }
        assert!(partition(Vec::new(), 3).is_empty());
    }
}
