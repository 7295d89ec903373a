//! What help texts and man pages say in addition to the arguments: how images are named, examples, exit statuses. Help
//! is wrapped to the width of the terminal.

use std::env;
use std::io::stdout;

use clap::Command;

/// How images and targets are named, for verbs that take one.
pub(super) const NAMES: &str = "\
Images and targets are named by a transport, a path, and a name where one is needed:
  oci:DIR[:REF] is a layout directory,
  oci-archive:FILE[:REF] is a tar of a layout,
  docker-archive:FILE[:NAME[:TAG]] is what `docker load` takes.
An image that is read or changed can also be named by its digest, oci:DIR@sha256:… or oci:DIR:REF@sha256:…, whole or by 12 digits \
at least. \
Without a transport, a path that ends in .tar, .tar.gz, .tar.xz or .tar.zst is an archive of a layout, and any other is a \
layout directory. An archive that is written is compressed as its ending says, and goes to standard output if FILE is `-`. \
What is in a registry is fetched and pushed with `skopeo copy`.";

const NAMES_IN_SHORT: &str =
    "An image or target is oci:DIR[:REF], oci-archive:FILE[:REF], docker-archive:FILE[:NAME[:TAG]] or a path; --help says more";

/// Arguments that are images, targets or layouts.
pub(super) const LOCATIONS: [&str; 7] = ["image", "images", "targets", "layout", "locations", "old", "new"];

/// What exit statuses mean everywhere.
pub(super) const EXIT_STATUS: [(&str, &str); 4] = [
    ("0", "Yes: it is done, or there is no difference and no error."),
    (
        "1",
        "No: `verify` found errors, `diff` found differences, or a limit of `report` is broken, even if the reader of \
         stdout is gone before the end.",
    ),
    ("2", "Trouble: a line on stderr says what was wanted and what was found."),
    ("128+N", "Signal N ended it."),
];

/// Adds to the help of each verb that takes an image how images are named, and wraps help to the width of the terminal.
pub(super) fn explain(command: Command) -> Command {
    let width = width();
    let is_narrow = width < 80;
    let mut command = command.term_width(width.min(100)).next_line_help(is_narrow);
    let verbs: Vec<String> = command.get_subcommands().map(|verb| verb.get_name().to_owned()).collect();
    for verb in verbs {
        command = command.mut_subcommand(verb, |verb| {
            let verb = verb.next_line_help(is_narrow);
            let wrapped = verb.get_after_help().map(|text| wrap_commands(&text.to_string(), width.min(100)));
            if takes_locations(&verb) {
                let examples = wrapped.map(|text| format!("{text}\n\n")).unwrap_or_default();
                verb.after_help(format!("{examples}{NAMES_IN_SHORT}")).after_long_help(format!("{examples}{NAMES}"))
            } else {
                verb.after_help(wrapped.unwrap_or_default())
            }
        });
    }
    if is_narrow {
        wrap_usages(command, width)
    } else {
        command
    }
}

/// Whether a verb works on images or targets.
pub(super) fn takes_locations(verb: &Command) -> bool {
    verb.get_arguments().any(|arg| LOCATIONS.contains(&arg.get_id().as_str()))
}

/// The commands of the examples of a verb.
pub(super) fn examples(verb: &Command) -> Vec<String> {
    let text = verb.get_after_help().map(ToString::to_string).unwrap_or_default().replace(CONTINUED, " ");
    let paragraph = text.split("\n\n").find(|paragraph| paragraph.starts_with("Example")).unwrap_or_default();
    paragraph.lines().filter_map(|line| line.strip_prefix("  ")).map(str::to_owned).collect()
}

/// What stands between two lines of one command.
const CONTINUED: &str = " \\\n    ";

/// Wraps the commands of examples as a shell takes them: clap would break them into lines that look like several.
fn wrap_commands(text: &str, width: usize) -> String {
    let wrap = |line: &str| {
        let Some(command) = line.strip_prefix("  ").filter(|_| line.chars().count() > width) else {
            return line.to_owned();
        };
        // What is in quotes is one word.
        let mut words: Vec<String> = Vec::new();
        for word in command.split(' ') {
            match words.last_mut().filter(|last| last.matches('\'').count() % 2 == 1) {
                Some(last) => *last = format!("{last} {word}"),
                None => words.push(word.to_owned()),
            }
        }
        let mut lines: Vec<String> = Vec::new();
        for word in words {
            // The indentation, and the backslash at the end.
            let room = width.saturating_sub(if lines.len() < 2 { 4 } else { 6 });
            match lines.last_mut().filter(|last| last.chars().count() + 1 + word.chars().count() <= room) {
                Some(last) => *last = format!("{last} {word}"),
                None => lines.push(word),
            }
        }
        format!("  {}", lines.join(CONTINUED))
    };
    text.lines().map(wrap).collect::<Vec<_>>().join("\n")
}

/// Wraps the usage, which clap leaves as it is.
fn wrap_usages(command: Command, width: usize) -> Command {
    let mut built = command.clone();
    built.build();
    let usages = built.get_subcommands_mut().map(|verb| (verb.get_name().to_owned(), verb.render_usage().to_string()));
    usages.fold(command, |command, (verb, usage)| {
        let usage = wrapped(usage.trim_start_matches("Usage: "), width.saturating_sub("Usage: ".len()));
        if verb == "help" {
            command
        } else {
            command.mut_subcommand(verb, |verb| verb.override_usage(usage))
        }
    })
}

/// Wraps words to a width. Lines after the first are indented to the width of `Usage: `.
fn wrapped(usage: &str, width: usize) -> String {
    let mut lines: Vec<String> = Vec::new();
    for line in usage.lines() {
        let mut current = String::new();
        for word in line.split_whitespace() {
            if !current.is_empty() && current.len() + 1 + word.len() > width {
                lines.push(std::mem::take(&mut current));
            }
            if !current.is_empty() {
                current.push(' ');
            }
            current += word;
        }
        lines.push(current);
    }
    lines.join("\n       ")
}

/// Returns the width of the terminal, or else COLUMNS, or else 100.
fn width() -> usize {
    let of_terminal = rustix::termios::tcgetwinsize(stdout()).ok().map(|size| usize::from(size.ws_col));
    let said = || env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    of_terminal.filter(|columns| *columns > 0).or_else(said).filter(|columns| *columns > 0).unwrap_or(100)
}
