//! Packs recipes into layers by size and name alone, if there is no history.
//!
//! The largest recipes have a layer each: a small update must not replace them too. The others share a few, each chosen
//! by its name alone, so that adding or removing a recipe affects no layer but its own. The number of shared layers
//! grows slowly with the number of recipes; then one of them is split, and the others stay.

use std::collections::BTreeMap;

use crate::layer::groups::Groups;
use crate::layer::plan::PlannedLayer;
use crate::tree::{Kind, Tree};

/// What a recipe has in a tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weight {
    /// Approximate bytes in the tar of a layer.
    pub bytes: u64,
    /// Entries, without directories.
    pub entries: usize,
}

/// Returns what each recipe has in a tree.
pub fn weigh(groups: &Groups, tree: &Tree) -> BTreeMap<String, Weight> {
    let mut weights: BTreeMap<String, Weight> = BTreeMap::new();
    for entry in tree.iter() {
        // A directory counts for each of its owners.
        for owner in groups.owners(&entry.path) {
            let weight = weights.entry(groups.packages()[*owner].recipe.clone()).or_default();
            weight.bytes += 512 + entry.size().next_multiple_of(512);
            weight.entries += usize::from(entry.kind != Kind::Directory);
        }
    }
    weights
}

/// At most a quarter of the layers are shared, and each holds three recipes before another is added.
const SHARED: usize = 4;
const IN_SHARED: usize = 3;

/// Packs recipes into at most `count` layers; `count` is at least one.
pub fn pack(weights: &BTreeMap<String, Weight>, count: usize) -> Vec<PlannedLayer> {
    let mut by_size: Vec<(&str, u64)> =
        weights.iter().map(|(recipe, weight)| (recipe.as_str(), weight.bytes)).collect();
    by_size.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let too_many = by_size.len().saturating_sub(count);
    let shared = if too_many == 0 { 0 } else { (too_many + 1).div_ceil(IN_SHARED).clamp(1, (count / SHARED).max(1)) };
    let (alone, together) = by_size.split_at(by_size.len().min(count - shared));

    let mut layers: Vec<PlannedLayer> =
        alone.iter().map(|(recipe, _)| PlannedLayer::of_recipes(recipe, [*recipe])).collect();
    layers.sort_by(|a, b| a.name.cmp(&b.name));
    let mut bins: Vec<Vec<&str>> = vec![Vec::new(); shared];
    for (recipe, _) in together {
        bins[bin(recipe, shared)].push(recipe);
    }
    for (number, mut recipes) in bins.into_iter().enumerate().filter(|(_, recipes)| !recipes.is_empty()) {
        recipes.sort_unstable();
        layers.push(PlannedLayer::of_recipes(&format!("shared-{}", number + 1), recipes));
    }
    layers
}

/// Returns which of the shared layers a recipe is in. When one is added, one is split and the others stay (linear
/// hashing).
fn bin(recipe: &str, bins: usize) -> usize {
    let hash = fnv(recipe.as_bytes());
    let wide = bins.next_power_of_two();
    let bin = (hash % wide as u64) as usize;
    if bin < bins {
        bin
    } else {
        bin - wide / 2
    }
}

/// FNV-1a with its halves mixed: the low bits alone depend on the last letters.
fn fnv(bytes: &[u8]) -> u64 {
    let hash = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    hash ^ (hash >> 32)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::layer::plan::Plan;

    /// Returns sizes like those of packages: few large ones, many small ones.
    fn weights(count: usize) -> BTreeMap<String, Weight> {
        let size = |number: usize| 4096 + (fnv(&number.to_le_bytes()) % 4096).pow(2) / (1 + number as u64 % 7).pow(3);
        let names = (0..count).map(|number| format!("recipe-{number}"));
        names.enumerate().map(|(number, name)| (name, Weight { bytes: size(number), entries: 1 })).collect()
    }

    fn contents(layers: &[PlannedLayer]) -> BTreeSet<String> {
        let text = |layer: &PlannedLayer| layer.selectors.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        layers.iter().map(text).collect()
    }

    #[test]
    fn every_recipe_has_one_layer() {
        for recipes in [0, 1, 3, 4, 5, 31, 32, 40, 200] {
            for count in [1, 2, 3, 4, 31, 119] {
                let layers = pack(&weights(recipes), count);
                assert!(layers.len() <= count, "{recipes} in {count}");
                assert!(recipes < count || layers.len() >= count * 3 / 4, "{recipes} in {count}: {}", layers.len());
                let mut all: Vec<String> =
                    layers.iter().flat_map(|layer| &layer.selectors).map(ToString::to_string).collect();
                all.sort();
                let mut expected: Vec<String> = weights(recipes).keys().map(|name| format!("recipe:{name}")).collect();
                expected.sort();
                assert_eq!(all, expected);
                assert!(Plan::new(layers).is_ok());
            }
        }
    }

    /// Of the existing layers, one changes, or is dissolved into one that changes.
    #[test]
    fn one_more_disturbs_one() {
        for recipes in 33..300 {
            let before = pack(&weights(recipes), 31);
            let after = contents(&pack(&weights(recipes + 1), 31));
            let others = contents(&before).difference(&after).filter(|layer| layer.contains(' ')).count();
            let alone = contents(&before).difference(&after).filter(|layer| !layer.contains(' ')).count();
            // While the number of shared layers grows, one more of them is split.
            let grows = recipes < 60;
            assert!(others <= 1 + 2 * usize::from(grows), "{recipes}: {others} shared layers changed");
            assert!(alone <= 1 + usize::from(grows), "{recipes}: {alone} recipes lost their layers");
        }
    }

    #[test]
    fn one_more_shared_layer_splits_one() {
        for bins in 1..16 {
            let changed: BTreeSet<usize> = (0..500)
                .map(|number| format!("r{number}"))
                .filter(|name| bin(name, bins) != bin(name, bins + 1))
                .map(|name| bin(&name, bins))
                .collect();
            assert_eq!(changed.len(), 1, "{bins}: {changed:?}");
        }
    }
}
