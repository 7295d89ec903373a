use std::fs;
use std::os::unix::fs::{symlink, FileTypeExt};
use std::process::{Command, Stdio};

use super::made::{html, releases};
use crate::harness::{Outcome, Scratch, Tool};

fn written_to(scratch: &Scratch, name: &str) -> Outcome {
    Tool::new("report").args(["oci:new", "-o", name]).within(scratch.path()).run()
}

/// What stands in the directory, besides what the test made.
fn names(scratch: &Scratch) -> Vec<String> {
    let names = fs::read_dir(scratch.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[test]
fn a_page_appears_when_it_is_whole() {
    let scratch = Scratch::new();
    releases(&scratch);
    let run = |words: &[&str]| Tool::new("report").args(words).within(scratch.path()).run();
    fs::write(scratch.join("page.html"), "before").unwrap();
    let before = names(&scratch);
    let error = run(&["oci:nowhere", "-o", "page.html"]).error();
    assert!(error.contains("nowhere"), "{error}");
    assert_eq!(fs::read_to_string(scratch.join("page.html")).unwrap(), "before");
    assert_eq!(run(&["oci:new", "-o", "page.html"]).stdout(), "");
    assert_eq!(fs::read_to_string(scratch.join("page.html")).unwrap(), html(&scratch, &["oci:new"]));
    let error = run(&["oci:new", "-o", "-", "--json"]).error();
    assert!(error.starts_with("the page and the object of --json cannot both go to stdout"), "{error}");
    assert_eq!(names(&scratch), before);
}

#[test]
fn the_ending_of_the_name_says_what_is_written() {
    let scratch = Scratch::new();
    releases(&scratch);
    for (name, beginning) in [
        ("a.html", "<!DOCTYPE html>"),
        ("a.htm", "<!DOCTYPE html>"),
        ("a.HTML", "<!DOCTYPE html>"),
        ("a.md", "# `new`"),
        ("a.MD", "# `new`"),
    ] {
        assert_eq!(written_to(&scratch, name).stdout(), "");
        let written = fs::read_to_string(scratch.join(name)).unwrap();
        assert!(written.starts_with(beginning), "{name}: {written:.40}");
    }
    let before = names(&scratch);
    for name in ["a.pdf", "a.json", "a", ".md", "a.html.gz", "a.txt"] {
        // Refused before anything is read.
        let outcome = Tool::new("report").args(["oci:nowhere", "-o", name]).within(scratch.path()).run();
        let said = outcome.error();
        assert!(said.starts_with(&format!("-o `{name}`: a name that ends in .html, .htm or .md expected")), "{said}");
        assert!(said.contains("hint: a browser can print the page to a PDF"), "{said}");
    }
    assert_eq!(names(&scratch), before);
}

#[test]
fn a_place_that_cannot_be_written_is_refused_before_anything_is_read() {
    let scratch = Scratch::new();
    fs::create_dir(scratch.join("directory.html")).unwrap();
    fs::write(scratch.join("file"), "").unwrap();
    for (name, reason) in [
        ("no/where.html", "No such file or directory"),
        ("directory.html", "it is a directory"),
        ("file/page.html", "what it would be in is no directory"),
    ] {
        let outcome = Tool::new("report").args(["oci:nowhere", "-o", name]).within(scratch.path()).run();
        let said = outcome.error();
        assert!(said.starts_with(&format!("cannot create `{name}`: {reason}")), "{said}");
    }
    assert_eq!(names(&scratch), ["directory.html", "file"]);
}

/// A link stays a link, a device a device, and an error of the last byte is an error.
#[test]
fn links_and_devices_stay_what_they_are() {
    let scratch = Scratch::new();
    releases(&scratch);
    let page = html(&scratch, &["oci:new"]);
    fs::create_dir(scratch.join("elsewhere")).unwrap();
    fs::write(scratch.join("elsewhere/page.html"), "before").unwrap();
    symlink("elsewhere/page.html", scratch.join("link.html")).unwrap();
    assert_eq!(written_to(&scratch, "link.html").stdout(), "");
    assert!(scratch.join("link.html").is_symlink());
    assert_eq!(fs::read_to_string(scratch.join("elsewhere/page.html")).unwrap(), page);

    symlink("elsewhere/new.html", scratch.join("dangling.html")).unwrap();
    symlink("dangling.html", scratch.join("twice.html")).unwrap();
    assert_eq!(written_to(&scratch, "twice.html").stdout(), "");
    assert_eq!(fs::read_to_string(scratch.join("elsewhere/new.html")).unwrap(), page);
    symlink("loop.html", scratch.join("loop.html")).unwrap();
    let said = written_to(&scratch, "loop.html").error();
    assert!(said.starts_with("cannot follow the link `loop.html`: it leads to itself"), "{said}");

    let fifo = scratch.join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let reader = Command::new("cat").arg(&fifo).stdout(Stdio::piped()).spawn().unwrap();
    assert_eq!(written_to(&scratch, "fifo").stdout(), "");
    assert!(fs::metadata(&fifo).unwrap().file_type().is_fifo());
    assert!(reader.wait_with_output().unwrap().stdout == page.as_bytes());
    assert!(written_to(&scratch, "/dev/stdout").stdout() == page);

    for name in ["full.md", "full.html"] {
        symlink("/dev/full", scratch.join(name)).unwrap();
        let said = written_to(&scratch, name).error();
        assert!(said.starts_with(&format!("cannot write `{name}`: No space left on device")), "{said}");
    }
}
