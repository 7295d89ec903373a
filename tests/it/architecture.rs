use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::harness::clone;
use crate::verbs::VERBS;

/// The modules, row by row: a module may use those in its own row and in the rows above it.
pub(crate) const ROWS: [&[&str]; 10] = [
    &[
        "error",
        "hint",
        "limits",
        "digest",
        "block_cache",
        "time",
        "media_type",
        "platform",
        "work",
        "parallel",
        "spelling",
        "base64",
        "json",
        "units",
        "rule",
    ],
    &["oci"],
    &["tree"],
    &["tar"],
    &["compress"],
    &["layer"],
    &["layout"],
    &["settings"],
    &["image"],
    &["ops"],
];

/// Crates and modules that only the binary may use.
const BEYOND_THE_BOUNDARY: [&str; 7] =
    ["clap", "clap_complete", "clap_mangen", "anyhow", "indicatif", "signal_hook", "crate::cli"];

/// Every source file of the package with its code, without comments and tests.
fn sources() -> Vec<(PathBuf, String)> {
    let mut sources = Vec::new();
    let mut directories = vec![clone().join("src")];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                // Tests of a module in separate files.
                if path.file_name().is_some_and(|name| name != "tests" && name != "testing") {
                    directories.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let is_tests = path.file_name().is_some_and(|name| name == "tests.rs" || name == "testing.rs");
                if !is_tests {
                    let relative = path.strip_prefix(clone().join("src")).unwrap().to_path_buf();
                    sources.push((relative, code(&fs::read_to_string(&path).unwrap())));
                }
            }
        }
    }
    assert!(sources.len() > 30, "the sources are elsewhere");
    sources.sort();
    sources
}

/// A source without comments and tests. The tests of a file are at its end; where they are a file of their own, the
/// line that says so is among the other modules, and what follows it is code.
fn code(text: &str) -> String {
    let mut code = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if line.trim() == "#[cfg(test)]" {
            match lines.peek().map(|next| next.trim()) {
                Some("mod tests {") => break,
                Some("mod tests;") => {
                    lines.next();
                    code.push_str("\n\n");
                    continue;
                }
                _ => {}
            }
        }
        code += if line.trim_start().starts_with("//") { "" } else { line };
        code.push('\n');
    }
    code
}

#[test]
fn the_code_of_a_file_is_what_is_not_its_tests() {
    let text = "//! Words.\nmod a;\n#[cfg(test)]\nmod tests;\nmod b;\n\n#[cfg(test)]\nmod testing;\n";
    let tests = "\n#[cfg(test)]\nmod tests {\n    use crate::cli;\n}\n";
    let expected = "\nmod a;\n\n\nmod b;\n\n#[cfg(test)]\nmod testing;\n\n";
    assert_eq!(code(&format!("{text}{tests}")), expected);
    // What the directories' roots export is seen, too.
    let of_layout = sources().into_iter().find(|(path, _)| path == Path::new("layout/mod.rs")).unwrap().1;
    assert!(of_layout.contains("fn digest_of_path"), "{of_layout}");
}

/// The module at the top of the library that a file belongs to; none for the crate's own roots and the binary.
fn module(path: &Path) -> Option<String> {
    let first = path.iter().next().unwrap().to_str().unwrap();
    let name = first.strip_suffix(".rs").unwrap_or(first);
    (!matches!(name, "lib" | "main" | "cli")).then(|| name.to_owned())
}

fn row_of(module: &str) -> usize {
    let row = ROWS.iter().position(|row| row.contains(&module));
    row.unwrap_or_else(|| panic!("the module `{module}` has no row: give it one, here and in the design"))
}

/// The names after each `crate::` of a source, `crate::{a, b::c}` included.
fn uses_of_the_crate(code: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (at, marker) in code.match_indices("crate::") {
        let rest = &code[at + marker.len()..];
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let heads: Vec<&str> = match rest.strip_prefix('{') {
            Some(group) => top_level(group),
            None => vec![rest],
        };
        for head in heads {
            let head = head.trim_start();
            names.insert(head[..head.find(|c| !is_name(c)).unwrap_or(head.len())].to_owned());
        }
    }
    names
}

/// The elements of a group up to its closing brace.
fn top_level(group: &str) -> Vec<&str> {
    let (mut depth, mut start, mut elements) = (0, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                elements.push(&group[start..at]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                elements.push(&group[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    elements.retain(|element| !element.trim().is_empty());
    elements
}

#[test]
fn modules_use_only_what_stands_above_them() {
    let mut wrong = Vec::new();
    for (path, code) in sources() {
        let Some(user) = module(&path) else { continue };
        for used in uses_of_the_crate(&code) {
            // The error and its result are also exported at the root.
            if matches!(used.as_str(), "Error" | "Result" | "Work") || used == user {
                continue;
            }
            if row_of(&used) > row_of(&user) {
                wrong.push(format!("{} uses {used}", path.display()));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

/// The names that a file defines, apart from methods.
fn definitions(code: &str) -> BTreeSet<&str> {
    let name = |line: &'_ str| -> Option<(usize, usize)> {
        let mut words = line.split_whitespace().skip_while(|word| word.starts_with("pub") || word.ends_with(')'));
        let kind = words.next()?;
        let mut name = words.next()?;
        if (kind, name) == ("const", "fn") {
            name = words.next()?;
        }
        let is_item = matches!(kind, "fn" | "struct" | "enum" | "trait" | "type" | "const" | "static");
        let end = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(name.len());
        is_item.then_some((name.as_ptr() as usize - line.as_ptr() as usize, end))
    };
    code.lines()
        .filter_map(|line| name(line).filter(|_| !line.starts_with(' ')).map(|(at, end)| &line[at..][..end]))
        .collect()
}

/// The files that a file names in its uses, by paths through `crate` and `super`. What is used through a `pub use` in
/// the `mod.rs` of a directory does not count: that is its interface. What a `mod.rs` defines does.
fn files_used(path: &Path, code: &str, sources: &BTreeMap<PathBuf, String>) -> BTreeSet<PathBuf> {
    let folder = path.parent().unwrap();
    let above = if path.ends_with("mod.rs") { folder.parent().unwrap_or(folder) } else { folder };
    let mut used = BTreeSet::new();
    for (marker, base) in [("crate::", Path::new("")), ("super::", above)] {
        for (at, _) in code.match_indices(marker) {
            for words in paths(&code[at + marker.len()..]) {
                let mut place = base.to_path_buf();
                let mut found = sources.get_key_value(&place.join("mod.rs"));
                let mut name = words[0];
                for (number, word) in words.iter().enumerate() {
                    place.push(word);
                    let file = sources.get_key_value(&place.with_extension("rs"));
                    let Some(file) = file.or_else(|| sources.get_key_value(&place.join("mod.rs"))) else { break };
                    (found, name) = (Some(file), words.get(number + 1).copied().unwrap_or_default());
                }
                let counts = |(file, code): &(&PathBuf, &String)| {
                    *file != path && (!file.ends_with("mod.rs") || definitions(code).contains(name))
                };
                used.extend(found.filter(counts).map(|(file, _)| file.clone()));
            }
        }
    }
    used
}

/// The files of a directory that its `mod.rs` uses itself, and not only exports.
fn children_used(path: &Path, code: &str, sources: &BTreeMap<PathBuf, String>) -> BTreeSet<PathBuf> {
    let (mut exported, mut private, mut body) = (String::new(), String::new(), String::new());
    let (mut modules, mut is_inside) = (Vec::new(), None);
    for line in code.lines() {
        let item = line.trim_start_matches("pub").trim_start();
        let item = if item.starts_with('(') { item.split_once(") ").map_or(item, |(_, item)| item) } else { item };
        if let Some(module) = item.strip_prefix("mod ").and_then(|module| module.strip_suffix(';')) {
            modules.push(module.to_owned());
            continue;
        }
        if item.starts_with("use ") {
            is_inside = Some(line.starts_with("pub"));
        }
        let part = match is_inside {
            Some(true) => &mut exported,
            Some(false) => &mut private,
            None => &mut body,
        };
        *part += line;
        part.push('\n');
        if line.ends_with(';') {
            is_inside = None;
        }
    }
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let has = |text: &str, word: &str| {
        text.match_indices(word).any(|(at, _)| {
            !text[..at].ends_with(is_part) && !text[at + word.len()..].starts_with(|c| is_part(c) && c != ':')
        })
    };
    let exports = |module: &str| -> bool {
        let uses = exported.match_indices(" use ").flat_map(|(at, word)| paths(&exported[at + word.len()..]));
        uses.filter(|words| words[0] == module).any(|words| has(&body, words[words.len() - 1]))
    };
    let is_used = |module: &String| {
        let marker = format!("{module}::");
        let names = |text: &str| text.match_indices(&marker).any(|(at, _)| !text[..at].ends_with(is_part));
        names(&private) || names(&body) || exports(module)
    };
    let folder = path.parent().unwrap();
    let file = |module: &String| {
        let place = folder.join(module);
        [place.with_extension("rs"), place.join("mod.rs")].into_iter().find(|file| sources.contains_key(file))
    };
    modules.iter().filter(|module| is_used(module)).filter_map(file).collect()
}

/// The paths that begin here, with groups in braces expanded.
fn paths(text: &str) -> Vec<Vec<&str>> {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    if let Some(group) = rest.strip_prefix('{').filter(|_| word.is_empty()) {
        return top_level(group).into_iter().flat_map(|element| paths(element.trim_start())).collect();
    }
    let below = rest.strip_prefix("::").map(paths).unwrap_or_default();
    if below.is_empty() {
        return vec![vec![word]];
    }
    below.into_iter().map(|path| [vec![word], path].concat()).collect()
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    // The binary's verbs use what its root defines: a session, an answer.
    let sources: BTreeMap<PathBuf, String> =
        sources().into_iter().filter(|(path, _)| !path.starts_with("cli")).collect();
    let mut uses: BTreeMap<&Path, BTreeSet<PathBuf>> = BTreeMap::new();
    for (path, code) in &sources {
        let mut files = files_used(path, code, &sources);
        if path.ends_with("mod.rs") {
            files.extend(children_used(path, code, &sources));
        }
        uses.insert(path, files);
    }
    assert!(uses.values().map(BTreeSet::len).sum::<usize>() > 200, "uses are read no more");
    let made = |files: &[(&str, &str)]| -> BTreeMap<PathBuf, String> {
        files.iter().map(|(path, code)| (path.into(), (*code).to_owned())).collect()
    };
    let knot = made(&[
        ("a/mod.rs", "mod b;\nmod c;\npub(crate) use b::B;\npub use c::C;\npub struct A;\nfn new() -> B {}\n"),
        ("a/b.rs", "use crate::a::{A, C};\n"),
        ("a/c.rs", ""),
    ]);
    let root = Path::new("a/mod.rs");
    assert_eq!(children_used(root, &knot[root], &knot), [PathBuf::from("a/b.rs")].into());
    assert_eq!(files_used(Path::new("a/b.rs"), &knot[Path::new("a/b.rs")], &knot), [root.to_path_buf()].into());

    // A file that uses none of the remaining files is in no cycle.
    loop {
        let left: BTreeSet<PathBuf> = uses.keys().map(|path| path.to_path_buf()).collect();
        let before = uses.len();
        uses.retain(|_, used| used.iter().any(|used| left.contains(used)));
        if uses.len() == before {
            break;
        }
    }
    assert!(uses.is_empty(), "in circles, or using one: {:#?}", uses.keys());
}

/// With two types of the same name, a reader has to tell two meanings apart. The arguments of a verb are `Args` in its
/// file.
#[test]
fn no_type_has_the_name_of_another() {
    let mut places: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for (path, code) in sources() {
        for line in code.lines().map(str::trim_start).filter(|line| line.starts_with("pub")) {
            let mut words = line.split_whitespace().skip_while(|word| word.starts_with("pub") || word.ends_with(')'));
            if let (Some("struct" | "enum" | "trait" | "type"), Some(name)) = (words.next(), words.next()) {
                let name = name.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap().to_owned();
                places.entry(name).or_default().push(path.clone());
            }
        }
    }
    assert!(places.len() > 150, "types are found no more");
    places.retain(|name, places| places.len() > 1 && name != "Args");
    assert_eq!(places, BTreeMap::new());
}

#[test]
fn the_front_page_of_the_library_leads_to_every_verb() {
    let page = fs::read_to_string(clone().join("src/lib.rs")).unwrap();
    for verb in VERBS.iter().filter(|verb| !matches!(**verb, "completions" | "man")) {
        let row = page.lines().find(|line| line.starts_with(&format!("//! | [`{verb}`]")));
        let row = row.unwrap_or_else(|| panic!("no row for {verb}"));
        for wanted in ["Options`]", "Report`]"] {
            assert!(row.contains(wanted), "{row}");
        }
    }
}

#[test]
fn the_reading_of_uses_is_right() {
    let code = "use crate::error::{A, B};\nuse crate::{tree::{self, C}, tar::D,};\nlet x = crate::oci::E;";
    assert_eq!(uses_of_the_crate(code).into_iter().collect::<Vec<_>>(), ["error", "oci", "tar", "tree"]);
}

#[test]
fn the_library_never_sees_the_command_line() {
    for (path, code) in sources() {
        let is_library = !path.starts_with("cli") && path != Path::new("main.rs");
        for name in BEYOND_THE_BOUNDARY {
            let is_word = code.match_indices(name).any(|(at, _)| {
                let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
                !code[..at].ends_with(is_part) && !code[at + name.len()..].starts_with(is_part)
            });
            assert!(!(is_library && is_word), "{} names {name}", path.display());
        }
        // And the binary uses only the public interface of the library.
        assert!(is_library || !code.contains("#[path"), "{}", path.display());
    }
}

/// To suggest a flag or another command, the library names the option or verb (`Hint`), and the command says how it is
/// typed. Flags get their names in the table of settings.
#[test]
fn no_message_of_the_library_names_a_flag_or_a_command() {
    const TABLE: &str = "settings/variables.rs";
    /// The text of a step in an image's history is part of the image, not a hint.
    const STEPS: [&str; 3] = ["\"ocibake build\"", "\"ocibake config\"", "\"ocibake squash\""];
    /// The flags of another program, in a command that is to be typed whole.
    const OTHERS: [&str; 1] = ["tar --numeric-owner --xattrs"];
    let mut wrong = Vec::new();
    for (path, code) in sources() {
        if path.starts_with("cli") || path == Path::new("main.rs") || path == Path::new(TABLE) {
            continue;
        }
        let code = STEPS.iter().chain(&OTHERS).fold(code, |code, step| code.replace(step, ""));
        let names_flag = |line: &str| {
            line.match_indices("--").any(|(at, dashes)| {
                !line[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '-')
                    && line[at + dashes.len()..].starts_with(|c: char| c.is_ascii_lowercase() || c == '{')
            })
        };
        let names_command = |line: &str| VERBS.iter().any(|verb| line.contains(&format!("ocibake {verb}")));
        let lines = code.lines().filter(|line| names_flag(line) || names_command(line));
        wrong.extend(lines.map(|line| format!("{}: {}", path.display(), line.trim())));
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn no_file_is_long_and_no_name_says_nothing() {
    const SAY_NOTHING: [&str; 9] =
        ["util", "utils", "helper", "helpers", "manager", "context", "data", "process", "common"];
    for (path, code) in sources() {
        let lines = code.lines().count();
        assert!(lines <= 400, "{}: {lines} lines before its tests", path.display());
        let stem = path.file_stem().unwrap().to_str().unwrap();
        assert!(stem.split('_').all(|word| !SAY_NOTHING.contains(&word)), "{}", path.display());
    }
}

/// So that a reader knows from its first line what a file is for (`ARCHITECTURE.md`).
#[test]
fn every_file_says_at_its_top_what_it_is_for() {
    let says = |path: &Path| fs::read_to_string(clone().join("src").join(path)).unwrap().starts_with("//! ");
    let silent: Vec<PathBuf> = sources().into_iter().map(|(path, _)| path).filter(|path| !says(path)).collect();
    assert_eq!(silent, Vec::<PathBuf>::new());
}

/// The columns of a line (`.editorconfig`), which rustfmt keeps for code alone.
const COLUMNS: usize = 120;

/// A source without what is in its strings.
fn without_strings(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let (own, literal) = if rest.starts_with("//") {
            (rest.find('\n').unwrap_or(rest.len()), 0)
        } else if let Some(hashes) = raw_string(rest) {
            let end = format!("\"{}", "#".repeat(hashes));
            let content = &rest[hashes + 2..];
            (hashes + 2, content.find(&end).map_or(content.len(), |at| at + end.len()))
        } else if c == '"' {
            (1, end_of_literal(&rest[1..], '"'))
        } else if c == '\'' && (rest[1..].starts_with('\\') || rest[1..].chars().nth(1) == Some('\'')) {
            (1, end_of_literal(&rest[1..], '\''))
        } else {
            (c.len_utf8(), 0)
        };
        kept += &rest[..own];
        kept.extend(rest[own..own + literal].matches('\n'));
        rest = &rest[own + literal..];
    }
    kept
}

/// How many `#` a raw string has that begins here.
fn raw_string(text: &str) -> Option<usize> {
    let hashes = text.strip_prefix('r')?;
    let string = hashes.trim_start_matches('#');
    string.starts_with('"').then(|| hashes.len() - string.len())
}

/// Where a literal ends that a quote closes.
fn end_of_literal(text: &str, quote: char) -> usize {
    let mut is_escaped = false;
    let end = text.char_indices().find(|(_, c)| {
        let is_end = *c == quote && !is_escaped;
        is_escaped = *c == '\\' && !is_escaped;
        is_end
    });
    end.map_or(text.len(), |(at, _)| at + 1)
}

#[test]
fn no_line_is_longer_than_120_columns_but_for_a_string() {
    let mut long = Vec::new();
    let mut directories = vec![clone().join("src"), clone().join("tests/it")];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = without_strings(&fs::read_to_string(&path).unwrap());
                // A row of a table in a comment cannot be broken either.
                let rows = text.lines().enumerate().filter(|(_, line)| !line.starts_with("//! |"));
                let own = rows.filter(|(_, line)| line.chars().count() > COLUMNS);
                long.extend(own.map(|(at, line)| format!("{}:{}: {}", path.display(), at + 1, line.trim())));
            }
        }
    }
    assert_eq!(long, Vec::<String>::new());

    let text = "let a = \"b\\\"\nc\"; // \"d\"\nlet e = ('\"', '\\'', r#\"f\"g\"#, 'h'); fn i<'j>() {}\n";
    let expected = "let a = \"\n; // \"d\"\nlet e = (', ', r#\", '); fn i<'j>() {}\n";
    assert_eq!(without_strings(text), expected);
}

/// Clippy checks these too; here they are checked without it.
#[test]
fn nothing_unordered_no_clock_no_type_of_a_listing() {
    const BANNED: [(&str, &str); 7] = [
        ("HashMap", "its order differs from run to run"),
        ("HashSet", "its order differs from run to run"),
        ("SystemTime::now", "an image has no clock"),
        ("unsafe", "forbidden"),
        ("temp_dir()", "a target is written where it is"),
        ("syscall(", "pseudo sees calls of libc alone"),
        ("canonicalize", "pseudo is asked once"),
    ];
    for (path, code) in sources() {
        for (name, why) in BANNED {
            assert!(!code.contains(name), "{}: {name}: {why}", path.display());
        }
    }
}

/// `cargo metadata` of what is locked, as built for Linux.
fn metadata(features: &[&str]) -> Value {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--locked", "--offline", "--format-version=1"])
        .args(["--filter-platform=x86_64-unknown-linux-gnu"])
        .args(features)
        .current_dir(clone())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The packages in the library or the binary, with their features: no build scripts, no tests. The older rustix
/// has the name that the library gives it.
fn normal_dependencies(metadata: &Value) -> BTreeMap<String, Vec<String>> {
    let nodes: BTreeMap<&str, &Value> = metadata["resolve"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| (node["id"].as_str().unwrap(), node))
        .collect();
    let names: BTreeMap<&str, &str> = metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| {
            let is_kernel = package["name"] == "rustix" && package["version"].as_str().unwrap().starts_with("0.");
            (package["id"].as_str().unwrap(), if is_kernel { "kernel" } else { package["name"].as_str().unwrap() })
        })
        .collect();
    let mut open = vec![metadata["resolve"]["root"].as_str().unwrap()];
    let mut seen = BTreeMap::new();
    while let Some(id) = open.pop() {
        let features = nodes[id]["features"].as_array().unwrap().iter();
        let features = features.map(|feature| feature.as_str().unwrap().to_owned()).collect();
        if seen.insert(names[id].to_owned(), features).is_some() {
            continue;
        }
        for dependency in nodes[id]["deps"].as_array().unwrap() {
            let is_normal = dependency["dep_kinds"].as_array().unwrap().iter().any(|kind| kind["kind"].is_null());
            if is_normal {
                open.push(dependency["pkg"].as_str().unwrap());
            }
        }
    }
    seen
}

/// A program that uses the library does not build the crates that draw progress bars and read flags.
#[test]
fn the_library_alone_needs_no_crate_of_the_command_line() {
    let (all, library) =
        (normal_dependencies(&metadata(&[])), normal_dependencies(&metadata(&["--no-default-features"])));
    for name in BEYOND_THE_BOUNDARY.iter().filter(|name| !name.starts_with("crate::")) {
        let name = name.replace("signal_hook", "signal-hook");
        assert!(all.contains_key(&name), "{name} is gone: take it off the list");
        assert!(!library.contains_key(&name), "{name} comes with the library");
    }
    assert!(library.len() + 15 < all.len(), "{} of {}", library.len(), all.len());
}

#[test]
fn no_dependency_asks_the_kernel_behind_the_back_of_pseudo() {
    let dependencies = normal_dependencies(&metadata(&[]));
    assert!(dependencies.len() > 20, "{dependencies:?}");
    for (name, why) in [
        ("tempfile", "renames by raw system calls"),
        ("xattr", "reads attributes by raw system calls"),
        ("cap-std", "opens by raw system calls"),
        ("cap-primitives", "opens by raw system calls"),
        ("cap-tempfile", "renames by raw system calls"),
        ("openat2", "is no call of libc"),
        ("io-uring", "is no call of libc"),
        ("tokio-uring", "is no call of libc"),
        ("syscalls", "is no call of libc"),
        ("sc", "is no call of libc"),
        ("walkdir", "takes types from the listing"),
        ("ignore", "takes types from the listing"),
        ("jwalk", "takes types from the listing"),
        ("oci-spec", "keeps labels in a HashMap"),
    ] {
        assert!(!dependencies.contains_key(name), "{name} {why}");
    }
    let features = |name: &str| dependencies.get(name).unwrap_or_else(|| panic!("{name} is gone")).clone();
    assert!(features("rustix").contains(&"use-libc".to_owned()), "{:?}", features("rustix"));
    assert!(!features("tar").iter().any(|feature| feature == "default" || feature == "xattr"), "{:?}", features("tar"));
    // One backend each: which one compresses must not depend on other crates in the tree.
    let flate2 = features("flate2");
    assert!(flate2.contains(&"zlib-rs".to_owned()), "{flate2:?}");
    assert!(!flate2
        .iter()
        .any(|feature| matches!(feature.as_str(), "zlib" | "zlib-ng" | "miniz_oxide" | "rust_backend")));
}

/// pseudo and fakeroot change neither device, inode, size nor mtime. That these four are still the same may be asked of
/// the kernel itself, in one place, since under pseudo an answer of libc takes longer than to read a small file.
#[test]
fn one_file_asks_the_kernel_itself_and_only_for_what_pseudo_does_not_change() {
    const PLACE: &str = "tree/seen.rs";
    let asks = |(path, code): (PathBuf, String)| code.contains("kernel::").then_some(path);
    assert_eq!(sources().into_iter().filter_map(asks).collect::<Vec<_>>(), [Path::new(PLACE)]);
    let code = fs::read_to_string(clone().join("src").join(PLACE)).unwrap();
    let names = code.split("kernel::fs::").skip(1);
    let names: BTreeSet<&str> = names.map(|rest| rest.split(|c: char| !c.is_alphanumeric()).next().unwrap()).collect();
    assert_eq!(names, ["AtFlags", "Stat", "fstat", "statat"].into_iter().collect());

    // Nothing else uses it, and it can do nothing else.
    let metadata = metadata(&[]);
    assert_eq!(normal_dependencies(&metadata)["kernel"], ["alloc", "fs", "libc-extra-traits", "std"]);
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap();
    let users = nodes.iter().filter(|node| {
        node["deps"]
            .as_array()
            .unwrap()
            .iter()
            .any(|used| used["name"] == "kernel" || used["pkg"].as_str().unwrap().contains("rustix@0."))
    });
    let users: Vec<&Value> = users.map(|node| &node["id"]).collect();
    assert_eq!(users, [&metadata["resolve"]["root"]]);
}

#[test]
fn everything_that_is_locked_builds_with_the_oldest_compiler() {
    let version = |text: &str| -> Vec<u32> { text.split('.').map(|part| part.parse().unwrap()).collect() };
    let metadata = metadata(&[]);
    let mut young = Vec::new();
    for package in metadata["packages"].as_array().unwrap() {
        let needs = package["rust_version"].as_str().unwrap_or("1.0");
        let edition = package["edition"].as_str().unwrap();
        if version(needs) > vec![1, 75] && version(needs)[..2] != [1, 75] || edition > "2021" {
            let (name, its) = (&package["name"], &package["version"]);
            young.push(format!("{name} {its}: edition {edition}, Rust {needs}"));
        }
    }
    assert_eq!(young, Vec::<String>::new());
    let lock = fs::read_to_string(clone().join("Cargo.lock")).unwrap();
    assert!(lock.contains("\nversion = 3\n"), "a newer lock file is not read by the oldest cargo");
}
