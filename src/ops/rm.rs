//! `rm`: removes names and entries from the index of a layout. Blobs stay until they are collected.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::digest::Digest;
use crate::error::{despite_damage, Error, ErrorKind, Result};
use crate::hint::{Hint, OptionName};
use crate::layout::{
    full_name, has_own_name, is_referrers_tag, DescriptorPath, Draft, Layout, Location, Referrer, Rooted, Transaction,
};
use crate::oci::{Descriptor, Document, Index};
use crate::work::{Observer, Work};

/// Which entries are removed from the index.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RmOptions {
    /// What is removed.
    pub what: Removed,
    /// Whether it is removed.
    pub mode: RmMode,
}

/// Whether entries are removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RmMode {
    /// They are removed.
    #[default]
    Remove,
    /// They are only listed.
    DryRun,
}

/// What is removed from the index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Removed {
    /// What the location means, by name or digest.
    #[default]
    Named,
    /// Everything that has no name and is not attached to something that has one.
    Untagged,
}

/// What was removed from the index.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct RmReport {
    /// Where the layout is.
    pub image: String,
    /// Whether this was a dry run, which removes nothing.
    pub dry_run: bool,
    /// The entries that were removed, or would be, in the order of the index.
    pub removed: Vec<RemovedEntry>,
    /// Warnings about other entries.
    pub warnings: Vec<String>,
}

/// An entry that was removed from the index.
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

/// Removes entries of `index.json`. What is attached to an image is removed with the last entry that leads to the
/// image.
pub fn rm(location: &Location, options: &RmOptions, work: &Work<'_>) -> Result<RmReport> {
    let RmOptions { what, mode } = *options;
    let target = Transaction::edit(location, work.limits)?;
    let change = |draft: &mut Draft<'_>| {
        let removed = take_out(draft, what, work.observer)?;
        let dry_run = mode == RmMode::DryRun;
        Ok(RmReport { image: location.to_string(), dry_run, removed, warnings: Vec::new() })
    };
    match mode {
        RmMode::Remove => {
            let (mut report, warnings) = work.with_warnings(|work| target.commit(work, change))?;
            report.warnings = warnings;
            Ok(report)
        }
        RmMode::DryRun => target.rehearse(work, change),
    }
}

fn take_out(draft: &mut Draft<'_>, what: Removed, observer: &dyn Observer) -> Result<Vec<RemovedEntry>> {
    let layout = draft.layout()?;
    let before = draft.index().manifests.clone();
    let referrers = layout.referrers()?;
    let is_meant = meant(layout, &before, what, &referrers)?;
    let kept: Vec<Descriptor> =
        before.iter().zip(&is_meant).filter(|(_, is_meant)| !**is_meant).map(|(entry, _)| entry.clone()).collect();
    let artifacts = artifacts(layout, &kept, &referrers)?;
    let is_lost = lost(layout, &before, &kept, &referrers, &artifacts, what)?;

    let mut removed = Vec::new();
    let mut stays = Vec::new();
    for (mut entry, is_meant) in before.into_iter().zip(is_meant) {
        if is_meant || is_lost(&entry) || unlist(draft, &mut entry, &artifacts)? == Left::Nothing {
            observer.step(&format!("remove {} {}", entry.ref_name().unwrap_or("(no name)"), entry.digest));
            removed.push(RemovedEntry::of(&entry));
        } else {
            stays.push(entry);
        }
    }
    let is_told = |artifact: &&Descriptor| !removed.iter().any(|removed| removed.digest == artifact.digest);
    let unlisted: Vec<RemovedEntry> = artifacts.values().filter(is_told).map(RemovedEntry::of).collect();
    draft.index_mut().manifests = stays;
    Ok(removed.into_iter().chain(unlisted).collect())
}

impl RemovedEntry {
    fn of(entry: &Descriptor) -> Self {
        RemovedEntry {
            name: entry.ref_name().map(str::to_owned),
            digest: entry.digest.clone(),
            artifact_type: entry.artifact_type.clone(),
        }
    }
}

/// Refuses a tag under which Docker saved images of several repositories: the user hardly means all of them.
fn refuse_two_repositories(location: &Location, meant: &[DescriptorPath]) -> Result<()> {
    let names: BTreeSet<&str> = meant.iter().filter_map(|path| full_name(path.entry())).collect();
    if names.len() < 2 {
        return Ok(());
    }
    let names: Vec<String> = names.into_iter().map(|name| format!("`{}`", name.escape_debug())).collect();
    Err(Error::refused_with_hint(
        format!("image `{location}`: one image is wanted, found {}", names.len()),
        format!("name one: {}", names.join(", ")),
    )
    .of_kind(ErrorKind::Ambiguous))
}

/// How an image goes that has no entry, and stays for what is attached to it.
fn without_entry(path: &DescriptorPath, referrers: &[Referrer]) -> Hint {
    let attached = referrers.iter().filter(|referrer| path.leads_through(&referrer.subject));
    let attached: Vec<&str> = attached.map(|referrer| referrer.descriptor.digest.as_str()).collect();
    Hint::from("remove what is attached to it with ")
        .verb("rm")
        .text(format!(" ({}), then ", attached.join(", ")))
        .verb("gc")
        .text(" removes it")
}

/// Returns for each entry of the index whether the location or the option means it.
fn meant(layout: &Layout, entries: &[Descriptor], what: Removed, referrers: &[Referrer]) -> Result<Vec<bool>> {
    let location = layout.location();
    match (what, location.part()) {
        (Removed::Named, Some(_)) => {
            let meant = layout.meant()?;
            let listed = meant.iter().find(|path| path.index().is_some() && !is_referrers_tag(path.entry()));
            if let Some(index) = listed.and_then(DescriptorPath::index) {
                let message =
                    format!("image `{location}`: the index {} lists it, and `index.json` does not", index.digest);
                return Err(Error::refused_with_hint(
                    message,
                    Hint::default()
                        .verb("index")
                        .text(" takes an image out of an index, with ")
                        .option(OptionName::Remove),
                )
                .of_kind(ErrorKind::NotFound));
            }
            refuse_two_repositories(location, &meant)?;
            for path in &meant {
                layout.refuse_unlisted(path, || without_entry(path, referrers))?;
            }
            let entry = |entry| meant.iter().any(|path| path.index().is_none() && path.entry() == entry);
            Ok(entries.iter().map(entry).collect())
        }
        (Removed::Untagged, None) => {
            let attached: BTreeSet<&Digest> = referrers.iter().map(|referrer| &referrer.descriptor.digest).collect();
            let is_alone = |entry: &Descriptor| entry.ref_name().is_none() && !attached.contains(&entry.digest);
            Ok(entries.iter().map(is_alone).collect())
        }
        (Removed::Named, None) => {
            let message = format!("image `{location}`: the name of what should go is missing");
            Err(Error::refused_with_hint(
                message,
                Hint::from("write it or a digest after the path, or use ").option(OptionName::Untagged),
            )
            .of_kind(ErrorKind::Invalid))
        }
        (Removed::Untagged, Some(part)) => {
            let message = format!(
                "image `{location}`: a whole layout is wanted where all without a name goes, found one of its images"
            );
            Err(Error::refused_with_hint(message, format!("leave `{part}` out")).of_kind(ErrorKind::Invalid))
        }
    }
}

/// Returns attached artifacts that were asked for by digest and have no entry that is `kept`. They are also removed
/// from the lists of what is attached.
fn artifacts(layout: &Layout, kept: &[Descriptor], referrers: &[Referrer]) -> Result<BTreeMap<Digest, Descriptor>> {
    if layout.location().digest.is_none() {
        return Ok(BTreeMap::new());
    }
    let kept: BTreeSet<&Digest> = kept.iter().map(|entry| &entry.digest).collect();
    let attached: BTreeSet<&Digest> = referrers.iter().map(|referrer| &referrer.descriptor.digest).collect();
    let meant = layout.meant()?.into_iter().map(|path| path.descriptor().clone());
    let gone = meant.filter(|meant| attached.contains(&meant.digest) && !kept.contains(&meant.digest));
    Ok(gone.map(|descriptor| (descriptor.digest.clone(), descriptor)).collect())
}

/// What is left of a list.
#[derive(PartialEq, Eq)]
enum Left {
    Something,
    Nothing,
}

/// Removes artifacts from an entry that is a list of what is attached.
fn unlist(draft: &mut Draft<'_>, entry: &mut Descriptor, artifacts: &BTreeMap<Digest, Descriptor>) -> Result<Left> {
    if artifacts.is_empty() || !is_referrers_tag(entry) {
        return Ok(Left::Something);
    }
    let mut list: Index = draft.document(entry)?.into_value();
    let count = list.manifests.len();
    list.manifests.retain(|listed| !artifacts.contains_key(&listed.digest));
    if list.manifests.is_empty() {
        return Ok(Left::Nothing);
    }
    if list.manifests.len() < count {
        let new = draft.put(&Document::seal(list), entry.media_type.clone())?;
        entry.redirect(&new);
    }
    Ok(Left::Something)
}

/// Tells whether an attached artifact has lost its subject. If only untagged entries are removed, it may have lost the
/// subject before. If a document cannot be read, that is unknown and the artifact stays.
fn lost<'a>(
    layout: &Layout,
    before: &[Descriptor],
    kept: &[Descriptor],
    referrers: &'a [Referrer],
    artifacts: &BTreeMap<Digest, Descriptor>,
    what: Removed,
) -> Result<impl Fn(&Descriptor) -> bool + 'a> {
    let stays = |referrer: &&Referrer| !artifacts.contains_key(&referrer.descriptor.digest);
    let left: Vec<Referrer> = referrers.iter().filter(stays).cloned().collect();
    let rooted = |entries, referrers| despite_damage(Rooted::of(layout, entries, referrers));
    let both = rooted(before, referrers)?.zip(rooted(kept, &left)?);
    let attached: BTreeSet<&Digest> = referrers.iter().map(|referrer| &referrer.descriptor.digest).collect();
    Ok(move |entry: &Descriptor| {
        let is_attached = !has_own_name(entry) && attached.contains(&entry.digest);
        let is_lost = |(before, after): &(Rooted, Rooted)| {
            !after.holds(entry) && (what == Removed::Untagged || before.holds(entry))
        };
        (is_attached || is_referrers_tag(entry)) && both.as_ref().is_some_and(is_lost)
    })
}
