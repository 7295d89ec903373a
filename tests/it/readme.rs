use std::fs;
use std::path::Path;

use crate::harness::{Peer, Scratch, Tool};
use crate::verbs::VERBS;

fn readme() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap()
}

/// The commands of the console blocks of the first session, in order.
fn typed(readme: &str) -> Vec<&str> {
    let mut is_console = false;
    let mut commands = Vec::new();
    let session = readme.lines().skip_while(|line| *line != "## Try it").skip(1);
    for line in session.take_while(|line| !line.starts_with("## ")) {
        match line.strip_prefix("```") {
            Some(language) => is_console = language == "console",
            None if is_console => commands.extend(line.strip_prefix("$ ")),
            None => {}
        }
    }
    commands
}

#[test]
fn the_first_session_works_as_typed() {
    let scratch = Scratch::new();
    let Some(shell) = Peer::find("sh") else { return };
    if Peer::find("busybox").is_none() {
        return;
    }
    let bin = scratch.make_directory("bin");
    std::os::unix::fs::symlink(Tool::path(), bin.join("ocibake")).unwrap();
    let readme = readme();
    // The tool is built already, and `make` is for the whole package.
    let session = typed(&readme).into_iter().filter(|line| !line.starts_with("cargo ") && !line.starts_with("make "));
    let script: String = session.map(|line| format!("{line}\n")).collect();
    assert!(script.contains("ocibake build") && script.contains("ocibake verify"), "{script}");
    let mut command = shell.command();
    let path = format!("{}:{}", bin.display(), "/usr/sbin:/usr/bin:/sbin:/bin");
    command.args(["-e", "-u", "-c", &script]).env("PATH", path).current_dir(scratch.path());
    let said = shell.finish(command);
    assert!(said.contains("sha256:"), "{said}");
    assert!(scratch.join("build/image/index.json").is_file() && scratch.join("build/hello.tar").is_file());
}

#[test]
fn every_flag_that_it_names_exists() {
    let mut known = String::new();
    for verb in VERBS {
        known += &Tool::new(verb).arg("--help").run().stdout();
    }
    let readme = readme();
    // Other programs' flags stand in lines that name the program.
    let is_foreign = |line: &str| {
        ["cargo ", "podman ", "skopeo ", "apt-get ", "benches/compare "].iter().any(|peer| line.contains(peer))
    };
    let lines = readme.lines().filter(|line| !is_foreign(line));
    for line in lines {
        for (at, _) in line.match_indices("--") {
            let flag: String = line[at..].chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect();
            if flag.len() > 3 && !line[..at].ends_with(|c: char| c == '-' || c.is_alphanumeric()) {
                assert!(known.contains(&flag), "{flag} in: {line}");
            }
        }
    }
}

#[test]
fn every_make_target_that_it_names_exists() {
    let makefile = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Makefile")).unwrap();
    let readme = readme();
    for (at, marker) in readme.match_indices("`make ") {
        let rest = &readme[at + marker.len()..];
        let target = rest.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).next().unwrap().to_owned();
        assert!(makefile.lines().any(|line| line.starts_with(&format!("{target}:"))), "make {target}");
    }
}
