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

/// Builds a changed rootfs, and gives the names of those layers of the first that are in the second as they were.
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
    // Without a new time, what was generated stays too.
    let tree = TREE.replace("/usr/lib/libz.so noise 2000", "/usr/lib/libz.so noise 2002");
    assert_eq!(kept(&scratch, &tree, MAP, packages), ["app", "busybox", "generated", "glibc"]);
    // A recipe more, in a directory that one other recipe had for itself, and in one of its own.
    let tree =
        format!("{TREE}\nf 0644 - 1000000020 /usr/share/app/plugin text plugin\nd 0755 - 5 /opt\nf 0644 - 6 /opt/x");
    let map = format!("{MAP}/usr/share/app/plugin\tplugin\tplugin\t1\n/opt/x\tplugin\tplugin\t1\n");
    assert_eq!(kept(&scratch, &tree, &map, packages), ["app", "busybox", "glibc", "zlib"]);
    // A recipe less.
    let tree = TREE.replace("f 0755 - 1000000007 /usr/bin/sh noise 3000", "");
    assert_eq!(kept(&scratch, &tree, MAP, packages), ["app", "generated", "glibc", "zlib"]);
    // What nobody owns.
    let tree = TREE.replace("/etc/passwd text passwd", "/etc/passwd text other");
    assert_eq!(kept(&scratch, &tree, MAP, packages), ["app", "busybox", "glibc", "zlib"]);
    // Another version of the same bytes.
    let map = MAP.replace("1.0-r0", "1.0-r1");
    assert_eq!(kept(&scratch, TREE, &map, packages), all);
    // A map in another order, as another package manager would have it.
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

/// Recipes that share a layer, for want of layers: one more of them disturbs that layer alone.
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
