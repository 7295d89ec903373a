use super::made::{findings, halves, html, platforms, releases, variants};
use super::page::hostile;
use crate::harness::{clone, missing, Peer, Scratch};

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
