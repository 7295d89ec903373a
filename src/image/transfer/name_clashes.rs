//! Names that lead to several images of a transfer: told apart where that is possible, and refused where a target could
//! keep only one.

use std::collections::{BTreeMap, BTreeSet};

use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::image::publish::TargetOptions;
use crate::image::transfer::entry::{EntryKind, IndexEntry};
use crate::layout::{complete_names, full_name, Layout, Location, Transport};
use crate::oci::annotations::{CONTAINERD_NAME, REF_NAME};
use crate::oci::{Annotations, Descriptor};

/// Uses the full names of entries where Docker saved several under one tag. Refuses one name for two images, since a
/// target could keep only one. What reads an archive takes all spellings of a full name for one.
pub(crate) fn tell_apart(entries: &mut [IndexEntry], layout: &Layout, targets: &[Location]) -> Result<()> {
    let mut by_name: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, entry) in entries.iter_mut().enumerate() {
        // It belongs to another image, if to any.
        if full_name(&entry.descriptor).is_none() {
            entry.descriptor.annotations.iter_mut().for_each(|annotations| drop(annotations.remove(CONTAINERD_NAME)));
        }
        if let Some(name) = entry.descriptor.ref_name() {
            by_name.entry(name.to_owned()).or_default().push(at);
        }
    }
    for (name, places) in by_name {
        let digests: BTreeSet<&Digest> = places.iter().map(|at| &entries[*at].descriptor.digest).collect();
        if digests.len() < 2 {
            continue;
        }
        let full = |at: &usize| full_name(&entries[*at].descriptor).map(str::to_owned);
        let names: Vec<String> = places.iter().filter_map(full).collect();
        if names.iter().collect::<BTreeSet<_>>().len() < places.len() {
            let digests: Vec<&str> = digests.into_iter().map(Digest::as_str).collect();
            return Err(Error::refused_with_hint(
                format!(
                    "image `{}`: one image of the name `{name}` expected, found {}",
                    layout.location(),
                    digests.len()
                ),
                format!("name one by its digest: {}", digests.join(", ")),
            )
            .of_kind(ErrorKind::Ambiguous));
        }
        for (at, full) in places.into_iter().zip(names) {
            let annotations = entries[at].descriptor.annotations.get_or_insert_with(Annotations::new);
            annotations.insert(REF_NAME.to_owned(), full);
        }
    }
    refuse_one_name_for_two(entries, layout, targets.iter().any(|target| target.transport != Transport::Oci))
}

/// Refuses two images under names that are one to Docker. In a layout directory, these are names in its annotation; ref
/// names that are spelt differently are different names there.
fn refuse_one_name_for_two(entries: &[IndexEntry], layout: &Layout, for_archive: bool) -> Result<()> {
    let mut known: BTreeMap<String, Vec<&IndexEntry>> = BTreeMap::new();
    let is_saved = |entry: &IndexEntry| entry.descriptor.annotation(CONTAINERD_NAME).is_some();
    for entry in entries {
        let Descriptor { digest, .. } = &entry.descriptor;
        let ref_name = entry.descriptor.ref_name();
        for whole in complete_names(entry.descriptor.annotation(CONTAINERD_NAME), ref_name) {
            let others = known.entry(whole.clone()).or_default();
            let other = others.iter().find(|other| {
                let is_one = for_archive || is_saved(entry) || is_saved(other);
                other.descriptor.digest != *digest && (is_one || other.descriptor.ref_name() == ref_name)
            });
            if let Some(other) = other {
                let shown = |entry: &IndexEntry| {
                    let name = entry.descriptor.ref_name().unwrap_or(whole.as_str());
                    format!("{} (`{}`)", entry.descriptor.digest, name.escape_debug())
                };
                return Err(Error::refused_with_hint(
                    format!("image `{}`: one image of the name `{whole}` expected, found 2", layout.location()),
                    format!("name one by its digest: {}, {}", shown(other), shown(entry)),
                )
                .of_kind(ErrorKind::Ambiguous));
            }
            others.push(entry);
        }
    }
    Ok(())
}

/// Refuses a repository that would give the tag of one image the full name of another.
fn refuse_shared_repository(
    entries: &[IndexEntry],
    layout: &Layout,
    targets: &[Location],
    options: &TargetOptions,
) -> Result<()> {
    let Some(repository) = &options.repository else { return Ok(()) };
    for target in targets {
        let mut entries = entries.to_vec();
        for entry in &mut entries {
            let tag = entry.tag_of_repository(target, options).and_then(|tag| tag.as_str().parse().ok());
            if let Some(tag) = tag {
                let annotations = entry.descriptor.annotations.get_or_insert_with(Annotations::new);
                annotations.insert(CONTAINERD_NAME.to_owned(), repository.with_tag(tag).whole());
            }
        }
        refuse_one_name_for_two(&entries, layout, target.transport != Transport::Oci)?;
    }
    Ok(())
}

/// Refuses a name for several images, before anything is written.
pub(crate) fn check_names(
    entries: &[IndexEntry],
    layout: &Layout,
    targets: &[Location],
    options: &TargetOptions,
) -> Result<()> {
    refuse_shared_repository(entries, layout, targets, options)?;
    let images = || entries.iter().filter(|entry| entry.kind == EntryKind::Image);
    let digests: BTreeSet<&Digest> = images().map(|entry| &entry.descriptor.digest).collect();
    match targets.iter().find(|target| options.gives_names(target)) {
        Some(_) if digests.len() > 1 => {
            let names: Vec<&str> = images().filter_map(|entry| entry.descriptor.ref_name()).collect();
            let hint = format!("name one: {}", names.join(", "));
            let message =
                format!("image `{}`: one image is wanted for the name, found {}", layout.location(), digests.len());
            Err(if names.is_empty() { Error::refused(message) } else { Error::refused_with_hint(message, hint) }
                .of_kind(ErrorKind::Ambiguous))
        }
        _ => Ok(()),
    }
}
