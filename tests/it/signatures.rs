use std::fs;
use std::path::Path;

use serde_json::{json, Value};

use crate::harness::{is_missing, named, tar_of, with, ByHand, Layout, Member, Scratch, Tool, MANIFEST};

const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const SIMPLE: &str = "application/vnd.dev.cosign.simplesigning.v1+json";

fn digest(descriptor: &Value) -> &str {
    descriptor["digest"].as_str().unwrap()
}

fn short(descriptor: &Value) -> &str {
    &digest(descriptor)[..19]
}

/// A signature as cosign writes it: the config of an image, and what is signed.
fn signature(layout: &ByHand, about: &Value) -> Value {
    let signed = json!({"critical": {"image": {"docker-manifest-digest": digest(about)}}}).to_string();
    let signed = layout.blob(signed.as_bytes(), SIMPLE);
    let config = json!({"architecture": "", "os": "", "config": {}, "rootfs": {"type": "layers", "diff_ids": [signed["digest"]]}});
    let config = layout.blob(config.to_string().as_bytes(), CONFIG);
    layout.document(&json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [signed]}))
}

/// The tag that cosign gives to what is about something.
fn tag(about: &Value, kind: &str) -> String {
    format!("{}.{kind}", digest(about).replace(':', "-"))
}

/// An image `v1`, its signature, and the signature of that.
struct Signed {
    image: Value,
    signature: Value,
    countersignature: Value,
}

fn signed(scratch: &Scratch) -> Signed {
    for name in ["signed", "out"] {
        let _ = fs::remove_dir_all(scratch.join(name));
    }
    let layout = ByHand::at(&scratch.join("signed"));
    let image = layout.image(&[tar_of(&[Member::File("f", "x")])], &json!({}));
    let (of_image, unnamed) = (signature(&layout, &image), layout.image(&[], &json!({})));
    let of_signature = signature(&layout, &of_image);
    let entries = [
        named(&image, "v1"),
        named(&of_image, &tag(&image, "sig")),
        named(&of_signature, &tag(&of_image, "att")),
        named(&unnamed, "other"),
    ];
    layout.list(&entries);
    let [image, signature, countersignature, _] = entries;
    Signed { image, signature, countersignature }
}

/// What a run that succeeds says.
#[track_caller]
fn told(scratch: &Scratch, words: &[&str]) -> String {
    let outcome = Tool::new(words[0]).args(&words[1..]).within(scratch.path()).run();
    assert_eq!(outcome.code(), 0, "{words:?}: {}", outcome.stderr());
    outcome.stderr().to_owned()
}

fn entries(scratch: &Scratch, name: &str) -> Vec<Value> {
    Layout::at(&scratch.join(name)).index()["manifests"].as_array().unwrap().clone()
}

fn holds(layout: &Path, descriptor: &Value) -> bool {
    !is_missing(&layout.join("blobs").join(digest(descriptor).replace(':', "/")))
}

/// Where no digest changes, what cosign listed goes along under its tag.
#[test]
fn a_signature_goes_along_with_its_image() {
    let scratch = Scratch::new();
    let Signed { image, signature, countersignature } = signed(&scratch);
    let all = entries(&scratch, "signed");
    assert_eq!(told(&scratch, &["convert", "oci:signed", "oci:out"]), "");
    assert_eq!(entries(&scratch, "out"), all);
    for target in [&["oci:out:all"][..], &["oci:out:all", "--flat"]] {
        fs::remove_dir_all(scratch.join("out")).unwrap();
        let _ = signed(&scratch);
        fs::write(
            scratch.join("signed/index.json"),
            json!({"schemaVersion": 2, "manifests": [image, signature, countersignature]}).to_string(),
        )
        .unwrap();
        assert_eq!(told(&scratch, &[&["index", "oci:signed"], target].concat()), "");
        let listed = entries(&scratch, "out");
        assert!(listed.contains(&signature) && listed.contains(&countersignature), "{listed:#?}");
        assert_eq!(listed.len(), 3);
    }
    let _ = signed(&scratch);
    assert_eq!(told(&scratch, &["tag", "oci:signed:v1", "v2"]), "");
    assert_eq!(told(&scratch, &["rm", "oci:signed:v1"]), "");
    assert!(entries(&scratch, "signed").contains(&signature));
    // Taken alone, the image has none, and one line says so.
    let said = told(&scratch, &["convert", "oci:signed:v2", "oci:out:x"]);
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains(&format!(
        "signature {} is about {}, and does not go along",
        short(&signature),
        digest(&image)
    )));
}

/// A signature is about one digest. It is never given the name of another.
#[test]
fn a_signature_of_what_changes_is_left_with_a_warning() {
    let scratch = Scratch::new();
    for words in
        [&["convert", "oci:signed", "oci:out", "--compression", "zstd"][..], &["squash", "oci:signed:v1", "oci:out:v1"]]
    {
        let Signed { image, signature, .. } = signed(&scratch);
        let said = told(&scratch, words);
        let line = format!("signature {} is about {}, and does not go along", short(&signature), digest(&image));
        assert!(said.contains(&line), "{words:?}: {said}");
        let names: Vec<String> = Layout::at(&scratch.join("out")).refs().into_keys().collect();
        assert!(!names.iter().any(|name| name.starts_with("sha256-")), "{words:?}: {names:?}");
        assert!(!holds(&scratch.join("out"), &signature), "{words:?}");
    }
    fs::create_dir(scratch.join("rootfs")).unwrap();
    fs::write(scratch.join("rootfs/f"), "y").unwrap();
    for words in [
        &["config", "oci:signed:v1", "--label", "a=b"][..],
        &["squash", "oci:signed:v1", "oci:signed:v1"],
        &["build", "rootfs", "oci:signed:v1", "--arch", "amd64", "--owner", "0:0"],
        &["tag", "oci:signed:other", "v1"],
    ] {
        let Signed { image, signature, countersignature } = signed(&scratch);
        let said = told(&scratch, words);
        for (what, about, entry) in [("signature", &image, &signature), ("attestation", &signature, &countersignature)]
        {
            let line = format!(
                "{what} {} is about {}, which `oci:signed` does not list any more: it goes with it",
                short(entry),
                digest(about)
            );
            assert_eq!(said.matches(&line).count(), 1, "{words:?}: {said}");
        }
        assert_eq!(said.lines().count(), 2, "{words:?}: {said}");
        assert!(!entries(&scratch, "signed").iter().any(|entry| entry["digest"] == signature["digest"]), "{words:?}");
        let _ = told(&scratch, &["gc", "oci:signed"]);
        assert!(!holds(&scratch.join("signed"), &signature) && !holds(&scratch.join("signed"), &countersignature));
    }
}

/// A tag with a digest is no name by which something is kept.
#[test]
fn a_signature_is_removed_with_its_image() {
    let scratch = Scratch::new();
    for words in [&["rm", "oci:signed:v1"][..], &["rm", "oci:signed", "--untagged"]] {
        let Signed { image, signature, countersignature } = signed(&scratch);
        if words.contains(&"--untagged") {
            let unnamed = with(image.clone(), &json!({"annotations": {}}));
            let index = json!({"schemaVersion": 2, "manifests": [unnamed, signature, countersignature]});
            fs::write(scratch.join("signed/index.json"), index.to_string()).unwrap();
        }
        let outcome = Tool::new(words[0]).args(&words[1..]).within(scratch.path()).run();
        let printed = outcome.printed();
        for entry in [&image, &signature, &countersignature] {
            assert!(printed.contains(digest(entry)), "{words:?}: {printed}");
        }
        assert!(!entries(&scratch, "signed").iter().any(|entry| entry["digest"] == signature["digest"]));
    }
    // An image in an index is also signed, and goes with it.
    let layout = ByHand::at(&scratch.join("signed"));
    let (a, b) = (layout.platform("amd64", None), layout.platform("arm64", None));
    let index = layout.index(&[a.clone(), b.clone()]);
    let of_a = named(&signature(&layout, &a), &tag(&a, "sig"));
    layout.list(&[named(&index, "v1"), of_a.clone()]);
    assert_eq!(told(&scratch, &["config", "oci:signed:v1", "--platform", "arm64", "--label", "a=b"]), "");
    assert!(entries(&scratch, "signed").contains(&of_a));
    let said = told(&scratch, &["config", "oci:signed:v1", "--platform", "amd64", "--label", "a=b"]);
    assert!(said.contains("it goes with it"), "{said}");
    assert_eq!(entries(&scratch, "signed").len(), 1);
}

/// `ls` and `inspect` show it as attached, not as something beside the image.
#[test]
fn a_signature_is_listed_as_attached() {
    let scratch = Scratch::new();
    let Signed { signature, .. } = signed(&scratch);
    let listed = Tool::new("ls").args(["oci:signed", "--json"]).within(scratch.path()).run().json();
    assert_eq!(listed.as_array().unwrap().len(), 2, "{listed:#}");
    assert_eq!(listed[0]["attached"][0]["digest"], signature["digest"]);
    assert_eq!(listed[0]["attached"][0]["artifact_type"], SIMPLE);
    let image = Tool::new("inspect").args(["oci:signed:v1", "--json"]).within(scratch.path()).run().json();
    assert_eq!(image["attached"][0]["digest"], signature["digest"], "{image:#}");
}

/// `cosign save` lists signatures without a name.
#[test]
fn a_signature_without_a_name_is_no_member_of_an_index() {
    let scratch = Scratch::new();
    let layout = ByHand::at(&scratch.join("saved"));
    let image = layout.platform("amd64", None);
    let of_image = signature(&layout, &image);
    let kind = |what: &str| json!({"annotations": {"kind": format!("dev.cosignproject.cosign/{what}")}});
    for signature in [of_image.clone(), with(of_image, &kind("sigs"))] {
        for target in [&["oci:out:v1"][..], &["oci:out:v1", "--flat"]] {
            layout.list(&[with(image.clone(), &kind("image")), signature.clone()]);
            let said = told(&scratch, &[&["index", "oci:saved"], target].concat());
            assert!(said.contains(&format!("signature {} has no name", short(&signature))), "{said}");
            assert!(!holds(&scratch.join("out"), &signature));
            fs::remove_dir_all(scratch.join("out")).unwrap();
        }
        let said = told(&scratch, &["convert", "oci:saved", "oci:out", "--compression", "zstd"]);
        assert!(said.contains("if it is about one that changed, it is of no use"), "{said}");
        assert!(holds(&scratch.join("out"), &signature));
        fs::remove_dir_all(scratch.join("out")).unwrap();
        assert_eq!(told(&scratch, &["convert", "oci:saved", "oci:out"]), "");
        fs::remove_dir_all(scratch.join("out")).unwrap();
    }
}

/// Without a name, what is attached to the image of the platform goes along as without a platform. One line tells of
/// the rest.
#[test]
fn what_is_attached_goes_along_with_the_image_of_one_platform() {
    let scratch = Scratch::new();
    let layout = ByHand::at(&scratch.join("many"));
    let (a, b) = (layout.platform("amd64", None), layout.platform("arm64", None));
    let index = layout.index(&[a.clone(), b.clone()]);
    let tag_of = |about: &Value| digest(about).replace(':', "-");
    let sig_of = |about: &Value| named(&signature(&layout, about), &tag(about, "sig"));
    let (of_a, of_b, of_index) = (sig_of(&a), sig_of(&b), sig_of(&index));
    let (bill, bill_of_b) = (layout.artifact(&a, "a"), layout.artifact(&b, "b"));
    let (bill_of_index, of_bill) = (layout.artifact(&index, "i"), layout.artifact(&bill, "of a"));
    let listed = |about: &Value, bill: &Value| named(&layout.index(std::slice::from_ref(bill)), &tag_of(about));
    let kept = [of_a.clone(), bill.clone(), of_bill.clone(), listed(&a, &bill), listed(&bill, &of_bill)];
    let left = [
        of_index,
        of_b,
        bill_of_b.clone(),
        bill_of_index.clone(),
        listed(&b, &bill_of_b),
        listed(&index, &bill_of_index),
    ];
    let convert = |words: &[&str]| {
        let _ = fs::remove_dir_all(scratch.join("out"));
        told(&scratch, &[&["convert", "oci:many", "oci:out"], words].concat())
    };
    let sorted = |mut all: Vec<Value>| {
        all.sort_by_key(ToString::to_string);
        all
    };
    layout.list(&[&[named(&index, "v1")][..], &left, &kept].concat());
    let said = convert(&["--platform", "linux/amd64"]);
    let line =
        format!("signature {} and 3 more are about no image that is taken, and do not go along\n", short(&left[0]));
    assert!(said.ends_with(&line) && said.lines().count() == 1, "{said}");
    let out = entries(&scratch, "out");
    let image = named(&a, "v1");
    assert_eq!(sorted(out), sorted([&[image][..], &kept].concat()));
    for entry in &left {
        assert!(!holds(&scratch.join("out"), entry), "{entry:#}");
    }

    // An image without an index keeps all, and says nothing.
    layout.list(&[&[named(&a, "v1")][..], &kept].concat());
    assert_eq!(convert(&["--platform", "linux/amd64"]), "");
    let with_platform = entries(&scratch, "out");
    assert_eq!(convert(&[]), "");
    assert_eq!(sorted(with_platform), sorted(entries(&scratch, "out")));

    // A signature of what changes is untrue.
    let said = convert(&["--platform", "linux/amd64", "--compression", "zstd"]);
    assert!(
        said.contains(&format!("signature {} is about {}, and does not go along", short(&of_a), digest(&a))),
        "{said}"
    );
    let names: Vec<String> = Layout::at(&scratch.join("out")).refs().into_keys().collect();
    assert!(!names.contains(&tag(&a, "sig")) && names.contains(&"v1".to_owned()), "{names:?}");
}

/// A new index has another digest than the one whose images it takes.
#[test]
fn a_signature_of_an_index_stays_behind_with_a_warning() {
    let scratch = Scratch::new();
    let layout = ByHand::at(&scratch.join("many"));
    let (a, b) = (layout.platform("amd64", None), layout.platform("arm64", None));
    let index = layout.index(&[a, b]);
    let of_index = named(&signature(&layout, &index), &tag(&index, "sig"));
    let bill = layout.artifact(&index, "bill");
    let line = format!("signature {} is about {}, and does not go along\n", short(&of_index), digest(&index));
    layout.list(&[named(&index, "v1"), of_index]);
    for words in [
        &["convert", "oci:many:v1", "oci:out:x"][..],
        &["index", "oci:many:v1", "oci:out:x"],
        &["index", "oci:many:v1", "oci:out:x", "--flat"],
        &["index", "oci:many", "oci:out:x"],
    ] {
        let _ = fs::remove_dir_all(scratch.join("out"));
        let said = told(&scratch, words);
        assert!(said.ends_with(&line) && said.lines().count() == 1, "{words:?}: {said}");
    }
    layout.list(&[named(&index, "v1"), bill.clone()]);
    let said = told(&scratch, &["index", "oci:many", "oci:new:x"]);
    let line = format!("artifact {} is about no image that is taken, and does not go along\n", short(&bill));
    assert!(said.ends_with(&line) && said.lines().count() == 1, "{said}");
}
