//! Together, layers make the tree that they were cut from, and one more recipe affects no layer but its own.

use std::fmt::Write;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::layer::groups::PackageMap;
use crate::layer::plan::Plan;
use crate::layer::{difference, Fold};
use crate::testing::edits::pair;
use crate::testing::model::{path, Model};
use crate::tree::{Mask, Tree, Whiteout};

fn groups(map: &str, tree: &Tree) -> Groups {
    Groups::of_map(&PackageMap::parse("map", map.as_bytes()).unwrap(), tree).unwrap()
}

fn plan(text: &str) -> Plan {
    Plan::parse("plan", text.as_bytes()).unwrap()
}

/// One line per layer: its name, its groups, and its members; `0` follows a directory without its time.
fn shown(layers: &[Cut<'_>]) -> Vec<String> {
    let member = |step: &Step<'_>| match step.entry_and_source() {
        None => format!("-{}", step.path()),
        Some((entry, source)) if entry.kind == Kind::Directory => {
            let zero = if entry.metadata == source.metadata { "" } else { "0" };
            format!("{}/{zero}", entry.path.to_string().trim_end_matches('/'))
        }
        Some((entry, _)) => entry.path.to_string(),
    };
    let layer = |cut: &Cut<'_>| {
        let members: Vec<String> = cut.steps.iter().map(member).collect();
        format!("{} [{}] {}", cut.name, cut.groups.words(), members.join(" "))
    };
    layers.iter().map(layer).collect()
}

fn cut_tree(model: &Model, map: &str, text: &str) -> Vec<String> {
    let tree = model.tree();
    let (groups, plan) = (groups(map, &tree), plan(text));
    let assignment = Assignment::new(&plan, &groups, &tree);
    let steps: Vec<Step<'_>> = tree.iter().map(Step::Put).collect();
    shown(&cut(&steps, &assignment, |_| true))
}

const MAP: &str = "/usr/bin/a\ta\tra\t1\n/usr/bin/b\tb\trb\t2\n/usr/lib/b\tlib-b\trb\t2\n/opt\tb\trb\t2\n";

#[test]
fn members_and_the_directories_that_lead_to_them() {
    let model =
        Model::parse(&["usr/bin mtime=5", "usr mtime=0", "usr/bin/a=A", "usr/bin/b=B", "usr/lib/b=B", "etc/x=X"]);
    let mut model = model;
    model.inode_mut(&path("")).unwrap().metadata.mtime = 7.into();
    for (text, expected) in [
        (
            "a: recipe:ra\nb: recipe:rb\n",
            &[
                "a [ra=1] /0 /usr/ /usr/bin/0 /usr/bin/a",
                "b [rb=2] /0 /usr/ /usr/bin/0 /usr/bin/b /usr/lib/ /usr/lib/b",
                "rest [generated] / /etc/ /etc/x /usr/ /usr/bin/",
            ][..],
        ),
        // The last line takes the last layer.
        (
            "a: recipe:ra\nb: *\n",
            &[
                "a [ra=1] /0 /usr/ /usr/bin/0 /usr/bin/a",
                "b [generated rb=2] / /etc/ /etc/x /usr/ /usr/bin/ /usr/bin/b /usr/lib/ /usr/lib/b",
            ],
        ),
        // One layer is as if there were no plan.
        (
            "all: *",
            &["all [generated ra=1 rb=2] / /etc/ /etc/x /usr/ /usr/bin/ /usr/bin/a /usr/bin/b /usr/lib/ /usr/lib/b"],
        ),
        (
            "a: /usr/bin\nb: *\n",
            &[
                "a [ra=1 rb=2] /0 /usr/ /usr/bin/0 /usr/bin/a /usr/bin/b",
                "b [generated rb=2] / /etc/ /etc/x /usr/ /usr/bin/ /usr/lib/ /usr/lib/b",
            ],
        ),
        // The first line that matches takes it, and lines that take nothing make no layers.
        (
            "none: /none\na: package:lib-b\nb: recipe:rb\nc: generated\nd: *",
            &[
                "a [rb=2] /0 /usr/ /usr/lib/ /usr/lib/b",
                "b [rb=2] /0 /usr/ /usr/bin/0 /usr/bin/b",
                "c [generated] /0 /etc/ /etc/x",
                "d [ra=1] / /usr/ /usr/bin/ /usr/bin/a",
            ],
        ),
    ] {
        assert_eq!(cut_tree(&model, MAP, text), expected, "{text}");
    }
}

#[test]
fn directories_go_with_those_who_own_them() {
    let map = "/var/a\ta\tra\t1\n/var/a\tb\trb\t1\n/var/b\tb\trb\t1\n/bin/a\ta\tra\t1\n/bin/b\tb\trb\t1\n";
    let model = Model::parse(&["bin/a=A", "bin/b=B", "var/a", "var/b/x=X", "var/c"]);
    let expected = [
        "a [ra=1] / /bin/ /bin/a /var/ /var/a/",
        "b [rb=1] / /bin/ /bin/b /var/ /var/a/ /var/b/",
        "rest [generated] / /var/ /var/b/ /var/b/x /var/c/",
    ];
    assert_eq!(cut_tree(&model, map, "a: recipe:ra\nb: recipe:rb"), expected);
}

#[test]
fn names_of_one_inode_stay_together() {
    let map = "/a\ta\tra\t1\n/b\tb\trb\t1\n/c\tb\trb\t1\n";
    let model = Model::parse(&["a=A", "b=>a", "c=C", "d=>c"]);
    let expected = ["b [generated rb=1] / /c /d", "a [ra=1 rb=1] / /a /b"];
    assert_eq!(cut_tree(&model, map, "b: recipe:rb\na: *"), expected);
}

#[test]
fn over_a_base() {
    let old = Model::parse(&["bin/a=A", "bin/b=B", "gone/x=X", "same/x=X", "bin mtime=5", "var/a"]);
    let new = Model::parse(&["bin/a=AA", "bin/b=BB", "same/x=X", "bin mtime=5", "var/a mode=700", "new/x=X"]);
    let map = "/bin\ta\tra\t1\n/bin\tb\trb\t1\n/bin\tc\trc\t1\n/bin/a\ta\tra\t1\n/bin/b\tb\trb\t1\n/var/a\ta\tra\t1\n";
    let (old_tree, new_tree) = (old.tree(), new.tree());
    let steps: Vec<Step<'_>> =
        difference(&old_tree, &new_tree, &Mask::default(), |_, _| Ok(false)).unwrap().into_iter().collect();
    let (groups, plan) = (groups(map, &new_tree), plan("c: recipe:rc\nb: recipe:rb\na: recipe:ra\nrest: *\n"));
    let assignment = Assignment::new(&plan, &groups, &new_tree);
    let is_changed = |entry: &Entry| old_tree.get(&entry.path) != Some(entry);
    let expected = [
        "b [rb=1] / -/gone /bin/0 /bin/b",
        "a [ra=1] / /bin/0 /bin/a /var/ /var/a/",
        "rest [generated] / /bin/ /new/ /new/x /same/ /same/x",
    ];
    assert_eq!(shown(&cut(&steps, &assignment, is_changed)), expected);
}

#[test]
fn removals_alone() {
    let (old, new) = (Model::parse(&["a=A"]).tree(), Model::parse(&[]).tree());
    let steps: Vec<Step<'_>> = difference(&old, &new, &Mask::default(), |_, _| Ok(true)).unwrap().into_iter().collect();
    let (groups, plan) = (Groups::default(), plan("a: /b\nb: *"));
    let assignment = Assignment::new(&plan, &groups, &new);
    assert_eq!(shown(&cut(&steps, &assignment, |_| false)), ["a [] / -/a"]);
    assert!(cut(&[], &assignment, |_| false).is_empty());
}

#[test]
fn words_of_groups() {
    for words in ["generated", "a=1,2 b c%20d=x%2Cy e%3Df=1=2", ""] {
        assert_eq!(LayerGroups::parse(words).words(), words);
    }
    let groups = LayerGroups::parse(" gtk+=1.2-r0\tgröße=1,,2  ");
    let shown: Vec<String> = groups.iter().map(|(recipe, versions)| format!("{recipe}{versions:?}")).collect();
    assert_eq!(shown, ["größe{\"1\", \"2\"}", "gtk+{\"1.2-r0\"}"]);
}

#[test]
fn selectors_that_take_nothing() {
    let tree = Model::parse(&["usr/bin/a=A", "usr/share/x=X"]).tree();
    let (groups, plan) = (
        groups("/usr/bin/a\tpackage-a\trecipe-a\t1\n/none\tgone\tgone\t1\n", &tree),
        plan(
            "a: recipe:recipe-a package:package-a\nb: recipe:recipe-b package:pakcage-a /usr/shar/x /usr/share/y \
             package:package-a /usr/bin/* recipe:gone recipe:other\nc: *\nd: generated\n",
        ),
    );
    let warnings = Assignment::new(&plan, &groups, &tree).warnings().to_vec();
    let expected = [
        "`recipe:recipe-b` takes nothing: did you mean `recipe:recipe-a`",
        "`package:pakcage-a` takes nothing: did you mean `package:package-a`",
        "`/usr/shar/x` takes nothing: did you mean `/usr/share`",
        "`/usr/share/y` takes nothing: did you mean `/usr/share/x`",
        "`package:package-a` takes nothing: what it matches is in other layers, or not in the tree",
        "`/usr/bin/*` takes nothing: what it matches is in other layers",
        "`recipe:gone` takes nothing: what it matches is in other layers, or not in the tree",
        "`recipe:other` takes nothing",
    ];
    assert_eq!(warnings, expected.map(|text| format!("layer `b`: {text}")));
    let nothing = Groups::default();
    let warnings = Assignment::new(&plan, &nothing, &tree).warnings().to_vec();
    assert!(warnings[0].ends_with("there is no package map, and no database of dpkg, opkg or apk in the rootfs"));
}

/// Who owns what, and a plan, for the names that the edits use.
#[derive(Clone, Debug)]
struct Owners {
    /// For each path, by its bytes, the recipe that owns it.
    seed: u64,
    directories: bool,
}

const RECIPES: [&str; 4] = ["r0", "r1", "r2", "r3"];

impl Owners {
    /// Returns the numbers of the recipes that own a path; at most one for anything but a directory.
    fn of(&self, path: &TarPath, is_directory: bool) -> Vec<usize> {
        let mut state = self.seed;
        for byte in path.as_bytes() {
            state = (state ^ u64::from(*byte)).wrapping_mul(0x5851_F42D_4C95_7F2D).rotate_left(29);
        }
        let owners = (0..RECIPES.len()).filter(|recipe| (state >> (8 * recipe)) % 4 == 0);
        match is_directory {
            true if self.directories => owners.collect(),
            true => Vec::new(),
            false => owners.take(1).collect(),
        }
    }

    fn map(&self, tree: &Tree, without: Option<usize>) -> String {
        let mut map = String::new();
        for entry in tree.iter() {
            for owner in self.of(&entry.path, entry.kind == Kind::Directory) {
                if Some(owner) != without {
                    let path = String::from_utf8_lossy(entry.path.as_bytes()).into_owned();
                    writeln!(map, "/{path}\tp{owner}\t{}\t1", RECIPES[owner]).unwrap();
                }
            }
        }
        map
    }
}

fn owners() -> impl Strategy<Value = Owners> {
    (any::<u64>(), any::<bool>()).prop_map(|(seed, directories)| Owners { seed, directories })
}

fn any_plan() -> impl Strategy<Value = Plan> {
    let selector = select(vec![
        "recipe:r0",
        "recipe:r1",
        "recipe:r2",
        "package:p3",
        "recipe:r*",
        "/a",
        "/b/*",
        "**/ab",
        "generated",
        "*",
    ]);
    vec(vec(selector, 1..3), 1..5).prop_map(|layers| {
        let lines =
            layers.iter().enumerate().map(|(number, selectors)| format!("l{number}: {}\n", selectors.join(" ")));
        plan(&lines.collect::<String>())
    })
}

/// Applies layers to a filesystem.
fn applied(base: Model, layers: &[Cut<'_>], new: &Model) -> Model {
    layers.iter().fold(base, |model, cut| model.apply(&cut.steps, new))
}

fn check_once(layers: &[Cut<'_>]) -> Result<(), TestCaseError> {
    let mut seen = BTreeSet::new();
    for cut in layers {
        prop_assert!(!cut.steps.is_empty());
        for step in &cut.steps {
            let is_directory = step.entry_and_source().is_some_and(|(entry, _)| entry.kind == Kind::Directory);
            prop_assert!(is_directory || seen.insert(step.path().clone()), "{:?} occurs twice", step.path());
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn layers_are_the_tree((_, new) in pair(), owners in owners(), plan in any_plan()) {
        let tree = new.tree();
        let groups = groups(&owners.map(&tree, None), &tree);
        let assignment = Assignment::new(&plan, &groups, &tree);
        let steps: Vec<Step<'_>> = tree.iter().map(Step::Put).collect();
        let layers = cut(&steps, &assignment, |_| true);
        check_once(&layers)?;
        let made = applied(Model::default(), &layers, &new);
        prop_assert_eq!(made.shape(|_| true), new.shape(|_| true));
        let mut fold = Fold::new();
        for layer in &layers {
            let members = layer.steps.iter().map(|step| step.entry_and_source().unwrap().0.clone());
            fold.apply(members.collect()).unwrap();
        }
        prop_assert_eq!(&fold.finish().tree, &tree);
        if let [only] = &layers[..] {
            prop_assert_eq!(&only.steps, &steps);
        }
    }

    #[test]
    fn over_a_base_too((old, new) in pair(), owners in owners(), plan in any_plan()) {
        let (old_tree, new_tree) = (old.tree(), new.tree());
        let content = |model: &Model, entry: &Entry| model.inode(&entry.path).unwrap().content.clone();
        let same = |a: &Entry, b: &Entry| Ok(content(&old, a) == content(&new, b));
        let steps = difference(&old_tree, &new_tree, &Mask::default(), same).unwrap();
        let steps: Vec<Step<'_>> = steps.into_iter().collect();
        let groups = groups(&owners.map(&new_tree, None), &new_tree);
        let assignment = Assignment::new(&plan, &groups, &new_tree);
        let layers = cut(&steps, &assignment, |entry| old_tree.get(&entry.path) != Some(entry));
        check_once(&layers)?;
        prop_assert_eq!(layers.is_empty(), steps.is_empty());
        let made = applied(old, &layers, &new);
        prop_assert_eq!(made.shape(|_| true), new.shape(|_| true));
        let removes = |step: &Step<'_>| {
            Whiteout::Remove(step.path().clone()).marker().is_some() && step.entry_and_source().is_none()
        };
        let mut whiteouts = layers.iter().map(|cut| cut.steps.iter().any(removes));
        whiteouts.next();
        prop_assert!(!whiteouts.any(|has| has), "whiteouts above the lowest layer");
    }

    /// Removes what a recipe brings: files, and directories that only lead to them. All layers but those that the plan
    /// names for it, and the last, stay the same.
    #[test]
    fn a_recipe_more_disturbs_its_layers_alone(
        (_, new) in pair(),
        owners in owners(),
        plan in any_plan(),
        recipe in 0..4_usize,
    ) {
        let with = new.tree();
        let is_its = |entry: &Entry| {
            let of = |path: &TarPath, kind: &Kind| owners.of(path, *kind == Kind::Directory);
            match of(&entry.path, &entry.kind)[..] {
                [owner] => owner == recipe,
                _ => false,
            }
        };
        // An inode goes with all its names or stays.
        let removed: BTreeSet<&TarPath> = with.iter().filter(|entry| {
            let is_one = |other: &&Entry| with.inode(other).path == with.inode(entry).path;
            entry.kind != Kind::Directory && with.iter().filter(is_one).any(is_its)
        }).map(|entry| &entry.path).collect();
        let shared_inode = with.iter().any(|entry| removed.contains(&entry.path) && !is_its(entry));
        prop_assume!(!shared_inode);
        let mut without = new.clone();
        for path in &removed {
            without.remove(path);
        }
        // Innermost first.
        let directories: Vec<&Entry> = with.iter().filter(|entry| entry.kind == Kind::Directory).collect();
        for directory in directories.into_iter().rev() {
            let was_empty = with.below(&directory.path).next().is_none();
            let is_empty = !without.names().any(|name| name != &directory.path && name.starts_with(&directory.path));
            let others = owners.of(&directory.path, true).iter().any(|owner| *owner != recipe);
            if is_empty && !others && (!was_empty || is_its(directory)) {
                without.remove(&directory.path);
            }
        }
        let without_tree = without.tree();
        let with_groups = groups(&owners.map(&with, None), &with);
        let without_groups = groups(&owners.map(&without_tree, Some(recipe)), &without_tree);
        let with_assignment = Assignment::new(&plan, &with_groups, &with);
        let without_assignment = Assignment::new(&plan, &without_groups, &without_tree);
        let steps = |tree: &Tree| -> Vec<Step<'static>> {
            let leaked: &'static Tree = Box::leak(Box::new(tree.clone()));
            leaked.iter().map(Step::Put).collect()
        };
        let (with_steps, without_steps) = (steps(&with), steps(&without_tree));
        let with_layers = cut(&with_steps, &with_assignment, |_| true);
        let without_layers = cut(&without_steps, &without_assignment, |_| true);
        let is_of_it =
            |entry: &&Entry| owners.of(&entry.path, entry.kind == Kind::Directory).contains(&recipe);
        let its: BTreeSet<String> = with.iter().filter(is_of_it).flat_map(|entry| {
            let layers = match with_assignment.place(&entry.path).unwrap() {
                Place::In(layer) => vec![*layer],
                Place::With(owners) => owners.iter().map(|(_, layer)| *layer).collect(),
            };
            layers.into_iter().map(|layer| plan.layer_name(layer))
        }).collect();
        let last = [&with_layers, &without_layers].map(|layers| layers.last().map(|cut| cut.name.clone()));
        for cut in &without_layers {
            if its.contains(&cut.name) || last.contains(&Some(cut.name.clone())) {
                continue;
            }
            let other = with_layers.iter().find(|other| other.name == cut.name);
            prop_assert_eq!(other.map(|other| &other.steps), Some(&cut.steps), "layer {}", cut.name);
        }
    }
}
