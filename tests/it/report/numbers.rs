use std::collections::BTreeMap;

use serde_json::{json, Value};

use super::made::{findings, json, platforms, releases};
use crate::harness::{Scratch, Tool};

fn run(scratch: &Scratch, words: &[&str]) -> Value {
    let outcome = Tool::new(words[0]).args(&words[1..]).arg("--json").within(scratch.path()).run();
    serde_json::from_str(&outcome.printed()).unwrap()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value}"))
}

fn sum(values: &Value, member: &str) -> u64 {
    values.as_array().unwrap().iter().map(|value| number(&value[member])).sum()
}

/// Each number is one from `inspect`, or a sum of them.
#[test]
fn an_image_is_what_inspect_says() {
    let scratch = Scratch::new();
    releases(&scratch);
    findings(&scratch.join("findings"));
    for image in ["oci:new", "oci:findings"] {
        let inspected = run(&scratch, &["inspect", image, "--files", "--largest", "100"]);
        let report = &json(&scratch, &[image])["images"][0];
        for member in ["digest", "size", "platform", "config", "layers", "history", "annotations", "attached", "refs"] {
            assert_eq!(report["inspection"][member], inspected[member], "{image} {member}");
        }
        let largest = inspected["largest"].as_array().unwrap();
        assert_eq!(report["unpacked"], largest[0]["size"], "{image}");
        for (member, directory) in [("largest_files", false), ("largest_directories", true)] {
            let expected: Vec<&Value> = largest.iter().filter(|usage| usage["directory"] == directory).collect();
            assert_eq!(report[member].as_array().unwrap().iter().collect::<Vec<_>>(), expected, "{image}");
        }
        let files = inspected["files"].as_array().unwrap();
        for (at, layer) in report["layers"].as_array().unwrap().iter().enumerate() {
            let its: Vec<&Value> = files.iter().filter(|file| file["layer"] == at + 1).collect();
            assert_eq!(number(&layer["entries"]), its.len() as u64, "{image} {at}");
            assert_eq!(
                number(&layer["unpacked"]),
                its.iter().map(|file| number(&file["size"])).sum::<u64>(),
                "{image} {at}"
            );
            assert_eq!(layer["stored"], inspected["layers"][at]["size"], "{image} {at}");
        }
        assert_eq!(sum(&report["layers"], "used"), number(&report["unpacked"]), "{image}");
        assert_eq!(sum(&report["layers"], "unpacked"), number(&report["waste"]["of"]), "{image}");
    }
}

#[test]
fn a_comparison_is_what_diff_says() {
    let scratch = Scratch::new();
    releases(&scratch);
    let diff = run(&scratch, &["diff", "oci:old", "oci:new"]);
    let report = &json(&scratch, &["oci:new", "oci:old", "--package-map", "map-new"])["images"][0];
    let comparison = &report["comparison"];
    for member in ["reason", "summary", "update"] {
        assert_eq!(comparison[member], diff[member], "{member}");
    }
    let mut sizes: BTreeMap<&str, i64> = BTreeMap::new();
    for change in ["added", "removed", "changed"] {
        let changes = &comparison[change];
        assert_eq!(changes["count"], diff["summary"][change], "{change}");
        for entry in changes["entries"].as_array().unwrap() {
            let size = |member: &str| i64::try_from(number(&entry[member])).unwrap();
            sizes.insert(entry["path"].as_str().unwrap(), size("to") - size("from"));
        }
    }
    let paths: Vec<&str> =
        diff["entries"].as_array().unwrap().iter().map(|entry| entry["path"].as_str().unwrap()).collect();
    let mut found: Vec<&str> = sizes.keys().copied().collect();
    found.sort_by_key(|path| paths.iter().position(|other| other == path));
    assert_eq!(found, paths);
    assert_eq!([sizes["/usr/bin/app"], sizes["/usr/lib/libz.so"], sizes["/usr/share/gone"]], [20_000, -4000, -7000]);
    let unpacked = |image: &Value| image["unpacked"].as_i64().unwrap();
    let grown = unpacked(report) - unpacked(&comparison["old"]);
    assert_eq!(sizes.values().sum::<i64>(), grown);
}

/// A layer is fetched because of the recipes that changed in it, and its cost is shared out among them to the byte.
#[test]
fn an_update_costs_what_it_costs_because_of_something() {
    let scratch = Scratch::new();
    releases(&scratch);
    let comparison =
        json(&scratch, &["oci:new", "oci:old", "--package-map", "map-new"])["images"][0]["comparison"].clone();
    let update = &comparison["update"];
    assert_eq!(sum(&comparison["causes"], "bytes"), number(&update["bytes"]));
    let because: BTreeMap<&str, Vec<&str>> = comparison["fetched"]
        .as_array()
        .unwrap()
        .iter()
        .map(|layer| {
            let recipes = layer["recipes"].as_array().unwrap().iter().map(|recipe| recipe["recipe"].as_str().unwrap());
            (layer["name"].as_str().unwrap(), recipes.collect())
        })
        .collect();
    assert_eq!(because, [("app", vec!["app"]), ("zlib", vec!["zlib"])].into());
    let causes = comparison["causes"].as_array().unwrap();
    let shown: Vec<[&Value; 3]> = causes.iter().map(|cause| [&cause["recipe"], &cause["from"], &cause["to"]]).collect();
    let null = Value::Null;
    let text = |text: &str| Value::from(text);
    assert_eq!(shown[0], [&text("app"), &text("1.0"), &text("1.1")]);
    assert_eq!(shown[1], [&text("zlib"), &text("1.2"), &text("1.3")]);
    assert_eq!(shown[2], [&null, &null, &null]);
    let of_layer = |at: usize| update["layers"][at]["size"].clone();
    assert_eq!([&causes[0]["bytes"], &causes[1]["bytes"]], [&of_layer(0), &of_layer(1)]);

    // Compared with itself, nothing is fetched and nothing differs.
    let same = json(&scratch, &["oci:new", "oci:new"])["images"][0]["comparison"].clone();
    assert_eq!((number(&same["update"]["bytes"]), &same["causes"]), (0, &json!([])));
}

/// An older image whose recipes are not known lacks none of them.
#[test]
fn a_recipe_is_new_only_where_it_is_known_what_was_there() {
    let scratch = Scratch::new();
    releases(&scratch);
    let tool = Tool::build(scratch.join("rootfs-old")).args(["oci:plain", "--owner", "0:0"]).within(scratch.path());
    let _ = tool.bake();
    let run = |words: &[&str]| Tool::new(words[0]).args(&words[1..]).within(scratch.path()).run();
    for (old, app) in [("oci:plain", "| `app` | `1.1` |"), ("oci:old", "| `app` | `1.0 → 1.1` |")] {
        let summary = run(&["report", "oci:new", old, "--package-map", "map-new"]).printed();
        assert!(summary.contains(app) && !summary.contains("(new)"), "{old}: {summary}");
        assert!(!run(&["diff", old, "oci:new"]).printed().contains("(new)"), "{old}");
    }
    // Here the older image says what it has.
    std::fs::write(scratch.join("map-less"), "/usr/lib/libc.so\tlibc6\tglibc\t2.39\n").unwrap();
    let tool = Tool::build(scratch.join("rootfs-old")).args(["oci:less", "--package-map", "map-less"]);
    let _ = tool.args(["--owner", "0:0", "--layers", "packages"]).within(scratch.path()).bake();
    let summary = run(&["report", "oci:new", "oci:less", "--package-map", "map-new"]).printed();
    assert!(summary.contains("| `app` | `1.1 (new)` |"), "{summary}");
    let difference = run(&["diff", "oci:less", "oci:new"]).printed();
    assert!(difference.contains("app 1.1 (new)"), "{difference}");
}

/// In Markdown a name is code, and other words are not.
#[test]
fn only_names_are_code() {
    let scratch = Scratch::new();
    releases(&scratch);
    for (name, rootfs, words) in [
        ("one", "rootfs-new", &[][..]),
        ("packed", "rootfs-new", &["--compression", "zstd"]),
        ("five", "rootfs-five", &[]),
    ] {
        for file in ["1", "2", "3", "4", "5"] {
            std::fs::create_dir_all(scratch.join("rootfs-five")).unwrap();
            std::fs::write(scratch.join("rootfs-five").join(file), file).unwrap();
        }
        let tool = Tool::build(scratch.join(rootfs)).args([&format!("oci:{name}"), "--owner", "0:0"]).args(words);
        let _ = tool.within(scratch.path()).bake();
    }
    let summary = |new: &str| Tool::new("report").args([new, "oci:one"]).within(scratch.path()).run().printed();
    let packed = summary("oci:packed");
    assert!(packed.contains(" | nothing that changed: it is cut, ordered or compressed otherwise |"), "{packed}");
    let five = summary("oci:five");
    assert!(
        five.lines().any(|line| line.starts_with("| `1` |") && line.contains("`, ") && line.ends_with(" more |")),
        "{five}"
    );
    let mapped = Tool::new("report").args(["oci:new", "oci:old", "--package-map", "map-new"]).within(scratch.path());
    assert!(mapped.run().printed().contains("| (manifest and configuration) |"));
}

/// A map of which nothing is in the image is noticed.
#[test]
fn a_package_map_for_something_else_is_noticed() {
    let scratch = Scratch::new();
    releases(&scratch);
    std::fs::write(scratch.join("map"), "/new/usr/bin/app\tapp\tapp\t1.1\n").unwrap();
    let run = |map: &str| Tool::new("report").args(["oci:new", "--package-map", map]).within(scratch.path()).run();
    let line = "the image for linux/amd64: no path of the package map `map` is in the rootfs";
    assert_eq!(run("map").stderr(), format!("ocibake: warning: {line}\n"));
    assert_eq!(run("map-new").stderr(), "");
}

#[test]
fn recipes_hold_the_whole_filesystem() {
    let scratch = Scratch::new();
    releases(&scratch);
    let report = |words: &[&str]| json(&scratch, words)["images"][0].clone();
    let mapped = report(&["oci:new", "--package-map", "map-new"]);
    let shown: Vec<(String, u64)> = mapped["recipes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|recipe| (recipe["recipe"].as_str().unwrap().to_owned(), number(&recipe["bytes"])))
        .collect();
    let passwd = "root:x:0:0::/root:/bin/sh".len() as u64;
    let expected = [("glibc", 500_000), ("app", 160_000), ("zlib", 20_000), ("shadow", 3000), ("generated", passwd)];
    assert_eq!(shown, expected.map(|(name, bytes)| (name.to_owned(), bytes)));
    assert_eq!(mapped["owners"], "map-new");
    // The plan made a layer for each recipe, whose annotation names it.
    let layers = report(&["oci:new"]);
    assert_eq!(layers["owners"], "layers");
    assert_eq!(layers["recipes"], mapped["recipes"]);
    findings(&scratch.join("findings"));
    let unknown = report(&["oci:findings"]);
    assert_eq!((&unknown["owners"], &unknown["recipes"]), (&Value::Null, &json!([])));
}

#[test]
fn waste_is_found_and_nothing_else() {
    let scratch = Scratch::new();
    findings(&scratch.join("findings"));
    let waste = json(&scratch, &["oci:findings"])["images"][0]["waste"].clone();
    let files = |member: &str| -> Vec<(String, u64, u64)> {
        let of =
            |file: &Value| (file["path"].as_str().unwrap().to_owned(), number(&file["layer"]), number(&file["size"]));
        waste[member]["files"].as_array().unwrap().iter().map(of).collect()
    };
    let found = |path: &str, layer, size| (path.to_owned(), layer, size);
    assert_eq!(files("replaced"), [found("/usr/replaced", 2, 1100), found("/usr/replaced", 1, 1000)]);
    assert_eq!(files("removed"), [found("/usr/removed", 1, 300), found("/usr/hidden/file", 1, 40)]);
    let duplicates = json!([{"count": 2, "size": 500, "bytes": 500, "paths":
        [{"path": "/usr/a-copy"}, {"path": "/usr/b-copy"}]}]);
    assert_eq!(waste["duplicates"], duplicates);
    assert_eq!(number(&waste["bytes"]), 1000 + 1100 + 300 + 40 + 500);
    let [replaced, removed] = ["replaced", "removed"].map(|member| number(&waste[member]["bytes"]));
    assert_eq!((replaced, removed, number(&waste["duplicate_bytes"])), (2100, 340, 500));
}

#[test]
fn what_deserves_a_look_is_found_and_nothing_else() {
    let scratch = Scratch::new();
    findings(&scratch.join("findings"));
    let report = json(&scratch, &["oci:findings"])["images"][0].clone();
    let found: BTreeMap<&str, Vec<String>> = report["notices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|notice| {
            let entries = notice["entries"].as_array().unwrap();
            assert_eq!(number(&notice["count"]), entries.len() as u64);
            let shown = entries.iter().map(|entry| {
                format!("{} {}", entry["path"].as_str().unwrap(), entry["remark"].as_str().unwrap())
                    .trim_end()
                    .to_owned()
            });
            (notice["kind"].as_str().unwrap(), shown.collect())
        })
        .collect();
    for (kind, expected) in [
        ("setuid", &["/usr/su mode 4755, owner 0:0"][..]),
        ("setgid", &["/usr/wall mode 2755, owner 0:0"]),
        ("capabilities", &["/usr/ping cap_net_raw=ep"]),
        ("world-writable", &["/spool mode 0777, owner 0:0", "/usr/everyone mode 0666, owner 0:0"]),
        ("devices", &["/null character device 0,0"]),
        ("unowned", &[]),
        ("broken-links", &["/broken → usr/nowhere"]),
        ("package-caches", &["/var/cache/apt/pkgcache.bin"]),
        ("static-libraries", &["/usr/libx.a"]),
    ] {
        assert_eq!(found[kind], expected, "{kind}");
    }
    // Owners that are not in /etc/passwd: here all, because there is no such file.
    releases(&scratch);
    let tool = Tool::build(scratch.join("rootfs-new")).args(["oci:owned", "--owner", "7:8"]).within(scratch.path());
    let _ = tool.bake();
    let owned = json(&scratch, &["oci:owned"])["images"][0].clone();
    let unowned = owned["notices"].as_array().unwrap().iter().find(|notice| notice["kind"] == "unowned").unwrap();
    assert_eq!(unowned["count"], owned["entries"]);
    assert_eq!(unowned["entries"][0]["remark"], "owner 7:8");
}

#[test]
fn each_platform_has_its_part() {
    let scratch = Scratch::new();
    platforms(&scratch);
    let both = json(&scratch, &["oci:both", "oci:one"]);
    let shown: Vec<(&Value, bool)> = both["images"]
        .as_array()
        .unwrap()
        .iter()
        .map(|image| (&image["inspection"]["platform"], image["comparison"].is_object()))
        .collect();
    assert_eq!(shown, [(&json!("linux/amd64"), false), (&json!("linux/arm64/v8"), true)]);
    assert_eq!(both["index"]["images"].as_array().unwrap().len(), 3);
    let one = json(&scratch, &["oci:both", "--platform", "arm64"]);
    assert_eq!((one["images"].as_array().unwrap().len(), &one["index"]), (1, &Value::Null));
    // Single images are compared even if their platforms differ.
    let other = json(&scratch, &["oci:both", "oci:one", "--platform", "amd64"]);
    assert_eq!(other["images"][0]["comparison"]["old"]["platform"], "linux/arm64/v8");
    let page = super::made::html(&scratch, &["oci:both", "oci:one", "--platform", "amd64"]);
    assert!(page.contains("<b>another</b>: linux/arm64/v8"), "{page}");
    let run = |words: &[&str]| Tool::new("report").args(words).within(scratch.path()).run();
    let outcome = run(&["oci:both", "oci:one", "--platform", "amd64"]);
    let warning = "an image for linux/amd64 is compared with one for another platform, linux/arm64/v8";
    assert_eq!(outcome.stderr(), format!("ocibake: warning: {warning}\n"));
    let summary = outcome.printed();
    assert!(summary.contains("**The older image is for another platform**: `linux/arm64/v8`."), "{summary}");
    let outcome = run(&["oci:both", "oci:one", "--platform", "arm64"]);
    assert!(outcome.stderr().is_empty() && !outcome.printed().contains("another platform"), "{}", outcome.stderr());
}
