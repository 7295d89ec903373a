//! Man pages, one for each verb: what `--help` says, and what it has no room for.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Result;
use clap_mangen::roff::{bold, roman, Roff};
use clap_mangen::Man;
use ocibake::layout::refuse_location_as_path;
use ocibake::settings::VARIABLES;
use ocibake::Error;

use super::help::{examples, takes_locations, EXIT_STATUS, NAMES};
use super::Answer;

/// Write the man pages, one for each command
#[derive(clap::Args)]
pub(super) struct Args {
    /// The directory for `ocibake.1` and the other pages
    directory: PathBuf,
}

/// Programs of other projects that work with the same images.
const OTHERS: [&str; 5] = ["fakeroot(1)", "podman(1)", "pseudo(1)", "skopeo(1)", "umoci(1)"];

pub(super) fn run(args: &Args, command: clap::Command) -> Result<Answer> {
    let directory = &args.directory;
    refuse_location_as_path("a directory", directory)?;
    make_directory(directory)?;
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let verbs: Vec<&clap::Command> = command.get_subcommands().collect();
    let mut pages = vec!["ocibake(1)".to_owned()];
    pages.extend(verbs.iter().map(|verb| format!("ocibake-{}(1)", verb.get_name())));

    write_page(&command, &command, &pages, directory, "ocibake")?;
    for verb in verbs {
        let name = format!("ocibake-{}", verb.get_name());
        write_page(&verb.clone().display_name(&name), verb, &pages, directory, &name)?;
    }
    Ok(Answer::Yes)
}

/// Makes the directory, unless it is there. Like other verbs, it makes no parents: a path may be mistyped.
fn make_directory(path: &Path) -> Result<(), Error> {
    match fs::create_dir(path) {
        Err(_) if path.is_dir() => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let found = if path.metadata().is_ok() { "a file" } else { "a link that leads nowhere" };
            Err(Error::refused(format!("`{}`: a directory is wanted, found {found}", path.display())))
        }
        made => made.map_err(|cause| Error::Io { action: "create", path: path.to_path_buf(), cause }),
    }
}

fn write_page(
    command: &clap::Command,
    verb: &clap::Command,
    pages: &[String],
    directory: &Path,
    name: &str,
) -> Result<()> {
    let path = directory.join(format!("{name}.1"));
    let mut page = Vec::new();
    // No date: a page has the same bytes whenever it is made.
    let man = Man::new(command.clone().mut_args(in_full)).date("").manual("ocibake");
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    synopsis(verb).to_writer(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if verb.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    let mut rest = Roff::new();
    if takes_locations(verb) || verb.has_subcommands() {
        rest.control("SH", ["IMAGES AND TARGETS"]);
        paragraphs(&mut rest, NAMES);
    }
    environment(&mut rest, verb);
    rest.control("SH", ["EXIT STATUS"]);
    for (status, meaning) in EXIT_STATUS {
        rest.control("TP", []);
        rest.text([bold(status)]);
        rest.text([roman(meaning)]);
    }
    let examples = examples(verb);
    if !examples.is_empty() {
        rest.control("SH", ["EXAMPLES"]);
        rest.control("nf", []);
        for example in examples {
            rest.text([roman(example)]);
        }
        rest.control("fi", []);
    }
    rest.control("SH", ["SEE ALSO"]);
    let own = format!("{name}(1)");
    let others = pages.iter().map(String::as_str).filter(|page| *page != own).chain(OTHERS);
    rest.text([roman(others.collect::<Vec<_>>().join(", "))]);
    rest.to_writer(&mut page)?;
    Ok(fs::write(&path, page).map_err(|cause| Error::Io { action: "write", path, cause })?)
}

/// How it is typed, as the help says. A list of all options would say neither which arguments repeat nor what else
/// there is.
fn synopsis(verb: &clap::Command) -> Roff {
    let usage = verb.clone().render_usage().to_string();
    let mut roff = Roff::new();
    roff.control("SH", ["SYNOPSIS"]);
    roff.control("nf", []);
    for line in usage.trim_start_matches("Usage: ").lines() {
        roff.text([roman(line.trim())]);
    }
    roff.control("fi", []);
    roff
}

/// A page has room for what `-h` leaves out, and without a long text it would leave out the short one too.
fn in_full(arg: clap::Arg) -> clap::Arg {
    arg.hide_short_help(false)
}

/// The variables that a verb reads.
fn environment(roff: &mut Roff, verb: &clap::Command) {
    let mut rows: Vec<(&str, String)> = Vec::new();
    let is_all = verb.has_subcommands();
    if is_all || verb.get_name() == "build" {
        rows.extend(VARIABLES.iter().map(|variable| {
            let flag = variable.flag.map(|flag| format!(" The flag {flag} wins over it.")).unwrap_or_default();
            (variable.name, format!("{}.{flag}", variable.meaning))
        }));
    }
    if verb.get_name() == "config" {
        rows.push((
            "SOURCE_DATE_EPOCH",
            "seconds since 1970: default for `created` where something changes.".to_owned(),
        ));
    }
    rows.push(("COLUMNS", "width of help texts if stdout is not a terminal.".to_owned()));
    rows.push((
        "TERM, LC_ALL, LC_CTYPE, LANG",
        "no progress bar on a dumb terminal, or if the locale is not UTF-8.".to_owned(),
    ));
    roff.control("SH", ["ENVIRONMENT"]);
    for (name, meaning) in rows {
        roff.control("TP", []);
        roff.text([bold(name)]);
        roff.text([roman(meaning)]);
    }
}

/// Sets each line that begins with blanks as an indented line of its own.
fn paragraphs(roff: &mut Roff, text: &str) {
    for line in text.lines() {
        match line.strip_prefix("  ") {
            Some(item) => {
                roff.control("RS", ["4"]);
                roff.text([roman(item)]);
                roff.control("RE", []);
            }
            None => drop(roff.text([roman(line)])),
        }
    }
}
