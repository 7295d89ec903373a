use std::fs::{self, FileTimes};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::json;

use crate::harness::{make_layout, root, Fixture, Order, Outcome, Peer, Scratch, Terminal, Tool};
use crate::verify::members::{directory, file, pax, Member};

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
    "~ /mode mode 0644 -> 0600, mtime 1970-01-01T00:00:01Z -> 1970-01-01T00:00:02Z",
    "+ /new (fifo)",
    "~ /target target a -> b",
    "~ /xattr xattr user.a 1 -> 2",
    "",
];

fn made(scratch: &Scratch, name: &str, text: &str) -> PathBuf {
    let path = scratch.join(name);
    let lines: Vec<&str> = text.lines().collect();
    // If a line is given twice, the last one counts.
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
    assert!(images[1].starts_with("to fetch: ") && images[1].ends_with(", 100.0%"), "{}", images[1]);
    assert_eq!(images[2..11], *entries);
    assert!(
        images[11..].iter().all(|line| line.contains("/layers/0/") || line.contains("/rootfs/diff_ids/0")),
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

/// A directory is compared as exactly as the image holds its times: whole seconds of what was built from one, fractions
/// of what others packed.
#[test]
fn times_are_compared_as_exactly_as_the_image_holds_them() {
    let scratch = Scratch::new();
    if !root() {
        return;
    }
    let at = |path: &Path, seconds: u64, nanoseconds: u32| {
        let time = SystemTime::UNIX_EPOCH + Duration::new(seconds, nanoseconds);
        let file = fs::File::open(path).unwrap();
        file.set_times(FileTimes::new().set_modified(time)).unwrap();
    };
    let members = [directory("./"), pax(&[("mtime", "1.9")]), file("f", "x")];
    let tar: Vec<u8> = members.iter().flat_map(Member::bytes).chain([0; 1024]).collect();
    make_layout(&scratch.join("exact"), &[tar]);
    let run = |words: &[&str]| Tool::new(words[0]).args(&words[1..]).within(scratch.path()).run();
    let _ = run(&["unpack", "oci:exact", "out"]).stdout();
    let f = scratch.join("out/f");
    for words in [["diff", "oci:exact", "out"], ["diff", "out", "oci:exact"]] {
        assert_eq!(lines(&run(&words), 0), ["the filesystems are equal"]);
    }
    at(&f, 1, 800_000_000);
    let expected = "~ /f mtime 1970-01-01T00:00:01.9Z -> 1970-01-01T00:00:01.8Z";
    assert_eq!(lines(&run(&["diff", "oci:exact", "out"]), 1)[1], expected);
    at(&f, 1, 0);
    let expected = "~ /f mtime 1970-01-01T00:00:01Z -> 1970-01-01T00:00:01.9Z";
    assert_eq!(lines(&run(&["diff", "out", "oci:exact"]), 1)[1], expected);

    // Built from a directory, it holds whole seconds.
    at(&f, 1, 700_000_000);
    let _ = Tool::build("out").arg("oci:whole").within(scratch.path()).bake();
    assert_eq!(lines(&run(&["diff", "oci:whole", "out"]), 0), ["the filesystems are equal"]);
    at(&f, 2, 700_000_000);
    let expected = "~ /f mtime 1970-01-01T00:00:01Z -> 1970-01-01T00:00:02.7Z";
    assert_eq!(lines(&run(&["diff", "oci:whole", "out"]), 1)[1], expected);
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

#[test]
fn how_much_differs() {
    let scratch = Scratch::new();
    let (old, new) = (made(&scratch, "old", OLD), made(&scratch, "new", NEW));
    let (a, b) = (scratch.join("a"), scratch.join("b"));
    let _ = Tool::build(&old).oci(&a).args(["--created", "1", "--label", "x=1"]).bake();
    let _ = Tool::build(&new).oci(&b).args(["--created", "1", "--label", "x=2"]).bake();
    let mut found = lines(&diff(&a, &b).arg("--summary").run(), 1);
    assert!(found.remove(1).starts_with("to fetch: "));
    assert_eq!(
        found,
        [
            "9 entries of the filesystem differ; the configuration differs",
            "entries: 1 added, 2 removed, 6 changed (content 1, hardlink 1, mode 2, mtime 1, target 2, type 1, xattr 1)",
            "members of documents: config 2, manifest 2",
        ]
    );
    assert_eq!(lines(&diff(&a, &a).arg("--summary").run(), 0), ["same manifest: the images are one"]);
    assert_eq!(lines(&diff(&old, &new).arg("--summary").run(), 1).len(), 2);

    let json = |args: &[&str]| -> serde_json::Value {
        serde_json::from_str(&diff(&a, &b).args(args).arg("--json").run().printed()).unwrap()
    };
    let (whole, summary) = (json(&[]), json(&["--summary"]));
    assert_eq!(whole["summary"]["added"], 1);
    assert_eq!(whole["summary"]["fields"]["mode"], 2);
    assert_eq!(whole["summary"]["documents"], json!({"config": 2, "manifest": 2}));
    assert_eq!(summary["summary"], whole["summary"]);
    assert!(summary.get("entries").is_none() && summary.get("documents").is_none(), "{summary:#}");
}

#[test]
fn quiet_is_quiet_and_answers() {
    let scratch = Scratch::new();
    let (old, new) = (made(&scratch, "old", OLD), made(&scratch, "new", NEW));
    for (other, code) in [(&old, 0), (&new, 1)] {
        for args in [&["-q"][..], &["-q", "--summary"]] {
            let outcome = diff(&old, other).args(args).run();
            assert_eq!((outcome.code(), outcome.printed().as_str(), outcome.stderr()), (code, "", ""));
        }
        assert!(diff(&old, other).args(["-q", "--json"]).run().printed().starts_with('{'));
    }
}

/// An image from a registry has lost its descriptor in index.json, which is not a difference of the image.
#[test]
fn what_an_index_says_otherwise_is_a_note() {
    let scratch = Scratch::new();
    let rootfs = made(&scratch, "rootfs", OLD);
    let out = scratch.join("out");
    let _ = Tool::build(&rootfs).target("oci", &out, "v1").bake();
    let back = scratch.join("back");
    let Some(skopeo) = Peer::find("skopeo") else { return };
    let place = |path: &Path| format!("oci:{}:v1", path.display());
    skopeo.run(["copy", "-q", &place(&out), &format!("dir:{}", scratch.join("registry").display())]);
    skopeo.run(["copy", "-q", &format!("dir:{}", scratch.join("registry").display()), &place(&back)]);
    // As skopeo writes it when it does not know the platform.
    let index = back.join("index.json");
    let mut document: serde_json::Value = serde_json::from_slice(&std::fs::read(&index).unwrap()).unwrap();
    document["manifests"][0].as_object_mut().unwrap().remove("platform");
    std::fs::write(&index, document.to_string()).unwrap();

    let found = lines(&diff(&out, &back).run(), 0);
    assert_eq!(found[0], "same manifest: the images are one");
    assert!(found[1].starts_with("note: - index /platform {"), "{found:?}");
    assert_eq!(found.len(), 2, "{found:?}");
    let report = diff(&back, &out).arg("--json").run();
    assert_eq!(report.code(), 0);
    let report: serde_json::Value = serde_json::from_str(&report.printed()).unwrap();
    assert_eq!((&report["same"], &report["documents"]), (&json!(true), &json!([])));
    assert_eq!(report["notes"][0]["member"], "/platform");
    // Nor does it hide differences.
    let changed = scratch.join("changed");
    let tool = Tool::new("build").arg(&rootfs).target("oci", &changed, "v1");
    let _ = tool.args(["--arch", "arm64", "--env", "A=1"]).bake();
    let found = lines(&diff(&back, &changed).run(), 1);
    assert_eq!(found[0], "same layers; the configuration differs");
    assert!(found.last().unwrap().starts_with("note: + index /platform"), "{found:?}");
}

#[test]
fn colour_is_for_terminals() {
    let scratch = Scratch::new();
    made(&scratch, "old", OLD);
    made(&scratch, "new", NEW);
    for (env, is_coloured) in [(&[][..], true), (&[("NO_COLOR", "1")], false), (&[("TERM", "dumb")], false)] {
        let terminal = Terminal { columns: 100, env, directory: scratch.path() };
        let Some(shown) = terminal.run(&["ocibake", "diff", "old", "new", "--progress", "none"]) else { return };
        for (code, line) in [(32, "+ /new (fifo)"), (31, "- /gone (file)"), (33, "~ /content content")] {
            let expected = if is_coloured { format!("\u{1b}[{code}m{line}\u{1b}[0m\n") } else { format!("\n{line}\n") };
            assert!(shown.contains(&expected), "{env:?} {expected:?}: {shown:?}");
        }
        assert_eq!(shown.contains('\u{1b}'), is_coloured, "{shown:?}");
    }
    assert!(!diff("old", "new").within(scratch.path()).run().printed().contains('\u{1b}'));
}

#[test]
fn what_takes_long_shows_progress() {
    let scratch = Scratch::new();
    let (old, new) = (made(&scratch, "old", OLD), made(&scratch, "new", NEW));
    let (a, b) = (scratch.join("a"), scratch.join("b"));
    let _ = Tool::build(&old).oci(&a).bake();
    let _ = Tool::build(&new).oci(&b).bake();
    for tool in [
        diff(&a, &b),
        diff(&a, &new),
        diff(&old, &new),
        Tool::new("inspect").arg(&a).arg("--files"),
        Tool::new("inspect").arg(&a).args(["--largest", "3"]),
    ] {
        let outcome = tool.args(["--progress", "percent"]).run();
        let percent: Vec<&str> = outcome.stderr().lines().collect();
        assert!(percent.first() == Some(&"0%") && percent.last() == Some(&"100%"), "{percent:?}");
    }
}

/// Names of any bytes are shown unambiguously, and programs get the exact bytes.
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
