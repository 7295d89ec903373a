use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde_json::{json, Value};

use crate::harness::{
    bytes_of, is_missing, is_root, named, unprivileged_words, with, ByHand, FakeRoot, Faker, Fixture, Layout, Peer,
    Registry, Scratch, Storage, Tool, MANIFEST, NOBODY,
};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const REF_NAME: &str = "org.opencontainers.image.ref.name";

fn at(transport: &str, path: &Path, name: &str) -> String {
    format!("{transport}:{}{name}", path.display())
}

/// `index` with these arguments, run in the scratch directory.
fn index(scratch: &Scratch, words: &[&str]) -> Tool {
    Tool::new("index").args(words).within(scratch.path())
}

/// Builds of the small rootfs for three machines, one in a layout, one in an archive, one in a docker archive; returns
/// each image with the digest of its manifest in `oci`, which differs from that in a docker archive.
fn machines(scratch: &Scratch) -> [(String, String); 3] {
    let rootfs = scratch.small_rootfs();
    let build = |target: &str, flags: &[&str]| {
        let tool = Tool::new("build").arg(&rootfs).arg(target).args(["--owner", "0:0", "--created", "1"]);
        tool.args(flags).within(scratch.path()).bake()
    };
    let amd64 = build("oci:amd64:v1", &["--arch", "x86_64"]);
    let arm64 = build("oci-archive:arm64.tar.gz:v1", &["--arch", "aarch64"]);
    let arm = ["--arch", "arm", "--machine-overrides", "qemuarm:armv7a", "--tune-features", "arm vfp cortexa8"];
    let arm = build("docker-archive:arm.tar:app:v1", &arm);
    [
        ("oci:amd64:v1".to_owned(), amd64),
        ("oci-archive:arm64.tar.gz".to_owned(), arm64),
        ("docker-archive:arm.tar".to_owned(), arm),
    ]
}

/// The one entry of a layout's `index.json`, and the index that it leads to.
#[track_caller]
fn nested(layout: &Path) -> (Value, Value) {
    let entries = Layout::at(layout).index()["manifests"].as_array().unwrap().clone();
    assert_eq!(entries.len(), 1, "{entries:#?}");
    let document = serde_json::from_slice(&Layout::at(layout).blob(&entries[0])).unwrap();
    (entries[0].clone(), document)
}

/// The index that a name leads to.
fn named_index(layout: &Path, name: &str) -> Value {
    let entries = Layout::at(layout).index()["manifests"].clone();
    let is_named = |entry: &&Value| entry["annotations"][REF_NAME] == name;
    let entry = entries.as_array().unwrap().iter().find(is_named).unwrap_or_else(|| panic!("no {name} in {entries:#}"));
    serde_json::from_slice(&Layout::at(layout).blob(entry)).unwrap()
}

fn digests(index: &Value) -> Vec<&str> {
    index["manifests"].as_array().unwrap().iter().map(|entry| entry["digest"].as_str().unwrap()).collect()
}

/// No findings, not even notes.
#[track_caller]
fn assert_verified(image: &str, scratch: &Scratch) {
    let report = Tool::new("verify").arg(image).arg("--json").within(scratch.path()).run().json();
    assert_eq!(report["findings"], json!([]), "{report:#}");
}

#[test]
fn builds_of_several_machines_become_one_image() {
    let scratch = Scratch::new();
    let [amd64, arm64, arm] = machines(&scratch);
    let words = [amd64.0.as_str(), &arm64.0, &arm.0, "oci:out:v1"];
    let annotations = ["--annotation", ".version=1.0", "--descriptor-annotation", "linux/arm64:org.example.board=x y"];
    let digest = index(&scratch, &words).args(annotations).bake();

    let (entry, document) = nested(&scratch.join("out"));
    assert_eq!(entry["digest"], digest.as_str());
    assert_eq!((&entry["mediaType"], &entry["annotations"]), (&json!(INDEX), &json!({REF_NAME: "v1"})));
    let platform = |architecture: &str, variant: Option<&str>| match variant {
        Some(variant) => json!({"architecture": architecture, "os": "linux", "variant": variant}),
        None => json!({"architecture": architecture, "os": "linux"}),
    };
    let size = |position: usize| document["manifests"][position]["size"].clone();
    let expected = json!({
        "schemaVersion": 2, "mediaType": INDEX,
        "manifests": [
            {"mediaType": MANIFEST, "digest": amd64.1, "size": size(0), "platform": platform("amd64", None)},
            {
                "mediaType": MANIFEST, "digest": arm64.1, "size": size(1), "platform": platform("arm64", Some("v8")),
                "annotations": {"org.example.board": "x y"},
            },
            {"mediaType": MANIFEST, "digest": arm.1, "size": size(2), "platform": platform("arm", Some("v7"))},
        ],
        "annotations": {"org.opencontainers.image.version": "1.0"},
    });
    assert_eq!(document, expected);
    assert_verified("oci:out", &scratch);
    // Each image is unchanged, entry by entry.
    for (platform, image) in [("linux/amd64", "oci:amd64:v1"), ("linux/arm", "docker-archive:arm.tar")] {
        let one = Tool::new("convert").args(["oci:out:v1", "one.tar:v1", "--platform", platform]);
        let _ = one.within(scratch.path()).bake();
        let difference = Tool::new("diff").args([image, "one.tar"]).arg("--json").within(scratch.path()).run();
        let difference: Value = serde_json::from_str(&difference.printed()).unwrap();
        assert_eq!(difference["entries"], json!([]), "{difference:#}");
    }
}

#[test]
fn it_says_what_it_made() {
    let scratch = Scratch::new();
    let [amd64, arm64, _] = machines(&scratch);
    let report = index(&scratch, &[&amd64.0, &arm64.0, "oci:out", "--tag=v1", "--tag=latest", "--json"]).run().json();
    let (digest, refs) = (&Layout::at(&scratch.join("out")).refs()["v1"], json!(["v1", "latest"]));
    for (member, value) in [
        ("digest", json!(digest)),
        ("target", json!("oci:out")),
        ("refs", refs),
        ("warnings", json!([])),
        (
            "manifests",
            json!([
                {"digest": amd64.1, "media_type": MANIFEST, "platform": "linux/amd64", "from": "oci:amd64:v1"},
                {"digest": arm64.1, "media_type": MANIFEST, "platform": "linux/arm64/v8", "from": "oci-archive:arm64.tar.gz"},
            ]),
        ),
    ] {
        assert_eq!(report[member], value, "{member} in {report:#}");
    }
    let hows: BTreeSet<&str> =
        report["blobs"].as_array().unwrap().iter().map(|blob| blob["how"].as_str().unwrap()).collect();
    assert_eq!(hows, BTreeSet::from(["copied", "linked"]));
    let flat = index(&scratch, &[&amd64.0, &arm64.0, "oci:flat:v1", "--flat"]).run().stdout();
    assert_eq!(flat, format!("{} linux/amd64\n{} linux/arm64/v8\n", amd64.1, arm64.1));
}

/// Order matters, because readers take the first image that they can run. Nothing else does.
#[test]
fn the_index_depends_on_the_images_and_their_order_alone() {
    let scratch = Scratch::new();
    let [amd64, arm64, arm] = machines(&scratch);
    let made = |target: &str, threads: &str, mask: &str, words: &[&str]| {
        let umask = ["sh".to_owned(), "-c".to_owned(), format!("umask {mask}; exec \"$0\" \"$@\"")];
        index(&scratch, words).args([target, "--threads", threads]).env("TZ", "Asia/Tokyo").behind(umask).bake()
    };
    let words = [amd64.0.as_str(), &arm64.0, &arm.0];
    let one = made("oci:one:v1", "1", "022", &words);
    assert_eq!(made("oci:two:v1", "7", "077", &words), one);
    assert!(bytes_of(&scratch.join("one")) == bytes_of(&scratch.join("two")));
    for (ending, transport) in [("tar", "oci-archive"), ("tar.gz", "oci-archive"), ("docker.tar", "docker-archive")] {
        let archive = |name: &str| format!("{transport}:{name}.{ending}:app:v1");
        assert_eq!(made(&archive("one"), "1", "022", &words), one);
        assert_eq!(made(&archive("two"), "7", "077", &words), one);
        let read = |name: &str| fs::read(scratch.join(&format!("{name}.{ending}"))).unwrap();
        assert!(read("one") == read("two"), "{ending}");
        assert_verified(&format!("{transport}:one.{ending}"), &scratch);
    }
    // Adding images one by one gives the same index as all at once.
    for image in words {
        let _ = index(&scratch, &[image, "oci:grown:v1", "--add"]).bake();
    }
    assert_eq!(Layout::at(&scratch.join("grown")).refs()["v1"], one);
    // An index among the images stands for the images that it lists.
    let _ = index(&scratch, &[&amd64.0, &arm64.0, "oci:part:v1"]).bake();
    assert_eq!(made("oci:three:v1", "2", "022", &["oci:part:v1", &arm.0]), one);
    assert_ne!(made("oci:one:turned", "1", "022", &[&arm.0, &amd64.0, &arm64.0]), one);
}

#[test]
fn a_registry_takes_it_and_gives_it_back() {
    let scratch = Scratch::new();
    let Some(registry) = Registry::start(&scratch) else { return };
    let [amd64, arm64, arm] = machines(&scratch);
    let digest = index(&scratch, &[&amd64.0, &arm64.0, &arm.0, "oci:out:v1", "--annotation", "a=b"]).bake();
    for (number, target) in
        ["oci:out:v1", "oci-archive:a.tar:v1", "oci-archive:a.tar.zst:v1", "docker-archive:docker.tar:app:v1"]
            .into_iter()
            .enumerate()
    {
        if target != "oci:out:v1" {
            assert_eq!(index(&scratch, &["oci:out:v1", target, "--annotation", "a=b"]).bake(), digest);
        }
        // Readers of OCI archives find the index in a docker archive too.
        let (path, name) = target.split_once(':').unwrap().1.split_once(':').unwrap();
        let name = name.trim_start_matches("app:");
        let from = match target.strip_prefix("oci:") {
            Some(_) => at("oci", &scratch.join(path), ":v1"),
            None => at("oci-archive", &scratch.join(path), &format!(":{name}")),
        };
        let pushed = format!("team/app:{number}");
        registry.copy(&from, &registry.image(&pushed));
        assert_eq!(registry.digest(&pushed), digest, "{target}");
        let back = scratch.join(&format!("back-{number}"));
        registry.copy(&registry.image(&pushed), &at("oci", &back, ":v1"));
        assert_eq!(Layout::at(&back).refs()["v1"], digest, "{target}");
        assert_eq!(digests(&nested(&back).1), [&amd64.1, &arm64.1, &arm.1].map(String::as_str));
        assert_eq!(Tool::new("verify").arg(at("oci", &back, ":v1")).run().code(), 0);
        // And it can be indexed again, whatever other tools write.
        let again = index(&scratch, &[&at("oci", &back, ":v1"), "oci:again:v1", "--annotation", "a=b"]).bake();
        assert_eq!(again, digest);
    }
}

#[test]
fn consumers_choose_their_platform() {
    let scratch = Scratch::new();
    let [amd64, arm64, arm] = machines(&scratch);
    let _ = index(&scratch, &[&amd64.0, &arm64.0, &arm.0, "oci:out:v1"]).bake();
    let image = at("oci", &scratch.join("out"), ":v1");
    if let Some(skopeo) = Peer::find("skopeo") {
        for (arch, variant, (_, expected)) in [("amd64", "", &amd64), ("arm64", "v8", &arm64), ("arm", "v7", &arm)] {
            let target = scratch.join(&format!("skopeo-{arch}"));
            let choice = ["--insecure-policy", "--override-arch", arch, "--override-variant", variant];
            skopeo.run(choice.into_iter().chain(["copy", "-q", &image, &at("oci", &target, ":v1")]));
            assert_eq!(Layout::at(&target).refs()["v1"], *expected, "{arch}");
        }
    }
    let ids: BTreeMap<String, String> = ["amd64", "arm64", "arm"]
        .into_iter()
        .map(|arch| {
            let config = Tool::new("inspect").args(["oci:out:v1", "--raw", "config", "--platform"]);
            let config = config.arg(format!("linux/{arch}")).within(scratch.path()).run().stdout();
            (arch.to_owned(), crate::harness::sha256(config.as_bytes()))
        })
        .collect();
    for name in ["buildah", "podman"] {
        let Some(storage) = Storage::of(name, &scratch) else { continue };
        for (arch, id) in &ids {
            let pulled = storage.run(&["pull", "-q", "--arch", arch, &image]);
            assert!(pulled.ends_with(id.as_str()), "{name} {arch}: {pulled}");
        }
        // Its own list, of all that the index has.
        let list = format!("localhost/list-{name}");
        storage.run(&["manifest", "create", &list]);
        storage.run(&["manifest", "add", "--all", &list, &image]);
        let listed: Value = serde_json::from_str(&storage.run(&["manifest", "inspect", &list])).unwrap();
        assert_eq!(digests(&listed), [&amd64.1, &arm64.1, &arm.1].map(String::as_str), "{name}");
    }
}

#[test]
fn docker_archives_hold_it_for_readers_of_every_kind() {
    let scratch = Scratch::new();
    let [amd64, arm64, arm] = machines(&scratch);
    let words = [amd64.0.as_str(), &arm64.0, &arm.0, "docker-archive:all.tar:registry.example:5000/app:v1"];
    let digest = index(&scratch, &words).bake();
    assert_verified("docker-archive:all.tar", &scratch);
    assert_verified("oci-archive:all.tar", &scratch);
    // Docker's lists have all three images, and the first has the name; the layout in the archive has the index.
    let report =
        Tool::new("inspect").args(["oci-archive:all.tar", "--raw", "index"]).within(scratch.path()).run().json();
    assert_eq!(digests(&report), [&digest]);
    let listed = Tool::new("inspect").args(["docker-archive:all.tar", "--raw", "index"]).within(scratch.path());
    let listed = listed.run().json();
    let names: Vec<&Value> =
        listed["manifests"].as_array().unwrap().iter().map(|m| &m["annotations"][REF_NAME]).collect();
    assert_eq!(names, [&json!("registry.example:5000/app:v1"), &Value::Null, &Value::Null]);
    if let Some(podman) = Storage::of("podman", &scratch) {
        podman.run(&["load", "-q", "-i", "all.tar"]);
        let architecture =
            podman.run(&["image", "inspect", "--format", "{{.Architecture}}", "registry.example:5000/app:v1"]);
        assert_eq!(architecture, "amd64");
    }
}

#[test]
fn blobs_are_one_file_where_they_can_be_and_are_stored_once() {
    let (scratch, memory) = (Scratch::new(), Scratch::in_memory());
    let [amd64, ..] = machines(&scratch);
    let arm64 = Tool::new("build").args(["rootfs", "oci:arm64:v1", "--arch=aarch64", "--owner=0:0", "--created=1"]);
    let arm64 = arm64.within(scratch.path()).bake();
    let _ = index(&scratch, &[&amd64.0, "oci:arm64:v1", "oci:out:v1"]).bake();
    let (_, document) = nested(&scratch.join("out"));
    assert_eq!(digests(&document), [&amd64.1, &arm64]);
    let blobs = |layout: &Path| -> BTreeMap<String, u64> {
        let files = fs::read_dir(layout.join("blobs/sha256")).unwrap().map(Result::unwrap);
        files.map(|file| (file.file_name().into_string().unwrap(), file.metadata().unwrap().ino())).collect()
    };
    let (all, from_amd64, from_arm64) =
        (blobs(&scratch.join("out")), blobs(&scratch.join("amd64")), blobs(&scratch.join("arm64")));
    // One layer, two configs, two manifests, and the index, which only this layout has.
    assert_eq!(all.len(), 6);
    let linked = all
        .iter()
        .filter(|(digest, inode)| from_amd64.get(*digest) == Some(*inode) || from_arm64.get(*digest) == Some(*inode));
    assert_eq!(linked.count(), 5);
    // Within one layout only the index is new, and on another file system everything.
    let _ = index(&scratch, &["oci:out:v1", "oci:out:again", "--annotation", "a=b"]).bake();
    assert_eq!(blobs(&scratch.join("out")).len(), 7);
    assert!(all.iter().all(|(digest, inode)| blobs(&scratch.join("out"))[digest] == *inode));
    let far = at("oci", &memory.join("out"), ":v1");
    let report = index(&scratch, &[&amd64.0, "oci:arm64:v1", &far, "--json"]).run().json();
    assert!(report["blobs"].as_array().unwrap().iter().all(|blob| blob["how"] == "copied"), "{report:#}");
    assert_verified(&far, &scratch);
}

/// An index as other tools write it, named `v1` in `out`: images for three platforms, a `BuildKit` attestation of the
/// second, unknown members; and next to it artifacts of the images, and another image. Returns the images, the
/// attestation and the artifacts.
fn made_by_others(scratch: &Scratch) -> ([Value; 3], Value, Value) {
    let layout = ByHand::at(&scratch.join("out"));
    let images = [("amd64", None), ("arm64", Some("v8")), ("riscv64", None)]
        .map(|(arch, variant)| with(layout.platform(arch, variant), &json!({"org.example.more": [arch]})));
    let attestation = layout.image(&[], &json!({"architecture": "unknown", "os": "unknown"}));
    let attestation = with(
        attestation,
        &json!({
            "platform": {"architecture": "unknown", "os": "unknown"},
            "annotations": {"vnd.docker.reference.digest": images[1]["digest"]},
        }),
    );
    let [amd64, arm64, riscv64] = &images;
    let document = json!({
        "schemaVersion": 2, "mediaType": INDEX, "manifests": [amd64, arm64, attestation, riscv64],
        "annotations": {"org.example": "kept"}, "org.example.member": {"z": 1, "a": 2},
    });
    let attached = layout.artifact(arm64, "a bill of materials");
    let other = with(amd64.clone(), &json!({"annotations": {REF_NAME: "other", "org.example": "other"}}));
    layout.list(&[named(&layout.document(&document), "v1"), attached.clone(), other]);
    (images, attestation, attached)
}

/// As when the target was forgotten, and the last image is taken for it.
#[test]
fn an_image_that_would_be_lost_to_an_index_is_kept() {
    let scratch = Scratch::new();
    let [(amd64, _), ..] = machines(&scratch);
    let build =
        Tool::new("build").args(["rootfs", "oci:riscv:v1", "riscv.tar:v1", "--arch", "riscv64", "--owner", "0:0"]);
    let digest = build.within(scratch.path()).bake();
    let typed = |words: &[&str]| Tool::new(words[0]).args(&words[1..]).within(scratch.path()).run();
    let before = typed(&["ls", "oci:riscv", "--json"]).stdout();
    let archive = fs::read(scratch.join("riscv.tar")).unwrap();
    for (target, hint) in [
        ("oci:riscv:v1", "such as `oci:DIR:NAME`, or take `oci:riscv:v1` away first with `ocibake rm`"),
        ("oci-archive:riscv.tar:v1", "such as `oci-archive:FILE:NAME`, or remove the file `riscv.tar` first"),
        ("oci-archive:riscv.tar:v2", "such as `oci-archive:FILE:NAME`, or remove the file `riscv.tar` first"),
    ] {
        let error = index(&scratch, &[&amd64, target]).run().error();
        let told = format!("target `{target}` is the image {}, which the index does not list: it would", &digest[..19]);
        assert!(error.starts_with(&told) && error.contains(hint), "{error}");
    }
    assert_eq!(typed(&["ls", "oci:riscv", "--json"]).stdout(), before);
    assert!(fs::read(scratch.join("riscv.tar")).unwrap() == archive, "the archive changed");
    let _ = typed(&["verify", "oci:riscv"]).stdout();

    // Something else leads to it: another name, or another index.
    let told = format!("target `oci:riscv:v1` was the image {}, which the index does not list", &digest[..19]);
    let _ = index(&scratch, &["oci:riscv:v1", "oci:riscv:all"]).bake();
    assert!(index(&scratch, &[&amd64, "oci:riscv:v1"]).run().stderr().contains(&told));
    let _ = typed(&["tag", &format!("oci:riscv@{digest}"), "v1", "v2"]).digest_despite_warnings();
    let _ = typed(&["rm", "oci:riscv:all"]).stdout();
    assert!(index(&scratch, &[&amd64, "oci:riscv:v1"]).run().stderr().contains(&told));
    // An image that is listed, and an index that makes room for the next, lose nothing.
    for words in [
        &[&*amd64, "oci:riscv:v1"][..],
        &["oci:riscv:v2", "oci:riscv:v2"],
        &[&*amd64, "oci:amd64:v1"],
        &["riscv.tar", "riscv.tar"],
        &[&*amd64, "riscv.tar"],
    ] {
        let outcome = index(&scratch, words).run();
        assert_eq!((outcome.code(), outcome.stderr()), (0, ""), "{words:?}");
    }
}

#[test]
fn images_come_and_go_and_the_rest_stays() {
    let scratch = Scratch::new();
    let (images, attestation, attached) = made_by_others(&scratch);
    let [amd64, arm64, riscv64] = &images;
    let out = scratch.join("out");
    let before = Layout::at(&out).index();
    let others = |index: &Value| index["manifests"].as_array().unwrap()[1..].to_vec();

    let _ = index(&scratch, &["--remove", "linux/arm64", "oci:out:v1"]).bake();
    let document = named_index(&out, "v1");
    assert_eq!(document["manifests"], json!([amd64, riscv64]), "with what was attested of it");
    assert_eq!(
        (&document["annotations"], &document["org.example.member"]),
        (&json!({"org.example": "kept"}), &json!({"z": 1, "a": 2}))
    );
    assert_eq!(
        others(&Layout::at(&out).index()),
        others(&before),
        "with what is attached to an image that was taken out"
    );
    assert_verified("oci:out:other", &scratch);
    // It is still there, and can be added again.
    let bill = serde_json::from_slice::<Value>(&Layout::at(&out).blob(&attached)).unwrap();
    let _ = Layout::at(&out).blob(&with(arm64.clone(), &bill["subject"]));

    let layout = ByHand::at(&scratch.join("more"));
    let arm = layout.platform("arm", Some("v7"));
    layout.list(&[named(&arm, "v1")]);
    let added = index(&scratch, &["oci:more:v1", "oci:out:v1", "--add", "--annotation", "org.example.new=1"]).bake();
    let document = named_index(&out, "v1");
    assert_eq!(document["manifests"], json!([amd64, riscv64, arm]));
    assert_eq!(document["annotations"], json!({"org.example": "kept", "org.example.new": "1"}));
    // A second run changes nothing, not even the time of the file.
    let written = || fs::metadata(out.join("index.json")).map(|file| (file.ino(), file.mtime_nsec())).unwrap();
    let earlier = written();
    assert_eq!(index(&scratch, &["oci:more:v1", "oci:out:v1", "--add"]).bake(), added);
    assert_eq!(written(), earlier);

    // Another image for a platform in the index is refused, or with --replace takes the place of the old one.
    let newer = with(layout.image(&[], &json!({"architecture": "riscv64"})), &json!({"platform": riscv64["platform"]}));
    layout.list(&[named(&newer, "v2")]);
    let unchanged = bytes_of(scratch.path());
    let error = index(&scratch, &["oci:more:v2", "oci:out:v1", "--add"]).run().error();
    assert!(error.contains("two images for linux/riscv64") && error.contains("--replace"), "{error}");
    assert!(bytes_of(scratch.path()) == unchanged);
    let _ = index(&scratch, &["oci:more:v2", "oci:out:v1", "--add", "--replace"]).bake();
    assert_eq!(named_index(&out, "v1")["manifests"], json!([amd64, newer, arm]));
    let _ = index(&scratch, &["oci:more:v2", "oci:out:v1", "--add", "--remove", "linux/arm"]).bake();
    assert_eq!(named_index(&out, "v1")["manifests"], json!([amd64, newer]));
    assert_eq!(others(&Layout::at(&out).index()), others(&before));
    // The removed image is unreferenced, and `gc` removes it.
    let collected = Tool::new("gc").args(["oci:out", "--json"]).within(scratch.path()).run().json();
    let gone = |digest: &Value| collected.to_string().contains(digest.as_str().unwrap());
    assert!(gone(&arm["digest"]) && gone(&attestation["digest"]) && !gone(&arm64["digest"]), "{collected:#}");

    // A single image becomes an index when another is added.
    let _ = index(&scratch, &["oci:more:v2", "oci:out:other", "--add"]).bake();
    let bare = |image: &Value| with(image.clone(), &json!({"annotations": {"org.example": "other"}}));
    assert_eq!(named_index(&out, "other")["manifests"], json!([bare(amd64), newer]));
}

#[test]
fn archives_gain_and_lose_images_too() {
    let scratch = Scratch::new();
    let (images, ..) = made_by_others(&scratch);
    let [amd64, arm64, riscv64] = &images;
    let layout = ByHand::at(&scratch.join("more"));
    let arm = layout.platform("arm", Some("v7"));
    layout.list(&[named(&arm, "v1")]);
    for archive in ["a.tar", "a.tar.gz"] {
        let all = Tool::new("convert").args(["oci:out", archive]).within(scratch.path()).run();
        let _ = all.stdout();
        let target = format!("{archive}:v1");
        let _ = index(&scratch, &["oci:more", &target, "--add", "--remove", "linux/arm64"]).bake();
        // The archive as a layout, with everything in it.
        let held = scratch.join(&format!("from-{archive}"));
        let back = Tool::new("convert").args([archive.to_owned(), at("oci", &held, "")]).within(scratch.path()).run();
        let _ = back.stdout();
        assert_eq!(named_index(&held, "v1")["manifests"], json!([amd64, riscv64, arm]));
        let (mut before, mut after) = (Layout::at(&scratch.join("out")).index(), Layout::at(&held).index());
        for index in [&mut before, &mut after] {
            index["manifests"].as_array_mut().unwrap().remove(0);
        }
        assert_eq!(after["manifests"], before["manifests"]);
        assert!(bytes_of(&held).keys().any(|path| path.ends_with(&arm64["digest"].as_str().unwrap()[7..])));
    }
}

#[test]
fn what_is_attached_goes_along_and_what_stands_beside_it_does_not() {
    let scratch = Scratch::new();
    let layout = ByHand::at(&scratch.join("a"));
    let (amd64, beside) = (layout.platform("amd64", None), layout.platform("s390x", None));
    let bill = layout.artifact(&amd64, "bill of materials");
    let signature = layout.artifact(&bill, "signature of the bill");
    let other = layout.artifact(&beside, "of another");
    let referrers = layout.index(&[bill.clone()]);
    let tag = amd64["digest"].as_str().unwrap().replace(':', "-");
    layout.list(&[named(&amd64, "v1"), signature.clone(), bill.clone(), named(&referrers, &tag), other]);
    let second = ByHand::at(&scratch.join("b"));
    second.list(&[named(&second.platform("arm64", Some("v8")), "v1")]);

    let outcome = index(&scratch, &["oci:a", "oci:b", "oci:out:v1"]).run();
    let warning = "is about no image that is taken, and does not go along\n";
    assert!(outcome.stderr().ends_with(warning) && outcome.stderr().lines().count() == 1, "{}", outcome.stderr());
    let _ = outcome.digest_despite_warnings();
    let entries = Layout::at(&scratch.join("out")).index()["manifests"].clone();
    assert_eq!(entries.as_array().unwrap()[1..], [signature, bill, named(&referrers, &tag)]);
    assert_eq!(named_index(&scratch.join("out"), "v1")["manifests"][0], amd64);
    assert_eq!(Tool::new("verify").arg("oci:out").within(scratch.path()).run().code(), 0);
}

#[test]
fn a_flat_index_is_index_json_itself() {
    let scratch = Scratch::new();
    let [amd64, arm64, arm] = machines(&scratch);
    let words = [amd64.0.as_str(), &arm64.0, &arm.0, "--flat"];
    let _ = index(&scratch, &words).arg("oci:out").run().stdout();
    let listed = Layout::at(&scratch.join("out")).index();
    assert_eq!(digests(&listed), [&amd64.1, &arm64.1, &arm.1].map(String::as_str));
    assert!(listed["manifests"].as_array().unwrap().iter().all(|entry| entry["annotations"] == Value::Null));
    assert_eq!(listed["manifests"][1]["platform"]["variant"], "v8");
    assert_verified("oci:out", &scratch);
    let before = bytes_of(&scratch.join("out"));
    let _ = index(&scratch, &words).arg("oci:out").run().stdout();
    assert!(bytes_of(&scratch.join("out")) == before);

    // With a name, each image gets it followed by its platform. Other names stay.
    let _ = index(&scratch, &words).arg("oci:out:v1").run().stdout();
    let names = |expected: &[(&str, &str)]| {
        let refs = Layout::at(&scratch.join("out")).refs();
        let found: Vec<(&str, &str)> = refs.iter().map(|(name, digest)| (name.as_str(), digest.as_str())).collect();
        assert_eq!(found, expected);
    };
    let expected = [("v1-amd64", amd64.1.as_str()), ("v1-arm-v7", &arm.1), ("v1-arm64-v8", &arm64.1)];
    names(&expected);
    let _ = index(&scratch, &["oci:out:v1", "--flat", "--remove", "linux/arm"]).run().stdout();
    names(&[expected[0], expected[2]]);
    let _ = index(&scratch, &[&arm.0, "oci:out:v1", "--flat", "--add"]).run().stdout();
    names(&expected);
    assert_verified("oci:out", &scratch);
    if let Some(umoci) = Peer::find("umoci") {
        let shown = umoci.run(["stat", "--json", "--image", &format!("{}:v1-arm64-v8", scratch.join("out").display())]);
        assert!(shown.contains("history"), "{shown}");
    }
    // A flat index becomes a nested one, and the reverse.
    let _ = index(&scratch, &words[..3]).arg("oci:nested:v1").bake();
    let _ = index(&scratch, &["oci:nested:v1", "oci:again:v1", "--flat"]).run().stdout();
    let again = Layout::at(&scratch.join("again")).refs();
    assert_eq!(
        again.into_iter().map(|(name, digest)| format!("{name} {digest}")).collect::<Vec<_>>(),
        expected.map(|(name, digest)| format!("{name} {digest}"))
    );
    let nested_again = index(&scratch, &["oci:again", "oci:last:v1"]).bake();
    assert_eq!(nested_again, Layout::at(&scratch.join("nested")).refs()["v1"]);
}

/// An image is added together with its artifacts, and existing artifacts stay, both in an existing layout and in an
/// archive that is rewritten.
#[test]
fn what_is_attached_to_an_image_in_two_places_comes_together() {
    let scratch = Scratch::new();
    scratch.small_rootfs();
    let run = |words: &[&str]| Tool::new(words[0]).args(&words[1..]).within(scratch.path()).run();
    for place in ["a", "b"] {
        let _ = run(&["build", "rootfs", &format!("oci:{place}:v1"), "--arch", "amd64"]).digest();
        fs::write(scratch.join(place).with_extension("json"), format!("[\"{place}\"]")).unwrap();
        let words = ["attach", &format!("oci:{place}:v1"), &format!("{place}.json"), "--type", "application/json"];
        let _ = run(&words).digest();
    }
    for target in ["oci:all:v1", "oci-archive:all.tar:v1"] {
        for place in ["oci:a", "oci:b", "oci:a"] {
            let _ = index(&scratch, &[place, target, "--add"]).bake();
        }
        let layout = format!("oci:shown-{}", target.len());
        let _ = run(&["convert", target.strip_suffix(":v1").unwrap(), &layout]).stdout();
        let refs = Layout::at(&scratch.join(layout.strip_prefix("oci:").unwrap())).refs();
        let tags: Vec<&String> = refs.keys().filter(|name| name.starts_with("sha256-")).collect();
        assert_eq!(tags.len(), 1, "{target}: {refs:#?}");
        let list = named_index(&scratch.join(layout.strip_prefix("oci:").unwrap()), tags[0]);
        assert_eq!(list["manifests"].as_array().unwrap().len(), 2, "{target}: {list:#}");
    }
}

#[test]
fn many_that_add_at_once_lose_nothing() {
    let scratch = Scratch::new();
    let architectures = ["386", "amd64", "arm64", "mips64", "ppc64le", "riscv64", "s390x", "loong64"];
    let layout = ByHand::at(&scratch.join("all"));
    layout.list(&architectures.map(|architecture| named(&layout.platform(architecture, None), architecture)));
    let running: Vec<_> = architectures
        .iter()
        .map(|architecture| index(&scratch, &[&format!("oci:all:{architecture}"), "oci:out:v1", "--add"]).start())
        .collect();
    for running in running {
        let _ = running.wait().digest();
    }
    let document = named_index(&scratch.join("out"), "v1");
    let found: BTreeSet<&str> = document["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["platform"]["architecture"].as_str().unwrap())
        .collect();
    assert_eq!(found, BTreeSet::from(architectures));
    assert_verified("oci:out:v1", &scratch);
}

/// Images in a layout `made`, each named after what is wrong with it.
fn make_odd_images(scratch: &Scratch) {
    let layout = ByHand::at(&scratch.join("made"));
    let [amd64, v8, none, v3] = [("amd64", None), ("arm64", Some("v8")), ("arm64", None), ("amd64", Some("v3"))]
        .map(|(a, v)| layout.platform(a, v));
    let artifact = layout.artifact(&amd64, "no image");
    let contradicted = with(amd64.clone(), &json!({"platform": {"architecture": "arm64", "os": "linux"}}));
    let other_variant =
        with(v3.clone(), &json!({"platform": {"architecture": "amd64", "os": "linux", "variant": "v2"}}));
    let windows = |version: &str| {
        let config = json!({"os": "windows", "os.version": version, "os.features": ["win32k"]});
        layout.image(&[], &config)
    };
    let (old, new) = (windows("10.0.1"), windows("10.0.2"));
    let other_version =
        with(old.clone(), &json!({"platform": {"architecture": "amd64", "os": "windows", "os.version": "10.0.2"}}));
    let no_architecture = layout.image(&[], &json!({"architecture": ""}));
    let config = layout.blob(b"{\"os\":\"linux\"}", "application/vnd.oci.image.config.v1+json");
    let no_config =
        layout.document(&json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": []}));
    let absent = with(layout.platform("s390x", None), &json!({"digest": format!("sha256:{}", "0".repeat(64))}));
    layout.list(&[
        named(&amd64, "amd64"),
        named(&v8, "v8"),
        named(&none, "none"),
        named(&v3, "v3"),
        named(&artifact, "artifact"),
        named(&contradicted, "contradicted"),
        named(&layout.index(&[v8.clone(), contradicted]), "contradicted-within"),
        named(&other_variant, "other-variant"),
        named(&other_version, "other-version"),
        named(&layout.index(&[old.clone(), new]), "windows"),
        named(&no_architecture, "no-architecture"),
        named(&no_config, "no-config"),
        named(&layout.index(&[absent]), "absent"),
    ]);
}

#[test]
fn images_that_do_not_go_together_are_refused_in_a_line() {
    let scratch = Scratch::new();
    let _ = machines(&scratch);
    let same = Tool::new("build").args(["rootfs", "oci:same:v1", "--arch=amd64", "--created=7"]).within(scratch.path());
    let _ = same.bake();
    make_odd_images(&scratch);
    fs::write(scratch.join("no.tar"), "not a tar at all").unwrap();

    let before = bytes_of(scratch.path());
    for (words, expected) in [
        (
            &["oci:amd64:v1", "oci:same:v1", "oci:new"][..],
            &["two images for linux/amd64", "oci:amd64:v1", "oci:same:v1"][..],
        ),
        (&["oci:made:v8", "oci:made:none", "oci:new"], &["two images for linux/arm64"]),
        (&["oci:amd64:v1", "oci:amd64", "oci:new"], &["is given twice", "linux/amd64", "oci:amd64:v1"]),
        (
            &["oci:made:windows", "oci:made:other-version", "oci:new"],
            &["the index says", "10.0.2", "the config", "10.0.1"],
        ),
        (
            &["oci:made:contradicted", "oci:new"],
            &["the index says that it is for linux/arm64", "the config for linux/amd64"],
        ),
        (&["oci:made:contradicted-within", "oci:new"], &["linux/arm64", "linux/amd64"]),
        (&["oci:made:other-variant", "oci:new"], &["linux/amd64/v2", "linux/amd64/v3"]),
        (&["oci:made:no-architecture", "oci:new"], &["architecture"]),
        (&["oci:made:no-config", "oci:new"], &["rootfs"]),
        (&["oci:made:artifact", "oci:new"], &["an image is wanted, found an artifact, text/x-note"]),
        (&["oci:made:absent", "oci:new"], &["is missing"]),
        (&["oci:made:nobody", "oci:new"], &["no image of this name", "other-variant"]),
        (&["no.tar", "oci:new"], &["no.tar"]),
        (&["oci:missing", "oci:new"], &["missing"]),
        (&["oci:amd64:v1", "oci:rootfs"], &["found other files"]),
        (&["oci:amd64:v1", "oci:no/where"], &["its directory"]),
    ] {
        let error = index(&scratch, words).run().error();
        assert!(expected.iter().all(|word| error.contains(word)), "{words:?}: {error}");
        assert!(bytes_of(scratch.path()) == before, "{words:?}");
    }
}

#[test]
fn what_cannot_be_asked_for_is_refused_in_a_line() {
    let scratch = Scratch::new();
    let [_, arm64, _] = machines(&scratch);
    make_odd_images(&scratch);
    // Different versions are different platforms.
    let windows = index(&scratch, &["oci:made:windows", "oci:made:amd64", "oci:windows:v1"]).bake();
    assert_eq!(Layout::at(&scratch.join("windows")).refs()["v1"], windows);
    let listed = named_index(&scratch.join("windows"), "v1");
    assert_eq!(
        listed["manifests"][0]["platform"],
        json!({"architecture": "amd64", "os": "windows", "os.version": "10.0.1", "os.features": ["win32k"]})
    );
    let _ = index(&scratch, &["oci:made:amd64", "oci:made:v3", "oci:variants:v1"]).bake();
    let _ = index(&scratch, &["oci:amd64:v1", &arm64.0, "docker-archive:d.tar:app:v1"]).bake();

    let before = bytes_of(scratch.path());
    for (words, expected) in [
        (&["oci:amd64:v1"][..], &["is the target, and the images are missing"][..]),
        (&["oci:amd64:v1", "oci:new", "--remove", "linux/amd64"], &["no index of this name"]),
        (
            &["oci:windows:v1", "--remove", "linux/arm64"],
            &["no image for platform `linux/arm64`", "windows/amd64, version 10.0.1"],
        ),
        (&["oci:windows:v1", "--remove", "windows/amd64"], &["is wanted, found 2", "version 10.0.2"]),
        (&["oci:variants:v1", "--remove", "linux/amd64", "--remove", "linux/amd64/v3"], &["none would be left"]),
        (
            &["oci:amd64:v1", "oci:new", "--descriptor-annotation", "linux/arm64:a=b"],
            &["no image for platform `linux/arm64`"],
        ),
        (&["oci:amd64:v1", "oci:new", "--flat", "--annotation", "a=b"], &["no document of its own"]),
        (&["oci:amd64:v1", "docker-archive:new.tar:app:v1", "--flat"], &["holds no flat index"]),
        (&["oci:amd64:v1", "docker-archive:d.tar:app:v1", "--add"], &["not added to"]),
        (&["oci:amd64:v1", "docker-archive:new.tar:app:v1", "--docker-legacy-only"], &["knows no platforms"]),
        (&["oci:amd64:v1", "oci:new:a__b"], &["a__b"]),
        (&["oci:amd64:v1", "docker-archive:new.tar", "--tag", "v1"], &["has no name"]),
    ] {
        let error = index(&scratch, words).run().error();
        assert!(expected.iter().all(|word| error.contains(word)), "{words:?}: {error}");
        assert!(bytes_of(scratch.path()) == before, "{words:?}");
    }
    for (flag, value) in [
        ("--descriptor-annotation", "a=b"),
        ("--descriptor-annotation", "linux/amd64:org.opencontainers.image.ref.name=v1"),
        ("--annotation", "=b"),
        ("--replace", "oci:amd64:v1"),
    ] {
        let outcome = index(&scratch, &["oci:amd64:v1", "oci:new", flag, value]).run();
        assert_eq!(outcome.code(), 2, "{flag} {value}");
    }
    assert!(bytes_of(scratch.path()) == before);
}

#[test]
fn a_damaged_blob_is_found_where_it_is_copied() {
    let (scratch, memory) = (Scratch::new(), Scratch::in_memory());
    let [amd64, arm64, _] = machines(&scratch);
    let layer = Layout::at(&scratch.join("amd64")).image("v1").layer_path();
    let good = fs::read(&layer).unwrap();
    let _ = index(&scratch, &[&amd64.0, &arm64.0, "oci:old:v1"]).bake();
    fs::remove_file(&layer).unwrap();
    fs::write(&layer, [&good[..100], b"x", &good[101..]].concat()).unwrap();
    let before = bytes_of(scratch.path());
    // A blob is also read if a link would replace a good blob.
    for target in [at("oci", &memory.join("out"), ":v1"), "oci-archive:a.tar:v1".to_owned(), "oci:old:v1".to_owned()] {
        let error = index(&scratch, &[&amd64.0, &arm64.0, &target]).run().error();
        assert!(error.contains("should be") || error.contains("damaged"), "{target}: {error}");
    }
    // A truncated blob is detected at once.
    fs::write(&layer, &good[1..]).unwrap();
    let error = index(&scratch, &[&amd64.0, &arm64.0, "oci:new:v1"]).run().error();
    assert!(error.contains("size should be"), "{error}");
    fs::write(&layer, [&good[..100], b"x", &good[101..]].concat()).unwrap();
    assert!(bytes_of(scratch.path()) == before && is_missing(&memory.join("out")));
}

#[test]
fn docker_media_types_become_those_of_oci() {
    let scratch = Scratch::new();
    let Some(skopeo) = Peer::find("skopeo") else { return };
    let [amd64, arm64, _] = machines(&scratch);
    // As in a Docker registry.
    let layout = ByHand::at(&scratch.join("docker"));
    let directory = scratch.join("directory");
    let copy = ["--insecure-policy", "copy", "-q", "--format", "v2s2"];
    let from = at("oci", &scratch.join("amd64"), ":v1");
    skopeo.run(copy.iter().copied().chain([from.as_str(), &at("dir", &directory, "")]));
    let manifest: Value = serde_json::from_slice(&fs::read(directory.join("manifest.json")).unwrap()).unwrap();
    for blob in manifest["layers"].as_array().unwrap().iter().chain([&manifest["config"]]) {
        let hex = &blob["digest"].as_str().unwrap()["sha256:".len()..];
        layout.blob(&fs::read(directory.join(hex)).unwrap(), "");
    }
    layout.list(&[named(&layout.document(&manifest), "v1")]);
    let _ = index(&scratch, &["oci:docker:v1", &arm64.0, "oci:out:v1"]).bake();
    let (_, document) = nested(&scratch.join("out"));
    assert_eq!(digests(&document), [&amd64.1, &arm64.1]);
    assert_verified("oci:out", &scratch);
}

/// Files of other users may be readable but, if the kernel protects links, cannot be linked.
#[test]
fn an_ordinary_user_makes_the_same_index_of_others_files() {
    let scratch = Scratch::new();
    let [amd64, arm64, arm] = machines(&scratch);
    let expected = index(&scratch, &[&amd64.0, &arm64.0, &arm.0, "oci:out:v1"]).bake();
    let home = scratch.make_directory("home");
    if is_root() {
        std::os::unix::fs::chown(home, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    for target in ["oci:home/out:v1", "home/a.tar:v1"] {
        let tool = index(&scratch, &[&amd64.0, &arm64.0, &arm.0, target]);
        assert_eq!(tool.behind(unprivileged_words()).bake(), expected);
        assert_verified(target, &scratch);
    }
    if is_root() {
        let tool = index(&scratch, &[&amd64.0, "oci:out:v1", "--add"]);
        let error = tool.behind(unprivileged_words()).run().error();
        assert!(error.contains("Permission denied"), "{error}");
    }
}

#[test]
fn under_pseudo_it_is_the_same() {
    let scratch = Scratch::new();
    let Some(fake) = FakeRoot::new(Faker::Pseudo, &scratch) else { return };
    fake.script("rootfs", &Fixture::named("faked").script());
    let digests: Vec<String> = [("amd64", "oci:amd64:v1"), ("aarch64", "oci:arm64:v1"), ("riscv64", "riscv64.tar:v1")]
        .into_iter()
        .map(|(arch, target)| fake.tool(["build", "rootfs", target, "--arch", arch, "--created=1"]).digest())
        .collect();
    let digest = fake.tool(["index", "oci:amd64:v1", "oci:arm64:v1", "riscv64.tar", "oci:out:v1"]).digest();
    let listed = named_index(&fake.home().join("out"), "v1");
    assert_eq!(self::digests(&listed), digests);
    // All three have the same layer, two of them in a separate file.
    let layer = Layout::at(&fake.home().join("amd64")).image("v1").layers()[0].replace("sha256:", "blobs/sha256/");
    let [one, two, linked] =
        ["amd64", "arm64", "out"].map(|layout| fake.home().join(layout).join(&layer).metadata().unwrap().ino());
    assert!(linked == one || linked == two, "the layer was copied");
    // Removed and added again, at the end, and in an archive.
    let _ = fake.tool(["index", "--remove", "linux/riscv64", "oci:out:v1"]).digest();
    assert_eq!(fake.tool(["index", "riscv64.tar", "oci:out:v1", "--add"]).digest(), digest);
    assert_eq!(fake.tool(["index", "oci:out:v1", "all.tar.gz:v1"]).digest(), digest);
    fake.script("", b"set -e\nmv out moved; mv moved out; stat out/* out/blobs/sha256/* all.tar.gz");
    for image in ["oci:out", "all.tar.gz"] {
        assert_eq!(fake.tool(["verify", image]).code(), 0, "{image}");
    }
    assert_eq!(fake.log_of_trouble(), Vec::<String>::new());
}

/// A name that leads to no image for an index: what it leads to, and what to do.
#[test]
fn what_is_no_image_for_an_index_is_called_what_it_is() {
    let scratch = Scratch::new();
    let layout = ByHand::at(&scratch.join("l"));
    let unknown = json!({"architecture": "unknown", "os": "unknown"});
    let (image, nobodys) = (layout.platform("arm64", None), layout.image(&[], &unknown));
    let about =
        json!({"platform": unknown, "annotations": {"vnd.docker.reference.digest": image["digest"], REF_NAME: "a"}});
    let short = |descriptor: &Value| descriptor["digest"].as_str().unwrap()[..19].to_owned();
    for (descriptor, told) in [
        (
            named(&nobodys, "a"),
            format!(
                "image {} of `oci:l:a`: an index wants its platform, found unknown/unknown\n\
                 hint: say it first with `ocibake config`, --arch and --os",
                short(&nobodys)
            ),
        ),
        (
            with(layout.image(&[], &unknown), &about),
            format!(
                "image `oci:l:a`: an image is wanted, found an attestation of {}\n\
                 hint: give the image: its attestations go along",
                short(&image)
            ),
        ),
    ] {
        layout.list(&[descriptor, named(&image, "image")]);
        let error = index(&scratch, &["oci:l:a", "oci:out"]).run().error();
        assert!(error.ends_with(&told), "{error}");
    }
    layout.list(&[named(&nobodys, "a")]);
    Tool::new("config").args(["oci:l:a", "--arch", "arm64", "--os", "linux"]).within(scratch.path()).run().printed();
    index(&scratch, &["oci:l:a", "oci:out"]).run().printed();
}
