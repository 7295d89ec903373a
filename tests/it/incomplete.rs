use std::fs;
use std::path::Path;

use serde_json::{json, Value};

use crate::harness::{is_missing, named, tar_of, with, ByHand, Layout, Member, Outcome, Scratch, Tool, MANIFEST};

const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

fn digest(descriptor: &Value) -> &str {
    descriptor["digest"].as_str().unwrap()
}

fn run(scratch: &Scratch, words: &[&str]) -> Outcome {
    Tool::new(words[0]).args(&words[1..]).within(scratch.path()).run()
}

/// What a run that succeeds says.
#[track_caller]
fn told(scratch: &Scratch, words: &[&str]) -> String {
    let outcome = run(scratch, words);
    assert_eq!(outcome.code(), 0, "{words:?}: {}", outcome.stderr());
    outcome.stderr().to_owned()
}

/// The rules of all findings, or of the errors.
fn rules(scratch: &Scratch, image: &str, errors_only: bool) -> Vec<String> {
    let report: Value = serde_json::from_str(&run(scratch, &["verify", image, "--json"]).printed()).unwrap();
    let findings = report["findings"].as_array().unwrap().iter();
    let meant = findings.filter(|finding| !errors_only || finding["severity"] == "error");
    meant.map(|finding| finding["rule"].as_str().unwrap().to_owned()).collect()
}

fn remove_blob(layout: &Path, descriptor: &Value) {
    fs::remove_file(layout.join("blobs").join(digest(descriptor).replace(':', "/"))).unwrap();
}

/// `v1` for two platforms, of which the second was not copied, as far as `gone` says: its manifest, its config.
fn partial(scratch: &Scratch, gone: &[&str]) -> [Value; 2] {
    let path = scratch.join("L");
    let _ = fs::remove_dir_all(&path);
    let layout = ByHand::at(&path);
    let images = ["amd64", "riscv64"].map(|architecture| layout.platform(architecture, None));
    layout.list(&[named(&layout.index(&images), "v1")]);
    let manifest: Value = serde_json::from_slice(&Layout::at(&path).blob(&images[1])).unwrap();
    for what in gone {
        remove_blob(&path, if *what == "manifest" { &images[1] } else { &manifest["config"] });
    }
    images
}

fn listed_in_index(scratch: &Scratch) -> Vec<Value> {
    let layout = Layout::at(&scratch.join("L"));
    let entry = layout.index()["manifests"][0].clone();
    let index: Value = serde_json::from_slice(&layout.blob(&entry)).unwrap();
    index["manifests"].as_array().unwrap().clone()
}

#[test]
fn what_was_not_copied_can_be_taken_out_of_an_index() {
    let scratch = Scratch::new();
    for gone in [&["manifest"][..], &["config"], &["manifest", "config"]] {
        for by_digest in [false, true] {
            let images = partial(&scratch, gone);
            let meant = if by_digest { digest(&images[1]) } else { "linux/riscv64" };
            assert_eq!(told(&scratch, &["index", "oci:L:v1", "--remove", meant]), "", "{gone:?}");
            assert_eq!(listed_in_index(&scratch), [images[0].clone()]);
            assert_eq!(rules(&scratch, "oci:L:v1", true), [""; 0]);
        }
    }
    // What is there is not taken out of an index that then leads to nothing.
    let images = partial(&scratch, &["manifest", "config"]);
    let error = run(&scratch, &["index", "oci:L:v1", "--remove", "linux/amd64"]).error();
    assert!(error.contains("an image is wanted, and none would be left in it"), "{error}");
    let error = run(&scratch, &["index", "oci:L:v1", "--remove", "linux/s390x"]).error();
    assert!(error.contains("there is linux/amd64, linux/riscv64"), "{error}");
    assert_eq!(listed_in_index(&scratch), images);
}

/// What an index lists and the layout does not hold stays listed when something is added, and can come later.
#[test]
fn what_was_not_copied_stays_listed() {
    let scratch = Scratch::new();
    let [amd64, riscv64] = partial(&scratch, &["manifest", "config"]);
    let more = ByHand::at(&scratch.join("more"));
    let (arm64, same, other) = (
        more.platform("arm64", Some("v8")),
        more.platform("riscv64", None),
        with(more.image(&[], &json!({"architecture": "riscv64"})), &json!({"platform": riscv64["platform"]})),
    );
    assert_eq!(same["digest"], riscv64["digest"]);
    more.list(&[named(&arm64, "arm64"), named(&same, "same"), named(&other, "other")]);
    let _ = told(&scratch, &["index", "oci:more:arm64", "oci:L:v1", "--add"]);
    assert_eq!(listed_in_index(&scratch), [amd64.clone(), riscv64.clone(), arm64.clone()]);
    assert_eq!(rules(&scratch, "oci:L:v1", false), ["platform-missing"]);
    let error = run(&scratch, &["index", "oci:more:other", "oci:L:v1", "--add"]).error();
    assert!(error.contains("two images for linux/riscv64") && error.contains("--replace"), "{error}");
    let _ = told(&scratch, &["index", "oci:more:same", "oci:L:v1", "--add"]);
    assert_eq!(listed_in_index(&scratch), [amd64.clone(), riscv64, arm64.clone()]);
    assert_eq!(rules(&scratch, "oci:L:v1", false), [""; 0]);
    // Now that it is there, the others may go.
    let _ = told(&scratch, &["index", "oci:L:v1", "--remove", "linux/amd64", "--remove", "linux/arm64"]);
    assert_eq!(listed_in_index(&scratch).len(), 1);
}

#[test]
fn an_edit_of_all_platforms_says_which_are_not_there() {
    let scratch = Scratch::new();
    let images = partial(&scratch, &["manifest", "config"]);
    let said = told(&scratch, &["config", "oci:L:v1", "--all-platforms", "--label", "a=b"]);
    let line = format!(
        "ocibake: warning: image {} for linux/riscv64 is not in `oci:L`, and stays as it is\n",
        &digest(&images[1])[..19]
    );
    assert_eq!(said, line);
    assert_eq!(listed_in_index(&scratch)[1], images[1]);
    partial(&scratch, &[]);
    assert_eq!(told(&scratch, &["config", "oci:L:v1", "--all-platforms", "--label", "a=b"]), "");
}

/// An image of which nothing says what it runs on, in a layout and as a docker archive.
fn nameless(scratch: &Scratch) -> [&'static str; 2] {
    let layout = ByHand::at(&scratch.join("V"));
    let tar = tar_of(&[Member::File("f", "x")]);
    let layer = layout.blob(&tar, "application/vnd.oci.image.layer.v1.tar");
    let config = json!({"rootfs": {"type": "layers", "diff_ids": [layer["digest"]]}}).to_string();
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "config": layout.blob(config.as_bytes(), CONFIG), "layers": [layer],
    });
    layout.list(&[named(&layout.document(&manifest), "v1")]);
    let mut archive = tar::Builder::new(fs::File::create(scratch.join("V.tar")).unwrap());
    let items = json!([{"Config": "c.json", "RepoTags": ["app:v1"], "Layers": ["l.tar"]}]).to_string();
    for (name, bytes) in [("c.json", config.as_bytes()), ("l.tar", &tar), ("manifest.json", items.as_bytes())] {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, bytes).unwrap();
    }
    archive.finish().unwrap();
    ["oci:V:v1", "docker-archive:V.tar"]
}

/// It is read by every verb; to be written, it has to be told what it runs on.
#[test]
fn an_image_without_a_platform_is_read_and_gets_one_when_it_is_written() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.join("rootfs")).unwrap();
    fs::write(scratch.join("rootfs/new"), "x").unwrap();
    for image in nameless(&scratch) {
        for words in [&["ls", image][..], &["inspect", image]] {
            let shown = run(&scratch, words).stdout();
            assert!(shown.contains("(no platform)"), "{shown}");
        }
        let _ = told(&scratch, &["unpack", image, "tree", "--rootless"]);
        fs::remove_dir_all(scratch.join("tree")).unwrap();
        let _ = told(&scratch, &["diff", image, image]);
        for (verb, target) in [
            ("convert", "oci:out:v1"),
            ("convert", "oci-archive:out.tar:v1"),
            ("convert", "docker-archive:out.tar:x:1"),
            ("squash", "oci:out:v1"),
            ("index", "oci:out:v1"),
        ] {
            let error = run(&scratch, &[verb, image, target]).error();
            assert!(error.contains("says which architecture and system it is for"), "{error}");
            assert!(error.contains("--platform") || verb == "index", "{error}");
            // A docker archive is not edited.
            let hint = match (verb, image) {
                ("index", "docker-archive:V.tar") => "`ocibake convert` and --platform",
                _ => "`ocibake config`, --arch and --os",
            };
            assert!(error.contains(hint), "{error}");
            assert!(is_missing(&scratch.join("out")) && is_missing(&scratch.join("out.tar")), "{verb}");
        }
        for (verb, target) in
            [("convert", "oci:out:v1"), ("convert", "docker-archive:out.tar:x:1"), ("squash", "oci:out:v1")]
        {
            let said = told(&scratch, &[verb, image, target, "--platform", "aarch64"]);
            assert!(said.contains("the config named no platform, and is for linux/arm64"), "{said}");
            assert_eq!(rules(&scratch, target, true), [""; 0], "{verb} {image}");
            let platform = run(&scratch, &["inspect", target, "--json"]).json()["platform"].clone();
            assert_eq!(platform, "linux/arm64", "{verb} {image}");
        }
        let built = told(&scratch, &["build", "rootfs", "oci:out:built", "--base", image, "--arch", "arm64", "-q"]);
        assert_eq!(built, "");
        assert_eq!(rules(&scratch, "oci:out", true), [""; 0]);
        // As it is, on request.
        let said = told(&scratch, &["convert", image, "oci:same", "--preserve-digests"]);
        assert!(said.contains("nothing says which architecture"), "{said}");
        for name in ["out", "same"] {
            fs::remove_dir_all(scratch.join(name)).unwrap();
        }
        fs::remove_file(scratch.join("out.tar")).unwrap();
    }
    // What the hint says, as it says it.
    let error = run(&scratch, &["config", "oci:V:v1", "--label", "a=b"]).error();
    assert!(error.contains("`ocibake config`, --arch and --os"), "{error}");
    let _ = told(&scratch, &["config", "oci:V:v1", "--arch", "amd64", "--os", "linux"]);
    for words in [&["convert", "oci:V:v1", "oci:out"][..], &["index", "oci:V:v1", "oci:out:v2"]] {
        assert_eq!(told(&scratch, words), "");
    }
    assert_eq!(rules(&scratch, "oci:out", true), [""; 0]);
    // One that says something else is not taken for it.
    let error = run(&scratch, &["convert", "oci:V:v1", "oci:none", "--platform", "arm64"]).error();
    assert!(error.contains("no image for platform"), "{error}");
}

/// A platform that an image gets is checked like one that is set, and has no variant of another architecture.
#[test]
fn a_platform_that_an_image_gets_is_one() {
    let scratch = Scratch::new();
    for image in nameless(&scratch) {
        for (verb, words) in
            [("convert", &["oci:out:v1"][..]), ("squash", &["oci:out:v1"]), ("config", &["--label", "a=b"])]
        {
            if (verb, image) == ("config", "docker-archive:V.tar") {
                continue;
            }
            let asked = |platform| run(&scratch, &[&[verb, image], words, &["--platform", platform]].concat());
            for (platform, message) in [
                ("linux/amd46", "architecture `amd46` is not known\nhint: did you mean `amd64`"),
                ("linux/m68k", "architecture `m68k` has no name in OCI"),
                ("linus/amd64", "operating system `linus`: a GOOS such as `linux` expected"),
            ] {
                let error = asked(platform).error();
                assert!(error.contains(message), "{verb} {image} {platform}: {error}");
            }
            let outcome = asked("linux/arm/v9");
            assert!(outcome.stderr().contains("`v9` is not a known variant of arm"), "{}", outcome.stderr());
            assert_eq!(outcome.code(), 0);
            let _ = nameless(&scratch);
        }
    }
    for (asked, meant, rest) in [
        ("amd64", "linux/amd64", ", without the variant `v7`"),
        ("arm64", "linux/arm64", ", without the variant `v7`"),
        ("arm", "linux/arm/v7", ""),
        ("arm/v6", "linux/arm/v6", ", without the variant `v7`"),
        ("s390x", "linux/s390x", ", without the variant `v7`"),
    ] {
        for verb in ["convert", "squash", "config"] {
            let layout = ByHand::at(&scratch.join("W"));
            let members = json!({"architecture": "", "variant": "v7"});
            layout.list(&[named(&layout.image(&[tar_of(&[Member::File("f", "x")])], &members), "v1")]);
            let (target, words): (_, &[&str]) =
                if verb == "config" { ("oci:W:v1", &["--label", "a=b"]) } else { ("oci:out:v1", &["oci:out:v1"]) };
            let outcome = run(&scratch, &[&[verb, "oci:W:v1", "--platform", asked, "--json"], words].concat());
            let line = format!("the config named no platform, and is for {meant} now{rest}");
            assert!(outcome.stderr().contains(&format!("{line}\n")), "{verb} {asked}: {}", outcome.stderr());
            let warnings = outcome.json()["warnings"].clone();
            let is_it = |warning: &Value| warning.as_str().unwrap().ends_with(&line);
            assert!(warnings.as_array().unwrap().iter().any(is_it), "{verb} {asked}: {warnings}");
            assert_eq!(run(&scratch, &["inspect", target, "--json"]).json()["platform"], meant, "{verb}");
            assert_eq!(rules(&scratch, target, true), [""; 0], "{verb} {asked}");
        }
    }
}

#[test]
fn a_platform_that_was_not_copied_is_told_as_listed() {
    let scratch = Scratch::new();
    let images = partial(&scratch, &["manifest", "config"]);
    for words in
        [&["config", "oci:L:v1", "--label", "a=b"][..], &["squash", "oci:L:v1", "oci:out"], &["inspect", "oci:L:v1"]]
    {
        let error = run(&scratch, &[words, &["--platform", "riscv64"]].concat()).error();
        let line = format!("is listed, and its manifest {} is missing", digest(&images[1]));
        assert!(error.contains("the image for platform `linux/riscv64`") && error.contains(&line), "{error}");
        let error = run(&scratch, &[words, &["--platform", "s390x"]].concat()).error();
        assert!(error.contains("no image for platform `linux/s390x`\nhint: there is v1 linux/amd64"), "{error}");
    }
}

/// Go writes what is empty as null. It is read, and not written on.
#[test]
fn null_is_not_carried_on() {
    let scratch = Scratch::new();
    let path = scratch.join("L");
    let layout = ByHand::at(&path);
    let config = |members: &Value| {
        let config = json!({
            "architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": null}, "config": null,
            "history": null,
        });
        layout.blob(with(config, members).to_string().as_bytes(), CONFIG)
    };
    let manifest = |config: Value, layers: &Value| {
        layout.document(&json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers}))
    };
    let empty = json!({"rootfs": {"type": "layers", "diff_ids": []}});
    let written = || {
        [
            manifest(config(&json!({})), &json!(null)),
            manifest(config(&json!({})), &json!([])),
            manifest(config(&empty), &json!([])),
            manifest(config(&with(empty.clone(), &json!({"config": {}}))), &json!([])),
            manifest(config(&with(empty.clone(), &json!({"config": {}, "history": []}))), &json!(null)),
        ]
    };
    let index = layout.document(&json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": null}));
    for number in 0..written().len() {
        // An edit removes what it replaces.
        layout.list(&[named(&written()[number], "v1"), named(&index, "none")]);
        for target in ["oci:out", "oci-archive:out.tar", "docker-archive:docker.tar"] {
            let said = told(&scratch, &["convert", "oci:L:v1", target]);
            assert!(said.contains("it had null or nothing where a value belongs"), "{number}: {said}");
            assert_eq!(rules(&scratch, target, false), ["no-layers"], "{number}: {target}");
            for document in ["manifest", "config"] {
                let raw = run(&scratch, &["inspect", target, "--raw", document]).printed();
                assert!(!raw.contains("null"), "{number}: {target}: {raw}");
            }
        }
        let error = run(&scratch, &["convert", "oci:L:v1", "oci:kept", "--preserve-digests"]).error();
        assert!(error.contains("cannot be kept: it had null"), "{error}");
        let _ = told(&scratch, &["index", "oci:L:v1", "oci:index"]);
        let _ = told(&scratch, &["config", "oci:L:v1", "--author", "A"]);
        for written in ["oci:index", "oci:L:v1"] {
            assert_eq!(rules(&scratch, written, false), ["no-layers"], "{number}: {written}");
        }
        for name in ["out", "index"] {
            fs::remove_dir_all(scratch.join(name)).unwrap();
        }
    }
    let _ = told(&scratch, &["convert", "oci:L:none", "oci:out"]);
    assert_eq!(rules(&scratch, "oci:out", false), [""; 0]);
    // An index.json without entries gets some.
    fs::write(path.join("index.json"), r#"{"schemaVersion":2,"manifests":null}"#).unwrap();
    let _ = told(&scratch, &["convert", "oci:out", "oci:L"]);
    assert!(!fs::read_to_string(path.join("index.json")).unwrap().contains("null"));
}

/// The same holds for what `index.json` says of what is taken, and for nothing else in it.
#[test]
fn null_in_an_entry_is_told() {
    let scratch = Scratch::new();
    let layout = ByHand::at(&scratch.join("L"));
    let [one, other] = ["amd64", "riscv64"].map(|architecture| layout.platform(architecture, None));
    let mut with_null = named(&one, "v1");
    with_null["annotations"]["org.example"] = json!(null);
    layout.list(&[with_null, named(&other, "v2")]);
    for (verb, source, is_told) in [
        ("convert", "oci:L:v1", true),
        ("convert", "oci:L:v2", false),
        ("convert", "oci:L", true),
        ("index", "oci:L:v1", true),
        ("index", "oci:L:v2", false),
    ] {
        let said = told(&scratch, &[verb, source, "oci:out"]);
        let line = format!("index.json of `{source}`: it had null or nothing where a value belongs\n");
        assert_eq!(said.contains(&line), is_told, "{verb} {source}: {said}");
        assert_eq!(said.lines().count(), usize::from(is_told), "{verb} {source}: {said}");
        assert!(!fs::read_to_string(scratch.join("out/index.json")).unwrap().contains("null"), "{verb} {source}");
        fs::remove_dir_all(scratch.join("out")).unwrap();
    }
}

/// Nothing tells which of the two is right, and a history that is made to fit one of them would hide it.
#[test]
fn an_image_that_changes_has_a_diff_id_for_each_layer() {
    let scratch = Scratch::new();
    let path = scratch.join("L");
    let layout = ByHand::at(&path);
    let tar = tar_of(&[Member::File("file", "1")]);
    let layer = || json!([layout.blob(&tar, "application/vnd.oci.image.layer.v1.tar")]);
    let diff_id = layer()[0]["digest"].clone();
    let image = |layers: &Value, diff_ids: &Value, history: &Value, media_type: &str| {
        let config = json!({"architecture": "amd64", "os": "linux", "history": history,
            "rootfs": {"type": "layers", "diff_ids": diff_ids}});
        let config = layout.blob(config.to_string().as_bytes(), CONFIG);
        layout.document(&json!({"schemaVersion": 2, "mediaType": media_type, "config": config, "layers": layers}))
    };
    let is_kept = |before: &[u8]| fs::read(path.join("index.json")).unwrap() == before;
    let step = json!([{"created_by": "a"}]);
    let docker = "application/vnd.docker.distribution.manifest.v2+json";
    let two = json!([diff_id, diff_id]);
    for (image, expected, found, changes) in [
        (image(&json!(null), &json!([diff_id]), &json!([]), MANIFEST), 0, 1, true),
        (image(&json!([]), &json!([diff_id]), &step, MANIFEST), 0, 1, true),
        (image(&layer(), &json!(null), &step, MANIFEST), 1, 0, true),
        (image(&layer(), &json!([]), &json!([]), MANIFEST), 1, 0, false),
        (image(&layer(), &two, &step, MANIFEST), 1, 2, false),
        (image(&layer(), &two, &json!(null), MANIFEST), 1, 2, true),
        (image(&layer(), &two, &step, docker), 1, 2, true),
    ] {
        layout.list(&[named(&image, "v1")]);
        let before = fs::read(path.join("index.json")).unwrap();
        let digest = &digest(&image)[..19];
        let about = format!("{expected} diff_ids expected, one for each layer, found {found}");
        let refused = |words: &[&str]| {
            let error = run(&scratch, words).error();
            assert!(error.contains(&about) && error.contains(&format!("image {digest}")), "{words:?}: {error}");
            let target = words[2].split(':').nth(1).unwrap_or("out");
            assert!(is_missing(&scratch.join(target)) && is_kept(&before), "{words:?}");
        };
        refused(&["convert", "oci:L:v1", "docker-archive:out.tar:app:v1"]);
        refused(&["config", "oci:L:v1", "--env", "A=b"]);
        if expected > 0 {
            refused(&["convert", "oci:L:v1", "oci:out:v1", "--compression", "zstd"]);
        }
        for verb in ["convert", "index"] {
            if changes {
                refused(&[verb, "oci:L:v1", "oci:out:v1"]);
                continue;
            }
            // A copy is as good as what it was made from.
            assert_eq!(told(&scratch, &[verb, "oci:L:v1", "oci:out:v1"]), "");
            assert_eq!(Layout::at(&scratch.join("out")).blob(&image), Layout::at(&path).blob(&image));
            fs::remove_dir_all(scratch.join("out")).unwrap();
        }
    }
}
