//! Ref names (image-spec, annotations.md).

use std::fmt;
use std::str::FromStr;

use crate::error::{as_typed, Error};

/// The name of an image in a layout, valid by construction (image-spec, annotations.md, `ref.name`).
///
/// Components are letters and digits, joined by one of `-` `.` `_` `:` `@` `+` or by `--`; `/` joins the components:
/// `latest`, `2.1-rc1`, `registry:5000/team/app:v2`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RefName(String);

impl RefName {
    /// Returns the default name.
    pub fn latest() -> Self {
        RefName("latest".to_owned())
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RefName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text.split('/').all(is_component) {
            Ok(RefName(text.to_owned()))
        } else {
            Err(Error::invalid(
                format!("ref name `{}`", as_typed(text)),
                "letters and digits expected, joined by `/`, by one of `-` `.` `_` `:` `@` `+`, or by `--`",
            ))
        }
    }
}

fn is_component(text: &str) -> bool {
    let mut run = 0_usize;
    let mut separator = String::new();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            if !separator.is_empty() && (run == 0 || (separator.len() > 1 && separator != "--")) {
                return false;
            }
            separator.clear();
            run = run.saturating_add(1);
        } else if "-._:@+".contains(c) {
            separator.push(c);
        } else {
            return false;
        }
    }
    run > 0 && separator.is_empty()
}

impl fmt::Display for RefName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grammar() {
        for (text, accepted) in [
            ("latest", true),
            ("2.1-rc1", true),
            ("a--b", true),
            ("registry:5000/team/app:v2", true),
            ("app@sha256:0a", true),
            ("x+y", true),
            ("", false),
            ("a/", false),
            ("/a", false),
            ("-a", false),
            ("a-", false),
            ("a..b", false),
            ("a---b", false),
            ("a-.b", false),
            ("a b", false),
            ("a//b", false),
            ("größe", false),
        ] {
            assert_eq!(text.parse::<RefName>().is_ok(), accepted, "{text}");
        }
    }
}
