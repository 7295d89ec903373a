//! `rm`: names and entries leave the index of a layout. Blobs stay until they are collected.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::layout::{called, is_referrers_tag, names, Draft, Layout, Location, Referrer, Rooted, Transaction};
use crate::oci::{Descriptor, Index};
use crate::work::{Observer, Work};

/// Which entries leave the index.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RmOptions {
    /// What leaves it.
    pub what: Removed,
}

/// What leaves the index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Removed {
    /// What the location names.
    #[default]
    Named,
    /// All that has no name and is attached to nothing that has one.
    Untagged,
}

/// What has left the index.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct RmReport {
    /// Where the layout is.
    pub image: String,
    /// The entries, in the order of the index.
    pub removed: Vec<RemovedEntry>,
}

/// An entry that has left the index.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct RemovedEntry {
    /// Its name.
    #[serde(rename = "ref")]
    pub name: Option<String>,
    /// The digest of what it led to.
    pub digest: Digest,
    /// What kind of artifact it is.
    pub artifact_type: Option<String>,
}

/// Removes entries of `index.json`. What is attached to an image goes with the last entry that leads to it.
pub fn rm(location: &Location, options: &RmOptions, work: &Work<'_>) -> Result<RmReport> {
    let what = options.what;
    Transaction::edit(location)?.commit(work, |draft| {
        let removed = take_out(draft, what, work.observer)?;
        Ok(RmReport { image: location.to_string(), removed })
    })
}

fn take_out(draft: &mut Draft<'_>, what: Removed, observer: &dyn Observer) -> Result<Vec<RemovedEntry>> {
    let layout = draft.layout()?;
    let before = draft.index().manifests.clone();
    let referrers = layout.referrers()?;
    let is_meant = meant(layout, draft.index(), what, &referrers)?;
    let kept: Vec<Descriptor> =
        before.iter().zip(&is_meant).filter(|(_, is_meant)| !**is_meant).map(|(entry, _)| entry.clone()).collect();
    let is_lost = lost(layout, &before, &kept, &referrers, what);

    let mut removed = Vec::new();
    let mut stays = Vec::new();
    for (entry, is_meant) in before.into_iter().zip(is_meant) {
        if is_meant || is_lost(&entry) {
            observer.step(&format!("remove {} {}", entry.ref_name().unwrap_or("(no name)"), entry.digest));
            let name = entry.ref_name().map(str::to_owned);
            removed.push(RemovedEntry { name, digest: entry.digest, artifact_type: entry.artifact_type });
        } else {
            stays.push(entry);
        }
    }
    draft.index_mut().manifests = stays;
    Ok(removed)
}

/// Of each entry of the index, whether it is to go by what was asked for.
fn meant(layout: &Layout, index: &Index, what: Removed, referrers: &[Referrer]) -> Result<Vec<bool>> {
    let location = layout.location();
    let entries = &index.manifests;
    match (what, &location.name) {
        (Removed::Named, Some(name)) => {
            let meant = called(entries, name, Descriptor::annotation);
            if meant.is_empty() {
                return Err(layout.unknown_ref_name(name, &names(index)));
            }
            Ok(entries.iter().map(|entry| meant.iter().any(|meant| std::ptr::eq(*meant, entry))).collect())
        }
        (Removed::Untagged, None) => {
            let attached: BTreeSet<&Digest> = referrers.iter().map(|referrer| &referrer.descriptor.digest).collect();
            let is_alone = |entry: &Descriptor| entry.ref_name().is_none() && !attached.contains(&entry.digest);
            Ok(entries.iter().map(is_alone).collect())
        }
        (Removed::Named, None) => {
            let message = format!("image `{location}`: the name of what should go is missing");
            Err(Error::refused_with_hint(message, "write it behind a colon, or give --untagged"))
        }
        (Removed::Untagged, Some(name)) => {
            let message = format!("image `{location}`: a whole layout is wanted for --untagged, found a name");
            Err(Error::refused_with_hint(message, format!("leave `:{name}` out")))
        }
    }
}

/// Tells of what is attached whether it has lost that to which it was attached; where only untagged things go, also
/// whether it had lost it before. Where a document cannot be read, nobody knows, and it stays.
fn lost<'a>(
    layout: &Layout,
    before: &[Descriptor],
    kept: &[Descriptor],
    referrers: &'a [Referrer],
    what: Removed,
) -> impl Fn(&Descriptor) -> bool + 'a {
    let rooted = |entries| Rooted::of(layout, entries, referrers).ok();
    let both = rooted(before).zip(rooted(kept));
    let attached: BTreeSet<&Digest> = referrers.iter().map(|referrer| &referrer.descriptor.digest).collect();
    move |entry| {
        let is_attached = entry.ref_name().is_none() && attached.contains(&entry.digest);
        let is_lost = |(before, after): &(Rooted, Rooted)| {
            !after.holds(entry) && (what == Removed::Untagged || before.holds(entry))
        };
        (is_attached || is_referrers_tag(entry)) && both.as_ref().is_some_and(is_lost)
    }
}
