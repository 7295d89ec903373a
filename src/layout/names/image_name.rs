//! The name of an image as it is typed after a path, before the transport decides which grammar holds.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};
use crate::layout::DockerName;
use crate::oci::RefName;

/// The name of an image: a ref name in a layout, `NAME[:TAG]` in a docker archive. At least one of the two grammars
/// accepts the text; most names are valid in both.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImageName(String);

impl ImageName {
    /// The text as given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as a ref name; an error if it is valid only in docker archives.
    pub fn ref_name(&self) -> Result<RefName> {
        self.0.parse()
    }

    /// The name as a Docker name; an error if it is valid only in layouts.
    pub(crate) fn docker_name(&self) -> Result<DockerName> {
        self.0.parse()
    }

    /// Whether the name is a single word such as `v2`, which Docker takes for a tag of a name given elsewhere.
    pub fn is_word(&self) -> bool {
        !self.0.contains([':', '/'])
    }
}

impl FromStr for ImageName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.parse::<RefName>() {
            Err(error) if text.parse::<DockerName>().is_err() => Err(error),
            _ => Ok(ImageName(text.to_owned())),
        }
    }
}

impl From<RefName> for ImageName {
    fn from(name: RefName) -> Self {
        ImageName(name.as_str().to_owned())
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_grammar_is_enough() {
        for (text, is_ref_name, is_docker_name) in [
            ("latest", true, true),
            ("registry:5000/team/app:v2", true, true),
            ("App:v1", true, false),
            ("my__app:v1", false, true),
            ("app:v1__x", false, true),
        ] {
            let name: ImageName = text.parse().unwrap();
            assert_eq!((name.ref_name().is_ok(), name.docker_name().is_ok()), (is_ref_name, is_docker_name), "{text}");
        }
        for text in ["", ":v1", "a b", "My__App", "app:"] {
            assert!(text.parse::<ImageName>().is_err(), "{text}");
        }
    }
}
