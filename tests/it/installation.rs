use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::harness::{clone, names_below, Peer, Scratch, Tool};
use crate::verbs::VERBS;

/// Runs `make install` into `scratch/dest`.
fn install(scratch: &Scratch, make: &Peer, words: &[&str]) {
    let mut command = make.command();
    command.arg("-C").arg(clone()).args(["-s", "install"]).args(words);
    command.arg(format!("DESTDIR={}", scratch.join("dest").display()));
    command.arg(format!("BINARY={}", Tool::path().display()));
    let said = make.finish(command);
    assert_eq!(said, "");
}

#[test]
fn everything_is_put_where_it_is_looked_for() {
    let scratch = Scratch::new();
    let Some(make) = Peer::find("make") else { return };
    let pages = VERBS.iter().map(|verb| format!("share/man/man1/ocibake-{verb}.1"));
    let others = [
        "bin/ocibake",
        "share/bash-completion/completions/ocibake",
        "share/fish/vendor_completions.d/ocibake.fish",
        "share/man/man1/ocibake.1",
        "share/zsh/site-functions/_ocibake",
    ];
    let mut expected: Vec<String> = pages.chain(others.map(str::to_owned)).collect();
    expected.sort();

    // It also works a second time, over the installed files.
    for (words, prefix) in [(&[][..], "usr/local"), (&[], "usr/local"), (&["PREFIX=/opt/bake"], "opt/bake")] {
        install(&scratch, &make, words);
        let mut found: Vec<String> = names_below(&scratch.join(&format!("dest/{prefix}")));
        found.retain(|name| !name.ends_with('/'));
        found.sort();
        assert_eq!(found, expected, "{prefix}");
    }
    let all = names_below(&scratch.join("dest"));
    assert_eq!(all.iter().filter(|name| !name.ends_with('/')).count(), 2 * expected.len(), "{all:?}");

    let installed = scratch.join("dest/usr/local/bin/ocibake");
    assert_eq!(installed.metadata().unwrap().permissions().mode() & 0o7777, 0o755);
    assert!(Tool::new("--version").program(&installed).run().stdout().starts_with("ocibake "));
    assert_eq!(fs::read(&installed).unwrap().len(), fs::read(Path::new(Tool::path())).unwrap().len());
}
