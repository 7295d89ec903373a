//! Packs recipes into layers by size and name alone, if there is no history.
//!
//! The largest recipes have a layer each: a small update must not replace them too. The others share layers, those of
//! middle size some of them and small ones the rest, so that none replaces what is much larger. Which one is chosen by
//! the recipe's name alone, so that adding or removing a recipe affects no layer but its own. The number of shared
//! layers grows slowly with the number of recipes; then one of them is split, and the others stay.

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
pub(crate) fn weigh(groups: &Groups, tree: &Tree) -> BTreeMap<String, Weight> {
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

/// At most half of the layers are shared, and each holds three recipes before another is added.
const SHARED: usize = 2;
const IN_SHARED: usize = 3;
/// A recipe is of middle size if it has more than a quarter of the size of the smallest one alone. That size is rounded
/// up to a power of two, so that the border seldom moves.
const MIDDLE: u64 = 4;

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
    let border = alone.last().map_or(0, |(_, bytes)| bytes.next_power_of_two() / MIDDLE);
    let (middle, small) = together.split_at(together.partition_point(|(_, bytes)| *bytes > border));
    let of_middle = if small.is_empty() { shared } else { (shared / 2).min(middle.len()) };
    let (middle, small) = if of_middle == 0 { together.split_at(0) } else { (middle, small) };
    let mut bins: Vec<Vec<&str>> = vec![Vec::new(); shared];
    for (recipe, _) in middle {
        bins[bin(recipe, of_middle)].push(recipe);
    }
    for (recipe, _) in small {
        bins[of_middle + bin(recipe, shared - of_middle)].push(recipe);
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

    /// Bits that look random.
    fn mixed(number: u64) -> u64 {
        let number = (number ^ number >> 30).wrapping_add(1).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number ^ number >> 31
    }

    /// Returns sizes like those of packages: few large ones, many small ones.
    fn weights(count: usize) -> BTreeMap<String, Weight> {
        let size = |number: usize| 4096 + (mixed(number as u64) % 4096).pow(2) / (1 + number as u64 % 7).pow(3);
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
                assert!(recipes < count || layers.len() * 2 >= count, "{recipes} in {count}: {}", layers.len());
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
        let (mut shared, mut dissolved) = (0, 0);
        let mut before = contents(&pack(&weights(32), 31));
        for recipes in 33..=300 {
            let after = contents(&pack(&weights(recipes), 31));
            let changed: Vec<&String> = before.difference(&after).collect();
            // Seldom the steps begin elsewhere; the large ones stay all the same.
            let alone = changed.iter().filter(|layer| !layer.contains(' ')).count();
            assert!(alone <= 3, "{recipes}: {changed:?}");
            dissolved += alone;
            shared += changed.len() - alone;
            before = after;
        }
        assert!(shared <= 300 && dissolved <= 100, "{shared} {dissolved} in 268 steps");
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

    /// None drags along what is much larger than itself.
    #[test]
    fn small_ones_share_no_layer_with_larger_ones() {
        let weights: BTreeMap<String, Weight> = (0..120_u64)
            .map(|number| (format!("recipe-{number}"), Weight { bytes: 1000 * (number + 1).pow(2), entries: 1 }))
            .collect();
        let layers = pack(&weights, 31);
        // Of 16 that are alone, the smallest has 11 MB, which is rounded up to 16.
        let border = 4 << 20;
        let mut found = [0, 0];
        for layer in layers.iter().filter(|layer| layer.name.starts_with("shared-")) {
            let sizes = layer.selectors.iter();
            let sizes: Vec<u64> =
                sizes.map(|selector| weights[selector.text().strip_prefix("recipe:").unwrap()].bytes).collect();
            let above = sizes.iter().filter(|size| **size > border).count();
            assert!(above == 0 || above == sizes.len(), "{sizes:?}");
            found[usize::from(above == 0)] += 1;
        }
        assert_eq!(found, [7, 8]);
    }
}
