//! Divides the members of one layer among several, as a plan says.
//!
//! - An entry is in one layer; all names of one inode are in the layer of the first.
//! - A directory is in each layer that has something below it, and with each package that owns it. It has its true
//!   mode, owner and attributes everywhere. Its time would make one layer depend on another's content: only the last
//!   layer has the true one, the others have time 0.
//! - Whiteouts are in the lowest layer.

use std::collections::{BTreeMap, BTreeSet};

use crate::layer::groups::{Groups, GENERATED};
use crate::layer::percent;
use crate::layer::plan::{Assignment, Place, MAX_LAYERS};
use crate::layer::Step;
use crate::tree::{Entry, Kind, Metadata, TarPath};

/// One of several layers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cut<'a> {
    /// Its name.
    pub name: String,
    /// The groups that have something in it.
    pub groups: LayerGroups,
    /// Its members.
    pub steps: Vec<Step<'a>>,
}

/// The groups of a layer: recipes with their versions, mostly one each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LayerGroups(BTreeMap<String, BTreeSet<String>>);

impl LayerGroups {
    /// Returns them as words: `RECIPE=VERSION`, or `RECIPE` if there is no version.
    pub(crate) fn words(&self) -> String {
        let word = |(recipe, versions): (&String, &BTreeSet<String>)| {
            let recipe = percent::encode(recipe.as_bytes(), b"=");
            let versions: Vec<String> =
                versions.iter().map(|version| percent::encode(version.as_bytes(), b",")).collect();
            if versions.is_empty() {
                recipe
            } else {
                format!("{recipe}={}", versions.join(","))
            }
        };
        self.0.iter().map(word).collect::<Vec<_>>().join(" ")
    }

    /// Parses words.
    pub(crate) fn parse(words: &str) -> Self {
        let text = |word: &str| {
            let decoded = percent::decode(word.as_bytes()).unwrap_or_else(|_| word.into());
            String::from_utf8_lossy(&decoded).into_owned()
        };
        let mut groups = LayerGroups::default();
        for word in words.split_ascii_whitespace() {
            let (recipe, versions) = word.split_once('=').unwrap_or((word, ""));
            let versions = versions.split(',').filter(|version| !version.is_empty()).map(text);
            groups.0.entry(text(recipe)).or_default().extend(versions);
        }
        groups
    }

    /// Returns the recipes in order, each with its versions.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &BTreeSet<String>)> {
        self.0.iter().map(|(recipe, versions)| (recipe.as_str(), versions))
    }

    fn add(&mut self, groups: &Groups, owner: Option<usize>) {
        let Some(package) = owner.map(|owner| &groups.packages()[owner]) else {
            self.0.entry(GENERATED.to_owned()).or_default();
            return;
        };
        let versions = self.0.entry(package.recipe.clone()).or_default();
        if !package.version.is_empty() {
            versions.insert(package.version.clone());
        }
    }
}

/// A set of layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Layers(u128);

const _: () = assert!(MAX_LAYERS < 128);

impl Layers {
    fn of(layer: usize) -> Self {
        Layers(1 << layer)
    }

    fn add(&mut self, other: Layers) {
        self.0 |= other.0;
    }

    fn has(self, layer: usize) -> bool {
        self.0 & (1 << layer) != 0
    }

    fn without(self, other: Layers) -> Self {
        Layers(self.0 & !other.0)
    }

    fn is_empty(self) -> bool {
        self.0 == 0
    }

    fn lowest(self) -> usize {
        self.0.trailing_zeros() as usize
    }

    fn highest(self) -> usize {
        127 - self.0.leading_zeros() as usize
    }
}

/// Cuts members, which are in the order of their tree, into layers, the lowest first; layers without a member are left
/// out. The assignment is that of the whole tree. `is_changed` tells a directory that is a member itself from one that
/// only leads to members; in a layer with none below it, all are members.
pub(crate) fn cut<'a>(
    steps: &[Step<'a>],
    assignment: &Assignment<'_>,
    is_changed: impl Fn(&Entry) -> bool,
) -> Vec<Cut<'a>> {
    let outline = Outline::of(steps, assignment, is_changed);
    let used = outline.used();
    if used.is_empty() {
        return Vec::new();
    }
    let members = outline.members(used);
    let last = used.highest();
    let layers = (0..=last).filter(|layer| used.has(*layer));
    let cut = layers.map(|layer| {
        let of_layer = || steps.iter().zip(&members).zip(&outline.nodes).filter(|((_, layers), _)| layers.has(layer));
        let mut groups = LayerGroups::default();
        for ((step, _), _) in of_layer().filter(|(_, node)| node.own.has(layer)) {
            add_groups(&mut groups, step, layer, assignment);
        }
        let steps =
            of_layer().map(|((step, _), _)| if layer == last { step.clone() } else { timeless(step) }).collect();
        Cut { name: assignment.plan().layer_name(layer), groups, steps }
    });
    cut.collect()
}

/// Returns a directory without its time; everything else unchanged.
fn timeless<'a>(step: &Step<'a>) -> Step<'a> {
    match step.entry_and_source() {
        Some((entry, source)) if entry.kind == Kind::Directory && has_time(entry) => {
            let mut entry = entry.clone();
            entry.metadata.mtime = Metadata::default().mtime;
            Step::PutAs { entry: Box::new(entry), source }
        }
        _ => step.clone(),
    }
}

fn has_time(entry: &Entry) -> bool {
    entry.metadata.mtime != Metadata::default().mtime
}

fn add_groups(groups: &mut LayerGroups, step: &Step<'_>, layer: usize, assignment: &Assignment<'_>) {
    let Some((entry, _)) = step.entry_and_source() else { return };
    match assignment.place(&entry.path) {
        Some(Place::With(owners)) => {
            for (owner, _) in owners.iter().filter(|(_, of)| *of == layer) {
                groups.add(assignment.groups(), Some(*owner));
            }
        }
        _ => groups.add(assignment.groups(), assignment.groups().owners(&entry.path).first().copied()),
    }
}

/// In which layers each member is.
struct Outline<'s, 'a> {
    steps: &'s [Step<'a>],
    nodes: Vec<Node>,
}

struct Node {
    /// The directory that contains it.
    parent: Option<usize>,
    /// The layers that have it for its own sake.
    own: Layers,
    is_whiteout: bool,
}

impl<'s, 'a> Outline<'s, 'a> {
    fn of(steps: &'s [Step<'a>], assignment: &Assignment<'_>, is_changed: impl Fn(&Entry) -> bool) -> Self {
        let mut nodes: Vec<Node> = Vec::with_capacity(steps.len());
        let mut open: Vec<usize> = Vec::new();
        let mut files: BTreeMap<&TarPath, usize> = BTreeMap::new();
        let mut leads = vec![false; steps.len()];
        for (index, step) in steps.iter().enumerate() {
            while open.last().is_some_and(|directory| !step.path().starts_with(steps[*directory].path())) {
                open.pop();
            }
            let parent = open.last().copied();
            if let Some(parent) = parent {
                leads[parent] = true;
            }
            let entry = step.entry_and_source().map(|(entry, _)| entry);
            let own = match entry.map(|entry| (entry, &entry.kind)) {
                None => Layers::default(),
                Some((entry, Kind::Directory)) => {
                    open.push(index);
                    match assignment.place(&entry.path) {
                        Some(Place::With(owners)) if is_changed(entry) => {
                            owners.iter().fold(Layers::default(), |mut all, (_, layer)| {
                                all.add(Layers::of(*layer));
                                all
                            })
                        }
                        _ => Layers::default(),
                    }
                }
                // The first name comes before the others.
                Some((_, Kind::Hardlink { target })) if files.contains_key(&**target) => nodes[files[&**target]].own,
                Some((entry, _)) => {
                    files.insert(step.path(), index);
                    Layers::of(layer_of(entry, assignment))
                }
            };
            nodes.push(Node { parent, own, is_whiteout: entry.is_none() });
        }
        // Directories without an owner that lead nowhere are ordinary members.
        for (index, step) in steps.iter().enumerate() {
            let Some((entry, _)) = step.entry_and_source() else { continue };
            if entry.kind == Kind::Directory && nodes[index].own.is_empty() && !leads[index] {
                nodes[index].own = Layers::of(layer_of(entry, assignment));
            }
        }
        Outline { steps, nodes }
    }

    /// Returns the layers that have members. If there are only whiteouts, that is the first.
    fn used(&self) -> Layers {
        let mut used = Layers::default();
        self.nodes.iter().for_each(|node| used.add(node.own));
        if used.is_empty() && self.nodes.iter().any(|node| node.is_whiteout) {
            used.add(Layers::of(0));
        }
        used
    }

    /// Returns the layers that hold each member.
    fn members(&self, used: Layers) -> Vec<Layers> {
        let (lowest, last) = (Layers::of(used.lowest()), Layers::of(used.highest()));
        let mut members: Vec<Layers> =
            self.nodes.iter().map(|node| if node.is_whiteout { lowest } else { node.own }).collect();
        // Children come after their parents, so that one pass from the end reaches all parents.
        for index in (0..members.len()).rev() {
            let entry = self.steps[index].entry_and_source().map(|(entry, _)| entry);
            let has_true_time = entry.is_some_and(|entry| entry.kind == Kind::Directory && has_time(entry));
            if has_true_time && !members[index].without(last).is_empty() {
                members[index].add(last);
            }
            if let Some(parent) = self.nodes[index].parent {
                let leads_to = members[index];
                members[parent].add(leads_to);
            }
        }
        members
    }
}

fn layer_of(entry: &Entry, assignment: &Assignment<'_>) -> usize {
    match assignment.place(&entry.path) {
        Some(Place::In(layer)) => *layer,
        Some(Place::With(owners)) => owners.iter().map(|(_, layer)| *layer).min().unwrap_or_default(),
        None => assignment.plan().layers().len(),
    }
}

#[cfg(test)]
mod tests;
