//! Shell completions. bash, zsh and fish ask the command itself on each key, so that it can look into layouts; other
//! shells get a list of flags.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{stdout, Write};
use std::path::Path;

use anyhow::Result;
use clap::{Command, ValueHint};
use clap_complete::engine::{
    complete, ArgValueCandidates, ArgValueCompleter, CompletionCandidate, PathCompleter, ValueCompleter,
};
use clap_complete::Shell;
use ocibake::layout::{Layout, Location};
use ocibake::limits::Limits;
use ocibake::platform::known_names;
use ocibake::settings::changes::Field;
use ocibake::settings::{Check, CheckLevel};

use super::help::LOCATIONS;
use super::Answer;

/// Print shell completions
///
/// `make install` and packages install them. By hand: source <(ocibake completions bash)
#[derive(clap::Args)]
pub(super) struct Args {
    /// The shell
    shell: Shell,
}

/// The variable that the scripts set to ask what can follow the words after `--`.
const ASKED: &str = "_OCIBAKE_COMPLETE";

/// Go's names of platforms that people run containers on.
const PLATFORMS: [&str; 12] = [
    "linux/386",
    "linux/amd64",
    "linux/amd64/v2",
    "linux/amd64/v3",
    "linux/arm/v5",
    "linux/arm/v6",
    "linux/arm/v7",
    "linux/arm64",
    "linux/loong64",
    "linux/ppc64le",
    "linux/riscv64",
    "linux/s390x",
];

pub(super) fn run(args: &Args, mut command: Command) -> Result<Answer> {
    let mut script = Vec::new();
    match args.shell {
        Shell::Bash => script.extend_from_slice(include_bytes!("completion/bash.sh")),
        Shell::Zsh => script.extend_from_slice(include_bytes!("completion/zsh.sh")),
        Shell::Fish => script.extend_from_slice(include_bytes!("completion/fish.fish")),
        shell => clap_complete::generate(shell, &mut command, "ocibake", &mut script),
    }
    stdout().write_all(&script)?;
    Ok(Answer::Yes)
}

/// Answers a script that asks for completions. Returns whether this run was such a question.
pub(super) fn is_answered(command: impl FnOnce() -> Command) -> bool {
    if env::var_os(ASKED).is_none() {
        return false;
    }
    let words: Vec<OsString> = env::args_os().skip_while(|word| word != "--").skip(1).collect();
    let last = words.len().saturating_sub(1);
    let candidates = complete(&mut command(), words, last, Some(Path::new("."))).unwrap_or_default();
    let mut out = stdout().lock();
    for candidate in candidates {
        let value = candidate.get_value().to_string_lossy().into_owned();
        let help = candidate.get_help().map(ToString::to_string).unwrap_or_default();
        let help = help.lines().next().unwrap_or_default();
        // Candidates are lines: a name with a line end in it cannot be offered.
        if !value.contains(['\n', '\t'])
            && writeln!(out, "{value}{}{help}", if help.is_empty() { "" } else { "\t" }).is_err()
        {
            break;
        }
    }
    true
}

/// Adds completions for values to the arguments of every verb.
pub(super) fn offer(mut command: Command) -> Command {
    let verbs: Vec<String> = command.get_subcommands().map(|verb| verb.get_name().to_owned()).collect();
    for verb in verbs {
        command = command.mut_subcommand(verb, |verb| verb.mut_args(values));
    }
    command
}

fn values(arg: clap::Arg) -> clap::Arg {
    let id = arg.get_id().as_str();
    match id {
        _ if LOCATIONS.contains(&id) || id == "base" => arg.add(ArgValueCompleter::new(locations)),
        "rootfs" => arg.value_hint(ValueHint::AnyPath),
        "directory" | "cache" | "overlay_upper" => arg.value_hint(ValueHint::DirPath),
        "file" | "vars" | "device_table" | "output" | "package_map" | "update" => arg.value_hint(ValueHint::FilePath),
        "arch" | "target-arch" => arg.add(ArgValueCandidates::new(|| candidates(known_names()))),
        "variant" => arg.add(ArgValueCandidates::new(|| candidates(["auto", "none", "exact", "v5", "v6", "v7", "v8"]))),
        "base-mode" => arg.add(ArgValueCandidates::new(|| candidates(["exact", "merge"]))),
        "check" => arg.add(ArgValueCandidates::new(checks)),
        "clear" => arg.add(ArgValueCandidates::new(fields)),
        "healthcheck" => arg.add(ArgValueCandidates::new(|| candidates(["NONE", "CMD-SHELL"]))),
        "layers" => arg.add(ArgValueCandidates::new(|| candidates(["packages"]))),
        "stop-signal" => {
            let signals = ["SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGWINCH", "SIGRTMIN+3"];
            arg.add(ArgValueCandidates::new(move || candidates(signals)))
        }
        "os" => arg.add(ArgValueCandidates::new(|| candidates(["linux"]))),
        "compression" => arg.add(ArgValueCandidates::new(compressions)),
        "platform" | "remove" => arg.add(ArgValueCandidates::new(|| candidates(PLATFORMS))),
        _ => arg,
    }
}

fn candidates<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<CompletionCandidate> {
    names.into_iter().map(CompletionCandidate::new).collect()
}

fn checks() -> Vec<CompletionCandidate> {
    let levels = |(check, _): &(Check, CheckLevel)| ["error", "warn", "skip"].map(|level| format!("{check}:{level}"));
    Check::ALL.iter().flat_map(levels).map(CompletionCandidate::new).collect()
}

fn fields() -> Vec<CompletionCandidate> {
    Field::all().map(|(name, _)| CompletionCandidate::new(name)).collect()
}

fn compressions() -> Vec<CompletionCandidate> {
    let levels = |name: &'static str, last: u32| (1..=last).map(move |level| format!("{name}:{level}"));
    let names =
        ["gzip", "zstd", "none"].map(str::to_owned).into_iter().chain(levels("gzip", 12)).chain(levels("zstd", 22));
    names.map(CompletionCandidate::new).collect()
}

/// Completes transports, then paths, then the names in the layout or archive at a path.
fn locations(current: &OsStr) -> Vec<CompletionCandidate> {
    let Some(text) = current.to_str() else { return Vec::new() };
    let (transport, path) = ["oci:", "oci-archive:", "docker-archive:"]
        .iter()
        .find_map(|transport| Some((*transport, text.strip_prefix(transport)?)))
        .unwrap_or(("", text));
    if let Some((path, name)) = path.split_once(':') {
        let place = format!("{transport}{path}");
        let names = names_in(&place).into_iter().filter(|known| known.starts_with(name));
        return names.map(|known| CompletionCandidate::new(format!("{place}:{known}"))).collect();
    }
    let mut found = Vec::new();
    if transport.is_empty() {
        let transports = [
            ("oci:", "a layout directory"),
            ("oci-archive:", "a tar of a layout"),
            ("docker-archive:", "what `docker load` takes"),
        ];
        let fitting = transports.into_iter().filter(|(name, _)| name.starts_with(text));
        found.extend(fitting.map(|(name, help)| CompletionCandidate::new(name).help(Some(help.into()))));
    }
    for candidate in PathCompleter::any().complete(OsStr::new(path)) {
        let path = candidate.get_value().to_string_lossy().into_owned();
        // The names in a layout come next; its files are of no use here.
        let path = match path.strip_suffix('/') {
            Some(directory) if is_layout(Path::new(directory)) => format!("{directory}:"),
            _ => path,
        };
        found.push(CompletionCandidate::new(format!("{transport}{path}")));
    }
    found
}

fn is_layout(directory: &Path) -> bool {
    fs::metadata(directory.join("oci-layout")).is_ok_and(|file| file.is_file())
}

/// Returns the names that a layout or an archive lists; empty if it cannot be read.
fn names_in(place: &str) -> Vec<String> {
    let listed = || {
        let layout = Layout::open(&Location::parse(OsStr::new(place))?, Limits::default())?;
        let index = layout.index()?;
        let mut names: Vec<String> =
            index.value().manifests.iter().filter_map(|manifest| Some(manifest.ref_name()?.to_owned())).collect();
        names.sort();
        names.dedup();
        Ok::<_, ocibake::Error>(names)
    };
    listed().unwrap_or_default()
}
