use std::fs;

use serde_json::{json, Value};

use crate::harness::{
    bytes_of, is_missing, named, names_below, tar_of, with, ByHand, Layout, Member, Peer, Scratch, Tool,
};

/// An image of one file, for amd64.
fn image(layout: &ByHand, name: &str) -> Value {
    layout.image(&[tar_of(&[Member::File(name, name)])], &json!({}))
}

fn digest(descriptor: &Value) -> &str {
    descriptor["digest"].as_str().expect("a digest")
}

/// As it is shown to people.
fn short(descriptor: &Value) -> &str {
    &digest(descriptor)[.."sha256:".len() + 12]
}

fn run(scratch: &Scratch, words: &[&str]) -> crate::harness::Outcome {
    let (verb, args) = words.split_first().expect("a verb");
    Tool::new(verb).args(args).within(scratch.path()).run()
}

/// A layout with two images of one platform that have no names.
fn twins(scratch: &Scratch) -> [Value; 2] {
    let layout = ByHand::at(&scratch.join("l"));
    let twins = [image(&layout, "a"), image(&layout, "b")];
    layout.list(&twins);
    twins
}

#[test]
fn every_verb_takes_a_digest_or_the_beginning_of_one() {
    let scratch = Scratch::new();
    let [a, b] = twins(&scratch);
    let error = run(&scratch, &["inspect", "oci:l"]).error();
    assert!(error.contains("found 2") && error.contains(digest(&a)) && error.contains(digest(&b)), "{error}");
    scratch.small_rootfs();
    fs::write(scratch.join("bill"), "bill").unwrap();
    for (at, wanted) in [digest(&a), short(&b)].into_iter().enumerate() {
        let meant = [&a, &b][at];
        let name = ["a", "b"][at];
        let image = format!("oci:l@{wanted}");
        assert_eq!(run(&scratch, &["inspect", &image, "--json"]).json()["digest"], meant["digest"]);
        assert_eq!(run(&scratch, &["ls", &image, "--json"]).json()[0]["digest"], meant["digest"]);
        let verified = run(&scratch, &["verify", &image, "--json"]).json();
        assert_eq!((&verified["images"], &verified["findings"]), (&json!(1), &json!([])));
        let unpacked = format!("unpacked-{at}");
        run(&scratch, &["unpack", &image, &unpacked]).stdout();
        assert_eq!(names_below(&scratch.join(&unpacked)), [name]);
        assert_eq!(run(&scratch, &["diff", &image, &format!("oci:l@{}", digest(meant))]).code(), 0);
        assert_eq!(run(&scratch, &["diff", &image, &format!("oci:l@{}", digest([&b, &a][at]))]).code(), 1);
        run(&scratch, &["squash", &image, "oci:squashed"]).stdout();
        assert_eq!(Layout::at(&scratch.join("squashed")).latest().last_layer_names(), ["./", name]);
        run(&scratch, &["convert", &image, "oci:converted:v1", "converted.tar:v1", "docker-archive:d.tar:app:v1"])
            .stdout();
        assert_eq!(Layout::at(&scratch.join("converted")).refs()["v1"], digest(meant));
        run(&scratch, &["index", &image, "oci:indexed"]).stdout();
        let words = ["build", "rootfs", "oci:built", "--arch", "amd64", "--base", &image];
        run(&scratch, &words).stdout();
        let built = Layout::at(&scratch.join("built")).latest().manifest;
        assert_eq!(built["annotations"]["org.opencontainers.image.base.digest"], meant["digest"]);

        // In an archive too, and in a docker archive, which has its own digests.
        for archive in ["converted.tar", "docker-archive:d.tar"] {
            let listed = run(&scratch, &["ls", archive, "--json"]).json();
            let image = format!("{archive}@{}", short(&listed[0]));
            assert_eq!(run(&scratch, &["inspect", &image, "--json"]).json()["digest"], listed[0]["digest"]);
        }
        let attached = run(&scratch, &["attach", &image, "bill", "--type", "text/plain", "--json"]).json();
        assert_eq!(attached["subject"], meant["digest"]);
    }
    run(&scratch, &["tag", &format!("oci:l@{}", short(&a)), "one"]).stdout();
    assert_eq!(Layout::at(&scratch.join("l")).refs()["one"], digest(&a));
    let edited = run(&scratch, &["config", &format!("oci:l@{}", short(&b)), "--user", "x", "--json"]).json();
    assert_eq!(edited["images"][0]["previous"], b["digest"]);
    let now = edited["images"][0]["digest"].as_str().unwrap();
    let removed = run(&scratch, &["rm", &format!("oci:l@{now}"), "--json"]).json();
    assert_eq!(removed["removed"][0]["digest"], now);
    let error = run(&scratch, &["inspect", &format!("oci:l@{now}")]).error();
    assert!(error.contains("leads to no image, index or artifact of this digest"), "{error}");
}

#[test]
fn a_digest_reaches_what_no_name_and_no_platform_does() {
    let scratch = Scratch::new();
    let layout = ByHand::at(&scratch.join("l"));
    let windows = |version: &str| {
        let platform = json!({"architecture": "amd64", "os": "windows", "os.version": version});
        with(layout.image(&[], &with(platform.clone(), &json!({"author": version}))), &json!({"platform": platform}))
    };
    let versions = [windows("10.0.1"), windows("10.0.2")];
    let index = layout.index(&versions);
    let other = image(&layout, "other");
    layout.list(&[named(&layout.index(&[index.clone()]), "multi"), named(&other, "other")]);

    let error = run(&scratch, &["inspect", "oci:l:multi", "--platform", "windows/amd64"]).error();
    assert!(versions.iter().all(|image| error.contains(digest(image))), "{error}");
    for meant in &versions {
        for image in [format!("oci:l@{}", digest(meant)), format!("oci:l:multi@{}", short(meant))] {
            assert_eq!(run(&scratch, &["inspect", &image, "--json"]).json()["digest"], meant["digest"]);
            assert_eq!(run(&scratch, &["verify", &image, "--json"]).json()["images"], 1);
            assert_eq!(run(&scratch, &["ls", &image, "--json"]).json().as_array().map(Vec::len), Some(1));
        }
    }
    // A nested index stands for several images.
    let inner = format!("oci:l@{}", short(&index));
    assert_eq!(run(&scratch, &["verify", &inner, "--json"]).json()["images"], 2);
    run(&scratch, &["convert", &inner, "oci:c:v1"]).stdout();
    assert_eq!(Layout::at(&scratch.join("c")).refs()["v1"], digest(&index));
    // The name of the index that lists an image is kept if it was given.
    run(&scratch, &["convert", &format!("oci:l:multi@{}", short(&versions[1])), "oci:n"]).stdout();
    assert_eq!(Layout::at(&scratch.join("n")).refs()["multi"], digest(&versions[1]));
    run(&scratch, &["tag", &format!("oci:l@{}", digest(&versions[0])), "old"]).stdout();
    assert_eq!(Layout::at(&scratch.join("l")).refs()["old"], digest(&versions[0]));

    // After a name it must be the digest of something that the name leads to.
    let error = run(&scratch, &["inspect", &format!("oci:l:other@{}", digest(&versions[0]))]).error();
    assert!(error.contains("`other` does not lead to this digest") && error.contains(digest(&other)), "{error}");
    let error = run(&scratch, &["rm", &format!("oci:l@{}", digest(&versions[1]))]).error();
    assert!(error.contains(&format!("the index {} lists it", digest(&index))) && error.contains("--remove"), "{error}");
}

#[test]
fn what_is_attached_has_a_digest_too() {
    let scratch = Scratch::new();
    let [a, _] = twins(&scratch);
    for file in ["bill", "signature", "note"] {
        fs::write(scratch.join(file), file).unwrap();
    }
    let attach = |image: &str, file: &str| {
        let attached = run(&scratch, &["attach", image, file, "--type", &format!("text/{file}"), "--json"]).json();
        attached["digest"].as_str().unwrap().to_owned()
    };
    let of = |digest: &str| format!("oci:l@{digest}");
    let bill = attach(&of(digest(&a)), "bill");
    let signature = attach(&of(&bill), "signature");
    let note = attach(&of(digest(&a)), "note");
    let listed = run(&scratch, &["ls", &of(digest(&a)), "--json"]).json();
    assert_eq!(listed[0]["attached"][0]["attached"][0]["digest"], signature);
    let found = run(&scratch, &["inspect", &of(&bill), "--attached", "text/signature"]).printed();
    assert_eq!(found, "signature");
    let error = run(&scratch, &["inspect", &of(&bill)]).error();
    assert!(
        error.contains("an image is wanted, found an artifact, text/bill\nhint: it is attached to `oci:"),
        "{error}"
    );
    assert!(error.contains(&format!("@{}`", digest(&a))), "{error}");
    // What the hint names prints it, also where that is an artifact itself.
    for (artifact, content) in [(&bill, "bill"), (&signature, "signature")] {
        let error = run(&scratch, &["inspect", &of(artifact)]).error();
        let (_, hint) = error.split_once("\nhint: it is attached to `").unwrap();
        let (subject, way) = hint.split_once("`, with which `ocibake inspect` and ").unwrap();
        let (option, file) = way.split_once(" `").unwrap();
        let file = file.strip_suffix("` print it").unwrap();
        for by in [file, &file[.."sha256:".len() + 12]] {
            assert_eq!(run(&scratch, &["inspect", subject, option, by]).printed(), content);
        }
    }

    // Removing an artifact also removes what is attached to it, and its entry in the list of its subject.
    let removed = run(&scratch, &["rm", &of(&bill), "--json"]).json();
    let digests: Vec<&str> = removed["removed"].as_array().unwrap().iter().map(digest).collect();
    assert!(digests.contains(&bill.as_str()) && digests.contains(&signature.as_str()), "{digests:?}");
    let layout = Layout::at(&scratch.join("l"));
    assert_eq!(layout.refs().len(), 1, "{:#}", layout.index());
    let attached = run(&scratch, &["inspect", &of(digest(&a)), "--json"]).json()["attached"].clone();
    assert_eq!(attached.as_array().unwrap().iter().map(digest).collect::<Vec<_>>(), [note.as_str()]);
    run(&scratch, &["gc", "oci:l"]).printed();
    assert_eq!(run(&scratch, &["verify", "oci:l"]).printed(), "");
    // With the last entry the list is removed.
    run(&scratch, &["rm", &of(&note)]).printed();
    assert_eq!(layout.index()["manifests"].as_array().map(Vec::len), Some(2));
}

/// What was attached to an image keeps it when the image is edited, so that the edit can be undone.
#[test]
fn what_only_an_artifact_keeps_can_be_given_its_name_back() {
    let scratch = Scratch::new();
    let layout = ByHand::at(&scratch.join("l"));
    let old = image(&layout, "a");
    layout.list(&[named(&old, "v1")]);
    fs::write(scratch.join("note"), "note").unwrap();
    run(&scratch, &["attach", "oci:l:v1", "note", "--type", "text/note"]).printed();
    run(&scratch, &["config", "oci:l:v1", "--env", "A=1"]).stdout();
    assert_ne!(Layout::at(&scratch.join("l")).refs()["v1"], digest(&old));
    run(&scratch, &["gc", "oci:l"]).printed();

    let of = |digest: &str| format!("oci:l@{digest}");
    for by in [of(digest(&old)), of(short(&old))] {
        assert_eq!(run(&scratch, &["inspect", &by, "--json"]).json()["digest"], old["digest"]);
    }
    // The algorithm belongs to a digest.
    for (typed, meant) in [("oci:l@", "oci:l@"), ("oci:l:v1@", "oci:l:v1@")] {
        let digits = &short(&old)["sha256:".len()..];
        let error = run(&scratch, &["inspect", &format!("{typed}{digits}")]).error();
        let hint = format!("hint: a digest begins with its algorithm: write `{meant}sha256:{digits}`");
        assert!(error.contains(&hint), "{error}");
    }
    // It has no entry that could be changed.
    let seen = run(&scratch, &["inspect", &of(digest(&old)), "--json"]).json();
    let note = &seen["attached"][0];
    let by_rm = format!("hint: remove what is attached to it with `ocibake rm` ({}), then `ocibake gc`", digest(note));
    for (verb, hint) in [
        (&["rm", &of(digest(&old))][..], by_rm.as_str()),
        (&["config", &of(digest(&old)), "--env", "B=1"], "hint: give it a name with `ocibake tag` first"),
    ] {
        let error = run(&scratch, verb).error();
        assert!(error.contains("no entry of `index.json` leads to it") && error.contains(hint), "{error}");
    }
    let _ = std::process::Command::new("cp").args(["-r", "l", "copy"]).current_dir(scratch.path()).status().unwrap();
    run(&scratch, &["rm", &format!("oci:copy@{}", digest(note))]).printed();
    let freed = run(&scratch, &["gc", "oci:copy", "--json"]).json()["freed"].to_string();
    assert!(freed.contains(digest(&old)), "what the hint says removes it: {freed}");
    run(&scratch, &["convert", &of(digest(&old)), "oci:c:v1"]).stdout();
    assert_eq!(Layout::at(&scratch.join("c")).refs()["v1"], digest(&old));
    run(&scratch, &["tag", &of(digest(&old)), "v1"]).stdout();
    assert_eq!(Layout::at(&scratch.join("l")).refs()["v1"], digest(&old));
    run(&scratch, &["gc", "oci:l"]).printed();
    assert_eq!(run(&scratch, &["verify", "oci:l"]).printed(), "");
    // A subject that is missing is none.
    let blob = digest(&old).replace("sha256:", "l/blobs/sha256/");
    fs::remove_file(scratch.join(&blob)).unwrap();
    run(&scratch, &["rm", "oci:l:v1"]).printed();
    let error = run(&scratch, &["inspect", &of(digest(&old))]).error();
    assert!(error.contains("leads to no image"), "{error}");
}

#[test]
fn digests_that_begin_alike_are_listed() {
    let scratch = Scratch::new();
    let layout = ByHand::at(&scratch.join("l"));
    let here = image(&layout, "here");
    let alike = |last: &str| {
        let digest = format!("{}{last}", &digest(&here)[..digest(&here).len() - 1]);
        with(here.clone(), &json!({"digest": digest}))
    };
    let others = ["0", "1"].map(alike);
    let other = others.iter().find(|other| other["digest"] != here["digest"]).unwrap();
    layout.list(&[here.clone(), layout.index(&[other.clone()])]);
    let error = run(&scratch, &["inspect", &format!("oci:l@{}", short(&here))]).error();
    assert!(error.contains("found 2 that begin so") && error.contains(digest(&here)), "{error}");
    assert!(error.contains(digest(other)), "{error}");
    let seen = run(&scratch, &["inspect", &format!("oci:l@{}", digest(&here)), "--json"]).json();
    assert_eq!(seen["digest"], here["digest"]);
}

#[test]
fn a_digest_is_no_name_for_what_is_written() {
    let scratch = Scratch::new();
    let [a, b] = twins(&scratch);
    scratch.small_rootfs();
    let before = bytes_of(scratch.path());
    let (image, part) = (format!("oci:l@{}", digest(&a)), format!("@{}", digest(&b)));
    let targets =
        ["oci:new", "oci:new:v1", "oci:l", "new.tar", "oci-archive:new.tar:v1", "docker-archive:new.tar:app:v1"];
    for target in targets.map(|target| format!("{target}{part}")) {
        let (image, target) = (image.as_str(), target.as_str());
        for words in [
            &["build", "rootfs", target, "--arch", "amd64"][..],
            &["convert", image, target],
            &["squash", image, target],
            &["index", image, target],
            &["index", image, target, "--add", "--flat"],
        ] {
            let error = run(&scratch, words).error();
            assert!(error.contains("a name is wanted, found a digest") && error.contains(&part), "{words:?}: {error}");
        }
    }
    for (words, expected) in [
        (vec!["gc", &image], "a whole layout is wanted"),
        (vec!["rm", &image, "--untagged"], "a whole layout is wanted"),
        (vec!["inspect", "oci:l@sha256:0123"], "12 lower-case hexadecimal digits"),
        (vec!["inspect", "oci:l:v1@sha256:0123"], "12 lower-case hexadecimal digits"),
        (vec!["inspect", "oci:l@sha256:000000000000"], "no image, index or artifact of this digest"),
    ] {
        let error = run(&scratch, &words).error();
        assert!(error.contains(expected), "{words:?}: {error}");
    }
    assert!(bytes_of(scratch.path()) == before);
}

/// Other tools keep names that end in a digest when they copy, be it that of the copied image or of an index around it.
#[test]
fn a_name_may_end_in_a_digest() {
    let scratch = Scratch::new();
    let layout = ByHand::at(&scratch.join("l"));
    let [a, b] = ["a", "b"].map(|name| image(&layout, name));
    let name = format!("app@{}", digest(&b));
    layout.list(&[named(&a, &name), named(&b, "other")]);
    let image = format!("oci:l:{name}");
    assert_eq!(run(&scratch, &["inspect", &image, "--json"]).json()["digest"], a["digest"]);
    // A digest in the place of a name is read as a digest.
    let seen = run(&scratch, &["inspect", &format!("oci:l:{}", digest(&b)), "--json"]).json();
    assert_eq!(seen["digest"], b["digest"]);
    let verified = run(&scratch, &["verify", &image, "--json"]).json();
    assert_eq!((&verified["images"], &verified["findings"]), (&json!(1), &json!([])));
    let edited = run(&scratch, &["config", &image, "--user", "x", "--json"]).json();
    assert_eq!(edited["refs"], json!([name]));
    run(&scratch, &["rm", &image]).printed();
    assert_eq!(Layout::at(&scratch.join("l")).refs().into_keys().collect::<Vec<_>>(), ["other"]);
}

#[test]
fn a_path_may_look_like_a_digest() {
    let scratch = Scratch::new();
    let [a, _] = twins(&scratch);
    for path in ["team@home", "x@sha256:0123456789ab", "x@sha256"] {
        run(&scratch, &["convert", &format!("oci:l@{}", digest(&a)), "oci:c:v1"]).stdout();
        fs::rename(scratch.join("c"), scratch.join(path)).unwrap();
        for part in [String::new(), ":v1".to_owned(), format!("@{}", short(&a)), format!(":v1@{}", digest(&a))] {
            for transport in ["", "oci:"] {
                let seen = run(&scratch, &["inspect", &format!("{transport}{path}{part}"), "--json"]).json();
                assert_eq!(seen["digest"], a["digest"], "{transport}{path}{part}");
            }
        }
    }
    assert!(is_missing(&scratch.join("x")));
}

/// `ls` of a layout with names, a nested index, an artifact and its list opens the index and each document once, and no
/// layer, whether it is there or not.
#[test]
fn each_document_is_opened_once() {
    let Some(strace) = Peer::find("strace") else { return };
    let scratch = Scratch::new();
    let layout = ByHand::at(&scratch.join("l"));
    let images = [image(&layout, "a"), image(&layout, "b")];
    let artifact = layout.artifact(&images[0], "note");
    let list = layout.index(&[artifact.clone()]);
    let tag = digest(&images[0]).replace(':', "-");
    let index = layout.index(&images);
    let entries =
        [named(&index, "multi"), named(&index, "again"), named(&images[0], "a"), named(&list, &tag), artifact];
    layout.list(&entries);
    for words in [
        &["ls", "oci:l"][..],
        &["inspect", "oci:l:a"],
        &["tag", "oci:l:a", "b"],
        &["rm", "oci:l:b"],
        &["gc", "oci:l"],
        &["config", "oci:l:a", "--user", "x", "--tag", "x"],
    ] {
        let trace = scratch.join("trace");
        let _ = fs::remove_file(&trace);
        let (verb, args) = words.split_first().unwrap();
        let tool = Tool::new(verb).args(args).within(scratch.path());
        let strace =
            [strace.path().as_os_str(), "-f".as_ref(), "-e".as_ref(), "trace=open,openat".as_ref(), "-o".as_ref()];
        tool.behind(strace.into_iter().chain([trace.as_os_str()])).run().printed();
        let opened = openings(&fs::read_to_string(&trace).unwrap());
        assert!(opened.iter().any(|name| name.ends_with("index.json")), "{words:?}: {opened:?}");
        let mut once = opened.clone();
        once.dedup();
        assert_eq!(opened, once, "{words:?}");
    }
}

/// The documents of the layout that a trace shows to be opened for reading, sorted.
fn openings(trace: &str) -> Vec<String> {
    let opened = trace.lines().filter(|line| line.contains("O_RDONLY") && !line.contains(" = -1 "));
    let names = opened.filter_map(|line| line.split('"').nth(1)).map(str::to_owned);
    let mut names: Vec<String> = names.filter(|name| name.starts_with("l/blobs/") || name == "l/index.json").collect();
    names.sort();
    names
}
