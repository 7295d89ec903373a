use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::harness::{
    assert_same, list_directory, root, unprivileged_words, Fixture, Listing, Node, Order, Outcome, Scratch, Tool, What,
    NOBODY,
};

/// Unpacks everything as an ordinary user.
fn unpack(scratch: &Scratch, args: &[&str]) -> Option<(PathBuf, Outcome)> {
    if !root() {
        return None;
    }
    let home = scratch.make_directory("home");
    fs::set_permissions(&home, fs::Permissions::from_mode(0o777)).unwrap();
    if scratch.join("rootfs").symlink_metadata().is_err() {
        let rootfs = scratch.rootfs("rootfs", "everything");
        let _ = Tool::build(rootfs).oci(&home.join("image")).run().digest_despite_warnings();
    }
    let tool = Tool::new("unpack").args(["oci:image", "out", "--rootless"]).args(args);
    let outcome = tool.behind(unprivileged_words()).within(&home).run();
    Some((home.join("out"), outcome))
}

fn is_device(node: &Node) -> bool {
    // The kernel lets every user make a device 0:0, which is not a device.
    matches!(node.what, What::CharDevice(..) | What::BlockDevice(..)) && node.what != What::CharDevice(0, 0)
}

/// What an ordinary user gets of a tree, and what is reported as missing.
fn expected(tree: &Listing) -> (Listing, BTreeSet<(String, String)>) {
    let mut nodes = BTreeMap::new();
    let mut skipped = BTreeSet::new();
    let first_of = |node: &Node| match &node.what {
        What::Hardlink(first) => tree[first].clone(),
        _ => node.clone(),
    };
    for (path, node) in tree {
        // The rest of a name in the fixture that is not UTF-8 is ASCII.
        let shown = path.to_str().map_or_else(|| path.as_os_str().as_bytes().escape_ascii().to_string(), str::to_owned);
        let mut skip = |what: &str| skipped.insert((format!("/{shown}"), what.to_owned()));
        let first = first_of(node);
        if is_device(&first) {
            skip(if matches!(first.what, What::BlockDevice(..)) { "block" } else { "char" });
            continue;
        }
        let mut node = node.clone();
        skip("owner");
        (node.uid, node.gid) = (NOBODY, NOBODY);
        if matches!(first.what, What::File(_)) && node.mode & 0o6000 != 0 {
            skip("setuid");
            node.mode &= !0o6000;
        }
        node.xattrs.retain(|name, _| {
            let kept = name.starts_with(b"user.");
            if !kept {
                skip("xattr");
            }
            kept
        });
        nodes.insert(path.clone(), node);
    }
    (nodes, skipped)
}

#[test]
fn what_only_root_can_set_is_left_out_and_listed() {
    let scratch = Scratch::new();
    let Some((out, outcome)) = unpack(&scratch, &["--json", "-q"]) else { return };
    assert_eq!(outcome.stderr(), "");
    let report = outcome.json();
    let (nodes, skipped) = expected(&list_directory(&scratch.join("rootfs")));
    let found = list_directory(&out);
    assert_same(&nodes, &found, "an ordinary user");
    assert_eq!(report["entries"].as_u64(), Some(found.len() as u64));

    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let listed: Vec<(String, String)> =
        report["skipped"].as_array().unwrap().iter().map(|item| (text(&item["path"]), text(&item["what"]))).collect();
    let differ: Vec<_> = skipped.symmetric_difference(&listed.iter().cloned().collect()).cloned().collect();
    assert_eq!(differ, []);
    let wanted = |path: &str, what: &str| {
        let items = report["skipped"].as_array().unwrap().iter();
        let item = items.clone().find(|item| item["path"] == path && item["what"] == what);
        text(&item.unwrap_or_else(|| panic!("no {what} of {path}"))["wanted"])
    };
    assert_eq!(wanted("/bin/su", "setuid"), "4755");
    assert_eq!(wanted("/bin/both", "owner"), "1:2");
    assert_eq!(wanted("/dev/console", "char"), "5:1");
    assert_eq!(wanted("/dev/null-too", "char"), "1:3");
    assert_eq!(wanted("/bin/ping", "xattr"), "security.capability");
}

#[test]
fn it_is_said_in_a_few_lines_or_in_full() {
    let scratch = Scratch::new();
    let Some((out, outcome)) = unpack(&scratch, &[]) else { return };
    let said: Vec<&str> = outcome.stderr().lines().collect();
    assert!(said.len() == 5 && said.iter().all(|line| line.starts_with("ocibake: warning: ")), "{said:?}");
    let line = |words: &str| said.iter().any(|line| line.contains(words));
    assert!(line("owners not set: ") && line(": `/` (3:4), `/bin` (0:0), `/bin/both` (1:2) …"), "{said:?}");
    assert!(line("setuid and setgid not set, since the owner is another: 3: `/bin/both` (6711), "), "{said:?}");
    assert!(line("character devices left out: 4: `/dev/console` (5:1), "), "{said:?}");
    assert!(line("block devices left out: 2: `/dev/sda` (8:0), `/dev/sda17` (259:1)"), "{said:?}");
    assert!(line("attributes not set: ") && line("`/bin/ping` (security.capability), "), "{said:?}");

    // The user can remove it, including directories without permissions.
    let remove = ["sh", "-c", "chmod -R u+rwX \"$1\" && rm -r \"$1\"", "sh"];
    let mut words = unprivileged_words();
    words.extend(remove.map(str::to_owned));
    let status = std::process::Command::new(&words[0]).args(&words[1..]).arg(&out).status().unwrap();
    assert!(status.success());
    let Some((_, outcome)) = unpack(&scratch, &["-v"]) else { return };
    for line in ["ocibake: left out: /bin/su owner 0:0", "ocibake: left out: /bin/su setuid 4755"] {
        assert!(outcome.stderr().lines().any(|said| said == line), "no `{line}` in\n{}", outcome.stderr());
    }
}

/// Root with `--rootless` can set everything, and nothing is left out.
#[test]
fn root_leaves_nothing_out() {
    let scratch = Scratch::new();
    if !root() {
        return;
    }
    let rootfs = scratch.rootfs("rootfs", "everything");
    let _ = Tool::build(&rootfs).oci(&scratch.join("image")).run().digest_despite_warnings();
    let outcome = Tool::new("unpack").args(["oci:image", "out", "--rootless"]).within(scratch.path()).run();
    assert_eq!((outcome.stderr(), outcome.code()), ("", 0));
    assert_same(&list_directory(&rootfs), &list_directory(&scratch.join("out")), "root");
    assert_eq!(list_directory(&rootfs)[Path::new("bin/su")].mode, 0o4755);
}

/// Attributes that describe the build host are not set, not even by root.
#[test]
fn attributes_of_a_host_stay_there() {
    let scratch = Scratch::new();
    if !root() {
        return;
    }
    let rootfs = scratch.join("rootfs");
    let text = "d 0755 0:0 1 /\nd 0755 0:0 1 /d @trusted.overlay.opaque=79 @trusted.other=61\n";
    Fixture::parse(text).make(&rootfs, Order::AsListed);
    let _ = Tool::build(&rootfs).oci(&scratch.join("image")).args(["--xattrs", "trusted.*"]).bake();
    let report = Tool::new("unpack").args(["oci:image", "out", "--json"]).within(scratch.path()).run().json();
    let skipped = json!([{"path": "/d", "what": "host xattr", "wanted": "trusted.overlay.opaque"}]);
    assert_eq!(report["skipped"], skipped);
    let mut expected = list_directory(&rootfs);
    expected.get_mut(Path::new("d")).unwrap().xattrs.remove(&b"trusted.overlay.opaque"[..]);
    assert_same(&expected, &list_directory(&scratch.join("out")), "unpack");
}
