//! The command line: arguments become values of the library, and results become text.
//!
//! Data goes to stdout, messages to stderr. Exit status: 0 yes, 1 no, 2 trouble, 128 plus the number of a signal that
//! was received.

// Comments on arguments are help texts, which terminals show as they are.
#![allow(clippy::doc_markdown)]
// Options start from their defaults and are set field by field.
#![allow(clippy::assigning_clones)]

mod attach;
mod build;
mod cache;
mod cache_flags;
mod cat;
mod colour;
mod completion;
mod config;
mod convert;
mod diff;
mod differences;
mod fakeroot;
mod foreign;
mod gc;
mod help;
mod hints;
mod index;
mod input;
mod inspect;
mod ls;
mod man;
mod output;
mod plan;
mod platform;
mod progress;
mod report;
mod rm;
mod setting_flags;
mod squash;
mod tag;
mod target_flags;
mod text;
mod tree_flags;
mod unpack;
mod usage;
mod verify;
mod work_flags;

use std::env;
use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use ocibake::error::{as_typed, describe, STDOUT};
use ocibake::layout::Location;
use ocibake::limits::Limits;
use ocibake::Error;

use progress::{Display, Interruption, ProgressMode, Verbosity};

/// Bake a root filesystem into an OCI container image
///
/// One pass, no root, no daemon, no network, the same bytes every time.
#[derive(Parser)]
#[command(name = "ocibake", version, after_help = help::NAMES)]
struct Cli {
    #[command(subcommand)]
    command: Command,

    /// Print each step
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    verbose: bool,

    /// Print only errors
    #[arg(short, long, global = true)]
    quiet: bool,

    /// Decompress a layer or archive to this many bytes at most: a number, or one with K, M, G or T [default: 64G]
    #[arg(long, global = true, value_name = "SIZE", value_parser = cache_flags::size, hide_short_help = true)]
    max_layer_size: Option<u64>,

    /// Decompress to this many times the compressed size at most, beyond the first 64 MiB [default: 1000]
    #[arg(long, global = true, value_name = "NUMBER", hide_short_help = true)]
    max_ratio: Option<u64>,

    /// Take names and attributes of this many bytes at most for each layer, and 128 for each entry [default: 512M]
    #[arg(long, global = true, value_name = "SIZE", value_parser = cache_flags::size, hide_short_help = true)]
    max_metadata: Option<u64>,
}

impl Cli {
    /// What is taken from what others made.
    fn limits(&self) -> Limits {
        let mut limits = Limits::default();
        limits.unpacked = self.max_layer_size.unwrap_or(limits.unpacked);
        limits.ratio = self.max_ratio.unwrap_or(limits.ratio);
        limits.metadata = self.max_metadata.unwrap_or(limits.metadata);
        limits
    }
}

#[derive(Subcommand)]
enum Command {
    Build(Box<build::Args>),
    Inspect(inspect::Args),
    Unpack(unpack::Args),
    Cat(cat::Args),
    Diff(diff::Args),
    Squash(squash::Args),
    Convert(convert::Args),
    Index(index::Args),
    Config(Box<config::Args>),
    Attach(attach::Args),
    Plan(Box<plan::Args>),
    Report(report::Args),
    Ls(ls::Args),
    Tag(tag::Args),
    Rm(rm::Args),
    Gc(gc::Args),
    Cache(cache::Args),
    Verify(verify::Args),
    Platform(platform::Args),
    Completions(completion::Args),
    Man(man::Args),
}

impl Command {
    /// Whether it reads or sets the owners of files, so that it must see what pseudo or fakeroot make of them.
    fn deals_with_owners(&self) -> bool {
        matches!(self, Command::Build(_) | Command::Plan(_) | Command::Unpack(_) | Command::Diff(_))
    }
}

/// The answer of a command, for the exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Yes,
    No,
}

/// What every verb gets in addition to its own arguments.
struct Session {
    verbosity: Verbosity,
    limits: Limits,
    interruption: Interruption,
}

impl Session {
    /// Returns the display that shows what a verb does.
    fn display(&self, progress: ProgressMode) -> Display {
        Display::new(progress, self.verbosity, self.limits, &self.interruption)
    }

    fn warn(&self, message: &str) {
        if self.verbosity != Verbosity::Quiet {
            say(&format!("ocibake: warning: {message}"));
        }
    }
}

/// The verbs and their arguments, with help and completions.
fn interface() -> clap::Command {
    completion::offer(help::explain(Cli::command()))
}

/// Runs the command line of this process.
pub(crate) fn run() -> ExitCode {
    if completion::is_answered(interface) {
        return ExitCode::SUCCESS;
    }
    let cli = match interface().try_get_matches().and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => return explain(&error),
    };
    let verbosity = match (cli.verbose, cli.quiet) {
        (true, _) => Verbosity::Verbose,
        (_, true) => Verbosity::Quiet,
        _ => Verbosity::Normal,
    };
    let session = Session { verbosity, limits: cli.limits(), interruption: Interruption::listen() };
    let checked = if cli.command.deals_with_owners() { fakeroot::check() } else { Ok(()) };
    let result = checked.and_then(|()| match cli.command {
        Command::Build(args) => build::run(&args, &session),
        Command::Inspect(args) => inspect::run(&args, &session),
        Command::Unpack(args) => unpack::run(&args, &session),
        Command::Cat(args) => cat::run(&args, &session),
        Command::Diff(args) => diff::run(&args, &session),
        Command::Squash(args) => squash::run(&args, &session),
        Command::Convert(args) => convert::run(&args, &session),
        Command::Index(args) => index::run(&args, &session),
        Command::Config(args) => config::run(&args, &session),
        Command::Attach(args) => attach::run(&args, &session),
        Command::Plan(args) => plan::run(&args, &session),
        Command::Report(args) => report::run(&args, &session),
        Command::Ls(args) => ls::run(&args, &session),
        Command::Tag(args) => tag::run(&args, &session),
        Command::Rm(args) => rm::run(&args, &session),
        Command::Gc(args) => gc::run(&args, &session),
        Command::Cache(args) => cache::run(&args, &session),
        Command::Verify(args) => verify::run(&args, &session),
        Command::Platform(args) => platform::run(&args, &session),
        Command::Completions(args) => completion::run(&args, interface()),
        Command::Man(args) => man::run(&args, interface()),
    });
    Interruption::wait_if_ending();
    // What stdout still holds back would be lost without a word.
    let flush = |answer| match io::stdout().flush() {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(answer),
    };
    match result.and_then(flush) {
        Ok(Answer::Yes) => ExitCode::SUCCESS,
        Ok(Answer::No) => ExitCode::from(1),
        // The reader of stdout has seen enough, of a verb that has no answer but what it prints.
        Err(error) if stdout_trouble(&error) == Some(io::ErrorKind::BrokenPipe) => ExitCode::SUCCESS,
        Err(error) => {
            let error = about_stdout(error);
            say(&format!("ocibake: error: {}", shortened(one_line(&error))));
            if let Some(hint) = error.downcast_ref::<Error>().and_then(hints::of) {
                say(&format!("hint: {}", shortened(hint)));
            }
            session.interruption.exit_code().unwrap_or(ExitCode::from(2))
        }
    }
}

/// Prints what clap has to say: help and version unchanged, mistakes in the form of our own errors.
fn explain(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        let _ = writeln!(io::stderr(), "{}", error.to_string().trim_end());
        return ExitCode::from(2);
    }
    let (message, hint) = usage::explanation(error, &typed());
    say(&format!("ocibake: error: {}", shortened(message)));
    if let Some(hint) = foreign_verb(error).or(hint) {
        say(&format!("hint: {}", shortened(hint)));
    }
    ExitCode::from(2)
}

/// Returns what to type instead of a verb that another tool has.
fn foreign_verb(error: &clap::Error) -> Option<String> {
    let Some(ContextValue::String(verb)) = error.get(ContextKind::InvalidSubcommand) else { return None };
    let args = typed();
    let at = args.iter().position(|arg| arg == verb)?;
    foreign::hint(verb, &args[at + 1..])
}

/// The words of the command line.
fn typed() -> Vec<String> {
    env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect()
}

/// Prints a message of one line to stderr, where nothing in it drives a terminal. If stderr is gone, it is lost.
fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{}", as_typed(line));
}

/// The chain of causes on one line.
fn one_line(error: &anyhow::Error) -> String {
    let told = error.chain().map(|cause| match cause.downcast_ref::<io::Error>() {
        Some(cause) => describe(cause),
        None => cause.to_string(),
    });
    told.collect::<Vec<_>>().join(": ")
}

/// Turns an error about stdout into one that says so, as errors of targets do.
fn about_stdout(error: anyhow::Error) -> anyhow::Error {
    if stdout_trouble(&error).is_none() {
        return error;
    }
    let cause =
        error.downcast::<serde_json::Error>().map(io::Error::from).or_else(anyhow::Error::downcast::<io::Error>);
    cause.map_or_else(|error| error, |cause| Error::Io { action: "write", path: STDOUT.into(), cause }.into())
}

/// Shortens a message that is too long to read to its beginning and end: a name in an archive can have a million bytes.
fn shortened(message: String) -> String {
    const HALF: usize = 1000;
    let characters = message.chars().count();
    if characters <= 3 * HALF {
        return message;
    }
    let beginning: String = message.chars().take(HALF).collect();
    let end: String = message.chars().skip(characters - HALF).collect();
    format!("{beginning} … {end}")
}

/// Returns why stdout could not be written: a bare I/O error, since errors of files carry their path.
fn stdout_trouble(error: &anyhow::Error) -> Option<io::ErrorKind> {
    let outermost = error.chain().next()?;
    let of_json = outermost.downcast_ref::<serde_json::Error>().and_then(serde_json::Error::io_error_kind);
    of_json.or_else(|| outermost.downcast_ref::<io::Error>().map(io::Error::kind))
}

/// The value parser of images.
#[derive(Clone)]
struct LocationParser;

impl clap::builder::TypedValueParser for LocationParser {
    type Value = Location;

    fn parse_ref(
        &self,
        command: &clap::Command,
        _: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<Location, clap::Error> {
        Location::parse(value).map_err(|error| refuse(command, &error))
    }
}

/// The value parser of targets.
#[derive(Clone)]
struct TargetParser;

impl clap::builder::TypedValueParser for TargetParser {
    type Value = Location;

    fn parse_ref(
        &self,
        command: &clap::Command,
        _: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<Location, clap::Error> {
        Location::parse_target(value).map_err(|error| refuse(command, &error))
    }
}

/// Parses the image of a verb whose other operand comes after it. The two are easily swapped.
fn image_before(image: &OsStr, other: &OsStr, verb: &str) -> Result<Location, Error> {
    if names_image(other) && !names_image(image) {
        let words = [image, other].map(|word| as_typed(&word.to_string_lossy()));
        let [first, second] = &words;
        return Err(Error::refused_with_hint(
            format!("`{first}`: an image is wanted here, and `{second}` after it looks like one"),
            format!("the image comes first: {}", foreign::command(&["ocibake", verb, second, first])),
        ));
    }
    Location::parse(image)
}

/// Whether a word can only be an image: it has a transport, or a layout is there.
fn names_image(word: &OsStr) -> bool {
    let text = word.to_string_lossy();
    let has_transport = ["oci:", "oci-archive:", "docker-archive:"].iter().any(|start| text.starts_with(start));
    let path = text.split(':').next().unwrap_or_default();
    has_transport
        || Path::new(path).join("oci-layout").is_file()
        || (path.contains(".tar") && Path::new(path).is_file())
}

/// Turns a bad argument into an error of our own form: one line, perhaps a hint, exit status 2.
fn refuse(command: &clap::Command, error: &Error) -> clap::Error {
    let hint = hints::of(error).map(|hint| format!("\n\nhint: {hint}")).unwrap_or_default();
    clap::Error::raw(ErrorKind::ValueValidation, format!("{error}{hint}\n")).with_cmd(command)
}
