use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::made::{image, make, MAP, TREE};
use crate::harness::{Fixture, Image, Order, Scratch, Tool};

/// The digests of layers by their names.
fn layers(image: &Image) -> BTreeMap<String, String> {
    let names = image.named_layers().into_iter().map(|(name, _)| name);
    names.zip(image.layers()).collect()
}

/// Builds a changed rootfs, and returns the names of those layers of the first image that are unchanged in the second.
fn kept(scratch: &Scratch, tree: &str, map: &str, args: &[&str]) -> Vec<String> {
    let before = layers(&image(scratch, "before"));
    let rootfs = scratch.join("changed");
    if rootfs.symlink_metadata().is_ok() {
        fs::remove_dir_all(&rootfs).unwrap();
    }
    Fixture::parse(tree).make(&rootfs, Order::AsListed);
    fs::write(scratch.join("map"), map).unwrap();
    build(scratch, &rootfs, "oci:after", args);
    let after: Vec<String> = layers(&image(scratch, "after")).into_values().collect();
    before.into_iter().filter(|(_, digest)| after.contains(digest)).map(|(name, _)| name).collect()
}

fn build(scratch: &Scratch, rootfs: &Path, target: &str, args: &[&str]) {
    let tool = Tool::build(rootfs).args([target, "--package-map", "map"]).args(args).within(scratch.path());
    let _ = tool.run().digest_despite_warnings();
}

#[test]
fn an_update_changes_the_layers_of_what_changed() {
    let scratch = Scratch::new();
    let rootfs = make(&scratch);
    let packages = &["--layers", "packages"][..];
    build(&scratch, &rootfs, "oci:before", packages);
    let all = ["app", "busybox", "generated", "glibc", "zlib"];
    assert_eq!(layers(&image(&scratch, "before")).into_keys().collect::<Vec<_>>(), all);

    // The same tree elsewhere.
    assert_eq!(kept(&scratch, TREE, MAP, packages), all);
    // Content, and with it the time of the directory.
    let tree =
        TREE.replace("/usr/lib/libz.so noise 2000", "/usr/lib/libz.so noise 2002").replace("1000000008", "1000000080");
    assert_eq!(kept(&scratch, &tree, MAP, packages), ["app", "busybox", "glibc"]);
    // Without a new time, the generated files stay too.
    let tree = TREE.replace("/usr/lib/libz.so noise 2000", "/usr/lib/libz.so noise 2002");
    assert_eq!(kept(&scratch, &tree, MAP, packages), ["app", "busybox", "generated", "glibc"]);
    // One more recipe, in a directory that only one other recipe used, and in its own.
    let tree =
        format!("{TREE}\nf 0644 - 1000000020 /usr/share/app/plugin text plugin\nd 0755 - 5 /opt\nf 0644 - 6 /opt/x");
    let map = format!("{MAP}/usr/share/app/plugin\tplugin\tplugin\t1\n/opt/x\tplugin\tplugin\t1\n");
    assert_eq!(kept(&scratch, &tree, &map, packages), ["app", "busybox", "glibc", "zlib"]);
    // A recipe less.
    let tree = TREE.replace("f 0755 - 1000000007 /usr/bin/sh noise 3000", "");
    assert_eq!(kept(&scratch, &tree, MAP, packages), ["app", "generated", "glibc", "zlib"]);
    // Files that no package owns.
    let tree = TREE.replace("/etc/passwd text passwd", "/etc/passwd text other");
    assert_eq!(kept(&scratch, &tree, MAP, packages), ["app", "busybox", "glibc", "zlib"]);
    // Another version with the same bytes.
    let map = MAP.replace("1.0-r0", "1.0-r1");
    assert_eq!(kept(&scratch, TREE, &map, packages), all);
    // A map in another order, as from another package manager.
    let mut lines: Vec<&str> = MAP.lines().collect();
    lines.reverse();
    assert_eq!(kept(&scratch, TREE, &(lines.join("\n") + "\n"), packages), all);
}

#[test]
fn another_compression_gives_the_same_tars() {
    let scratch = Scratch::new();
    let rootfs = make(&scratch);
    build(&scratch, &rootfs, "oci:gzip", &["--layers", "packages"]);
    build(&scratch, &rootfs, "oci:zstd", &["--layers", "packages", "--compression", "zstd:9"]);
    let diff_ids = |name: &str| image(&scratch, name).config["rootfs"]["diff_ids"].clone();
    assert_eq!(diff_ids("gzip"), diff_ids("zstd"));
}

/// With too few layers, recipes share one: another recipe in it changes only that layer.
#[test]
fn one_more_recipe_disturbs_one_layer() {
    let scratch = Scratch::new();
    let tree = |count: u32| {
        let files = (0..count).map(|number| format!("f 0644 - 1 /bin/f{number} noise {}\n", 100 + number % 17 * 1000));
        format!("d 0755 - 1 /\nd 0755 - 1 /bin\n{}", files.collect::<String>())
    };
    let map =
        |count: u32| (0..count).map(|number| format!("/bin/f{number}\tp{number}\tr{number}\t1\n")).collect::<String>();
    let args = ["--layers", "packages:12"];
    fs::write(scratch.join("map"), map(40)).unwrap();
    let rootfs = scratch.join("rootfs");
    Fixture::parse(&tree(40)).make(&rootfs, Order::AsListed);
    build(&scratch, &rootfs, "oci:before", &args);
    let before = layers(&image(&scratch, "before"));
    // Nothing is generated.
    assert_eq!(before.len(), 11);
    for count in [41, 42] {
        let kept = kept(&scratch, &tree(count), &map(count), &args);
        assert!(kept.len() >= 9, "{kept:?} of {before:?}");
        build(&scratch, &scratch.join("changed"), "oci:before", &args);
    }
}

/// One package manager or another: the map is the same, and what they leave in the rootfs is in a layer of its own.
#[test]
fn another_package_manager_changes_its_database_alone() {
    let scratch = Scratch::new();
    let rootfs = make(&scratch);
    super::owners::copy_database("opkg", &rootfs);
    build(&scratch, &rootfs, "oci:before", &["--layers", "packages"]);
    let before = layers(&image(&scratch, "before"));
    fs::remove_dir_all(&rootfs).unwrap();
    let rootfs = make(&scratch);
    super::owners::copy_database("debian", &rootfs);
    let mut lines: Vec<&str> = MAP.lines().collect();
    lines.sort_unstable_by(|a, b| b.cmp(a));
    fs::write(scratch.join("map"), lines.join("\n")).unwrap();
    build(&scratch, &rootfs, "oci:after", &["--layers", "packages"]);
    let after = layers(&image(&scratch, "after"));
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    let changed: Vec<&String> = before.keys().filter(|name| before[*name] != after[*name]).collect();
    assert_eq!(changed, ["generated"]);
}

/// With a base, in both modes, a recipe that changes is one layer.
#[test]
fn over_a_base_an_update_is_one_layer_too() {
    let scratch = Scratch::new();
    let base = scratch.join("base-rootfs");
    let files =
        "d 0755 - 1 /\nd 0755 - 1000000001 /etc\nf 0644 - 1 /etc/issue text base\nf 0644 - 1 /etc/passwd text old";
    Fixture::parse(files).make(&base, Order::AsListed);
    let _ = Tool::build(&base).args(["oci:base"]).within(scratch.path()).bake();
    let rootfs = make(&scratch);
    for mode in ["exact", "merge"] {
        let args = ["--layers", "packages", "--base", "oci:base", "--base-mode", mode];
        build(&scratch, &rootfs, "oci:before", &args);
        let before = layers_over_base(&image(&scratch, "before"));
        let names: Vec<&str> = before.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["app", "busybox", "glibc", "zlib", "generated"], "{mode}");
        let tree = TREE.replace("/usr/lib/libz.so noise 2000", "/usr/lib/libz.so noise 2002");
        let changed = scratch.join(&format!("changed-{mode}"));
        Fixture::parse(&tree).make(&changed, Order::AsListed);
        build(&scratch, &changed, "oci:after", &args);
        let after = layers_over_base(&image(&scratch, "after"));
        let other: Vec<&String> =
            before.iter().zip(&after).filter(|(a, b)| a != b).map(|((name, _), _)| name).collect();
        assert_eq!(other, ["zlib"], "{mode}");
        let there = |path: &str| {
            let tool = Tool::new("cat").args(["oci:after", path]).within(scratch.path());
            tool.run().code() == 0
        };
        assert_eq!(there("etc/issue"), mode == "merge");
        assert!(there("etc/passwd") && there("usr/lib/libz.so"));
    }
}

/// Names and digests of the layers after the first.
fn layers_over_base(image: &Image) -> Vec<(String, String)> {
    let name = |layer: &serde_json::Value| layer["annotations"]["io.github.ocibake.layer"].as_str().unwrap().to_owned();
    let described = &image.manifest["layers"].as_array().unwrap()[1..];
    described.iter().map(name).zip(image.layers().into_iter().skip(1)).collect()
}

/// In maps, in plans, in annotations and on the terminal.
#[test]
fn recipes_have_names_of_all_kinds() {
    let scratch = Scratch::new();
    let tree = "d 0755 - 1 /\nf 0644 - 1 /plus text p\nf 0644 - 1 /blank text b\nf 0644 - 1 /grün text g
        f 0644 - 1 /comma text c\nf 0644 - 1 /percent text %";
    let rootfs = scratch.join("rootfs");
    Fixture::parse(tree).make(&rootfs, Order::AsListed);
    fs::write(rootfs.join("with blank"), "b").unwrap();
    let map = "/plus\tlibstdc++6\tgtk+3\t1+2~3\n/blank\ta%20b\ta%20b\t1%202\n/with%20blank\ta%20b\ta%20b\t1%202
/gr%C3%BCn\tgrün\tgr%C3%BCn\t1\n/comma\tx\tx,y=z\t1,2\n/percent\tp\t100%25\t1\n";
    fs::write(scratch.join("map"), map).unwrap();
    build(&scratch, &rootfs, "oci:before", &["--layers", "packages"]);
    let before = image(&scratch, "before");
    let names: Vec<String> = before.named_layers().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["100%", "a b", "grün", "gtk+3", "x,y=z"]);
    let plan = Tool::new("plan").args(["rootfs", "--package-map", "map"]).within(scratch.path()).run().stdout();
    fs::write(scratch.join("plan"), plan).unwrap();
    build(&scratch, &rootfs, "oci:after", &["--layers", "@plan"]);
    assert_eq!(image(&scratch, "after").layers(), before.layers());
    let words = "plus=recipe:gtk+* blank=package:a%20b green=recipe:gr?n comma=recipe:x%2Cy=z percent=recipe:100%25";
    build(&scratch, &rootfs, "oci:words", &["--layers", words]);
    let mut found = image(&scratch, "words").layers();
    let mut expected = before.layers();
    // The last has the true times of directories, and all are the root's.
    assert_eq!(found.len(), expected.len());
    found.sort_unstable();
    expected.sort_unstable();
    assert!(found.iter().filter(|digest| expected.contains(digest)).count() >= 3);
    let shown = Tool::new("inspect").args(["oci:before"]).within(scratch.path()).run().stdout();
    assert!(shown.contains("gtk+3=1+2~3") && shown.contains("a%20b=1%202"), "{shown}");
    let scan =
        Tool::new("plan").args(["oci:before", "--package-map", "map", "--json"]).within(scratch.path()).run().json();
    assert_eq!(scan["layers"][1]["recipes"][0], "a b");
}

/// Memory is that of the threads, however many layers there are and however large.
#[test]
fn many_layers_need_no_more_memory_than_one() {
    let scratch = Scratch::new();
    let files = (0..40).map(|number| format!("f 0644 - 1 /f{number} noise {}\n", 3_000_000 + number));
    let rootfs = scratch.join("rootfs");
    Fixture::parse(&format!("d 0755 - 1 /\n{}", files.collect::<String>())).make(&rootfs, Order::AsListed);
    let map: String = (0..40).map(|number| format!("/f{number}\tp{number}\tr{number}\t1\n")).collect();
    fs::write(scratch.join("map"), map).unwrap();
    for compression in ["gzip", "zstd"] {
        let tool = Tool::build(&rootfs).args(["oci:out", "--package-map", "map", "--layers", "packages", "--json"]);
        let tool = tool.args(["--threads", "2", "--compression", compression]).within(scratch.path());
        let report = tool.run().json();
        assert!(report["layers"].as_array().unwrap().len() > 20);
        let peak = report["stats"]["peak_memory_bytes"].as_u64().unwrap();
        assert!(peak <= 64 << 20, "{compression}: {peak}");
    }
}
