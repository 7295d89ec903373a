//! Where values come from: a flag, else the environment, else the variables file. Empty means unset, blanks are empty.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::values::Grammar;
use super::variables::Variable;
use super::vars_file::VarsFile;
use super::words::{self, Token};
use crate::error::{Error, Result};

/// What was given to a flag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlagValue {
    /// One value, read as the variable's would be.
    Text(String),
    /// The values of a repeated flag: a word each, taken as they stand.
    Words(Vec<String>),
}

/// All values that were given, in three layers.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    flags: BTreeMap<&'static str, FlagValue>,
    environment: BTreeMap<&'static str, String>,
    file: Option<VarsFile>,
    warnings: Vec<String>,
}

impl Settings {
    /// Gathers flags, the environment and a variables file.
    ///
    /// Of the environment only known variables are kept. One of them that is not UTF-8 is an error; an unknown one that
    /// begins with `OCI_` is a [warning](Settings::warnings).
    pub fn new(
        flags: impl IntoIterator<Item = (Variable, FlagValue)>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        file: Option<VarsFile>,
    ) -> Result<Self> {
        let mut settings = Settings { file, ..Settings::default() };
        settings.flags = flags.into_iter().map(|(variable, value)| (variable.name, value)).collect();
        for (name, value) in environment {
            // A name that is not UTF-8 is none of ours.
            let Some(name) = name.to_str() else { continue };
            if let Some(variable) = Variable::named(name) {
                let value = value.into_string().map_err(|value| Error::Setting {
                    name: from_environment(variable),
                    value: value.to_string_lossy().into_owned(),
                    accepted: "text in UTF-8".to_owned(),
                })?;
                settings.environment.insert(variable.name, value);
            } else if name.starts_with("OCI_") {
                settings.warnings.push(unknown(name));
            }
        }
        settings.warnings.sort();
        Ok(settings)
    }

    /// What the person should hear of, a line each.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The value of a variable: that of the first layer which has it.
    pub(super) fn find(&self, variable: &Variable) -> Option<Setting<'_>> {
        Layer::ALL.into_iter().find_map(|layer| self.find_in(layer, variable))
    }

    /// One value, read by a grammar.
    pub(super) fn one<T>(&self, variable: &Variable, grammar: &Grammar<T>) -> Result<Option<T>> {
        self.find(variable).map(|setting| setting.read(setting.text()?, grammar)).transpose()
    }

    /// A list, each word of it read by a grammar; empty where nothing was given.
    pub(super) fn list<T>(&self, variable: &Variable, grammar: &Grammar<T>) -> Result<Vec<T>> {
        let Some(setting) = self.find(variable) else { return Ok(Vec::new()) };
        setting.words()?.iter().map(|word| setting.read(word, grammar)).collect()
    }

    /// A command line.
    pub(super) fn command(&self, variable: &Variable) -> Result<Option<Vec<String>>> {
        self.find(variable).map_or(Ok(None), |setting| setting.command())
    }

    /// A command line that has an older name: that of the first layer which has either. Both names in one layer must
    /// say the same.
    pub(super) fn renamed_command(&self, variable: &Variable, older: &Variable) -> Result<Option<Vec<String>>> {
        for layer in Layer::ALL {
            let (new, old) = (self.find_in(layer, variable), self.find_in(layer, older));
            if let (Some(new), Some(old)) = (&new, &old) {
                if new.command()? != old.command()? {
                    return Err(old.error(old.text()?, &format!("the same as {} says, or nothing", variable.name)));
                }
            }
            if let Some(found) = new.or(old) {
                return found.command();
            }
        }
        Ok(None)
    }

    fn find_in(&self, layer: Layer, variable: &Variable) -> Option<Setting<'_>> {
        let (value, origin) = match layer {
            Layer::Flag => match self.flags.get(variable.name)? {
                FlagValue::Text(text) => (Value::Text(text), variable.flag.unwrap_or(variable.name).to_owned()),
                FlagValue::Words(words) => (Value::Words(words), variable.flag.unwrap_or(variable.name).to_owned()),
            },
            Layer::Environment => (Value::Text(self.environment.get(variable.name)?), from_environment(variable)),
            Layer::File => {
                let (value, place) = self.file.as_ref()?.get(variable)?;
                (Value::Text(value), format!("{} ({place})", variable.name))
            }
        };
        let is_empty = match value {
            Value::Text(text) => text.trim().is_empty(),
            Value::Words(words) => words.is_empty(),
        };
        (!is_empty).then_some(Setting { layer, origin, value })
    }
}

fn from_environment(variable: &Variable) -> String {
    format!("{} (environment)", variable.name)
}

fn unknown(name: &str) -> String {
    let message = format!("{} (environment): there is no such variable", name.escape_debug());
    match Variable::nearest(name) {
        Some(nearest) => format!("{message}, did you mean {}", nearest.name),
        None => message,
    }
}

/// Who gave a value, the first to be asked first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layer {
    /// The command line.
    Flag,
    /// The environment.
    Environment,
    /// The variables file.
    File,
}

impl Layer {
    const ALL: [Layer; 3] = [Layer::Flag, Layer::Environment, Layer::File];
}

#[derive(Clone, Copy, Debug)]
enum Value<'a> {
    Text(&'a str),
    Words(&'a [String]),
}

/// A value and who gave it.
#[derive(Clone, Debug)]
pub(super) struct Setting<'a> {
    /// Who gave it.
    pub(super) layer: Layer,
    /// The flag or variable, as the person wrote it.
    pub(super) origin: String,
    value: Value<'a>,
}

impl<'a> Setting<'a> {
    /// The value as it stands; of a repeated flag the last.
    pub(super) fn text(&self) -> Result<&'a str> {
        let text = match self.value {
            Value::Text(text) => text,
            Value::Words(words) => words.last().map_or("", String::as_str),
        };
        self.without_nul(text)
    }

    /// The value as shell words. A word that begins with `#` must be quoted: leaving out the rest would be silent loss.
    pub(super) fn words(&self) -> Result<Vec<String>> {
        let text = match self.value {
            Value::Text(text) => self.without_nul(text)?,
            Value::Words(words) => {
                return words.iter().map(|word| self.without_nul(word).map(str::to_owned)).collect();
            }
        };
        let tokens = words::scan(text).map_err(|_| self.error(text, "shell words with each quote closed"))?;
        let words = tokens.into_iter().map(|token| match token {
            Token::Word(word) => Ok(word.unquote()),
            Token::Comment => Err(self.error(text, "shell words, with quotes around one that begins with `#`")),
        });
        words.collect()
    }

    /// The value as a command line: none without words, an error if the first is empty.
    pub(super) fn command(&self) -> Result<Option<Vec<String>>> {
        let words = self.words()?;
        match words.first() {
            Some(first) if first.is_empty() => Err(self.error(self.text()?, "a command whose first word is not empty")),
            Some(_) => Ok(Some(words)),
            None => Ok(None),
        }
    }

    /// A value read by a grammar.
    pub(super) fn read<T>(&self, value: &str, grammar: &Grammar<T>) -> Result<T> {
        (grammar.read)(value).ok_or_else(|| self.error(value, grammar.accepted))
    }

    /// The error for a part of the value.
    pub(super) fn error(&self, value: &str, accepted: &str) -> Error {
        Error::Setting { name: self.origin.clone(), value: value.to_owned(), accepted: accepted.to_owned() }
    }

    fn without_nul<'b>(&self, text: &'b str) -> Result<&'b str> {
        if text.contains('\0') {
            Err(self.error(text, "text without NUL"))
        } else {
            Ok(text)
        }
    }
}
