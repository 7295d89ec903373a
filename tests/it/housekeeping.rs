use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::fs::{flock, FlockOperation};
use rustix::process::Signal;
use serde_json::{json, Value};

use crate::harness::{
    bytes_of, named, names_below, sha256, tar_of, unprivileged_words, until_it_writes, with, ByHand, Layout, Member,
    Peer, Scratch, Tool, MANIFEST,
};

fn oci(layout: &Path, name: &str) -> String {
    format!("oci:{}{name}", layout.display())
}

/// No findings, not even notes.
#[track_caller]
fn assert_verified(image: &str) {
    let verified = Tool::new("verify").arg(image).run();
    assert_eq!((verified.printed(), verified.code()), (String::new(), 0), "{image}");
}

/// Two images, `amd64` and `multi`, the second for two platforms in an index of its own that is nested twice.
fn layout_by_hand(path: &Path) -> ByHand {
    let layout = ByHand::at(path);
    let (amd64, arm) = (layout.platform("amd64", None), layout.platform("arm", Some("v7")));
    let inner = layout.index(&[amd64.clone(), arm]);
    layout.list(&[named(&amd64, "amd64"), named(&layout.index(&[inner]), "multi")]);
    layout
}

fn descriptor(layout: &Path, name: &str) -> Value {
    let index = Layout::at(layout).index();
    let is_called = |entry: &&Value| entry["annotations"]["org.opencontainers.image.ref.name"] == name;
    index["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .find(is_called)
        .unwrap_or_else(|| panic!("no {name}: {index:#}"))
        .clone()
}

#[test]
fn a_dry_run_of_rm_lists_and_changes_nothing() {
    let scratch = Scratch::new();
    scratch.small_rootfs();
    for target in ["oci:out:v1", "oci:out:v2", "oci-archive:out.tar:v1"] {
        let _ = Tool::build("rootfs").args([target, "--label", &format!("of={target}")]).within(scratch.path()).bake();
    }
    fs::write(scratch.join("note"), "x").unwrap();
    let attach = Tool::new("attach").args(["oci:out:v1", "note", "--type", "text/plain"]);
    let _ = attach.within(scratch.path()).run().stdout();
    let before = bytes_of(scratch.path());
    let run = |words: &[&str], more: &[&str]| Tool::new("rm").args(words).args(more).within(scratch.path()).run();
    for words in [&["oci:out", "--untagged"][..], &["out.tar:v1"], &["oci:out:v1"]] {
        let listed = run(words, &["--dry-run"]).stdout();
        let mut report = run(words, &["--dry-run", "--json"]).json();
        assert!(bytes_of(scratch.path()) == before, "{words:?} changed something");
        assert_eq!(report["dry_run"], true);
        assert_eq!(listed.lines().count(), report["removed"].as_array().unwrap().len());
        if words[0] == "oci:out:v1" {
            report["dry_run"] = false.into();
            assert_eq!(run(words, &["--json"]).json(), report, "what is removed is what was listed");
        }
    }
    let error = Tool::new("rm").args(["oci:out:v3", "--dry-run"]).within(scratch.path()).run().error();
    assert!(error.contains("no image of this name"), "{error}");
}

#[test]
fn names_are_added_and_move_and_nothing_else_changes() {
    let scratch = Scratch::new();
    let out = scratch.join("out");
    layout_by_hand(&out);
    let before = bytes_of(&out);
    let (amd64, multi) = (descriptor(&out, "amd64"), descriptor(&out, "multi"));

    let digest = Tool::new("tag").args([&oci(&out, ":multi"), "v1", "reg:5000/app:v1"]).bake();
    assert_eq!(multi["digest"], digest.as_str());
    let report = Tool::new("tag").args([&oci(&out, ":amd64"), "v1", "v2", "--json"]).run().json();
    assert_eq!(report, json!({"digest": amd64["digest"], "refs": ["v1", "v2"], "changed": true, "warnings": []}));

    let index = Layout::at(&out).index();
    let names: Vec<&Value> = index["manifests"].as_array().unwrap().iter().map(|entry| &entry["annotations"]).collect();
    let name = |text: &str| json!({"org.opencontainers.image.ref.name": text});
    assert_eq!(names, [&name("amd64"), &name("multi"), &name("v1"), &name("reg:5000/app:v1"), &name("v2")]);
    let unnamed = |mut entry: Value| {
        entry.as_object_mut().unwrap().remove("annotations");
        entry
    };
    for (alias, original) in [("v1", &amd64), ("v2", &amd64), ("reg:5000/app:v1", &multi)] {
        assert_eq!(unnamed(descriptor(&out, alias)), unnamed(original.clone()), "{alias}");
    }
    let after = bytes_of(&out);
    let blobs = |files: &std::collections::BTreeMap<_, _>| {
        let files: Vec<_> = files.clone().into_iter().filter(|(path, _)| path != Path::new("index.json")).collect();
        files
    };
    assert!(blobs(&before) == blobs(&after));
    assert_verified(&oci(&out, ""));

    // A second time changes nothing, and neither does the same image by another of its names.
    let report = Tool::new("tag").args([&oci(&out, ":v2"), "v1", "amd64", "--json"]).run().json();
    assert_eq!(report["changed"], false);
    assert!(bytes_of(&out) == after);

    if let (Some(umoci), Some(skopeo)) = (Peer::find("umoci"), Peer::find("skopeo")) {
        let listed = umoci.run(["list", "--layout", &out.display().to_string()]);
        assert_eq!(listed.lines().collect::<Vec<_>>(), ["amd64", "multi", "v1", "reg:5000/app:v1", "v2"]);
        let raw = skopeo.run(["inspect", "--raw", &oci(&out, ":reg:5000/app:v1")]);
        assert_eq!(multi["digest"], format!("sha256:{}", sha256(raw.as_bytes())));
    }
}

/// Whatever changes the layout, unknown members of `index.json` and of its entries are kept.
#[test]
fn the_index_keeps_what_it_does_not_concern() {
    let scratch = Scratch::new();
    let out = scratch.join("out");
    let layout = ByHand::at(&out);
    let odd = json!({"org.example": {"z": [1.5, null]}, "artifactType": "", "urls": ["http://a/b"]});
    let image = layout.platform("amd64", None);
    layout.list(&[named(&image, "v1"), with(named(&layout.platform("arm", None), "odd"), &odd)]);
    let mut index = Layout::at(&out).index();
    index["annotations"] = json!({"a": "b"});
    index["org.example"] = json!([{"z": 1}]);
    fs::write(out.join("index.json"), index.to_string()).unwrap();
    fs::write(scratch.join("note"), "x").unwrap();
    for words in [
        "tag oci:out:v1 v2",
        "config oci:out:v1 --user x",
        "attach oci:out:v1 note --type text/plain",
        "rm oci:out:v2",
        "gc oci:out",
    ] {
        let words: Vec<&str> = words.split(' ').collect();
        let _ = Tool::new(words[0]).args(&words[1..]).within(scratch.path()).run().stdout();
        let after = Layout::at(&out).index();
        for member in ["annotations", "org.example", "mediaType", "schemaVersion"] {
            assert_eq!(after[member], index[member], "{words:?}");
        }
        assert_eq!(descriptor(&out, "odd"), index["manifests"][1], "{words:?}");
    }
}

#[test]
fn the_marker_of_an_archive_is_copied_as_it_is() {
    let scratch = Scratch::new();
    let Some(tar) = Peer::find("tar") else { return };
    let out = scratch.join("out");
    layout_by_hand(&out);
    let marker = br#"{"org.example": 1, "imageLayoutVersion":"1.0.0"}"#;
    fs::write(out.join("oci-layout"), marker).unwrap();
    let archive = scratch.join("out.tar").display().to_string();
    tar.run(["-C", &out.display().to_string(), "-cf", &archive, "oci-layout", "index.json", "blobs"]);
    let _ = Tool::new("tag").args([&format!("oci-archive:{archive}:amd64"), "v1"]).bake();
    assert_eq!(tar.run(["-xOf", &archive, "oci-layout"]).as_bytes(), marker);
}

#[test]
fn the_name_that_containerd_knows_stays_with_its_ref_name() {
    let scratch = Scratch::new();
    let out = scratch.join("out");
    let layout = ByHand::at(&out);
    let annotations = json!({
        "org.opencontainers.image.ref.name": "v1", "io.containerd.image.name": "docker.io/library/app:v1", "a.b": "c",
    });
    layout.list(&[with(layout.platform("amd64", None), &json!({"annotations": annotations}))]);
    let _ = Tool::new("tag").args([&oci(&out, ":app:v1"), "v2", "v1"]).bake();
    assert_eq!(descriptor(&out, "v1")["annotations"], annotations);
    assert_eq!(descriptor(&out, "v2")["annotations"], json!({"org.opencontainers.image.ref.name": "v2", "a.b": "c"}));
}

#[test]
fn archives_are_written_anew_in_their_compression() {
    let scratch = Scratch::new();
    let rootfs = scratch.small_rootfs();
    for name in ["a.tar", "a.tar.gz", "a.tar.zst", "a.tar.xz", "any.name"] {
        let path = scratch.join(name);
        let place = format!("oci-archive:{}", path.display());
        let _ = Tool::build(&rootfs).arg(&place).bake();
        let kept = scratch.join("kept");
        let _ = fs::remove_file(&kept);
        fs::hard_link(&path, &kept).unwrap();
        let old = sha256(&fs::read(&path).unwrap());
        let start = fs::read(&path).unwrap()[..6].to_vec();

        let digest = Tool::new("tag").args([&place, "v2"]).bake();
        // As if it had been built with both names.
        let expected = scratch.join(&format!("expected-{name}"));
        let names = ["--tag", "latest", "--tag", "v2"];
        assert_eq!(Tool::build(&rootfs).archive(&expected).args(names).bake(), digest);
        assert!(fs::read(&expected).unwrap() == fs::read(&path).unwrap(), "{name}");
        assert_eq!(fs::read(&path).unwrap()[..6], start);
        assert_verified(&place);
        assert_eq!(sha256(&fs::read(&kept).unwrap()), old, "a hard link of a deployed archive changed");

        let inode = fs::metadata(&path).map(|metadata| std::os::unix::fs::MetadataExt::ino(&metadata)).unwrap();
        let _ = Tool::new("tag").args([&place, "v2"]).bake();
        assert_eq!(fs::metadata(&path).map(|metadata| std::os::unix::fs::MetadataExt::ino(&metadata)).unwrap(), inode);
    }
}

#[test]
fn what_cannot_be_named() {
    let scratch = Scratch::new();
    let (out, archive) = (scratch.join("out"), scratch.join("a.tar"));
    layout_by_hand(&out);
    ByHand::at(&scratch.join("empty")).list(&[]);
    let _ = Tool::build(scratch.small_rootfs()).archive(&archive).bake();
    fs::copy(&archive, scratch.join("b.tar.gz")).unwrap();
    if let Some(tar) = Peer::find("tar") {
        fs::copy(&archive, scratch.join("dual.tar")).unwrap();
        fs::write(scratch.join("manifest.json"), "[]").unwrap();
        let scratch = scratch.path().display().to_string();
        tar.run(["-C", &scratch, "-rf", &format!("{scratch}/dual.tar"), "manifest.json"]);
    }
    let before = bytes_of(scratch.path());
    for (image, name, words) in [
        ("oci:out:amd64", "-x", &["`-x`", "letters and digits"][..]),
        ("oci:out:amd64", "", &["letters and digits"]),
        ("oci:out:amd64", "oci:out:v3", &["a name within the target is wanted", "write `v3`"]),
        ("oci:out:amd64", "app@sha256:0123456789ab", &["found the digest `sha256:0123456789ab`"]),
        ("oci:out:v3", "x", &["no image of this name", "`amd64`, `multi`"]),
        ("oci:out", "x", &["one image is wanted, found 2", "`amd64`, `multi`"]),
        ("oci:empty", "x", &["the layout holds no image"]),
        ("oci:nothing", "x", &["nothing"]),
        ("oci:empty/blobs", "x", &["no image layout"]),
        ("docker-archive:a.tar", "x", &["docker archive"]),
        ("oci-archive:b.tar.gz", "x", &["b.tar.gz", "compression"]),
        ("oci-archive:dual.tar", "x", &["docker archives are read, not edited", "ocibake convert"]),
        ("oci:/dev/null", "x", &["/dev/null"]),
    ] {
        let error = Tool::new("tag").args([image, "--", name]).within(scratch.path()).run().error();
        for word in words {
            assert!(error.contains(word), "no `{word}` for {image} {name}: {error}");
        }
    }
    assert!(bytes_of(scratch.path()) == before);
}

/// Two images and an index of both, with something attached to one of the images, to the index and to what is attached.
fn layout_with_attached(out: &Path) -> ByHand {
    let layout = ByHand::at(out);
    let (amd64, arm) = (layout.platform("amd64", None), layout.platform("arm", Some("v7")));
    let multi = layout.index(&[amd64.clone(), arm.clone()]);
    let (bill, note) = (layout.artifact(&amd64, "bill"), layout.artifact(&multi, "note"));
    let signature = layout.artifact(&bill, "signature");
    let tag =
        |of: &Value, list: &[Value]| named(&layout.index(list), &of["digest"].as_str().unwrap().replace(':', "-"));
    let tags = [tag(&amd64, &[bill.clone()]), tag(&multi, &[note.clone()]), tag(&bill, &[signature.clone()])];
    let (amd64, multi) = ([named(&amd64, "amd64"), named(&amd64, "again")], named(&multi, "multi"));
    let entries: Vec<Value> = amd64.into_iter().chain([multi, bill, note, signature]).chain(tags).collect();
    layout.list(&entries);
    layout
}

/// The entries of `index.json`: their names, or the beginnings of their digests.
fn listed(out: &Path) -> Vec<String> {
    let index = Layout::at(out).index();
    let name = |entry: &Value| match entry["annotations"]["org.opencontainers.image.ref.name"].as_str() {
        Some(name) if name.starts_with("sha256-") => "(referrers)".to_owned(),
        Some(name) => name.to_owned(),
        None => "(no name)".to_owned(),
    };
    index["manifests"].as_array().unwrap().iter().map(name).collect()
}

#[test]
fn what_a_layout_lists_is_shown_once() {
    let scratch = Scratch::new();
    let out = scratch.join("out");
    layout_with_attached(&out);
    assert_verified(&oci(&out, ""));
    let shown = Tool::new("ls").arg(oci(&out, "")).run().stdout();
    let rows: Vec<Vec<&str>> = shown.lines().map(|line| line.split_whitespace().take(2).collect()).collect();
    let expected = [
        ["amd64", "linux/amd64"],
        ["attached", "text/x-note"],
        ["attached", "text/x-note"],
        ["again", "linux/amd64"],
        ["attached", "text/x-note"],
        ["attached", "text/x-note"],
        ["multi", "index"],
        ["listed", "linux/amd64"],
        ["attached", "text/x-note"],
        ["attached", "text/x-note"],
        ["listed", "linux/arm/v7"],
        ["attached", "text/x-note"],
    ];
    assert_eq!(rows, expected, "{shown}");
    let indents: Vec<usize> = shown.lines().map(|line| line.len() - line.trim_start().len()).collect();
    assert_eq!(indents, [0, 2, 4, 0, 2, 4, 0, 2, 4, 6, 2, 2], "{shown}");
    assert!(shown.lines().all(|line| line.split_whitespace().last().unwrap().starts_with("sha256:")), "{shown}");

    let all = Tool::new("ls").args([&oci(&out, ""), "--json"]).run().json();
    let amd64 = descriptor(&out, "amd64");
    let manifest: Value = serde_json::from_slice(&Layout::at(&out).blob(&amd64)).unwrap();
    let size: u64 =
        [&amd64, &manifest["config"], &manifest["layers"][0]].map(|blob| blob["size"].as_u64().unwrap()).iter().sum();
    let first = &all[0];
    for (member, expected) in [
        ("ref", json!("amd64")),
        ("digest", amd64["digest"].clone()),
        ("media_type", json!(MANIFEST)),
        ("artifact_type", Value::Null),
        ("platform", json!("linux/amd64")),
        ("size", json!(size)),
        ("manifests", json!([])),
    ] {
        assert_eq!(first[member], expected, "{member}");
    }
    assert_eq!(first["attached"][0]["artifact_type"], "text/x-note");
    assert_eq!(first["attached"][0]["attached"][0]["attached"], json!([]));
    assert_eq!(all[2]["manifests"].as_array().map(Vec::len), Some(2));
    // With a name, only that one.
    assert_eq!(Tool::new("ls").args([&oci(&out, ":multi"), "--json"]).run().json(), json!([all[2]]));
    let error = Tool::new("ls").arg(oci(&out, ":v3")).run().error();
    assert!(error.contains("no image of this name") && error.contains("`amd64`"), "{error}");

    // An archive is listed like the layout.
    let archive = format!("oci-archive:{}", scratch.join("a.tar").display());
    let _ = Tool::new("convert").args([&oci(&out, ""), &archive]).run().stdout();
    assert_eq!(Tool::new("ls").arg(&archive).run().stdout(), shown);
    // Missing documents are reported, and the rest is shown.
    fs::remove_file(blob(&out, &amd64)).unwrap();
    let shown = Tool::new("ls").arg(oci(&out, "")).run().stdout();
    assert!(shown.lines().any(|line| line.starts_with("amd64 ") && line.contains(" missing ")), "{shown}");
    assert!(shown.contains("linux/arm/v7"), "{shown}");
}

#[test]
fn what_stands_alone_is_listed_too() {
    let scratch = Scratch::new();
    let out = scratch.join("out");
    let layout = ByHand::at(&out);
    let lost = json!({"mediaType": MANIFEST, "digest": format!("sha256:{}", "7".repeat(64)), "size": 9});
    let orphan = layout.artifact(&lost, "about nothing here");
    let image = layout.image(&[tar_of(&[Member::File("a", "1")])], &json!({"variant": "v2"}));
    layout.list(&[image, orphan.clone(), named(&layout.index(&[orphan]), &format!("sha256-{}", "7".repeat(64)))]);
    let shown = Tool::new("ls").arg(oci(&out, "")).run().stdout();
    let rows: Vec<Vec<&str>> = shown.lines().map(|line| line.split_whitespace().take(3).collect()).collect();
    let tag = format!("sha256-{}", "7".repeat(64));
    let expected = [["(no", "name)", "linux/amd64/v2"], ["(no", "name)", "text/x-note"]];
    assert_eq!((&rows[..2], rows[2][0]), (&expected.map(Vec::from)[..], tag.as_str()), "{shown}");
    layout.list(&[]);
    assert_eq!(Tool::new("ls").arg(oci(&out, "")).run().stdout(), "");
    assert_eq!(Tool::new("ls").args([&oci(&out, ""), "--json"]).run().json(), json!([]));
}

#[test]
fn a_name_goes_and_with_the_last_what_is_attached() {
    let scratch = Scratch::new();
    let out = scratch.join("out");
    layout_with_attached(&out);
    let whole = bytes_of(&out);
    let rm = |name: &str| Tool::new("rm").arg(oci(&out, name)).run().stdout();
    let amd64 = descriptor(&out, "amd64")["digest"].as_str().unwrap().to_owned();

    assert_eq!(rm(":amd64"), format!("{amd64} amd64\n"));
    let rest = ["(no name)"; 3].into_iter().chain(["(referrers)"; 3]);
    assert_eq!(listed(&out), ["again", "multi"].into_iter().chain(rest).collect::<Vec<_>>());
    // The index still leads to both images, so what is attached to them stays.
    assert_eq!(rm(":again"), format!("{amd64} again\n"));
    assert_eq!(listed(&out).len(), 7);
    assert_verified(&oci(&out, ""));
    let report = Tool::new("rm").args([&oci(&out, ":multi"), "--json"]).run().json();
    let removed: Vec<&Value> = report["removed"].as_array().unwrap().iter().map(|entry| &entry["ref"]).collect();
    assert_eq!((removed.len(), removed[0], removed[1]), (7, &json!("multi"), &Value::Null));
    assert_eq!(report["removed"][1]["artifact_type"], "text/x-note");
    assert_eq!(listed(&out), Vec::<String>::new());
    // No blob is removed before `gc`.
    let now = bytes_of(&out);
    assert!(whole.iter().all(|(path, bytes)| path == Path::new("index.json") || now.get(path) == Some(bytes)));
    let _ = Tool::new("gc").arg(oci(&out, "")).run().stdout();
    assert_eq!(names_below(&out.join("blobs")), ["sha256/"]);

    // Only --untagged removes artifacts whose subject was never in the layout.
    let layout = layout_with_attached(&out);
    let lost = json!({"mediaType": MANIFEST, "digest": format!("sha256:{}", "7".repeat(64)), "size": 9});
    let mut entries = Layout::at(&out).index()["manifests"].as_array().unwrap().clone();
    entries.push(layout.artifact(&lost, "about nothing here"));
    entries.push(layout.platform("s390x", None));
    layout.list(&entries);
    let _ = rm(":multi");
    assert_eq!(listed(&out).iter().filter(|name| *name == "(no name)").count(), 4);
    let removed = Tool::new("rm").args([&oci(&out, ""), "--untagged"]).run().stdout();
    assert_eq!(removed.lines().count(), 2, "{removed}");
    assert_eq!(listed(&out), ["amd64", "again", "(no name)", "(no name)", "(referrers)", "(referrers)"]);
    assert_eq!(Tool::new("rm").args([&oci(&out, ""), "--untagged"]).run().stdout(), "");
    let _ = Tool::new("gc").arg(oci(&out, "")).run().stdout();
    assert_verified(&oci(&out, ""));
}

/// An artifact keeps the replaced manifest until the artifact is removed.
#[test]
fn what_is_attached_to_an_image_that_was_edited_goes_when_told() {
    let scratch = Scratch::new();
    let out = scratch.join("out");
    let _ = Tool::build(scratch.small_rootfs()).target("oci", &out, "v1").bake();
    let file = scratch.join("note");
    fs::write(&file, "x").unwrap();
    let files = names_below(&out).len();
    let _ = Tool::new("attach").args([&oci(&out, ":v1"), file.to_str().unwrap(), "--type", "text/plain"]).bake();
    let _ = Tool::new("config").args([&oci(&out, ":v1"), "--user", "x"]).run().stdout();
    assert_eq!(listed(&out), ["v1", "(no name)", "(referrers)"]);
    let removed = Tool::new("rm").args([&oci(&out, ""), "--untagged"]).run().stdout();
    assert_eq!((removed.lines().count(), listed(&out)), (2, vec!["v1".to_owned()]));
    let _ = Tool::new("gc").arg(oci(&out, "")).run().stdout();
    assert_eq!(names_below(&out).len(), files);
    assert_verified(&oci(&out, ""));
}

/// An index may be attached to an image that it lists; following the references must still end.
#[test]
fn what_is_attached_to_what_it_lists_ends_somewhere() {
    let scratch = Scratch::new();
    let out = scratch.join("out");
    let layout = ByHand::at(&out);
    let (image, other) = (layout.platform("arm", Some("v7")), layout.platform("amd64", None));
    let subject = json!({"mediaType": MANIFEST, "digest": image["digest"], "size": image["size"]});
    // Before and after it in the order of digests.
    let around: Vec<Value> = (0..8)
        .map(|number| {
            layout.document(&json!({
                "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [image],
                "subject": subject, "annotations": {"number": number.to_string()},
            }))
        })
        .collect();
    let is_behind = |index: &&Value| index["digest"].as_str() > image["digest"].as_str();
    assert!((1..8).contains(&around.iter().filter(is_behind).count()));
    let entries = [named(&image, "v1"), named(&other, "v2")];
    layout.list(&[&entries[..], &around].concat());
    assert_eq!(Tool::new("ls").arg(oci(&out, "")).start().wait().stdout().lines().count(), 1 + 8 * 2 + 1);
    assert_eq!(Tool::new("rm").arg(oci(&out, ":v2")).start().wait().stdout().lines().count(), 1);
    assert_eq!(Tool::new("rm").arg(oci(&out, ":v1")).start().wait().stdout().lines().count(), 1 + 8);
    assert_eq!(listed(&out), Vec::<String>::new());
}

#[test]
fn an_archive_loses_a_name_too() {
    let scratch = Scratch::new();
    let rootfs = scratch.small_rootfs();
    for name in ["a.tar", "a.tar.zst"] {
        let place = format!("oci-archive:{}", scratch.join(name).display());
        let digest = Tool::build(&rootfs).arg(&place).args(["--tag", "v1", "--tag", "v2"]).bake();
        assert_eq!(Tool::new("rm").arg(format!("{place}:v2")).run().stdout(), format!("{digest} v2\n"));
        let expected = scratch.join(&format!("expected-{name}"));
        let _ = Tool::build(&rootfs).archive(&expected).args(["--tag", "v1"]).bake();
        assert!(fs::read(&expected).unwrap() == fs::read(scratch.join(name)).unwrap(), "{name}");
    }
}

#[test]
fn what_cannot_be_removed() {
    let scratch = Scratch::new();
    let out = scratch.join("out");
    layout_by_hand(&out);
    let docker = format!("docker-archive:{}:app:v1", scratch.join("docker.tar").display());
    let _ = Tool::build(scratch.small_rootfs()).arg(docker).bake();
    let before = bytes_of(scratch.path());
    for (args, words) in [
        (&["oci:out"][..], &["the name of what should go is missing", "--untagged"][..]),
        (&["oci:out:v3"], &["no image of this name", "`amd64`, `multi`"]),
        (&["oci:out:amd64", "--untagged"], &["a whole layout is wanted", "leave `:amd64` out"]),
        (&["docker-archive:docker.tar:app:v1"], &["docker archives are read, not edited"]),
        (&["oci:missing:v1"], &["missing"]),
    ] {
        let error = Tool::new("rm").args(args).within(scratch.path()).run().error();
        for word in words {
            assert!(error.contains(word), "no `{word}` for {args:?}: {error}");
        }
    }
    assert!(bytes_of(scratch.path()) == before);
    // If a document is damaged, it is unknown what is attached to what, and only the name is removed.
    let multi = descriptor(&out, "multi");
    fs::write(blob(&out, &multi), "damaged").unwrap();
    assert_eq!(Tool::new("rm").arg("oci:out:amd64").within(scratch.path()).run().stdout().lines().count(), 1);
    assert_eq!(listed(&out), ["multi"]);
}

/// A layout with one of everything that must be kept, and the blobs that must go: their digests and sizes.
fn littered(path: &Path) -> Vec<Value> {
    let layout = ByHand::at(path);
    let (amd64, arm) = (layout.platform("amd64", None), layout.platform("arm", Some("v7")));
    let untagged = layout.image(&[tar_of(&[Member::File("a", "untagged")])], &json!({}));
    let nested = layout.index(&[layout.index(&[arm.clone()])]);
    let unlisted = layout.image(&[tar_of(&[Member::File("a", "a subject")])], &json!({}));
    // Obsolete kinds of documents, with descriptors and with bare digests.
    let (held, mentioned) = (layout.blob(b"held", "text/x-a"), layout.blob(b"mentioned", "text/x-b"));
    let unknown = json!({
        "mediaType": "application/vnd.example.unknown.v1+json", "blobs": [held], "subject": layout.artifact(&arm, "1"),
        "fsLayers": [{"blobSum": mentioned["digest"]}],
    });
    let sha512 = format!("sha512:{}", "0123456789abcdef".repeat(8));
    fs::create_dir_all(path.join("blobs/sha512")).unwrap();
    fs::write(path.join("blobs").join(sha512.replace(':', "/")), "seven b").unwrap();
    let foreign = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "config": layout.blob(b"{}", "application/vnd.example.config"),
        "layers": [
            {"mediaType": "text/x-c", "digest": sha512, "size": 7},
            {"mediaType": "text/x-d", "digest": format!("sha256:{}", "7".repeat(64)), "size": 1, "urls": ["http://a/b"]},
        ],
        "subject": {"mediaType": MANIFEST, "digest": format!("sha256:{}", "8".repeat(64)), "size": 1},
    });
    layout.list(&[
        named(&amd64, "v1"),
        named(&nested, "v2"),
        untagged,
        layout.artifact(&unlisted, "2"),
        layout.document(&unknown),
        layout.document(&foreign),
        layout.blob(b"no JSON", "text/x-e"),
    ]);

    let gone = layout.image(&[tar_of(&[Member::File("a", "gone")])], &json!({}));
    let manifest: Value = serde_json::from_slice(&Layout::at(path).blob(&gone)).unwrap();
    let blake3 = "blake3:abcDEF=_-";
    fs::create_dir_all(path.join("blobs/blake3")).unwrap();
    fs::write(path.join("blobs/blake3/abcDEF=_-"), "four").unwrap();
    vec![gone, manifest["config"].clone(), manifest["layers"][0].clone(), json!({"digest": blake3, "size": 4})]
}

#[test]
fn what_nothing_leads_to_goes_and_all_else_stays() {
    let scratch = Scratch::new();
    let out = scratch.join("out");
    let mut garbage = littered(&out);
    garbage.sort_by_key(|blob| blob["digest"].as_str().unwrap().to_owned());
    for other in ["README", "blobs/sha256/oci-put-blob1234", "blobs/note", "oci-put-blob123"] {
        fs::write(out.join(other), "somebody's").unwrap();
    }
    fs::create_dir_all(out.join(".umoci-123/sub")).unwrap();
    fs::create_dir_all(out.join(".ocibake-1-0/blobs")).unwrap();
    let before = bytes_of(&out);
    let bytes: u64 = garbage.iter().map(|blob| blob["size"].as_u64().unwrap()).sum();
    let freed: Vec<Value> =
        garbage.iter().map(|blob| json!({"digest": blob["digest"], "size": blob["size"]})).collect();
    let kept = names_below(&out.join("blobs")).iter().filter(|name| name.len() > 50).count() - (garbage.len() - 1);

    let gc = |args: &[&str]| Tool::new("gc").arg("oci:out").args(args).within(scratch.path()).run();
    let report = |dry_run: bool| {
        json!({
            "image": "oci:out", "dry_run": dry_run, "freed": freed, "bytes": bytes, "cleared": [".ocibake-1-0"],
            "kept": kept,
        })
    };
    assert_eq!(gc(&["--dry-run", "--json"]).json(), report(true));
    let lines: String = garbage
        .iter()
        .map(|blob| format!("{} {}\n", blob["digest"].as_str().unwrap(), blob["size"].as_u64().unwrap()))
        .collect();
    let outcome = gc(&["--dry-run"]);
    let summary = outcome.stderr().to_owned();
    assert_eq!(outcome.stdout(), lines);
    assert!(
        summary.starts_with("ocibake: oci:out: 4 blobs would be freed, ") && summary.lines().count() == 1,
        "{summary}"
    );
    assert!(bytes_of(&out) == before, "a dry run changed something");

    assert_eq!(gc(&["--json"]).json(), report(false));
    let mut expected = before;
    for blob in &garbage {
        expected.remove(&Path::new("blobs").join(blob["digest"].as_str().unwrap().replace(':', "/"))).unwrap();
    }
    expected.retain(|path, _| !path.starts_with(".ocibake-1-0"));
    assert!(bytes_of(&out) == expected);
    let outcome = gc(&[]);
    assert_eq!(outcome.stderr(), format!("ocibake: oci:out: 0 blobs freed, 0 B; {kept} blobs kept\n"));
    assert_eq!(outcome.stdout(), "");
    assert_eq!(gc(&["-q"]).stderr(), "");
    assert!(bytes_of(&out) == expected);
}

/// An error that comes while blobs are removed tells of no new target: what the layout lists stays as it was.
#[test]
fn a_blob_that_cannot_be_removed_makes_nothing_new() {
    let scratch = Scratch::new();
    let out = scratch.join("out");
    let _ = littered(&out);
    let blobs = out.join("blobs/sha256");
    let locked = |mode: u32| fs::set_permissions(&blobs, fs::Permissions::from_mode(mode)).unwrap();
    locked(0o555);
    let error = Tool::new("gc").arg("oci:out").behind(unprivileged_words()).within(scratch.path()).run().error();
    locked(0o755);
    assert!(error.contains("cannot remove a blob of `out`") && !error.contains("new:"), "{error}");
}

#[test]
fn an_archive_is_collected_too() {
    let scratch = Scratch::new();
    let Some(tar) = Peer::find("tar") else { return };
    let out = scratch.join("out");
    let garbage = littered(&out);
    let archive = scratch.join("out.tar");
    tar.run(["-C", &out.display().to_string(), "-cf", &archive.display().to_string(), "."]);
    let gc = || Tool::new("gc").args(["out.tar", "-v"]).within(scratch.path()).run().stdout();
    let said = gc();
    for blob in &garbage {
        assert!(said.contains(blob["digest"].as_str().unwrap()), "{said}");
    }
    let _ = Tool::new("gc").arg(oci(&out, "")).run().stdout();
    let extracted = scratch.make_directory("extracted");
    tar.run(["-C", &extracted.display().to_string(), "-xf", &archive.display().to_string()]);
    let mut expected = bytes_of(&out);
    // An empty directory is not in the archive.
    expected.remove(Path::new("blobs/blake3"));
    let index = |path: &Path| Layout::at(path).index();
    assert_eq!(index(&extracted), index(&out));
    let without_index = |mut files: std::collections::BTreeMap<std::path::PathBuf, _>| {
        files.remove(Path::new("index.json"));
        files
    };
    assert!(without_index(bytes_of(&extracted)) == without_index(expected));
    let inode =
        |path: &Path| fs::metadata(path).map(|metadata| std::os::unix::fs::MetadataExt::ino(&metadata)).unwrap();
    let before = inode(&archive);
    assert_eq!(gc(), "");
    assert_eq!(inode(&archive), before, "nothing to free, and yet it was written");
}

/// The damage, and how it is done to a layout.
type Damage<'a> = (&'a str, &'a dyn Fn(&Path));

/// If it cannot be known what is needed, nothing is removed.
#[test]
fn a_layout_that_is_damaged_loses_nothing() {
    let scratch = Scratch::new();
    let damage: [Damage; 6] = [
        ("a manifest is missing", &|out| fs::remove_file(blob(out, &descriptor(out, "v1"))).unwrap()),
        ("a layer is missing", &|out| fs::remove_file(Layout::at(out).image("v1").layer_path()).unwrap()),
        ("a nested index is missing", &|out| fs::remove_file(blob(out, &descriptor(out, "v2"))).unwrap()),
        ("a manifest is no JSON", &|out| {
            let entry = descriptor(out, "v1");
            let size = usize::try_from(entry["size"].as_u64().unwrap()).unwrap();
            fs::write(blob(out, &entry), "x".repeat(size)).unwrap();
        }),
        ("a manifest has no config", &|out| {
            list_also(out, &json!({"schemaVersion": 2, "mediaType": MANIFEST, "layers": []}));
        }),
        ("the index is no JSON", &|out| fs::write(out.join("index.json"), "{").unwrap()),
    ];
    for (number, (what, damage)) in damage.iter().enumerate() {
        let out = scratch.join(&number.to_string());
        littered(&out);
        damage(&out);
        let before = bytes_of(&out);
        for args in [&["--dry-run"][..], &[]] {
            let error = Tool::new("gc").arg(oci(&out, "")).args(args).run().error();
            assert!(error.contains(&number.to_string()), "{what}: {error}");
        }
        assert!(bytes_of(&out) == before, "{what}");
    }
    let out = scratch.join("whole");
    littered(&out);
    let error = Tool::new("gc").arg(oci(&out, ":v1")).run().error();
    assert!(error.contains("a whole layout is wanted") && error.contains("leave `:v1` out"), "{error}");
}

fn blob(layout: &Path, descriptor: &Value) -> std::path::PathBuf {
    layout.join("blobs").join(descriptor["digest"].as_str().unwrap().replace(':', "/"))
}

/// Adds a document to what `index.json` lists.
fn list_also(out: &Path, document: &Value) {
    let descriptor = ByHand::at(out).document(document);
    let mut index = Layout::at(out).index();
    index["manifests"].as_array_mut().unwrap().push(descriptor);
    fs::write(out.join("index.json"), index.to_string()).unwrap();
}

/// umoci names a blob before it lists it, and locks a directory meanwhile.
#[test]
fn while_umoci_writes_nothing_goes() {
    let scratch = Scratch::new();
    let out = scratch.join("out");
    let garbage = littered(&out);
    let theirs = out.join(".umoci-7");
    fs::create_dir(&theirs).unwrap();
    let before = bytes_of(&out);
    let lock = fs::File::open(&theirs).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    for args in [&["--dry-run"][..], &[]] {
        let error = Tool::new("gc").arg(oci(&out, "")).args(args).run().error();
        assert!(error.contains("umoci is writing in `.umoci-7`"), "{error}");
    }
    assert!(bytes_of(&out) == before);
    drop(lock);
    // A killed umoci leaves its directory, which only umoci clears.
    let freed = Tool::new("gc").arg(oci(&out, "")).arg("--json").run().json();
    assert_eq!(freed["freed"].as_array().map(Vec::len), Some(garbage.len()));
    assert!(theirs.is_dir());
}

/// The same with umoci itself, in the middle of a layer.
#[test]
fn while_umoci_itself_writes_nothing_goes() {
    let scratch = Scratch::new();
    let Some(umoci) = Peer::find("umoci") else { return };
    let out = scratch.join("out");
    let _ = Tool::build(scratch.small_rootfs()).target("oci", &out, "v1").bake();
    fs::File::create(scratch.join("endless")).and_then(|file| file.set_len(1 << 40)).unwrap();
    let image = format!("{}:v1", out.display());
    let mut command = umoci.command();
    command.args(["insert", "--image", &image]).arg(scratch.join("endless")).arg("/endless");
    let mut running = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let is_theirs = |name: &String| name.starts_with(".umoci-") && !name.ends_with('/');
    let start = Instant::now();
    while !names_below(&out).iter().any(is_theirs) {
        assert!(
            running.try_wait().unwrap().is_none() && start.elapsed() < Duration::from_secs(300),
            "umoci does not write"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    let before = names_below(&out);
    let error = Tool::new("gc").arg(oci(&out, "")).run().error();
    assert!(error.contains("umoci is writing in `.umoci-"), "{error}");
    assert_eq!(names_below(&out), before);
    running.kill().unwrap();
    running.wait().unwrap();
    assert_eq!(Tool::new("gc").args([&oci(&out, ""), "--json"]).run().json()["freed"], json!([]));
    assert!(names_below(&out).iter().any(is_theirs), "what umoci has left is umoci's to clear");
    umoci.run(["gc", "--layout", out.to_str().unwrap()]);
    assert_verified(&oci(&out, ""));
}

#[test]
fn what_another_run_is_writing_stays() {
    let scratch = Scratch::new();
    let (rootfs, out) = (scratch.small_rootfs(), scratch.join("out"));
    let _ = Tool::build(&rootfs).target("oci", &out, "v1").bake();
    let endless = scratch.rootfs("endless", "small");
    fs::File::create(endless.join("zeros")).and_then(|file| file.set_len(1 << 40)).unwrap();
    let mut running = Tool::build(&endless).target("oci", &out, "v2").start();
    until_it_writes(&mut running, &out);
    let freed = Tool::new("gc").arg(oci(&out, "")).arg("--json").run().json();
    assert_eq!((&freed["freed"], &freed["cleared"]), (&json!([]), &json!([])));
    assert!(!running.is_over() && names_below(&out).iter().any(|name| name.starts_with(".ocibake-")));

    running.signal(Signal::KILL);
    assert_eq!(running.wait().signal(), Some(9));
    let freed = Tool::new("gc").arg(oci(&out, "")).arg("--json").run().json();
    assert_eq!(freed["cleared"].as_array().map(Vec::len), Some(1));
    assert_eq!(names_below(&out).iter().filter(|name| name.starts_with(".ocibake-")).count(), 0);
    assert_verified(&oci(&out, ""));
}

/// Parallel builds, edits, tags and collections on one layout.
#[test]
fn many_at_once_lose_nothing() {
    let scratch = Scratch::new();
    let (rootfs, out) = (scratch.small_rootfs(), scratch.join("out"));
    let names = ["--tag", "first", "--tag", "edited", "--tag", "moving"];
    let _ = Tool::build(&rootfs).oci(&out).args(names).bake();
    for round in 0..3 {
        let name = |what: &str, number: usize| format!("{what}-{round}-{number}");
        let gone: Vec<String> = (0..4).map(|number| name("gone", number)).collect();
        let _ = Tool::new("tag").arg(oci(&out, ":first")).args(&gone).bake();
        let running: Vec<_> = (0..4)
            .flat_map(|number| {
                let label = format!("n={}", name("build", number));
                let build = Tool::build(&rootfs).target("oci", &out, &name("build", number)).args(["--label", &label]);
                // Moving the common name leaves blobs to collect.
                let moving = Tool::build(&rootfs).target("oci", &out, "moving").args(["--label", &label]);
                let tag = Tool::new("tag").args([oci(&out, ":first"), name("tag", number)]);
                // Edits on top of each other, and one under a new name, of the image that is called `moving` at that
                // time.
                let key = format!("{}=1", name("build", number));
                let edit = Tool::new("config").args([&oci(&out, ":edited"), "--label", &key]);
                let edit = edit.args(["--env", &format!("{}=1", name("N", number).replace('-', "_"))]);
                let beside = Tool::new("config").args([oci(&out, ":moving"), "--tag".into(), name("beside", number)]);
                let beside = beside.args(["--user", "x"]);
                let gc = Tool::new("gc").arg(oci(&out, ""));
                let rm = Tool::new("rm").arg(oci(&out, &format!(":{}", name("gone", number))));
                let read = Tool::new("inspect").arg(oci(&out, ":edited"));
                let ls = Tool::new("ls").arg(oci(&out, ""));
                [build, moving, tag, edit, beside, gc, rm, read, ls].map(Tool::start)
            })
            .collect();
        for running in running {
            let _ = running.wait().stdout();
        }
        let refs = Layout::at(&out).refs();
        for number in 0..4 {
            assert_eq!(refs[&name("tag", number)], refs["first"]);
            let image = Layout::at(&out).image(&name("build", number));
            assert_eq!(image.config["config"]["Labels"]["n"], name("build", number));
            assert_eq!(Layout::at(&out).image(&name("beside", number)).config["config"]["User"], "x");
        }
    }
    let _ = Tool::new("gc").arg(oci(&out, "")).run().stdout();
    assert_verified(&oci(&out, ""));
    assert_eq!(Layout::at(&out).refs().len(), 3 + 3 * 3 * 4);
    let edited = Layout::at(&out).image("edited").config;
    assert_eq!(edited["config"]["Labels"].as_object().map(serde_json::Map::len), Some(3 * 4), "{edited:#}");
    assert_eq!(edited["config"]["Env"].as_array().map(Vec::len), Some(3 * 4));
    assert_eq!(edited["history"].as_array().map(Vec::len), Some(1 + 3 * 4));
}
