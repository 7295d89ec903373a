use std::path::{Path, PathBuf};

use serde_json::json;

use crate::harness::{Fixture, Order, Outcome, Scratch, Tool};

const OLD: &str = "d 0755 - 1 /
    d 0755 - 1 /bin
    f 0755 - 1 /bin/sh text sh
    f 0644 - 1 /content text aa
    f 0644 - 1 /gone text x
    f 0644 - 1 /mode
    f 0644 - 1 /linked text x
    h - - - /linked2 /linked
    l 0777 - 1 /target a
    f 0644 - 1 /xattr @user.a=31";
const NEW: &str = "d 0755 - 1 /
    l 0777 - 1 /bin usr/bin
    f 0644 - 1 /content text bb
    f 0644 - 1 /mode
    f 0644 - 1 /linked text x
    f 0644 - 1 /linked2 text x
    f 0600 - 2 /mode
    p 0644 - 1 /new
    l 0777 - 1 /target b
    f 0644 - 1 /xattr @user.a=32";
const ENTRIES: [&str; 10] = [
    "~ /bin type directory -> symlink, target none -> usr/bin, mode 0755 -> 0777",
    "- /bin/sh (file)",
    "~ /content content",
    "- /gone (file)",
    "~ /linked2 hardlink /linked -> none",
    "~ /mode mode 0644 -> 0600, mtime 1 -> 2",
    "+ /new (fifo)",
    "~ /target target a -> b",
    "~ /xattr xattr user.a 1 -> 2",
    "",
];

fn made(scratch: &Scratch, name: &str, text: &str) -> PathBuf {
    let path = scratch.join(name);
    let lines: Vec<&str> = text.lines().collect();
    // Of a line that is given twice the last counts.
    let path_of = |line: &str| line.split_whitespace().nth(4).map(str::to_owned);
    let kept = lines
        .iter()
        .enumerate()
        .filter(|(number, line)| !lines[number + 1..].iter().any(|later| path_of(later) == path_of(line)));
    let text: String = kept.map(|(_, line)| format!("{line}\n")).collect();
    Fixture::parse(&text).make(&path, Order::AsListed);
    path
}

fn diff(old: impl AsRef<Path>, new: impl AsRef<Path>) -> Tool {
    Tool::new("diff").arg(old.as_ref()).arg(new.as_ref())
}

#[track_caller]
fn lines(outcome: &Outcome, code: i32) -> Vec<String> {
    assert_eq!(outcome.code(), code, "{}{}", outcome.printed(), outcome.stderr());
    outcome.printed().lines().map(str::to_owned).collect()
}

#[test]
fn entry_by_entry_and_field_by_field() {
    let scratch = Scratch::new();
    let (old, new) = (made(&scratch, "old", OLD), made(&scratch, "new", NEW));
    let (a, b) = (scratch.join("a"), scratch.join("b"));
    let _ = Tool::build(&old).oci(&a).args(["--created", "1"]).bake();
    let _ = Tool::build(&new).oci(&b).args(["--created", "1"]).bake();
    let entries = &ENTRIES[..9];

    let images = lines(&diff(&a, &b).run(), 1);
    assert_eq!(images[0], "9 entries of the filesystem differ");
    assert_eq!(images[1..10], *entries);
    assert!(
        images[10..].iter().all(|line| line.contains("/layers/0/") || line.contains("/rootfs/diff_ids/0")),
        "{images:#?}"
    );
    // An image and a rootfs in either place, and two rootfs.
    for (one, other) in [(&a, &new), (&old, &b), (&old, &new)] {
        let found = lines(&diff(one, other).run(), 1);
        assert_eq!(found[0], "9 entries of the filesystem differ");
        assert_eq!(found[1..], *entries);
    }
    for (one, other) in [(&a, &old), (&new, &b), (&old, &old)] {
        assert_eq!(lines(&diff(one, other).run(), 0), ["the filesystems are equal"]);
    }
    assert_eq!(lines(&diff(&a, &a).run(), 0), ["same manifest: the images are one"]);
}

#[test]
fn an_object_for_programs() {
    let scratch = Scratch::new();
    let (old, new) = (made(&scratch, "old", OLD), made(&scratch, "new", NEW));
    let outcome = diff(&old, &new).arg("--json").run();
    assert_eq!(outcome.code(), 1);
    let report: serde_json::Value = serde_json::from_str(&outcome.printed()).unwrap();
    assert_eq!(report["same"], false);
    assert_eq!(report["reason"], "9 entries of the filesystem differ");
    assert_eq!(report["documents"], json!([]));
    let entries = report["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 9);
    assert_eq!(entries[1], json!({"path": "/bin/sh", "change": "removed", "type": "file"}));
    assert_eq!(entries[2], json!({"path": "/content", "change": "changed", "fields": [{"field": "content"}]}));
    assert_eq!(
        entries[5]["fields"],
        json!([{"field": "mode", "from": "0644", "to": "0600"}, {"field": "mtime", "from": 1, "to": 2}])
    );
    assert_eq!(entries[6], json!({"path": "/new", "change": "added", "type": "fifo"}));

    let (a, b) = (scratch.join("a"), scratch.join("b"));
    let _ = Tool::build(&old).oci(&a).args(["--label", "x=1"]).bake();
    let _ = Tool::build(&old).oci(&b).args(["--label", "x=2", "--annotation", "k=v"]).bake();
    let report: serde_json::Value = serde_json::from_str(&diff(&a, &b).arg("--json").run().printed()).unwrap();
    assert_eq!(
        report["documents"],
        json!([
            {"document": "manifest", "member": "/annotations", "to": {"k": "v"}},
            {"document": "config", "member": "/config/Labels/x", "from": "1", "to": "2"},
        ])
    );
    assert_eq!(report["entries"], json!([]));
}

#[test]
fn the_reason_in_one_line() {
    let scratch = Scratch::new();
    let rootfs = made(&scratch, "rootfs", OLD);
    let base = |name: &str, args: &[&str]| {
        let path = scratch.join(name);
        let _ = Tool::build(&rootfs).oci(&path).args(args).bake();
        path
    };
    let one = base("one", &[]);
    for (name, args, reason) in [
        ("same", &[][..], "same manifest: the images are one"),
        ("zstd", &["--compression", "zstd"], "same diff_ids, other compression"),
        ("config", &["--env", "A=1"], "same layers; the configuration differs"),
        ("manifest", &["--annotation", "a=1"], "same layers; the manifest differs"),
        ("both", &["--env", "A=1", "--annotation", "a=1"], "same layers; the configuration and the manifest differ"),
        (
            "zstd-env",
            &["--compression", "none", "--env", "A=1"],
            "same diff_ids, other compression; the configuration differs",
        ),
    ] {
        let other = base(name, args);
        assert_eq!(lines(&diff(&one, &other).run(), i32::from(name != "same"))[0], reason, "{name}");
    }
    // The same tree in more layers.
    std::fs::write(rootfs.join("gone"), "y").unwrap();
    let on_it = scratch.join("on-it");
    let _ = Tool::new("build").arg(&rootfs).oci(&on_it).args(["--base", &format!("oci:{}", one.display())]).bake();
    let flat = base("flat", &[]);
    let found = lines(&diff(&flat, &on_it).run(), 1);
    assert!(
        found[0].starts_with("the filesystems are equal: the layers are cut, ordered or written otherwise"),
        "{found:?}"
    );
}

/// Names of any bytes are shown without doubt, and programs get them as they are.
#[test]
fn names_that_are_no_text() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let scratch = Scratch::new();
    let rootfs = scratch.small_rootfs();
    let out = scratch.join("out");
    let _ = Tool::build(&rootfs).oci(&out).args(["--owner", "0:0"]).bake();
    for name in [&b"it's"[..], b"back\\slash", b"caf\xe9", "größe".as_bytes()] {
        std::fs::write(rootfs.join(OsStr::from_bytes(name)), "text").unwrap();
    }
    std::os::unix::fs::symlink(OsStr::from_bytes(b"to \xff"), rootfs.join("link")).unwrap();
    let new = scratch.join("new");
    let _ = Tool::build(&rootfs).oci(&new).args(["--owner", "0:0"]).bake();

    let shown = diff(&out, &new).run().printed();
    for line in ["+ /back\\\\slash (file)", "+ /caf\\xe9 (file)", "+ /größe (file)", "+ /it's (file)"] {
        assert!(shown.lines().any(|found| found == line), "{line}: {shown}");
    }
    let report: serde_json::Value = serde_json::from_str(&diff(&out, &new).arg("--json").run().printed()).unwrap();
    let added = |path: &str| json!({"path": path, "change": "added", "type": "file"});
    for path in ["/back\\slash", "/größe", "/it's"] {
        assert!(report["entries"].as_array().unwrap().contains(&added(path)), "{path}: {report:#}");
    }
    let mut raw = added("/caf\\xe9");
    // The bytes `/caf\xe9`.
    raw["path_base64"] = "L2NhZuk=".into();
    assert!(report["entries"].as_array().unwrap().contains(&raw), "{report:#}");

    let files = Tool::new("inspect").arg(&new).args(["--files", "--largest", "99", "--json"]).run().json();
    let entry = |path: &str| files["files"].as_array().unwrap().iter().find(|entry| entry["path"] == path).unwrap();
    assert_eq!(entry("/caf\\xe9")["path_base64"], "L2NhZuk=");
    assert_eq!(entry("/link")["target"], "to \\xff");
    assert_eq!(entry("/link")["target_base64"], "dG8g/w==");
    assert!(entry("/it's").get("path_base64").is_none());
    let largest = files["largest"].as_array().unwrap();
    assert!(largest.contains(&json!({"path": "/caf\\xe9", "path_base64": "L2NhZuk=", "size": 4, "directory": false})));
    let shown = Tool::new("inspect").arg(&new).arg("--files").run().stdout();
    assert!(shown.contains("/link -> to \\xff\n") && shown.contains(" /caf\\xe9\n"), "{shown}");
}

#[test]
fn trouble_is_neither_yes_nor_no() {
    let scratch = Scratch::new();
    let rootfs = made(&scratch, "rootfs", OLD);
    let _ = diff(&rootfs, scratch.join("missing")).run().error();
    let _ = diff(scratch.join("missing"), &rootfs).run().error();
}
