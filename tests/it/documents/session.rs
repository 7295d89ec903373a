//! Sessions: the `console` blocks of documents. Each runs by itself, in an empty directory, as a reader would type it.
//!
//! A line after `$ ` is typed, and lines after `> ` continue it. All other lines are what the command prints, stdout
//! and stderr together: `…` stands for any text, and alone on its line for any number of lines. Output that is not
//! shown at all is not checked. A command that fails must be followed by `$ echo $?`.

use std::fs;
use std::os::unix::fs::{symlink, PermissionsExt};
use std::path::Path;
use std::process::Stdio;

use crate::harness::{root, Peer, Scratch, Tool};

/// Other programs that a session may run.
const PEERS: [&str; 6] = ["busybox", "jq", "podman", "sha256sum", "skopeo", "umoci"];

/// A block of a document.
#[derive(Debug, PartialEq)]
pub(super) struct Session {
    /// `docs/commands.md:12`.
    pub(super) place: String,
    steps: Vec<Step>,
}

/// A command and what is shown of its output.
#[derive(Debug, Default, PartialEq)]
struct Step {
    command: String,
    shown: Vec<String>,
}

/// The blocks in a language, each with the number of its first line.
pub(super) fn blocks(document: &str, language: &str) -> Vec<(usize, String)> {
    let mut blocks = Vec::new();
    let mut block: Option<(usize, String)> = None;
    let mut is_in_another = false;
    for (number, line) in document.lines().enumerate() {
        match (line.trim_start().strip_prefix("```"), &mut block) {
            (Some(_), Some(_)) => blocks.extend(block.take()),
            (Some(_), None) if is_in_another => is_in_another = false,
            (Some(found), None) if found == language => block = Some((number + 2, String::new())),
            (Some(_), None) => is_in_another = true,
            (None, Some((_, text))) => *text += &format!("{line}\n"),
            (None, None) => {}
        }
    }
    assert!(block.is_none() && !is_in_another, "a block has no end");
    blocks
}

/// All sessions of a document.
pub(super) fn sessions(name: &str, document: &str) -> Vec<Session> {
    let blocks = blocks(document, "console").into_iter();
    blocks.map(|(line, text)| Session { place: format!("{name}:{line}"), steps: steps(&text) }).collect()
}

fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in text.lines() {
        let typed = line.strip_prefix("$ ").map(str::to_owned);
        match (typed, line.strip_prefix("> "), steps.last_mut()) {
            (Some(command), _, _) => steps.push(Step { command, ..Step::default() }),
            (None, Some(more), Some(step)) if step.shown.is_empty() => step.command += &format!("\n{more}"),
            (None, _, Some(step)) => step.shown.push(line.to_owned()),
            (None, _, None) => panic!("output before the first command: {line}"),
        }
    }
    steps
}

impl Session {
    /// Runs the session; returns what is wrong, if anything.
    pub(super) fn run(&self) -> Option<String> {
        let scratch = Scratch::new();
        let typed: String = self.steps.iter().map(|step| step.command.clone() + "\n").collect();
        let shell = Peer::find("sh")?;
        for name in PEERS {
            if is_typed(&typed, name) {
                Peer::find(name)?;
            }
        }
        if is_typed(&typed, "podman") && !root() {
            return None;
        }
        let bin = scratch.make_directory("bin");
        symlink(Tool::path(), bin.join("ocibake")).unwrap();
        podman_with_a_storage_of_its_own(&bin.join("podman"));
        let here = scratch.make_directory("here");

        let mut command = shell.command();
        let path = format!("{}:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", bin.display());
        command.args(["-c", &self.script()]).current_dir(here);
        command.env("PATH", path).env("HOME", scratch.path()).env("TMPDIR", scratch.path());
        let printed = command.stdin(Stdio::null()).output().unwrap().stdout;
        self.judge(&String::from_utf8_lossy(&printed))
    }

    /// All steps run in one shell, so that variables and the last status are kept; a marker and the status follow each.
    fn script(&self) -> String {
        let mut script = "umask 022\nexec 2>&1\n".to_owned();
        for step in &self.steps {
            script += &format!("{}\nstatus=$?; printf '\\036%s\\n' $status; (exit $status)\n", step.command);
        }
        script + "exit 0\n"
    }

    fn judge(&self, printed: &str) -> Option<String> {
        let mut rest = printed;
        for (number, step) in self.steps.iter().enumerate() {
            let (output, after) = rest.split_once('\x1e').unwrap_or((rest, "gone\n"));
            let (status, after) = after.split_once('\n').unwrap_or((after, ""));
            rest = after;
            let is_asked = self.steps.get(number + 1).is_some_and(|next| next.command == "echo $?");
            let lines: Vec<&str> = output.lines().map(str::trim_end).collect();
            let shown: Vec<&str> = step.shown.iter().map(|line| line.trim_end()).collect();
            let why = if status != "0" && !is_asked {
                format!("ended with {status}")
            } else if !shown.is_empty() && !matches_all(&shown, &lines) {
                "printed something else".to_owned()
            } else {
                continue;
            };
            return Some(format!("{}: `{}` {why}:\n{output}", self.place, step.command));
        }
        None
    }
}

/// Whether a program's name is a word of what is typed.
fn is_typed(typed: &str, name: &str) -> bool {
    typed.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).any(|word| word == name)
}

/// podman under its own name, with images in the session's directory instead of the system's.
fn podman_with_a_storage_of_its_own(path: &Path) {
    let script = "#!/bin/sh\nexport CONTAINERS_CONF=\"$TMPDIR/containers.conf\"\n\
                  printf '[engine]\\nlock_type = \"file\"\\n' > \"$CONTAINERS_CONF\"\n\
                  exec /usr/bin/podman --root=\"$TMPDIR/storage\" --runroot=../run --storage-driver=vfs \"$@\"\n";
    fs::write(path, script).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn matches_all(shown: &[&str], lines: &[&str]) -> bool {
    match shown.split_first() {
        None => lines.is_empty(),
        Some((first, rest)) if first.trim() == "…" => (0..=lines.len()).any(|from| matches_all(rest, &lines[from..])),
        Some((first, rest)) => {
            lines.split_first().is_some_and(|(line, after)| matches(first, line) && matches_all(rest, after))
        }
    }
}

fn matches(shown: &str, line: &str) -> bool {
    let mut pieces = shown.split('…');
    let Some(mut rest) = line.strip_prefix(pieces.next().unwrap_or_default()) else { return false };
    let pieces: Vec<&str> = pieces.collect();
    let Some((last, middle)) = pieces.split_last() else { return rest.is_empty() };
    for piece in middle {
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last)
}

#[test]
fn a_document_is_read_as_it_looks() {
    let document =
        "Text\n```console\n$ a \\\n> b\nout\n> x\n$ c\n```\n```sh\n$ not typed\n```\n  ```console\n$ d\n  ```\n";
    let found = sessions("x.md", document);
    let step = |command: &str, shown: &[&str]| Step {
        command: command.to_owned(),
        shown: shown.iter().map(|line| (*line).to_owned()).collect(),
    };
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].place, "x.md:3");
    assert_eq!(found[0].steps, [step("a \\\nb", &["out", "> x"]), step("c", &[])]);
    assert_eq!(found[1].steps, [step("d", &[])]);
}

#[test]
fn shown_output_is_held_and_ellipses_are_not() {
    for (shown, lines, expected) in [
        (&["a"][..], &["a"][..], true),
        (&["a"], &["b"], false),
        (&["a"], &["a", "b"], false),
        (&["a", "b"], &["a"], false),
        (&["sha256:…"], &["sha256:0123"], true),
        (&["sha256:…"], &["md5:0123"], false),
        (&["a … b …"], &["a 1 b 2"], true),
        (&["a … b … c"], &["a 1 b 2"], false),
        (&["a…a"], &["a"], false),
        (&["a", "…", "z"], &["a", "z"], true),
        (&["a", "…", "z"], &["a", "b", "c", "z"], true),
        (&["a", "…"], &["b"], false),
        (&["a", "…"], &["a", "b"], true),
    ] {
        assert_eq!(matches_all(shown, lines), expected, "{shown:?} {lines:?}");
    }
}

#[test]
fn a_session_that_is_wrong_is_found() {
    for (text, complaint) in [
        ("$ true", None),
        ("$ false", Some("ended with 1")),
        ("$ false\n$ echo $?\n1", None),
        ("$ false\n$ echo $?\n0", Some("printed something else")),
        ("$ echo a\nb", Some("printed something else")),
        ("$ echo a >&2\na", None),
        ("$ cat <<E\n> x\n> E\nx", None),
        ("$ exit 3\n$ true", Some("ended with gone")),
        ("$ ls", None),
        ("$ ls\nfile", Some("printed something else")),
    ] {
        let session = Session { place: "x.md:1".to_owned(), steps: steps(text) };
        let found = session.run();
        assert_eq!(found.is_some(), complaint.is_some(), "{text}: {found:?}");
        assert!(complaint.map_or(true, |complaint| found.unwrap_or_default().contains(complaint)), "{text}");
    }
}
