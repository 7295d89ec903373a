use std::fs;
use std::os::unix::fs::{symlink, PermissionsExt};
use std::path::Path;

use rustix::process::Signal;
use serde_json::{json, Value};

use super::made::{image, layer, tar};
use crate::harness::{names_below, root, sha256, unprivileged_words, until_it_writes, Scratch, Tool};
use crate::verify::members::{file, pax};

/// A run that fails with these words in its message, and leaves everything unchanged.
#[track_caller]
fn refused(scratch: &Scratch, tool: Tool, words: &[&str]) {
    let before = names_below(scratch.path());
    let error = tool.within(scratch.path()).run().error();
    for word in words {
        assert!(error.contains(word), "no `{word}` in: {error}");
    }
    assert_eq!(names_below(scratch.path()), before, "after: {error}");
}

fn unpack(directory: &str) -> Tool {
    Tool::new("unpack").args(["oci:image", directory, "--rootless", "-q"])
}

#[test]
fn directories_that_cannot_be() {
    let scratch = Scratch::new();
    image(&scratch.join("image"), &[layer(&["a=1"])], &json!({}));
    fs::write(scratch.join("file"), "x").unwrap();
    symlink(".", scratch.join("link")).unwrap();
    symlink("nowhere", scratch.join("dangling")).unwrap();
    for (directory, words) in [
        ("image", &["`image`: a new or empty directory is wanted, found a directory with something in it"][..]),
        ("image/", &["`image/`", "found a directory with something in it"]),
        ("file", &["`file`", "found a file"]),
        ("link", &["`link`", "found a symbolic link"]),
        ("link/", &["`link/`", "found a symbolic link"]),
        ("dangling", &["`dangling`", "found a symbolic link"]),
        ("missing/out", &["`missing/out`: its directory `missing` is missing"]),
        ("file/out", &["`file/out`"]),
        ("-", &["`-`", "means a stream elsewhere", "`./-`"]),
        (".", &["`.`", "found a path without a name"]),
        ("..", &["`..`", "found a path without a name"]),
        ("/", &["`/`", "found a path without a name"]),
        ("/proc", &["`/proc`", "found the root of a filesystem"]),
    ] {
        refused(&scratch, unpack(directory), words);
    }
    refused(&scratch, Tool::new("unpack").args(["oci:missing", "out"]), &["`oci:missing`"]);
    refused(&scratch, Tool::new("unpack").args(["oci:image:other", "out"]), &["oci:image:other"]);
    refused(&scratch, unpack("out").args(["--platform", "linux/arm64"]), &["linux/arm64"]);
}

/// Where the parts of the image of [`damaged`] are.
struct Parts {
    layer: String,
    manifest: Value,
    config: Value,
}

/// An image of two layers, changed: bytes of the upper layer's blob, and its documents.
fn damaged(scratch: &Scratch, damage_blob: impl Fn(&mut Vec<u8>), damage_documents: impl Fn(&mut Parts)) {
    let root = scratch.join("image");
    if root.symlink_metadata().is_ok() {
        fs::remove_dir_all(&root).unwrap();
    }
    let upper = layer(&["b=2", "c=3"]);
    image(&root, &[layer(&["a=1"]), upper.clone()], &json!({}));
    let blob = |digest: &str| root.join("blobs/sha256").join(digest.trim_start_matches("sha256:"));
    let read = |path: &Path| serde_json::from_slice::<Value>(&fs::read(path).unwrap()).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut bytes = upper.clone();
    damage_blob(&mut bytes);
    fs::write(blob(&sha256(&upper)), &bytes).unwrap();

    let mut index = read(&root.join("index.json"));
    let manifest = read(&blob(&text(&index["manifests"][0]["digest"])));
    let config = read(&blob(&text(&manifest["config"]["digest"])));
    let mut parts = Parts { layer: format!("sha256:{}", sha256(&upper)), manifest, config };
    damage_documents(&mut parts);
    let seal = |document: &Value, descriptor: &mut Value| {
        let bytes = document.to_string().into_bytes();
        fs::write(blob(&sha256(&bytes)), &bytes).unwrap();
        descriptor["digest"] = json!(format!("sha256:{}", sha256(&bytes)));
        descriptor["size"] = json!(bytes.len());
    };
    seal(&parts.config, &mut parts.manifest["config"]);
    seal(&parts.manifest, &mut index["manifests"][0]);
    fs::write(root.join("index.json"), index.to_string()).unwrap();
}

#[test]
fn blobs_that_are_not_what_they_are_said_to_be() {
    let scratch = Scratch::new();
    damaged(&scratch, |_| {}, |_| {});
    let _ = unpack("good").within(scratch.path()).run().stdout();

    let nothing = |_: &mut Parts| {};
    for (what, damage) in [
        // The content of a file, the padding after it, and what follows the end of the tar.
        ("digest should be", (|blob: &mut Vec<u8>| blob[512] ^= 1) as fn(&mut Vec<u8>)),
        ("digest should be", |blob| blob[600] ^= 1),
        ("digest should be", |blob| *blob.last_mut().unwrap() ^= 1),
        ("size should be", |blob| blob.push(0)),
        ("size should be", |blob| blob.truncate(blob.len() - 1)),
        ("size should be", |blob| blob.truncate(700)),
        ("size should be", Vec::clear),
        ("digest should be", |blob| blob[0] = b'x'),
    ] {
        damaged(&scratch, damage, nothing);
        refused(&scratch, unpack("out"), &[what]);
    }
    for (what, damage) in [
        (
            "diff_id should be",
            (|parts: &mut Parts| {
                parts.config["rootfs"]["diff_ids"][1] = parts.config["rootfs"]["diff_ids"][0].clone();
            }) as fn(&mut Parts),
        ),
        ("2 diff_ids expected, one for each layer, found 1", |parts| {
            parts.config["rootfs"]["diff_ids"].as_array_mut().unwrap().pop();
        }),
        ("is not the media type of a layer", |parts| parts.manifest["layers"][1]["mediaType"] = json!("text/plain")),
        ("is missing", |parts| {
            parts.manifest["layers"][1]["digest"] = json!(parts.layer.replace(|c: char| c.is_ascii_digit(), "a"));
        }),
        ("cannot be computed here", |parts| parts.config["rootfs"]["diff_ids"][1] = json!("blake3:abc")),
    ] {
        damaged(&scratch, |_| {}, damage);
        refused(&scratch, unpack("out"), &[what]);
    }
    // An empty directory is still empty.
    scratch.make_directory("out");
    refused(&scratch, unpack("out"), &[]);
}

#[test]
fn what_this_user_must_not_do_ends_it() {
    let scratch = Scratch::new();
    if !root() {
        return;
    }
    let home = scratch.make_directory("home");
    fs::set_permissions(&home, fs::Permissions::from_mode(0o777)).unwrap();
    image(&home.join("image"), &[layer(&["d/", "d/a=1"])], &json!({}));
    let tool = Tool::new("unpack").args(["oci:image", "out"]);
    let before = names_below(scratch.path());
    let error = tool.behind(unprivileged_words()).within(&home).run().error();
    assert!(error.contains("cannot set the owner of `out/d/a`: Operation not permitted\nhint: "), "{error}");
    assert!(error.contains("--rootless") && error.contains("fakeroot"), "{error}");
    assert_eq!(names_below(scratch.path()), before);
}

/// Directories without permissions are removed too, although their owner cannot read them: here the last step fails,
/// because the directory to replace belongs to another user.
#[test]
fn a_failure_at_the_very_end() {
    let scratch = Scratch::new();
    if !root() {
        return;
    }
    let home = scratch.make_directory("home");
    fs::set_permissions(&home, fs::Permissions::from_mode(0o1777)).unwrap();
    fs::create_dir(home.join("out")).unwrap();
    let rootfs = scratch.make_directory("rootfs");
    fs::create_dir_all(rootfs.join("closed/closed/open")).unwrap();
    for path in ["closed/closed/open", "closed/closed", "closed", ""] {
        let mode = if path.ends_with("open") { 0o755 } else { 0o000 };
        fs::set_permissions(rootfs.join(path), fs::Permissions::from_mode(mode)).unwrap();
    }
    let _ = Tool::build(&rootfs).oci(&home.join("image")).bake();
    let before = names_below(scratch.path());
    let tool = unpack("out").behind(unprivileged_words());
    let error = tool.within(&home).run().error();
    assert!(error.contains("cannot rename the tree to `out`: Operation not permitted"), "{error}");
    assert_eq!(names_below(scratch.path()), before);
}

/// A layer whose file takes until the run is ended: a terabyte of zeros, and a byte before them.
fn endless(scratch: &Scratch) {
    let header = pax(&[
        ("GNU.sparse.major", "0"),
        ("GNU.sparse.minor", "1"),
        ("GNU.sparse.name", "endless"),
        ("GNU.sparse.size", "1099511627776"),
        ("GNU.sparse.map", "0,1"),
    ]);
    image(&scratch.join("image"), &[tar(&[header, file("x", "x")])], &json!({}));
}

#[test]
fn a_signal_ends_it_and_leaves_nothing() {
    for (signal, number) in [(Signal::INT, 2), (Signal::TERM, 15)] {
        let scratch = Scratch::new();
        endless(&scratch);
        let before = names_below(scratch.path());
        let mut running = unpack("out").within(scratch.path()).heeding_signals().start();
        until_it_writes(&mut running, scratch.path());
        running.signal(signal);
        let outcome = running.wait();
        assert_eq!((outcome.signal(), outcome.code()), (None, 128 + number));
        assert_eq!(outcome.stderr(), "ocibake: error: interrupted\n");
        assert_eq!(names_below(scratch.path()), before);
    }
}

#[test]
fn what_a_killed_run_left_is_cleared_by_the_next() {
    let scratch = Scratch::new();
    endless(&scratch);
    let mut running = unpack("out").within(scratch.path()).start();
    until_it_writes(&mut running, scratch.path());
    running.signal(Signal::KILL);
    assert_eq!(running.wait().signal(), Some(9));
    let left = || names_below(scratch.path()).iter().any(|name| name.starts_with("out"));
    assert!(left() && scratch.join("out").symlink_metadata().is_err());
    // Not by a run that unpacks elsewhere, and not directories that only have a similar name.
    scratch.make_directory("out.ocibake-backup");
    image(&scratch.join("small"), &[layer(&["a=1"])], &json!({}));
    let small = |to: &str| Tool::new("unpack").args(["oci:small", to, "--rootless", "-q"]).within(scratch.path());
    let _ = small("other").run().stdout();
    assert!(names_below(scratch.path()).iter().any(|name| name.ends_with("/endless")));
    let _ = small("out").run().stdout();
    let names = names_below(scratch.path()).into_iter().filter(|name| name.starts_with("out"));
    assert_eq!(names.collect::<Vec<_>>(), ["out/", "out/a", "out.ocibake-backup/"]);
}
