use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::layer::Fold;
use crate::testing::edits::{any_path, pair};
use crate::testing::model::{path, Model};
use crate::tree::{diff, Metadata, Whiteout};

/// Compares what two models hold.
fn same_content<'m>(old: &'m Model, new: &'m Model) -> impl FnMut(&Entry, &Entry) -> Result<bool> + 'm {
    |old_entry, new_entry| {
        assert!(matches!((&old_entry.kind, &new_entry.kind), (Kind::File { .. }, Kind::File { .. })));
        assert_eq!(old_entry.size(), new_entry.size());
        let content = |model: &Model, entry: &Entry| model.inode(&entry.path).unwrap().content.clone();
        Ok(content(old, old_entry) == content(new, new_entry))
    }
}

fn mask(paths: &[&str]) -> Mask {
    paths.iter().map(|text| path(text)).collect()
}

/// The members' names without the root, in the notation of [`Model::parse`]; a whiteout is its marker.
fn shown(plan: &Steps<'_>) -> Vec<String> {
    let text = |path: &TarPath| String::from_utf8(path.as_bytes().to_vec()).unwrap();
    let show = |step: &Step<'_>| match step.entry_and_source() {
        None => text(&Whiteout::Remove(step.path().clone()).marker().unwrap()),
        Some((entry, _)) => match &entry.kind {
            Kind::Directory => text(&entry.path) + "/",
            Kind::Symlink { target } => format!("{}->{}", text(&entry.path), String::from_utf8_lossy(target)),
            Kind::Hardlink { target } => format!("{}=>{}", text(&entry.path), text(target)),
            _ => text(&entry.path),
        },
    };
    plan.steps.iter().map(show).skip_while(|name| name == "/").collect()
}

fn planned(old: &[&str], new: &[&str], masked: &[&str]) -> Vec<String> {
    let (old, new) = (Model::parse(old), Model::parse(new));
    let (old_tree, new_tree) = (old.tree(), new.tree());
    let plan = difference(&old_tree, &new_tree, &mask(masked), same_content(&old, &new)).unwrap();
    // The root leads to every change.
    let first = plan.steps.first();
    assert!(first.is_none() || matches!(first, Some(Step::Put(entry)) if entry.path.is_root()));
    shown(&plan)
}

#[test]
fn what_changed_and_nothing_else() {
    const BEFORE: &[&str] = &["d/", "d/e/", "d/e/x=A", "d/f/", "d/f/y=B", "n c1,3", "s->a", "z=Z user.x=1"];
    for (what, index, line, expected) in [
        ("the same", 2, "d/e/x=A", &[][..]),
        ("content of the same size", 2, "d/e/x=B", &["d/", "d/e/", "d/e/x"]),
        ("size", 2, "d/e/x=AA", &["d/", "d/e/", "d/e/x"]),
        ("mode", 2, "d/e/x=A mode=4755", &["d/", "d/e/", "d/e/x"]),
        ("uid", 2, "d/e/x=A uid=1", &["d/", "d/e/", "d/e/x"]),
        ("gid", 2, "d/e/x=A gid=1", &["d/", "d/e/", "d/e/x"]),
        ("mtime", 2, "d/e/x=A mtime=1", &["d/", "d/e/", "d/e/x"]),
        ("an attribute that appears", 2, "d/e/x=A user.x=1", &["d/", "d/e/", "d/e/x"]),
        ("an attribute that goes", 7, "z=Z", &["z"]),
        ("an attribute's value", 7, "z=Z user.x=2", &["z"]),
        ("a directory's mode", 1, "d/e/ mode=700", &["d/", "d/e/"]),
        ("a device's numbers", 5, "n c1,5", &["n"]),
        ("a device's type", 5, "n b1,3", &["n"]),
        ("a device that becomes a fifo", 5, "n p", &["n"]),
        ("a link's target", 6, "s->b", &["s->b"]),
        ("another name", 7, "y=Z user.x=1", &[".wh.z", "y"]),
    ] {
        let mut after = BEFORE.to_vec();
        after[index] = line;
        assert_eq!(planned(BEFORE, &after, &[]), expected, "{what}");
    }
}

#[test]
fn the_roots_own_metadata_are_a_change() {
    let (old, mut new) = (Model::parse(&["a=A"]), Model::parse(&["a=A"]));
    new.inode_mut(&TarPath::root()).unwrap().metadata.mode = 0o700;
    let (old_tree, new_tree) = (old.tree(), new.tree());
    let plan = difference(&old_tree, &new_tree, &Mask::default(), same_content(&old, &new)).unwrap();
    assert_eq!(plan.steps, [Step::Put(new_tree.get(&TarPath::root()).unwrap())]);
}

#[test]
fn removals() {
    for (what, old, new, expected) in [
        ("a file", &["d/x=A", "d/y=B"][..], &["d/y=B"][..], &["d/", "d/.wh.x"][..]),
        ("a directory, with one whiteout", &["a/b/c/d=A", "a/b/e=A"], &["a/"], &["a/", "a/.wh.b"]),
        ("before its siblings, after its directory", &["d/a=A", "d/z=A"], &["d/a=B"], &["d/", "d/.wh.z", "d/a"]),
        (
            "and before what deeper directories hold",
            &["d/a/x=A", "d/a/y=A", "d/b=A", "d/c=A"],
            &["d/a/z=A"],
            &["d/", "d/.wh.b", "d/.wh.c", "d/a/", "d/a/.wh.x", "d/a/.wh.y", "d/a/z"],
        ),
        ("all that is in a directory, never opaque", &["d/x=A", "d/y=A"], &["d/"], &["d/", "d/.wh.x", "d/.wh.y"]),
        ("names that begin alike have nothing in common", &["foo/x=A", "foobar=A"], &["foobar=A"], &[".wh.foo"]),
        ("the neighbour of a removed directory", &["a/x=A", "a-b=A", "ab=A"], &["ab=A"], &[".wh.a", ".wh.a-b"]),
        ("everything", &["a/x=A", "b=A"], &[], &[".wh.a", ".wh.b"]),
    ] {
        assert_eq!(planned(old, new, &[]), expected, "{what}");
    }
}

#[test]
fn a_change_of_type_is_the_new_entry_alone() {
    for (what, old, new, expected) in [
        (
            "merged usr",
            &["bin/sh=A", "bin/ls=B", "usr/bin/env=C"][..],
            &["bin->usr/bin", "usr/bin/env=C", "usr/bin/ls=B", "usr/bin/sh=A"][..],
            &["bin->usr/bin", "usr/", "usr/bin/", "usr/bin/ls", "usr/bin/sh"][..],
        ),
        ("a directory that becomes a file", &["d/x/y=A"], &["d=A"], &["d"]),
        ("a file that becomes a directory", &["d=A"], &["d/x=A"], &["d/", "d/x"]),
        ("a link that becomes a directory", &["e/x=A", "d->e"], &["d/x=A", "e/x=A"], &["d/", "d/x"]),
        ("a file that becomes a link", &["d=A"], &["d->A"], &["d->A"]),
        ("a file that becomes a device", &["d=A"], &["d c1,3"], &["d"]),
    ] {
        assert_eq!(planned(old, new, &[]), expected, "{what}");
    }
}

#[test]
fn names_of_one_inode_stay_or_come_together() {
    for (what, old, new, expected) in [
        ("the same", &["a=A", "b=>a"][..], &["a=A", "b=>a"][..], &[][..]),
        ("the first name removed", &["a=A", "b=>a", "c=>a"], &["b=A", "c=>b"], &[".wh.a"]),
        ("another removed", &["a=A", "b=>a"], &["a=A"], &[".wh.b"]),
        ("the first name replaced", &["a=A", "b=>a", "c=>a"], &["a=B", "b=A", "c=>b"], &["a"]),
        ("the first name replaced by its like", &["a=A", "b=>a", "c=>a"], &["a=A", "b=A", "c=>b"], &["b", "c=>b"]),
        ("the first name below what became a link", &["a/x=A", "b=>a/x"], &["a->y", "b=A"], &["a->y"]),
        ("a new name", &["b=A"], &["a=A", "b=>a"], &["a", "b=>a"]),
        ("a new last name", &["a=A"], &["a=A", "b=>a"], &["a", "b=>a"]),
        ("a name moved", &["a=A", "b=>a"], &["a=A", "c=>a"], &[".wh.b", "a", "c=>a"]),
        ("content", &["a=A", "b=>a"], &["a=B", "b=>a"], &["a", "b=>a"]),
        ("metadata", &["a=A", "b=>a"], &["a=A", "b=>a uid=1"], &["a", "b=>a"]),
        ("linked", &["a=A", "b=A"], &["a=A", "b=>a"], &["a", "b=>a"]),
        ("cut off", &["a=A", "b=>a"], &["a=A", "b=A"], &["b"]),
        ("split", &["a=A", "b=>a", "c=>a", "d=>a"], &["a=A", "b=A", "c=>a", "d=>b"], &["b", "d=>b"]),
        ("merged", &["a=A", "b=>a", "c=A", "d=>c"], &["a=A", "b=>a", "c=>a", "d=>a"], &["a", "b=>a", "c=>a", "d=>a"]),
        ("crossed", &["a=A", "b=A", "c=>a"], &["a=A", "b=A", "c=>b"], &["b", "c=>b"]),
        ("links to links", &["a->x", "b=>a"], &["a->x", "b=>a", "c=>a"], &["a->x", "b=>a", "c=>a"]),
        ("links to devices", &["a c1,3", "b=>a"], &["a c1,5", "b=>a"], &["a", "b=>a"]),
        ("in directories", &["a/x=A", "b/y=>a/x"], &["a/x=B", "b/y=>a/x"], &["a/", "a/x", "b/", "b/y=>a/x"]),
    ] {
        assert_eq!(planned(old, new, &[]), expected, "{what}");
    }
}

#[test]
fn masked_paths_stay_as_they_are() {
    for (what, masked, old, new, expected) in [
        ("changed", "v", &["v/x=A", "y=A"][..], &["v/x=B", "y=B"][..], &["y"][..]),
        ("the masked directory itself", "v", &["v/"], &["v/ mode=700"], &[]),
        ("added", "v", &["y=A"], &["v/x=A", "y=A"], &[]),
        ("removed", "v", &["v/x=A", "y=A"], &["y=A"], &[]),
        ("another type", "v", &["v/x=A"], &["v->x"], &[]),
        ("its neighbours are none of it", "v", &["v=A", "vv=A", "w=A"], &["v=B", "vv=B", "w=A"], &["vv"]),
        ("its parent changed", "d/v", &["d/v=A"], &["d/ mode=700"], &["d/"]),
        ("its parent is new", "d/v", &[], &["d/v=A", "d/w=A"], &["d/", "d/w"]),
        ("its parent is gone", "d/v", &["d/v=A"], &[], &[".wh.d"]),
        ("its parent became a link", "d/v", &["d/v=A"], &["d->e"], &["d->e"]),
        ("everything", "", &["a=A"], &["a=B", "b=B"], &[]),
        ("the first name, changed", "m", &["m=A", "x=>m", "y=>m"], &["m=B", "x=>m", "y=>m"], &["x", "y=>x"]),
        ("the first name, the others as they were", "m", &["m=A", "x=>m"], &["m=A", "x=>m"], &[]),
        ("the first name, removed", "m", &["m=A", "x=>m"], &["x=A"], &[]),
        ("the first name, another file", "m", &["m=A", "x=>m"], &["m=B", "x=A"], &[]),
        ("a further name", "m", &["a=A", "m=>a"], &["a=B", "m=>a"], &["a"]),
        ("a new name linked to a masked one", "m", &["m=A"], &["m=A", "x=>m"], &["x"]),
    ] {
        assert_eq!(planned(old, new, &[masked]), expected, "{what}");
    }
}

#[test]
fn a_file_whose_first_name_is_masked_is_read_under_that_name() {
    let (old, new) = (Model::new(), Model::parse(&["m=A uid=7", "x=>m", "y=>m"]));
    let (old_tree, new_tree) = (old.tree(), new.tree());
    let plan = difference(&old_tree, &new_tree, &mask(&["m"]), same_content(&old, &new)).unwrap();
    let source = new_tree.get(&path("m")).unwrap();
    let metadata = Metadata { mode: 0o755, uid: 7, ..Metadata::default() };
    let entry = |name, kind| Entry { path: path(name), metadata: metadata.clone(), kind };
    let expected = [
        Step::Put(new_tree.get(&TarPath::root()).unwrap()),
        Step::PutAs { entry: Box::new(entry("x", Kind::File { size: 1 })), source },
        Step::PutAs { entry: Box::new(entry("y", Kind::Hardlink { target: path("x").into() })), source },
    ];
    assert_eq!(plan.steps, expected);
    assert_eq!(plan.steps.iter().map(Step::size).sum::<u64>(), 1);
}

#[test]
fn content_is_asked_for_only_where_it_decides() {
    let old = Model::parse(&["a=A", "b=A", "c=A", "d=", "e=A", "f=>e", "g=A", "h=>g", "i=A", "j->A"]);
    let new =
        Model::parse(&["a=A", "b=AA", "c=A uid=1", "d=", "e=A", "f=>e", "g=A", "h=A", "i=A", "i2=>i", "j->B", "k=A"]);
    let (old_tree, new_tree) = (old.tree(), new.tree());
    let mut asked = Vec::new();
    difference(&old_tree, &new_tree, &Mask::default(), |old, new| {
        assert_eq!(old.path, new.path);
        asked.push(new.path.to_string());
        Ok(true)
    })
    .unwrap();
    assert_eq!(asked, ["/a", "/e", "/g"]);
}

#[test]
fn trouble_with_content_ends_the_plan() {
    let tree = Model::parse(&["a=A"]).tree();
    let failed = difference(&tree, &tree, &Mask::default(), |_, _| Err(crate::Error::Interrupted));
    assert!(matches!(failed, Err(crate::Error::Interrupted)));
}

#[test]
fn trees_without_roots() {
    let (nothing, something) = (Tree::new(), Model::parse(&["a/x=A"]).tree());
    let steps = |old, new| shown(&difference(old, new, &Mask::default(), |_, _| Ok(true)).unwrap());
    assert_eq!(steps(&nothing, &something), ["a/", "a/x"]);
    assert_eq!(steps(&something, &nothing), [".wh.a"]);
    assert_eq!(steps(&nothing, &nothing), [""; 0]);
}

/// Checks the order that readers rely on, and that every member is complete in itself.
fn check_form(steps: &[Step<'_>]) -> Result<(), TestCaseError> {
    let mut put: Vec<&Entry> = Vec::new();
    let mut removed: BTreeSet<&TarPath> = BTreeSet::new();
    for step in steps {
        let path = step.path();
        if let Some(parent) = path.parent() {
            let parent = put.iter().find(|entry| entry.path == parent);
            prop_assert!(parent.is_some_and(|entry| entry.kind == Kind::Directory), "{path:?} has no parent");
        }
        if let Some((entry, _)) = step.entry_and_source() {
            prop_assert!(put.last().map_or(true, |last| last.path < entry.path), "{path:?} is out of order");
            if let Kind::Hardlink { target } = &entry.kind {
                let target = put.iter().find(|entry| entry.path == **target).unwrap();
                let is_inode = !matches!(target.kind, Kind::Hardlink { .. } | Kind::Directory);
                prop_assert!(is_inode, "{path:?} points to {target:?}");
                prop_assert_eq!(&target.metadata, &entry.metadata);
            }
            put.push(entry);
        } else {
            let directory = path.parent().unwrap();
            prop_assert_eq!(&put.last().unwrap().path, &directory, "{:?} comes after its siblings", path);
            prop_assert!(removed.insert(path));
        }
    }
    for entry in put {
        prop_assert!(!removed.iter().any(|gone| entry.path.starts_with(gone)), "{:?} is removed beside", entry.path);
    }
    Ok(())
}

/// Checks that each member is there for a reason.
fn check_reasons(old: &Model, new: &Model, steps: &[Step<'_>]) -> Result<(), TestCaseError> {
    let put: BTreeSet<&TarPath> =
        steps.iter().filter_map(|step| step.entry_and_source().map(|(entry, _)| &entry.path)).collect();
    for (i, step) in steps.iter().enumerate() {
        match step.entry_and_source() {
            None => prop_assert!(old.inode(step.path()).is_some() && new.inode(step.path()).is_none()),
            Some((entry, _)) if entry.kind == Kind::Directory => {
                let leads_on = steps.get(i + 1).is_some_and(|next| next.path().starts_with(&entry.path));
                prop_assert!(leads_on || old.inode(&entry.path) != new.inode(&entry.path));
            }
            Some((entry, _)) => {
                let names = new.links(&entry.path);
                prop_assert!(names.iter().all(|name| put.contains(name)), "some names of {:?}", entry.path);
                let was_one_inode = names.iter().all(|name| old.inode(name) == new.inode(name))
                    && names.iter().all(|name| old.links(names[0]).contains(name));
                if was_one_inode {
                    let stays = |name: &&TarPath| new.inode(name).is_some() && !put.contains(*name);
                    prop_assert!(old.links(names[0]).iter().any(stays), "{:?} could have stayed", entry.path);
                }
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn old_and_layer_are_new((old, new) in pair()) {
        let (old_tree, new_tree) = (old.tree(), new.tree());
        let plan = difference(&old_tree, &new_tree, &Mask::default(), same_content(&old, &new)).unwrap();
        check_form(&plan.steps)?;
        check_reasons(&old, &new, &plan.steps)?;
        let result = old.apply(&plan.steps, &new);
        prop_assert_eq!(result.shape(|_| true), new.shape(|_| true));
    }

    #[test]
    fn so_they_are_when_folded((old, new) in pair()) {
        let (old_tree, new_tree) = (old.tree(), new.tree());
        let plan = difference(&old_tree, &new_tree, &Mask::default(), same_content(&old, &new)).unwrap();
        let lower: Vec<Entry> = old_tree.iter().cloned().collect();
        let member = |step: &Step<'_>| {
            let marker = || Whiteout::Remove(step.path().clone()).marker().unwrap();
            let whiteout = || Entry { path: marker(), metadata: Metadata::default(), kind: Kind::File { size: 0 } };
            step.entry_and_source().map_or_else(whiteout, |(entry, _)| entry.clone())
        };
        let upper: Vec<Entry> = plan.steps.iter().map(member).collect();
        let mut fold = Fold::new();
        fold.apply(lower.clone()).unwrap();
        fold.apply(upper).unwrap();
        let folded = fold.finish();
        prop_assert_eq!(&folded.tree, &new_tree);
        for (path, origin) in &folded.origins {
            let content = if origin.layer == 0 {
                &old.inode(&lower[origin.member].path).unwrap().content
            } else {
                let (_, source) = plan.steps[origin.member].entry_and_source().unwrap();
                &new.inode(&source.path).unwrap().content
            };
            prop_assert_eq!(content, &new.inode(path).unwrap().content);
        }
    }

    #[test]
    fn what_is_masked_stays((old, new) in pair(), masked in vec(any_path(), 0..3)) {
        let mask: Mask = masked.into_iter().collect();
        let (old_tree, new_tree) = (old.tree(), new.tree());
        let plan = difference(&old_tree, &new_tree, &mask, same_content(&old, &new)).unwrap();
        check_form(&plan.steps)?;
        let result = old.apply(&plan.steps, &new);
        prop_assert_eq!(result.shape(|name| !mask.covers(name)), new.shape(|name| !mask.covers(name)));
        // A directory that is not masked may take what is masked with it.
        let can_stand = |name: &TarPath| {
            let mut above = std::iter::successors(name.parent(), TarPath::parent);
            mask.covers(name) && above.all(|directory| mask.covers(&directory) || new.is_directory(&directory))
        };
        prop_assert_eq!(result.shape(|name| mask.covers(name)), old.shape(can_stand));
    }

    #[test]
    fn nothing_is_planned_where_nothing_differs((old, new) in pair(), masked in vec(any_path(), 0..2)) {
        let mask: Mask = masked.into_iter().collect();
        let (old_tree, new_tree) = (old.tree(), new.tree());
        prop_assert!(difference(&new_tree, &new_tree, &mask, same_content(&new, &new)).unwrap().is_empty());
        let plan = difference(&old_tree, &new_tree, &mask, same_content(&old, &new)).unwrap();
        let differences = diff(&old_tree, &new_tree, &mask, same_content(&old, &new)).unwrap();
        prop_assert_eq!(plan.is_empty(), differences.is_empty());
    }
}
