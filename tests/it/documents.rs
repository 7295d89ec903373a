mod session;
mod tables;

use std::collections::BTreeSet;
use std::fs;

use crate::architecture::ROWS;
use crate::harness::{clone, Tool};
use crate::verbs::VERBS;

/// The documents at the top and in `docs/`, by name.
fn documents() -> Vec<(String, String)> {
    let mut documents = Vec::new();
    for directory in ["", "docs/"] {
        for entry in fs::read_dir(clone().join(directory)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "md") {
                let name = path.file_name().unwrap().to_str().unwrap();
                documents.push((format!("{directory}{name}"), fs::read_to_string(&path).unwrap()));
            }
        }
    }
    documents.sort();
    assert!(documents.len() > 8, "the documents are elsewhere");
    documents
}

fn document(name: &str) -> String {
    fs::read_to_string(clone().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn every_session_works_as_typed() {
    let sessions: Vec<_> = documents().iter().flat_map(|(name, document)| session::sessions(name, document)).collect();
    assert!(sessions.len() > 10, "{}", sessions.len());
    let wrong: Vec<String> = sessions.iter().filter_map(session::Session::run).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Commands that cannot be a session, because they need BitBake, an SDK or a registry, at least name existing verbs.
#[test]
fn every_verb_that_is_typed_exists() {
    for (name, document) in documents() {
        for (_, text) in session::blocks(&document, "sh") {
            for typed in text.lines().filter_map(|line| line.strip_prefix("ocibake ")) {
                let verb = typed.split(' ').next().unwrap();
                assert!(VERBS.contains(&verb), "{name}: {typed}");
                let is_for_a_build = ["docs/yocto.md", "docs/sdk.md"].contains(&name.as_str());
                assert!(is_for_a_build, "{name}: {typed}: a session is a `console` block, which is run");
            }
        }
    }
}

#[test]
fn every_verb_is_explained() {
    let commands = document("docs/commands.md");
    let headings: BTreeSet<&str> =
        commands.lines().filter_map(|line| line.strip_prefix("## ")).flat_map(|title| title.split(", ")).collect();
    for verb in VERBS {
        assert!(headings.contains(verb), "{verb}");
    }
}

/// Flags of other programs are in lines that name the program.
const FOREIGN: [&str; 10] =
    ["tests/faults/run ", "`tar ", "cargo ", "podman ", "skopeo ", "umoci ", "apt-get ", "benches/", "docker ", "git "];

#[test]
fn every_flag_that_is_named_exists() {
    let mut known = String::new();
    for verb in VERBS {
        known += &Tool::new(verb).arg("--help").run().stdout();
    }
    for (name, document) in documents() {
        for line in document.lines().filter(|line| !FOREIGN.iter().any(|peer| line.contains(peer))) {
            for (at, _) in line.match_indices("--") {
                let flag: String = line[at..].chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect();
                if flag.len() > 3 && !line[..at].ends_with(|c: char| "-<!".contains(c) || c.is_alphanumeric()) {
                    assert!(known.contains(flag.trim_end_matches('-')), "{name}: {flag} in: {line}");
                }
            }
        }
    }
}

#[test]
fn every_make_target_that_is_named_exists() {
    let makefile = document("Makefile");
    for (name, document) in documents() {
        for (at, marker) in document.match_indices("`make ") {
            let rest = &document[at + marker.len()..];
            let target = rest.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).next().unwrap().to_owned();
            assert!(makefile.lines().any(|line| line.starts_with(&format!("{target}:"))), "{name}: make {target}");
        }
    }
}

/// `make help` lists the targets that have a comment, and each target that is not a part of another has one.
#[test]
fn make_help_lists_what_there_is() {
    let makefile = document("Makefile");
    let targets = makefile.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()));
    let (named, silent): (Vec<&str>, Vec<&str>) = targets.partition(|line| line.contains(" ## "));
    assert!(named.len() > 5, "{named:?}");
    for line in silent {
        let target = line.split(':').next().unwrap();
        let is_part = named.iter().any(|named| named.split([' ', ':']).any(|word| word == target));
        let is_called = makefile.contains(&format!("$(MAKE) {target}")) || makefile.contains(&format!(" {target} "));
        assert!(target == "help" || target.contains('/') || is_part || is_called, "{target} is for nothing");
    }
}

/// The anchor of a heading on the repository's web page.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase().chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).collect::<String>();
    kept.replace(' ', "-")
}

#[test]
fn every_link_leads_somewhere() {
    for (name, text) in documents() {
        for (at, marker) in text.match_indices("](") {
            let link = text[at + marker.len()..].split(')').next().unwrap();
            if link.starts_with("https://") {
                continue;
            }
            let (file, section) = link.split_once('#').unwrap_or((link, ""));
            let path = match file {
                "" => clone().join(&name),
                file => clone().join(&name).parent().unwrap().join(file),
            };
            assert!(path.try_exists().unwrap(), "{name}: {link}");
            if !section.is_empty() {
                let target = fs::read_to_string(&path).unwrap();
                let mut headings = target.lines().filter_map(|line| line.trim_start_matches('#').strip_prefix(' '));
                assert!(headings.any(|heading| anchor(heading) == section), "{name}: {link}");
            }
        }
    }
}

/// The first page that people read, with the words that yocto-check-layer requires.
#[test]
fn the_readme_is_a_door() {
    let readme = document("README.md");
    assert!(readme.len() <= 10_000, "{} bytes", readme.len());
    for word in ["maintainer", "patch", "@", "dependencies"] {
        assert!(readme.to_lowercase().contains(word), "{word}");
    }
    for (name, _) in documents() {
        let is_linked = readme.contains(&format!("]({name})"));
        assert!(is_linked || name == "README.md", "the README does not lead to {name}");
    }
}

/// ARCHITECTURE.md lists the rooms in the same way as the test that checks them.
#[test]
fn the_architecture_names_every_room_in_order() {
    let architecture = document("ARCHITECTURE.md");
    let rows = architecture.lines().skip_while(|line| !line.starts_with("| room |")).skip(2);
    let rows: Vec<BTreeSet<&str>> = rows
        .take_while(|line| line.starts_with('|'))
        .map(|row| row.split('|').nth(1).unwrap().split('`').skip(1).step_by(2).collect())
        .collect();
    let expected = ROWS.iter().map(|row| row.iter().copied().collect()).chain([BTreeSet::from(["cli"])]);
    assert_eq!(rows, expected.collect::<Vec<BTreeSet<&str>>>());
}
