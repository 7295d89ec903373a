use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::{json, Value};

use crate::harness::{is_missing, list_directory, Layout, Listing, Peer, Scratch, Tool};

/// An image as a tool writes it.
struct Foreign {
    tool: String,
    image: String,
    /// The errors that `verify` finds in it; none if it is one of those that are odd in ways of their own.
    errors: Option<BTreeSet<String>>,
}

/// Lets the fixture write all images.
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
    // Times are those of each tool, and nobody describes the root.
    for node in listing.values_mut() {
        node.mtime = 0;
    }
    listing
}

/// What every one of them holds.
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
        // What is written is clean, whatever it came from.
        let edited = Tool::new("config").args([&converted, "--author", "A", "-q"]).run();
        assert_eq!(edited.code(), 0, "config of {tool}: {}", edited.stderr());
        for written in [&squashed, &converted, &based] {
            assert_eq!(errors(written), BTreeSet::new(), "{written}");
        }
        // A config that nobody changed goes as it is.
        assert_eq!(errors(&docker), known, "{tool}");
        assert_eq!(tree(&scratch, &squashed), tree(&scratch, &image), "{tool}");
        assert_eq!(tree(&scratch, &docker), tree(&scratch, &image), "{tool}");
    }
}

/// BuildKit writes null for lists of nothing.
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
    // On it stands an image of one layer.
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

/// Docker's config promises what a compressed layer holds, and nobody what its bytes are.
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
