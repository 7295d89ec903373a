//! What can be emptied or taken away, by name.

use std::str::FromStr;

use crate::error::{Error, Result};
use crate::settings::changes::{read, Annotated};
use crate::settings::{values, ConfigField};

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
        let config = ConfigField::all().map(|field| (field.name(), Field::Config(field)));
        config.chain(BESIDE)
    }
}

impl FromStr for Field {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = Field::all().find(|(name, _)| *name == text);
        found.map(|(_, field)| field).ok_or_else(|| {
            let names: Vec<&str> = Field::all().map(|(name, _)| name).collect();
            Error::invalid(format!("field `{}`", text.escape_debug()), format!("one of {} expected", names.join(", ")))
        })
    }
}

/// An element that is taken away, if it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removal {
    /// Of the execution parameters: a variable by its name, a label by its key, a port or a volume by itself.
    Element(ConfigField, String),
    /// An annotation, by its key.
    Annotation(Annotated, String),
}

impl Removal {
    /// The fields that hold elements, of which one can be taken away.
    pub fn fields() -> impl Iterator<Item = ConfigField> {
        ConfigField::all().filter(|field| field.element().is_some())
    }

    /// Of a field that holds elements; `flag` names the element in an error.
    pub fn element(field: ConfigField, flag: &str, name: &str) -> Result<Self> {
        let grammar = field.element().ok_or_else(|| Error::refused(format!("{flag}: there are no elements")))?;
        Ok(Removal::Element(field, read(grammar, flag, name)?))
    }

    /// An annotation; `flag` names it in an error.
    pub fn annotation(place: Annotated, flag: &str, key: &str) -> Result<Self> {
        let key = read(&values::KEY, flag, key)?;
        if place == Annotated::Descriptor && super::is_name(&key) {
            return Err(super::a_name_is_no_annotation(flag, &key));
        }
        Ok(Removal::Annotation(place, key))
    }
}
