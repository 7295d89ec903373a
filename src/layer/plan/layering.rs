//! The words with which a user says how a tree is cut into layers, and the plan that follows for one tree.

use std::fs;
use std::path::Path;

use crate::error::IoContext;
use crate::layer::groups::{Groups, Package};
use crate::layer::plan::{pack, unused, weigh, Plan, PlannedLayer, Selector, MAX_LAYERS};
use crate::tree::Tree;

/// How to cut a tree that is not known yet: the words `NAME=SELECTOR[,SELECTOR…]`, `packages[:MAX]` and `@FILE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layering {
    words: Vec<Word>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Word {
    Layer(PlannedLayer),
    /// The layers that the planner makes, up to this many in all.
    Packages(usize),
}

impl Layering {
    /// The default number of layers.
    pub(crate) const DEFAULT_MAX: usize = 32;

    /// Parses the words, and the plans that they name.
    pub fn parse<S: AsRef<str>>(words: &[S]) -> Result<Self, String> {
        let mut parsed = Vec::new();
        for word in words.iter().map(AsRef::as_ref) {
            if let Some(file) = word.strip_prefix('@') {
                let text = fs::read(file).at("read the plan", Path::new(file)).map_err(|error| error.to_string())?;
                let plan = Plan::parse(file, &text).map_err(|error| error.to_string())?;
                parsed.extend(plan.layers.into_iter().map(Word::Layer));
            } else if word == "packages" {
                parsed.push(Word::Packages(Layering::DEFAULT_MAX));
            } else if let Some(max) = word.strip_prefix("packages:") {
                let max = max.parse().ok().filter(|max| (1..=MAX_LAYERS).contains(max));
                let max = max.ok_or_else(|| format!("`{word}`: a number from 1 to {MAX_LAYERS} expected"))?;
                parsed.push(Word::Packages(max));
            } else if let Some((name, selectors)) = word.split_once('=') {
                parsed.push(Word::Layer(PlannedLayer::parse(name, selectors.split(','))?));
            } else {
                let hint =
                    if Path::new(word).is_file() { format!(" (a plan file is `@{word}`)") } else { String::new() };
                let message = "`packages[:MAX]`, `@FILE` or `NAME=SELECTOR[,SELECTOR…]` expected";
                return Err(match words {
                    // It is named already.
                    [_] => format!("{message}{hint}"),
                    _ => format!("`{word}`: {message}{hint}"),
                });
            }
        }
        if parsed.iter().filter(|word| matches!(word, Word::Packages(_))).count() > 1 {
            return Err("`packages` expected once, found twice".to_owned());
        }
        let layering = Layering { words: parsed };
        Plan::new(layering.named().cloned().collect())?;
        if let Some(max) = layering.max().filter(|max| *max > 1 && *max < layering.named().count() + 2) {
            let wanted = layering.named().count() + 2;
            return Err(format!("`packages:{max}`: at least {wanted} expected beside {} named layers", wanted - 2));
        }
        Ok(layering)
    }

    fn named(&self) -> impl Iterator<Item = &PlannedLayer> {
        self.words.iter().filter_map(|word| if let Word::Layer(layer) = word { Some(layer) } else { None })
    }

    /// Returns how many layers there may be, or `None` if that is not given.
    pub fn max(&self) -> Option<usize> {
        self.words.iter().find_map(|word| if let Word::Packages(max) = word { Some(*max) } else { None })
    }

    /// Returns a warning if `packages` finds no packages, or if a package map is of no use.
    pub fn warning(&self, groups: &Groups) -> Option<String> {
        match self.max() {
            Some(max) if max > 1 => groups.no_owner().map(|reason| format!("`packages` finds no packages: {reason}")),
            _ => groups.useless_map(),
        }
    }

    /// Returns the plan for a tree: recipes that no named layer names share the remaining layers, and what no package
    /// owns comes last.
    pub fn plan(&self, groups: &Groups, tree: &Tree) -> Plan {
        let Some(max) = self.max() else { return Plan { layers: self.named().cloned().collect() } };
        let catch_all = |selector: &Selector| matches!(selector.text(), "*" | "generated");
        let takes_generated = self.named().flat_map(|layer| &layer.selectors).any(catch_all);
        let is_named =
            |package: &Package| self.named().flat_map(|layer| &layer.selectors).any(|s| s.takes_package(package));
        let mut weights = weigh(groups, tree);
        for package in groups.packages().iter().filter(|package| is_named(package)) {
            weights.remove(&package.recipe);
        }
        let count = max.saturating_sub(self.named().count() + usize::from(!takes_generated)).max(1);
        let mut layers: Vec<PlannedLayer> = self.named().cloned().collect();
        let at = self.words.iter().position(|word| matches!(word, Word::Packages(_))).unwrap_or_default();
        if max == 1 {
            return Plan { layers: vec![PlannedLayer { name: "all".to_owned(), selectors: vec![star()] }] };
        }
        for mut packed in pack(&weights, count).into_iter().rev() {
            packed.name = unused(&packed.name, |name| layers.iter().any(|layer| layer.name == name));
            layers.insert(at, packed);
        }
        if !takes_generated {
            let name = unused("generated", |name| layers.iter().any(|layer| layer.name == name));
            let selectors = vec![Selector::parse("generated").expect("it is a selector")];
            layers.push(PlannedLayer { name, selectors });
        }
        Plan { layers }
    }
}

fn star() -> Selector {
    Selector::parse("*").expect("it is a selector")
}

impl From<Plan> for Layering {
    fn from(plan: Plan) -> Self {
        Layering { words: plan.layers.into_iter().map(Word::Layer).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_without_owners() {
        let tree = crate::testing::model::Model::parse(&["usr/bin/a=A"]).tree();
        let none = Groups::default();
        let groups = |map: &str| {
            let map = crate::layer::groups::PackageMap::parse("map", map.as_bytes()).unwrap();
            Groups::of_map(&map, &tree).unwrap()
        };
        let (lost, found) = (groups("/gone\tp\tr\t1\n"), groups("/usr\tp\tr\t1\n"));
        let database =
            "`packages` finds no packages: there is no package map, and no database of dpkg, opkg or apk in the rootfs";
        let useless = "no path of the package map `map` is in the rootfs";
        let by_packages = format!("`packages` finds no packages: {useless}");
        for (word, groups, expected) in [
            ("packages", &none, Some(database)),
            ("packages:1", &none, None),
            ("a=/usr", &none, None),
            ("packages", &lost, Some(by_packages.as_str())),
            ("a=/usr", &lost, Some(useless)),
            ("packages", &found, None),
        ] {
            assert_eq!(Layering::parse(&[word]).unwrap().warning(groups).as_deref(), expected, "{word}");
        }
    }

    #[test]
    fn words() {
        for words in [
            &["packages"][..],
            &["packages:1"],
            &["packages:120"],
            &["base=recipe:glibc,recipe:busybox", "app=/opt/app", "packages:4"],
            &["base=recipe:a%2Cb"],
            &["%3D=*"],
        ] {
            assert!(Layering::parse(words).is_ok(), "{words:?}");
        }
        for (words, expected) in [
            (&["package"][..], "`packages[:MAX]`, `@FILE` or `NAME=SELECTOR[,SELECTOR…]` expected"),
            (&["packages:0"], "`packages:0`: a number from 1 to 120 expected"),
            (&["packages:121"], "`packages:121`: a number from 1 to 120 expected"),
            (&["packages:x"], "`packages:x`: a number from 1 to 120 expected"),
            (&["packages", "packages:3"], "`packages` expected once, found twice"),
            (&["a=/a", "b=/b", "packages:3"], "`packages:3`: at least 4 expected beside 2 named layers"),
            (&["a=/a", "a=/b"], "the layer `a` is defined twice"),
            (&["a="], "`` is not a pattern: a name or path with `*`, `?`, `**`, `[set]` expected"),
            (&["=/a"], "a name expected, found none"),
            (&["@missing/plan"], "cannot read the plan `missing/plan`: No such file or directory"),
        ] {
            assert_eq!(Layering::parse(words).unwrap_err(), expected);
        }
    }

    fn planned(words: &[&str], map: &str, files: &[&str]) -> String {
        let tree = crate::testing::model::Model::parse(files).tree();
        let map = crate::layer::groups::PackageMap::parse("map", map.as_bytes()).unwrap();
        let groups = Groups::of_map(&map, &tree).unwrap();
        Layering::parse(words).unwrap().plan(&groups, &tree).to_string()
    }

    #[test]
    fn what_the_words_stand_for() {
        let map = "/a\ta\tra\t1\n/b\tb\trb\t1\n/c\tc\tgtk+ x\t1\n/d\td\trest\t1\n";
        let files = ["a=AAAA", "b=B", "c=C", "d=D", "e=E"];
        for (words, expected) in [
            (
                &["packages"][..],
                "gtk+%20x: recipe:gtk+%20x\nra: recipe:ra\nrb: recipe:rb\nrest: recipe:rest\ngenerated: generated\n",
            ),
            (&["packages:1"], "all: *\n"),
            (&["packages:2"], "shared-1: recipe:gtk+%20x recipe:ra recipe:rb recipe:rest\ngenerated: generated\n"),
            (
                &["x=/x", "packages:3"],
                "x: /x\nshared-1: recipe:gtk+%20x recipe:ra recipe:rb recipe:rest\ngenerated: generated\n",
            ),
            // What is named is not packed, wherever it is named.
            (
                &["rb=package:a", "packages", "x=recipe:r*", "y=*"],
                "rb: package:a\ngtk+%20x: recipe:gtk+%20x\nx: recipe:r*\ny: *\n",
            ),
            (
                &["ra=/x", "packages", "y=generated"],
                "ra: /x\ngtk+%20x: recipe:gtk+%20x\nra-2: recipe:ra\nrb: recipe:rb\nrest: recipe:rest\ny: generated\n",
            ),
            (&["a=/a", "b=recipe:rb,generated"], "a: /a\nb: recipe:rb generated\n"),
        ] {
            assert_eq!(planned(words, map, &files), expected, "{words:?}");
        }
        assert_eq!(planned(&["packages"], "", &files), "generated: generated\n");
    }
}
