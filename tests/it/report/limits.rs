use super::made::{findings, json, platforms, releases, variants};
use crate::harness::{Scratch, Tool};

fn failing(scratch: &Scratch, words: &[&str]) -> (i32, String) {
    let outcome = Tool::new("report").args(words).args(["-o", "page.html"]).within(scratch.path()).run();
    (outcome.code(), outcome.stderr().to_owned())
}

/// Each limit is kept at the actual value, and broken just below it.
#[test]
fn every_limit_breaks_at_its_number() {
    let scratch = Scratch::new();
    releases(&scratch);
    findings(&scratch.join("findings"));
    let image = json(&scratch, &["oci:findings"])["images"][0].clone();
    let size = image["inspection"]["size"].as_u64().unwrap();
    let comparison = json(&scratch, &["oci:new", "oci:old"])["images"][0]["comparison"].clone();
    let update = comparison["update"]["bytes"].as_u64().unwrap();
    let one = &["oci:findings"][..];
    let two = &["oci:new", "oci:old"][..];
    for (images, metric, value, shown) in [
        (one, "size", size, String::new()),
        (one, "unpacked", image["unpacked"].as_u64().unwrap(), "2.64 kB".to_owned()),
        (one, "wasted", 2940, "2.94 kB (57.9%)".to_owned()),
        (one, "entries", image["entries"].as_u64().unwrap(), image["entries"].to_string()),
        (one, "layers", 3, "3".to_owned()),
        (one, "setuid", 1, "1".to_owned()),
        (one, "setgid", 1, "1".to_owned()),
        (one, "capabilities", 1, "1".to_owned()),
        (one, "world-writable", 2, "2".to_owned()),
        (one, "devices", 1, "1".to_owned()),
        (one, "broken-links", 1, "1".to_owned()),
        (one, "package-caches", 1, "1".to_owned()),
        (one, "static-libraries", 1, "1".to_owned()),
        (two, "update", update, String::new()),
        (two, "grown", 9000, "9.00 kB (1.3%)".to_owned()),
    ] {
        let with = |limit: &str| failing(&scratch, &[images, &["--fail-if", limit]].concat());
        let unit = if ["size", "unpacked", "wasted", "update", "grown"].contains(&metric) { "B" } else { "" };
        assert_eq!(with(&format!("{metric}>{value}{unit}")), (0, String::new()), "{metric}");
        let limit = format!("{metric}>{}{unit}", value - 1);
        let (code, said) = with(&limit);
        assert_eq!(code, 1, "{metric}");
        let line = format!("ocibake: limit `{limit}` is broken: found ");
        assert!(said.starts_with(&line) && said.lines().count() == 1, "{said}");
        assert!(shown.is_empty() || said == format!("{line}{shown}\n"), "{said}");
    }
    // Every owner in this image is known.
    assert_eq!(failing(&scratch, &["oci:findings", "--fail-if", "unowned>0"]), (0, String::new()));
}

#[test]
fn limits_have_units_and_shares() {
    let scratch = Scratch::new();
    releases(&scratch);
    findings(&scratch.join("findings"));
    for (limit, broken) in [
        ("wasted>2.9kB", true),
        ("wasted>3kB", false),
        ("wasted>2KiB", true),
        ("wasted > 57.7%", true),
        ("wasted>57.9%", false),
        ("wasted>100%", false),
        ("size>1MB", false),
        ("size>1MiB", false),
        ("size>1 gb", false),
    ] {
        let (code, said) = failing(&scratch, &["oci:findings", "--fail-if", limit]);
        assert_eq!((code, said.is_empty()), (i32::from(broken), !broken), "{limit}: {said}");
    }
    // Several limits: a line for each broken one, and all of them in the page and in the JSON object.
    let limits = ["--fail-if", "setuid>0", "--fail-if", "setgid>5", "--fail-if", "layers>2"];
    let (code, said) = failing(&scratch, &[&["oci:findings"][..], &limits].concat());
    assert_eq!((code, said.lines().count()), (1, 2), "{said}");
    let page = std::fs::read_to_string(scratch.join("page.html")).unwrap();
    assert!(page.contains("2 of 3 limits broken"));
    let outcome = Tool::new("report").arg("oci:findings").args(limits).arg("--json").within(scratch.path()).run();
    let report: serde_json::Value = serde_json::from_str(&outcome.printed()).unwrap();
    let broken: Vec<&serde_json::Value> =
        report["limits"].as_array().unwrap().iter().map(|limit| &limit["broken"]).collect();
    assert_eq!((broken, outcome.code()), (vec![&true.into(), &false.into(), &true.into()], 1));
}

#[test]
fn each_platform_keeps_the_limits() {
    let scratch = Scratch::new();
    platforms(&scratch);
    let (code, said) = failing(&scratch, &["oci:both", "oci:one", "--fail-if", "unpacked>4B", "--fail-if", "update>0"]);
    assert_eq!(code, 1);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "ocibake: linux/amd64: limit `unpacked>4B` is broken: found 5 B");
    assert_eq!(lines[1], "ocibake: linux/arm64/v8: limit `unpacked>4B` is broken: found 5 B");
    // Without an older image for a platform its update cannot be measured.
    assert_eq!(lines[2], "ocibake: limit `update>0` is broken: no older image for linux/amd64");
    assert!(lines[3].starts_with("ocibake: linux/arm64/v8: limit `update>0` is broken") && lines.len() == 4, "{said}");
}

/// A limit that cannot be measured is broken, and every form of the report says so.
#[test]
fn no_older_image_breaks_limits_of_updates() {
    let scratch = Scratch::new();
    platforms(&scratch);
    variants(&scratch, "other", &[1]);
    let words = ["oci:both", "oci:other", "--fail-if", "update>100%", "--fail-if", "grown>1GB"];
    let (code, said) = failing(&scratch, &words);
    let lines = ["update>100%", "grown>1GB"].map(|limit| {
        ["linux/amd64", "linux/arm64/v8"]
            .map(|platform| format!("ocibake: limit `{limit}` is broken: no older image for {platform}\n"))
    });
    assert_eq!((code, said), (1, lines.concat().concat()));
    let page = std::fs::read_to_string(scratch.join("page.html")).unwrap();
    assert!(page.contains("4 of 4 limits broken"));
    assert!(page.contains("✗ broken</b> <code>update&gt;100%</code> no older image for linux/amd64</li>"), "{page}");
    let run = |more: &[&str]| Tool::new("report").args(words).args(more).within(scratch.path()).run();
    let summary = run(&[]);
    let row = "| `update>100%` | `linux/arm64/v8` | no older image | **broken** |";
    assert!(summary.printed().contains(row) && summary.code() == 1, "{}", summary.printed());
    let report: serde_json::Value = serde_json::from_str(&run(&["--json"]).printed()).unwrap();
    for limit in report["limits"].as_array().unwrap() {
        assert_eq!((&limit["value"], &limit["broken"]), (&serde_json::Value::Null, &true.into()));
    }
}

#[test]
fn what_is_no_limit_is_refused_before_anything_is_read() {
    let scratch = Scratch::new();
    for (limit, reason) in [
        ("weight>1", "`METRIC>AMOUNT` expected"),
        ("size>much", "a number with B, kB"),
        ("size>1%", "it is no part of anything"),
        ("setuid>1MB", "a whole number expected"),
        ("setuid>-1", "a whole number expected"),
        ("update>5", "a number with B, kB"),
        ("wasted>1%%", "a number before `%` expected"),
    ] {
        let outcome = Tool::new("report").args(["oci:nowhere", "--fail-if", limit]).within(scratch.path()).run();
        let said = outcome.error();
        assert!(said.starts_with(&format!("--fail-if: `{limit}` is not accepted: {reason}")), "{said}");
    }
    let outcome = Tool::new("report").args(["oci:nowhere", "--fail-if", "size"]).within(scratch.path()).run();
    let error = outcome.error();
    assert!(error.starts_with("--fail-if: limit `size`: `METRIC>AMOUNT` expected"), "{error}");
    findings(&scratch.join("findings"));
    let outcome = Tool::new("report").args(["oci:findings", "--fail-if", "update>1MB"]).within(scratch.path()).run();
    let said = outcome.error();
    assert!(said.contains("limit `update>1MB`: an older image to compare with expected"), "{said}");
}
