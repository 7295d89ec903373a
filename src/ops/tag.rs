//! `tag`: gives more names to what a layout lists.

use serde::Serialize;

use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::json;
use crate::layout::{refuse_location_as_name, Draft, Location, Transaction};
use crate::oci::{Descriptor, RefName};
use crate::work::Work;

/// Which names are given.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct TagOptions {
    /// The names, one at least.
    pub names: Vec<RefName>,
}

/// The names that were given, and to what.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct TagReport {
    /// The digest of the manifest or index that the names lead to.
    pub digest: Digest,
    /// The names that were given.
    #[serde(serialize_with = "json::texts")]
    pub refs: Vec<RefName>,
    /// Whether one of them did not lead there before.
    pub changed: bool,
    /// Warnings about what the names led to before.
    pub warnings: Vec<String>,
}

/// Gives names to what the location means, an image or an index of several: its descriptor in `index.json` is listed
/// under each of them. A name that is taken moves. No blob changes.
pub fn tag(location: &Location, options: &TagOptions, work: &Work<'_>) -> Result<TagReport> {
    let names = &options.names;
    if names.is_empty() {
        return Err(Error::refused("a name is missing: what should the image be called").of_kind(ErrorKind::Invalid));
    }
    names.iter().try_for_each(|name| refuse_location_as_name(name.as_str()))?;
    let target = Transaction::edit(location, work.limits)?;
    let change = |draft: &mut Draft<'_>| {
        let entry = draft.layout()?.entry()?;
        for name in names {
            work.observer.step(&format!("name {} `{name}`", entry.digest));
            let leads_there = |old: &Descriptor| old.ref_name() == Some(name.as_str()) && old.digest == entry.digest;
            if !draft.index().manifests.iter().any(leads_there) {
                draft.name(&entry, name);
            }
        }
        let changed = draft.is_change();
        Ok(TagReport { digest: entry.digest, refs: names.clone(), changed, warnings: Vec::new() })
    };
    let (mut report, warnings) = work.with_warnings(|work| target.commit(work, change))?;
    report.warnings = warnings;
    Ok(report)
}
