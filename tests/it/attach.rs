use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{json, Value};

use crate::harness::{
    bytes_of, is_root, named, names_below, sha256, unprivileged_words, with, ByHand, FakeRoot, Faker, Layout, Peer,
    Registry, Scratch, Storage, Tool, MANIFEST,
};
use crate::schemas;

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const SPDX: &str = "application/spdx+json";
const BILL: &str = "{\"spdxVersion\":\"SPDX-2.3\"}\n";

fn oci(layout: &Path, name: &str) -> String {
    format!("oci:{}{name}", layout.display())
}

fn attach(image: impl AsRef<std::ffi::OsStr>, file: &Path) -> Tool {
    Tool::new("attach").arg(image).arg(file)
}

/// No findings, not even notes: no unreferenced blob is left.
#[track_caller]
fn assert_verified(image: &str) {
    let verified = Tool::new("verify").arg(image).run();
    assert_eq!((verified.printed(), verified.code()), (String::new(), 0), "{image}");
}

/// `out` with the image `v1`, and the file `bill.json`.
fn image_and_bill(scratch: &Scratch) -> (PathBuf, PathBuf) {
    let (out, bill) = (scratch.join("out"), scratch.join("bill.json"));
    let _ = Tool::build(scratch.small_rootfs()).target("oci", &out, "v1").args(["--owner", "0:0"]).bake();
    fs::write(&bill, BILL).unwrap();
    (out, bill)
}

fn entries(layout: &Path) -> Vec<Value> {
    Layout::at(layout).index()["manifests"].as_array().unwrap().clone()
}

fn document(layout: &Path, descriptor: &Value) -> Value {
    serde_json::from_slice(&Layout::at(layout).blob(descriptor)).unwrap()
}

fn path_of(layout: &Path, digest: &str) -> PathBuf {
    layout.join("blobs").join(digest.replace(':', "/"))
}

/// The name of the list of what is attached to a digest.
fn tag_of(digest: &str) -> String {
    digest.replace(':', "-")
}

/// The content of that list.
fn listed_for(layout: &Path, digest: &str) -> Vec<Value> {
    let name = tag_of(digest);
    let is_called = |entry: &&Value| entry["annotations"]["org.opencontainers.image.ref.name"] == name.as_str();
    let entries = entries(layout);
    let entry = entries.iter().find(is_called).unwrap_or_else(|| panic!("no {name}: {entries:#?}"));
    document(layout, entry)["manifests"].as_array().unwrap().clone()
}

/// The files of a layout without its index.
fn blobs(layout: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut files = bytes_of(layout);
    files.remove(Path::new("index.json"));
    files
}

#[test]
fn a_file_becomes_a_manifest_about_the_image() {
    let scratch = Scratch::new();
    let (out, bill) = image_and_bill(&scratch);
    let image = Layout::at(&out).image("v1");
    let before = blobs(&out);
    let digest = attach(oci(&out, ":v1"), &bill).args(["--type", SPDX]).bake();

    let tag = tag_of(&image.digest());
    let listed = entries(&out);
    assert_eq!(listed.len(), 3, "{listed:#?}");
    assert_eq!(listed[0], image.descriptor);
    let artifact = json!({"mediaType": MANIFEST, "digest": digest, "size": listed[1]["size"], "artifactType": SPDX});
    assert_eq!(listed[1], artifact);
    assert_eq!(listed[2]["annotations"], json!({"org.opencontainers.image.ref.name": tag}));
    let list = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [artifact]});
    assert_eq!(document(&out, &listed[2]), list);
    let empty = format!("sha256:{}", sha256(b"{}"));
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": SPDX,
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": empty, "size": 2, "data": "e30="},
        "layers": [{
            "mediaType": SPDX, "digest": format!("sha256:{}", sha256(BILL.as_bytes())), "size": BILL.len(),
            "annotations": {"org.opencontainers.image.title": "bill.json"},
        }],
        "subject": {"mediaType": MANIFEST, "digest": image.digest(), "size": image.descriptor["size"]},
    });
    assert_eq!(document(&out, &listed[1]), manifest);
    assert_eq!(Layout::at(&out).blob(&manifest["layers"][0]), BILL.as_bytes());
    let after = blobs(&out);
    // The file, the empty config, the manifest and the list; everything else is unchanged.
    assert_eq!(after.len(), before.len() + 4);
    assert!(before.iter().all(|(path, bytes)| after.get(path) == Some(bytes)));
    assert_verified(&oci(&out, ""));
    assert_verified(&oci(&out, ":v1"));
    for descriptor in &listed[1..] {
        let (path, is_index) = (path_of(&out, descriptor["digest"].as_str().unwrap()), descriptor == &listed[2]);
        let schema = if is_index { "image-index-schema.json" } else { "image-manifest-schema.json" };
        assert_eq!(schemas::complaints(schemas::SCHEMAS, schema, &path).unwrap_or_default(), "");
    }
}

/// The digest itself is one of those that are pinned.
#[test]
fn the_digest_of_an_artifact_depends_on_nothing_around_it() {
    let scratch = Scratch::new();
    let (out, bill) = image_and_bill(&scratch);
    let attach = |file: &Path| attach(oci(&out, ":v1"), file).args(["--type", SPDX]);
    let digest = attach(&bill).bake();
    let elsewhere = scratch.make_directory("elsewhere").join("bill.json");
    fs::copy(&bill, &elsewhere).unwrap();
    fs::set_permissions(&elsewhere, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(attach(&elsewhere).bake(), digest);
    let tool = attach(&bill).env("TZ", "Asia/Tokyo").env("SOURCE_DATE_EPOCH", "5").env("OCI_IMAGE_ANNOTATIONS", "a=b");
    assert_eq!(tool.bake(), digest);
    assert_eq!(entries(&out).len(), 3);
}

#[test]
fn more_of_it_joins_the_list_and_the_same_again_changes_nothing() {
    let scratch = Scratch::new();
    let (out, bill) = image_and_bill(&scratch);
    let image = Layout::at(&out).image("v1").digest();
    let place = oci(&out, ":v1");
    let first = attach(&place, &bill).args(["--type", SPDX]).bake();
    let before = bytes_of(&out);
    let report = attach(&place, &bill).args(["--type", SPDX, "--json"]).run().json();
    let tag = tag_of(&image);
    assert_eq!(report, json!({"digest": first, "subject": image, "referrers_tag": tag, "changed": false}));
    assert!(bytes_of(&out) == before, "attaching it again changed something");

    let signature = scratch.join("signature");
    fs::write(&signature, "signed").unwrap();
    let args = ["--type", "text/x-s", "--artifact-type", "text/x-a", "--annotation", "a=b", "--annotation", ".title=c"];
    let report = attach(&place, &signature).args(args).arg("--json").run().json();
    let second = report["digest"].clone();
    assert_eq!((&report["changed"], &report["subject"]), (&json!(true), &json!(image)));
    let annotations = json!({"a": "b", "org.opencontainers.image.title": "c"});
    let manifest: Value = serde_json::from_slice(&fs::read(path_of(&out, second.as_str().unwrap())).unwrap()).unwrap();
    assert_eq!(
        (&manifest["artifactType"], &manifest["layers"][0]["mediaType"]),
        (&json!("text/x-a"), &json!("text/x-s"))
    );
    assert_eq!(manifest["annotations"], annotations);
    // A registry lists kind and annotations, so the list has them as well.
    let listed = listed_for(&out, &image);
    let digests: Vec<&Value> = listed.iter().map(|manifest| &manifest["digest"]).collect();
    assert_eq!(digests, [&json!(first), &second]);
    assert_eq!((&listed[1]["artifactType"], &listed[1]["annotations"]), (&json!("text/x-a"), &annotations));
    // The old list is gone, and the new one has every entry once.
    assert_eq!(entries(&out).len(), 4);
    assert_verified(&oci(&out, ""));
    let garbage = Tool::new("gc").args([&oci(&out, ""), "--dry-run", "--json"]).run().json();
    assert_eq!(garbage["freed"], json!([]));

    // An entry lost from either place is added again.
    let whole = fs::read(out.join("index.json")).unwrap();
    for lost in [1, 2] {
        let mut index: Value = serde_json::from_slice(&whole).unwrap();
        index["manifests"].as_array_mut().unwrap().remove(lost);
        fs::write(out.join("index.json"), index.to_string()).unwrap();
        let report = attach(&place, &bill).args(["--type", SPDX, "--json"]).run().json();
        assert_eq!((&report["digest"], &report["changed"]), (&json!(first), &json!(true)));
        assert!(listed_for(&out, &image).iter().any(|manifest| manifest["digest"] == first.as_str()));
        assert!(entries(&out).iter().any(|entry| entry["digest"] == first.as_str()));
        let _ = Tool::new("gc").arg(oci(&out, "")).run().stdout();
        assert_verified(&oci(&out, ""));
    }
}

/// Other tools list artifacts only below the tag, and write members that ocibake does not know.
#[test]
fn the_list_that_another_tool_made_is_kept() {
    let scratch = Scratch::new();
    let out = scratch.join("out");
    let layout = ByHand::at(&out);
    let image = layout.platform("amd64", None);
    let digest = image["digest"].as_str().unwrap();
    let theirs = with(layout.artifact(&image, "theirs"), &json!({"org.example": [1]}));
    let list = layout.document(&json!({
        "schemaVersion": 2, "mediaType": INDEX, "manifests": [theirs], "annotations": {"a": "b"}, "org.example": {"z": 1},
    }));
    let name = json!({"org.opencontainers.image.ref.name": tag_of(digest), "c": "d"});
    layout.list(&[named(&image, "v1"), with(list, &json!({"annotations": name, "org.example": 2}))]);
    let bill = scratch.join("bill.json");
    fs::write(&bill, BILL).unwrap();
    let seen = || Tool::new("inspect").args([&oci(&out, ":v1"), "--json"]).run().json()["attached"].clone();
    assert_eq!(seen()[0]["digest"], theirs["digest"]);

    let ours = attach(oci(&out, ":v1"), &bill).args(["--type", SPDX]).bake();
    let entry = entries(&out)[1].clone();
    assert_eq!((&entry["annotations"], &entry["org.example"]), (&name, &json!(2)));
    let list = document(&out, &entry);
    assert_eq!((&list["annotations"], &list["org.example"]), (&json!({"a": "b"}), &json!({"z": 1})));
    assert_eq!((&list["manifests"][0], &list["manifests"][1]["digest"]), (&theirs, &json!(ours)));
    assert_verified(&oci(&out, ""));
    let digests: Vec<Value> = seen().as_array().unwrap().iter().map(|attached| attached["digest"].clone()).collect();
    assert!(digests.len() == 2 && digests.contains(&theirs["digest"]) && digests.contains(&json!(ours)), "{digests:?}");
}

#[test]
fn inspect_lists_it_and_gives_it_back() {
    let scratch = Scratch::new();
    let (out, bill) = image_and_bill(&scratch);
    let place = oci(&out, ":v1");
    let inspect = |args: &[&str]| Tool::new("inspect").arg(&place).args(args).run();
    assert_eq!(inspect(&["--json"]).json()["attached"], json!([]));
    assert!(!inspect(&[]).stdout().contains("attached"));
    let error = inspect(&["--attached", SPDX]).error();
    assert!(error.contains("found 0") && error.contains("nothing is attached"), "{error}");

    let image = Layout::at(&out).image("v1").digest();
    let digest = attach(&place, &bill).args(["--type", SPDX, "--annotation", "a=b"]).bake();
    let file = format!("sha256:{}", sha256(BILL.as_bytes()));
    assert_eq!(
        inspect(&["--json"]).json()["attached"],
        json!([{
            "digest": digest, "subject": image, "artifact_type": SPDX, "annotations": {"a": "b"},
            "files": [{"digest": file, "media_type": SPDX, "size": BILL.len(), "title": "bill.json"}],
        }])
    );
    let shown = inspect(&[]).stdout();
    let line = shown.lines().skip_while(|line| *line != "attached").nth(1).unwrap_or_else(|| panic!("{shown}"));
    for word in ["27 B", &digest, SPDX, "bill.json"] {
        assert!(line.contains(word), "no {word} in {line}");
    }
    for wanted in [SPDX, &digest, &file] {
        assert_eq!(inspect(&["--attached", wanted]).stdout(), BILL, "{wanted}");
    }
    // With two, one has to be chosen.
    fs::write(&bill, "another").unwrap();
    let another = attach(&place, &bill).args(["--type", SPDX]).bake();
    let error = inspect(&["--attached", SPDX]).error();
    assert!(error.contains("found 2") && error.contains(&file), "{error}");
    assert_eq!(inspect(&["--attached", &another]).stdout(), "another");
    // A single image still needs no name.
    assert_eq!(Tool::new("inspect").args([&oci(&out, ""), "--json"]).run().json()["digest"], image);
}

#[test]
fn an_index_is_meant_as_a_whole_or_one_of_its_images() {
    let scratch = Scratch::new();
    let out = scratch.join("out");
    let layout = ByHand::at(&out);
    let (amd64, arm) = (layout.platform("amd64", None), layout.platform("arm", Some("v7")));
    let whole = layout.index(&[amd64.clone(), arm.clone()]);
    layout.list(&[named(&whole, "multi"), named(&amd64, "amd64")]);
    let bill = scratch.join("bill.json");
    fs::write(&bill, BILL).unwrap();
    let before = blobs(&out);
    for (args, subject) in [(&[][..], &whole), (&["--platform", "linux/arm/v7"][..], &arm)] {
        let tool = attach(oci(&out, ":multi"), &bill).args(["--type", SPDX, "--json"]).args(args);
        let report = tool.run().json();
        assert_eq!(report["subject"], subject["digest"]);
        let listed = listed_for(&out, subject["digest"].as_str().unwrap());
        assert_eq!((listed.len(), &listed[0]["digest"]), (1, &report["digest"]));
        let subject = json!({
            "mediaType": subject["mediaType"], "digest": subject["digest"], "size": subject["size"],
        });
        assert_eq!(document(&out, &listed[0])["subject"], subject);
    }
    assert!(before.iter().all(|(path, bytes)| blobs(&out).get(path) == Some(bytes)));
    assert_eq!(entries(&out)[..2], [named(&whole, "multi"), named(&amd64, "amd64")]);
    assert_verified(&oci(&out, ""));
    // An image shows what is attached to it and to the index that lists it.
    for (platform, expected) in [("linux/arm/v7", 2), ("linux/amd64", 1)] {
        let seen = Tool::new("inspect").args([&oci(&out, ":multi"), "--platform", platform, "--json"]).run().json();
        assert_eq!(seen["attached"].as_array().map(Vec::len), Some(expected), "{platform}");
    }
    // Where it is not attached to what is shown, a report says to what.
    let short = |of: &Value| of["digest"].as_str().unwrap()[.."sha256:".len() + 12].to_owned();
    let said = |args: &[&str]| {
        let shown = Tool::new("inspect").arg(oci(&out, ":multi")).args(args).run().stdout();
        let lines = shown.lines().skip_while(|line| *line != "attached").skip(1);
        let mut to: Vec<String> =
            lines.map(|line| line.split_once("bill.json").unwrap().1.trim_start().to_owned()).collect();
        to.sort();
        to
    };
    assert_eq!(said(&[]), [String::new(), format!("(attached to {})", short(&arm))]);
    assert_eq!(said(&["--platform", "arm"]), [String::new(), format!("(attached to {})", short(&whole))]);
    let report = |args: &[&str]| Tool::new("report").arg(oci(&out, ":multi")).args(args).run().stdout();
    let page = report(&["-o", "-"]);
    assert!(page.contains(&format!("<dt>Index</dt><dd><code>{}</code>", whole["digest"].as_str().unwrap())));
    let of_index = format!(">the index {}</td>", short(&whole));
    assert_eq!((page.matches(">this image</td>").count(), page.matches(&of_index).count()), (1, 2));
    let summary = report(&[]);
    let lines: Vec<&str> = summary.lines().filter(|line| line.contains("ttached to")).collect();
    assert_eq!(lines, ["Attached to the index: `bill.json`.", "Attached to this image: `bill.json`."], "{summary}");
    assert!(summary.contains(&format!("\nIndex: `{}`\n", short(&whole))), "{summary}");
    let summary = report(&["--platform", "amd64"]);
    assert!(summary.contains(&format!("\nAttached to the index `{}`: `bill.json`.\n", short(&whole))), "{summary}");
    let seen = Tool::new("inspect").args([&oci(&out, ":amd64"), "--json"]).run().json();
    assert_eq!(seen["attached"], json!([]));
    let error = attach(oci(&out, ":multi"), &bill).args(["--type", SPDX, "--platform", "linux/s390x"]).run().error();
    assert!(error.contains("no image for platform `linux/s390x`") && error.contains("linux/arm/v7"), "{error}");
}

#[test]
fn an_archive_gains_it_too() {
    let scratch = Scratch::new();
    let (out, bill) = image_and_bill(&scratch);
    let digest = attach(oci(&out, ":v1"), &bill).args(["--type", SPDX]).bake();
    for name in ["a.tar", "a.tar.gz", "a.tar.zst"] {
        let archive = format!("oci-archive:{}", scratch.join(name).display());
        let tool = Tool::build(scratch.join("rootfs")).target("oci-archive", &scratch.join(name), "v1");
        let _ = tool.args(["--owner", "0:0"]).bake();
        assert_eq!(attach(format!("{archive}:v1"), &bill).args(["--type", SPDX]).bake(), digest);
        assert_verified(&archive);
        let seen = Tool::new("inspect").args([&archive, "--attached", SPDX]).run().stdout();
        assert_eq!(seen, BILL);
        // It is the archive of the layout with the same artifacts.
        let expected = scratch.join(&format!("expected-{name}"));
        let _ =
            Tool::new("convert").args([oci(&out, ""), format!("oci-archive:{}", expected.display())]).run().stdout();
        assert!(fs::read(&expected).unwrap() == fs::read(scratch.join(name)).unwrap(), "{name}");
        let inode = || fs::metadata(scratch.join(name)).map(|file| std::os::unix::fs::MetadataExt::ino(&file)).unwrap();
        let before = inode();
        assert_eq!(attach(format!("{archive}:v1"), &bill).args(["--type", SPDX]).bake(), digest);
        assert_eq!(inode(), before, "it was written though nothing is different");
    }
}

/// An artifact belongs to one manifest and follows it.
#[test]
fn it_stays_with_the_manifest_that_it_is_about() {
    let scratch = Scratch::new();
    let (out, bill) = image_and_bill(&scratch);
    let attached = |name: &str| {
        let seen = Tool::new("inspect").args([&oci(&out, name), "--json"]).run().json();
        seen["attached"].as_array().unwrap().len()
    };
    let old = Layout::at(&out).image("v1").digest();
    let digest = attach(oci(&out, ":v1"), &bill).args(["--type", SPDX]).bake();
    // Names are names of one manifest.
    let _ = Tool::new("tag").args([&oci(&out, ":v1"), "v2"]).bake();
    assert_eq!((attached(":v1"), attached(":v2")), (1, 1));
    // An edit under a new name leaves the old image with its artifacts.
    let _ = Tool::new("config").args([&oci(&out, ":v1"), "--user", "x", "--tag", "v3"]).bake();
    assert_eq!((attached(":v1"), attached(":v3")), (1, 0));
    // An edit in place keeps the old manifest for its artifacts, and says so.
    let _ = Tool::new("tag").args([&oci(&out, ":v3"), "v2"]).bake();
    let outcome = Tool::new("config").args([&oci(&out, ":v1"), "--user", "y"]).run();
    assert_eq!(outcome.stderr(), format!("ocibake: warning: what is attached to {old} stays with it\n"));
    assert_eq!(attached(":v1"), 0);
    let garbage = Tool::new("gc").args([&oci(&out, ""), "--json"]).run().json();
    assert_eq!(garbage["freed"], json!([]));
    assert!(path_of(&out, &old).is_file() && path_of(&out, &digest).is_file());
    assert_verified(&oci(&out, ""));
}

#[test]
fn a_conversion_of_the_whole_layout_takes_it_along() {
    let scratch = Scratch::new();
    let (out, bill) = image_and_bill(&scratch);
    let digest = attach(oci(&out, ":v1"), &bill).args(["--type", SPDX]).bake();
    let (whole, alone) = (scratch.join("whole.tar"), scratch.join("alone.tar"));
    let to = |path: &Path| format!("oci-archive:{}", path.display());
    let _ = Tool::new("convert").args([oci(&out, ""), to(&whole), "--preserve-digests".into()]).run().stdout();
    let attached = |image: &str| Tool::new("inspect").args([image, "--json"]).run().json()["attached"].clone();
    assert_eq!(attached(&to(&whole))[0]["digest"], digest.as_str());
    assert_verified(&to(&whole));
    // With a name only the image is carried: an archive of one image, which every tool takes without a name.
    let _ = Tool::new("convert").args([oci(&out, ":v1"), to(&alone)]).bake();
    assert_eq!(attached(&to(&alone)), json!([]));
    if let Some(podman) = Storage::of("podman", &scratch) {
        podman.run(&["load", "-q", "-i", "alone.tar"]);
        podman.run(&["pull", "-q", &format!("{}:v1", to(&whole))]);
    }
    // A recompressed image has another digest, and its list another name.
    let new = scratch.join("new");
    let outcome = Tool::new("convert").args([oci(&out, ""), oci(&new, ""), "--compression=zstd".into()]).run();
    assert!(outcome.stderr().contains("if it is a signature, it is of no use"), "{}", outcome.stderr());
    let image = Layout::at(&new).image("v1").digest();
    let seen = attached(&oci(&new, ":v1"));
    assert_eq!(seen[0]["subject"], image);
    assert_eq!(listed_for(&new, &image)[0]["digest"], seen[0]["digest"]);
    assert_verified(&oci(&new, ""));
}

#[test]
fn lists_of_two_layouts_become_one() {
    let scratch = Scratch::new();
    let (out, bill) = image_and_bill(&scratch);
    let (other, other_bill) = (scratch.join("other"), scratch.join("other.json"));
    fs::write(&other_bill, "another").unwrap();
    let _ = Tool::new("convert").args([oci(&out, ":v1"), oci(&other, "")]).bake();
    let one = attach(oci(&out, ":v1"), &bill).args(["--type", SPDX]).bake();
    let two = attach(oci(&other, ":v1"), &other_bill).args(["--type", SPDX]).bake();
    let image = Layout::at(&out).image("v1").digest();
    let digests = |layout: &Path| -> Vec<String> {
        listed_for(layout, &image).iter().map(|listed| listed["digest"].as_str().unwrap().to_owned()).collect()
    };
    let carry = |from: &Path, to: &Path| {
        let _ = Tool::new("convert").args([oci(from, ""), oci(to, "")]).run().stdout();
        let findings = Tool::new("verify").arg(oci(to, "")).run();
        assert!(findings.code() == 0 && !findings.stdout().contains("error"));
    };
    // New entries are added once; the larger list stays or replaces the other.
    carry(&other, &out);
    assert_eq!(digests(&out), [one.clone(), two.clone()]);
    let before = fs::read(out.join("index.json")).unwrap();
    carry(&other, &out);
    assert_eq!(fs::read(out.join("index.json")).unwrap(), before);
    carry(&out, &other);
    assert_eq!(digests(&other), [one, two]);
    assert_eq!(entries(&other).len(), 4);
}

#[test]
fn what_is_damaged_is_found() {
    let scratch = Scratch::new();
    let (out, bill) = image_and_bill(&scratch);
    let artifact = attach(oci(&out, ":v1"), &bill).args(["--type", SPDX]).bake();
    let file = format!("sha256:{}", sha256(BILL.as_bytes()));
    for digest in [artifact, file] {
        let path = path_of(&out, &digest);
        let whole = fs::read(&path).unwrap();
        let mut bytes = whole.clone();
        bytes[3] ^= 1;
        fs::write(&path, bytes).unwrap();
        let verified = Tool::new("verify").arg(oci(&out, "")).run();
        assert_eq!(verified.code(), 1, "{digest}");
        assert!(verified.printed().contains(&digest.replace("sha256:", "")), "{}", verified.printed());
        fs::remove_file(&path).unwrap();
        assert_eq!(Tool::new("verify").arg(oci(&out, "")).run().code(), 1, "{digest}");
        fs::write(&path, whole).unwrap();
    }
    assert_verified(&oci(&out, ""));
}

#[test]
fn what_cannot_be_attached() {
    let scratch = Scratch::new();
    let (out, _) = image_and_bill(&scratch);
    let image = Layout::at(&out).image("v1").digest();
    let layout = ByHand::at(&scratch.join("two"));
    layout.list(&[named(&layout.platform("amd64", None), "a"), named(&layout.platform("arm", None), "b")]);
    let other = ByHand::at(&scratch.join("odd"));
    let odd = other.platform("amd64", None);
    let taken = other.platform("arm", None);
    other.list(&[
        named(&odd, "v1"),
        named(&taken, &tag_of(odd["digest"].as_str().unwrap())),
        named(&other.blob(b"x", "text/plain"), "text"),
    ]);
    let docker = format!("docker-archive:{}:app:v1", scratch.join("docker.tar").display());
    let _ = Tool::build(scratch.join("rootfs")).arg(docker).bake();
    let _ = attach(oci(&out, ":v1"), &scratch.join("bill.json")).args(["--type", SPDX]).bake();
    let list = format!("oci:out:{}", tag_of(&image));
    let before = bytes_of(scratch.path());
    for (place, file, media_type, words) in [
        ("oci:out:v1", "bill.json", "spdx", &["--type", "`spdx`", "`type/subtype` expected"][..]),
        ("oci:out:v1", "bill.json", "text/plain; charset=utf-8", &["--type", "charset"]),
        ("oci:out:v1", "bill.json", "", &["--type"]),
        ("oci:out:v1", "missing", SPDX, &["`missing`", "No such file"]),
        ("oci:out:v1", "rootfs", SPDX, &["`rootfs`", "a file to attach is wanted, found a directory"]),
        ("oci:out:v2", "bill.json", SPDX, &["no image of this name", "`v1`"]),
        ("oci:missing", "bill.json", SPDX, &["missing"]),
        ("oci:two", "bill.json", SPDX, &["one image is wanted, found 2", "`a`, `b`"]),
        ("oci:odd:v1", "bill.json", SPDX, &["an index is wanted by the name `sha256-", MANIFEST]),
        ("oci:odd:text", "bill.json", SPDX, &["a manifest or an index is wanted, found `text/plain`"]),
        (&list, "bill.json", SPDX, &["found the list of what is attached to one", "name the image"]),
        ("docker-archive:docker.tar", "bill.json", SPDX, &["docker archives are read, not edited", "ocibake convert"]),
    ] {
        let tool = Tool::new("attach").args([place, file, "--type", media_type]).within(scratch.path());
        let error = tool.run().error();
        for word in words {
            assert!(error.contains(word), "no `{word}` for {place} {file} {media_type}: {error}");
        }
    }
    for (args, word) in [
        (&["--type", SPDX, "--artifact-type", "x"][..], "--artifact-type"),
        (&["--type", SPDX, "--annotation", "x"], "--annotation: `x` is not accepted"),
        (&[], "a known kind"),
    ] {
        // Nothing says what type it is.
        fs::write(scratch.join("bill.json"), "{}\n").unwrap();
        let error =
            Tool::new("attach").args(["oci:out:v1", "bill.json"]).args(args).within(scratch.path()).run().error();
        assert!(error.contains(word), "{error}");
    }
    fs::write(scratch.join("bill.json"), BILL).unwrap();
    assert!(bytes_of(scratch.path()) == before);
}

#[test]
fn what_a_document_is_is_known_from_itself_or_its_name() {
    let scratch = Scratch::new();
    let (out, _) = image_and_bill(&scratch);
    let envelope = r#"{"payloadType":"application/vnd.in-toto+json","payload":"","signatures":[]}"#;
    for (name, text, flags, artifact, file) in [
        ("a.json", BILL, &[][..], SPDX, SPDX),
        ("odd.cdx.json", BILL, &[], SPDX, SPDX),
        ("b", r#"{"@context":"https://spdx.org/rdf/3.0.1/spdx-context.jsonld","@graph":[]}"#, &[], SPDX, SPDX),
        ("c.json", "\u{feff} {\"bomFormat\": \"CycloneDX\"}", &[], "application/vnd.cyclonedx+json", ""),
        (
            "d",
            "<?xml version='1.0'?>\n<bom xmlns='http://cyclonedx.org/schema/bom/1.5'/>",
            &[],
            "application/vnd.cyclonedx+xml",
            "",
        ),
        ("e", "SPDXVersion: SPDX-2.3\n", &[], "text/spdx", ""),
        ("f", r#"{"@context":"https://openvex.dev/ns/v0.2.0"}"#, &[], "application/vnd.openvex+json", ""),
        ("g", r#"{"_type":"https://in-toto.io/Statement/v1"}"#, &[], "application/vnd.in-toto+json", ""),
        ("h", envelope, &[], "application/vnd.dsse.envelope.v1+json", ""),
        ("i", &format!("{envelope}\n{envelope}\n"), &[], "application/vnd.in-toto.bundle", ""),
        (
            "j",
            r#"{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json"}"#,
            &[],
            "application/vnd.dev.sigstore.bundle.v0.3+json",
            "",
        ),
        ("k.spdx.json", "{ not JSON", &[], SPDX, SPDX),
        ("l.json", BILL, &["--type", "text/plain"], "text/plain", "text/plain"),
        ("m.json", BILL, &["--artifact-type", "text/x-a"], "text/x-a", SPDX),
    ] {
        fs::write(scratch.join(name), text).unwrap();
        let digest = attach(oci(&out, ":v1"), &scratch.join(name)).args(flags).bake();
        let manifest: Value = serde_json::from_slice(&fs::read(path_of(&out, &digest)).unwrap()).unwrap();
        assert_eq!(manifest["artifactType"], artifact, "{name}");
        let file = if file.is_empty() { artifact } else { file };
        assert_eq!(manifest["layers"][0]["mediaType"], file, "{name}");
    }
    for (name, text) in [("n.json", "{}"), ("o.txt", "spdxVersion"), ("p.png", "\u{89}PNG"), ("q", ""), ("r", "[1]")] {
        fs::write(scratch.join(name), text).unwrap();
        let error = attach(oci(&out, ":v1"), &scratch.join(name)).run().error();
        assert!(error.contains("a known kind is wanted") && error.contains("--type"), "{name}: {error}");
    }
}

#[test]
fn a_layout_or_a_file_that_this_user_may_not_touch() {
    let scratch = Scratch::new();
    let (out, bill) = image_and_bill(&scratch);
    let attach = |file: &Path| attach(oci(&out, ":v1"), file).args(["--type", SPDX]).behind(unprivileged_words()).run();
    if !is_root() {
        fs::set_permissions(&out, fs::Permissions::from_mode(0o555)).unwrap();
    }
    let before = bytes_of(&out);
    let error = attach(&bill).error();
    assert!(error.contains("Permission denied") && error.contains("out:v1`"), "{error}");
    fs::set_permissions(&bill, fs::Permissions::from_mode(0o000)).unwrap();
    let error = attach(&bill).error();
    assert!(error.contains("cannot open") && error.contains("bill.json") && error.contains("denied"), "{error}");
    assert!(bytes_of(&out) == before);
    fs::set_permissions(&out, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_pipe_is_as_good_a_file() {
    let scratch = Scratch::new();
    let (out, bill) = image_and_bill(&scratch);
    let Some(bash) = Peer::find("bash") else { return };
    let script =
        format!("'{}' attach 'oci:{}:v1' <(cat bill.json) --type {SPDX}", Tool::path().display(), out.display());
    let mut command = bash.command();
    command.args(["-euc", &script]).current_dir(scratch.path());
    let digest = bash.finish(command).trim_end().to_owned();
    let seen = Tool::new("inspect").args([&oci(&out, ":v1"), "--attached", &digest]).run().stdout();
    assert_eq!(seen.as_bytes(), fs::read(bill).unwrap());
}

/// Each reads the list again under the lock, so that no run loses another's entry.
#[test]
fn many_at_once_are_all_listed() {
    let scratch = Scratch::new();
    let (out, _) = image_and_bill(&scratch);
    let image = Layout::at(&out).image("v1").digest();
    let running: Vec<_> = (0..12)
        .flat_map(|number| {
            let file = scratch.join(&format!("file-{number}"));
            fs::write(&file, number.to_string()).unwrap();
            let gc = Tool::new("gc").arg(oci(&out, ""));
            [attach(oci(&out, ":v1"), &file).args(["--type", "text/x-number"]).start(), gc.start()]
        })
        .collect();
    for running in running {
        let _ = running.wait().stdout();
    }
    let listed = listed_for(&out, &image);
    let mut digests: Vec<&str> = listed.iter().map(|manifest| manifest["digest"].as_str().unwrap()).collect();
    digests.sort_unstable();
    digests.dedup();
    assert_eq!((digests.len(), listed.len(), entries(&out).len()), (12, 12, 1 + 12 + 1));
    assert_verified(&oci(&out, ""));
    assert_eq!(names_below(&out).iter().filter(|name| name.contains(".ocibake-")).count(), 0);
}

#[test]
fn the_tools_that_people_have_find_it_and_leave_it() {
    let scratch = Scratch::new();
    let (out, bill) = image_and_bill(&scratch);
    let image = Layout::at(&out).image("v1").digest();
    let digest = attach(oci(&out, ":v1"), &bill).args(["--type", SPDX]).bake();
    let tag = tag_of(&image);
    if let Some(skopeo) = Peer::find("skopeo") {
        let raw: Value =
            serde_json::from_str(&skopeo.run(["inspect", "--raw", &oci(&out, &format!(":{tag}"))])).unwrap();
        assert_eq!(raw["manifests"][0]["digest"], digest.as_str());
        let seen: Value = serde_json::from_str(&skopeo.run(["inspect", &oci(&out, ":v1")])).unwrap();
        assert_eq!(seen["Digest"], image.as_str());
        let to = format!("dir:{}", scratch.join("dir").display());
        skopeo.run(["--insecure-policy", "copy", "-q", "--preserve-digests", &oci(&out, ":v1"), &to]);
    }
    if let Some(umoci) = Peer::find("umoci") {
        let layout = out.display().to_string();
        let listed = umoci.run(["list", "--layout", &layout]);
        assert_eq!(listed.lines().collect::<Vec<_>>(), ["v1", &tag]);
        let before = blobs(&out);
        umoci.run(["gc", "--layout", &layout]);
        assert!(blobs(&out) == before);
        umoci.run([
            "unpack",
            "--rootless",
            "--image",
            &format!("{layout}:v1"),
            &scratch.join("bundle").display().to_string(),
        ]);
        assert!(scratch.join("bundle/rootfs/etc/hostname").is_file());
        // The edited image has no artifacts, and the old ones are still there.
        umoci.run(["config", "--image", &format!("{layout}:v1"), "--tag", "theirs", "--config.user", "x"]);
        let seen =
            |name: &str| Tool::new("inspect").args([&oci(&out, name), "--json"]).run().json()["attached"].clone();
        assert_eq!((seen(":theirs"), &seen(":v1")[0]["digest"]), (json!([]), &json!(digest)));
    }
    if let Some(podman) = Storage::of("podman", &scratch) {
        podman.run(&["pull", "-q", &oci(&out, ":v1")]);
    }
}

/// The image and the list under its tag make a round trip through a registry that does not know about artifacts.
#[test]
fn a_registry_takes_it_and_gives_it_back() {
    let scratch = Scratch::new();
    let (out, bill) = image_and_bill(&scratch);
    let image = Layout::at(&out).image("v1").digest();
    let digest = attach(oci(&out, ":v1"), &bill).args(["--type", SPDX]).bake();
    let (Some(registry), Some(skopeo)) = (Registry::start(&scratch), Peer::find("skopeo")) else { return };
    let raw = |name: &str| skopeo.run(["inspect", "--raw", "--tls-verify=false", &registry.image(name)]);
    registry.copy(&oci(&out, ":v1"), &registry.image("app:v1"));
    assert_eq!(registry.digest("app:v1"), image);
    // Old versions of skopeo rewrite lists without the members that they do not know, but keep the entries.
    let tag = tag_of(&image);
    let copy = |from: &str, to: &str| {
        let flags = ["--insecure-policy", "copy", "-q", "--all", "--src-tls-verify=false", "--dest-tls-verify=false"];
        skopeo.run(flags.into_iter().chain([from, to]))
    };
    copy(&oci(&out, &format!(":{tag}")), &registry.image(&format!("app:{tag}")));
    let list: Value = serde_json::from_str(&raw(&format!("app:{tag}"))).unwrap();
    assert_eq!(list["manifests"][0]["digest"], digest.as_str());
    let manifest = raw(&format!("app@{digest}"));
    assert_eq!(manifest.as_bytes(), fs::read(path_of(&out, &digest)).unwrap());

    let back = scratch.join("back");
    registry.copy(&registry.image("app:v1"), &oci(&back, ":v1"));
    copy(&registry.image(&format!("app:{tag}")), &oci(&back, &format!(":{tag}")));
    let seen = Tool::new("inspect").args([&oci(&back, ":v1"), "--json"]).run().json();
    assert_eq!((&seen["digest"], &seen["attached"][0]["digest"]), (&json!(image), &json!(digest)));
    assert_eq!(Tool::new("inspect").args([&oci(&back, ":v1"), "--attached", SPDX]).run().stdout(), BILL);
    assert_eq!(Tool::new("verify").arg(oci(&back, "")).run().code(), 0);
}

/// As in a BitBake task.
#[test]
fn an_ordinary_user_under_pseudo_attaches_as_everybody_does() {
    let scratch = Scratch::new();
    let Some(pseudo) = FakeRoot::new(Faker::Pseudo, &scratch) else { return };
    pseudo.script("rootfs", b"mkdir etc; echo x > etc/motd; chown -R 4242:7 etc; touch -d @5 etc/motd etc .");
    pseudo.script("files", format!("printf '%s' '{BILL}' > bill.json; chown 4242:7 bill.json").as_bytes());
    let run = |args: &[&str]| pseudo.tool(args).stdout();
    let _ = run(&["build", "rootfs", "oci:out:v1", "oci-archive:out.tar:v1", "--arch", "arm64"]);
    for image in ["oci:out:v1", "oci-archive:out.tar:v1"] {
        let digest = run(&["attach", image, "files/bill.json", "--type", SPDX]);
        assert_eq!(run(&["attach", image, "files/bill.json", "--type", SPDX]), digest);
        assert_eq!(run(&["inspect", image, "--attached", SPDX]), BILL);
    }
    let outside = pseudo.home().join("out");
    let digest = Layout::at(&outside).image("v1").digest();
    assert_eq!(listed_for(&outside, &digest).len(), 1);
    assert_verified(&oci(&outside, ""));
    assert_verified(&format!("oci-archive:{}", pseudo.home().join("out.tar").display()));
    assert_eq!(run(&["ls", "oci:out"]).lines().count(), 2);
    assert_eq!(run(&["rm", "oci:out:v1"]).lines().count(), 3);
    let _ = run(&["gc", "oci:out", "-q"]);
    assert_eq!(names_below(&outside.join("blobs")), ["sha256/"]);
    assert_eq!(pseudo.log_of_trouble(), Vec::<String>::new());
}
