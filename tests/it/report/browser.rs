use super::made::{findings, halves, html, platforms, releases, variants};
use super::page::hostile;
use crate::harness::{clone, missing, Peer, Scratch};

/// On paper, the heading of a list stands above its first rows, wherever on the page the list begins.
#[test]
fn no_heading_is_alone_at_the_foot_of_a_page() {
    let (Some(browser), Some(reader)) = (Peer::find("chromium"), Peer::find("pdftotext")) else { return };
    let scratch = Scratch::new();
    halves(&scratch.join("halves"));
    let page = html(&scratch, &["oci:halves"]);
    let section = "<section id=\"largest-0\"";
    let (before, rest) = page.split_once(section).unwrap();
    // The policy of the page forbids styles of ours, but not an image of a height. Lists begin where nothing is above.
    let paper = |gap: usize| {
        let gaps = format!("<svg width=\"1\" height=\"{gap}\"></svg>");
        let opened = before.split_once("<main>").unwrap().0;
        std::fs::write(scratch.join("gap.html"), format!("{opened}<main>{gaps}{section}{rest}")).unwrap();
        let [html, pdf] = ["gap.html", "gap.pdf"].map(|name| scratch.join(name).display().to_string());
        let mut command = browser.command();
        command.args(["--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer"]);
        command.args([&format!("--print-to-pdf={pdf}"), &html]);
        browser.finish(command);
        let mut command = reader.command();
        command.args(["-layout", &pdf, "-"]);
        reader.finish(command)
    };
    let mut split = 0;
    for gap in (760..880).step_by(15) {
        let text = paper(gap);
        let first: Vec<&str> = text.split('\u{c}').next().unwrap().lines().map(str::trim).collect();
        let last = first.iter().rev().find(|line| !line.is_empty()).copied().unwrap_or_default();
        assert!(!last.starts_with("Largest") && !last.starts_with("Path"), "{gap}: {text}");
        split += usize::from(last.starts_with('/'));
    }
    assert!(split > 0, "no list was at the foot of a page");
}

/// `tests/browser/look` documents what it tests, and names everything that is wrong.
#[test]
fn a_browser_shows_it() {
    let (Some(_), Some(python)) = (Peer::find("chromium"), Peer::python()) else { return };
    let scratch = Scratch::new();
    releases(&scratch);
    findings(&scratch.join("findings"));
    platforms(&scratch);
    hostile(&scratch.join("hostile"));
    halves(&scratch.join("halves"));
    variants(&scratch, "many", &[1, 1, 2, 3, 4, 5]);
    for (name, words) in [
        ("compared", &["oci:new", "oci:old", "--package-map", "map-new", "--fail-if", "size>1GB"][..]),
        ("findings", &["oci:findings"]),
        ("platforms", &["oci:both", "oci:one"]),
        ("hostile", &["oci:hostile", "oci:findings"]),
        ("halves", &["oci:halves"]),
        ("many", &["oci:many"]),
    ] {
        std::fs::write(scratch.join(&format!("{name}.html")), html(&scratch, words)).unwrap();
    }
    let mut command = python.command();
    command.arg(clone().join("tests/browser/look")).arg(scratch.path());
    let axe = clone().join("build/browser/node_modules/axe-core/axe.min.js");
    if axe.is_file() {
        command.arg(axe);
    } else {
        missing("axe-core, which tests/peers fetches with npm");
    }
    let said = python.finish(command);
    assert!(said.ends_with("good\n"), "{said}");
}
