//! The variables file, written by the image class or by hand.
//!
//! It holds `NAME=value` words in POSIX shell quoting, any number on a line, and `#` comments. A quoted value may span
//! several lines. The word `export` is ignored, so that a shell can read the same file. Nothing is ever expanded or
//! executed: `$`, backquotes, `;` and `*` are literal even where a shell would interpret them.

use std::collections::BTreeMap;

use super::variables::Variable;
use super::words::{self, Token, Word};
use crate::error::{as_typed, Error, ErrorKind, Result};

/// The settings in a variables file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VarsFile {
    name: String,
    entries: BTreeMap<&'static str, Assignment>,
}

/// One value.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Assignment {
    value: String,
    line: usize,
}

impl VarsFile {
    /// Parses the text of a file; `name` is the file name for errors.
    ///
    /// Names that are not settings are ignored, except those that begin with `OCI_`: they are misspelt, and refused. A
    /// repeated name, an unclosed quote and a word that is not an assignment are errors too; the error states the line.
    pub fn parse(name: &str, text: &[u8]) -> Result<Self> {
        let text = std::str::from_utf8(text).map_err(|error| {
            let line = text[..error.valid_up_to()].split(|byte| *byte == b'\n').count();
            Error::invalid(place(name, line), "text in UTF-8 expected")
        })?;
        let tokens = words::scan(text)
            .map_err(|unclosed| Error::invalid(place(name, unclosed.line), "the quote is not closed"))?;
        let mut entries: BTreeMap<&'static str, Assignment> = BTreeMap::new();
        for token in tokens {
            let Token::Word(word) = token else { continue };
            if word.quoted == "export" {
                continue;
            }
            // The carriage return comes from an editor and would end up at the end of a command.
            if word.quoted.ends_with('\r') {
                return Err(Error::invalid(place(name, word.line), "the line ends in CR LF, LF expected"));
            }
            let (variable, value) =
                assignment(word).map_err(|reason| Error::invalid(place(name, word.line), reason))?;
            match Variable::named(&variable) {
                Some(known) => {
                    let assigned = Assignment { value, line: word.line };
                    if let Some(first) = entries.insert(known.name, assigned) {
                        return Err(Error::invalid(
                            place(name, word.line),
                            format!("{variable} is set again, first on line {}", first.line),
                        ));
                    }
                }
                None if variable.starts_with("OCI_") => return Err(unknown(name, word.line, &variable)),
                None => {}
            }
        }
        Ok(VarsFile { name: name.to_owned(), entries })
    }

    /// Returns the value of a variable and its origin, `file:line`.
    pub(super) fn get(&self, variable: &Variable) -> Option<(&str, String)> {
        let assigned = self.entries.get(variable.name)?;
        Some((&assigned.value, place(&self.name, assigned.line)))
    }
}

fn place(name: &str, line: usize) -> String {
    format!("{name}:{line}")
}

/// Splits a word at its `=`. The name must not be quoted, as in the shell.
fn assignment(word: Word<'_>) -> Result<(String, String), String> {
    let name = word.quoted.split('=').next().unwrap_or_default();
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let unquoted = word.unquote();
    match unquoted.strip_prefix(name).and_then(|rest| rest.strip_prefix('=')) {
        Some(value) if is_name => Ok((name.to_owned(), value.to_owned())),
        _ => Err(format!(
            "`{}` is no NAME=value: no blanks around `=`, and quotes around a value that has some",
            as_typed(&unquoted)
        )),
    }
}

fn unknown(name: &str, line: usize, variable: &str) -> Error {
    let message = format!("{}: there is no variable {variable}", place(name, line));
    match Variable::nearest(variable) {
        Some(nearest) => {
            Error::refused_with_hint(message, format!("did you mean {}", nearest.name)).of_kind(ErrorKind::Invalid)
        }
        None => Error::refused(message).of_kind(ErrorKind::Invalid),
    }
}

#[cfg(test)]
mod tests {
    use crate::hint::Hint;
    use proptest::prelude::*;

    use super::*;
    use crate::settings::variables;

    fn value(text: &str, variable: &Variable) -> Option<String> {
        let file = VarsFile::parse("build.vars", text.as_bytes()).unwrap();
        file.get(variable).map(|(value, _)| value.to_owned())
    }

    #[test]
    fn values_in_shell_quoting() {
        for (text, expected) in [
            ("OCI_IMAGE_CMD=", ""),
            ("OCI_IMAGE_CMD=''", ""),
            ("OCI_IMAGE_CMD=/bin/sh", "/bin/sh"),
            ("OCI_IMAGE_CMD='a b'\"c d\"e\\ f", "a bc de f"),
            ("OCI_IMAGE_CMD='say \"hi\"'", "say \"hi\""),
            ("OCI_IMAGE_CMD=\"it's\"", "it's"),
            ("OCI_IMAGE_CMD='it'\\''s'", "it's"),
            ("OCI_IMAGE_CMD=$HOME", "$HOME"),
            ("OCI_IMAGE_CMD=\"$(rm -rf /) `id` ${A:-b}\"", "$(rm -rf /) `id` ${A:-b}"),
            ("OCI_IMAGE_CMD='\\n'", "\\n"),
            ("OCI_IMAGE_CMD=\"a\\\\b\\$c\\d\"", "a\\b$c\\d"),
            ("OCI_IMAGE_CMD='a\nb'", "a\nb"),
            ("OCI_IMAGE_CMD=a\\\nb", "ab"),
            ("OCI_IMAGE_CMD=größe", "größe"),
            ("OCI_IMAGE_CMD=a=b=c", "a=b=c"),
            ("OCI_IMAGE_CMD=#fff#", "#fff#"),
            ("OCI_IMAGE_CMD='#'", "#"),
            ("OCI_IMAGE_CMD=a # b's", "a"),
            ("# a\n\n  export OCI_IMAGE_CMD=a\n#", "a"),
            ("OCI_IMAGE_TAG=x OCI_IMAGE_CMD=a", "a"),
            ("PATH=/bin\n_x='1'\nOCI_IMAGE_CMD=a", "a"),
            ("OCI_IMAGE_CMD=~;*&|", "~;*&|"),
        ] {
            assert_eq!(value(text, &variables::CMD).as_deref(), Some(expected), "{text}");
        }
        assert_eq!(value("# OCI_IMAGE_CMD=a", &variables::CMD), None);
    }

    #[test]
    fn values_know_their_place() {
        let file = VarsFile::parse("build.vars", b"\n\nOCI_IMAGE_CMD='a\nb' OCI_IMAGE_TAG=x\nOCI_IMAGE_OS=y").unwrap();
        assert_eq!(file.get(&variables::CMD).unwrap().1, "build.vars:3");
        assert_eq!(file.get(&variables::TAG).unwrap().1, "build.vars:4");
        assert_eq!(file.get(&variables::OS).unwrap().1, "build.vars:5");
    }

    #[test]
    fn errors_name_the_line() {
        let no_assignment = ": no blanks around `=`, and quotes around a value that has some";
        for (text, message, hint) in [
            (&b"\nOCI_IMAGE_CMD='a\n\n"[..], "v:2: the quote is not closed".to_owned(), None),
            (b"OCI_IMAGE_CMD=\"a", "v:1: the quote is not closed".to_owned(), None),
            (b"\n\nOCI_IMAGE_CMD=nginx -g", format!("v:3: `-g` is no NAME=value{no_assignment}"), None),
            (b"OCI_IMAGE_CMD = a", format!("v:1: `OCI_IMAGE_CMD` is no NAME=value{no_assignment}"), None),
            (b"'OCI_IMAGE_CMD'=a", format!("v:1: `OCI_IMAGE_CMD=a` is no NAME=value{no_assignment}"), None),
            (b"\\\n=a", format!("v:2: `=a` is no NAME=value{no_assignment}"), None),
            (b"1=a", format!("v:1: `1=a` is no NAME=value{no_assignment}"), None),
            (b"''", format!("v:1: `` is no NAME=value{no_assignment}"), None),
            (
                b"OCI_IMAGE_TAG=\n#\nOCI_IMAGE_TAG=b",
                "v:3: OCI_IMAGE_TAG is set again, first on line 1".to_owned(),
                None,
            ),
            (
                b"A=b\nOCI_IMAGE_LABLES=x=y",
                "v:2: there is no variable OCI_IMAGE_LABLES".to_owned(),
                Some("did you mean OCI_IMAGE_LABELS"),
            ),
            (
                b"OCI_IMAGE_OS=linux OCI_IMAGE_CMD=/bin/sh\r\n",
                "v:1: the line ends in CR LF, LF expected".to_owned(),
                None,
            ),
            (b"OCI_X=y", "v:1: there is no variable OCI_X".to_owned(), None),
            (b"A=b\nOCI_IMAGE_TAG=\xff", "v:2: text in UTF-8 expected".to_owned(), None),
        ] {
            let error = VarsFile::parse("v", text).unwrap_err();
            assert_eq!((error.to_string(), error.hint()), (message, hint.map(Hint::from)), "{}", text.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn what_is_quoted_comes_back(cmd in "(?s).{0,24}", label in "[ab#=\\\\'\"$`!~ \t\r\né]{0,24}") {
            // The crate does not quote a carriage return.
            let [cmd, label] = [cmd, label].map(|value| value.trim_end_matches('\r').to_owned());
            let text = format!(
                "# it's\nexport OCI_IMAGE_CMD={} OCI_IMAGE_LABELS={}\n",
                shell_words::quote(&cmd),
                shell_words::quote(&label)
            );
            prop_assert_eq!(value(&text, &variables::CMD), Some(cmd));
            prop_assert_eq!(value(&text, &variables::LABELS), Some(label));
        }
    }
}
