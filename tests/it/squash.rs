use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::harness::{
    assert_same, is_missing, list_directory, make_layout, root, tar_of, Fixture, Grown, Layout, Member, Order, Peer,
    Scratch, Tool,
};
use crate::verify::members::{directory, file, pax, Member as RawMember};

fn oci(layout: &Path, name: &str) -> String {
    format!("oci:{}:{name}", layout.display())
}

/// Twelve trees in one rootfs that change three times: every range gives the same tree.
#[test]
fn every_range_is_the_same_tree() {
    let scratch = Scratch::new();
    if !root() {
        return;
    }
    let out = scratch.join("out");
    let mut trees: Vec<Grown> = (101..=112).map(|seed| Grown::from_seed(seed, 14)).collect();
    for (number, name) in ["1", "2", "3", "4"].into_iter().enumerate() {
        let rootfs = scratch.join(name);
        Grown::side_by_side(&trees).make(&rootfs, Order::AsListed);
        let tool = Tool::build(&rootfs).arg(oci(&out, name));
        let _ = if number == 0 { tool } else { tool.args(["--base", &oci(&out, &number.to_string())]) }.bake();
        trees = trees.iter().map(|tree| tree.changed(5)).collect();
    }
    let expected = list_directory(&scratch.join("4"));
    let _ = Tool::build(scratch.join("4")).arg(oci(&out, "flat")).bake();
    let before = Layout::at(&out).image("4").layers();
    for (from, to) in [(1, 4), (2, 4), (1, 2), (2, 3), (3, 3), (4, 4)] {
        let name = format!("{from}-{to}");
        let range = [format!("--from={from}"), format!("--to={to}")];
        let _ = Tool::new("squash").arg(oci(&out, "4")).arg(oci(&out, &name)).args(range).bake();
        let unpacked = scratch.join(&name);
        let _ = Tool::new("unpack").arg(oci(&out, &name)).arg(&unpacked).run().stdout();
        assert_same(&expected, &list_directory(&unpacked), &name);

        let layers = Layout::at(&out).image(&name).layers();
        assert_eq!(layers.len(), 4 - (to - from));
        assert_eq!(layers[..from - 1], before[..from - 1]);
        assert_eq!(layers[from..], before[to..]);
        if from == 1 && to == 4 {
            assert_eq!(layers, Layout::at(&out).image("flat").layers());
        }
    }
    if let Some(umoci) = Peer::find("umoci") {
        for name in ["4", "1-4", "2-3"] {
            let bundle = scratch.join(&format!("bundle-{name}"));
            umoci.run(["unpack", "--image", &format!("{}:{name}", out.display()), &bundle.display().to_string()]);
            assert_same(&expected, &list_directory(&bundle.join("rootfs")), &format!("umoci, {name}"));
        }
    }
}

/// Layers of other tools, with opaque whiteouts in any position and hard links whose first names were removed.
#[test]
fn all_that_layers_can_say_is_folded() {
    use Member::{Directory, File, Hardlink, Symlink};
    let scratch = Scratch::new();
    if !root() {
        return;
    }
    let out = scratch.join("out");
    let layers = [
        vec![
            Directory("./"),
            Directory("bin"),
            File("bin/sh", "sh"),
            Directory("d"),
            File("d/low", "1"),
            File("first", "linked"),
            Hardlink("second", "first"),
            Hardlink("third", "first"),
            File("file", "1"),
            Directory("foobar"),
            File("foobar/x", "1"),
        ],
        vec![
            Directory("d"),
            File("d/high", "2"),
            File("d/.wh..wh..opq", ""),
            File(".wh.first", ""),
            File(".wh.foo", ""),
        ],
        vec![Symlink("bin", "usr/bin"), File("second", "other"), Directory("file"), File("file/x", "3")],
    ];
    make_layout(&out, &layers.map(|members| tar_of(&members)));
    let _ = Tool::new("squash").arg(oci(&out, "latest")).arg(oci(&out, "flat")).bake();
    let expected = Fixture::parse(
        "d 0755 0:0 1 /
         l 0777 0:0 1 /bin usr/bin
         d 0755 0:0 1 /d
         f 0644 0:0 1 /d/high text 2
         d 0755 0:0 1 /file
         f 0644 0:0 1 /file/x text 3
         d 0755 0:0 1 /foobar
         f 0644 0:0 1 /foobar/x text 1
         f 0644 0:0 1 /second text other
         f 0644 0:0 1 /third text linked",
    );
    if let Some(python) = Peer::python() {
        assert_same(&expected.listing(), &Layout::at(&out).image("flat").listing(&python), "python");
    }
    if let Some(umoci) = Peer::find("umoci") {
        let bundle = scratch.join("bundle");
        umoci.run(["unpack", "--image", &format!("{}:flat", out.display()), &bundle.display().to_string()]);
        assert_same(&expected.listing(), &list_directory(&bundle.join("rootfs")), "umoci");
    }
    let unpacked = scratch.join("unpacked");
    let _ = Tool::new("unpack").arg(oci(&out, "latest")).arg(&unpacked).run().stdout();
    assert_same(&expected.listing(), &list_directory(&unpacked), "the layers one by one");
}

#[test]
fn history_and_configuration_stay_truthful() {
    let scratch = Scratch::new();
    let (rootfs, out) = (scratch.small_rootfs(), scratch.join("out"));
    let _ = Tool::build(&rootfs).arg(oci(&out, "1")).args(["--cmd", "/bin/sh", "--created", "5"]).bake();
    let step = |old: &str, new: &str| {
        let _ = Tool::new("build")
            .arg(&rootfs)
            .arg(oci(&out, new))
            .args(["--base", &oci(&out, old), "--created", new])
            .bake();
    };
    step("1", "2");
    fs::write(rootfs.join("a"), "a").unwrap();
    step("2", "3");
    fs::write(rootfs.join("b"), "b").unwrap();
    step("3", "4");
    let before = Layout::at(&out).image("4");
    let shown = |config: &Value| -> Vec<String> {
        let show = |step: &Value| {
            let empty = if step["empty_layer"] == true { "-" } else { "+" };
            format!("{empty} {} {}", step["created_by"].as_str().unwrap(), &step["created"].as_str().unwrap()[17..19])
        };
        config["history"].as_array().unwrap().iter().map(show).collect()
    };
    assert_eq!(
        shown(&before.config),
        ["+ ocibake build 05", "- ocibake build 02", "+ ocibake build 03", "+ ocibake build 04"]
    );
    for (args, expected) in [
        (
            &[][..],
            &[
                "- ocibake build 05",
                "- ocibake build 02",
                "- ocibake build 03",
                "- ocibake build 04",
                "+ ocibake squash 04",
            ][..],
        ),
        (
            &["--to", "2"],
            &[
                "- ocibake build 05",
                "- ocibake build 02",
                "- ocibake build 03",
                "+ ocibake squash 04",
                "+ ocibake build 04",
            ],
        ),
        (
            &["--from", "2"],
            &[
                "+ ocibake build 05",
                "- ocibake build 02",
                "- ocibake build 03",
                "- ocibake build 04",
                "+ ocibake squash 04",
            ],
        ),
    ] {
        let _ = Tool::new("squash").arg(oci(&out, "4")).arg(oci(&out, "flat")).args(args).bake();
        let flat = Layout::at(&out).image("flat");
        assert_eq!(shown(&flat.config), expected, "{args:?}");
        assert_eq!(flat.config["config"], before.config["config"]);
        assert_eq!(flat.config["created"], before.config["created"]);
        assert_eq!(Tool::new("verify").arg(oci(&out, "flat")).run().code(), 0);
    }
    let (layers, number) = ("the image has layers 1 to 3", "a whole number from 1 on");
    for (args, reason) in
        [(&["--from", "0"][..], number), (&["--to", "4"], layers), (&["--from", "3", "--to", "2"], layers)]
    {
        let target = oci(&scratch.join("nothing"), "x");
        let error = Tool::new("squash").arg(oci(&out, "4")).arg(target).args(args).run().error();
        assert!(error.contains(reason), "{error}");
        assert!(is_missing(&scratch.join("nothing")));
    }
}

#[test]
fn the_bytes_do_not_depend_on_threads_and_go_to_any_target() {
    let scratch = Scratch::new();
    let (rootfs, out, archive) = (scratch.small_rootfs(), scratch.join("out"), scratch.join("a.tar.gz"));
    let _ = Tool::build(&rootfs).arg(oci(&out, "1")).bake();
    fs::write(rootfs.join("a"), "a".repeat(3_000_000)).unwrap();
    let _ = Tool::new("build").arg(&rootfs).arg(oci(&out, "2")).args(["--base", &oci(&out, "1")]).bake();
    let squash = |threads: &str| {
        let args = ["--threads", threads, "--compression", "zstd"];
        Tool::new("squash").arg(oci(&out, "2")).arg(oci(&out, "flat")).archive(&archive).args(args).bake()
    };
    let digest = squash("1");
    assert_eq!(squash("7"), digest);
    assert_eq!(Layout::at(&out).image("flat").digest(), digest);
    let difference = Tool::new("diff").arg(oci(&out, "flat")).arg(format!("oci-archive:{}", archive.display())).run();
    assert_eq!(difference.code(), 0, "{}", difference.printed());
}

/// What nothing could set is not carried on.
#[test]
fn what_is_written_is_clean() {
    let scratch = Scratch::new();
    let large = "v".repeat(70_000);
    let long = format!("SCHILY.xattr.user.{}", "n".repeat(300));
    let records = [("SCHILY.xattr.user.big", large.as_str()), (&long, "x"), ("SCHILY.xattr.user.kept", "y")];
    let members = [directory("./"), pax(&records), file("f", "x"), pax(&records), file("g", "x")];
    let tar: Vec<u8> = members.iter().flat_map(RawMember::bytes).chain([0; 1024]).collect();
    make_layout(&scratch.join("odd"), &[tar]);
    let outcome = Tool::new("squash").args(["oci:odd", "oci:out"]).within(scratch.path()).run();
    assert_eq!(outcome.stderr().lines().count(), 1, "{}", outcome.stderr());
    assert!(outcome.stderr().contains("tar-xattr-size: /f: "), "{}", outcome.stderr());
    let verified = Tool::new("verify").arg("oci:out").within(scratch.path()).run();
    assert_eq!((verified.printed(), verified.code()), (String::new(), 0));
    let Some(python) = Peer::python() else { return };
    let listing = Layout::at(&scratch.join("out")).latest().listing(&python);
    for name in ["f", "g"] {
        let kept: Vec<&[u8]> = listing[Path::new(name)].xattrs.keys().map(Vec::as_slice).collect();
        assert_eq!(kept, [&b"user.kept"[..]], "{name}");
    }
}
