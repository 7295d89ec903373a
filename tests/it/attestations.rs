use std::fs;
use std::path::Path;

use serde_json::{json, Value};

use crate::harness::{is_missing, named, tar_of, with, ByHand, Layout, Member, Outcome, Scratch, Tool, MANIFEST};

const ATTESTED: &str = "vnd.docker.reference.digest";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

fn digest(descriptor: &Value) -> &str {
    descriptor["digest"].as_str().unwrap()
}

/// An attestation as BuildKit writes it: the config of an image, and no filesystem.
fn attestation(layout: &ByHand, image: &Value) -> Value {
    let statement = json!({"_type": "https://in-toto.io/Statement/v0.1", "subject": digest(image)}).to_string();
    let statement = layout.blob(statement.as_bytes(), "application/vnd.in-toto+json");
    let config = json!({
        "architecture": "unknown", "os": "unknown", "config": {},
        "rootfs": {"type": "layers", "diff_ids": [statement["digest"]]},
    });
    let config = layout.blob(config.to_string().as_bytes(), CONFIG);
    let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [statement]});
    with(
        layout.document(&manifest),
        &json!({
            "platform": {"architecture": "unknown", "os": "unknown"},
            "annotations": {ATTESTED: digest(image), "vnd.docker.reference.type": "attestation-manifest"},
        }),
    )
}

/// Images for two platforms, each with an attestation: in an index, and beside each other in `index.json`.
struct Attested {
    images: [Value; 2],
    attestations: [Value; 2],
}

fn attested(scratch: &Scratch) -> Attested {
    let write = |name: &str| {
        let layout = ByHand::at(&scratch.join(name));
        let images = ["amd64", "riscv64"].map(|architecture| layout.platform(architecture, None));
        let attestations = [0, 1].map(|at: usize| attestation(&layout, &images[at]));
        (layout, Attested { images, attestations })
    };
    let (nested, Attested { images: [a, b], attestations: [of_a, of_b] }) = write("nested");
    nested.list(&[named(&nested.index(&[a, b, of_a, of_b]), "v1")]);
    let (flat, attested) = write("flat");
    let [a, b] = &attested.images;
    flat.list(&[&[named(a, "v1-amd64"), named(b, "v1-riscv64")][..], &attested.attestations].concat());
    attested
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

#[track_caller]
fn assert_good(scratch: &Scratch, image: &str) {
    let report: Value = serde_json::from_str(&run(scratch, &["verify", image, "--json"]).printed()).unwrap();
    assert_eq!(report["errors"], 0, "{report:#}");
}

fn entries(scratch: &Scratch, name: &str) -> Vec<Value> {
    Layout::at(&scratch.join(name)).index()["manifests"].as_array().unwrap().clone()
}

fn fresh(scratch: &Scratch) -> Attested {
    for name in ["nested", "flat", "out"] {
        let _ = fs::remove_dir_all(scratch.join(name));
    }
    attested(scratch)
}

fn about(entry: &Value) -> Option<&str> {
    entry["annotations"][ATTESTED].as_str()
}

/// An edit keeps the layers, and so it keeps what was attested of them.
#[test]
fn an_edited_image_keeps_its_attestation() {
    let scratch = Scratch::new();
    let Attested { images, attestations } = fresh(&scratch);
    let said = told(&scratch, &["config", "oci:flat:v1-amd64", "--label", "a=b"]);
    let line = format!("attestation {} was made of {}", &digest(&attestations[0])[..19], digest(&images[0]));
    assert!(said.contains(&line) && said.contains("it stays with the image"), "{said}");
    let after = entries(&scratch, "flat");
    assert_eq!(after.len(), 4);
    assert_eq!((about(&after[2]), about(&after[3])), (Some(digest(&after[0])), Some(digest(&images[1]))));
    assert_ne!(digest(&after[0]), digest(&images[0]));
    assert_good(&scratch, "oci:flat");

    // The old image is still there under its name, and so is its attestation.
    let Attested { images, .. } = fresh(&scratch);
    let said = told(&scratch, &["config", "oci:flat:v1-amd64", "--label", "a=b", "--tag", "new"]);
    assert!(said.contains("it stays with the image"), "{said}");
    let after = entries(&scratch, "flat");
    let abouts: Vec<&str> = after.iter().filter_map(about).collect();
    let new = after.iter().find(|entry| entry["annotations"]["org.opencontainers.image.ref.name"] == "new").unwrap();
    assert_eq!(abouts, [digest(&images[0]), digest(&images[1]), digest(new)]);
    assert_good(&scratch, "oci:flat");

    // All at once, and compressed anew: only the digests of the images differ.
    for name in ["nested", "flat"] {
        for words in [
            &["config", &format!("oci:{name}"), "--all-platforms", "--label", "a=b"][..],
            &["convert", &format!("oci:{name}"), "oci:out", "--compression", "zstd"],
        ] {
            fresh(&scratch);
            let said = told(&scratch, words);
            assert_eq!(said.matches("it stays with the image").count(), 2, "{words:?}: {said}");
            assert_good(&scratch, if words[0] == "config" { words[1] } else { "oci:out" });
        }
    }
}

/// What replaces an image or removes it leaves no attestation about nothing.
#[test]
fn an_attestation_goes_with_its_image() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.join("rootfs")).unwrap();
    fs::write(scratch.join("rootfs/f"), "x").unwrap();
    for words in [
        &["squash", "oci:flat:v1-amd64", "oci:flat:v1-amd64"][..],
        &["build", "rootfs", "oci:flat:v1-amd64", "--arch", "amd64", "--owner", "0:0"],
        &["tag", "oci:flat:v1-riscv64", "v1-amd64"],
        &["convert", "oci:nested:v1", "oci:flat:v1-amd64", "--platform", "linux/riscv64"],
        &["rm", "oci:flat:v1-amd64"],
    ] {
        let Attested { images, attestations } = fresh(&scratch);
        let outcome = run(&scratch, words);
        assert_eq!(outcome.code(), 0, "{words:?}: {}", outcome.stderr());
        let short = &digest(&attestations[0])[..19];
        if words[0] == "rm" {
            assert!(outcome.printed().contains(digest(&attestations[0])), "{}", outcome.printed());
        } else {
            let line = format!("attestation {short} is about {}", digest(&images[0]));
            assert!(outcome.stderr().contains(&line), "{words:?}: {}", outcome.stderr());
            assert!(outcome.stderr().contains("does not list any more: it goes with it"), "{}", outcome.stderr());
            assert_eq!(outcome.stderr().matches(short).count(), 1, "{words:?}: {}", outcome.stderr());
        }
        let after = entries(&scratch, "flat");
        assert!(!after.iter().any(|entry| digest(entry) == digest(&attestations[0])), "{words:?}: {after:?}");
        assert!(after.iter().any(|entry| digest(entry) == digest(&attestations[1])), "{words:?}: {after:?}");
        assert_good(&scratch, "oci:flat");
    }
    // Another name is enough for it to stay.
    let Attested { attestations, .. } = fresh(&scratch);
    assert_eq!(told(&scratch, &["tag", "oci:flat:v1-amd64", "other"]), "");
    assert_eq!(told(&scratch, &["rm", "oci:flat:v1-amd64"]), "");
    let _ = told(&scratch, &["rm", "oci:flat", "--untagged"]);
    assert!(entries(&scratch, "flat").contains(&attestations[0]));
    assert_good(&scratch, "oci:flat");
}

/// What has a subject and is listed only in the index of its image stays behind with the index.
#[test]
fn what_an_index_lists_about_an_image_that_is_taken_alone_is_told() {
    let scratch = Scratch::new();
    let layout = ByHand::at(&scratch.join("L"));
    let images = ["amd64", "riscv64"].map(|architecture| layout.platform(architecture, None));
    let [of_a, of_b] = [0, 1].map(|at: usize| {
        let statement = layout.blob(format!("statement {at}").as_bytes(), "application/vnd.in-toto+json");
        let config = layout.blob(b"{}", "application/vnd.oci.empty.v1+json");
        let subject = json!({"mediaType": MANIFEST, "digest": images[at]["digest"], "size": images[at]["size"]});
        layout.document(&json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": "application/vnd.in-toto+json",
            "config": config, "layers": [statement], "subject": subject,
        }))
    });
    let [a, b] = &images;
    layout.list(&[named(&layout.index(&[a.clone(), b.clone(), of_a.clone(), of_b.clone()]), "v1")]);
    for source in ["oci:L:v1", "oci:L"] {
        let said = told(&scratch, &["convert", source, "oci:out:x", "--platform", "linux/amd64"]);
        let line = format!("artifact {} is about {}, and does not go along\n", &digest(&of_a)[..19], digest(a));
        assert!(said.ends_with(&line) && said.lines().count() == 1, "{source}: {said}");
        assert_good(&scratch, "oci:out");
        fs::remove_dir_all(scratch.join("out")).unwrap();
    }
    assert_eq!(told(&scratch, &["convert", "oci:L:v1", "oci:out"]), "");
}

/// An image that is taken alone leaves its attestation behind, and one line says so.
#[test]
fn what_is_left_behind_is_told() {
    let scratch = Scratch::new();
    let Attested { images, attestations } = fresh(&scratch);
    let by_digest = |name: &str| format!("oci:{name}@{}", digest(&images[0]));
    for words in [
        &["convert", "oci:flat:v1-amd64", "oci:out:x"][..],
        &["convert", &by_digest("flat"), "oci:out:x"],
        &["convert", &by_digest("nested"), "oci:out:x"],
        &["convert", "oci:nested:v1", "oci:out:x", "--platform", "linux/amd64"],
        &["convert", "oci:flat", "oci:out:x", "--platform", "linux/amd64"],
        &["convert", &by_digest("nested"), "docker-archive:out.tar:x"],
        &["index", "oci:flat:v1-amd64", "oci:out:x"],
        &["index", &by_digest("nested"), "oci:out:x"],
        &["squash", "oci:flat:v1-amd64", "oci:out:x"],
        &["squash", &by_digest("nested"), "oci:out:x"],
    ] {
        let said = told(&scratch, words);
        let (attestation, image) = (&digest(&attestations[0])[..19], digest(&images[0]));
        let line = format!("attestation {attestation} is about {image}, and does not go along\n");
        assert!(said.ends_with(&line) && said.lines().count() == 1, "{words:?}: {said}");
        let target = if words[2].starts_with("oci:") { "oci:out" } else { "docker-archive:out.tar" };
        assert_good(&scratch, target);
        let _ = fs::remove_dir_all(scratch.join("out"));
    }
    // With everything, nothing is left behind.
    for words in [
        &["convert", "oci:flat", "oci:out"][..],
        &["convert", "oci:nested:v1", "oci:out"],
        &["index", "oci:flat", "oci:out:v1"],
        &["index", "oci:nested:v1", "oci:out", "--flat"],
    ] {
        assert_eq!(told(&scratch, words), "", "{words:?}");
        assert_good(&scratch, "oci:out");
        let held = attestations.iter().all(|of| holds(&scratch.join("out"), of));
        assert!(held, "{words:?}");
        fs::remove_dir_all(scratch.join("out")).unwrap();
    }
}

fn holds(layout: &Path, descriptor: &Value) -> bool {
    !is_missing(&layout.join("blobs").join(digest(descriptor).replace(':', "/")))
}

#[test]
fn verify_finds_one_that_is_about_nothing() {
    let scratch = Scratch::new();
    let Attested { attestations, .. } = fresh(&scratch);
    let layout = ByHand::at(&scratch.join("flat"));
    let mut entries = entries(&scratch, "flat");
    entries.remove(0);
    let aimless = json!({"annotations": {"vnd.docker.reference.type": "attestation-manifest"}});
    entries.push(with(attestations[1].clone(), &aimless));
    layout.list(&entries);
    let report: Value = serde_json::from_str(&run(&scratch, &["verify", "oci:flat", "--json"]).printed()).unwrap();
    let findings = report["findings"].as_array().unwrap().iter();
    let rules: Vec<&Value> =
        findings.filter(|finding| finding["severity"] == "error").map(|finding| &finding["rule"]).collect();
    assert_eq!(rules, ["attestation-subject", "attestation-subject"], "{report:#}");
}

fn document(layout: &Path, descriptor: &Value) -> Value {
    let path = layout.join("blobs").join(digest(descriptor).replace(':', "/"));
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// Gives an attestation the subject that its annotation names, as newer versions of `BuildKit` do.
fn with_subject(path: &Path, attestation: &Value, image: &Value) -> Value {
    let (layout, manifest) = (ByHand::at(path), document(path, attestation));
    let subject = json!({"mediaType": MANIFEST, "digest": image["digest"], "size": image["size"]});
    with(attestation.clone(), &layout.document(&with(manifest, &json!({"subject": subject}))))
}

/// The index lists attestations beside their images, whether they have a subject or not.
#[test]
fn an_attestation_with_a_subject_is_listed_beside_its_image() {
    let scratch = Scratch::new();
    let Attested { images, attestations } = fresh(&scratch);
    let path = scratch.join("flat");
    let attestations = [0, 1].map(|at: usize| with_subject(&path, &attestations[at], &images[at]));
    ByHand::at(&path)
        .list(&[&[named(&images[0], "v1-amd64"), named(&images[1], "v1-riscv64")][..], &attestations].concat());
    assert_good(&scratch, "oci:flat");
    assert_eq!(told(&scratch, &["index", "oci:flat", "oci:out:all"]), "");
    assert_good(&scratch, "oci:out");
    assert_eq!(entries(&scratch, "out").len(), 1);
    let index = document(&scratch.join("out"), &entries(&scratch, "out")[0]);
    let listed: Vec<&str> = index["manifests"].as_array().unwrap().iter().map(digest).collect();
    assert_eq!(listed, [&images[0], &images[1], &attestations[0], &attestations[1]].map(digest));
}

/// Annotation and subject of an attestation name one image, whatever becomes of it, and one line tells.
#[test]
fn the_subject_of_an_attestation_changes_with_its_annotation() {
    for (name, words) in [
        ("nested", &["config", "oci:nested:v1", "--platform", "amd64", "--label", "a=b"][..]),
        ("nested", &["convert", "oci:nested", "oci:out", "--compression", "zstd"]),
        ("flat", &["config", "oci:flat:v1-amd64", "--label", "a=b"]),
        ("flat", &["config", "oci:flat:v1-amd64", "--label", "a=b", "--tag", "new"]),
        ("flat", &["convert", "oci:flat", "oci:out", "--compression", "zstd"]),
    ] {
        let scratch = Scratch::new();
        let Attested { images, attestations } = fresh(&scratch);
        let path = scratch.join(name);
        let layout = ByHand::at(&path);
        let attestations = [0, 1].map(|at: usize| with_subject(&path, &attestations[at], &images[at]));
        let [a, b] = &images;
        let [of_a, of_b] = &attestations;
        if name == "flat" {
            layout.list(&[named(a, "v1-amd64"), named(b, "v1-riscv64"), of_a.clone(), of_b.clone()]);
        } else {
            let index = layout.index(&[a.clone(), b.clone(), of_a.clone(), of_b.clone()]);
            layout.list(&[named(&index, "v1")]);
        }
        let said = told(&scratch, words);
        let count = if words[0] == "config" { 1 } else { 2 };
        assert_eq!((said.matches("it stays with the image").count(), said.lines().count()), (count, count), "{said}");
        let target = if words[0] == "config" { name } else { "out" };
        assert_good(&scratch, &format!("oci:{target}"));
        let path = scratch.join(target);
        let mut listed = entries(&scratch, target);
        if name == "nested" {
            listed = document(&path, &listed[0])["manifests"].as_array().unwrap().clone();
        }
        let listed: Vec<&Value> = listed.iter().filter(|entry| about(entry).is_some()).collect();
        assert_eq!(listed.len(), if words.contains(&"new") { 3 } else { 2 }, "{words:?}");
        for attestation in listed {
            assert_eq!(document(&path, attestation)["subject"]["digest"], about(attestation).unwrap(), "{words:?}");
        }
    }
}

#[test]
fn verify_finds_an_attestation_of_two_images() {
    let scratch = Scratch::new();
    let Attested { images, attestations } = fresh(&scratch);
    let path = scratch.join("flat");
    let of_two = with_subject(&path, &attestations[0], &images[1]);
    ByHand::at(&path).list(&[&[named(&images[0], "a"), named(&images[1], "b")][..], &[of_two]].concat());
    let report: Value = serde_json::from_str(&run(&scratch, &["verify", "oci:flat", "--json"]).printed()).unwrap();
    assert_eq!(report["errors"], 1, "{report:#}");
    let mut findings = report["findings"].as_array().unwrap().iter();
    let finding = findings.find(|finding| finding["severity"] == "error").unwrap();
    assert_eq!(finding["rule"], "attestation-subject");
    assert!(finding["expected"].as_str().unwrap().starts_with(digest(&images[1])), "{finding:#}");
}

/// Of an image that was pulled for one platform, an index takes no attestation about what is not there.
#[test]
fn an_attestation_without_its_image_is_left_out() {
    for target in [&["oci:out:all"][..], &["oci:out:all", "--flat"]] {
        let scratch = Scratch::new();
        let Attested { images, attestations } = fresh(&scratch);
        fs::remove_file(scratch.join("nested/blobs").join(digest(&images[1]).replace(':', "/"))).unwrap();
        let said = told(&scratch, &[&["index", "oci:nested"], target].concat());
        let (attestation, image) = (&digest(&attestations[1])[..19], digest(&images[1]));
        let line = format!("attestation {attestation} is about {image}, and does not go along\n");
        assert_eq!(said.matches(&line).count(), 1, "{said}");
        assert!(!said.contains(&digest(&attestations[0])[..19]), "{said}");
        assert_good(&scratch, "oci:out");
        assert!(holds(&scratch.join("out"), &attestations[0]) && !holds(&scratch.join("out"), &attestations[1]));
    }
}

/// BuildKit lists it for a platform that there is not.
#[test]
fn an_attestation_is_listed_by_what_it_is() {
    let scratch = Scratch::new();
    let _ = fresh(&scratch);
    for (name, member) in [("flat", "attached"), ("nested", "manifests")] {
        let listed = run(&scratch, &["ls", &format!("oci:{name}"), "--json"]).json();
        let found = if name == "flat" { &listed[0][member][0] } else { &listed[0][member][2] };
        assert_eq!(
            (&found["artifact_type"], &found["platform"]),
            (&json!("application/vnd.in-toto+json"), &Value::Null)
        );
        assert!(!run(&scratch, &["ls", &format!("oci:{name}")]).printed().contains("unknown"), "{listed:#}");
    }
}

/// `cosign save` lists an image and its signature, both without a name.
#[test]
fn a_signature_beside_an_image_is_no_second_image() {
    let scratch = Scratch::new();
    let path = scratch.join("saved");
    let layout = ByHand::at(&path);
    let image = layout.image(&[tar_of(&[Member::File("f", "x")])], &json!({}));
    let content = layout.blob(br#"{"critical":{}}"#, "application/vnd.dev.cosign.simplesigning.v1+json");
    let config = json!({"architecture": "", "os": "", "config": {}, "rootfs": {"type": "layers", "diff_ids": [content["digest"]]}});
    let config = layout.blob(config.to_string().as_bytes(), CONFIG);
    let signature =
        layout.document(&json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [content]}));
    let artifact = layout.document(&json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "config": layout.blob(b"{}", "application/vnd.example.config"),
        "layers": [layout.blob(b"text", "text/plain")],
    }));
    let attested = attestation(&layout, &image);
    fs::write(scratch.join("note.txt"), "note").unwrap();
    for other in [signature, artifact, attested] {
        layout.list(&[other.clone(), image.clone()]);
        for words in [
            &["inspect", "oci:saved"][..],
            &["squash", "oci:saved", "oci:out:squashed"],
            &["convert", "oci:saved", "docker-archive:out.tar:n:1"],
            &["convert", "oci:saved", "oci:out:v1"],
            &["index", "oci:saved", "oci:out:index"],
            &["tag", "oci:saved", "v1"],
            &["config", "oci:saved", "--label", "a=b", "--tag", "v2"],
            &["attach", "oci:saved@DIGEST", "note.txt", "--type", "text/plain"],
        ] {
            let words: Vec<String> = words.iter().map(|word| word.replace("DIGEST", digest(&image))).collect();
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            layout.list(&[other.clone(), image.clone()]);
            let _ = told(&scratch, &words);
        }
        layout.list(&[other.clone(), image.clone()]);
        let report = run(&scratch, &["tag", "oci:saved", "v1", "--json"]).json();
        assert_eq!(report["digest"], image["digest"]);
        let named_images = run(&scratch, &["ls", "oci:out:v1", "--json"]).json();
        assert_eq!(named_images.as_array().map(Vec::len), Some(1), "{named_images:#}");
        // A second image is one too many.
        let second = layout.image(&[], &json!({}));
        layout.list(&[other.clone(), image.clone(), second]);
        let error = run(&scratch, &["tag", "oci:saved", "v1"]).error();
        assert!(error.contains("one image is wanted, found 2"), "{error}");
        let error = run(&scratch, &["convert", "oci:saved", "oci:out:v3"]).error();
        assert!(error.contains("one image is wanted for the name, found 2"), "{error}");
        fs::remove_dir_all(scratch.join("out")).unwrap();
    }
}
