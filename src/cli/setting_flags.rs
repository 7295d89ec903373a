//! The flags that are variables of `build` too, made from the library's table so that they cannot drift.

use clap::{Arg, ArgAction, ArgMatches, Command, FromArgMatches};
use ocibake::settings::changes::{changeable, Removal};
use ocibake::settings::{variables, FlagValue, Kind, Variable, VARIABLES};

/// What changes the layers of a rootfs.
const OF_LAYERS: [Variable; 3] = [variables::LAYERS, variables::EXCLUDE, variables::COMPRESSION];

/// The flags that were given to `build`.
pub(super) struct SettingFlags(pub(super) Vec<(Variable, FlagValue)>);

/// Those that were given to `plan`: what changes the layers of a rootfs.
pub(super) struct LayerSettingFlags(pub(super) Vec<(Variable, FlagValue)>);

/// Those that were given to `config`, which reads no variables.
pub(super) struct ChangeFlags(pub(super) Vec<(Variable, FlagValue)>);

impl clap::Args for SettingFlags {
    fn augment_args(command: Command) -> Command {
        let arg = |variable: &Variable| Some(arg(variable)?.help(format!("{} [{}]", help(variable), variable.name)));
        command.next_help_heading("Settings, each a variable too").args(VARIABLES.iter().filter_map(arg))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl clap::Args for LayerSettingFlags {
    fn augment_args(command: Command) -> Command {
        let arg = |variable: &Variable| Some(arg(variable)?.help(format!("{} [{}]", help(variable), variable.name)));
        command.next_help_heading("Settings, each a variable too").args(OF_LAYERS.iter().filter_map(arg))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for LayerSettingFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(LayerSettingFlags(given(OF_LAYERS.iter(), matches)))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl clap::Args for ChangeFlags {
    fn augment_args(command: Command) -> Command {
        let arg = |variable: &Variable| Some(arg(variable)?.help(help(variable)));
        command.next_help_heading("What is set").args(changeable().filter_map(arg))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

/// The flags of `config` that take an element out of a list: `--remove-env NAME`.
pub(super) struct RemovalFlags(pub(super) Vec<Removal>);

impl clap::Args for RemovalFlags {
    fn augment_args(command: Command) -> Command {
        let flags = Removal::fields().map(|field| {
            let name = format!("remove-{}", field.name());
            let help = format!("Take one element of --{} away, by its name (repeatable)", field.name());
            Arg::new(name.clone()).long(name).value_name("NAME").action(ArgAction::Append).help(help)
        });
        command.next_help_heading("What goes").args(flags)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for RemovalFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut removals = Vec::new();
        for field in Removal::fields() {
            let flag = format!("remove-{}", field.name());
            for name in matches.get_many::<String>(&flag).unwrap_or_default() {
                let removal = Removal::element(field, &format!("--{flag}"), name);
                removals.push(removal.map_err(|error| super::refuse(&Command::new("config"), &error))?);
            }
        }
        Ok(RemovalFlags(removals))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// `--label` of OCI_IMAGE_LABELS; a list's flag is repeated and takes one element at a time.
fn arg(variable: &Variable) -> Option<Arg> {
    let name = variable.flag?.trim_start_matches("--");
    let action = match variable.kind {
        Kind::List => ArgAction::Append,
        Kind::Text | Kind::Command => ArgAction::Set,
    };
    Some(Arg::new(name).long(name).value_name(value_name(variable)).action(action).allow_hyphen_values(true))
}

fn help(variable: &Variable) -> String {
    let repeatable = if variable.kind == Kind::List { " (repeatable)" } else { "" };
    format!("{}{repeatable}", capitalised(variable.meaning))
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

/// The values of the flags among `variables`.
fn given<'a>(variables: impl Iterator<Item = &'a Variable>, matches: &ArgMatches) -> Vec<(Variable, FlagValue)> {
    let given = variables.filter_map(|variable| {
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
    given.collect()
}

impl FromArgMatches for SettingFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(SettingFlags(given(VARIABLES.iter(), matches)))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl FromArgMatches for ChangeFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(ChangeFlags(given(changeable(), matches)))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
