use std::collections::BTreeMap;
use std::fs;

use serde_json::json;

use super::made::{build, image, make, MAP, TREE};
use crate::harness::{Fixture, Order, Peer, Scratch, Tool};

fn plan(scratch: &Scratch, args: &[&str]) -> Tool {
    Tool::new("plan").args(args).args(["--package-map", "map"]).within(scratch.path())
}

/// The lines that are not comments.
fn lines(text: &str) -> Vec<&str> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
}

#[test]
fn a_plan_says_what_each_layer_holds_and_builds_it() {
    let scratch = Scratch::new();
    make(&scratch);
    let text = plan(&scratch, &["rootfs"]).run().stdout();
    let expected = [
        "app: recipe:app",
        "busybox: recipe:busybox",
        "glibc: recipe:glibc",
        "zlib: recipe:zlib",
        "generated: generated",
    ];
    assert_eq!(lines(&text), expected);
    assert!(text.starts_with("# 5 layers, 19.0 kB in 8 entries\n"), "{text}");
    assert!(text.contains("\n# 5.00 kB, 26.3%, 1 entry\nglibc: recipe:glibc\n"), "{text}");

    // It gives the layers of `packages`, and an image is as good a source as a rootfs.
    fs::write(scratch.join("written"), &text).unwrap();
    let tool = |words: &str, to: &str| {
        Tool::build("rootfs").args([to, "--package-map", "map", "--layers", words]).within(scratch.path())
    };
    let digest = tool("packages", "oci:packages").bake();
    assert_eq!(tool("@written", "oci:again").bake(), digest);
    let of_image = plan(&scratch, &["oci:packages"]).run().stdout();
    assert_eq!(lines(&of_image), expected);

    let report = plan(&scratch, &["rootfs", "--layers", "libs=recipe:*libc*", "--json"]).run().json();
    let layer =
        json!({"line": "libs: recipe:*libc*", "name": "libs", "recipes": ["glibc"], "bytes": 5000, "entries": 1});
    assert_eq!((&report["owners"], &report["layers"][0]), (&json!("map"), &layer));
    assert_eq!((&report["layers"][1]["name"], &report["layers"][1]["line"]), (&json!("rest"), &json!(null)));
    let rest = plan(&scratch, &["rootfs", "--layers", "libs=recipe:glibc"]).run().stdout();
    assert!(rest.contains("\n# what no line takes: "), "{rest}");
}

/// Without owners there is nothing that `packages` could tell apart, and a plan without a word would hide it.
#[test]
fn no_owner_of_anything_is_noticed() {
    let scratch = Scratch::new();
    make(&scratch);
    fs::write(scratch.join("elsewhere"), "/none\tp\tr\t1\n").unwrap();
    let none =
        "`packages` finds no packages: there is no package map, and no database of dpkg, opkg or apk in the rootfs";
    let useless = "no path of the package map `elsewhere` is in the rootfs";
    let by_packages = format!("`packages` finds no packages: {useless}");
    let build = ["build", "rootfs", "oci:out", "--arch", "amd64", "--owner", "0:0"];
    for (args, expected) in [
        (&["--layers", "packages"][..], none),
        (&["--layers", "packages", "--package-map", "elsewhere"], &by_packages),
        (&["--layers", "a=/usr", "--package-map", "elsewhere"], useless),
        (&["--layers", "packages", "--package-map", "map"], ""),
        (&["--layers", "a=/usr"], ""),
    ] {
        let expected = if expected.is_empty() { String::new() } else { format!("ocibake: warning: {expected}\n") };
        for words in [&["plan", "rootfs"][..], &build] {
            let outcome = Tool::new(words[0]).args(&words[1..]).args(args).within(scratch.path()).run();
            assert_eq!((outcome.stderr(), outcome.code()), (expected.as_str(), 0), "{words:?} {args:?}");
        }
    }
    let report = Tool::new("plan").args(["rootfs", "--json"]).within(scratch.path()).run().json();
    assert_eq!(report["warnings"], json!([none]));
}

/// Directory, archive plain and compressed, stdin: one plan, and what an update costs.
#[test]
fn every_kind_of_rootfs_is_planned() {
    let scratch = Scratch::new();
    let rootfs = make(&scratch);
    let _ = build(&scratch, &rootfs).args(["oci:out:v1"]).bake();
    fs::write(rootfs.join("usr/bin/app"), "changed").unwrap();
    let Some(tar) = Peer::find("tar") else { return };
    for (name, flags) in [("plain.tar", "-cf"), ("packed.tgz", "-czf"), ("sparse.tar", "-cSf")] {
        let mut command = tar.command();
        command.args(["--numeric-owner", flags]).arg(scratch.join(name)).arg("-C").arg(&rootfs).arg(".");
        tar.finish(command);
    }
    let before = crate::harness::names_below(scratch.path());
    for args in [
        &[][..],
        &["--layers", "@plan", "--simulate", "oci:out:v1"],
        &["--update", "plan", "--old", "oci:out:v1", "--json"],
    ] {
        let expected = plan(&scratch, &["rootfs"]).args(args).run().stdout();
        for archive in ["plain.tar", "packed.tgz", "sparse.tar"] {
            assert_eq!(plan(&scratch, &[archive]).args(args).run().stdout(), expected, "{archive} {args:?}");
            let piped = ["sh", "-c", "f=$1; shift; cat \"$f\" | \"$@\"", "sh", archive];
            assert_eq!(plan(&scratch, &["-"]).args(args).behind(piped).run().stdout(), expected, "- {archive}");
        }
    }
    assert_eq!(crate::harness::names_below(scratch.path()), before);
}

/// A release with another zlib.
fn release(scratch: &Scratch, number: u32) {
    let name = format!("rootfs-{number}");
    let tree = TREE.replace("/usr/lib/libz.so noise 2000", &format!("/usr/lib/libz.so noise {}", 2000 + number));
    let tree = tree.replace("/usr/bin/app text app", &format!("/usr/bin/app text app{}", number / 2));
    Fixture::parse(&tree).make(&scratch.join(&name), Order::AsListed);
    fs::write(scratch.join("map"), MAP).unwrap();
}

#[test]
fn a_plan_learns_which_recipes_change() {
    let scratch = Scratch::new();
    fs::write(scratch.join("first"), "all: recipe:*\ngenerated: generated\n").unwrap();
    let mut args = vec!["--update".to_owned(), "first".to_owned()];
    for number in 0..4 {
        release(&scratch, number);
        let rootfs = format!("rootfs-{number}");
        let tool =
            Tool::build(&rootfs).args([&format!("oci:out:v{number}"), "--package-map", "map", "--layers", "@first"]);
        let _ = tool.within(scratch.path()).bake();
        args.extend(["--old".to_owned(), format!("oci:out:v{number}")]);
    }
    release(&scratch, 4);
    let words: Vec<&str> = std::iter::once("rootfs-4").chain(args.iter().map(String::as_str)).collect();
    let text = plan(&scratch, &words).run().stdout();
    assert_eq!(
        lines(&text),
        ["stable: recipe:busybox recipe:glibc", "app: recipe:app", "zlib: recipe:zlib", "generated: generated"],
        "{text}"
    );
    assert!(text.contains(", changed 4 times\nzlib: "), "{text}");
    fs::write(scratch.join("second"), &text).unwrap();

    // What did not change stays where it is, whatever is added.
    let tool = Tool::build("rootfs-4").args(["oci:out:v4", "--package-map", "map", "--layers", "@second"]);
    let _ = tool.within(scratch.path()).bake();
    release(&scratch, 5);
    let tree = fs::read_to_string(scratch.join("map")).unwrap();
    fs::write(scratch.join("rootfs-5/usr/bin/extra"), "extra").unwrap();
    fs::write(scratch.join("map"), format!("{tree}/usr/bin/extra\textra\textra\t1\n")).unwrap();
    let text = plan(&scratch, &["rootfs-5", "--update", "second", "--old", "oci:out:v4"]).run().stdout();
    let mut found = lines(&text);
    found.sort_unstable();
    let expected = [
        "app: recipe:app",
        "generated: generated",
        "stable: recipe:busybox recipe:glibc",
        // Fetched anyway, and too small for two layers.
        "volatile: recipe:extra recipe:zlib",
    ];
    assert_eq!(found, expected, "{text}");
}

#[test]
fn what_an_update_costs_is_what_is_fetched() {
    let scratch = Scratch::new();
    let rootfs = make(&scratch);
    let _ = build(&scratch, &rootfs).args(["oci:out:v1"]).bake();
    let tree = TREE.replace("/usr/lib/libz.so noise 2000", "/usr/lib/libz.so noise 2100");
    Fixture::parse(&tree).make(&scratch.join("newer"), Order::AsListed);
    fs::write(scratch.join("map"), MAP.replace("zlib\t1.3", "zlib\t1.4")).unwrap();
    let simulated = plan(&scratch, &["newer", "--layers", "@plan", "--simulate", "oci:out:v1", "--json"]).run().json();
    let _ = build(&scratch, &scratch.join("newer")).args(["oci:new"]).bake();
    let (new, old) = (image(&scratch, "new"), crate::harness::Layout::at(&scratch.join("out")).image("v1"));
    let fetched: Vec<&serde_json::Value> = new.manifest["layers"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|layer| !old.layers().contains(&layer["digest"].as_str().unwrap().to_owned()))
        .collect();
    let names: Vec<&serde_json::Value> =
        fetched.iter().map(|layer| &layer["annotations"]["io.github.ocibake.layer"]).collect();
    assert_eq!(names, [&json!("libs")]);
    let cost = &simulated["update"];
    assert_eq!(cost["bytes"], fetched[0]["size"]);
    let recipes = json!([
        {"recipe": "glibc", "from": "2.39", "to": "2.39", "change": "same"},
        {"recipe": "zlib", "from": "1.3", "to": "1.4", "change": "changed"},
    ]);
    let expected =
        json!([{"digest": fetched[0]["digest"], "size": fetched[0]["size"], "name": "libs", "recipes": recipes}]);
    assert_eq!(cost["layers"], expected);
    let text = plan(&scratch, &["newer", "--layers", "@plan", "--simulate", "oci:out:v1"]).run().stdout();
    assert!(
        text.starts_with("to fetch: ") && text.contains("libs  zlib 1.3 -> 1.4, and 1 that did not change\n"),
        "{text}"
    );
}

/// `diff` of two images reports what a registry client fetches: blobs, configuration and manifest.
#[test]
fn a_difference_says_what_must_be_fetched() {
    let scratch = Scratch::new();
    let rootfs = make(&scratch);
    let _ = build(&scratch, &rootfs).args(["oci:old"]).bake();
    let tree = TREE.replace("/usr/lib/libz.so noise 2000", "/usr/lib/libz.so noise 2100");
    Fixture::parse(&tree).make(&scratch.join("newer"), Order::AsListed);
    fs::write(scratch.join("newer/usr/bin/extra"), "extra").unwrap();
    fs::write(scratch.join("map"), MAP.replace("zlib\t1.3", "zlib\t1.4") + "/usr/bin/extra\textra\textra\t1\n")
        .unwrap();
    let _ = build(&scratch, &scratch.join("newer")).args(["oci:new"]).bake();
    let (old, new) = (image(&scratch, "old"), image(&scratch, "new"));
    let blobs = |image: &crate::harness::Image| -> BTreeMap<String, u64> {
        let documents = [&image.manifest["config"], &image.descriptor];
        let all = image.manifest["layers"].as_array().unwrap().iter().chain(documents);
        all.map(|blob| (blob["digest"].as_str().unwrap().to_owned(), blob["size"].as_u64().unwrap())).collect()
    };
    let (had, wanted) = (blobs(&old), blobs(&new));
    let fetched: u64 = wanted.iter().filter(|(digest, _)| !had.contains_key(*digest)).map(|(_, size)| size).sum();
    let diff = |args: &[&str]| Tool::new("diff").args(["oci:old", "oci:new"]).args(args).within(scratch.path()).run();
    for args in [&["--json"][..], &["--json", "--summary"]] {
        let report: serde_json::Value = serde_json::from_str(&diff(args).printed()).unwrap();
        let update = &report["update"];
        assert_eq!((&update["bytes"], &update["of"]), (&json!(fetched), &json!(wanted.values().sum::<u64>())));
        let names: Vec<&str> =
            update["layers"].as_array().unwrap().iter().map(|layer| layer["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["libs", "shell"]);
    }
    for args in [&[][..], &["--summary"]] {
        let text = diff(args).printed();
        let lines: Vec<&str> = text.lines().skip(1).take(3).collect();
        assert!(lines[0].starts_with("to fetch: ") && lines[0].contains(" of "), "{text}");
        assert!(lines[1].ends_with("  libs  zlib 1.3 -> 1.4, and 1 that did not change"), "{text}");
        assert!(lines[2].ends_with("  shell  extra 1 (new), and 1 that did not change"), "{text}");
    }
    // Nothing is fetched for the same image, and a rootfs is not fetched.
    let same = Tool::new("diff").args(["oci:old", "oci:old", "--json"]).within(scratch.path()).run().json();
    assert_eq!((&same["update"]["bytes"], &same["update"]["layers"]), (&json!(0), &json!([])));
    let rootfs = Tool::new("diff").args(["oci:old", "rootfs", "--json"]).within(scratch.path()).run().json();
    assert_eq!(rootfs.get("update"), None);
    let same = Tool::new("diff").args(["oci:old", "oci:old"]).within(scratch.path()).run().stdout();
    assert_eq!(same, "same manifest: the images are one\n");
}

#[test]
fn an_image_shows_the_names_and_groups_of_its_layers() {
    let scratch = Scratch::new();
    let rootfs = make(&scratch);
    let _ = build(&scratch, &rootfs).args(["oci:out"]).bake();
    let inspect = |args: &[&str]| Tool::new("inspect").arg("oci:out").args(args).within(scratch.path()).run();
    let report = inspect(&["--json"]).json();
    let layers: Vec<(&str, &str)> = (report["layers"].as_array().unwrap().iter())
        .map(|layer| (layer["name"].as_str().unwrap(), layer["groups"].as_str().unwrap()))
        .collect();
    let expected = [
        ("libs", "glibc=2.39 zlib=1.3"),
        ("app", "app=1.0-r0 generated"),
        ("generated", "generated"),
        ("shell", "busybox=1.36"),
    ];
    assert_eq!(layers, expected);
    let text = inspect(&[]).stdout();
    for (name, groups) in expected {
        assert!(text.contains(&format!("  {name}\n     {groups}\n")), "{text}");
    }
    // A layer without a plan has no name.
    let _ = Tool::build(&rootfs).args(["oci:plain"]).within(scratch.path()).bake();
    let plain = Tool::new("inspect").args(["oci:plain", "--json"]).within(scratch.path()).run().json();
    assert_eq!((plain["layers"][0].get("name"), plain["layers"][0].get("groups")), (None, None));
}

#[test]
fn what_cannot_be_planned() {
    let scratch = Scratch::new();
    make(&scratch);
    for (args, words) in [
        (&["missing"][..], "cannot read the rootfs `missing`"),
        (&["oci:missing"], "missing`"),
        (&["rootfs", "--update", "missing", "--old", "oci:missing"], "cannot read `missing`"),
        (&["rootfs", "--simulate", "oci:missing"], "`oci:missing`"),
        (&["rootfs", "--layers", "packages:0"], "a number from 1 to 120 expected"),
    ] {
        let error = plan(&scratch, args).run().error();
        assert!(error.contains(words), "{error}");
    }
}
