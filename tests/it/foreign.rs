use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::{json, Value};

use crate::harness::{is_missing, list_directory, named, tar_of, ByHand, Layout, Listing, Member, Peer, Scratch, Tool};

/// An image as a tool writes it.
struct Foreign {
    tool: String,
    image: String,
    /// The errors that `verify` finds in it; empty unless the image has peculiarities of its own.
    errors: Option<BTreeSet<String>>,
}

/// Writes all images of the fixture.
fn foreign(scratch: &Scratch) -> Vec<Foreign> {
    let Some(python) = Peer::python() else { return Vec::new() };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/foreign/tools.py");
    let written = scratch.make_directory("written");
    let lines = python.run([script.as_os_str(), written.as_os_str()]);
    let read = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let errors = line["errors"].as_array().map(|errors| errors.iter().map(text).collect());
        Foreign { tool: text(&line["tool"]), image: text(&line["image"]), errors }
    };
    lines.lines().map(read).collect()
}

fn one(scratch: &Scratch, tool: &str) -> Option<String> {
    foreign(scratch).into_iter().find(|foreign| foreign.tool == tool).map(|foreign| foreign.image)
}

/// The rules that an image breaks.
fn errors(image: &str) -> BTreeSet<String> {
    let report: Value = serde_json::from_str(&Tool::new("verify").args([image, "--json"]).run().printed()).unwrap();
    let findings = report["findings"].as_array().unwrap().iter();
    findings.filter(|finding| finding["severity"] == "error").map(|finding| finding["rule"].to_string()).collect()
}

fn tree(scratch: &Scratch, image: &str) -> Listing {
    let root = scratch.join("unpacked");
    let _ = fs::remove_dir_all(&root);
    let outcome = Tool::new("unpack").arg(image).arg(&root).args(["--rootless", "-q"]).run();
    assert_eq!(outcome.code(), 0, "{image}: {}", outcome.stderr());
    let mut listing = list_directory(&root);
    // Times differ between tools, and no tool has an entry for the root.
    for node in listing.values_mut() {
        node.mtime = 0;
    }
    listing
}

/// The content that all of them share.
fn expected() -> BTreeSet<String> {
    ["", "etc", "etc/link", "usr", "usr/sh"].map(str::to_owned).into()
}

#[test]
fn every_verb_reads_what_every_tool_writes() {
    let scratch = Scratch::new();
    let mut first = None;
    for Foreign { tool, image, errors: known } in foreign(&scratch) {
        let Some(known) = known else { continue };
        let known: BTreeSet<String> = known.iter().map(|rule| format!("\"{rule}\"")).collect();
        assert_eq!(errors(&image), known, "{tool}");
        let found = tree(&scratch, &image);
        let paths: BTreeSet<String> = found.keys().map(|path| path.display().to_string()).collect();
        assert_eq!(paths, expected(), "{tool}");
        assert_eq!(&found, first.get_or_insert_with(|| found.clone()), "{tool}");

        let run = |verb: &str, args: &[&str]| {
            let outcome = Tool::new(verb).arg(&image).args(args).run();
            assert_eq!(outcome.code(), 0, "{verb} of {tool}: {}", outcome.stderr());
        };
        let target = |kind: &str| format!("{}/{tool}-{kind}", scratch.path().display());
        let (squashed, converted) = (format!("oci:{}", target("squashed")), format!("oci:{}", target("converted")));
        let docker = format!("docker-archive:{}.tar:app:v1", target("docker"));
        run("inspect", &[]);
        run("inspect", &["--files", "--json"]);
        run("ls", &[]);
        run("diff", &[&image]);
        run("squash", &[&squashed, "-q"]);
        run("convert", &[&converted, "-q"]);
        run("convert", &[&docker, "-q"]);
        run("index", &[&format!("oci:{}", target("index")), "-q"]);
        let based = format!("oci:{}", target("based"));
        let rootfs = scratch.join("unpacked");
        let built = Tool::new("build").arg(&rootfs).arg(&based).args(["--base", &image, "-q"]).run();
        assert_eq!(built.code(), 0, "build on {tool}: {}", built.stderr());
        // The output is clean, whatever the source.
        let edited = Tool::new("config").args([&converted, "--author", "A", "-q"]).run();
        assert_eq!(edited.code(), 0, "config of {tool}: {}", edited.stderr());
        for written in [&squashed, &converted, &docker, &based] {
            assert_eq!(errors(written), BTreeSet::new(), "{written}");
        }
        assert_eq!(tree(&scratch, &squashed), tree(&scratch, &image), "{tool}");
        assert_eq!(tree(&scratch, &docker), tree(&scratch, &image), "{tool}");
    }
}

/// BuildKit writes null for empty lists.
#[test]
fn an_image_from_scratch() {
    let scratch = Scratch::new();
    let Some(image) = one(&scratch, "from_scratch") else { return };
    assert_eq!(errors(&image), BTreeSet::new());
    assert_eq!(tree(&scratch, &image).len(), 1);
    let copy = format!("oci:{}", scratch.join("copy").display());
    let _ = Tool::new("convert").arg(&image).arg(&copy).run().stdout();
    let _ = Tool::new("config").args([&copy, "--author", "A"]).run().stdout();
    let copied = Layout::at(&scratch.join("copy")).image("v1");
    assert_eq!((&copied.manifest["layers"], &copied.config["rootfs"]["diff_ids"]), (&json!([]), &json!([])));
    let error = Tool::new("squash").arg(&image).arg(&copy).run().error();
    assert!(error.contains("no layers"), "{error}");
    // An image of one layer is built on it.
    let rootfs = scratch.small_rootfs();
    let built = format!("oci:{}", scratch.join("built").display());
    let _ = Tool::build(&rootfs).arg(&built).args(["--base", &image]).bake();
    assert_eq!(errors(&built), BTreeSet::new());
}

#[test]
fn one_image_that_is_listed_twice_is_one() {
    let scratch = Scratch::new();
    let Some(image) = one(&scratch, "twice_without_a_name") else { return };
    let _ = Tool::new("inspect").arg(&image).run().stdout();
    assert_eq!(tree(&scratch, &image).len(), expected().len());
}

/// Docker's config has the digest of the tar in a compressed layer, but there is no digest of its stored bytes.
#[test]
fn a_damaged_layer_of_a_docker_archive_goes_nowhere() {
    let scratch = Scratch::new();
    for tool in ["kaniko", "jib", "jib_before_1"] {
        let Some(image) = one(&scratch, tool) else { return };
        let path = Path::new(image.strip_prefix("docker-archive:").unwrap());
        let mut bytes = fs::read(path).unwrap();
        // In the middle of the first layer's stream.
        let gzip = bytes.windows(3).position(|window| window == b"\x1f\x8b\x08").unwrap();
        bytes[gzip + 60] ^= 0x55;
        fs::write(path, &bytes).unwrap();
        for (verb, target) in [("convert", "oci:out"), ("convert", "oci-archive:out.tar"), ("index", "oci:out")] {
            let error = Tool::new(verb).args([&image, target]).within(scratch.path()).run().error();
            assert!(error.contains("layer `"), "{tool}, {verb}: {error}");
        }
        assert!(is_missing(&scratch.join("out")) && is_missing(&scratch.join("out.tar")));
        assert!(!errors(&image).is_empty(), "{tool}");
        fs::remove_dir_all(scratch.join("written")).unwrap();
    }
}

/// A signature has the config of an image, but is not an image.
#[test]
fn signatures_of_cosign_are_no_images() {
    let scratch = Scratch::new();
    let Some(image) = one(&scratch, "signed_by_cosign") else { return };
    assert_eq!(errors(&image), BTreeSet::new());
    assert_eq!(tree(&scratch, &image).len(), expected().len());
    let copy = format!("oci:{}", scratch.join("copy").display());
    let _ = Tool::new("convert").arg(&image).arg(&copy).run().stdout();
    let _ = Tool::new("squash").arg(&image).arg(format!("oci:{}", scratch.join("squashed").display())).run().stdout();
    let report: Value = serde_json::from_str(&Tool::new("verify").args([&copy, "--json"]).run().printed()).unwrap();
    assert_eq!((&report["images"], &report["errors"]), (&json!(1), &json!(0)), "{report:#}");
    let listed = Tool::new("ls").args([&copy]).run().printed();
    assert!(listed.contains("simplesigning") && !listed.contains(" / "), "{listed}");
}

/// `docker save app:latest db:latest`: the tag alone does not identify an image.
#[test]
fn images_that_docker_saved_under_one_tag_keep_their_names() {
    let scratch = Scratch::new();
    let Some(image) = one(&scratch, "two_of_docker") else { return };
    let listed = Tool::new("ls").arg(&image).run().printed();
    assert!(
        listed.contains("docker.io/library/app:latest") && listed.contains("docker.io/library/db:latest"),
        "{listed}"
    );
    let error = Tool::new("inspect").arg(format!("{image}:latest")).run().error();
    assert!(error.contains("app:latest") && error.contains("db:latest"), "{error}");
    for (name, target) in [
        ("layout", format!("oci:{}", scratch.join("layout").display())),
        ("archive", format!("oci-archive:{}", scratch.join("archive.tar").display())),
        ("docker", format!("docker-archive:{}", scratch.join("docker.tar").display())),
    ] {
        let _ = Tool::new("convert").arg(&image).arg(&target).run().stdout();
        assert_eq!(errors(&target), BTreeSet::new(), "{name}");
        for file in ["app", "db"] {
            let paths = tree(&scratch, &format!("{target}:{file}:latest"));
            assert!(paths.contains_key(Path::new(file)), "{name}: {file}");
        }
    }
    let at = |name: &str| format!("oci:{}", scratch.join(name).display());
    let _ = Tool::new("gc").arg(at("layout")).run().stdout();
    assert_eq!(tree(&scratch, &format!("oci:{}:db:latest", scratch.join("layout").display())).len(), 6);
    // One by one, and next to an image named by the tag alone.
    for name in ["app", "db", "app"] {
        let report = Tool::new("convert").args([&format!("{image}:{name}:latest"), &at("one-by-one")]).run();
        assert_eq!(report.code(), 0, "{}", report.stderr());
    }
    let _ = Tool::new("build").arg(scratch.small_rootfs()).args([&at("one-by-one"), "--arch", "amd64"]).bake();
    for (name, file) in [("app:latest", "app"), ("db:latest", "db"), ("latest", "bin/busybox")] {
        let paths = tree(&scratch, &format!("{}:{name}", at("one-by-one")));
        assert!(paths.contains_key(Path::new(file)), "{name}: {paths:?}");
    }
    assert_eq!(errors(&at("one-by-one")), BTreeSet::new());
    // Removing both by their common tag is probably a mistake.
    let error = Tool::new("rm").arg(format!("{image}:latest")).run().error();
    assert!(error.contains("library/app:latest`") && error.contains("library/db:latest`"), "{error}");
    // One name for two images, and nothing else to distinguish them.
    let made = scratch.join("made");
    let layout = ByHand::at(&made);
    let images = ["1", "2"].map(|content| layout.image(&[tar_of(&[Member::File("f", content)])], &json!({})));
    layout.list(&images.each_ref().map(|image| named(image, "v1")));
    let source = format!("oci:{}", made.display());
    let error = Tool::new("convert").arg(&source).arg(format!("oci:{}", scratch.join("none").display())).run().error();
    assert!(images.iter().all(|image| error.contains(image["digest"].as_str().unwrap())), "{error}");
    assert!(is_missing(&scratch.join("none")));
}

/// A BuildKit attestation is about one manifest, by its digest.
#[test]
fn attestations_are_taken_along_or_told_of() {
    let scratch = Scratch::new();
    let Some(image) = one(&scratch, "buildkit") else { return };
    let at = |name: &str| format!("oci:{}", scratch.join(name).display());
    let run = |verb: &str, args: &[&str]| {
        let outcome = Tool::new(verb).args(args).run();
        assert_eq!(outcome.code(), 0, "{}", outcome.stderr());
        outcome.stderr().to_owned()
    };
    run("convert", &[&image, &at("copy")]);
    let said = run("config", &[&at("copy"), "--author", "A"]);
    assert!(said.contains("attestation ") && said.contains("stays with the image"), "{said}");
    assert_eq!(errors(&at("copy")), BTreeSet::new());
    for (verb, args) in [("squash", &[][..]), ("convert", &["--platform", "linux/amd64"])] {
        let said = run(verb, &[&[image.as_str(), &at(verb)], args].concat());
        assert!(said.contains("attestation ") && said.contains("does not go along"), "{verb}: {said}");
        assert_eq!(errors(&at(verb)), BTreeSet::new());
    }
}

/// An image is removed from an index with its attestations, by its platform or by its digest.
#[test]
fn attestations_leave_an_index_with_their_image() {
    let scratch = Scratch::new();
    let Some(image) = one(&scratch, "buildkit") else { return };
    let rootfs = scratch.small_rootfs();
    let arm = format!("oci:{}:v1", scratch.join("arm").display());
    let _ = Tool::new("build").arg(rootfs).args([&arm, "--arch", "arm64"]).bake();
    let out = format!("oci:{}:v1", scratch.join("out").display());
    let index = |args: &[&str]| {
        let outcome = Tool::new("index").args(args).arg("--json").run();
        assert_eq!(outcome.code(), 0, "{}", outcome.stderr());
        let report: Value = serde_json::from_str(&outcome.printed()).unwrap();
        let mut listed = report["manifests"].as_array().unwrap().clone();
        for member in &mut listed {
            member.as_object_mut().unwrap().remove("from");
        }
        listed
    };
    let all = index(&[&image, &arm, &out]);
    assert_eq!(all.len(), 3, "{all:?}");
    let digest = |at: usize| all[at]["digest"].as_str().unwrap();
    let said = format!("{}:org.example.board=x", &digest(0)[..25]);
    let annotated = index(&[&out, "--add", "--descriptor-annotation", &said]);
    assert_eq!(annotated.len(), 3);
    let refused = |what: &str| Tool::new("index").args([&out, "--remove", what]).run().error();
    let missing = refused("sha256:0123456789ab");
    assert!(
        missing.contains("nothing of the digest `sha256:0123456789ab`") && missing.contains(digest(2)),
        "{missing}"
    );
    let short = refused("sha256:01");
    assert!(short.contains("12 lower-case hexadecimal digits"), "{short}");
    for removed in ["linux/amd64", digest(0)] {
        let _ = index(&[&image, &arm, &out]);
        assert_eq!(index(&[&out, "--remove", removed]), all[2..], "{removed}");
        assert_eq!(errors(&out), BTreeSet::new());
    }
    // An attestation may be removed alone.
    let _ = index(&[&image, &arm, &out]);
    assert_eq!(index(&[&out, "--remove", digest(1)]), [all[0].clone(), all[2].clone()]);
}

/// Every command that writes the documents of an image gives its history an entry for each layer.
#[test]
fn a_history_that_does_not_fit_is_mended() {
    let scratch = Scratch::new();
    let Some(image) = one(&scratch, "umoci_raw") else { return };
    assert!(!errors(&image).is_empty());
    let at = |name: &str| format!("oci:{}", scratch.join(name).display());
    for verb in ["convert", "index", "squash"] {
        let outcome = Tool::new(verb).args([&image, &at(verb)]).run();
        assert_eq!(outcome.code(), 0, "{}", outcome.stderr());
        assert!(outcome.stderr().contains(": it said 1, and says 2 now"), "{verb}: {}", outcome.stderr());
        assert_eq!(errors(&at(verb)), BTreeSet::new(), "{verb}");
    }
    let kept = Tool::new("convert").args([&image, &at("kept"), "--preserve-digests"]).run().error();
    assert!(kept.contains("cannot be kept: the history told of a number of layers"), "{kept}");
}

/// An index of which one platform was copied.
#[test]
fn platforms_that_nobody_copied_are_missed_by_nobody() {
    let scratch = Scratch::new();
    let root = scratch.join("partial");
    let layout = ByHand::at(&root);
    let (here, gone) = (layout.platform("amd64", None), layout.platform("arm64", Some("v8")));
    layout.list(&[named(&layout.index(&[here, gone.clone()]), "v1")]);
    fs::remove_file(root.join("blobs").join(gone["digest"].as_str().unwrap().replace(':', "/"))).unwrap();
    let image = format!("oci:{}", root.display());
    assert_eq!(errors(&image), BTreeSet::new());
    let report = Tool::new("gc").args([&image, "--json"]).run().json();
    // The config and the layer of the missing platform.
    assert_eq!(report["freed"].as_array().map(Vec::len), Some(2), "{report:#}");
    assert_eq!(errors(&image), BTreeSet::new());
    let index = format!("oci:{}", scratch.join("index").display());
    let outcome = Tool::new("index").args([&format!("{image}:v1"), &index]).run();
    assert_eq!(outcome.code(), 0, "{}", outcome.stderr());
    assert!(outcome.stderr().contains("does not hold"), "{}", outcome.stderr());
    assert_eq!(errors(&index), BTreeSet::new());
}
