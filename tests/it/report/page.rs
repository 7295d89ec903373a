use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use super::made::{findings, html, platforms, releases, tar, variants};
use crate::harness::{clone, make_layout, named, ByHand, Scratch, Tool};
use crate::verify::members::{file, member, pax};

/// The trees of a page, as its script reads them.
fn trees(page: &str) -> Vec<Value> {
    let opened = page.split("<script type=\"application/json\"").skip(1);
    let texts = opened.map(|rest| rest.split_once('>').unwrap().1.split("</script>").next().unwrap());
    texts.map(|text| serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))).collect()
}

/// Bytes of all files of a tree.
fn bytes(node: &Value) -> u64 {
    match &node[1] {
        Value::Array(children) => children.iter().map(bytes).sum(),
        size => size.as_i64().unwrap().unsigned_abs(),
    }
}

#[test]
fn the_same_images_give_the_same_page() {
    let scratch = Scratch::new();
    releases(&scratch);
    let page = html(&scratch, &["oci:new", "oci:old", "--package-map", "map-new"]);
    let elsewhere = scratch.join("else where");
    fs::create_dir(&elsewhere).unwrap();
    for name in ["old", "new", "map-new"] {
        let copied =
            std::process::Command::new("cp").arg("-r").args([scratch.join(name), elsewhere.join(name)]).status();
        assert!(copied.unwrap().success());
    }
    for (threads, zone) in [("1", "UTC"), ("3", "Asia/Kathmandu")] {
        let [new, old] = ["new", "old"].map(|name| format!("oci:{}", elsewhere.join(name).display()));
        let tool = Tool::new("report").args([&new, &old, "-o", "-", "--threads", threads, "--package-map", "map-new"]);
        let other = tool.env("TZ", zone).env("LC_ALL", "C").within(&elsewhere).run().stdout();
        assert!(page == other, "{threads} {zone}");
    }
    assert!(!page.contains(&scratch.path().display().to_string()));
}

/// The summary is short enough to keep as a file: a changed number or word changes this file.
#[test]
fn the_summary_is_as_it_was() {
    let scratch = Scratch::new();
    releases(&scratch);
    findings(&scratch.join("findings"));
    platforms(&scratch);
    let mut found = String::new();
    for words in [
        &["oci:new", "oci:old", "--package-map", "map-new", "--fail-if", "update>90%", "--fail-if", "setuid>9"][..],
        &["oci:findings"],
        &["oci:both", "oci:one"],
    ] {
        let tool = Tool::new("report").args(words).args(["-o", "summary.md"]).within(scratch.path());
        assert_eq!(tool.run().stdout(), "");
        let written = fs::read_to_string(scratch.join("summary.md")).unwrap();
        assert_eq!(Tool::new("report").args(words).within(scratch.path()).run().stdout(), written);
        found += &format!("{written}\n");
    }
    let kept = clone().join("tests/fixtures/report.md");
    if std::env::var_os("UPDATE_DOCUMENTS").is_some() {
        fs::write(&kept, &found).unwrap();
    }
    assert_eq!(found, fs::read_to_string(&kept).unwrap_or_default(), "UPDATE_DOCUMENTS=1 writes {}", kept.display());
}

/// Names that would be markup, a script or the end of one, that change the direction of text or are not text at all.
pub(super) const HOSTILE: [&[u8]; 14] = [
    b"<script>alert(1)<",
    b"<!--",
    b"]]>",
    b"' onmouseover='alert(1)",
    b"\" autofocus onfocus=\"alert(1)",
    b"&lt;b&gt;",
    b"<img src=x onerror=alert(1)>",
    b"caf\xe9",
    b"\xff\xfe\xc3",
    "gnp.\u{202e}exe".as_bytes(),
    "\u{2028}line".as_bytes(),
    b"tab\tline\nend",
    b"`code` | *bold* \\",
    b"${alert(1)}",
];

/// An image in which every name and word is hostile.
pub(super) fn hostile(path: &std::path::Path) {
    let mut members = Vec::new();
    for name in HOSTILE {
        let long = [name, &b"x".repeat(90 - name.len().min(60))].concat();
        members.push(member(b'0', [b"d/", name].concat()).content("same").mode(0o6777));
        members.push(member(b'0', [b"e/", &long[..]].concat()).content("other"));
        members.push(member(b'2', [b"l/", name].concat()).link(name));
        members.push(member(b'0', [b"gone/", name].concat()).content("lost"));
    }
    let words: Vec<String> = HOSTILE.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
    let layout = ByHand::at(path);
    let history: Vec<Value> =
        words.iter().map(|word| serde_json::json!({"created_by": word, "comment": word})).collect();
    let labels: serde_json::Map<String, Value> = words.iter().map(|word| (word.clone(), word.clone().into())).collect();
    let image = layout.image(
        &[tar(&members), tar(&[file(".wh.gone", "")])],
        &serde_json::json!({"author": words[0], "created": words[6], "os": "<os>", "history": history,
            "config": {"Cmd": words, "Env": words, "Labels": labels, "User": words[4]}}),
    );
    layout.list(&[named(&image, "</title><script>alert(1)</script>")]);
}

#[test]
fn no_name_is_markup() {
    let scratch = Scratch::new();
    hostile(&scratch.join("image"));
    make_layout(&scratch.join("plain"), &[tar(&[file("d/a", "a")])]);
    for words in [&["oci:image"][..], &["oci:image", "oci:plain"], &["oci:plain", "oci:image"]] {
        let page = html(&scratch, words);
        // The page has one script, which its policy allows, and elements of JSON.
        assert_eq!(page.matches("<script").count(), 1 + trees(&page).len(), "{words:?}");
        assert_eq!(page.matches("</script").count(), 1 + trees(&page).len(), "{words:?}");
        assert_eq!((page.matches("<style").count(), page.matches("<!--").count()), (1, 0), "{words:?}");
        for (what, is_there) in
            [("<img", false), ("<os>", false), ("\u{202e}", false), ("\u{2028}", false), ("caf\\xe9", true)]
        {
            assert_eq!(page.contains(what), is_there, "{words:?} {what}");
        }
        // Within the elements of JSON, a quote ends no attribute.
        let ends = page.split("<script").map(|rest| rest.split_once("</script>").map_or(rest, |(_, rest)| rest));
        let markup: String = ends.collect();
        assert!(!markup.contains(" onmouseover='") && !markup.contains(" onfocus=\""), "{words:?}");
        let policy = page.split("http-equiv=\"Content-Security-Policy\" content=\"").nth(1).unwrap();
        let policy = policy.split('"').next().unwrap();
        assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe"), "{policy}");
    }
    // In Markdown a name is code, and cannot end its cell.
    let summary = Tool::new("report").arg("oci:image").within(scratch.path()).run().stdout();
    for line in summary.lines().filter(|line| line.starts_with('|')) {
        let cells = line.replace("\\|", "").matches('|').count();
        assert!((3..=5).contains(&cells), "{line}");
    }
}

/// The numbers of the pictures are those of the report.
#[test]
fn the_pictures_hold_all_bytes() {
    let scratch = Scratch::new();
    releases(&scratch);
    findings(&scratch.join("findings"));
    let words = ["oci:new", "oci:old", "--package-map", "map-new"];
    let report = super::made::json(&scratch, &words)["images"][0].clone();
    let found = trees(&html(&scratch, &words));
    let comparison = &report["comparison"];
    let differ: u64 = ["added", "removed", "changed"]
        .iter()
        .map(|change| comparison[change]["grown"].as_u64().unwrap() + comparison[change]["shrunk"].as_u64().unwrap())
        .sum();
    assert_eq!(bytes(&found[0]["tree"]), differ);
    assert_eq!(bytes(&found[1]["tree"]), report["unpacked"].as_u64().unwrap());
    let alone = trees(&html(&scratch, &["oci:findings"]));
    let unpacked = super::made::json(&scratch, &["oci:findings"])["images"][0]["unpacked"].clone();
    assert_eq!(bytes(&alone[0]["tree"]), unpacked.as_u64().unwrap());
}

/// If there are too many files, the smallest are merged, and not a byte is lost.
#[test]
fn a_page_stays_small() {
    let scratch = Scratch::new();
    let files = (0..18_000_u32).map(|at| {
        let name = format!("usr/share/directory-{}/a-file-with-quite-a-long-name-{at:040}", at % 300);
        file(&name, &"x".repeat(1 + (at % 97) as usize))
    });
    let files: Vec<_> = files.chain([file("usr/big", &"y".repeat(100_000))]).collect();
    let whole: u64 = (0..18_000).map(|at: u64| 1 + at % 97).sum::<u64>() + 100_000;
    make_layout(&scratch.join("many"), &[tar(&files)]);
    let page = html(&scratch, &["oci:many"]);
    assert!(page.len() < 1_500_000, "{}", page.len());
    let found = trees(&page);
    assert_eq!(bytes(&found[0]["tree"]), whole);
    assert!(page.contains("[\"big\",100000"), "the largest stands alone");
}

/// Wherever the files are, and however many a directory holds.
#[test]
fn a_page_of_one_directory_stays_small() {
    let scratch = Scratch::new();
    for (image, below) in [("files", ""), ("directories", "/file")] {
        let files: Vec<_> = (0..3000).map(|at| file(&format!("directory/{at}{below}"), "x")).collect();
        make_layout(&scratch.join(image), &[tar(&files)]);
    }
    let deep = format!("{}file", "d/".repeat(1500));
    make_layout(&scratch.join("deep"), &[tar(&[pax(&[("path", &deep)]), file("deep", "x")])]);
    for words in
        [&["oci:files"][..], &["oci:directories"], &["oci:files", "oci:directories"], &["oci:deep", "oci:files"]]
    {
        let page = html(&scratch, words);
        assert!(page.len() < 300_000, "{words:?} {}", page.len());
    }
    assert!(html(&scratch, &["oci:files"]).contains("<title>2,901 more"));
}

#[test]
fn odd_images_have_a_page() {
    let scratch = Scratch::new();
    make_layout(&scratch.join("none"), &[]);
    make_layout(&scratch.join("empty"), &[tar(&[])]);
    make_layout(&scratch.join("hollow"), &[tar(&[file("a", ""), member(b'3', "null")])]);
    let many: Vec<Vec<u8>> =
        (0..200).map(|at| tar(&[file(&format!("f{at}"), "x"), file("same", &at.to_string())])).collect();
    make_layout(&scratch.join("layers"), &many);
    for image in ["none", "empty", "hollow", "layers"] {
        let alone = html(&scratch, &[&format!("oci:{image}")]);
        assert!(alone.contains("</html>"), "{image}");
        for other in ["none", "layers"] {
            let both = html(&scratch, &[&format!("oci:{image}"), &format!("oci:{other}")]);
            assert!(both.contains("What changed"), "{image} {other}");
        }
    }
    assert!(html(&scratch, &["oci:none"]).contains("No file has content"));
    let layers = super::made::json(&scratch, &["oci:layers"])["images"][0].clone();
    assert_eq!(layers["waste"]["replaced"]["count"], 199);

    // An invalid image is reported as in all verbs.
    let layout = ByHand::at(&scratch.join("artifact"));
    let image = layout.image(&[tar(&[])], &serde_json::json!({}));
    layout.list(&[layout.artifact(&image, "note")]);
    let error = Tool::new("report").arg("oci:artifact").within(scratch.path()).run().error();
    assert!(error.starts_with("image `oci:artifact`"), "{error}");
}

/// A page with many parts: each can be reached, nothing is named twice, and it is small.
#[test]
fn thirty_platforms_have_a_page() {
    let scratch = Scratch::new();
    let all: Vec<usize> = (1..30).collect();
    variants(&scratch, "many", &[&[1], &all[..]].concat());
    variants(&scratch, "older", &all);
    let page = html(&scratch, &["oci:many", "oci:older"]);
    let of = |attribute: &str| -> Vec<String> {
        let rest = page.split(attribute).skip(1);
        rest.map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
    };
    let ids = of(" id=\"");
    let unique: BTreeSet<&String> = ids.iter().collect();
    assert_eq!(ids.len(), unique.len());
    for link in of(" href=\"#").iter().chain(&of("url(#").iter().map(|id| id.replace(')', "")).collect::<Vec<_>>()) {
        assert!(unique.contains(link), "{link}");
    }
    let names = of("<nav class=\"contents\" aria-label=\"");
    assert_eq!((names.len(), names.iter().collect::<BTreeSet<_>>().len()), (30, 30));
    for at in 0..30 {
        assert!(page.contains(&format!("<a href=\"#image-{at}\">linux/riscv64")), "{at}");
    }
    assert!(page.len() < 1_500_000, "{}", page.len());
}
