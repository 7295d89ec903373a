//! The changes that `config` makes to an existing image: those settings of `build` that apply to one, and removals.

mod annotation;
mod field;
mod platform;

use annotation::{a_name_is_no_annotation, read};
pub use annotation::{is_name, Annotated};
pub use field::{Field, Removal};
pub use platform::PlatformChanges;

use std::collections::BTreeMap;

use crate::error::Result;
use crate::oci::{Annotations, ContainerConfig};
use crate::settings::fields;
use crate::settings::sources::Settings;
use crate::settings::values;
use crate::settings::variables::{self, Variable, VARIABLES};
use crate::time::Timestamp;

/// The settings of `build` whose flags are accepted as changes. Their variables are not read: an edit states its
/// changes explicitly.
pub fn changeable() -> impl Iterator<Item = &'static Variable> {
    let beside = [variables::ARCH, variables::AUTHOR, variables::CREATED, variables::ANNOTATIONS];
    let is_beside = move |variable: &Variable| beside.iter().any(|beside| beside.name == variable.name);
    VARIABLES.iter().filter(move |variable| variable.fills_config() || is_beside(variable))
}

/// What happens to the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HistoryChange {
    /// It stays as it is.
    Kept,
    /// It gains an entry for an empty layer.
    Step(HistoryStep),
}

impl Default for HistoryChange {
    fn default() -> Self {
        HistoryChange::Step(HistoryStep::default())
    }
}

/// The given parts of a new history entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HistoryStep {
    /// The author.
    pub author: Option<String>,
    /// A comment.
    pub comment: Option<String>,
    /// The time.
    pub created: Option<Timestamp>,
    /// The command.
    pub created_by: Option<String>,
}

/// Changes of one image, or of each of several. Fields are cleared first, then elements are removed, then values are
/// set.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ImageChanges {
    /// Fields to clear.
    pub clear: Vec<Field>,
    /// Elements to remove.
    pub remove: Vec<Removal>,
    /// Changes of the platform.
    pub platform: PlatformChanges,
    /// The author.
    pub author: Option<String>,
    /// Execution parameters to set; lists and maps hold the elements to add or replace.
    pub config: ContainerConfig,
    /// Annotations to set.
    pub annotations: BTreeMap<Annotated, Annotations>,
    /// The creation time, if given explicitly.
    pub created: Option<Timestamp>,
    /// What happens to the history.
    pub history: HistoryChange,
}

impl ImageChanges {
    /// Reads and checks the changes that come from settings. The caller fills in the others.
    pub fn resolve(settings: &Settings) -> Result<Self> {
        let cleared = fields::cleared(settings).into_iter().map(Field::Config);
        let beside = [
            (variables::AUTHOR, Field::Author),
            (variables::CREATED, Field::Created),
            (variables::SUBARCH, Field::Variant),
            (variables::ANNOTATIONS, Field::Annotations(Annotated::Manifest)),
        ];
        let beside = beside.into_iter().filter(|(variable, _)| settings.clears(variable)).map(|(_, field)| field);
        let of_manifest: Annotations =
            settings.list(&variables::ANNOTATIONS, &values::ANNOTATION)?.into_iter().collect();
        let annotations = Some((Annotated::Manifest, of_manifest)).filter(|(_, pairs)| !pairs.is_empty());
        Ok(ImageChanges {
            clear: cleared.chain(beside).collect(),
            remove: Vec::new(),
            platform: PlatformChanges::resolve(settings)?,
            author: super::author(settings)?,
            config: fields::read(settings)?,
            annotations: annotations.into_iter().collect(),
            created: settings.one(&variables::CREATED, &values::TIME)?,
            history: HistoryChange::Step(HistoryStep::default()),
        })
    }

    /// Sets annotations given as `key=value`. `flag` names them in errors.
    pub fn annotate(&mut self, place: Annotated, flag: &str, pairs: &[String]) -> Result<()> {
        let annotations = annotations(flag, pairs)?;
        if let Some(key) = annotations.keys().find(|key| place == Annotated::Descriptor && is_name(key)) {
            return Err(a_name_is_no_annotation(flag, key));
        }
        if !annotations.is_empty() {
            self.annotations.entry(place).or_default().extend(annotations);
        }
        Ok(())
    }
}

/// Parses annotations given as `key=value`. `flag` names them in errors.
pub fn annotations(flag: &str, pairs: &[String]) -> Result<Annotations> {
    pairs.iter().map(|pair| read(&values::ANNOTATION, flag, pair)).collect()
}
