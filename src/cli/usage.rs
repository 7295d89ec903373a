//! Mistakes on the command line, in terms of the task rather than of the parser.

use std::error::Error as _;
use std::num::NonZeroUsize;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use ocibake::error::as_typed;
use ocibake::layout::Location;
use ocibake::platform::PlatformPattern;
use ocibake::spelling;
use ocibake::Error;

use super::foreign::has_transport;

/// Parses a number of things: threads, layers, files.
pub(super) fn count(text: &str) -> Result<NonZeroUsize, String> {
    text.parse().map_err(|_| "a whole number from 1 on".to_owned())
}

/// Returns what is wrong with the words of a command line, in one line, and what to do about it.
pub(super) fn explanation(error: &clap::Error, words: &[String]) -> (String, Option<String>) {
    let given = |kind| context(error, kind).first().cloned().unwrap_or_default();
    let flag = named(&given(ContextKind::InvalidArg));
    let value = given(ContextKind::InvalidValue);
    match error.kind() {
        ErrorKind::ValueValidation | ErrorKind::InvalidValue if flag.is_empty() => as_it_is(error),
        ErrorKind::InvalidValue if value.is_empty() => (format!("{flag}: a value is missing"), None),
        ErrorKind::InvalidValue => closed(&flag, &value, &one_of(&context(error, ContextKind::ValidValue))),
        ErrorKind::ValueValidation => match error.source().and_then(|source| source.downcast_ref::<Error>()) {
            Some(Error::Invalid { reason, .. } | Error::Malformed { reason, .. }) => closed(&flag, &value, reason),
            Some(error) => (format!("{flag}: {error}"), super::hints::of(error)),
            None => closed(&flag, &value, &error.source().map(ToString::to_string).unwrap_or_default()),
        },
        ErrorKind::UnknownArgument => {
            if !flag.starts_with('-') {
                let flag = given(ContextKind::InvalidArg);
                if let Some(error) = transport_before(&flag, words) {
                    return (error.to_string(), super::hints::of(&error));
                }
                let usage = given(ContextKind::Usage).trim_start_matches("Usage: ").to_owned();
                let usage = Some(format!("it is `{}`", one_line(&usage, words))).filter(|_| !usage.is_empty());
                return (format!("one argument too many: `{}`", as_typed(&flag)), usage);
            }
            let message = format!("there is no flag `{}`", as_typed(&flag));
            // The program may be called by another name.
            let usage = given(ContextKind::Usage);
            let verb = usage.split_whitespace().skip_while(|word| *word == "Usage:").nth(1).unwrap_or_default();
            let ours = match (flag.as_str(), verb) {
                ("--platform", "build") => Some(platform_of_build(value_of(&flag, words))),
                _ if unquoted_command(&flag, words).is_some() => unquoted_command(&flag, words),
                (_, "build") if ours(&flag).is_some() => ours(&flag).map(str::to_owned),
                ("--compression", _) => Some("`ocibake convert` compresses layers anew, with --compression".to_owned()),
                ("--arch" | "--variant" | "--os", verb) => platform_of_images(verb, words),
                (flag, _) => of_every_verb(flag).map(str::to_owned),
            };
            if ours.is_some() {
                return (message, ours);
            }
            (message, nearest(&context(error, ContextKind::SuggestedArg)).or_else(|| Some(HELP.to_owned())))
        }
        ErrorKind::InvalidSubcommand => {
            let verb = given(ContextKind::InvalidSubcommand);
            let message = format!("there is no command `{}`", as_typed(&verb));
            let suggested = nearest(&context(error, ContextKind::SuggestedSubcommand)).or_else(|| nearest_verb(&verb));
            (message, suggested.or_else(|| Some(HELP.to_owned())))
        }
        ErrorKind::MissingRequiredArgument => {
            let usage = one_line(given(ContextKind::Usage).trim_start_matches("Usage: "), words);
            let missing: Vec<String> =
                context(error, ContextKind::InvalidArg).iter().flat_map(|arg| each(arg, &usage)).collect();
            let is = if missing.len() == 1 { "is" } else { "are" };
            (format!("{} {is} missing", missing.join(" and ")), Some(usage).filter(|usage| !usage.is_empty()))
        }
        ErrorKind::ArgumentConflict => {
            let others: Vec<String> = context(error, ContextKind::PriorArg).iter().map(|arg| named(arg)).collect();
            match others.as_slice() {
                [] => as_it_is(error),
                [other] if *other == flag => (format!("{flag} is given twice"), None),
                others => (format!("{flag} does not go together with {}", others.join(" and ")), None),
            }
        }
        _ => as_it_is(error),
    }
}

/// The words of a usage that may be wrapped. Of alternatives, which begin with the program again, it is the one with a
/// flag that was typed, or else the first.
fn one_line(usage: &str, typed: &[String]) -> String {
    let program = usage.split_whitespace().next().unwrap_or_default().to_owned();
    let mut alternatives: Vec<Vec<&str>> = Vec::new();
    for word in usage.split_whitespace() {
        match alternatives.last_mut() {
            Some(last) if word != program => last.push(word),
            _ => alternatives.push(vec![word]),
        }
    }
    let is_typed = |word: &&str| word.starts_with("--") && typed.iter().any(|typed| typed == word);
    let meant = alternatives.iter().find(|words| words.iter().any(is_typed));
    meant.or(alternatives.first()).map(|words| words.join(" ")).unwrap_or_default()
}

/// The names of an argument that stands for several, as far as they are in a usage: `<IMAGE... TARGET>...`.
fn each(argument: &str, usage: &str) -> Vec<String> {
    match argument.strip_prefix('<').and_then(|list| list.strip_suffix(">...")).filter(|list| list.contains(' ')) {
        Some(list) => {
            list.split(' ').filter(|name| usage.split(' ').any(|word| word == *name)).map(str::to_owned).collect()
        }
        None => vec![named(argument)],
    }
}

/// Has the same form as the error of a setting.
fn not_accepted(flag: &str, value: &str, accepted: &str) -> String {
    format!("{flag}: `{}` is not accepted: {accepted}", as_typed(value))
}

/// The same for a value that a list of words has not, with the word that may be meant.
fn closed(flag: &str, value: &str, accepted: &str) -> (String, Option<String>) {
    // The nearest word is another shell.
    let shell = Some("did you mean `bash`".to_owned()).filter(|_| value == "sh" && accepted.contains("`bash`"));
    (not_accepted(flag, value, accepted), shell.or_else(|| spelling::suggestion(value, accepted)))
}

/// The verb that a misspelt one may mean, where clap does not say.
fn nearest_verb(verb: &str) -> Option<String> {
    let command = super::interface();
    let names: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
    spelling::nearest(&verb.to_lowercase(), names).map(|name| format!("did you mean `{name}`"))
}

fn one_of(words: &[String]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match words.as_slice() {
        [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        words => words.join(""),
    }
}

fn nearest(candidates: &[String]) -> Option<String> {
    (!candidates.is_empty()).then(|| format!("did you mean {}", one_of(candidates)))
}

/// What does the job of a flag by which other builders call it.
fn ours(flag: &str) -> Option<&'static str> {
    Some(match flag {
        "--from" => "--base builds on an image",
        "-t" | "--name" => "a target holds the name, `oci:DIR:NAME`; --additional-tag adds more",
        "-o" | "--output" | "--dest" => "targets stand after the rootfs: `ocibake build ROOTFS oci:DIR:NAME`",
        "-e" => "did you mean `--env`",
        "-l" => "did you mean `--label`",
        "-p" | "--expose" => "did you mean `--port`",
        "-u" | "--chown" => "--owner says whom the files belong to, --user who runs the image",
        "-w" | "--workdir" => "did you mean `--working-dir`",
        _ => return None,
    })
}

/// The same for flags that other tools have beside any verb. Their nearest neighbours here mean something else.
fn of_every_verb(flag: &str) -> Option<&'static str> {
    Some(match flag {
        "--push" => "skopeo sends images to registries: `skopeo copy oci:DIR:REF docker://REGISTRY/NAME:TAG`",
        "--load" => "`docker load` and `podman load` take a target `docker-archive:FILE:NAME:TAG`",
        "--pull" => "skopeo takes images from registries: `skopeo copy docker://REGISTRY/NAME:TAG oci:DIR:REF`",
        "--no-cache" => "nothing is cached without --cache",
        "--to" => "targets have no flag, and stand after what is read: `docker-archive:FILE:NAME:TAG`, `oci:DIR:REF`",
        _ => return None,
    })
}

/// The error of a transport that stands before a word too many, with a blank between it and its path:
/// `inspect oci out`.
fn transport_before(word: &str, words: &[String]) -> Option<Error> {
    let at = words.iter().rposition(|typed| typed == word)?;
    let is_alone = |word: &String| !word.contains(':') && has_transport(&format!("{word}:"));
    // After a flag it is its value.
    let operands = words[..at].windows(2).filter(|two| !two[0].starts_with('-'));
    let alone = operands.map(|two| &two[1]).find(|word| is_alone(word))?;
    Location::parse(alone.as_ref()).err()
}

/// The command of `--cmd sh -c foo` in quotes, where a flag that is not known belongs to it.
fn unquoted_command(flag: &str, words: &[String]) -> Option<String> {
    let is_long = |word: &String| word.starts_with("--");
    let at = words.iter().position(|word| matches!(word.as_str(), "--cmd" | "--entrypoint"))?;
    let rest = words.get(at + 1..)?;
    let command = &rest[..rest.iter().position(is_long).unwrap_or(rest.len())];
    let is_within = command.iter().skip(1).any(|word| word.starts_with(flag));
    is_within.then(|| {
        format!("put the whole command in quotes: {} {}", words[at], super::foreign::quoted(&command.join(" ")))
    })
}

/// The value of a flag: the word after it, or what stands after `=`.
fn value_of<'a>(flag: &str, words: &'a [String]) -> Option<&'a str> {
    let at = words.iter().position(|word| word.split('=').next() == Some(flag))?;
    match words[at].split_once('=') {
        Some((_, value)) => Some(value),
        None => words.get(at + 1).map(String::as_str).filter(|value| !value.starts_with('-')),
    }
}

/// The flags of `build` for a platform as other builders write it: `linux/arm/v7`.
fn platform_of_build(platform: Option<&str>) -> String {
    // Misspelt, or in Docker's words, it is corrected first.
    let meant = platform.and_then(|platform| platform.parse::<PlatformPattern>().err());
    let meant = meant.and_then(|error| super::hints::of(&error));
    let meant = meant.as_deref().and_then(|hint| hint.strip_prefix("did you mean `")?.strip_suffix('`'));
    let parts: Vec<&str> = meant.or(platform).unwrap_or_default().split('/').collect();
    let is_word = |part: &&str| part.bytes().all(|byte| byte.is_ascii_alphanumeric()) && !part.is_empty();
    if !parts.iter().all(is_word) {
        return "--arch says which architecture the image is for, as `--arch amd64`, --variant and --os the rest"
            .to_owned();
    }
    let os = |os: &str| if os == "linux" { String::new() } else { format!(" --os {os}") };
    match parts.as_slice() {
        [arch] => format!("did you mean `--arch {arch}`"),
        [given, arch] => format!("did you mean `--arch {arch}{}`", os(given)),
        [given, arch, variant, ..] => format!("did you mean `--arch {arch} --variant {variant}{}`", os(given)),
        [] => String::new(),
    }
}

/// The flag that chooses one of several images, for a verb that reads them.
fn platform_of_images(verb: &str, words: &[String]) -> Option<String> {
    let command = super::interface();
    let has_platform = command.find_subcommand(verb)?.get_arguments().any(|arg| arg.get_long() == Some("platform"));
    let part = |flag| value_of(flag, words);
    let (os, arch) = (part("--os").unwrap_or("linux"), part("--arch").unwrap_or("ARCH"));
    let variant = part("--variant").map(|variant| format!("/{variant}")).unwrap_or_default();
    has_platform.then(|| format!("did you mean `--platform {os}/{arch}{variant}`"))
}

const HELP: &str = "`ocibake --help` and `ocibake COMMAND --help` tell what there is";

/// `--threads <N>` is `--threads`, and `<IMAGE>` is IMAGE.
fn named(argument: &str) -> String {
    let word = argument.split([' ', '=', '[']).next().unwrap_or_default();
    if word.starts_with('-') {
        word.to_owned()
    } else {
        argument.replace(['<', '>', '[', ']'], "")
    }
}

fn context(error: &clap::Error, kind: ContextKind) -> Vec<String> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => vec![text.clone()],
        Some(ContextValue::Strings(texts)) => texts.clone(),
        Some(ContextValue::StyledStr(text)) => vec![text.to_string()],
        _ => Vec::new(),
    }
}

/// Returns the message of our own parsers, or clap's where there is nothing better.
fn as_it_is(error: &clap::Error) -> (String, Option<String>) {
    let text = error.to_string();
    let first = text.split("\n\n").next().unwrap_or_default();
    let message: Vec<&str> = first.lines().map(str::trim).collect();
    let message = message.join(" ");
    let hint = text.lines().find_map(|line| line.strip_prefix("hint: ")).map(str::to_owned);
    (message.strip_prefix("error: ").unwrap_or(&message).to_owned(), hint.or_else(|| Some(HELP.to_owned())))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::super::Cli;
    use super::*;

    fn explained(program: &str, line: &str) -> (String, Option<String>) {
        use clap::FromArgMatches;
        let words: Vec<String> = std::iter::once(program).chain(line.split(' ')).map(str::to_owned).collect();
        let parsed = Cli::command().try_get_matches_from(&words).and_then(|matches| Cli::from_arg_matches(&matches));
        explanation(&parsed.map(|_| ()).unwrap_err(), &words)
    }

    #[test]
    fn a_program_of_another_name_explains_the_same() {
        let (_, hint) = explained("bake-1.0", "build r o --platform linux/arm64");
        assert_eq!(hint.as_deref(), Some("did you mean `--arch arm64`"));
    }

    #[test]
    fn in_words_of_the_job() {
        for (line, message, hint) in [
            ("build r o --threads 0", "--threads: `0` is not accepted: a whole number from 1 on", ""),
            ("build r o --threads=-1", "--threads: `-1` is not accepted: a whole number from 1 on", ""),
            ("inspect o --largest -3", "--largest: `-3` is not accepted: a whole number from 1 on", ""),
            ("inspect o --largest 1.5", "--largest: `1.5` is not accepted: a whole number from 1 on", ""),
            ("squash o p --from 0", "--from: `0` is not accepted: a whole number from 1 on", ""),
            ("build r o --stat", "there is no flag `--stat`", "did you mean `--stats`"),
            ("build r o --frobnicate", "there is no flag `--frobnicate`", "tell what there is"),
            ("build r o --platform linux/arm64", "there is no flag `--platform`", "did you mean `--arch arm64`"),
            ("build r o --platform=linux/arm/v7", "there is no flag `--platform`", "`--arch arm --variant v7`"),
            ("build r o --platform", "there is no flag `--platform`", "--arch says which"),
            ("inspect o --arch arm", "there is no flag `--arch`", "did you mean `--platform linux/arm`"),
            ("convert o p --arch arm --variant v7", "there is no flag `--arch`", "`--platform linux/arm/v7`"),
            ("ls o --arch arm", "there is no flag `--arch`", "tell what there is"),
            ("build r o -t app:v1", "there is no flag `-t`", "a target holds the name"),
            ("ls o --platform linux/arm64", "there is no flag `--platform`", "tell what there is"),
            ("build r o -x", "there is no flag `-x`", "tell what there is"),
            ("build r o --push", "there is no flag `--push`", "`skopeo copy oci:DIR:REF docker://REGISTRY/NAME:TAG`"),
            ("convert o p --push", "there is no flag `--push`", "`skopeo copy oci:DIR:REF docker://REGISTRY/NAME:TAG`"),
            ("build r o --load", "there is no flag `--load`", "`docker-archive:FILE:NAME:TAG`"),
            ("build r o --pull", "there is no flag `--pull`", "`skopeo copy docker://REGISTRY/NAME:TAG oci:DIR:REF`"),
            ("build r o --no-cache", "there is no flag `--no-cache`", "nothing is cached without --cache"),
            ("convert o p --to docker", "there is no flag `--to`", "stand after what is read: `docker-archive:FILE"),
            ("completions sh", "SHELL: `sh` is not accepted", "did you mean `bash`"),
            ("completions zhs", "SHELL: `zhs` is not accepted", "did you mean `zsh`"),
            ("build r o --cmd sh -c foo", "there is no flag `-c`", "in quotes: --cmd 'sh -c foo'"),
            ("config o --entrypoint /bin/sh -xe --env A=1", "there is no flag `-x`", "--entrypoint '/bin/sh -xe'"),
            ("config o --compression zstd", "there is no flag `--compression`", "`ocibake convert` compresses"),
            ("ls a b", "one argument too many: `b`", "it is `ocibake ls"),
            ("cat oci:o:v1 a b", "one argument too many: `b`", "it is `ocibake cat"),
            ("biuld r o", "there is no command `biuld`", "did you mean `build`"),
            ("help biuld", "there is no command `biuld`", "did you mean `build`"),
            ("BUILD r o", "there is no command `BUILD`", "did you mean `build`"),
            ("config o --clear labels", "--clear: `labels` is not accepted", "did you mean `label`"),
            ("build r o --platform arm65", "there is no flag `--platform`", "did you mean `--arch arm64`"),
            ("build r o --platform arm32v7", "there is no flag `--platform`", "`--arch arm --variant v7`"),
            ("inspect o --platform arm65", "--platform: platform `arm65`", "did you mean `linux/arm64`"),
            ("inspect o --platform Linux/AMD64", "--platform: platform `Linux/AMD64`", "did you mean `linux/amd64`"),
            ("inspect o --platform arm64v8", "--platform: platform `arm64v8`", "did you mean `linux/arm64/v8`"),
            ("squash o p --compression gzpi", "--compression: `gzpi` is not accepted", "did you mean `gzip`"),
            ("build r o --stats=jsno", "--stats: `jsno` is not accepted", "did you mean `json`"),
            ("build r o --progress fast", "--progress: `fast` is not accepted: `auto`, `percent` or `none`", ""),
            ("build r o --stats=xml", "--stats: `xml` is not accepted: `text` or `json`", ""),
            ("build r o --arch", "--arch: a value is missing", ""),
            ("build r o --arch a --arch b", "--arch is given twice", ""),
            ("build r o --no-xattrs --xattrs x", "--no-xattrs does not go together with --xattrs", ""),
            ("build r o --owner 0", "--owner: `0` is not accepted: UID:GID, two numbers such as 0:0", ""),
            ("build r o --uid-map 0:1", "--uid-map: `0:1` is not accepted: CONTAINER:HOST:SIZE expected", ""),
            ("build r o --mask a/../b", "--mask: `a/../b` is not accepted: `..` leads out of the tree", ""),
            ("config o --tag a=", "--tag: `a=` is not accepted: letters and digits expected", ""),
            ("config o --remove-port http", "--remove-port: `http` is not accepted: PORT", ""),
            ("config o --clear foo", "--clear: `foo` is not accepted: one of `entrypoint`, `cmd`", ""),
            ("build r", "TARGETS... is missing", "ocibake build"),
            ("verify", "IMAGE is missing", "ocibake verify"),
            ("index", "IMAGE... and TARGET are missing", "ocibake index [OPTIONS] IMAGE... TARGET"),
            ("index --remove arm64", "TARGET is missing", "ocibake index [OPTIONS] --remove PLATFORM TARGET"),
        ] {
            let (found, found_hint) = explained("ocibake", line);
            assert!(found.starts_with(message), "{line}: {found}");
            assert!(found_hint.clone().unwrap_or_default().contains(hint), "{line}: {found_hint:?}");
        }
    }
}
