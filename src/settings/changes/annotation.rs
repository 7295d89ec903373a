//! Where annotations are stored, and which of them are names.

use crate::error::{Error, ErrorKind, Result};
use crate::hint::Hint;
use crate::oci::annotations::{CONTAINERD_NAME, REF_NAME};
use crate::settings::values::Grammar;

/// Where annotations of an image are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Annotated {
    /// In its manifest.
    Manifest,
    /// On the descriptor of its configuration, in the manifest.
    Config,
    /// In the multi-platform index that lists the image.
    Index,
    /// On the image's descriptor, in that index or in `index.json`.
    Descriptor,
}

/// The error for an annotation of a descriptor that is a name of the image.
pub(super) fn a_name_is_no_annotation(flag: &str, key: &str) -> Error {
    Error::refused_with_hint(
        format!("{flag}: `{key}` is the name of an image"),
        Hint::from("names are given by ").verb("tag").text(" and taken by ").verb("rm"),
    )
    .of_kind(ErrorKind::Invalid)
}

/// Whether an annotation of a descriptor is a name of the image.
pub fn is_name(key: &str) -> bool {
    key == REF_NAME || key == CONTAINERD_NAME
}

/// Parses a value that a flag gives.
pub(super) fn read<T>(grammar: &Grammar<T>, flag: &str, value: &str) -> Result<T> {
    (grammar.read)(value).filter(|_| !value.contains('\0')).ok_or_else(|| Error::Setting {
        name: flag.to_owned(),
        value: value.to_owned(),
        accepted: grammar.accepted.to_owned(),
    })
}
