//! What can be emptied or taken away, by name.

use std::str::FromStr;

use crate::error::{Error, Result};
use crate::oci::annotations;
use crate::settings::changes::{read, Annotated};
use crate::settings::inherit::FIELDS;
use crate::settings::values::{self, Grammar};
use crate::settings::ConfigField;

/// Something that an image can be without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// A member of the execution parameters.
    Config(ConfigField),
    /// Who made it.
    Author,
    /// When it was made.
    Created,
    /// The CPU's variant.
    Variant,
    /// The version of the operating system.
    OsVersion,
    /// What the operating system must have.
    OsFeatures,
    /// How it was made.
    History,
    /// All annotations of a place, but for names.
    Annotations(Annotated),
}

/// Those beside the execution parameters, whose names are those of their flags.
const BESIDE: [(&str, Field); 10] = [
    ("author", Field::Author),
    ("created", Field::Created),
    ("variant", Field::Variant),
    ("os-version", Field::OsVersion),
    ("os-feature", Field::OsFeatures),
    ("history", Field::History),
    ("annotation", Field::Annotations(Annotated::Manifest)),
    ("config-annotation", Field::Annotations(Annotated::Config)),
    ("index-annotation", Field::Annotations(Annotated::Index)),
    ("descriptor-annotation", Field::Annotations(Annotated::Descriptor)),
];

impl Field {
    /// All that there are, by name.
    pub fn all() -> impl Iterator<Item = (&'static str, Field)> {
        let name = |flag: Option<&'static str>| flag.expect("a flag").trim_start_matches("--");
        let config = FIELDS.iter().map(move |(field, variable)| (name(variable.flag), Field::Config(*field)));
        config.chain(BESIDE)
    }
}

impl FromStr for Field {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = Field::all().find(|(name, _)| *name == text);
        found.map(|(_, field)| field).ok_or_else(|| {
            let names: Vec<&str> = Field::all().map(|(name, _)| name).collect();
            Error::malformed(
                format!("field `{}`", text.escape_debug()),
                format!("one of {} expected", names.join(", ")),
            )
        })
    }
}

/// An element that is taken away, if it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removal {
    /// An environment variable, by its name.
    Env(String),
    /// A label, by its key.
    Label(String),
    /// A port, `PORT/PROTOCOL`.
    Port(String),
    /// A volume, by its path.
    Volume(String),
    /// An annotation, by its key.
    Annotation(Annotated, String),
}

const NAME: Grammar<String> = Grammar {
    accepted: "the name of a variable, without `=`",
    read: |text| (!text.is_empty() && !text.contains('=')).then(|| text.to_owned()),
};

const KEY: Grammar<String> = Grammar {
    accepted: "a key; `.x` is short for `org.opencontainers.image.x`",
    read: |text| match text.strip_prefix('.') {
        _ if text.is_empty() || text == "." => None,
        Some(_) => Some(format!("{}{text}", annotations::PREFIX)),
        None => Some(text.to_owned()),
    },
};

/// Volumes are taken away by whatever name they have.
const ANY_VOLUME: Grammar<String> = Grammar { accepted: "the path of a volume", read: values::NOT_EMPTY.read };

impl Removal {
    /// Of `--remove-env`.
    pub fn env(name: &str) -> Result<Self> {
        read(&NAME, "--remove-env", name).map(Removal::Env)
    }

    /// Of `--remove-label`.
    pub fn label(key: &str) -> Result<Self> {
        read(&KEY, "--remove-label", key).map(Removal::Label)
    }

    /// Of `--remove-port`.
    pub fn port(port: &str) -> Result<Self> {
        read(&values::PORT, "--remove-port", port).map(Removal::Port)
    }

    /// Of `--remove-volume`.
    pub fn volume(path: &str) -> Result<Self> {
        read(&ANY_VOLUME, "--remove-volume", path).map(Removal::Volume)
    }

    /// Of `--remove-annotation` and the like, which `flag` tells apart.
    pub fn annotation(place: Annotated, flag: &str, key: &str) -> Result<Self> {
        let key = read(&KEY, flag, key)?;
        if place == Annotated::Descriptor && super::is_name(&key) {
            return Err(super::a_name_is_no_annotation(flag, &key));
        }
        Ok(Removal::Annotation(place, key))
    }
}
