mod corruptions;
pub(crate) mod members;
mod peers;
mod specimen;
mod verdicts;

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use ocibake::layout::Location;
use ocibake::ops::verify::VerifyOptions;
use ocibake::work::Observer;
use ocibake::Work;
use rustix::fs::{flock, FlockOperation};
use serde_json::{json, Value};
use xz2::stream::Check;

use crate::harness::{make_layout, names_below, sha256, Scratch, Tool};
use members::{append, directory, file, hardlink, member};
use specimen::{change, Specimen};

/// The output of `verify --json`, and the exit status.
#[track_caller]
fn verify(image: &str) -> (Value, i32) {
    let outcome = Tool::new("verify").args([image, "--json"]).run();
    let report = serde_json::from_str(&outcome.printed());
    (report.unwrap_or_else(|error| panic!("{error}: {}{}", outcome.printed(), outcome.stderr())), outcome.code())
}

/// The rules of all findings.
fn rules(report: &Value) -> BTreeSet<String> {
    report["findings"].as_array().expect("findings").iter().map(|finding| text(&finding["rule"])).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("a string expected, found {value}")).to_owned()
}

/// Changes a layout whenever it is asked whether to go on, unless that would have to wait.
struct Busy {
    layout: PathBuf,
    changes: AtomicUsize,
    waits: AtomicUsize,
}

impl Observer for Busy {
    fn interrupted(&self) -> bool {
        let directory = fs::File::open(&self.layout).unwrap();
        if flock(&directory, FlockOperation::NonBlockingLockExclusive).is_err() {
            self.waits.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        drop(directory);
        // Not for ever, should nobody ever wait.
        let number = self.changes.fetch_add(1, Ordering::Relaxed);
        if number < 500 {
            let label = format!("number={number}");
            for name in ["v1", "v2"] {
                let image = format!("{}:{name}", oci(&self.layout));
                Tool::new("config").args([&image, "--label", &label, "--no-sync", "--quiet"]).run().printed();
            }
        }
        false
    }
}

#[test]
fn a_layout_that_never_rests_is_held_still_at_last() {
    let scratch = Scratch::new();
    let (layout, rootfs) = (scratch.join("layout"), scratch.small_rootfs());
    for name in ["v1", "v2"] {
        Tool::new("build").arg(&rootfs).arg(format!("{}:{name}", oci(&layout))).args(["--arch", "arm64"]).bake();
    }
    let busy = Busy { layout: layout.clone(), changes: AtomicUsize::new(0), waits: AtomicUsize::new(0) };
    let location = Location::parse(oci(&layout).as_ref()).unwrap();
    let work = Work::new(NonZeroUsize::MIN, &busy);
    let report = ocibake::ops::verify::verify(&location, &VerifyOptions::default(), &work).unwrap();
    let errors: Vec<_> =
        report.findings.iter().map(ToString::to_string).filter(|finding| finding.starts_with("error")).collect();
    assert_eq!((report.errors, errors), (0, vec![]));
    assert!(busy.changes.into_inner() >= 8 && busy.waits.into_inner() > 0);
}

fn oci(path: &Path) -> String {
    format!("oci:{}", path.display())
}

/// A good image whose platform has a variant.
fn specimen(scratch: &Scratch) -> Specimen {
    let good = scratch.join("good");
    Tool::new("build").arg(scratch.small_rootfs()).args(["--arch", "arm64"]).oci(&good).bake();
    let (report, code) = verify(&oci(&good));
    assert_eq!((report["findings"].clone(), code), (json!([]), 0));
    Specimen::of(&good)
}

/// The rules as the tool lists them, with their severities.
fn all_rules() -> Vec<(String, String)> {
    let rules = Tool::new("verify").args(["--rules", "--json"]).run().json();
    rules.as_array().unwrap().iter().map(|rule| (text(&rule["rule"]), text(&rule["severity"]))).collect()
}

/// An archive of a layout with one of its files twice.
pub(crate) fn archive_with(layout: &Path, twice: &str, archive: &Path) -> String {
    let mut tar = tar::Builder::new(fs::File::create(archive).unwrap());
    tar.append_dir_all(".", layout).unwrap();
    tar.append_path_with_name(layout.join(twice), twice).unwrap();
    tar.finish().unwrap();
    format!("oci-archive:{}", archive.display())
}

#[test]
fn every_rule_has_a_corruption_that_only_it_finds() {
    let scratch = Scratch::new();
    let specimen = specimen(&scratch);
    // Sealing again without a change changes nothing.
    specimen.write(&change(), &scratch.join("same"));
    assert_eq!(rules(&verify(&oci(&scratch.join("same"))).0), BTreeSet::new());

    let severities = all_rules();
    let mut wrong = Vec::new();
    let mut covered = BTreeSet::new();
    for (number, (rule, what, changes)) in corruptions::rows().iter().enumerate() {
        let root = scratch.join(&format!("{number}-{rule}"));
        specimen.write(changes, &root);
        let (report, code) = verify(&oci(&root));
        let severity = severities.iter().find(|(name, _)| name == rule).map(|(_, severity)| severity.as_str());
        let expected_code = i32::from(severity == Some("error"));
        // If a document cannot be read, nothing leads to the blobs that it refers to.
        let mut found = rules(&report);
        if *rule != "blob-unreferenced" && severity == Some("error") {
            found.remove("blob-unreferenced");
        }
        if found != BTreeSet::from([(*rule).to_owned()]) || code != expected_code {
            wrong.push(format!("{rule}, {what}: exit status {code}, {:#}", report["findings"]));
        }
        covered.insert((*rule).to_owned());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // In a layout directory no file can be there twice.
    let archive = archive_with(&scratch.join("same"), "index.json", &scratch.join("twice.tar"));
    let (report, code) = verify(&archive);
    assert_eq!((rules(&report), code), (BTreeSet::from(["archive-repeated-file".to_owned()]), 1));
    covered.insert("archive-repeated-file".to_owned());
    // No media type is for xz, so no layer of a layout is in it.
    let archive = scratch.join("unchecked.tar.xz");
    fs::write(&archive, xz(&fs::read(scratch.join("twice.tar")).unwrap(), Check::None)).unwrap();
    let (report, code) = verify(&format!("oci-archive:{}", archive.display()));
    let expected = ["archive-repeated-file", "xz-check"].map(str::to_owned);
    assert_eq!((rules(&report), code), (BTreeSet::from(expected), 1));
    covered.insert("xz-check".to_owned());
    let all: BTreeSet<String> = severities.into_iter().map(|(rule, _)| rule).collect();
    assert_eq!(covered, all, "a rule without a row, or a row without a rule");
}

fn xz(bytes: &[u8], check: Check) -> Vec<u8> {
    let stream = xz2::stream::Stream::new_easy_encoder(1, check).unwrap();
    let mut encoder = xz2::write::XzEncoder::new_stream(Vec::new(), stream);
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// skopeo 1.9 refuses them; here they are read, and what is written of them is something else.
#[test]
fn xz_without_an_integrity_check_is_told() {
    let scratch = Scratch::new();
    let rootfs = scratch.small_rootfs();
    let _ = Tool::build(&rootfs)
        .args(["docker-archive:d.tar:app:v1", "--docker-legacy-only"])
        .within(scratch.path())
        .bake();
    let unpacked = scratch.join("unpacked");
    fs::create_dir(&unpacked).unwrap();
    let tar = |words: &[&str]| {
        assert!(Command::new("tar").args(words).current_dir(scratch.path()).status().unwrap().success());
    };
    tar(&["-xf", "d.tar", "-C", "unpacked"]);
    let mut layers = fs::read_dir(&unpacked).unwrap().map(|entry| entry.unwrap().path().join("layer.tar"));
    let layer = layers.find(|layer| layer.is_file()).unwrap();
    let plain = fs::read(&layer).unwrap();
    for (check, expected) in [(Check::None, &["xz-check"][..]), (Check::Crc32, &[]), (Check::Crc64, &[])] {
        // A stream after the first counts too.
        let (first, second) = plain.split_at(1000);
        for stored in [xz(&plain, check), [xz(first, Check::Crc32), xz(second, check)].concat()] {
            fs::write(&layer, stored).unwrap();
            tar(&["-cf", "layer.tar", "-C", "unpacked", "."]);
            let archive = fs::read(scratch.join("layer.tar")).unwrap();
            fs::write(&layer, &plain).unwrap();
            tar(&["-cf", "whole.tar", "-C", "unpacked", "."]);
            let whole = xz(&fs::read(scratch.join("whole.tar")).unwrap(), check);
            for (what, bytes) in [("layer", archive), ("archive", whole)] {
                let path = scratch.join("image.tar");
                fs::write(&path, bytes).unwrap();
                let image = format!("docker-archive:{}", path.display());
                let (report, code) = verify(&image);
                let expected = expected.iter().map(|rule| (*rule).to_owned()).collect();
                assert_eq!((rules(&report), code), (expected, 0), "{what} {check:?}");
                let _ = Tool::new("convert").args([&image, "oci:out:v1"]).within(scratch.path()).run().stdout();
                let written = format!("oci:{}", scratch.join("out").display());
                assert_eq!(rules(&verify(&written).0), BTreeSet::new(), "{what} {check:?}");
            }
        }
    }
}

#[test]
fn what_follows_the_end_of_an_archive_is_told() {
    let scratch = Scratch::new();
    let rootfs = scratch.small_rootfs();
    for (target, rule) in [
        ("oci-archive:a.tar", "tar-trailing-bytes"),
        ("docker-archive:a.tar:app:v1", "tar-trailing-bytes"),
        ("oci-archive:a.tar.gz", "layer-trailing-bytes"),
    ] {
        let _ = Tool::build(&rootfs).arg(target).within(scratch.path()).bake();
        let path = scratch.join(target.split(':').nth(1).unwrap());
        let whole = fs::read(&path).unwrap();
        let judge = |rest: &[u8]| {
            fs::write(&path, [&whole, rest].concat()).unwrap();
            let outcome = Tool::new("verify").args([path.to_str().unwrap(), "--json"]).run();
            (rules(&serde_json::from_str(&outcome.printed()).unwrap()), outcome.code())
        };
        assert_eq!(judge(b"junk\n"), (BTreeSet::from([rule.to_owned()]), 1), "{target}");
        assert_eq!(judge(b""), (BTreeSet::new(), 0), "{target}");
        if rule == "tar-trailing-bytes" {
            assert_eq!(judge(&[0; 10240]), (BTreeSet::new(), 0), "{target}");
            let late = [whole.as_slice(), &file("late", "x").bytes()].concat();
            fs::write(&path, late).unwrap();
            let error = Tool::new("inspect").arg(&path).run().error();
            assert!(error.contains("a member after the end of the archive"), "{error}");
        }
    }
}

#[test]
fn all_that_is_wrong_is_told_and_not_only_the_first() {
    let scratch = Scratch::new();
    let root = scratch.join("image");
    let changes = change()
        .tar(|tar| {
            append(
                tar,
                &[file("../outside", "x"), file(".wh.", ""), hardlink("link", "nothing"), file("bin/sh/x", "")],
            );
        })
        .tar(|tar| tar.extend(b"behind"))
        .blob(|blob| blob.extend(b"behind"))
        .config(|config| {
            config["created"] = json!("now");
            config["config"] = json!({"Env": ["A", "B=1", "B=2"], "ExposedPorts": {"x": {}}, "User": 5});
            config["rootfs"]["diff_ids"][0] = format!("sha256:{}", "0".repeat(64)).into();
        })
        .manifest(|manifest| manifest["layers"][0]["size"] = json!(1))
        .index(|index| index["manifests"][0]["platform"]["os"] = json!("plan9"))
        .files(|layout| fs::remove_file(layout.root.join("oci-layout")).unwrap());
    specimen(&scratch).write(&changes, &root);
    let (report, code) = verify(&oci(&root));
    let expected = [
        "blob-size",
        "config-env",
        "config-env-repeated",
        "config-port",
        "diff-id",
        "document-structure",
        "layer-trailing-bytes",
        "layout-marker",
        "platform-mismatch",
        "tar-below-file",
        "tar-hardlink",
        "tar-path",
        "tar-trailing-bytes",
        "time-format",
        "whiteout",
    ];
    assert_eq!((rules(&report), code), (expected.map(str::to_owned).into(), 1));
    assert_eq!(report["errors"], 15, "{report:#}");
    assert_eq!(report["notes"], 0);
}

#[test]
fn a_line_a_finding_on_stdout_and_a_summary_on_stderr() {
    let scratch = Scratch::new();
    let root = scratch.join("image");
    let specimen = specimen(&scratch);
    let hostile = change()
        .config(|config| config["config"]["User"] = json!("a\nb"))
        .index(|index| index["manifests"][0]["mediaType"] = json!("text/x-\u{1b}[31m"))
        .files(|layout| fs::write(layout.root.join("new\nline"), "x").unwrap());
    specimen.write(&change().config(|config| config["config"]["User"] = json!("a\nb")), &root);
    let run = |args: &[&str]| Tool::new("verify").args(args).within(scratch.path()).run();
    let found = run(&["oci:image"]);
    let lines: Vec<String> = found.printed().lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 1, "{lines:?}");
    let (start, end) = lines[0].split_once("blobs/sha256/").unwrap();
    assert_eq!(start, "error: config-user: ");
    assert_eq!(
        &end[64..],
        "#/config/User: expected USER[:GROUP], each a name or a number below 4294967295, found `a\\nb`"
    );
    let size: u64 = names_below(&root.join("blobs"))
        .iter()
        .map(|name| root.join("blobs").join(name).metadata().unwrap())
        .filter(fs::Metadata::is_file)
        .map(|metadata| metadata.len())
        .sum();
    let tenths = (size + 50) / 100;
    let shown = format!("{}.{} kB", tenths / 10, tenths % 10);
    assert_eq!(found.stderr(), format!("ocibake: oci:image: 1 image, 3 blobs, {shown} verified: 1 error\n"));
    assert_eq!(run(&["oci:image", "-q"]).stderr(), "");
    assert_eq!(run(&["oci:image", "--json"]).stderr(), "");

    // Names and texts from elsewhere cannot break a line or colour a terminal.
    specimen.write(&hostile, &scratch.join("hostile"));
    let found = run(&["oci:hostile"]);
    assert_eq!(found.code(), 1);
    let printed = found.printed();
    assert!(!printed.contains('\u{1b}'), "{printed}");
    assert!(printed.lines().all(|line| line.starts_with("error: ") || line.starts_with("note: ")), "{printed}");
    assert!(printed.contains("note: extra-file: new\\nline: expected nothing, found a file\n"), "{printed}");
}

/// Links of lower layers that are no longer links, and links to other places.
#[test]
fn an_entry_below_a_link_is_held_to_all_layers() {
    let scratch = Scratch::new();
    let tar = |members: &[members::Member]| {
        let mut tar = vec![0; 1024];
        append(&mut tar, members);
        tar
    };
    let link = || tar(&[directory("usr/"), member(b'2', "bin").link("usr")]);
    let through = || tar(&[file("bin/sh", "x")]);
    for (what, layers, expected) in [
        ("through it", vec![link(), through()], true),
        ("with the directory", vec![link(), tar(&[directory("bin/"), file("bin/sh", "x")])], false),
        ("after a directory", vec![link(), tar(&[directory("bin/")]), through()], false),
        ("after a file, which is another error", vec![link(), tar(&[file("bin", "")]), through()], false),
        ("after a whiteout", vec![link(), tar(&[file(".wh.bin", "")]), through()], false),
        ("with a whiteout of all", vec![link(), tar(&[file(".wh..wh..opq", ""), file("bin/sh", "x")])], false),
        ("after a directory and a link again", vec![link(), tar(&[directory("bin/")]), link(), through()], true),
        ("by another name of it", vec![tar(&[member(b'2', "a").link("b"), hardlink("bin", "a")]), through()], true),
        ("beside it", vec![link(), tar(&[file("bin2/sh", "x"), file("usr/sh", "x")])], false),
    ] {
        let root = scratch.join("image");
        let _ = fs::remove_dir_all(&root);
        make_layout(&root, &layers);
        let (report, code) = verify(&oci(&root));
        let found = (rules(&report).contains("tar-below-link"), rules(&report).contains("tar-below-lower-file"));
        let is_below_file = what.starts_with("after a file");
        assert_eq!((found, code), ((expected, is_below_file), i32::from(expected || is_below_file)), "{what}");
    }
}

/// Podman removes what an opaque whiteout is said to hide when it comes to it, and keeps entries of the layer alone.
#[test]
fn an_opaque_whiteout_may_come_late_where_all_directories_are_listed() {
    let scratch = Scratch::new();
    let opaque = |directory: &str| file(&format!("{directory}.wh..wh..opq"), "");
    for (members, expected) in [
        (vec![file("a/x", ""), opaque("")], true),
        (vec![opaque(""), file("a/x", "")], false),
        (vec![directory("a/"), file("a/x", ""), opaque("")], false),
        (vec![file("a/x", ""), directory("a/"), opaque("")], false),
        (vec![file("a/x", ""), opaque("a/")], false),
        (vec![directory("a/"), file("a/b/c/x", ""), opaque("a/")], true),
        (vec![directory("a/b/"), file("a/b/x", ""), opaque("")], true),
        (vec![file("a/x", ""), opaque("b/")], false),
        (vec![file("a/.wh.x", ""), opaque("")], false),
        (vec![opaque("a/"), file("a/b/x", ""), opaque("")], true),
    ] {
        let root = scratch.join("image");
        let _ = fs::remove_dir_all(&root);
        let mut tar = vec![0; 1024];
        append(&mut tar, &members);
        make_layout(&root, &[tar]);
        let (report, code) = verify(&oci(&root));
        assert_eq!((rules(&report).contains("whiteout-order"), code), (expected, i32::from(expected)), "{report}");
    }
}

#[test]
fn a_ref_name_leaves_the_rest_of_the_layout_alone() {
    let scratch = Scratch::new();
    let (good, bad) = (scratch.small_rootfs(), scratch.rootfs("other", "few-blocks"));
    let out = scratch.join("out");
    for (rootfs, name) in [(&good, "good"), (&bad, "bad")] {
        Tool::build(rootfs).target("oci", &out, name).bake();
    }
    let layer = crate::harness::Layout::at(&out).image("bad").layer_path();
    fs::write(&layer, "damaged").unwrap();
    fs::write(out.join("README"), "x").unwrap();
    fs::write(out.join("blobs/sha256").join(sha256(b"left over")), "damaged too").unwrap();

    let image = |name: &str| format!("{}{name}", oci(&out));
    let (report, code) = verify(&image(":good"));
    assert_eq!((rules(&report), code), (BTreeSet::new(), 0));
    assert_eq!((&report["images"], &report["blobs"]), (&json!(1), &json!(3)));
    let damage = ["blob-content", "blob-digest", "blob-size", "diff-id", "tar-framing"];
    let (report, code) = verify(&image(":bad"));
    assert_eq!((rules(&report), code), (damage.map(str::to_owned).into(), 1));
    // Without a name everything is checked, and unreferenced blobs are also checked against their names.
    let (report, code) = verify(&image(""));
    let all: BTreeSet<String> =
        damage.iter().chain(&["blob-unreferenced", "extra-file"]).map(ToString::to_string).collect();
    assert_eq!((rules(&report), code), (all, 1));
    assert_eq!((&report["images"], &report["blobs"]), (&json!(2), &json!(7)));
    let digests = report["findings"].as_array().unwrap().iter().filter(|finding| finding["rule"] == "blob-digest");
    assert_eq!(digests.count(), 2);

    let error = Tool::new("verify").arg(image(":none")).run().error();
    assert!(error.ends_with("no image of this name is in the layout\nhint: there is `good`, `bad`"), "{error}");
}

#[test]
fn a_blob_is_read_once_however_many_descriptors_it_has_and_each_is_checked() {
    let scratch = Scratch::new();
    let out = scratch.join("out");
    let rootfs = scratch.small_rootfs();
    for name in ["a", "b", "c"] {
        // Two images with the same layer, one of them with two names.
        let author = if name == "c" { "C" } else { "A" };
        Tool::build(&rootfs).args(["--author", author]).target("oci", &out, name).bake();
    }
    let (report, _) = verify(&oci(&out));
    assert_eq!((rules(&report), &report["images"], &report["blobs"]), (BTreeSet::new(), &json!(2), &json!(5)));
    let bytes: u64 =
        fs::read_dir(out.join("blobs/sha256")).unwrap().map(|blob| blob.unwrap().metadata().unwrap().len()).sum();
    assert_eq!(report["bytes"], bytes);

    let mut index: Value = serde_json::from_slice(&fs::read(out.join("index.json")).unwrap()).unwrap();
    index["manifests"][1]["size"] = json!(5);
    fs::write(out.join("index.json"), serde_json::to_vec(&index).unwrap()).unwrap();
    let (report, _) = verify(&oci(&out));
    assert_eq!(report["findings"].as_array().map(Vec::len), Some(1));
    assert_eq!(report["findings"][0]["place"], "index.json#/manifests/1/size");
}

/// The digest of 1024 zeros, which is a tar without members, and another digest.
const SHA512: &str = "8efb4f73c5655351c444eb109230c556d39e2c7624e9c11abc9e3fb4b9b92542\
                      18cc5085b454a9698d085cfa92198491f07a723be4574adc70617b73eb0b6461";
const NOT_SHA512: &str = "a4abd4448c49562d828115d13a1fccea927f52b4d5459297f8b43e42da89238b\
                          c13626e43dcb38ddb082488927ec904fb42057443983e88585179d50551afe62";

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

#[test]
fn indexes_are_followed_as_deep_as_they_go_and_into_no_circle() {
    let scratch = Scratch::new();
    let specimen = specimen(&scratch);
    let deep = change().index_and_blobs(|index, blobs| {
        for _ in 0..500 {
            let inner = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [index["manifests"][0]]});
            index["manifests"][0] = blobs.add_document(INDEX, &inner);
        }
        index["manifests"][0]["annotations"] = json!({"org.opencontainers.image.ref.name": "deep"});
    });
    specimen.write(&deep, &scratch.join("deep"));
    let (report, code) = verify(&format!("{}:deep", oci(&scratch.join("deep"))));
    // The copied ref name is now on a descriptor of an index other than `index.json`.
    assert_eq!((rules(&report), code), (BTreeSet::from(["ref-name-place".to_owned()]), 0), "{report:#}");
    assert_eq!(report["blobs"], 503);

    let circle = scratch.join("circle");
    let digest = "0".repeat(64);
    let descriptor = json!({"mediaType": INDEX, "digest": format!("sha256:{digest}"), "size": 300});
    let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [descriptor, descriptor]});
    fs::create_dir_all(circle.join("blobs/sha256")).unwrap();
    fs::write(circle.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    for name in ["index.json".to_owned(), format!("blobs/sha256/{digest}")] {
        fs::write(circle.join(name), serde_json::to_vec(&index).unwrap()).unwrap();
    }
    let (report, code) = verify(&oci(&circle));
    assert_eq!((rules(&report), code), (BTreeSet::from(["blob-digest".to_owned(), "blob-size".to_owned()]), 1));
}

#[test]
fn a_manifest_that_is_its_own_config_and_layer_is_read_once() {
    let scratch = Scratch::new();
    let root = scratch.join("image");
    let changes = change().files(|layout| {
        let digest = format!("sha256:{}", layout.manifest().file_name().unwrap().to_str().unwrap());
        let manifest = json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": 1},
            "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": digest, "size": 1}],
        });
        fs::write(layout.manifest(), serde_json::to_vec(&manifest).unwrap()).unwrap();
    });
    specimen(&scratch).write(&changes, &root);
    let (report, code) = verify(&format!("{}:latest", oci(&root)));
    let expected = ["blob-content", "blob-digest", "blob-size", "tar-framing"];
    assert_eq!((rules(&report), code), (expected.map(str::to_owned).into(), 1));
}

#[test]
fn no_byte_of_a_blob_can_change_unseen() {
    let scratch = Scratch::new();
    let root = scratch.join("image");
    specimen(&scratch).write(&change(), &root);
    let blobs = root.join("blobs/sha256");
    for name in names_below(&blobs) {
        let good = fs::read(blobs.join(&name)).unwrap();
        for position in (0..good.len()).step_by(good.len() / 12).chain([good.len() - 1]) {
            let mut bad = good.clone();
            bad[position] ^= 1 << (position % 8);
            fs::write(blobs.join(&name), bad).unwrap();
            let (report, code) = verify(&oci(&root));
            assert!(rules(&report).contains("blob-digest") && code == 1, "byte {position} of {name}: {report:#}");
        }
        fs::write(blobs.join(&name), good).unwrap();
    }
    assert_eq!(verify(&oci(&root)).1, 0);
}

#[test]
fn the_manifests_of_a_nested_index_are_held_to_its_platforms() {
    let scratch = Scratch::new();
    let nested = |architecture: &'static str| {
        change().index_and_blobs(move |index, blobs| {
            let mut manifest = index["manifests"][0].clone();
            manifest.as_object_mut().unwrap().remove("annotations");
            manifest["platform"]["architecture"] = json!(architecture);
            let inner = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [manifest]});
            index["manifests"][0] = blobs.add_document(INDEX, &inner);
        })
    };
    let specimen = specimen(&scratch);
    specimen.write(&nested("arm64"), &scratch.join("right"));
    assert_eq!(rules(&verify(&oci(&scratch.join("right"))).0), BTreeSet::new());
    specimen.write(&nested("amd64"), &scratch.join("wrong"));
    let (report, _) = verify(&oci(&scratch.join("wrong")));
    assert_eq!(rules(&report), BTreeSet::from(["platform-mismatch".to_owned()]));
    let place = text(&report["findings"][0]["place"]);
    assert!(place.ends_with("#/manifests/0/platform/architecture") && place.starts_with("blobs/"), "{place}");
}

#[test]
fn an_artifact_may_come_without_the_image_that_it_is_about_but_not_with_a_damaged_one() {
    let scratch = Scratch::new();
    let specimen = specimen(&scratch);
    let artifact = |manifest: Value| {
        change().index_and_blobs(move |index, blobs| {
            let config = blobs.add("application/vnd.oci.empty.v1+json", b"{}");
            let layer = blobs.add("application/spdx+json", b"{\"spdxVersion\":\"SPDX-2.3\"}");
            let mut subject = index["manifests"][0].clone();
            subject
                .as_object_mut()
                .unwrap()
                .retain(|member, _| ["mediaType", "digest", "size"].contains(&member.as_str()));
            if manifest.is_object() {
                subject = manifest.clone();
            }
            let artifact = json!({
                "schemaVersion": 2, "mediaType": subject["mediaType"], "artifactType": "application/spdx+json",
                "config": config, "layers": [layer], "subject": subject,
            });
            let descriptor = blobs.add_document("application/vnd.oci.image.manifest.v1+json", &artifact);
            index["manifests"] = json!([descriptor]);
        })
    };
    let absent = json!({
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": format!("sha256:{}", "0".repeat(64)), "size": 7,
    });
    specimen.write(&artifact(absent), &scratch.join("absent"));
    let (report, code) = verify(&oci(&scratch.join("absent")));
    // The original image of the layout has no descriptor left.
    assert_eq!((rules(&report), code), (BTreeSet::from(["blob-unreferenced".to_owned()]), 0));

    specimen.write(&artifact(Value::Null), &scratch.join("present"));
    let (report, code) = verify(&oci(&scratch.join("present")));
    assert_eq!((rules(&report), code, &report["blobs"]), (BTreeSet::new(), 0, &json!(6)));
    let damaged = artifact(Value::Null).files(|layout| fs::write(layout.layer(), "damaged").unwrap());
    specimen.write(&damaged, &scratch.join("damaged"));
    let (report, code) = verify(&oci(&scratch.join("damaged")));
    assert!(rules(&report).contains("blob-digest") && code == 1, "{report:#}");
}

#[test]
fn sha512_digests_are_checked_as_well() {
    let scratch = Scratch::new();
    let specimen = specimen(&scratch);
    let image = |digest: &'static str| {
        let digest = format!("sha512:{digest}");
        change()
            .tar(|tar| *tar = vec![0; 1024])
            .blob(|blob| *blob = vec![0; 1024])
            .config({
                let digest = digest.clone();
                move |config| config["rootfs"]["diff_ids"][0] = digest.clone().into()
            })
            .manifest(move |manifest| {
                manifest["layers"][0]["mediaType"] = json!("application/vnd.oci.image.layer.v1.tar");
                manifest["layers"][0]["digest"] = digest.clone().into();
            })
            .files(|layout| {
                let manifest = fs::read_to_string(layout.manifest()).unwrap();
                let digest = manifest.split("sha512:").nth(1).unwrap().split('"').next().unwrap().to_owned();
                fs::create_dir(layout.root.join("blobs/sha512")).unwrap();
                fs::write(layout.root.join("blobs/sha512").join(digest), [0; 1024]).unwrap();
            })
    };
    specimen.write(&image(SHA512), &scratch.join("right"));
    let (report, code) = verify(&oci(&scratch.join("right")));
    assert_eq!((rules(&report), code), (BTreeSet::new(), 0));
    specimen.write(&image(NOT_SHA512), &scratch.join("wrong"));
    let (report, code) = verify(&oci(&scratch.join("wrong")));
    assert_eq!((rules(&report), code), (BTreeSet::from(["blob-digest".to_owned(), "diff-id".to_owned()]), 1));
}

#[test]
fn a_flood_of_findings_is_cut_and_counted() {
    let scratch = Scratch::new();
    let root = scratch.join("image");
    let flood = change().tar(|tar| append(tar, &vec![file("etc/hostname", ""); 1234]));
    specimen(&scratch).write(&flood, &root);
    let (report, _) = verify(&oci(&root));
    let findings = report["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 1001);
    assert_eq!(findings[1000]["found"], "234 more");
}

#[test]
fn progress_in_percent_goes_up_to_a_hundred() {
    let scratch = Scratch::new();
    let out = scratch.join("out");
    Tool::build(scratch.rootfs("rootfs", "few-blocks")).oci(&out).bake();
    let run = Tool::new("verify").arg(oci(&out)).args(["--progress", "percent", "-q"]).run();
    let percents: Vec<u32> =
        run.stderr().lines().map(|line| line.strip_suffix('%').expect("NN%").parse().unwrap()).collect();
    assert_eq!((percents.first(), percents.last()), (Some(&0), Some(&100)));
    assert!(percents.windows(2).all(|pair| pair[0] < pair[1]) && percents.len() > 10, "{percents:?}");
}

#[test]
fn what_cannot_be_opened_is_trouble_and_what_is_no_layout_is_a_finding() {
    let scratch = Scratch::new();
    let run = |image: &str| Tool::new("verify").arg(image).within(scratch.path()).run();
    assert_eq!(
        run("oci:nowhere").error(),
        "cannot open the image `oci:nowhere`: there is no directory `nowhere`\nhint: "
    );
    fs::write(scratch.join("text.tar"), "no archive".repeat(100)).unwrap();
    assert!(run("text.tar").error().contains("text.tar"));
    scratch.make_directory("empty");
    let found = run("oci:empty");
    assert_eq!(
        (found.code(), found.printed().as_str()),
        (
            1,
            "error: layout-marker: oci-layout: expected a file with the layout version 1.0.0, found nothing\n\
             error: layout-index: index.json: expected a file, found nothing\n"
        )
    );
}

#[test]
fn rules_are_listed_with_what_they_come_from() {
    let printed = Tool::new("verify").arg("--rules").run().stdout();
    let line = "error diff-id                     each diff_id is the digest of the layer's tar \
                (image-spec, config.md#layer-diffid)";
    assert!(printed.lines().any(|found| found == line), "{printed}");
    assert_eq!(printed.lines().count(), all_rules().len());
}
