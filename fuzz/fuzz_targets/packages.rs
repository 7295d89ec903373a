//! Any package database, of dpkg, opkg or apk, and any map and plan is refused or understood, and every entry gets its
//! layer.

#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use ocibake::layer::groups::{Groups, PackageMap};
use ocibake::layer::plan::{Layering, Plan};
use ocibake::tree::{DeviceTable, Entry, Kind, Metadata, Mtime, TarPath, Tree};
use ocibake_fuzz::{pieces, Files};

/// The files of databases, and a few that packages own.
const FILES: [&str; 12] = [
    "var/lib/dpkg/status",
    "var/lib/dpkg/info/a.list",
    "var/lib/dpkg/diversions",
    "var/lib/dpkg/status.d/a",
    "var/lib/dpkg/status.d/a.md5sums",
    "var/lib/opkg/status",
    "var/lib/opkg/info/a.list",
    "var/lib/opkg/info/a.control",
    "lib/apk/db/installed",
    "usr/bin/b",
    "etc/passwd",
    "etc/group",
];

fuzz_target!(|input: &[u8]| {
    let mut pieces = pieces(input);
    let (map, plan, table) =
        (pieces.next().unwrap_or_default(), pieces.next().unwrap_or_default(), pieces.next().unwrap_or_default());
    let files: BTreeMap<Vec<u8>, Vec<u8>> =
        pieces.zip(FILES).map(|(content, path)| (path.as_bytes().to_vec(), content.to_vec())).collect();
    let file = |(path, content): (&Vec<u8>, &Vec<u8>)| Entry {
        path: TarPath::parse(path).unwrap(),
        metadata: Metadata::default(),
        kind: Kind::File { size: content.len() as u64 },
    };
    let mut tree: Tree = files.iter().map(file).collect();
    tree.add_missing_parents(Mtime::default()).unwrap();
    let content = Files(files);

    let map = PackageMap::parse("map", map);
    let plan = Plan::parse("plan", plan);
    for error in [map.as_ref().err(), plan.as_ref().err()].into_iter().flatten() {
        assert!(error.to_string().starts_with("map:") || error.to_string().starts_with("plan"), "{error}");
    }
    if let Ok(plan) = &plan {
        let again: String = plan.layers().iter().map(|layer| format!("{layer}\n")).collect();
        assert_eq!(Plan::parse("again", again.as_bytes()).unwrap().layers(), plan.layers(), "{again}");
    }
    let detected = Groups::detect(&tree, &content);
    let mapped = map.and_then(|map| Groups::of_map(&map, &tree));
    for groups in [detected, mapped].into_iter().flatten() {
        for entry in tree.iter() {
            assert!(groups.owners(&entry.path).iter().all(|owner| *owner < groups.packages().len()));
        }
        let layering = Layering::parse(&["packages"]).unwrap().plan(&groups, &tree);
        for plan in [Some(&layering), plan.as_ref().ok()].into_iter().flatten() {
            let assignment = ocibake::layer::plan::Assignment::new(plan, &groups, &tree);
            drop(assignment);
        }
    }
    if let Ok(table) = std::str::from_utf8(table) {
        match DeviceTable::parse(table, "table") {
            Ok(table) => drop(table.apply(&mut tree, &content)),
            Err(error) => assert!(error.to_string().starts_with("table:"), "{error}"),
        }
    }
});
