//! Assigns the entries of a tree to the layers of a plan.

use std::collections::{BTreeMap, BTreeSet};

use crate::layer::groups::Groups;
use crate::layer::plan::selector::Takes;
use crate::layer::plan::{Plan, Selector};
use crate::spelling::nearest;
use crate::tree::{Kind, TarPath, Tree};

/// Which layer of a plan takes which entry of a tree. Layers are numbers; the number after the last is the layer of
/// what no line takes.
#[derive(Debug)]
pub struct Assignment<'a> {
    plan: &'a Plan,
    groups: &'a Groups,
    places: BTreeMap<&'a TarPath, Place>,
    warnings: Vec<String>,
}

/// Where an entry belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a layer.
    In(usize),
    /// A directory that packages own, with each of them: owners and their layers.
    With(Vec<(usize, usize)>),
}

/// The place of a selector in a plan: its layer's number, and its number in that layer.
type At = (usize, usize);

impl<'a> Assignment<'a> {
    /// Assigns every entry of a tree to its place.
    pub fn new(plan: &'a Plan, groups: &'a Groups, tree: &'a Tree) -> Self {
        let mut matches = Matches::new(plan, groups);
        let mut places = BTreeMap::new();
        // The directories above, each with the selectors that match it or one above it.
        let mut above: Vec<(&TarPath, Vec<At>)> = Vec::new();
        for entry in tree.iter() {
            while above.last().is_some_and(|(path, _)| !entry.path.starts_with(path)) {
                above.pop();
            }
            let mut by_path = above.last().map(|(_, by_path)| by_path.clone()).unwrap_or_default();
            let own = matches.paths.iter().filter(|(_, selector)| selector.takes_path(&entry.path));
            by_path.extend(own.map(|(at, _)| *at));
            let owners = groups.owners(&entry.path);
            let place = match (&entry.kind, owners) {
                (Kind::Directory, [_, ..]) => {
                    Place::With(owners.iter().map(|owner| (*owner, matches.layer(Some(*owner), &by_path))).collect())
                }
                (_, owners) => Place::In(matches.layer(owners.first().copied(), &by_path)),
            };
            places.insert(&entry.path, place);
            if entry.kind == Kind::Directory {
                above.push((&entry.path, by_path));
            }
        }
        let warnings = matches.idle().map(|(at, selector)| warning(plan, at, selector, &matches, groups, tree));
        let warnings = warnings.collect();
        Assignment { plan, groups, places, warnings }
    }

    /// Returns the place of an entry, or `None` if the tree does not have it.
    pub fn place(&self, path: &TarPath) -> Option<&Place> {
        self.places.get(path)
    }

    /// Returns the plan.
    pub fn plan(&self) -> &'a Plan {
        self.plan
    }

    /// Returns who owns what.
    pub fn groups(&self) -> &'a Groups {
        self.groups
    }

    /// Returns warnings about selectors that take nothing.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

/// Which selectors match, and which of them took something.
struct Matches<'a> {
    plan: &'a Plan,
    paths: Vec<(At, &'a Selector)>,
    /// By package number.
    packages: Vec<Vec<At>>,
    generated: Vec<At>,
    rest: Vec<At>,
    matched: BTreeSet<At>,
    took: BTreeSet<At>,
}

/// Returns all selectors in order.
fn selectors(plan: &Plan) -> impl Iterator<Item = (At, &Selector)> {
    plan.layers().iter().enumerate().flat_map(|(layer, planned)| {
        planned.selectors.iter().enumerate().map(move |(number, selector)| ((layer, number), selector))
    })
}

impl<'a> Matches<'a> {
    fn new(plan: &'a Plan, groups: &Groups) -> Self {
        let of = |takes: fn(&Takes) -> bool| selectors(plan).filter(move |(_, selector)| takes(selector.takes()));
        let matching = |package| {
            selectors(plan)
                .filter(|(_, selector)| selector.takes_package(package))
                .map(|(at, _)| at)
                .collect::<Vec<At>>()
        };
        let packages: Vec<Vec<At>> = groups.packages().iter().map(matching).collect();
        Matches {
            plan,
            paths: of(|takes| matches!(takes, Takes::Paths(_))).collect(),
            matched: packages.iter().flatten().copied().collect(),
            packages,
            generated: of(|takes| matches!(takes, Takes::Generated)).map(|(at, _)| at).collect(),
            rest: of(|takes| matches!(takes, Takes::Rest)).map(|(at, _)| at).collect(),
            took: BTreeSet::new(),
        }
    }

    /// Returns the layer of an entry with this owner, if any, whose path these selectors match.
    fn layer(&mut self, owner: Option<usize>, by_path: &[At]) -> usize {
        let by_owner = match owner {
            Some(owner) => &self.packages[owner],
            None => &self.generated,
        };
        let all = || by_owner.iter().chain(by_path).chain(&self.rest).copied();
        let layer = all().map(|(layer, _)| layer).min();
        self.took.extend(all().filter(|(number, _)| Some(*number) == layer));
        self.matched.extend(by_path);
        layer.unwrap_or(self.plan.layers().len())
    }

    /// Returns the selectors that took nothing, except those that catch what others leave: there may be nothing to
    /// catch.
    fn idle(&self) -> impl Iterator<Item = (At, &'a Selector)> + '_ {
        let catches = |selector: &Selector| matches!(selector.takes(), Takes::Generated | Takes::Rest);
        selectors(self.plan).filter(move |(at, selector)| !self.took.contains(at) && !catches(selector))
    }
}

fn warning(plan: &Plan, at: At, selector: &Selector, matches: &Matches<'_>, groups: &Groups, tree: &Tree) -> String {
    let is_of_packages = matches!(selector.takes(), Takes::Recipes(_) | Takes::Packages(_));
    let reason = if matches.matched.contains(&at) {
        let or_gone = if is_of_packages { ", or not in the tree" } else { "" };
        format!(": what it matches is in other layers{or_gone}")
    } else if let Some(reason) = groups.no_owner().filter(|_| is_of_packages) {
        format!(": {reason}")
    } else {
        nearest_to(selector, groups, tree).map(|nearest| format!(": did you mean `{nearest}`")).unwrap_or_default()
    };
    format!("layer `{}`: `{selector}` takes nothing{reason}", plan.layer_name(at.0))
}

/// Returns what a selector that matches nothing may have meant.
fn nearest_to(selector: &Selector, groups: &Groups, tree: &Tree) -> Option<String> {
    let name = selector.text().split_once(':').unwrap_or_default().1;
    let packages = groups.packages();
    match selector.takes() {
        Takes::Recipes(_) => {
            let near = nearest(name, packages.iter().map(|package| package.recipe.as_str()))?;
            Some(Selector::recipe(near).to_string())
        }
        Takes::Packages(_) => {
            let near = nearest(name, packages.iter().map(|package| package.name.as_str()))?;
            Some(format!("package:{near}"))
        }
        Takes::Paths(_) => {
            let wanted = TarPath::parse(selector.text().as_bytes()).ok()?;
            // In the last existing directory on the way, the name nearest to the missing one.
            let way: Vec<TarPath> = std::iter::successors(Some(wanted), TarPath::parent).collect();
            let missing = way.iter().rev().find(|path| tree.get(path).is_none())?;
            let directory = missing.parent()?;
            let beside = tree.below(&directory).filter(|path| path.parent().as_ref() == Some(&directory));
            let names: Vec<String> =
                beside.map(|path| String::from_utf8_lossy(path.file_name()).into_owned()).collect();
            let near = nearest(&String::from_utf8_lossy(missing.file_name()), names.iter().map(String::as_str))?;
            Some(directory.join(near.as_bytes()).to_string())
        }
        Takes::Generated | Takes::Rest => None,
    }
}
