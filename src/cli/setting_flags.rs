//! The flags of `build` that are variables too, made from the library's table so that they cannot drift.

use clap::{Arg, ArgAction, ArgMatches, Command, FromArgMatches};
use ocibake::spec::{FlagValue, Kind, Variable, VARIABLES};

/// The flags that were given.
pub(super) struct SettingFlags(pub(super) Vec<(Variable, FlagValue)>);

impl clap::Args for SettingFlags {
    fn augment_args(command: Command) -> Command {
        command.next_help_heading("Settings, each a variable too").args(VARIABLES.iter().filter_map(arg))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

/// `--label` of OCI_IMAGE_LABELS; a list's flag is repeated and takes one element at a time.
fn arg(variable: &Variable) -> Option<Arg> {
    let name = variable.flag?.trim_start_matches("--");
    let (action, repeatable) = match variable.kind {
        Kind::List => (ArgAction::Append, " (repeatable)"),
        Kind::Text | Kind::Command => (ArgAction::Set, ""),
    };
    Some(
        Arg::new(name)
            .long(name)
            .value_name(value_name(variable))
            .action(action)
            .allow_hyphen_values(true)
            .help(format!("{}{repeatable} [{}]", capitalised(variable.meaning), variable.name)),
    )
}

fn value_name(variable: &Variable) -> &'static str {
    match variable.kind {
        Kind::Text => "VALUE",
        Kind::Command => "WORDS",
        Kind::List if variable.meaning.contains("key=value") => "KEY=VALUE",
        Kind::List => "WORD",
    }
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

impl FromArgMatches for SettingFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = VARIABLES.iter().filter_map(|variable| {
            let values: Vec<String> =
                matches.get_many::<String>(variable.flag?.trim_start_matches("--"))?.cloned().collect();
            Some((
                *variable,
                match variable.kind {
                    Kind::List => FlagValue::Words(values),
                    Kind::Text | Kind::Command => FlagValue::Text(values.into_iter().next()?),
                },
            ))
        });
        Ok(SettingFlags(given.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
