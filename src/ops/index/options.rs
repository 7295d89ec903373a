//! What `index` is told.

use std::str::FromStr;

use crate::error::{as_typed, Error, ErrorKind, Result};
use crate::hint::{Hint, OptionName};
use crate::image::publish::TargetOptions;
use crate::layout::DigestPrefix;
use crate::oci::annotations::{CONTAINERD_NAME, REF_NAME};
use crate::ops::index::{IndexShape, SamePlatform};
use crate::platform::PlatformPattern;
use crate::settings::ANNOTATION;

/// What the index is to be.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct IndexOptions {
    /// Its form in the target.
    pub shape: IndexShape,
    /// What happens to the index that already has its name.
    pub existing: ExistingIndex,
    /// What is taken away from it first.
    pub remove: Vec<IndexMember>,
    /// Annotations of the index.
    pub annotations: Vec<Annotation>,
    /// Annotations of what it says of an image.
    pub descriptor_annotations: Vec<MemberAnnotation>,
    /// What it is called.
    pub target: TargetOptions,
}

impl IndexOptions {
    /// Whether images that the index already has stay.
    pub(super) fn keeps_what_is_there(&self) -> bool {
        self.existing != ExistingIndex::Superseded || !self.remove.is_empty()
    }
}

/// What happens to an index that already has this name in the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ExistingIndex {
    /// The name moves to the new one.
    #[default]
    Superseded,
    /// What it lists stays, before the new images.
    Extended(SamePlatform),
}

/// `key=value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotation {
    /// The key, in full.
    pub key: String,
    /// The value; it may be empty.
    pub value: String,
}

/// Which of those that an index lists is meant: the image for a platform, or what has a digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IndexMember {
    /// `os/architecture[/variant]`.
    Platform(PlatformPattern),
    /// `sha256:…`, whole or as much of it as tells it from others.
    Digest(DigestPrefix),
}

/// `os/architecture[/variant]:key=value`, or `sha256:…:key=value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberAnnotation {
    /// Of what.
    pub member: IndexMember,
    /// What is said of it.
    pub annotation: Annotation,
}

impl FromStr for Annotation {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (key, value) = (ANNOTATION.read)(text)
            .ok_or_else(|| Error::invalid(format!("annotation `{}`", as_typed(text)), ANNOTATION.accepted))?;
        Ok(Annotation { key, value })
    }
}

impl FromStr for IndexMember {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if DigestPrefix::is_meant_by(text.as_bytes()) {
            return Ok(IndexMember::Digest(text.parse()?));
        }
        Ok(IndexMember::Platform(text.parse()?))
    }
}

impl FromStr for MemberAnnotation {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        // The first colon of a digest belongs to it.
        let from = if DigestPrefix::is_meant_by(text.as_bytes()) { text.find(':').map_or(0, |at| at + 1) } else { 0 };
        match text[from..].split_once(':').map(|(member, annotation)| (&text[..from + member.len()], annotation)) {
            Some((member, annotation)) if !member.contains('=') => {
                let annotation: Annotation = annotation.parse()?;
                if [REF_NAME, CONTAINERD_NAME].contains(&annotation.key.as_str()) {
                    // The image-spec allows ref names only in `index.json`, not within an index (annotations.md).
                    let message = format!("annotation `{}`: what an index lists has no name", annotation.key);
                    return Err(Error::refused_with_hint(
                        message,
                        Hint::from("name the index with ").option(OptionName::Tags).text(" or in its target"),
                    )
                    .of_kind(ErrorKind::Invalid));
                }
                Ok(MemberAnnotation { member: member.parse()?, annotation })
            }
            _ => Err(Error::invalid(
                format!("annotation `{}`", as_typed(text)),
                "`os/architecture[/variant]:key=value` or `sha256:…:key=value` expected",
            )),
        }
    }
}
