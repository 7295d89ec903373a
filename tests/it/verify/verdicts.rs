//! What the other verbs do with an image that breaks a rule: they refuse it, warn, or take it, as the table says that
//! `verify --rules --json` prints.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;
use xz2::stream::Check;

use super::specimen::{change, Specimen};
use super::{archive_with, corruptions, specimen, text, xz};
use crate::harness::{Scratch, Tool};

/// A run of each verb that reads images on `bad`, and how deep it looks.
fn runs(bad: &str) -> Vec<(&'static str, Tool)> {
    let words = |verb: &str, args: &[&str]| Tool::new(verb).args(args);
    vec![
        ("documents", words("inspect", &[bad])),
        ("index", words("index", &[bad, "oci:out:all", "--no-sync"])),
        ("blobs", words("convert", &[bad, "oci:out", "--no-sync"])),
        ("compression", words("convert", &[bad, "oci:out", "--compression", "zstd", "--no-sync"])),
        ("files", words("inspect", &[bad, "--files"])),
        ("files", words("inspect", &[bad, "--largest", "3"])),
        ("files", words("cat", &[bad, "bin/busybox"])),
        ("files", words("diff", &[bad, "oci:other"])),
        ("files", words("report", &[bad, "-o", "page.html"])),
        ("files", words("plan", &[bad])),
        ("files", words("unpack", &[bad, "out"])),
        ("files", words("squash", &[bad, "oci:out", "--no-sync"])),
        ("files", words("build", &["rootfs", "oci:out", "--base", bad, "--no-sync"])),
        // The last one, because it changes the image.
        ("documents", words("config", &[bad, "--label", "a=b", "--no-sync"])),
    ]
}

/// The first run of each depth.
fn one_of_each_depth(bad: &str) -> Vec<(&'static str, Tool)> {
    let mut depths = BTreeSet::new();
    runs(bad).into_iter().filter(|(depth, _)| depths.insert(*depth)).collect()
}

/// Rules, and their verdicts by how deep a verb looks.
fn verdicts() -> BTreeMap<String, Value> {
    let rules = Tool::new("verify").args(["--rules", "--json"]).run().json();
    rules.as_array().unwrap().iter().map(|rule| (text(&rule["rule"]), rule["verdicts"].clone())).collect()
}

/// `oci:other`: `diff` reads no layers that both images have.
fn other(scratch: &Scratch) {
    fs::create_dir_all(scratch.join("others")).unwrap();
    fs::write(scratch.join("others/file"), "x").unwrap();
    let _ = Tool::build("others").args(["oci:other", "--owner", "0:0"]).within(scratch.path()).bake();
}

/// Runs verbs, and returns what was not as the table says.
fn judge(scratch: &Scratch, runs: Vec<(&str, Tool)>, rule: &str, what: &str, verdicts: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    for (depth, tool) in runs {
        let _ = fs::remove_dir_all(scratch.join("out"));
        let run = tool.within(scratch.path()).run();
        let code = run.code();
        let names_rule = run.stderr().contains(&format!(": {rule}: ")) || run.stderr().contains("PAX keyword");
        let warned = run.stderr().contains("warning: ");
        let is_right = match (verdicts[depth].as_str().unwrap(), code) {
            ("takes", 0 | 1) => !names_rule,
            // What is not about layers is said in other words.
            ("warns", 0 | 1) => warned && (names_rule || depth != "files"),
            ("warns or refuses", 0 | 1) => names_rule,
            ("refuses" | "warns or refuses", 2) | ("refuses if needed", 0..=2) => true,
            _ => false,
        };
        if !is_right {
            let verdict = &verdicts[depth];
            wrong.push(format!(
                "{rule}, {what}: {verdict} expected of {}, exit status {code}: {}",
                run.shown(),
                run.stderr()
            ));
        }
    }
    wrong
}

// Three tests, so that all cores share the longest one that there is.

#[test]
fn every_verb_does_with_a_broken_rule_of_archives_what_the_table_says() {
    every_verb_does_what_the_table_says(|rule| begins(rule, &ARCHIVES));
}

#[test]
fn every_verb_does_with_a_broken_rule_of_documents_what_the_table_says() {
    every_verb_does_what_the_table_says(|rule| begins(rule, &DOCUMENTS));
}

#[test]
fn every_verb_does_with_any_other_broken_rule_what_the_table_says() {
    every_verb_does_what_the_table_says(|rule| !begins(rule, &ARCHIVES) && !begins(rule, &DOCUMENTS));
}

/// How rules about archives begin.
const ARCHIVES: [&str; 3] = ["archive-", "tar-", "xz-"];

/// How rules about what stands in documents begin.
const DOCUMENTS: [&str; 3] = ["config-", "descriptor-", "document-"];

fn begins(rule: &str, with: &[&str]) -> bool {
    with.iter().any(|start| rule.starts_with(start))
}

fn every_verb_does_what_the_table_says(is_asked: impl Fn(&str) -> bool) {
    let scratch = Scratch::new();
    let specimen = specimen(&scratch);
    other(&scratch);
    let mut verdicts = verdicts();
    verdicts.retain(|rule, _| is_asked(rule));
    let mut wrong = Vec::new();
    let mut covered = BTreeSet::new();
    for (rule, what, changes) in corruptions::rows().into_iter().filter(|(rule, ..)| is_asked(rule)) {
        let _ = fs::remove_dir_all(scratch.join("bad"));
        specimen.write(&changes, &scratch.join("bad"));
        // All verbs have met the rule before: one for each depth is enough.
        let is_new = covered.insert(rule.to_owned());
        let runs = if is_new { runs("oci:bad") } else { one_of_each_depth("oci:bad") };
        wrong.extend(judge(&scratch, runs, rule, what, &verdicts[rule]));
    }
    for (rule, archive) in broken_archives(&scratch, &specimen).into_iter().filter(|(rule, _)| is_asked(rule)) {
        wrong.extend(judge(&scratch, runs(&archive), rule, "an archive", &verdicts[rule]));
        covered.insert(rule.to_owned());
    }
    assert_eq!(covered, verdicts.into_keys().collect(), "a rule without a row");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Images that break a rule about archives of layouts, by the rule.
fn broken_archives(scratch: &Scratch, specimen: &Specimen) -> [(&'static str, String); 2] {
    specimen.write(&change(), &scratch.join("same"));
    let twice = archive_with(&scratch.join("same"), "index.json", &scratch.join("twice.tar"));

    let (plain, unchecked) = (scratch.join("same.tar"), scratch.join("unchecked.tar.xz"));
    let same = format!("oci:{}", scratch.join("same").display());
    let _ = Tool::new("convert").arg(same).arg(&plain).run().stdout();
    fs::write(&unchecked, xz(&fs::read(plain).unwrap(), Check::None)).unwrap();
    [("archive-repeated-file", twice), ("xz-check", format!("oci-archive:{}", unchecked.display()))]
}

/// Otherwise a verb would make something clean of an image that readers understand differently, and nobody would know.
#[test]
fn nothing_in_a_layer_that_is_an_error_is_taken_in_silence_by_those_who_read_its_files() {
    let rules = Tool::new("verify").args(["--rules", "--json"]).run().json();
    let silent: Vec<&str> = rules
        .as_array()
        .unwrap()
        .iter()
        .filter(|rule| rule["severity"] == "error" && rule["verdicts"]["files"] == "takes")
        .map(|rule| rule["rule"].as_str().unwrap())
        .collect();
    let in_layers = ["layer-", "gzip-", "tar-", "whiteout", "blob-", "diff-id"];
    let silent: Vec<_> =
        silent.into_iter().filter(|rule| in_layers.iter().any(|start| rule.starts_with(start))).collect();
    assert_eq!(silent, Vec::<&str>::new());
}

/// An error comes before anything is written, also where the fault is in the last layer.
#[test]
fn what_is_refused_leaves_nothing() {
    let scratch = Scratch::new();
    let specimen = specimen(&scratch);
    other(&scratch);
    let rows = corruptions::rows();
    let (_, _, changes) = rows.iter().find(|(rule, ..)| *rule == "tar-name-length").unwrap();
    specimen.write(changes, &scratch.join("bad"));
    for (_, tool) in runs("oci:bad").into_iter().filter(|(depth, _)| *depth == "files") {
        assert_eq!(tool.within(scratch.path()).run().code(), 2);
        let out: &Path = &scratch.join("out");
        assert!(out.symlink_metadata().is_err() && scratch.join("page.html").symlink_metadata().is_err());
    }
}
