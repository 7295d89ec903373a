use std::fs;
use std::path::Path;

use serde_json::{json, Value};

use crate::harness::{is_missing, named, sha256, tar_of, with, ByHand, Member, Outcome, Scratch, Tool};

const REF_NAME: &str = "org.opencontainers.image.ref.name";
const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// An image with one file, whose name is its content.
fn image(layout: &ByHand, name: &str) -> Value {
    layout.image(&[tar_of(&[Member::File(name, name)])], &json!({}))
}

/// An entry as Docker saves it.
fn saved(image: &Value, repository: &str) -> Value {
    let whole = format!("docker.io/library/{repository}:latest");
    with(image.clone(), &json!({"annotations": {REF_NAME: "latest", CONTAINERD_NAME: whole}}))
}

/// `docker save app:latest db:latest`, unpacked.
fn saved_by_docker(path: &Path) -> [Value; 2] {
    let layout = ByHand::at(path);
    let images = ["app", "db"].map(|name| saved(&image(&layout, name), name));
    layout.list(&images);
    images
}

fn digest(descriptor: &Value) -> &str {
    descriptor["digest"].as_str().unwrap()
}

fn run(scratch: &Scratch, words: &[&str]) -> Outcome {
    Tool::new(words[0]).args(&words[1..]).within(scratch.path()).run()
}

#[track_caller]
fn done(scratch: &Scratch, words: &[&str]) -> String {
    let outcome = run(scratch, words);
    assert_eq!(outcome.code(), 0, "{words:?}: {}", outcome.stderr());
    outcome.stderr().to_owned()
}

/// What `ls` shows: name and digest of each entry.
fn listed(scratch: &Scratch, image: &str) -> Vec<(String, String)> {
    let report = run(scratch, &["ls", image, "--json"]).json();
    let text = |value: &Value| value.as_str().unwrap_or("(no name)").to_owned();
    report.as_array().unwrap().iter().map(|entry| (text(&entry["ref"]), text(&entry["digest"]))).collect()
}

fn found(scratch: &Scratch, image: &str) -> String {
    run(scratch, &["inspect", image, "--json"]).json()["digest"].as_str().unwrap().to_owned()
}

/// The rules that an image breaks.
fn errors(scratch: &Scratch, image: &str) -> Vec<String> {
    let report: Value = serde_json::from_str(&run(scratch, &["verify", image, "--json"]).printed()).unwrap();
    let findings = report["findings"].as_array().unwrap().iter();
    let errors = findings.filter(|finding| finding["severity"] == "error");
    errors.map(|finding| finding["rule"].as_str().unwrap().to_owned()).collect()
}

/// A name that `ls` shows in full moves when something else is written under it, in every spelling and by every verb.
#[test]
fn a_name_that_is_shown_in_full_moves() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.join("rootfs")).unwrap();
    fs::write(scratch.join("rootfs/f"), "x").unwrap();
    let other = ByHand::at(&scratch.join("other"));
    other.list(&[named(&image(&other, "other"), "v1")]);
    for spelt in ["app:latest", "docker.io/library/app:latest", "docker.io/app"] {
        let target = format!("oci:T:{spelt}");
        for words in [
            &["build", "rootfs", &target, "--arch", "amd64", "--owner", "0:0"][..],
            &["squash", "oci:T:db:latest", &target],
            &["tag", "oci:T:db:latest", spelt],
            &["convert", "oci:other:v1", &target],
            &["index", "oci:other:v1", &target],
        ] {
            let [app, db] = saved_by_docker(&scratch.join("T"));
            assert_eq!(
                listed(&scratch, "oci:T").into_iter().map(|(name, _)| name).collect::<Vec<_>>(),
                ["docker.io/library/app:latest", "docker.io/library/db:latest"]
            );
            let outcome = Tool::new(words[0]).args(&words[1..]).arg("--json").within(scratch.path()).run();
            let said = outcome.stderr().to_owned();
            let told = format!(
                "target `{target}` was the image {}, under the name `docker.io/library/app:latest`: it has lost its name",
                &digest(&app)[..19]
            );
            assert_eq!(said.matches(&told).count(), 1, "{words:?}: {said}");
            // Programs are told too.
            assert!(outcome.json()["warnings"].as_array().unwrap().contains(&told.into()), "{words:?}");
            let after = listed(&scratch, "oci:T");
            assert_eq!(after.len(), 2, "{words:?}: {after:?}");
            let new = found(&scratch, &target);
            assert_ne!(new, digest(&app), "{words:?}");
            for name in ["app:latest", "docker.io/library/app:latest"] {
                assert_eq!(found(&scratch, &format!("oci:T:{name}")), new, "{words:?}: {name}");
            }
            assert_eq!(found(&scratch, "oci:T:db:latest"), digest(&db), "{words:?}");
            // Nothing is lost on the way to others.
            for copy in ["oci:copy", "docker-archive:copy.tar", "oci-archive:copy-too.tar"] {
                let _ = done(&scratch, &["convert", "oci:T", copy]);
                assert_eq!(listed(&scratch, copy).len(), 2, "{words:?}: {copy}");
                assert_eq!(errors(&scratch, copy), [""; 0]);
            }
            for name in ["T", "copy"] {
                fs::remove_dir_all(scratch.join(name)).unwrap();
            }
        }
    }
}

/// In a layout, ref names that are spelt differently are two names. An archive has only one of them.
#[test]
fn two_images_of_one_name_are_an_error_that_lists_both() {
    let scratch = Scratch::new();
    let layout = ByHand::at(&scratch.join("L"));
    let images = ["a", "b"].map(|name| image(&layout, name));
    let [short, full] = [named(&images[0], "app:latest"), named(&images[1], "docker.io/library/app:latest")];
    for entries in [
        vec![short.clone(), full.clone()],
        vec![saved(&images[0], "app"), full.clone()],
        vec![saved(&images[0], "app"), saved(&images[1], "app")],
    ] {
        layout.list(&entries);
        for target in ["docker-archive:o.tar", "oci-archive:o.tar"] {
            let error = run(&scratch, &["convert", "oci:L", target]).error();
            assert!(images.iter().all(|image| error.contains(digest(image))), "{error}");
            assert!(is_missing(&scratch.join("o.tar")));
        }
        // One of them can be taken.
        let _ = done(&scratch, &["convert", &format!("oci:L@{}", digest(&images[0])), "docker-archive:one.tar:app"]);
        assert_eq!(listed(&scratch, "docker-archive:one.tar").len(), 1);
    }
    layout.list(&[short, full]);
    let _ = done(&scratch, &["convert", "oci:L", "oci:X"]);
    assert_eq!(listed(&scratch, "oci:X"), listed(&scratch, "oci:L"));
    assert_eq!(errors(&scratch, "oci:L"), [""; 0]);
    // Several names of one image are no matter.
    layout.list(&[named(&images[0], "app:latest"), named(&images[0], "docker.io/library/app:latest")]);
    let _ = done(&scratch, &["convert", "oci:L", "docker-archive:o.tar"]);
    assert_eq!(listed(&scratch, "docker-archive:o.tar").len(), 1);
}

/// A docker archive of images with these names.
fn docker_archive(path: &Path, images: &[&[&str]]) {
    let mut archive = tar::Builder::new(fs::File::create(path).unwrap());
    let mut put = |name: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, bytes).unwrap();
    };
    let mut items = Vec::new();
    for (number, names) in images.iter().enumerate() {
        let layer = tar_of(&[Member::File("f", &number.to_string())]);
        let diff_id = format!("sha256:{}", sha256(&layer));
        let config =
            json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [diff_id]}});
        let (config_name, layer_name) = (format!("{number}.json"), format!("{number}.tar"));
        put(&config_name, config.to_string().as_bytes());
        put(&layer_name, &layer);
        items.push(json!({"Config": config_name, "RepoTags": names, "Layers": [layer_name]}));
    }
    put("manifest.json", Value::from(items).to_string().as_bytes());
    archive.finish().unwrap();
}

#[test]
fn a_docker_archive_knows_a_name_by_every_spelling() {
    let scratch = Scratch::new();
    docker_archive(&scratch.join("one.tar"), &[&["app:latest"], &["index.docker.io/team/db:v1"]]);
    let images = listed(&scratch, "docker-archive:one.tar");
    for (spelt, at) in [("app", 0), ("docker.io/library/app", 0), ("team/db:v1", 1), ("docker.io/team/db:v1", 1)] {
        assert_eq!(found(&scratch, &format!("docker-archive:one.tar:{spelt}")), images[at].1, "{spelt}");
    }
    assert_eq!(errors(&scratch, "docker-archive:one.tar"), [""; 0]);
    // And two images of one name are two, whichever spelling is asked for.
    docker_archive(&scratch.join("two.tar"), &[&["app:latest"], &["docker.io/library/app:latest"]]);
    let images = listed(&scratch, "docker-archive:two.tar");
    for spelt in ["app", "app:latest", "docker.io/library/app:latest"] {
        let error = run(&scratch, &["inspect", &format!("docker-archive:two.tar:{spelt}")]).error();
        assert!(error.contains("one image is wanted, found 2"), "{error}");
    }
    for target in ["oci:out", "docker-archive:out.tar"] {
        let error = run(&scratch, &["convert", "docker-archive:two.tar", target]).error();
        assert!(images.iter().all(|(_, digest)| error.contains(digest)), "{error}");
    }
    assert!(is_missing(&scratch.join("out")) && is_missing(&scratch.join("out.tar")));
    assert_eq!(errors(&scratch, "docker-archive:two.tar"), ["ref-name-repeated"]);
}

/// What no reader takes for a name goes with a word, and nothing is written under it.
#[test]
fn names_that_a_target_cannot_hold_are_told() {
    let scratch = Scratch::new();
    let digest = "a".repeat(64);
    let pinned = format!("app@sha256:{digest}");
    for (names, in_layout, in_docker) in [
        (&["<none>:<none>", "app:v1"][..], Ok("app:v1"), Ok("app:v1")),
        (&["<none>:<none>"], Ok("(no name)"), Ok("(no name)")),
        (&["Team/App:v1"], Ok("Team/App:v1"), Err("Team/App:v1")),
        (&["App_!:v1"], Err("App_!:v1"), Err("App_!:v1")),
        (&[&pinned], Ok(&*pinned), Err(&*pinned)),
    ] {
        docker_archive(&scratch.join("foreign.tar"), &[names]);
        for (target, expected) in [("oci:out", in_layout), ("docker-archive:out.tar", in_docker)] {
            let said = done(&scratch, &["convert", "docker-archive:foreign.tar", target]);
            let warning = |name: &str| said.contains("warning: ") && said.contains(&format!("{name}` is no name"));
            let (listed, _) = &listed(&scratch, target)[0];
            match expected {
                Ok(name) => assert!(said.is_empty() && listed.ends_with(name), "{names:?}, {target}: {listed}: {said}"),
                Err(name) => assert!(warning(name) && listed == "(no name)", "{names:?}, {target}: {listed}: {said}"),
            }
            assert_eq!(errors(&scratch, target), [""; 0]);
        }
        fs::remove_dir_all(scratch.join("out")).unwrap();
        fs::remove_file(scratch.join("out.tar")).unwrap();
    }
}

#[test]
fn one_image_may_have_a_name_in_two_spellings() {
    let scratch = Scratch::new();
    docker_archive(&scratch.join("one.tar"), &[&["app:v1", "docker.io/library/app:v1"]]);
    assert_eq!(errors(&scratch, "docker-archive:one.tar"), [""; 0]);
    let _ = done(&scratch, &["convert", "docker-archive:one.tar", "oci:out"]);
    assert_eq!(errors(&scratch, "oci:out"), [""; 0]);
    // As Docker saves one image of two repositories.
    let layout = ByHand::at(&scratch.join("saved"));
    let app = image(&layout, "app");
    layout.list(&[saved(&app, "app"), saved(&app, "db")]);
    assert_eq!(errors(&scratch, "oci:saved"), [""; 0]);
}

#[test]
fn what_is_converted_again_is_there_once() {
    let scratch = Scratch::new();
    let _ = saved_by_docker(&scratch.join("T"));
    for archive in ["docker-archive:T.tar", "oci-archive:T-too.tar"] {
        let _ = done(&scratch, &["convert", "oci:T", archive]);
    }
    let copies = ["oci:T", "docker-archive:T.tar", "oci-archive:T-too.tar", "oci-archive:T.tar", "oci:T:app:latest"];
    for (number, first) in copies.iter().enumerate() {
        let copy = format!("oci:copy{number}");
        for source in [first].into_iter().chain(&copies).chain(&copies) {
            let _ = done(&scratch, &["convert", source, &copy]);
        }
        let found = listed(&scratch, &copy);
        assert_eq!(found.len(), 2, "{first}: {found:?}");
        assert_eq!(errors(&scratch, &copy), [""; 0]);
    }
    // As it is when the layout was unpacked from the archive.
    let _ = done(&scratch, &["convert", "docker-archive:T.tar", "oci:T"]);
    assert_eq!(listed(&scratch, "oci:T").len(), 2);
}

#[test]
fn what_ls_shows_can_be_typed() {
    let scratch = Scratch::new();
    let layout = ByHand::at(&scratch.join("L"));
    let one = image(&layout, "one");
    // `docker save app db` of one image under two names.
    layout.list(&[saved(&one, "app"), saved(&one, "db"), named(&image(&layout, "two"), "v2")]);
    let names: Vec<String> = listed(&scratch, "oci:L").into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["docker.io/library/app:latest", "docker.io/library/db:latest", "v2"]);
    assert_eq!(run(&scratch, &["inspect", "oci:L:latest", "--json"]).json()["refs"], json!(names[..2]));
    // Docker's grammar has names that are not ref names.
    docker_archive(&scratch.join("odd.tar"), &[&["my__app:v1"], &["app:latest"]]);
    for (image, path) in [("oci", "L"), ("docker-archive", "odd.tar")] {
        for (name, digest) in listed(&scratch, &format!("{image}:{path}")) {
            assert_eq!(found(&scratch, &format!("{image}:{path}:{name}")), digest, "{name}");
        }
    }
}

/// An index and an image that take each other's name are told of in the same words.
#[test]
fn an_index_that_gives_way_to_an_image_is_told() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.join("rootfs")).unwrap();
    fs::write(scratch.join("rootfs/f"), "x").unwrap();
    let layout = ByHand::at(&scratch.join("L"));
    let images = ["amd64", "arm64"].map(|architecture| layout.platform(architecture, None));
    let index = layout.index(&images);
    let entries = [named(&index, "v1"), named(&images[0], "one")];
    for words in [
        &["build", "rootfs", "oci:L:v1", "--arch", "amd64", "--owner", "0:0"][..],
        &["convert", "oci:L:v1", "oci:L:v1", "--platform", "arm64"],
        &["squash", "oci:L:one", "oci:L:v1"],
        &["tag", "oci:L:one", "v1"],
    ] {
        layout.list(&entries);
        let said = done(&scratch, words);
        let told = format!("was the index {}, and is one image now: it has lost its name\n", &digest(&index)[..19]);
        assert!(said.ends_with(&told) && said.lines().count() == 1, "{words:?}: {said}");
    }
    // With another name, nothing is lost.
    layout.list(&[entries[0].clone(), entries[1].clone(), named(&index, "v2")]);
    assert_eq!(done(&scratch, &["tag", "oci:L:one", "v1"]), "");
}

/// umoci and skopeo rename an image by its ref name, and leave the full name of the old one in containerd's annotation.
#[test]
fn a_full_name_that_another_tool_left_behind_is_no_name() {
    let scratch = Scratch::new();
    docker_archive(&scratch.join("d.tar"), &[&["reg:5000/app:v1"]]);
    done(&scratch, &["convert", "d.tar", "docker-archive:full.tar"]);
    done(&scratch, &["convert", "full.tar", "oci:l"]);
    let path = scratch.join("l/index.json");
    let mut index: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let old = index["manifests"][0].clone();
    let names = |name: &str| json!({REF_NAME: name, CONTAINERD_NAME: "reg:5000/app:v1"});
    assert_eq!(old["annotations"], names("v1"));
    let renamed = with(old.clone(), &json!({"annotations": names("v2")}));
    index["manifests"].as_array_mut().unwrap().push(renamed);
    fs::write(&path, index.to_string()).unwrap();

    // Both are told apart after one of them has changed.
    done(&scratch, &["config", "oci:l:v1", "--env", "A=1"]);
    let new = found(&scratch, "oci:l:v1");
    assert_ne!(new, digest(&old));
    let both = [("v1".to_owned(), new.clone()), ("v2".to_owned(), digest(&old).to_owned())];
    assert_eq!(listed(&scratch, "oci:l"), both);
    assert_eq!(found(&scratch, "oci:l:reg:5000/app:v1"), new);
    assert_eq!(errors(&scratch, "oci:l"), [""; 0]);
    // Archives give none of them a name that it does not have.
    done(&scratch, &["convert", "oci:l", "oci-archive:o.tar"]);
    done(&scratch, &["convert", "o.tar", "oci:back"]);
    let back: Value = serde_json::from_slice(&fs::read(scratch.join("back/index.json")).unwrap()).unwrap();
    let annotations: Vec<&Value> =
        back["manifests"].as_array().unwrap().iter().map(|entry| &entry["annotations"]).collect();
    assert_eq!(annotations, [&names("v1"), &json!({REF_NAME: "v2"})]);
    let told = done(&scratch, &["convert", "oci:l:v2", "docker-archive:two.tar"]);
    assert!(told.contains("`v2` is no name that Docker knows"), "{told}");
    done(&scratch, &["convert", "oci:l:v1", "docker-archive:one.tar"]);
    assert_eq!(found(&scratch, "docker-archive:one.tar:reg:5000/app:v1"), new);
}
