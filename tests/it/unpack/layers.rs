use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use serde_json::json;

use super::made::{image, layer, tar};
use crate::harness::{list_directory, root, File, Listing, Peer, Scratch, Tool, What};
use crate::verify::members::{directory, file};

/// Unpacks an image of these layers.
fn unpack(scratch: &Scratch, layers: &[Vec<u8>]) -> Listing {
    for name in ["image", "out"] {
        if scratch.join(name).symlink_metadata().is_ok() {
            fs::remove_dir_all(scratch.join(name)).unwrap();
        }
    }
    image(&scratch.join("image"), layers, &json!({}));
    let outcome = Tool::new("unpack").args(["oci:image", "out", "--rootless", "-q"]).within(scratch.path()).run();
    assert_eq!((outcome.stderr(), outcome.code()), ("", 0));
    list_directory(&scratch.join("out"))
}

/// The entries below the root in the notation of [`layer`]; contents by their digests.
fn words(listing: &Listing) -> Vec<String> {
    let show = |path: &Path, what: &What| {
        let name = path.display();
        match what {
            What::Directory => format!("{name}/"),
            What::File(File { size: 0, .. }) => name.to_string(),
            What::File(File { sha256, .. }) => format!("{name}={sha256}"),
            What::Symlink(text) => format!("{name}->{}", text.escape_ascii()),
            What::Hardlink(first) => format!("{name}=>{}", first.display()),
            _ => format!("{name}|"),
        }
    };
    listing.iter().skip(1).map(|(path, node)| show(path, &node.what)).collect()
}

#[test]
fn layers_over_layers() {
    let scratch = Scratch::new();
    let umoci = Peer::find("umoci").filter(|_| root());
    for (what, layers, expected) in TABLE {
        let layers: Vec<Vec<u8>> = layers.iter().map(|words| layer(words)).collect();
        let found = unpack(&scratch, &layers);
        assert_eq!(words(&found), words_of(expected), "{what}");
        // Where runtimes disagree, umoci behaves differently.
        let Some(umoci) = umoci.as_ref().filter(|_| !what.starts_with('*')) else { continue };
        let source = format!("{}:latest", scratch.join("image").display());
        umoci.run(["unpack", "--image", &source, scratch.join("theirs").to_str().unwrap()]);
        let theirs = list_directory(&scratch.join("theirs/rootfs"));
        assert_eq!(words(&found), words(&theirs), "{what}, as umoci has it");
        fs::remove_dir_all(scratch.join("theirs")).unwrap();
    }
}

fn words_of(expected: &[&str]) -> Vec<String> {
    let digest = |word: &str| match word.split_once('=') {
        Some((name, content)) if !content.starts_with('>') => {
            format!("{name}={}", File::of(content.as_bytes()).sha256)
        }
        _ => word.to_owned(),
    };
    expected.iter().map(|word| digest(word)).collect()
}

/// What is shown, the layers, and the result. A star: umoci 0.4.7 gives another result.
type Row = (&'static str, &'static [&'static [&'static str]], &'static [&'static str]);

const TABLE: &[Row] = &[
    ("files of two layers", &[&["a=1", "b=2"], &["b=3", "c=4"]], &["a=1", "b=3", "c=4"]),
    ("names are one path", &[&["./a/", "a//b=1"], &["/a/./b=2"]], &["a/", "a/b=2"]),
    ("a name and a longer one", &[&["foo=1", "foobar=2"], &[".wh.foo"]], &["foobar=2"]),
    ("a whiteout of a directory", &[&["d/", "d/e/", "d/e/f=1", "g=2"], &[".wh.d"]], &["g=2"]),
    ("a whiteout of nothing", &[&["a=1"], &[".wh.b", "c/.wh.d"]], &["a=1"]),
    ("a whiteout of a hidden name", &[&[".a=1", "a=2"], &[".wh..a"]], &["a=2"]),
    ("a whiteout before what is new", &[&["d/", "d/a=1"], &[".wh.d", "d/", "d/b=2"]], &["d/", "d/b=2"]),
    ("and after it", &[&["d/", "d/a=1"], &["d/", "d/b=2", ".wh.d"]], &["d/", "d/b=2"]),
    ("and without the directory", &[&["d/", "d/a=1"], &["d/b=2", ".wh.d"]], &["d/", "d/b=2"]),
    ("a whiteout of its own layer's file", &[&["a=1"], &["a=2", ".wh.a"]], &["a=2"]),
    ("a whiteout and a new hard link", &[&["a=1", "b=2"], &[".wh.a", "a=>b"]], &["a=2", "b=>a"]),
    ("opaque, first", &[&["d/", "d/a=1", "e=1"], &["d/", "d/.wh..wh..opq", "d/b=2"]], &["d/", "d/b=2", "e=1"]),
    ("opaque, last", &[&["d/", "d/a=1", "e=1"], &["d/", "d/b=2", "d/.wh..wh..opq"]], &["d/", "d/b=2", "e=1"]),
    (
        "opaque in depth",
        &[&["d/", "d/a/", "d/a/b=1", "d/a/c=2"], &["d/a/b=3", "d/.wh..wh..opq"]],
        &["d/", "d/a/", "d/a/b=3"],
    ),
    ("an opaque root", &[&["a=1", "d/", "d/b=1"], &[".wh..wh..opq", "c=2"]], &["c=2"]),
    ("opaque where nothing is", &[&["a=1"], &["d/", "d/.wh..wh..opq"]], &["a=1", "d/"]),
    ("a directory over a directory", &[&["d/", "d/a=1"], &["d/", "d/b=2"]], &["d/", "d/a=1", "d/b=2"]),
    ("a file over a directory", &[&["d/", "d/a/", "d/a/b=1"], &["d=2"]], &["d=2"]),
    (
        "a link over a directory",
        &[&["bin/", "bin/sh=1", "usr/bin/"], &["bin->usr/bin", "usr/bin/sh=2"]],
        &["bin->usr/bin", "usr/", "usr/bin/", "usr/bin/sh=2"],
    ),
    ("a directory over a link", &[&["usr/", "bin->usr"], &["bin/", "bin/sh=1"]], &["bin/", "bin/sh=1", "usr/"]),
    ("a directory over a file", &[&["d=1"], &["d/", "d/a=2"]], &["d/", "d/a=2"]),
    ("a pipe over a file", &[&["d=1"], &["d|"]], &["d|"]),
    ("a file over a link to it", &[&["a=1", "b->a"], &["b=2"]], &["a=1", "b=2"]),
    ("one of several names is replaced", &[&["a=1", "b=>a", "c=>a"], &["b=2"]], &["a=1", "b=2", "c=>a"]),
    ("the name that had the content", &[&["a=1", "b=>a", "c=>a"], &["a=2"]], &["a=2", "b=1", "c=>b"]),
    ("or is removed", &[&["a=1", "b=>a", "c=>a"], &[".wh.a"]], &["b=1", "c=>b"]),
    ("a hard link to a lower layer's file", &[&["a=1"], &["b=>a"]], &["a=1", "b=>a"]),
    ("that a whiteout after it hides", &[&["a=1"], &["b=>a", ".wh.a"]], &["b=1"]),
    ("with the directory above it", &[&["d/", "d/a=1"], &["b=>d/a", "c=>b", ".wh.d"]], &["b=1", "c=>b"]),
    (
        "or all that was in it",
        &[&["d/", "d/a=1"], &["b=>d/a", "d/", "d/c=2", "d/.wh..wh..opq"]],
        &["b=1", "d/", "d/c=2"],
    ),
    ("a hard link to a link", &[&["a->x", "b=>a"]], &["a->x", "b=>a"]),
    ("a hard link by an absolute name", &[&["d/", "d/a=1", "b=>/d/a"]], &["b=1", "d/", "d/a=>b"]),
    ("parents that nobody described", &[&["a/b/c=1"]], &["a/", "a/b/", "a/b/c=1"]),
    ("* a file where a directory must be", &[&["a=1"], &["a/b=2"]], &["a/", "a/b=2"]),
    ("the later of two", &[&["a=1", "a=2"]], &["a=2"]),
    ("* of two kinds", &[&["a/", "a/b=1", "a=2"]], &["a=2"]),
    ("* a link where a directory must be", &[&["usr/", "bin->usr"], &["bin/sh=1"]], &["bin/", "bin/sh=1", "usr/"]),
    (
        "* and no whiteout through it",
        &[&["usr/", "usr/sh=1", "bin->usr"], &["bin/.wh.sh"]],
        &["bin->usr", "usr/", "usr/sh=1"],
    ),
    ("* what aufs left", &[&["a=1", ".wh..wh.aufs=x", ".wh..wh.plnk/", ".wh..wh.plnk/1=y", "b=2"]], &["a=1", "b=2"]),
    (
        "* what aufs kept for hard links",
        &[&[".wh..wh.plnk/", ".wh..wh.plnk/8.1=x", "d/", "d/b=>.wh..wh.plnk/8.1", "a=>.wh..wh.plnk/8.1"], &["c=>a"]],
        &["a=x", "c=>a", "d/", "d/b=>a"],
    ),
    (
        "* without the directory, and for one name",
        &[&["a=1"], &[".wh..wh.plnk/8.1=x", ".wh.a", "b=>.wh..wh.plnk/8.1", ".wh..wh.plnk/9=y"]],
        &["b=x"],
    ),
    ("no layer with anything", &[&[], &[]], &[]),
];

#[test]
fn what_aufs_left_is_ignored_with_a_note() {
    let scratch = Scratch::new();
    image(&scratch.join("image"), &[layer(&["a=1", ".wh..wh.aufs", ".wh..wh.orph/"])], &json!({}));
    let outcome = Tool::new("unpack").args(["oci:image", "out", "--rootless", "--json"]).within(scratch.path()).run();
    let report = outcome.json();
    let warnings: Vec<&str> = report["warnings"].as_array().unwrap().iter().filter_map(|line| line.as_str()).collect();
    let about_aufs: Vec<_> = warnings.iter().filter(|line| line.contains("whiteout-aufs: /.wh..wh.aufs")).collect();
    assert!(about_aufs.len() == 1 && about_aufs[0].contains("and 1 more of the kind"), "{warnings:?}");
    assert_eq!((&report["entries"], &report["bytes"]), (&json!(2), &json!(1)));
}

/// The times of these members are 0.
#[test]
fn metadata_of_directories_is_that_of_the_topmost_layer() {
    let scratch = Scratch::new();
    if !root() {
        return;
    }
    let lower = tar(&[directory("d/").mode(0o750), file("d/a", "1")]);
    let upper = tar(&[file("d/b", "2"), directory("d/").mode(0o1711)]);
    let lone = tar(&[file("x/y", "")]);
    let found = unpack(&scratch, &[lower, upper, lone]);
    let seen: BTreeMap<&[u8], (u32, i64)> =
        found.iter().map(|(path, node)| (path.as_os_str().as_bytes(), (node.mode, node.mtime))).collect();
    let expected: [(&[u8], (u32, i64)); 6] = [
        (b"", (0o755, 0)),
        (b"d", (0o1711, 0)),
        (b"d/a", (0o644, 0)),
        (b"d/b", (0o644, 0)),
        (b"x", (0o755, 0)),
        (b"x/y", (0o644, 0)),
    ];
    assert_eq!(seen, BTreeMap::from(expected));
}
