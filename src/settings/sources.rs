//! Where values come from: a flag, else the environment, else the variables file. An empty or blank variable counts as
//! unset.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::values::Grammar;
use super::variables::{Variable, VariableKind};
use super::vars_file::VarsFile;
use super::words::{self, Token};
use crate::error::{Error, Result};

/// The value of a flag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlagValue {
    /// A single value, parsed like that of the variable.
    Text(String),
    /// The values of a repeated flag: one word each, taken literally.
    Words(Vec<String>),
}

/// All given values, in three layers.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    flags: BTreeMap<&'static str, FlagValue>,
    environment: BTreeMap<&'static str, String>,
    file: Option<VarsFile>,
    warnings: Vec<String>,
}

impl Settings {
    /// Collects flags, the environment and a variables file.
    ///
    /// Of the environment only known variables are kept. It is an error if one of them is not UTF-8. An unknown one
    /// that begins with `OCI_` is a [warning](Settings::warnings).
    pub fn new(
        flags: impl IntoIterator<Item = (Variable, FlagValue)>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        file: Option<VarsFile>,
    ) -> Result<Self> {
        let mut settings = Settings { file, ..Settings::default() };
        settings.flags = flags.into_iter().map(|(variable, value)| (variable.name, value)).collect();
        for (name, value) in environment {
            // A variable with a name that is not UTF-8 is not one of ours.
            let Some(name) = name.to_str() else { continue };
            if let Some(variable) = Variable::named(name) {
                let value = value.into_string().map_err(|value| Error::Setting {
                    name: from_environment(variable),
                    value: value.to_string_lossy().into_owned(),
                    accepted: "text in UTF-8".to_owned(),
                })?;
                settings.environment.insert(variable.name, value);
            }
            settings.warnings.extend(unknown(name));
        }
        settings.warnings.sort();
        Ok(settings)
    }

    /// Warnings for the user, one line each.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Returns the value of a variable from the first layer that has it, or `None` if it is unset or
    /// [cleared](Settings::clears).
    pub(super) fn find(&self, variable: &Variable) -> Option<Setting<'_>> {
        self.first(variable).filter(|setting| !setting.clears())
    }

    /// Whether the value is explicitly empty, so that nothing is inherited: an empty flag, or a single `''` in a list
    /// or a command.
    pub(super) fn clears(&self, variable: &Variable) -> bool {
        self.first(variable).is_some_and(|setting| setting.clears())
    }

    fn first(&self, variable: &Variable) -> Option<Setting<'_>> {
        GivenBy::ALL.into_iter().find_map(|layer| self.find_in(layer, variable))
    }

    /// Reads a single value with a grammar.
    pub(super) fn one<T>(&self, variable: &Variable, grammar: &Grammar<T>) -> Result<Option<T>> {
        self.find(variable).map(|setting| setting.read(setting.text()?, grammar)).transpose()
    }

    /// Reads a list with a grammar for each word; empty if unset.
    pub(super) fn list<T>(&self, variable: &Variable, grammar: &Grammar<T>) -> Result<Vec<T>> {
        let Some(setting) = self.find(variable) else { return Ok(Vec::new()) };
        setting.words()?.iter().map(|word| setting.read(word, grammar)).collect()
    }

    /// Reads a command line. If the variable has an older name, the first layer with either name counts; both names in
    /// one layer must agree.
    pub(super) fn command(&self, variable: &Variable) -> Result<Option<Vec<String>>> {
        for layer in GivenBy::ALL {
            let new = self.find_in(layer, variable);
            let old = variable.older().and_then(|older| self.find_in(layer, older));
            if let (Some(new), Some(old)) = (&new, &old) {
                if new.words()? != old.words()? {
                    return Err(old.error(old.text()?, &format!("the same as {} says, or nothing", variable.name)));
                }
            }
            if let Some(found) = new.or(old) {
                return if found.clears() { Ok(None) } else { found.command() };
            }
        }
        Ok(None)
    }

    fn find_in(&self, layer: GivenBy, variable: &Variable) -> Option<Setting<'_>> {
        let (value, origin) = match layer {
            GivenBy::Flag => {
                let value = match self.flags.get(variable.name)? {
                    FlagValue::Text(text) => Value::Text(text),
                    FlagValue::Words(words) => Value::Words(words),
                };
                (value, variable.flag.unwrap_or(variable.name).to_owned())
            }
            GivenBy::Environment => (Value::Text(self.environment.get(variable.name)?), from_environment(variable)),
            GivenBy::File => {
                let (value, place) = self.file.as_ref()?.get(variable)?;
                (Value::Text(value), format!("{} ({place})", variable.name))
            }
        };
        let is_empty = match value {
            Value::Text(text) => text.trim().is_empty(),
            Value::Words(words) => words.is_empty(),
        };
        // An empty variable is unset; an empty flag is deliberate.
        (!is_empty || layer == GivenBy::Flag).then_some(Setting { layer, origin, kind: variable.kind, value })
    }
}

fn from_environment(variable: &Variable) -> String {
    format!("{} (environment)", variable.name)
}

/// Warnings about environment variables that look like settings but are not, for use even if another error occurs.
pub fn unknown_names(environment: impl IntoIterator<Item = (OsString, OsString)>) -> Vec<String> {
    let mut warnings: Vec<String> =
        environment.into_iter().filter_map(|(name, _)| name.to_str().and_then(unknown)).collect();
    warnings.sort();
    warnings
}

fn unknown(name: &str) -> Option<String> {
    if !name.starts_with("OCI_") || Variable::named(name).is_some() {
        return None;
    }
    let message = format!("{} (environment): there is no such variable", name.escape_debug());
    Some(match Variable::nearest(name) {
        Some(nearest) => format!("{message}, did you mean {}", nearest.name),
        None => message,
    })
}

/// The source of a value, in order of precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GivenBy {
    /// The command line.
    Flag,
    /// The environment.
    Environment,
    /// The variables file.
    File,
}

impl GivenBy {
    const ALL: [GivenBy; 3] = [GivenBy::Flag, GivenBy::Environment, GivenBy::File];
}

#[derive(Clone, Copy, Debug)]
enum Value<'a> {
    Text(&'a str),
    Words(&'a [String]),
}

/// A value and its source.
#[derive(Clone, Debug)]
pub(super) struct Setting<'a> {
    /// The source of the value.
    pub(super) layer: GivenBy,
    /// The flag or variable, as the user wrote it.
    pub(super) origin: String,
    kind: VariableKind,
    value: Value<'a>,
}

impl<'a> Setting<'a> {
    /// The value, unparsed; of a repeated flag the last.
    pub(super) fn text(&self) -> Result<&'a str> {
        let text = match self.value {
            Value::Text(text) => text,
            Value::Words(words) => words.last().map_or("", String::as_str),
        };
        self.without_nul(text)
    }

    fn clears(&self) -> bool {
        match self.kind {
            VariableKind::Text => matches!(self.text(), Ok(text) if text.trim().is_empty()),
            VariableKind::Command | VariableKind::List => {
                self.words().is_ok_and(|words| words.iter().all(String::is_empty) && words.len() < 2)
            }
        }
    }

    /// The value as shell words, or as a JSON list of strings, as Docker writes commands. A word that begins with `#`
    /// must be quoted, since dropping the rest of the line would lose data silently.
    pub(super) fn words(&self) -> Result<Vec<String>> {
        let text = match self.value {
            Value::Text(text) => self.without_nul(text)?,
            Value::Words(words) => {
                let word = |word: &String| {
                    self.refuse_json_list(word)?;
                    self.without_nul(word).map(str::to_owned)
                };
                return words.iter().map(word).collect();
            }
        };
        if self.kind == VariableKind::Command && words::is_meant_as_json(text) {
            let list: Option<Vec<String>> = serde_json::from_str(text).ok();
            let list = list.ok_or_else(|| self.error(text, self.strings_in_json()))?;
            list.iter().try_for_each(|word| self.without_nul(word).map(drop))?;
            return Ok(list);
        }
        self.refuse_json_list(text)?;
        let tokens = words::scan(text).map_err(|_| self.error(text, "shell words with each quote closed"))?;
        let words = tokens.into_iter().map(|token| match token {
            Token::Word(word) => Ok(word.unquote()),
            Token::Comment => Err(self.error(text, "shell words, with quotes around one that begins with `#`")),
        });
        words.collect()
    }

    /// What is wanted of a command in brackets. A shell takes quotes away that are not themselves in quotes.
    fn strings_in_json(&self) -> &'static str {
        match self.layer {
            GivenBy::Flag => {
                "shell words, or a list of strings in JSON, which a shell must get in quotes: `'[\"/bin/sh\", \"-c\"]'`"
            }
            GivenBy::Environment | GivenBy::File => {
                "shell words, or a list of strings in JSON, each in quotes: `[\"/bin/sh\", \"-c\"]`"
            }
        }
    }

    /// Refuses a list in JSON where a list is words: read as words, it would lose its quotes and keep its brackets.
    fn refuse_json_list(&self, text: &str) -> Result<()> {
        if self.kind != VariableKind::List || !words::is_json_list(text) {
            return Ok(());
        }
        let accepted = match self.layer {
            GivenBy::Flag => {
                "one word without brackets and quotes of its own, found a list in JSON; the flag is repeated"
            }
            GivenBy::Environment | GivenBy::File => "shell words with blanks between them, found a list in JSON",
        };
        Err(self.error(text, accepted))
    }

    /// The value as a command line. Returns `None` if it has no words; an empty first word is an error.
    pub(super) fn command(&self) -> Result<Option<Vec<String>>> {
        let words = self.words()?;
        match words.first() {
            Some(first) if first.is_empty() => Err(self.error(self.text()?, "a command whose first word is not empty")),
            Some(_) => Ok(Some(words)),
            None => Ok(None),
        }
    }

    /// Parses a value with a grammar.
    pub(super) fn read<T>(&self, value: &str, grammar: &Grammar<T>) -> Result<T> {
        (grammar.read)(value).ok_or_else(|| self.error(value, grammar.accepted))
    }

    /// The flag or variable, as the user wrote it.
    pub(super) fn origin(&self) -> &str {
        &self.origin
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

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;
    use crate::settings::{values, variables};

    fn env(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
        pairs.iter().map(|(name, value)| (name.into(), value.into())).collect()
    }

    fn text(text: &str) -> FlagValue {
        FlagValue::Text(text.to_owned())
    }

    fn words(words: &[&str]) -> FlagValue {
        FlagValue::Words(words.iter().map(|word| (*word).to_owned()).collect())
    }

    #[test]
    fn the_first_layer_that_has_it_wins() {
        for (flag, environment, file, expected) in [
            (Some("a"), Some("b"), Some("c"), Some(("--os", "a"))),
            // An empty flag is deliberate; an empty variable is not.
            (Some(""), Some("b"), Some("c"), None),
            (None, Some("b"), Some("c"), Some(("OCI_IMAGE_OS (environment)", "b"))),
            (None, Some(" \t"), Some("c"), Some(("OCI_IMAGE_OS (v:2)", "c"))),
            (None, None, Some("c"), Some(("OCI_IMAGE_OS (v:2)", "c"))),
            (None, None, Some("''"), None),
            (None, None, None, None),
        ] {
            let settings = Settings::new(
                flag.map(|flag| (variables::OS, text(flag))),
                env(&environment.map(|value| ("OCI_IMAGE_OS", value)).into_iter().collect::<Vec<_>>()),
                file.map(|value| VarsFile::parse("v", format!("\nOCI_IMAGE_OS={value}").as_bytes()).unwrap()),
            )
            .unwrap();
            let found = settings.find(&variables::OS);
            let found = found.as_ref().map(|setting| (setting.origin.as_str(), setting.text().unwrap()));
            assert_eq!(found, expected, "{flag:?} {environment:?} {file:?}");
        }
    }

    #[test]
    fn a_repeated_flag_is_taken_as_it_stands() {
        let hostile = ["a='b \"c", "$x=`y`", "#=\\", "n=1\n2"];
        let settings = Settings::new([(variables::LABELS, words(&hostile))], [], None).unwrap();
        let pairs = settings.list(&variables::LABELS, &values::ENV).unwrap();
        let pairs: Vec<_> = pairs.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(pairs, hostile);

        let empty =
            Settings::new([(variables::LABELS, words(&[""]))], env(&[("OCI_IMAGE_LABELS", "a=b")]), None).unwrap();
        assert!(empty.list(&variables::LABELS, &values::ENV).unwrap().is_empty());
        let with_empty = Settings::new([(variables::LABELS, words(&["a=b", ""]))], [], None).unwrap();
        assert_eq!(
            with_empty.list(&variables::LABELS, &values::ENV).unwrap_err().to_string(),
            "--label: `` is not accepted: words `key=value`"
        );
    }

    #[test]
    fn variables_hold_shell_words() {
        for (value, expected) in [
            ("a=b  c=d\n", Ok(vec!["a=b", "c=d"])),
            ("a='b c' \"d=e f\" g=\\ ", Ok(vec!["a=b c", "d=e f", "g= "])),
            ("a=$(x) b=`y` c=;", Ok(vec!["a=$(x)", "b=`y`", "c=;"])),
            ("a=#b '#c=d'", Ok(vec!["a=#b", "#c=d"])),
            ("a=b #c=d", Err("shell words, with quotes around one that begins with `#`")),
            ("a='b", Err("shell words with each quote closed")),
            ("a=\"b", Err("shell words with each quote closed")),
        ] {
            let settings = Settings::new([], env(&[("OCI_IMAGE_LABELS", value)]), None).unwrap();
            let words = settings.find(&variables::LABELS).unwrap().words();
            match expected {
                Ok(expected) => assert_eq!(words.unwrap(), expected, "{value}"),
                Err(accepted) => assert_eq!(
                    words.unwrap_err().to_string(),
                    format!("OCI_IMAGE_LABELS (environment): `{value}` is not accepted: {accepted}")
                ),
            }
        }
    }

    #[test]
    fn nul_is_refused_everywhere() {
        let file = VarsFile::parse("v", b"OCI_IMAGE_AUTHOR=a\0b OCI_IMAGE_LABELS=a=\0 OCI_IMAGE_CMD='a \0'").unwrap();
        let flags = [(variables::ENV_VARS, words(&["a=b", "c=\0"]))];
        let settings = Settings::new(flags, [], Some(file)).unwrap();
        let found = |variable| settings.find(variable).unwrap();
        assert_eq!(
            found(&variables::AUTHOR).text().unwrap_err().to_string(),
            r"OCI_IMAGE_AUTHOR (v:1): `a\0b` is not accepted: text without NUL"
        );
        assert!(found(&variables::LABELS).words().is_err());
        assert!(found(&variables::CMD).command().is_err());
        assert!(found(&variables::ENV_VARS).words().is_err());
    }

    #[test]
    fn commands() {
        for (value, expected) in [
            ("/bin/sh -c 'echo \"$HOME\"; exit'", Ok(Some(vec!["/bin/sh", "-c", "echo \"$HOME\"; exit"]))),
            ("a '' b", Ok(Some(vec!["a", "", "b"]))),
            ("\\\n", Ok(None)),
            ("''", Ok(None)),
            ("'' a", Err(())),
            (r#"["/bin/sh","-c","echo \"$HOME\"; # x"]"#, Ok(Some(vec!["/bin/sh", "-c", "echo \"$HOME\"; # x"]))),
            (" [ \"/a b\",\n\"\\u00e9\" , \"\" ]\n", Ok(Some(vec!["/a b", "é", ""]))),
            ("[]", Ok(None)),
            (r#"[""]"#, Ok(None)),
            (r#"["", "a"]"#, Err(())),
            (r#"["/bin/sh", "-c""#, Err(())),
            (r#"["/bin/sh", "-c",]"#, Err(())),
            (r#"["/bin/sh", 1]"#, Err(())),
            (r#"["/bin/sh"] -c"#, Err(())),
            ("['/bin/sh', '-c']", Err(())),
            ("[/bin/sh, -c]", Err(())),
            (r#"[ "/bin/sh", "-c""#, Err(())),
            ("[ /bin/sh, -c ]", Err(())),
            // The shell command `[`.
            ("[ -f /etc/motd ]", Ok(Some(vec!["[", "-f", "/etc/motd", "]"]))),
            (r#"[ "a b" = "$X" ]"#, Ok(Some(vec!["[", "a b", "=", "$X", "]"]))),
            ("a ['b']", Ok(Some(vec!["a", "[b]"]))),
            ("[a-z]x", Ok(Some(vec!["[a-z]x"]))),
            // What a shell leaves of a list whose quotes are not in quotes.
            ("[/bin/sh,-c]", Err(())),
            ("[/bin/sh]", Err(())),
            ("[/bin/sh -c]", Err(())),
            (r#"["a\u0000b"]"#, Err(())),
        ] {
            let settings = Settings::new([(variables::ENTRYPOINT, text(value))], [], None).unwrap();
            let command = settings.command(&variables::ENTRYPOINT).map_err(|_| ());
            let expected = expected.map(|words| words.map(|words| words.into_iter().map(str::to_owned).collect()));
            assert_eq!(command, expected, "{value}");
        }
    }

    #[test]
    fn a_list_in_json_is_no_list_of_words() {
        for (variable, value) in [
            (variables::ENV_VARS, r#"["A=b","C=d"]"#),
            (variables::LABELS, r#" [ "a=b" ] "#),
            (variables::PORTS, r#"["80""#),
            (variables::TAG, r#"["v1"]"#),
            (variables::EXCLUDE, r#"["/usr/share"]"#),
        ] {
            for (settings, accepted) in [
                (Settings::new([], env(&[(variable.name, value)]), None), "shell words with blanks between them"),
                (Settings::new([(variable, words(&[value]))], [], None), "one word without brackets"),
            ] {
                let error = settings.unwrap().list(&variable, &values::NOT_EMPTY).unwrap_err().to_string();
                let said = format!("`{value}` is not accepted: {accepted}");
                assert!(error.contains(&said) && error.contains("found a list in JSON"), "{error}");
            }
        }
        let globs = env(&[("OCI_IMAGE_EXCLUDE", "[a-z] [0-9]* [1]")]);
        let settings = Settings::new([], globs, None).unwrap();
        assert_eq!(settings.list(&variables::EXCLUDE, &values::NOT_EMPTY).unwrap(), ["[a-z]", "[0-9]*", "[1]"]);
    }

    #[test]
    fn the_older_name_goes_by_layers() {
        let vars = |text: &str| Some(VarsFile::parse("v", text.as_bytes()).unwrap());
        let cmd = |settings: Settings| settings.command(&variables::CMD);
        for (environment, file, expected) in [
            (vec![("OCI_IMAGE_CMD", "a")], "OCI_IMAGE_ENTRYPOINT_ARGS=b", "a"),
            (vec![("OCI_IMAGE_ENTRYPOINT_ARGS", "a")], "OCI_IMAGE_CMD=b", "a"),
            (vec![("OCI_IMAGE_ENTRYPOINT_ARGS", "")], "OCI_IMAGE_CMD=b", "b"),
            (vec![], "OCI_IMAGE_ENTRYPOINT_ARGS=b", "b"),
            (vec![], "OCI_IMAGE_CMD='b'\nOCI_IMAGE_ENTRYPOINT_ARGS=' b '", "b"),
            (vec![], "OCI_IMAGE_CMD=''\nOCI_IMAGE_ENTRYPOINT_ARGS=b", "b"),
        ] {
            let settings = Settings::new([], env(&environment), vars(file)).unwrap();
            assert_eq!(cmd(settings).unwrap().unwrap(), [expected], "{environment:?} {file}");
        }
        let settings = Settings::new([], [], vars("OCI_IMAGE_CMD=a\nOCI_IMAGE_ENTRYPOINT_ARGS=b")).unwrap();
        assert_eq!(
            cmd(settings).unwrap_err().to_string(),
            "OCI_IMAGE_ENTRYPOINT_ARGS (v:2): `b` is not accepted: the same as OCI_IMAGE_CMD says, or nothing"
        );
        // A flag overrides the conflict in lower layers.
        let flag = [(variables::CMD, text("c"))];
        let settings = Settings::new(flag, [], vars("OCI_IMAGE_CMD=a\nOCI_IMAGE_ENTRYPOINT_ARGS=b")).unwrap();
        assert_eq!(cmd(settings).unwrap().unwrap(), ["c"]);
    }

    #[test]
    fn the_environment_may_hold_anything() {
        let settings = Settings::new(
            [],
            env(&[("PATH", "/bin"), ("OCI_IMAGE_LABLES", "a=b"), ("OCI_CLI_USER", "x"), ("oci_x", "y")]),
            None,
        )
        .unwrap();
        assert_eq!(
            settings.warnings(),
            [
                "OCI_CLI_USER (environment): there is no such variable",
                "OCI_IMAGE_LABLES (environment): there is no such variable, did you mean OCI_IMAGE_LABELS",
            ]
        );
        let binary = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
        let foreign = [(binary(b"X"), binary(b"\xff")), (binary(b"OCI_\xff"), binary(b"x"))];
        assert!(Settings::new([], foreign, None).unwrap().warnings().is_empty());
        let error = Settings::new([], [(binary(b"OCI_IMAGE_TAG"), binary(b"a\xff"))], None).unwrap_err();
        assert_eq!(error.to_string(), "OCI_IMAGE_TAG (environment): `a\u{fffd}` is not accepted: text in UTF-8");
    }
}
