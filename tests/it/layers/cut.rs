use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::json;

use super::made::{build, image, make, members, TREE};
use crate::harness::{
    assert_same, list_directory, root, tar_of, FakeRoot, Faker, Fixture, Member, Order, Peer, Scratch, Tool,
};

/// The tree of an image on disk.
fn unpacked(scratch: &Scratch, image: &str) -> crate::harness::Listing {
    let out = scratch.join("unpacked");
    let _ = fs::remove_dir_all(&out);
    let tool = Tool::new("unpack").args([image, "unpacked", "--rootless", "-q"]).within(scratch.path());
    assert_eq!(tool.run().stdout(), "");
    list_directory(&out)
}

#[test]
fn each_layer_has_its_own_and_what_leads_to_it() {
    let scratch = Scratch::new();
    let rootfs = make(&scratch);
    let _ = build(&scratch, &rootfs).oci(&scratch.join("out")).bake();
    let image = image(&scratch, "out");
    assert_eq!(
        members(&image),
        [
            "libs: ./0 usr/0 usr/lib/0 usr/lib/libc.so usr/lib/libz.so",
            "app: ./0 etc/0 etc/app.conf usr/0 usr/bin/0 usr/bin/app usr/share/0 usr/share/app/0 usr/share/app/words \
             usr/share/app/words2 var/0 var/app/0",
            "generated: ./0 etc/0 etc/passwd",
            "shell: ./ etc/ usr/ usr/bin/ usr/bin/sh usr/lib/ usr/share/ usr/share/app/ var/ var/app/",
        ]
    );
    let groups: Vec<&str> = image.manifest["layers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|layer| layer["annotations"]["io.github.ocibake.groups"].as_str().unwrap())
        .collect();
    // A second name of a file goes with the file, although no package owns it.
    assert_eq!(groups, ["glibc=2.39 zlib=1.3", "app=1.0-r0 generated", "generated", "busybox=1.36"]);
    let history = image.config["history"].as_array().unwrap();
    for (step, (name, groups)) in history.iter().zip(["libs", "app", "generated", "shell"].into_iter().zip(groups)) {
        assert_eq!(step["created_by"], format!("ocibake build: layer {name}"));
        assert_eq!((&step["comment"], step.get("empty_layer")), (&json!(groups), None));
    }
    assert_eq!(history.len(), 4);
    assert_same(&list_directory(&rootfs), &unpacked(&scratch, "oci:out"), "the layers");
}

#[test]
fn everything_that_a_layer_holds_comes_through_every_cut() {
    let scratch = Scratch::new();
    if !root() {
        return;
    }
    let rootfs = scratch.rootfs("rootfs", "everything");
    let expected = list_directory(&rootfs);
    let mut map = String::new();
    for (number, path) in expected.keys().enumerate().filter(|(number, _)| number % 5 != 0) {
        let encoded: String = path
            .as_os_str()
            .as_encoded_bytes()
            .iter()
            .map(|byte| match byte {
                b'!'..=b'~' if *byte != b'%' => char::from(*byte).to_string(),
                byte => format!("%{byte:02X}"),
            })
            .collect();
        map.push_str(&format!("/{encoded}\tp{0}\tr{0}\t1\n", number % 4));
    }
    fs::write(scratch.join("map"), map).unwrap();
    let mut umoci = Peer::find("umoci");
    for (number, words) in [&["packages"][..], &["links=**/*l*", "rest=generated,/dev", "one=package:p2", "last=/etc"]]
        .into_iter()
        .enumerate()
    {
        let out = format!("out-{number}");
        let mut tool = Tool::build(&rootfs).arg(format!("oci:{out}:v1")).args(["--package-map", "map"]);
        for word in words {
            tool = tool.args(["--layers", word]);
        }
        let _ = tool.within(scratch.path()).run().digest_despite_warnings();
        assert_same(&expected, &unpacked(&scratch, &format!("oci:{out}")), &format!("{words:?}"));
        let verified = Tool::new("verify").arg(format!("oci:{out}")).within(scratch.path()).run();
        assert_eq!(verified.code(), 0, "{}", verified.printed());
        // Only one of them, because one writes the holes that the other leaves out.
        if let Some(umoci) = umoci.take() {
            let theirs = scratch.join("theirs");
            let source = format!("{}:v1", scratch.join(&out).display());
            umoci.run(["unpack".as_ref(), "--image".as_ref(), source.as_ref(), theirs.as_os_str()]);
            let mut theirs_listing = list_directory(&theirs.join("rootfs"));
            // Go counts nanoseconds in 64 bits, which end in 2262.
            let late = Path::new("times/largest-of-ext4");
            theirs_listing.get_mut(late).unwrap().mtime = expected[late].mtime;
            assert_same(&expected, &theirs_listing, &format!("umoci, {words:?}"));
            fs::remove_dir_all(theirs).unwrap();
        }
    }
}

/// A plan of one layer gives the same bytes as a build without a plan.
#[test]
fn one_layer_has_the_bytes_that_it_has_without_a_plan() {
    let scratch = Scratch::new();
    let rootfs = make(&scratch);
    let _ = Tool::build(&rootfs).oci(&scratch.join("plain")).bake();
    let plain = image(&scratch, "plain");
    assert_eq!(plain.manifest["layers"][0].get("annotations"), None);
    assert_eq!(plain.config["history"][0]["created_by"], "ocibake build");
    for words in ["all=*", "packages:1", "a=/none all=recipe:*,generated"] {
        let tool = Tool::build(&rootfs).oci(&scratch.join("planned")).args(["--package-map", "map", "--layers", words]);
        let _ = tool.within(scratch.path()).run().digest_despite_warnings();
        let planned = image(&scratch, "planned");
        assert_eq!((planned.layers(), planned.diff_id()), (plain.layers(), plain.diff_id()), "{words}");
    }
}

#[test]
fn source_threads_and_target_do_not_matter() {
    let scratch = Scratch::new();
    let rootfs = make(&scratch);
    let expected = build(&scratch, &rootfs).args(["oci:out", "--threads", "1"]).bake();
    for threads in ["2", "7"] {
        assert_eq!(build(&scratch, &rootfs).args(["oci:again", "--threads", threads]).bake(), expected);
    }
    let targets = ["out.tar", "out.tar.zst", "docker-archive:docker.tar:app:v1", "oci:other"];
    assert_eq!(build(&scratch, &rootfs).args(targets).bake(), expected);
    for target in targets {
        let plain = target.strip_suffix(":app:v1").unwrap_or(target);
        assert_same(&list_directory(&rootfs), &unpacked(&scratch, plain), target);
    }
    if let Some(tar) = Peer::find("tar") {
        let archive = scratch.join("rootfs.tar");
        let mut command = tar.command();
        command.args(["--numeric-owner", "-cf"]).arg(&archive).arg("-C").arg(&rootfs).arg(".");
        tar.finish(command);
        assert_eq!(build(&scratch, &archive).args(["oci:archive"]).bake(), expected);
    }
    // The variable, and a variables file, have the same effect.
    let tool = Tool::build(&rootfs).args(["oci:variable", "--package-map", "map"]).env("OCI_IMAGE_LAYERS", "@plan");
    assert_eq!(tool.within(scratch.path()).bake(), expected);
    fs::write(
        scratch.join("vars"),
        "OCI_IMAGE_LAYERS='libs=recipe:glibc,recipe:zlib app=recipe:app generated=generated shell=*'",
    )
    .unwrap();
    let tool = Tool::build(&rootfs).args(["oci:file", "--package-map", "map", "--vars", "vars"]);
    assert_eq!(tool.within(scratch.path()).bake(), expected);
}

#[test]
fn under_a_fake_root_too() {
    let scratch = Scratch::new();
    let owned = TREE.replace("- 1000", "0:0 1000");
    for kind in [Faker::Pseudo, Faker::Fakeroot] {
        let Some(fake) = FakeRoot::new(kind, &scratch) else { continue };
        fake.script("rootfs", &Fixture::parse(&owned).script());
        for (name, text) in [("map", super::made::MAP), ("plan", super::made::PLAN)] {
            fs::write(fake.home().join(name), text).unwrap();
        }
        let args = ["build", "rootfs", "oci:out", "--arch=amd64", "--package-map=map", "--layers=@plan"];
        let digest = fake.tool(args).digest();
        let rootfs = make(&scratch);
        let to_root = ["oci:real", "--owner", "0:0"];
        assert_eq!(build(&scratch, &rootfs).args(to_root).bake(), digest, "{kind:?}");
        fs::remove_dir_all(rootfs).unwrap();
        assert_eq!(fake.log_of_trouble(), Vec::<String>::new());
    }
}

#[test]
fn over_a_base_the_difference_is_cut() {
    let scratch = Scratch::new();
    let rootfs = make(&scratch);
    let _ = Tool::build(&rootfs).args(["oci:base"]).within(scratch.path()).bake();
    let base = image(&scratch, "base");
    let changed = TREE
        .replace("/usr/lib/libz.so noise 2000", "/usr/lib/libz.so noise 2001")
        .replace("/usr/bin/app text app", "/usr/bin/app text new")
        .replace("f 0755 - 1000000007 /usr/bin/sh noise 3000", "f 0644 - 1000000007 /usr/bin/new text new")
        .replace("f 0644 - 1000000002 /etc/app.conf text conf", "");
    fs::remove_dir_all(&rootfs).unwrap();
    Fixture::parse(&changed).make(&rootfs, Order::AsListed);
    let _ = build(&scratch, &rootfs).args(["oci:out", "--base", "oci:base"]).bake();
    let found = image(&scratch, "out");
    assert_eq!(found.layers()[0], base.layers()[0]);
    assert_eq!(
        members(&found)[1..],
        [
            "libs: ./0 etc/0 etc/.wh.app.conf usr/0 usr/bin/0 usr/bin/.wh.sh usr/lib/0 usr/lib/libz.so",
            "app: ./0 usr/0 usr/bin/0 usr/bin/app",
            "generated: ./ etc/ usr/ usr/bin/ usr/bin/new usr/lib/",
        ]
    );
    assert_same(&list_directory(&rootfs), &unpacked(&scratch, "oci:out"), "the layers");

    // Without a change there is no new layer.
    let _ = build(&scratch, &rootfs).args(["oci:same", "--base", "oci:out"]).bake();
    let same = image(&scratch, "same");
    assert_eq!(same.layers(), found.layers());
    assert_eq!(same.config["history"].as_array().unwrap().last().unwrap()["empty_layer"], true);
}

/// The database is read from the base, without unpacking it.
#[test]
fn over_a_base_with_the_upper_directory_of_an_overlay() {
    let scratch = Scratch::new();
    let lower = scratch.join("lower");
    Fixture::parse(&TREE.replace("/usr/lib/libz.so", "/usr/lib/libc.so.6")).make(&lower, Order::AsListed);
    super::owners::copy_database("opkg", &lower);
    let _ = Tool::build(&lower).args(["oci:base", "--compression", "zstd"]).within(scratch.path()).bake();
    let upper = "d 0755 - 1000000000 /\nd 0755 - 1000000004 /usr\nd 0755 - 1000000008 /usr/lib
        f 0644 - 1000000009 /usr/lib/libc.so.6 text new\nf 0644 - 1000000009 /usr/lib/mine text new";
    Fixture::parse(upper).make(&scratch.join("upper"), Order::AsListed);
    symlink("usr/lib", scratch.join("upper/lib")).unwrap();
    let args = ["oci:out", "--base", "oci:base", "--overlay-upper", "upper", "--layers", "packages"];
    let _ = Tool::new("build").args(args).within(scratch.path()).bake();
    let members = members(&image(&scratch, "out"));
    assert_eq!(members.len(), 3, "{members:?}");
    assert_eq!(members[1], "glibc: ./0 usr/0 usr/lib/0 usr/lib/libc.so.6");
    assert!(members[2].starts_with("generated: ./ lib usr/ usr/lib/ usr/lib/mine"), "{members:?}");
}

#[test]
fn the_report_lists_the_layers() {
    let scratch = Scratch::new();
    let rootfs = make(&scratch);
    let report = build(&scratch, &rootfs).args(["oci:out", "--json"]).run().json();
    let image = image(&scratch, "out");
    let layers = report["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 4);
    for (number, layer) in layers.iter().enumerate() {
        let stored = &image.manifest["layers"][number];
        assert_eq!((&layer["digest"], &layer["size"]), (&stored["digest"], &stored["size"]));
        assert_eq!(layer["diff_id"], image.config["rootfs"]["diff_ids"][number]);
        assert_eq!(layer["name"], stored["annotations"]["io.github.ocibake.layer"]);
        assert_eq!(layer["groups"], stored["annotations"]["io.github.ocibake.groups"]);
    }
    let sizes: u64 = layers.iter().map(|layer| layer["size"].as_u64().unwrap()).sum();
    assert_eq!(report["stats"]["layer_bytes"], sizes);
}

#[test]
fn plans_that_cannot_be() {
    let scratch = Scratch::new();
    let rootfs = make(&scratch);
    let many: String = (0..121).map(|number| format!("l{number}: /{number}\n")).collect();
    for (name, text) in [
        ("many", many.as_str()),
        ("broken", "a: recipe:a\nb\n"),
        ("twice", "/usr/bin/sh\ta\ta\t1\n/usr/bin/sh\tb\tb\t1\n"),
        ("columns", "/usr/bin/sh a a 1\n"),
    ] {
        fs::write(scratch.join(name), text).unwrap();
    }
    for (args, words) in [
        (&["--layers", "@many"][..], "`@many` is not accepted: many: at most 120 layers expected, found 121"),
        (&["--layers", "@broken"], "`@broken` is not accepted: broken:2: `NAME: SELECTOR…` expected, found `b`"),
        (
            &["--layers", "@missing"],
            "`@missing` is not accepted: cannot read the plan `missing`: No such file or directory",
        ),
        (&["--layers", "plan"], "(a plan file is `@plan`)"),
        (&["--layers", "packages:0"], "`packages:0`: a number from 1 to 120 expected"),
        (&["--layers", "a=recipe:[x"], "`[x` is not a pattern"),
        (
            &["--layers", "packages", "--package-map", "twice"],
            "twice:2: `/usr/bin/sh`: one owner expected, found b, and a in line 1",
        ),
        (
            &["--layers", "packages", "--package-map", "columns"],
            "columns:1: path, package, recipe and version expected",
        ),
        (&["--layers", "packages", "--package-map", "none"], "cannot read `none`"),
    ] {
        let error = Tool::build(&rootfs).args(["oci:out"]).args(args).within(scratch.path()).run().error();
        assert!(error.contains(words), "{error}");
        assert!(scratch.join("out").symlink_metadata().is_err());
    }
}

#[test]
fn selectors_that_take_nothing_are_named() {
    let scratch = Scratch::new();
    let rootfs = make(&scratch);
    let words = "a=recipe:glbic b=/usr/lib/libz c=recipe:busybox,package:nope d=* e=/etc";
    let tool = Tool::build(&rootfs).args(["oci:out", "--package-map", "map", "--layers", words, "--json"]);
    let report = tool.within(scratch.path()).run().json();
    let expected = json!([
        "layer `a`: `recipe:glbic` takes nothing: did you mean `recipe:glibc`",
        "layer `b`: `/usr/lib/libz` takes nothing",
        "layer `c`: `package:nope` takes nothing",
        "layer `e`: `/etc` takes nothing: what it matches is in other layers",
    ]);
    assert_eq!(report["warnings"], expected);
    // Without a map and without a database.
    let tool = Tool::build(&rootfs).args(["oci:out", "--layers", "a=recipe:glibc"]).within(scratch.path()).run();
    assert!(tool.stderr().contains("no package map, and no database of dpkg, opkg or apk"), "{}", tool.stderr());
}

/// The maximum number of layers, some of them with one small file, on few threads.
#[test]
fn many_small_layers() {
    let scratch = Scratch::new();
    let names: Vec<String> = (0..119).map(|number| format!("file-{number:03}")).collect();
    let members: Vec<Member<'_>> = names.iter().map(|name| Member::File(name, name)).collect();
    fs::write(scratch.join("rootfs.tar"), tar_of(&members)).unwrap();
    let plan: String = names.iter().map(|name| format!("{name}: /{name}\n")).collect();
    fs::write(scratch.join("plan"), plan).unwrap();
    for compression in ["gzip", "zstd", "none"] {
        let args =
            ["rootfs.tar", "oci:out", "--arch=amd64", "--layers=@plan", "--threads=2", "--compression", compression];
        let _ = Tool::new("build").args(args).within(scratch.path()).bake();
        assert_eq!(image(&scratch, "out").layers().len(), 119);
    }
    assert_eq!(unpacked(&scratch, "oci:out").len(), 120);
}
