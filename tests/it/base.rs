use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde_json::{json, Value};

use crate::harness::{
    assert_same, is_missing, list_directory, root, Fixture, Grown, Layout, Listing, Order, Peer, Scratch, Storage,
    Tool, What,
};

fn oci(layout: &Path, name: &str) -> String {
    format!("oci:{}:{name}", layout.display())
}

fn make(scratch: &Scratch, name: &str, lines: &str) -> PathBuf {
    let path = scratch.join(name);
    Fixture::parse(&format!("d 0755 - 1 /\n{lines}")).make(&path, Order::AsListed);
    path
}

/// Builds the image `old`, and `new` on it, in the layout `out`; returns the layout and the names of the new layer.
fn layer_between(scratch: &Scratch, old: &str, new: &str, args: &[&str]) -> (PathBuf, Vec<String>) {
    let out = scratch.join("out");
    let (old, new) = (make(scratch, "old", old), make(scratch, "new", new));
    let _ = Tool::build(old).arg(oci(&out, "old")).args(["--volume", "/volume"]).bake();
    let _ = Tool::new("build").arg(new).arg(oci(&out, "new")).args(["--base", &oci(&out, "old")]).args(args).bake();
    let names = Layout::at(&out).image("new").last_layer_names();
    (out, names)
}

/// Hard links to anything but regular files become entries of their own.
fn with_files_alone_linked(listing: &Listing) -> Listing {
    let mut resolved = listing.clone();
    for node in resolved.values_mut() {
        if let What::Hardlink(first) = &node.what {
            if !matches!(listing[first].what, What::File(_)) {
                node.what = listing[first].what.clone();
            }
        }
    }
    resolved
}

/// Forty pairs of trees in one rootfs, so that each peer runs once.
#[test]
fn whoever_applies_the_layers_gets_the_rootfs() {
    let scratch = Scratch::new();
    if !root() {
        return;
    }
    let old: Vec<Grown> = (1..=40).map(|seed| Grown::from_seed(seed, 6 + seed as usize % 30)).collect();
    let new: Vec<Grown> = old.iter().enumerate().map(|(number, tree)| tree.changed(1 + number % 14)).collect();
    let turned = old.iter().zip(&new).filter(|(old, new)| old.changes_type(new)).count();
    assert!(turned >= 10, "only {turned} pairs in which a directory becomes something else or the reverse");
    let (a, b, out) = (scratch.join("a"), scratch.join("b"), scratch.join("out"));
    Grown::side_by_side(&old).make(&a, Order::AsListed);
    Grown::side_by_side(&new).make(&b, Order::AsListed);
    let _ = Tool::build(&a).arg(oci(&out, "a")).bake();
    let _ = Tool::build(&b).arg(oci(&out, "b")).args(["--base", &oci(&out, "a")]).bake();
    let expected = list_directory(&b);

    let ours = scratch.join("ours");
    let _ = Tool::new("unpack").arg(oci(&out, "b")).arg(&ours).run().stdout();
    assert_same(&expected, &list_directory(&ours), "ocibake");

    // There is no difference left, and squashed it is the same as a build without a base.
    let _ = Tool::build(&b).arg(oci(&out, "again")).args(["--base", &oci(&out, "b")]).bake();
    let layers = |name: &str| Layout::at(&out).image(name).layers();
    assert_eq!(layers("again"), layers("b"));
    let _ = Tool::build(&b).arg(oci(&out, "flat")).bake();
    let _ = Tool::new("squash").arg(oci(&out, "b")).arg(oci(&out, "squashed")).bake();
    assert_eq!(layers("squashed"), layers("flat"));
    assert_ne!(layers("b"), layers("flat"));

    if let Some(umoci) = Peer::find("umoci") {
        let bundle = scratch.join("bundle");
        umoci.run(["unpack", "--image", &format!("{}:b", out.display()), &bundle.display().to_string()]);
        assert_same(&expected, &list_directory(&bundle.join("rootfs")), "umoci");
    }
    for name in ["buildah", "podman"] {
        let Some(peer) = Storage::of(name, &scratch) else { continue };
        let image = oci(&out, "b");
        // The vfs storage mounts nothing: these are directories in it.
        let mounted = if name == "buildah" {
            peer.run(&["mount", &peer.run(&["from", "--pull-never", &image])])
        } else {
            peer.run(&["image", "mount", &peer.run(&["pull", "-q", &image])])
        };
        let mut found = list_directory(Path::new(&mounted));
        // No storage driver keeps the time of the root.
        found.get_mut(Path::new("")).unwrap().mtime = expected[Path::new("")].mtime;
        // An existing directory keeps attributes that its new entry does not have.
        let (before, directory) = (list_directory(&a), What::Directory);
        for (path, node) in found.iter_mut().filter(|(_, node)| node.what == directory) {
            let went = before.get(path).filter(|old| old.what == directory && node.xattrs == old.xattrs);
            if went.is_some() && expected.get(path).is_some_and(|node| node.xattrs.is_empty()) {
                node.xattrs.clear();
            }
        }
        // The vfs storage copies lower layers, and of names of one inode it keeps only those of regular files together.
        assert_same(&with_files_alone_linked(&expected), &with_files_alone_linked(&found), name);
    }
}

/// Each rule, by the names in the new layer, in order.
#[test]
fn a_layer_holds_the_difference_and_no_more() {
    for (what, old, new, expected) in [
        (
            "a removed directory is one whiteout, before its siblings",
            "d 0755 - 1 /d\nd 0755 - 1 /d/m\nf 0644 - 1 /d/m/x text x\nd 0755 - 1 /d/m/n\nf 0644 - 1 /d/m/n/y\nf 0644 - 1 /d/z\nf 0644 - 1 /e",
            "d 0755 - 1 /d\nf 0644 - 1 /d/a text new\nf 0644 - 1 /d/z\nf 0644 - 1 /e",
            &["./", "d/", "d/.wh.m", "d/a"][..],
        ),
        (
            "merged /usr: the links alone",
            "d 0755 - 1 /bin\nf 0755 - 1 /bin/sh text sh\nd 0755 - 1 /usr\nd 0755 - 1 /usr/bin\nf 0755 - 1 /usr/bin/env text env",
            "l 0777 - 1 /bin usr/bin\nd 0755 - 1 /usr\nd 0755 - 1 /usr/bin\nf 0755 - 1 /usr/bin/env text env\nf 0755 - 1 /usr/bin/sh text sh",
            &["./", "bin", "usr/", "usr/bin/", "usr/bin/sh"],
        ),
        (
            "a directory becomes a file",
            "d 0755 - 1 /d\nf 0644 - 1 /d/x",
            "f 0644 - 1 /d",
            &["./", "d"],
        ),
        (
            "a file becomes a directory",
            "f 0644 - 1 /d",
            "d 0755 - 1 /d\nf 0644 - 1 /d/x",
            &["./", "d/", "d/x"],
        ),
        (
            "directories that lead there and no others",
            "d 0755 - 1 /a\nd 0755 - 1 /a/b\nf 0644 - 1 /a/b/c text 1\nd 0755 - 1 /a/o\nf 0644 - 1 /a/o/x\nd 0755 - 1 /z",
            "d 0755 - 1 /a\nd 0755 - 1 /a/b\nf 0644 - 1 /a/b/c text 2\nd 0755 - 1 /a/o\nf 0644 - 1 /a/o/x\nd 0755 - 1 /z",
            &["./", "a/", "a/b/", "a/b/c"],
        ),
        (
            "a new link of an unchanged file carries its content",
            "f 0644 - 1 /x text x\nf 0644 - 1 /y",
            "f 0644 - 1 /x text x\nh - - - /x2 /x\nf 0644 - 1 /y",
            &["./", "x", "x2"],
        ),
        (
            "names that others begin with",
            "d 0755 - 1 /foo\nf 0644 - 1 /foo/x\nd 0755 - 1 /foobar\nf 0644 - 1 /foobar/x\nf 0644 - 1 /foo-x",
            "d 0755 - 1 /foobar\nf 0644 - 1 /foobar/x\nf 0644 - 1 /foo-x",
            &["./", ".wh.foo"],
        ),
        ("another time", "f 0644 - 1 /x\nf 0644 - 1 /y", "f 0644 - 2 /x\nf 0644 - 1 /y", &["./", "x"]),
        ("another mode", "f 0644 - 1 /x\nf 0644 - 1 /y", "f 0600 - 1 /x\nf 0644 - 1 /y", &["./", "x"]),
        ("another attribute", "f 0644 - 1 /x", "f 0644 - 1 /x @user.a=31", &["./", "x"]),
        ("another content of the same size", "f 0644 - 1 /x text aa", "f 0644 - 1 /x text bb", &["./", "x"]),
        ("another target", "l 0777 - 1 /x aa", "l 0777 - 1 /x bb", &["./", "x"]),
        ("a file becomes a pipe", "f 0644 - 1 /x\nf 0644 - 1 /y", "p 0644 - 1 /x\nf 0644 - 1 /y", &["./", "x"]),
    ] {
        let scratch = Scratch::new();
        let (out, names) = layer_between(&scratch, old, new, &[]);
        assert_eq!(names, expected, "{what}");
        let unpacked = scratch.join("unpacked");
        let _ = Tool::new("unpack").arg(oci(&out, "new")).arg(&unpacked).arg("--rootless").run().stdout();
        assert_same(&list_directory(&scratch.join("new")), &list_directory(&unpacked), what);
    }
}

#[test]
fn a_device_of_another_number_or_kind_is_another() {
    let scratch = Scratch::new();
    if !root() {
        return;
    }
    let (same, old) =
        ("c 0600 0:0 1 /same 1:5", "c 0600 0:0 1 /number 1:3\nc 0600 0:0 1 /kind 7:0\np 0600 0:0 1 /pipe");
    let new = "c 0600 0:0 1 /number 1:7\nb 0600 0:0 1 /kind 7:0\nc 0600 0:0 1 /pipe 5:1";
    let (out, names) = layer_between(&scratch, &format!("{old}\n{same}"), &format!("{new}\n{same}"), &[]);
    assert_eq!(names, ["./", "kind", "number", "pipe"]);
    let unpacked = scratch.join("unpacked");
    let _ = Tool::new("unpack").arg(oci(&out, "new")).arg(&unpacked).run().stdout();
    assert_same(&list_directory(&scratch.join("new")), &list_directory(&unpacked), "devices");
}

#[test]
fn no_difference_is_no_layer() {
    let scratch = Scratch::new();
    let (rootfs, out) = (scratch.small_rootfs(), scratch.join("out"));
    let _ = Tool::build(&rootfs).arg(oci(&out, "old")).bake();
    let _ = Tool::new("build")
        .arg(&rootfs)
        .arg(oci(&out, "new"))
        .args(["--base", &oci(&out, "old"), "--env", "A=1"])
        .bake();
    let (old, new) = (Layout::at(&out).image("old"), Layout::at(&out).image("new"));
    assert_eq!(old.layers(), new.layers());
    let history = new.config["history"].as_array().unwrap();
    assert_eq!(history.len(), 2);
    assert_eq!(history[0], old.config["history"][0]);
    assert_eq!(history[1]["empty_layer"], true);
}

#[test]
fn masks_and_volumes_stay_as_the_base_has_them() {
    let old =
        "d 0755 - 1 /cache\nf 0644 - 1 /cache/x text 1\nd 0755 - 1 /volume\nf 0644 - 1 /volume/x text 1\nf 0644 - 1 /z";
    let new =
        "d 0755 - 1 /cache\nf 0644 - 1 /cache/y text 2\nd 0755 - 1 /volume\nf 0644 - 1 /volume/y text 2\nf 0600 - 1 /z";
    for (args, expected) in [
        (&["--mask", "/cache"][..], &["./", "z"][..]),
        (&[], &["./", "cache/", "cache/.wh.x", "cache/y", "z"]),
        (&["--mask", "cache/", "--no-mask-volumes"], &["./", "volume/", "volume/.wh.x", "volume/y", "z"]),
    ] {
        let (_, names) = layer_between(&Scratch::new(), old, new, args);
        assert_eq!(names, expected, "{args:?}");
    }
}

#[test]
fn the_base_is_taken_over_as_it_is() {
    let scratch = Scratch::new();
    let (rootfs, old, new) = (scratch.small_rootfs(), scratch.join("old"), scratch.join("new"));
    let base = Tool::build(&rootfs)
        .arg(oci(&old, "base"))
        .args(["--created", "12345", "--compression", "gzip:9", "--author", "Someone <a@b>"])
        .bake();
    fs::write(rootfs.join("more"), "more").unwrap();
    let _ = Tool::new("build").arg(&rootfs).arg(oci(&new, "on-it")).args(["--base", &oci(&old, "base")]).bake();
    let (old_image, new_image) = (Layout::at(&old).image("base"), Layout::at(&new).image("on-it"));
    assert_eq!(new_image.layers()[..1], old_image.layers());
    assert_eq!(new_image.manifest["layers"][0], old_image.manifest["layers"][0]);
    assert_eq!(new_image.config["history"][0], old_image.config["history"][0]);
    assert_eq!(new_image.config["history"][0]["created"], "1970-01-01T03:25:45Z");
    assert_eq!(new_image.config["author"], old_image.config["author"]);
    assert_eq!(
        new_image.manifest["annotations"],
        json!({"org.opencontainers.image.base.digest": base, "org.opencontainers.image.base.name": "base"})
    );
    let blob = |layout: &Path| layout.join("blobs").join(old_image.layers()[0].replace(':', "/")).metadata().unwrap();
    assert_eq!(blob(&old).ino(), blob(&new).ino(), "linked, not copied");
}

#[test]
fn the_configuration_is_inherited() {
    let scratch = Scratch::new();
    let (rootfs, out) = (scratch.small_rootfs(), scratch.join("out"));
    let _ = Tool::build(&rootfs)
        .arg(oci(&out, "base"))
        .args(["--env", "A=1", "--env", "B=2", "--label", "x=1", "--label", "y=2", "--user", "7", "--port", "80/tcp"])
        .args(["--entrypoint", "/init", "--cmd", "serve", "--working-dir", "/srv"])
        .bake();
    let config = |args: &[&str]| -> Value {
        let _ = Tool::new("build")
            .arg(&rootfs)
            .arg(oci(&out, "new"))
            .args(["--base", &oci(&out, "base")])
            .args(args)
            .bake();
        Layout::at(&out).image("new").config["config"].clone()
    };
    let inherited = config(&[]);
    assert_eq!(inherited, Layout::at(&out).image("base").config["config"]);
    for (args, member, expected) in [
        (&["--env", "A=3", "--env", "C=4"][..], "Env", json!(["A=3", "B=2", "C=4"])),
        (&["--label", "y=3", "--label", "z=4"], "Labels", json!({"x": "1", "y": "3", "z": "4"})),
        (&["--port", "90"], "ExposedPorts", json!({"80/tcp": {}, "90/tcp": {}})),
        (&["--entrypoint", "/other"], "Cmd", Value::Null),
        (&["--entrypoint", "/other", "--cmd", "x"], "Cmd", json!(["x"])),
        (&["--cmd", "x"], "Entrypoint", json!(["/init"])),
        (&["--cmd", ""], "Cmd", Value::Null),
        (&["--cmd", ""], "Entrypoint", json!(["/init"])),
        (&["--user", ""], "User", Value::Null),
        (&["--env", ""], "Env", Value::Null),
        (&["--user", "8"], "WorkingDir", json!("/srv")),
    ] {
        assert_eq!(config(args)[member], expected, "{args:?}");
    }
}

#[test]
fn a_base_of_another_platform_is_refused_and_one_of_several_is_chosen() {
    let scratch = Scratch::new();
    let (rootfs, out) = (scratch.small_rootfs(), scratch.join("out"));
    let _ = Tool::build(&rootfs).arg(oci(&out, "one")).bake();
    let build = |base: &str, args: &[&str]| {
        Tool::new("build")
            .arg(&rootfs)
            .arg(oci(&scratch.join("new"), "new"))
            .args(["--base", &oci(&out, base)])
            .args(args)
            .run()
    };
    let error = build("one", &["--arch", "arm64"]).error();
    assert!(error.contains("linux/amd64") && error.contains("linux/arm64"), "{error}");
    assert!(is_missing(&scratch.join("new")));

    // An index of two, as `index` of another tool would make it.
    fs::write(rootfs.join("for-arm"), "arm").unwrap();
    let _ = Tool::new("build").arg(&rootfs).arg(oci(&out, "two")).args(["--arch", "arm64"]).bake();
    let index = Layout::at(&out).index();
    let mut nested = index.clone();
    for descriptor in nested["manifests"].as_array_mut().unwrap() {
        descriptor.as_object_mut().unwrap().remove("annotations");
    }
    let bytes = serde_json::to_vec(&nested).unwrap();
    let digest = crate::harness::sha256(&bytes);
    fs::write(out.join("blobs/sha256").join(&digest), &bytes).unwrap();
    let mut index = index;
    index["manifests"].as_array_mut().unwrap().push(json!({
        "mediaType": "application/vnd.oci.image.index.v1+json", "digest": format!("sha256:{digest}"), "size": bytes.len(),
        "annotations": {"org.opencontainers.image.ref.name": "both"},
    }));
    fs::write(out.join("index.json"), index.to_string()).unwrap();
    let error = build("both", &[]).error();
    assert!(error.contains("linux/amd64") && error.contains("linux/arm64"), "{error}");
    let _ = build("both", &["--arch", "arm64"]).digest();
    let image = Layout::at(&scratch.join("new")).image("new");
    assert_eq!(image.config["architecture"], "arm64");
    assert_eq!(image.layers(), Layout::at(&out).image("two").layers());
}

/// Paths of the base stay; paths of the rootfs are added or replace them.
/// Whatever is wrong with the base, the error says that it is about the base, and where that was named.
#[test]
fn errors_about_the_base_name_the_setting() {
    let scratch = Scratch::new();
    let (out, rootfs) = (scratch.join("out"), scratch.small_rootfs());
    let _ = Tool::build(&rootfs).arg(oci(&out, "v1")).bake();
    let damaged = scratch.join("damaged");
    let _ = Tool::new("convert").arg(oci(&out, "v1")).arg(oci(&damaged, "v1")).run().stdout();
    let layer = Layout::at(&damaged).image("v1").layer_path();
    let mut bytes = fs::read(&layer).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::remove_file(&layer).unwrap();
    fs::write(&layer, bytes).unwrap();
    for (base, words) in [
        ("nowhere".to_owned(), "cannot open the image `nowhere`"),
        (oci(&out, "v2"), "no image of this name"),
        (format!("oci:{}", rootfs.display()), "no image layout"),
        ("docker://x/y".to_owned(), "skopeo copy"),
        ("-".to_owned(), "standard input"),
        (oci(&damaged, "v1"), "blob sha256:"),
        (oci(&out, "v1"), "expected, found linux/amd64"),
    ] {
        let tool = || {
            let arch = if words == "blob sha256:" { "amd64" } else { "arm64" };
            Tool::new("build").arg(&rootfs).args(["oci:new", "--arch", arch]).within(scratch.path())
        };
        for (tool, name) in [
            (tool().args(["--base", &base]), "--base: "),
            (tool().env("OCI_BASE_IMAGE", &base), "OCI_BASE_IMAGE (environment): "),
        ] {
            let error = tool.run().error();
            assert!(error.starts_with(name) && error.contains(words), "{base}: {error}");
            assert_eq!(error.matches(name).count(), 1, "{base}: {error}");
            assert!(is_missing(&scratch.join("new")), "{base}");
        }
    }
}

#[test]
fn a_rootfs_can_be_merged_into_a_base() {
    let scratch = Scratch::new();
    let old = "d 0755 - 1 /bin\nf 0755 - 1 /bin/sh text sh\nd 0755 - 1 /etc\nf 0644 - 1 /etc/a text old\nf 0644 - 1 /etc/b text b";
    let new = "d 0755 - 1 /etc\nf 0644 - 1 /etc/a text new\nd 0755 - 1 /srv\nf 0644 - 1 /srv/x text x";
    let (out, names) = layer_between(&scratch, old, new, &["--base-mode", "merge"]);
    assert!(!names.iter().any(|name| name.contains(".wh.")), "{names:?}");
    assert!(["etc/a", "srv/x"].iter().all(|path| names.iter().any(|name| name == path)), "{names:?}");
    for (path, text) in [("bin/sh", "sh"), ("etc/a", "new"), ("etc/b", "b"), ("srv/x", "x")] {
        let printed = Tool::new("cat").args([&oci(&out, "new"), path]).run().stdout();
        assert_eq!(printed.trim_end(), text, "{path}");
    }
    // The same by a variable, from an archive, and in layers.
    let archive = scratch.join("new.tar");
    let Some(tar) = Peer::find("tar") else { return };
    let new_rootfs = scratch.join("new");
    let _ = tar.run(["-C", new_rootfs.to_str().unwrap(), "-cf", archive.to_str().unwrap(), "."]);
    for (rootfs, more) in [(&archive, &[][..]), (&scratch.join("new"), &["--layers", "etc=etc", "--layers", "rest=*"])]
    {
        let tool = Tool::new("build").arg(rootfs).arg(oci(&out, "again")).args(["--base", &oci(&out, "old")]);
        let _ = tool.args(more).env("OCI_BASE_IMAGE_MODE", "merge").bake();
        let same = Tool::new("diff").args([&oci(&out, "new"), &oci(&out, "again"), "--summary"]).run();
        assert!(!same.stderr().contains("error"), "{}", same.stderr());
        assert_eq!(Tool::new("cat").args([&oci(&out, "again"), "etc/b"]).run().stdout().trim_end(), "b");
    }
}

/// A link that replaces a directory would silently remove its content.
#[test]
fn what_cannot_be_merged_is_listed() {
    for (old, new, path) in [
        (
            "d 0755 - 1 /bin\nf 0755 - 1 /bin/sh text sh",
            "l 0777 - 1 /bin usr/bin\nd 0755 - 1 /usr\nd 0755 - 1 /usr/bin",
            "bin",
        ),
        (
            "l 0777 - 1 /lib usr/lib\nd 0755 - 1 /usr\nd 0755 - 1 /usr/lib",
            "d 0755 - 1 /lib\nf 0644 - 1 /lib/x text x",
            "lib",
        ),
        ("d 0755 - 1 /run", "f 0644 - 1 /run text x", "run"),
        ("d 0755 - 1 /usr\nl 0777 - 1 /bin usr", "f 0644 - 1 /bin text x", "bin"),
    ] {
        let scratch = Scratch::new();
        let out = scratch.join("out");
        let (old, new) = (make(&scratch, "old", old), make(&scratch, "new", new));
        let _ = Tool::build(old).arg(oci(&out, "old")).bake();
        let build = |mode: &str| {
            let tool = Tool::new("build").arg(&new).arg(oci(&out, "new"));
            tool.args(["--base", &oci(&out, "old"), "--base-mode", mode]).run()
        };
        let error = build("merge").error();
        assert!(error.contains(&format!("`/{path}` is a ")) && error.contains("exact"), "{error}");
        let _ = build("exact").digest();
    }
    let scratch = Scratch::new();
    let rootfs = make(&scratch, "new", "f 0644 - 1 /x text x");
    let error = Tool::build(rootfs).oci(&scratch.join("out")).args(["--base-mode", "both"]).run().error();
    assert!(error.contains("`exact` or `merge`"), "{error}");
}

/// What a name of the base led to is found no longer: that is said.
#[test]
fn a_link_that_leads_elsewhere_is_told() {
    let old =
        "d 0755 - 1 /usr\nd 0755 - 1 /usr/lib64\nd 0755 - 1 /usr/lib64/a\nf 0755 - 1 /usr/lib64/a/ld.so text ld\n\
               l 0777 - 1 /lib64 usr/lib64\nf 0644 - 1 /file text x\nl 0777 - 1 /link file\nl 0777 - 1 /lost nowhere";
    let dirs = "d 0755 - 1 /usr\nd 0755 - 1 /usr/lib\nl 0777 - 1 /link /usr/lib\nl 0777 - 1 /lost usr/lib\n";
    let gone = "`/lib64` leads to `/usr/lib64` in the base and to";
    for (new, told) in [
        ("l 0777 - 1 /lib64 usr/lib", Some("`/usr/lib` in the image")),
        ("l 0777 - 1 /lib64 /elsewhere", Some("nothing in the image")),
        ("d 0755 - 1 /usr/lib/a\nf 0755 - 1 /usr/lib/a/ld text ld\nl 0777 - 1 /lib64 usr/lib", Some("`/usr/lib` in")),
        // The same place by another way, and a place that has everything.
        ("l 0777 - 1 /lib64 /usr/lib/../lib64", None),
        ("d 0755 - 1 /usr/lib/a\nf 0755 - 1 /usr/lib/a/ld.so text new\nl 0777 - 1 /lib64 usr/lib", None),
    ] {
        let scratch = Scratch::new();
        let out = scratch.join("out");
        let (old, new) = (make(&scratch, "old", old), make(&scratch, "new", &format!("{dirs}{new}")));
        let _ = Tool::build(old).arg(oci(&out, "old")).bake();
        let tool = Tool::new("build").arg(&new).arg(oci(&out, "new"));
        let outcome = tool.args(["--base", &oci(&out, "old"), "--base-mode", "merge"]).run();
        let said = outcome.stderr();
        assert_eq!(said.matches("leads to").count(), usize::from(told.is_some()), "{said}");
        assert!(told.map_or(true, |told| said.contains(&format!("{gone} {told}"))), "{said}");
    }
}

#[test]
fn a_rootfs_that_removes_most_of_its_base_is_told() {
    let scratch = Scratch::new();
    let out = scratch.join("out");
    let old = make(&scratch, "old", "f 0644 - 1 /a text a\nf 0644 - 1 /b text b\nf 0644 - 1 /c text c");
    let new = make(&scratch, "new", "f 0644 - 1 /x text x");
    let _ = Tool::build(old).arg(oci(&out, "old")).bake();
    let outcome = Tool::new("build").arg(new).arg(oci(&out, "new")).args(["--base", &oci(&out, "old")]).run();
    assert!(outcome.stderr().contains("3 of the 4 entries of the base are removed"), "{}", outcome.stderr());
    assert!(outcome.stderr().contains("merge"), "{}", outcome.stderr());
}

/// A flag says what somebody wants now; a variable may be set for images with and without a base.
#[test]
fn flags_that_have_no_effect_are_said() {
    let scratch = Scratch::new();
    scratch.small_rootfs();
    fs::write(scratch.join("map"), "").unwrap();
    let build = || Tool::build("rootfs").arg("oci:out").within(scratch.path());
    for (args, words) in [
        (&["--base-mode", "merge"][..], "--base-mode has no effect: there is no base image"),
        (&["--no-mask-volumes"], "there is no base image"),
        (&["--cache-size", "1G"], "--cache-size has no effect without --cache"),
        (&["--package-map", "map"], "the package map has no effect: the rootfs is not cut into layers"),
    ] {
        let outcome = build().args(args).run();
        assert_eq!(outcome.code(), 0, "{}", outcome.stderr());
        let said: Vec<&str> = outcome.stderr().lines().filter(|line| line.contains("no effect")).collect();
        assert!(matches!(said[..], [line] if line.contains(words)), "{args:?}: {}", outcome.stderr());
    }
    let outcome = build().env("OCI_BASE_IMAGE_MODE", "merge").run();
    assert!(outcome.code() == 0 && !outcome.stderr().contains("no effect"), "{}", outcome.stderr());
    let cached = build().args(["--cache", "cache", "--cache-size", "1G"]).run();
    assert!(!cached.stderr().contains("no effect"), "{}", cached.stderr());
    for words in [&["diff", "rootfs", "rootfs"][..], &["plan", "rootfs"]] {
        let outcome = Tool::new(words[0]).args(&words[1..]).args(["--platform", "arm64"]).within(scratch.path()).run();
        assert!(outcome.stderr().contains("--platform has no effect"), "{words:?}: {}", outcome.stderr());
    }
    for verb in ["squash", "convert"] {
        let outcome = Tool::new(verb).args(["oci:out", "oci:new", "--cache-size", "1G"]).within(scratch.path()).run();
        assert!(outcome.stderr().contains("--cache-size has no effect"), "{verb}: {}", outcome.stderr());
    }
}
