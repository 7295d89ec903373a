//! The flags that are also variables of `build`, made from the library's table so that the two cannot drift apart.

use clap::{Arg, ArgAction, ArgMatches, Command, FromArgMatches};
use ocibake::settings::changes::{changeable, Removal};
use ocibake::settings::{variables, FlagValue, Variable, VariableKind, VARIABLES};

/// The variables that change the layers of a rootfs.
const OF_LAYERS: [Variable; 3] = [variables::LAYERS, variables::EXCLUDE, variables::COMPRESSION];

/// The flags given to `build`.
pub(super) struct SettingFlags(pub(super) Vec<(Variable, FlagValue)>);

/// The flags given to `plan`: those that change the layers of a rootfs.
pub(super) struct LayerSettingFlags(pub(super) Vec<(Variable, FlagValue)>);

/// The flags given to `config`, which reads no variables.
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

/// The flags of `config` that remove an element of a list: `--remove-env NAME`.
pub(super) struct RemovalFlags(pub(super) Vec<Removal>);

impl clap::Args for RemovalFlags {
    fn augment_args(command: Command) -> Command {
        let flags = Removal::fields().map(|field| {
            let name = format!("remove-{}", field.name());
            let help = format!("Remove an element of --{}, by its name (repeatable)", field.name());
            Arg::new(name.clone()).long(name).value_name("NAME").action(ArgAction::Append).help(help)
        });
        command.next_help_heading("What is removed").args(flags)
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

/// Returns the flag of a variable, such as `--label` of OCI_IMAGE_LABELS. A list's flag is repeated, and takes one
/// element at a time.
fn arg(variable: &Variable) -> Option<Arg> {
    let name = variable.flag?.trim_start_matches("--");
    let action = match variable.kind {
        VariableKind::List => ArgAction::Append,
        VariableKind::Text | VariableKind::Command => ArgAction::Set,
    };
    Some(Arg::new(name).long(name).value_name(value_name(variable)).action(action).allow_hyphen_values(true))
}

fn help(variable: &Variable) -> String {
    let repeatable = if variable.kind == VariableKind::List { " (repeatable)" } else { "" };
    format!("{}{repeatable}", capitalised(variable.meaning))
}

fn value_name(variable: &Variable) -> &'static str {
    match variable.flag.unwrap_or_default() {
        "--arch" | "--target-arch" => return "ARCH",
        "--base" => return "IMAGE",
        "--cache" => return "DIR",
        "--compression" => return "COMPRESSION",
        "--created" => return "TIME",
        "--exclude" => return "GLOB",
        "--port" => return "PORT",
        "--repository" | "--tag" => return "NAME",
        "--user" => return "USER[:GROUP]",
        "--volume" | "--working-dir" => return "PATH",
        _ => {}
    }
    match variable.kind {
        VariableKind::Text => "VALUE",
        VariableKind::Command => "WORDS",
        VariableKind::List if variable.meaning.contains("key=value") => "KEY=VALUE",
        VariableKind::List => "WORD",
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
                VariableKind::List => FlagValue::Words(values),
                VariableKind::Text | VariableKind::Command => FlagValue::Text(values.into_iter().next()?),
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
