use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde_json::Value;

use crate::harness::{bytes_of, names_below, sha256, Layout, Peer, Scratch, Tool};

/// Two rootfs that differ in one file.
fn two_rootfs(scratch: &Scratch) -> (std::path::PathBuf, std::path::PathBuf) {
    let (old, new) = (scratch.rootfs("old", "small"), scratch.rootfs("new", "small"));
    fs::write(new.join("etc/hostname"), "another oven\n").unwrap();
    (old, new)
}

#[test]
fn a_new_layout_holds_its_image_and_nothing_else() {
    let scratch = Scratch::new();
    let out = scratch.join("out");
    let _ = Tool::build(scratch.small_rootfs()).oci(&out).bake();
    let image = Layout::at(&out).latest();
    let hex = |descriptor: &Value| descriptor["digest"].as_str().unwrap().trim_start_matches("sha256:").to_owned();
    let mut blobs = [&image.descriptor, &image.manifest["config"], &image.manifest["layers"][0]]
        .map(|descriptor| format!("blobs/sha256/{}", hex(descriptor)));
    blobs.sort();
    let mut expected = vec!["blobs/".to_owned(), "blobs/sha256/".to_owned()];
    expected.extend(blobs);
    expected.extend(["index.json".to_owned(), "oci-layout".to_owned()]);
    assert_eq!(names_below(&out), expected);

    // Like other files of this user, whatever the process was given: readable, and never world-writable.
    for name in names_below(&out) {
        let mode = out.join(&name).metadata().unwrap().mode() & 0o777;
        assert_eq!(mode, if name.ends_with('/') { 0o755 } else { 0o644 }, "{name}");
    }
}

#[test]
fn archives_have_the_checksums_that_sha256sum_wants() {
    let scratch = Scratch::new();
    let Some(sha256sum) = Peer::find("sha256sum") else { return };
    let rootfs = scratch.small_rootfs();
    let check = |archive: &str| {
        let mut command = sha256sum.command();
        command.args(["--strict", "-c", &format!("{archive}.sha256")]).current_dir(scratch.path());
        let said = sha256sum.finish(command);
        assert!(said.ends_with(": OK\n"), "{said}");
    };
    let run = |words: &[&str]| Tool::new(words[0]).args(&words[1..]).arg("--checksum").within(scratch.path());
    let rootfs = rootfs.to_str().unwrap();
    let odd = "new\nline\\.tar";
    let _ =
        run(&["build", rootfs, "a.tar:v1", "oci:out:v1", "docker-archive:d.tar.gz:app:v1", odd, "--arch=amd64"]).bake();
    [odd, "a.tar", "d.tar.gz"].into_iter().for_each(check);
    assert!(!names_below(&scratch.join("out")).iter().any(|name| name.contains("sha256.")));
    let written = fs::read_to_string(scratch.join("a.tar.sha256")).unwrap();
    assert_eq!(written, format!("{}  a.tar\n", sha256(&fs::read(scratch.join("a.tar")).unwrap())));
    // Other verbs too, over an existing file, and if nothing else changes.
    let _ = run(&["convert", "oci:out:v1", "a.tar:v2"]).bake();
    check("a.tar");
    assert_ne!(fs::read_to_string(scratch.join("a.tar.sha256")).unwrap(), written);
    let _ = run(&["squash", "oci:out:v1", "s.tar.xz"]).bake();
    check("s.tar.xz");
    let _ = run(&["index", "oci:out:v1", "i.tar:v1"]).bake();
    check("i.tar");
    fs::remove_file(scratch.join("i.tar.sha256")).unwrap();
    let _ = run(&["index", "oci:out:v1", "i.tar:v1", "--add"]).bake();
    check("i.tar");

    fs::create_dir(scratch.join("no.tar.sha256")).unwrap();
    let before = bytes_of(scratch.path());
    for (target, expected) in [("oci:out:v2", "checksums are for archives"), ("no.tar", "no.tar.sha256")] {
        let error = run(&["convert", "oci:out:v1", target]).run().error();
        assert!(error.contains(expected), "{error}");
        assert!(bytes_of(scratch.path()) == before);
    }
}

#[test]
fn a_layout_gains_the_image_and_keeps_the_rest() {
    let scratch = Scratch::new();
    let (old, new) = two_rootfs(&scratch);
    let out = scratch.join("out");
    let one = Tool::build(&old).target("oci", &out, "one").bake();
    let _ = Tool::build(&old).target("oci", &out, "two").bake();
    let before = bytes_of(&out);
    fs::write(out.join("README"), "somebody's note\n").unwrap();

    let two = Tool::build(&new).target("oci", &out, "two").bake();
    assert_ne!(one, two);
    assert_eq!(Layout::at(&out).refs(), [("one".to_owned(), one.clone()), ("two".to_owned(), two.clone())].into());
    let after = bytes_of(&out);
    for (path, bytes) in before.iter().filter(|(path, _)| *path != Path::new("index.json")) {
        assert!(after[path] == *bytes, "{} changed", path.display());
    }
    assert_eq!(after[Path::new("README")].as_deref(), Some(&b"somebody's note\n"[..]));
    // Three more blobs, and both images are intact.
    assert_eq!(after.len(), before.len() + 3 + 1);
    for name in ["one", "two"] {
        let _ = Layout::at(&out).image(name).stream();
    }

    // Repeating the same run changes nothing at all.
    let _ = Tool::build(&new).target("oci", &out, "two").bake();
    assert!(bytes_of(&out) == after);
}

/// The index's members and descriptors that this tool did not write.
#[track_caller]
fn assert_keeps_foreign(out: &Path, rootfs: &Path) {
    let path = out.join("index.json");
    let mut index: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    index["org.example.member"] = serde_json::json!({"z": [1, null, {"a": 1.5}], "a": "é"});
    index["annotations"] = serde_json::json!({"org.example.note": "kept"});
    index["manifests"][0]["org.example.member"] = Value::from(18_446_744_073_709_551_615_u64);
    fs::write(&path, index.to_string()).unwrap();
    let foreign = bytes_of(out);

    let digest = Tool::build(rootfs).target("oci", out, "ours").bake();
    let mut now: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let descriptors = now["manifests"].as_array_mut().unwrap();
    assert_eq!(descriptors.pop().unwrap()["digest"], digest.as_str());
    now.as_object_mut().unwrap().remove("mediaType");
    index.as_object_mut().unwrap().remove("mediaType");
    assert_eq!(now, index);
    for (path, bytes) in foreign.iter().filter(|(path, _)| *path != Path::new("index.json")) {
        assert!(fs::read(out.join(path)).ok() == *bytes, "{} changed", path.display());
    }
}

#[test]
fn a_layout_of_umoci_is_kept() {
    let scratch = Scratch::new();
    let Some(umoci) = Peer::find("umoci") else { return };
    let (out, rootfs) = (scratch.join("out"), scratch.small_rootfs());
    umoci.run(["init", "--layout", out.to_str().unwrap()]);
    umoci.run(["new", "--image", &format!("{}:theirs", out.display())]);
    assert_keeps_foreign(&out, &rootfs);
    // And umoci can still read everything.
    let list = umoci.run(["list", "--layout", out.to_str().unwrap()]);
    assert_eq!(list.lines().collect::<Vec<_>>(), ["theirs", "ours"]);
    umoci.run(["gc", "--layout", out.to_str().unwrap()]);
    let _ = Layout::at(&out).image("ours").stream();
}

#[test]
fn an_empty_layout_of_umoci_is_filled() {
    let scratch = Scratch::new();
    let Some(umoci) = Peer::find("umoci") else { return };
    let out = scratch.join("out");
    umoci.run(["init", "--layout", out.to_str().unwrap()]);
    let digest = Tool::build(scratch.small_rootfs()).oci(&out).bake();
    assert_eq!(Layout::at(&out).refs(), [("latest".to_owned(), digest)].into());
}

#[test]
fn a_layout_of_skopeo_is_kept() {
    let scratch = Scratch::new();
    let Some(skopeo) = Peer::find("skopeo") else { return };
    let (source, out, rootfs) = (scratch.join("source"), scratch.join("out"), scratch.small_rootfs());
    let _ = Tool::build(&rootfs).oci(&source).args(["--label", "a=b"]).bake();
    skopeo.run([
        "--insecure-policy",
        "copy",
        "-q",
        &format!("oci:{}:latest", source.display()),
        &format!("oci:{}:theirs", out.display()),
    ]);
    assert_keeps_foreign(&out, &rootfs);
}

/// It may be a mount point or the current directory, which cannot be replaced by a rename.
#[test]
fn an_empty_directory_becomes_a_layout_and_stays_itself() {
    let scratch = Scratch::new();
    let (rootfs, out) = (scratch.small_rootfs(), scratch.make_directory("out"));
    let inode = out.metadata().unwrap().ino();
    let digest = Tool::build(&rootfs).arg("oci:.").within(&out).bake();
    assert_eq!(Layout::at(&out).latest().digest(), digest);
    assert_eq!(out.metadata().unwrap().ino(), inode);

    // What a killed run may leave in it does not matter.
    fs::remove_file(out.join("index.json")).unwrap();
    fs::create_dir(out.join(".ocibake-1-0")).unwrap();
    let _ = Tool::build(&rootfs).oci(&out).bake();
    let expected = scratch.join("expected");
    let _ = Tool::build(&rootfs).oci(&expected).bake();
    assert!(bytes_of(&out) == bytes_of(&expected));
}

#[test]
fn links_to_directories_are_followed_and_links_to_archives_are_not() {
    let scratch = Scratch::new();
    let (rootfs, out) = (scratch.small_rootfs(), scratch.make_directory("out"));
    let link = |name: &str, target: &str| {
        std::os::unix::fs::symlink(target, scratch.join(name)).unwrap();
        scratch.join(name)
    };
    let linked = link("linked", "out");
    for name in ["a", "b"] {
        let _ = Tool::build(&rootfs).target("oci", &linked, name).bake();
    }
    assert_eq!(Layout::at(&out).refs().len(), 2);
    // And a link may stand for the rootfs.
    let _ = Tool::build(link("rootfs-link", "rootfs")).target("oci", &out, "c").bake();
    let refs = Layout::at(&out).refs();
    assert_eq!(refs["a"], refs["c"]);

    // A rename would replace the link: think of /dev/stdout.
    fs::write(scratch.join("file"), "kept").unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, scratch.join("pipe"), rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let before = names_below(scratch.path());
    for archive in ["pipe", "to-pipe", "to-file", "to-nothing"] {
        if let Some(target) = archive.strip_prefix("to-") {
            link(archive, target);
        }
        let before = scratch.join(archive).symlink_metadata().unwrap().ino();
        let error = Tool::build(&rootfs).archive(&scratch.join(archive)).run().error();
        assert!(error.contains(archive), "{error}");
        assert_eq!(scratch.join(archive).symlink_metadata().unwrap().ino(), before);
    }
    assert_eq!(fs::read(scratch.join("file")).unwrap(), b"kept");
    assert!(names_below(scratch.path()).len() == before.len() + 3);
    let error = Tool::build(&rootfs).oci(&scratch.join("to-nothing")).run().error();
    assert!(error.contains("symbolic link"), "{error}");
}

#[test]
fn an_archive_is_replaced_whole() {
    let scratch = Scratch::new();
    let (old, new) = two_rootfs(&scratch);
    let (archive, alone) = (scratch.join("image.tar"), scratch.join("alone.tar"));
    let _ = Tool::build(&old).target("oci-archive", &archive, "old").bake();
    let inode = archive.metadata().unwrap().ino();
    let kept = scratch.join("hard-link");
    fs::hard_link(&archive, &kept).unwrap();
    let before = sha256(&fs::read(&kept).unwrap());

    let _ = Tool::build(&new).target("oci-archive", &archive, "new").bake();
    let _ = Tool::build(&new).target("oci-archive", &alone, "new").bake();
    assert!(fs::read(&archive).unwrap() == fs::read(&alone).unwrap());
    // A new file replaces it: links to the old one and open files keep it, as in deploy directories.
    assert_ne!(archive.metadata().unwrap().ino(), inode);
    assert_eq!(sha256(&fs::read(&kept).unwrap()), before);
    assert_eq!(archive.metadata().unwrap().mode() & 0o777, 0o644);
}

#[test]
fn a_blob_that_is_there_but_broken_is_mended() {
    let scratch = Scratch::new();
    let (out, rootfs) = (scratch.join("out"), scratch.small_rootfs());
    let _ = Tool::build(&rootfs).oci(&out).bake();
    let layer = Layout::at(&out).latest().layer_path();
    let good = fs::read(&layer).unwrap();
    for broken in [&good[..good.len() / 2], b"", &[b"x", &good[1..]].concat()] {
        fs::remove_file(&layer).unwrap();
        fs::write(&layer, broken).unwrap();
        let _ = Tool::build(&rootfs).oci(&out).bake();
        assert!(fs::read(&layer).unwrap() == good, "a blob is trusted for its name");
    }
}

#[test]
fn several_targets_hold_one_image() {
    let scratch = Scratch::new();
    let Some(skopeo) = Peer::find("skopeo") else { return };
    let rootfs = scratch.small_rootfs();
    let (one, two) = (scratch.join("one"), scratch.join("two"));
    let archive = scratch.join("an archive of another ending.bin");
    let report = Tool::build(&rootfs)
        .target("oci", &one, "a")
        .target("oci", &two, "registry:5000/b:c")
        .target("oci-archive", &archive, "")
        .args(["--tag", "x", "--tag", "y", "--json"])
        .run()
        .json();
    let digest = report["digest"].as_str().unwrap();
    assert_eq!(Layout::at(&one).refs(), [("a".to_owned(), digest.to_owned())].into());
    assert_eq!(Layout::at(&two).refs(), [("registry:5000/b:c".to_owned(), digest.to_owned())].into());
    let target = |transport: &str, path: &Path| format!("{transport}:{}", path.display());
    assert_eq!(
        report["targets"],
        serde_json::json!([
            {"target": target("oci", &one), "refs": ["a"]},
            {"target": target("oci", &two), "refs": ["registry:5000/b:c"]},
            {"target": target("oci-archive", &archive), "refs": ["x", "y"]},
        ])
    );
    for name in ["x", "y"] {
        let raw = skopeo.run(["inspect", "--raw", &format!("oci-archive:{}:{name}", archive.display())]);
        assert_eq!(format!("sha256:{}", sha256(raw.as_bytes())), digest);
    }

    // A broken target stops all of them.
    fs::write(two.join("index.json"), "{").unwrap();
    let before = bytes_of(scratch.path());
    let error = Tool::build(&rootfs).target("oci", &one, "z").target("oci", &two, "z").run().error();
    assert!(error.contains("index.json"), "{error}");
    assert!(bytes_of(scratch.path()) == before);
}

#[test]
fn names_stand_beside_the_one_that_a_target_gives() {
    let scratch = Scratch::new();
    let (one, two) = (scratch.join("one"), scratch.join("two"));
    let names = |layout: &Path| Layout::at(layout).refs().into_keys().collect::<Vec<_>>();
    let tool = Tool::build(scratch.small_rootfs()).target("oci", &one, "registry:5000/app:v1").oci(&two);
    let additional = ["--additional-tag", ":stable", "--additional-tag", "other:v3", "--additional-tag", ":v1"];
    let _ = tool.args(additional).bake();
    assert_eq!(names(&one), ["other:v3", "registry:5000/app:stable", "registry:5000/app:v1"]);
    assert_eq!(names(&two), ["latest", "other:v3", "stable", "v1"]);

    let (from, to) = (format!("oci:{}:v1", two.display()), format!("oci:{}:flat", two.display()));
    let squash = Tool::new("squash").args([from, to]).args(["--tag", "unused", "--additional-tag=:squashed"]);
    let _ = squash.run().digest_despite_warnings();
    assert_eq!(names(&two), ["flat", "latest", "other:v3", "squashed", "stable", "v1"]);

    let before = bytes_of(scratch.path());
    for (name, words) in [
        ("my__app", "ref name `my__app`"),
        (":v__1", "ref name `v__1`"),
        (":-x", "--additional-tag"),
        (":", "--additional-tag"),
    ] {
        let error = Tool::build(scratch.join("rootfs")).oci(&one).args(["--additional-tag", name]).run().error();
        assert!(error.contains(words), "{error}");
        assert!(bytes_of(scratch.path()) == before);
    }
}

#[test]
fn a_target_in_two_spellings_gains_both_names() {
    let scratch = Scratch::new();
    let rootfs = scratch.small_rootfs();
    let spelt = ["oci:out:a", "oci:./out:b", "oci:rootfs/../out:c"];
    // A layout that is new, and one that is there.
    for _ in 0..2 {
        let running = Tool::build(&rootfs).args(spelt).within(scratch.path()).start();
        let digest = running.wait().digest();
        let refs = ["a", "b", "c"].map(|name| (name.to_owned(), digest.clone()));
        assert_eq!(Layout::at(&scratch.join("out")).refs(), refs.into());
        assert_eq!(names_below(scratch.path()).iter().filter(|name| name.contains(".ocibake-")).count(), 0);
    }
}

#[test]
fn many_at_once_lose_nothing() {
    let scratch = Scratch::new();
    let rootfs = scratch.small_rootfs();
    // The first runs race to make the layout, where there is nothing or an empty directory.
    let empty = scratch.make_directory("empty");
    for out in [scratch.join("nothing"), empty] {
        race(&scratch, &rootfs, &out);
    }
}

fn race(scratch: &Scratch, rootfs: &Path, out: &Path) {
    for round in 0..3 {
        let running: Vec<_> = (0..8)
            .map(|number| {
                let name = format!("{round}-{number}");
                Tool::build(rootfs).target("oci", out, &name).args(["--label", &format!("name={name}")]).start()
            })
            .collect();
        let digests: Vec<String> = running.into_iter().map(|running| running.wait().digest()).collect();
        let refs = Layout::at(out).refs();
        for (number, digest) in digests.iter().enumerate() {
            assert_eq!(refs.get(&format!("{round}-{number}")), Some(digest), "lost: {refs:#?}");
        }
        assert_eq!(refs.len(), 8 * (round + 1));
    }
    for name in Layout::at(out).refs().keys() {
        assert_eq!(Layout::at(out).image(name).config["config"]["Labels"]["name"], name.as_str());
    }
    let left: Vec<_> = names_below(scratch.path()).into_iter().filter(|name| name.contains("ocibake-")).collect();
    assert_eq!(left, Vec::<String>::new());
}

#[test]
fn readers_never_see_half_an_index() {
    let scratch = Scratch::new();
    let (rootfs, out) = (scratch.small_rootfs(), scratch.join("out"));
    let _ = Tool::build(&rootfs).target("oci", &out, "first").bake();
    let mut running = Tool::build(&rootfs).target("oci", &out, "second").args(["--compression", "none"]).start();
    let mut looks = 0;
    while looks < 2000 && !running.is_over() {
        let refs = Layout::at(&out).refs();
        assert!(refs.contains_key("first"));
        for name in refs.keys() {
            let _ = Layout::at(&out).image(name);
        }
        looks += 1;
    }
    let _ = running.wait().digest();
}
