use std::fs;
use std::path::Path;

use ocibake::settings::VARIABLES;

use crate::harness::{bytes_of, names_below, Peer, Scratch, Terminal, Tool};
use crate::verbs::VERBS;

/// Verbs that take no image.
const WITHOUT_IMAGES: [&str; 4] = ["cache", "platform", "completions", "man"];

fn help(words: &[&str], columns: &str) -> String {
    Tool::new(words[0]).args(&words[1..]).env("COLUMNS", columns).run().stdout()
}

#[test]
fn every_verb_says_how_images_are_named() {
    for verb in VERBS {
        for (flag, text) in
            [("-h", "docker-archive:FILE[:NAME[:TAG]]"), ("--help", "docker-archive:FILE[:NAME[:TAG]] is")]
        {
            let is_said = help(&[verb, flag], "200").contains(text);
            assert_eq!(is_said, !WITHOUT_IMAGES.contains(verb), "{verb} {flag}");
        }
    }
    assert!(help(&["--help"], "200").contains("oci-archive:FILE[:REF] is a tar of a layout"));
}

/// Words that do not fit on a line have their own line.
#[test]
fn help_is_as_wide_as_the_terminal() {
    for columns in [30, 40, 60, 80, 100] {
        for verb in VERBS.iter().copied().chain(["help"]) {
            for flag in ["-h", "--help"].iter().take(if verb == "help" { 0 } else { 2 }) {
                for line in help(&[verb, flag], &columns.to_string()).lines() {
                    let words = line.trim_start().trim_start_matches("- ").split_whitespace().count();
                    let is_flag = line.trim_start().starts_with('-');
                    assert!(
                        line.chars().count() <= columns || words == 1 || is_flag,
                        "{verb} {flag} {columns}: {line}"
                    );
                }
            }
        }
    }
    // No wider than is readable, and without a terminal as wide as a page.
    for columns in ["500", "", "0", "many"] {
        let longest = help(&["build", "--help"], columns).lines().map(|line| line.chars().count()).max().unwrap();
        assert!((90..=100).contains(&longest), "{columns}: {longest}");
    }
    let scratch = Scratch::new();
    let terminal = Terminal { columns: 50, env: &[("COLUMNS", "90"), ("NO_COLOR", "1")], directory: scratch.path() };
    let Some(shown) = terminal.run(&["ocibake", "tag", "--help"]) else { return };
    let longest = shown.lines().map(|line| line.chars().count()).max().unwrap();
    assert!((45..=50).contains(&longest), "{longest}: {shown}");
}

/// A command that does not fit on a line can be copied all the same.
#[test]
fn examples_are_wrapped_as_a_shell_takes_them() {
    for verb in VERBS {
        let commands = |columns: &str| -> Vec<String> {
            let text = help(&[verb, "-h"], columns).replace(" \\\n    ", " ");
            let examples = text.split("\n\n").find(|paragraph| paragraph.starts_with("Example")).unwrap_or_default();
            examples.lines().skip(1).map(|line| line.trim_end().to_owned()).collect()
        };
        let whole = commands("100");
        assert!(whole.iter().all(|line| line.starts_with("  ")), "{verb}: {whole:?}");
        assert_eq!(commands("50"), whole, "{verb}");
    }
    let build = help(&["build", "-h"], "50");
    assert!(build.contains("out.tar.zst \\\n    --arch"), "{build}");
}

#[test]
fn man_pages_hold_what_help_has_no_room_for() {
    let scratch = Scratch::new();
    let pages = scratch.join("man");
    let write = || Tool::new("man").arg(&pages);
    assert_eq!(write().run().stdout(), "");
    let mut expected: Vec<String> = VERBS.iter().map(|verb| format!("ocibake-{verb}.1")).collect();
    expected.push("ocibake.1".to_owned());
    expected.sort();
    assert_eq!(names_below(&pages), expected);
    let page = |name: &str| {
        fs::read_to_string(pages.join(name)).unwrap().replace("\\-", "-").replace("\\*(Aq", "'").replace("\\*(aq", "'")
    };

    for name in &expected {
        let text = page(name);
        assert!(text.contains(&format!(".TH {} 1", name.trim_end_matches(".1"))), "{name}");
        for section in ["NAME", "SYNOPSIS", "DESCRIPTION", "ENVIRONMENT", "EXIT STATUS", "SEE ALSO"] {
            let heading = text.lines().filter(|line| line.trim_start_matches(".SH ").trim_matches('"') == section);
            assert_eq!(heading.count(), 1, "{name}: {section}");
        }
        let verb = name.trim_start_matches("ocibake-").trim_end_matches(".1");
        // What the help says, line by line: which arguments repeat, and what else can be typed.
        let shown = help(&[if verb == "ocibake" { "--help" } else { verb }, "-h"], "100");
        let usage = shown.lines().skip_while(|line| !line.starts_with("Usage: ")).take_while(|line| !line.is_empty());
        let usage: Vec<&str> = usage.map(|line| line.trim_start_matches("Usage: ").trim()).collect();
        let synopsis = text.lines().skip_while(|line| *line != ".SH SYNOPSIS").skip(1);
        let synopsis: Vec<&str> =
            synopsis.take_while(|line| !line.starts_with(".SH")).filter(|line| !line.starts_with('.')).collect();
        assert_eq!(synopsis, usage, "{name}");
        let has_example = help(&[if verb == "ocibake" { "--help" } else { verb }, "-h"], "100").contains("Example");
        assert_eq!(text.contains("EXAMPLES"), has_example, "{name}");
        let flags = help(&[if verb == "ocibake" { "--help" } else { verb }, "--help"], "100");
        let flags = flags.lines().filter_map(|line| line.trim_start().strip_prefix("--"));
        for flag in flags.map(|line| line.split(|c: char| !(c.is_ascii_lowercase() || c == '-')).next().unwrap()) {
            assert!(text.contains(&format!("--{flag}")), "{name}: --{flag}");
        }
        for other in &expected {
            let reference = format!("{}(1)", other.trim_end_matches(".1"));
            assert!(other == name || text.contains(&reference), "{name}: {reference}");
        }
    }
    // Every option and argument says what it is for, in a line after the one that names it.
    for name in &expected {
        let text = fs::read_to_string(pages.join(name)).unwrap();
        let options = text.split("\n.SH ").find(|section| section.starts_with("OPTIONS\n")).unwrap();
        let items: Vec<&str> = options.split("\n.TP\n").skip(1).collect();
        assert!(items.len() > 5, "{name}: {items:?}");
        for item in items {
            let described = item.lines().skip(1).any(|line| !line.starts_with('.') && !line.trim().is_empty());
            assert!(described, "{name}: {item}");
        }
        assert!(page(name).contains("Decompress a layer or archive to this many bytes at most"), "{name}");
    }
    for name in ["ocibake.1", "ocibake-build.1"] {
        for variable in VARIABLES {
            let (text, item) = (page(name), format!("\\fB{}\\fR", variable.name));
            assert!(text.contains(&item) && text.contains(variable.meaning), "{name}: {item}");
        }
    }
    assert!(page("ocibake-build.1").contains("ocibake build rootfs oci:out:v1"));

    if let Some(mandoc) = Peer::find("mandoc") {
        for name in &expected {
            let mut command = mandoc.command();
            command.args(["-T", "lint", "-W", "error"]).arg(pages.join(name));
            assert_eq!(mandoc.finish(command), "", "{name}");
        }
    }
    let before = bytes_of(&pages);
    let _ = write().env("LC_ALL", "de_DE.UTF-8").run().stdout();
    assert!(bytes_of(&pages) == before, "pages differ from run to run");
}

#[test]
fn shells_without_a_script_of_their_own_are_told_every_verb_and_flag() {
    for shell in ["elvish", "powershell"] {
        let script = Tool::new("completions").arg(shell).run().stdout();
        for word in VERBS.iter().copied().chain(["--device-table", "--healthcheck-start-period"]) {
            assert!(script.contains(word), "{shell} does not know {word}");
        }
    }
    assert!(Tool::new("completions").arg("cmd").run().error().contains("cmd"));
}

/// A directory with a layout of two names, a docker archive, a rootfs, and the scripts of all shells.
fn place() -> Scratch {
    let scratch = Scratch::new();
    let rootfs = scratch.small_rootfs();
    for name in ["long-name", "other"] {
        let _ = Tool::build(&rootfs).target("oci", &scratch.join("out"), name).bake();
    }
    let _ = Tool::build(&rootfs).arg("docker-archive:app.tar:team/app:v1").within(scratch.path()).bake();
    scratch.make_directory("two words");
    for shell in ["bash", "zsh", "fish"] {
        fs::write(scratch.join(shell), Tool::new("completions").arg(shell).run().stdout()).unwrap();
    }
    scratch
}

/// What is typed before the key, and how the line then begins. Both start with `ocibake`.
const TYPED: &[(&str, &str)] = &[
    ("insp", "inspect "),
    ("ls oci:ou", "ls oci:out:"),
    ("ls oci:out:l", "ls oci:out:long-name "),
    ("ls out:ot", "ls out:other "),
    ("ls docker-archive:app.tar:te", "ls docker-archive:app.tar:team/app:v1 "),
    ("build rootf", "build rootfs/"),
    ("build two", "build two\\ words/"),
    ("build rootfs new --arch aarch64_", "build rootfs new --arch aarch64_be "),
    ("build rootfs new --compression=no", "build rootfs new --compression=none "),
    ("build rootfs new --base oci:out:oth", "build rootfs new --base oci:out:other "),
    ("inspect oci:out:other --platform linux/s", "inspect oci:out:other --platform linux/s390x "),
    ("verify --rul", "verify --rules "),
    ("build rootfs new --base-mode m", "build rootfs new --base-mode merge "),
    ("build rootfs new --check setuid-new:w", "build rootfs new --check setuid-new:warn "),
    ("config oci:out:other --clear ent", "config oci:out:other --clear entrypoint "),
];

/// Lines of `SHOWN` in what a terminal showed: the completed arguments, as a function in place of the tool got them.
fn completed(shown: &str) -> Vec<String> {
    let shown = shown.lines().filter_map(|line| line.split_once("GIVEN<")?.1.split_once(">END"));
    shown.map(|(given, _)| given.to_owned()).collect()
}

/// The words of a completed line as a program gets them, separated by `|`, with one at the end if a blank follows.
fn expected(line: &str) -> String {
    shell_words(line).join("|")
}

fn shell_words(line: &str) -> Vec<String> {
    line.trim_end().replace("\\ ", "\u{1}").split(' ').map(|word| word.replace('\u{1}', " ")).collect()
}

/// A key is typed after each line, and the shell runs the completed line with `show` in place of the tool.
fn in_a_shell(scratch: &Scratch, words: &[&str], setup: &str) {
    let typed: String = TYPED.iter().map(|(typed, _)| format!("ocibake {typed}\t\n")).collect();
    let terminal = Terminal { columns: 200, env: &[("LC_ALL", "C.UTF-8")], directory: scratch.path() };
    let prompt = "ready? ";
    let Some(shown) = terminal.session(words, prompt, &format!("{setup}\n{typed}exit\n")) else { return };
    let expected: Vec<String> = TYPED.iter().map(|(_, line)| expected(line)).collect();
    assert_eq!(completed(&shown), expected, "{shown}");
}

#[test]
fn bash_completes_flags_values_paths_and_names() {
    let Some(bash) = Peer::find("bash") else { return };
    let scratch = place();
    // The tool answers the completion script; `show` prints the final command.
    let rc = "PS1='ready? '\nbind 'set enable-bracketed-paste off'\nsource ./bash\n\
              ocibake() { if [ -n \"$_OCIBAKE_COMPLETE\" ]; then command ocibake \"$@\"; else \
              local IFS='|'; echo \"GIVEN<$*>END\"; fi; }\n";
    fs::write(scratch.join("rc"), rc).unwrap();
    in_a_shell(&scratch, &[bash.path().to_str().unwrap(), "--noprofile", "--rcfile", "rc", "-i"], "true");
}

#[test]
fn zsh_completes_flags_values_paths_and_names() {
    let Some(zsh) = Peer::find("zsh") else { return };
    let scratch = place();
    let rc = "PS1='ready? '\nunsetopt prompt_cr prompt_sp zle_bracketed_paste 2>/dev/null\nunset zle_bracketed_paste\n\
              autoload -U compinit\ncompinit -u -D\nsource ./zsh\n\
              ocibake() { if [ -n \"$_OCIBAKE_COMPLETE\" ]; then command ocibake \"$@\"; else \
              local IFS='|'; echo \"GIVEN<$*>END\"; fi; }\n";
    fs::write(scratch.join(".zshrc"), rc).unwrap();
    in_a_shell(&scratch, &[zsh.path().to_str().unwrap(), "-d", "-i"], "true");
}

#[test]
fn fish_completes_flags_values_paths_and_names() {
    let Some(fish) = Peer::find("fish") else { return };
    let scratch = place();
    for (typed, line) in TYPED {
        let mut command = fish.command();
        let path = format!("{}:/usr/bin:/bin", Tool::path().parent().unwrap().display());
        command.env("PATH", path).env("HOME", scratch.path()).current_dir(scratch.path());
        command.args([
            "--no-config",
            "-c",
            "source ./fish; complete --do-complete $argv[1]",
            &format!("ocibake {typed}"),
        ]);
        let offered = fish.finish(command);
        let offered: Vec<&str> = offered.lines().map(|line| line.split('\t').next().unwrap()).collect();
        let last = shell_words(line).pop().unwrap();
        assert_eq!(offered, [last.as_str()], "{typed}");
    }
}

/// Installed scripts work like sourced ones.
#[test]
fn installed_completions_load_by_themselves() {
    let (Some(zsh), scratch) = (Peer::find("zsh"), place()) else { return };
    let functions = scratch.make_directory("functions");
    fs::rename(scratch.join("zsh"), functions.join("_ocibake")).unwrap();
    fs::write(
        scratch.join(".zshrc"),
        "PS1='ready? '\nunset zle_bracketed_paste\nfpath=($HOME/functions $fpath)\nautoload -U compinit\ncompinit -u -D\n",
    )
    .unwrap();
    let terminal = Terminal { columns: 200, env: &[("LC_ALL", "C.UTF-8")], directory: scratch.path() };
    let words = [zsh.path().to_str().unwrap(), "-d", "-i"];
    let Some(shown) = terminal.session(&words, "ready? ", "true\nocibake ls oci:out:l\t\nexit\n") else { return };
    assert!(shown.contains("linux/amd64"), "{shown}");
}

#[test]
fn the_scripts_are_read_by_their_shells() {
    let scratch = place();
    for (shell, flag) in [("bash", "-n"), ("zsh", "-n"), ("fish", "--no-execute")] {
        let Some(peer) = Peer::find(shell) else { continue };
        let mut command = peer.command();
        command.arg(flag).arg(scratch.join(shell));
        assert_eq!(peer.finish(command), "", "{shell}");
    }
    assert!(Path::new(&scratch.join("bash")).is_file());
}
