//! The names of the entries of an index: which entries a location names, and which names tell entries apart.

use std::collections::{BTreeMap, BTreeSet};

use crate::layout::names::docker::{complete_names, full_name, most_specific, whole_name};
use crate::layout::{DigestPrefix, ImageName, Location};
use crate::oci::annotations::{CONTAINERD_NAME, REF_NAME};
use crate::oci::{Descriptor, Index};

/// What a location names.
pub(crate) struct Named<'a, T> {
    /// The descriptors with its name, in order, or all.
    pub(crate) found: Vec<&'a T>,
    /// Selects one of them, or a document below them, by digest.
    pub(crate) digest: Option<&'a DigestPrefix>,
}

/// The descriptors with the location's ref name, or else those that Docker would find by that name; in a docker
/// archive, only the latter count, since names that are one to Docker are one there. `annotation` looks up a key of a
/// descriptor. Some writers use names that end in a digest, perhaps of another document: such a name is matched
/// literally where nothing has the name before the digest.
pub(crate) fn named<'a, T>(
    descriptors: &'a [T],
    location: &'a Location,
    annotation: impl Fn(&'a T, &str) -> Option<&'a str>,
) -> Named<'a, T> {
    let Location { name, digest, .. } = location;
    let digest = digest.as_ref();
    let called = |name: &str| -> Vec<&'a T> {
        descriptors.iter().filter(|descriptor| annotation(descriptor, REF_NAME) == Some(name)).collect()
    };
    let as_name = digest.map(|digest| match name {
        Some(name) => called(&format!("{name}@{digest}")),
        None => called(&digest.to_string()),
    });
    let meant_by_docker = |name: &ImageName| -> Vec<&'a T> {
        let whole = whole_name(name.as_str());
        let is_meant = |descriptor: &&'a T| {
            let names = complete_names(annotation(descriptor, CONTAINERD_NAME), annotation(descriptor, REF_NAME));
            names.into_iter().any(|found| found == whole)
        };
        descriptors.iter().filter(is_meant).collect()
    };
    let found = match name {
        None => Vec::new(),
        Some(name) if location.is_docker_archive() => meant_by_docker(name),
        Some(name) => called(name.as_str()),
    };
    if !found.is_empty() {
        return Named { found, digest };
    }
    if let Some(found) = as_name.filter(|found| !found.is_empty()) {
        return Named { found, digest: None };
    }
    let Some(name) = name else { return Named { found: descriptors.iter().collect(), digest } };
    Named { found: meant_by_docker(name), digest }
}

/// The most specific name.
pub(in crate::layout) fn name_of(descriptor: &Descriptor) -> Option<&str> {
    most_specific(descriptor.annotation(CONTAINERD_NAME), descriptor.ref_name())
}

/// The names that select the entries of an index.
pub(crate) struct TellingNames<'a> {
    /// Ref names of entries that have different full names.
    shared: BTreeSet<&'a str>,
}

impl<'a> TellingNames<'a> {
    pub(crate) fn of(index: &'a Index) -> Self {
        let mut full_names = BTreeMap::new();
        let mut shared = BTreeSet::new();
        for entry in &index.manifests {
            let Some(own) = entry.ref_name() else { continue };
            let full = full_name(entry);
            if *full_names.entry(own).or_insert(full) != full {
                shared.insert(own);
            }
        }
        TellingNames { shared }
    }

    /// The ref name of an entry, or its full name if other entries have the same ref name.
    pub(crate) fn name(&self, entry: &Descriptor) -> Option<String> {
        let (own, full) = (entry.ref_name(), full_name(entry));
        let is_shared = own.is_some_and(|own| self.shared.contains(own));
        if is_shared { full.or(own) } else { own.or(full) }.map(str::to_owned)
    }
}

/// The names in an index, sorted, each once.
pub(in crate::layout) fn names_in(index: &Index) -> Vec<String> {
    let mut names: Vec<String> = index.manifests.iter().filter_map(name_of).map(str::to_owned).collect();
    names.sort();
    names.dedup();
    names
}
