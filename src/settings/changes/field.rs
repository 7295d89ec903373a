//! What can be cleared or removed, by name.

use std::str::FromStr;

use crate::error::{as_typed, Error, ErrorKind, Result};
use crate::settings::changes::{read, Annotated};
use crate::settings::{values, ConfigField};

/// A part of an image that can be cleared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// A field of the execution parameters.
    Config(ConfigField),
    /// The author.
    Author,
    /// The creation time.
    Created,
    /// The variant of the CPU.
    Variant,
    /// The version of the operating system.
    OsVersion,
    /// Required features of the operating system.
    OsFeatures,
    /// The history.
    History,
    /// All annotations in one place, except names.
    Annotations(Annotated),
}

/// Fields outside the execution parameters, named after their flags.
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
    /// All fields, by name.
    pub fn all() -> impl Iterator<Item = (&'static str, Field)> {
        let config = ConfigField::all().map(|field| (field.name(), Field::Config(field)));
        config.chain(BESIDE)
    }
}

impl FromStr for Field {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = Field::all().find(|(name, _)| *name == text);
        found.map(|(_, field)| field).ok_or_else(|| {
            let names: Vec<String> = Field::all().map(|(name, _)| format!("`{name}`")).collect();
            Error::invalid(format!("field `{}`", as_typed(text)), format!("one of {} expected", names.join(", ")))
        })
    }
}

/// An element to be removed if present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removal {
    /// An element of the execution parameters: a variable by name, a label by key, a port or a volume by its text.
    Element(ConfigField, String),
    /// An annotation, by its key.
    Annotation(Annotated, String),
}

impl Removal {
    /// The fields whose elements can be removed.
    pub fn fields() -> impl Iterator<Item = ConfigField> {
        ConfigField::all().filter(|field| field.element().is_some())
    }

    /// Parses an element to remove from a field. `flag` names it in errors.
    pub fn element(field: ConfigField, flag: &str, name: &str) -> Result<Self> {
        let grammar = field
            .element()
            .ok_or_else(|| Error::refused(format!("{flag}: there are no elements")).of_kind(ErrorKind::Invalid))?;
        Ok(Removal::Element(field, read(grammar, flag, name)?))
    }

    /// Parses an annotation to remove. `flag` names it in errors.
    pub fn annotation(place: Annotated, flag: &str, key: &str) -> Result<Self> {
        let key = read(&values::KEY, flag, key)?;
        if place == Annotated::Descriptor && super::is_name(&key) {
            return Err(super::a_name_is_no_annotation(flag, &key));
        }
        Ok(Removal::Annotation(place, key))
    }
}
