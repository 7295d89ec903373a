//! `tag`: more names for what a layout lists.

use std::num::NonZeroUsize;

use serde::Serialize;

use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::layout::{Location, Transaction};
use crate::observer::Observer;
use crate::oci::{Descriptor, RefName};
use crate::work::Work;

/// What was named.
#[derive(Clone, Debug, Serialize)]
pub struct TagReport {
    /// The digest of the manifest or index that the names lead to.
    pub digest: Digest,
    /// The names that were given.
    pub refs: Vec<String>,
    /// Whether one of them did not lead there before.
    pub changed: bool,
}

/// Gives names to what the location means, an image or an index of several: the descriptor that `index.json` has of it
/// is listed under each of them. A name that was taken moves. No blob changes.
pub fn tag(
    location: &Location,
    names: &[RefName],
    threads: NonZeroUsize,
    observer: &dyn Observer,
) -> Result<TagReport> {
    if names.is_empty() {
        return Err(Error::refused("a name is missing: what should the image be called"));
    }
    Transaction::edit(location)?.commit(&Work::new(threads, observer), |draft| {
        let entry = draft.layout()?.entry()?;
        for name in names {
            observer.step(&format!("name {} `{name}`", entry.digest));
            let leads_there = |old: &Descriptor| old.ref_name() == Some(name.as_str()) && old.digest == entry.digest;
            if !draft.index().manifests.iter().any(leads_there) {
                draft.name(&entry, name);
            }
        }
        Ok(TagReport {
            digest: entry.digest,
            refs: names.iter().map(ToString::to_string).collect(),
            changed: draft.is_change(),
        })
    })
}
