//! `ls`: what a layout lists.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;

use crate::digest::Digest;
use crate::error::{despite_damage, Error, Result};
use crate::json;
use crate::layout::{
    about_by_tag, has_own_name, is_referrers_tag, DocumentLinks, Documents, Found, Layout, Location, Opened, Subjects,
    TellingNames, Walk, MAX_DEPTH,
};
use crate::media_type::{MediaKind, MediaType};
use crate::oci::{Descriptor, Document, ImageConfig};
use crate::platform::Platform;
use crate::work::Work;

/// How a layout is listed.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct LsOptions {}

/// What a layout lists.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
#[non_exhaustive]
pub struct LsReport {
    /// What is listed, in the order of the index.
    pub entries: Vec<Listed>,
}

/// Something that an index lists, or that is attached.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Listed {
    /// Its name, if it has one.
    #[serde(rename = "ref")]
    pub name: Option<String>,
    /// Its digest.
    pub digest: Digest,
    /// Its media type.
    pub media_type: MediaType,
    /// The type of an artifact.
    pub artifact_type: Option<String>,
    /// The platform of an image.
    #[serde(serialize_with = "json::optional_text")]
    pub platform: Option<Platform>,
    /// Bytes of all blobs that it leads to, each counted once; `None` if a document among them is missing.
    pub size: Option<u64>,
    /// What an index lists.
    pub manifests: Vec<Listed>,
    /// What is attached to it.
    pub attached: Vec<Listed>,
}

/// Lists what the location means, or without a name everything in the layout. What is attached is listed with its
/// subject, and its referrers tag not at all, unless the subject is not in the layout.
pub fn ls(location: &Location, _: &LsOptions, work: &Work<'_>) -> Result<LsReport> {
    work.observer.check()?;
    let layout = Layout::open(location, work.limits)?;
    if let Some(member) = layout.cut() {
        work.warn([format!("`{location}`: the archive ends in the middle of `{}`", member.escape_debug())]);
    }
    Ok(LsReport { entries: entries(&layout)? })
}

fn entries(layout: &Layout) -> Result<Vec<Listed>> {
    layout.by_one_index(|| {
        let listing = Listing::of(layout)?;
        let meant = layout.meant()?;
        let mut all: Vec<Listed> = meant.iter().map(|path| listing.entry(path.descriptor())).collect();
        let index = layout.index()?;
        let names = TellingNames::of(index.value());
        for (listed, path) in all.iter_mut().zip(&meant).filter(|(_, path)| path.index().is_none()) {
            // Docker saves several images under one tag, with their full names in an annotation.
            listed.name = names.name(path.entry());
        }
        if layout.location().part().is_none() {
            let shown = listing.attached_below(&all);
            let mut entries = meant.iter();
            all.retain(|_| !entries.next().is_some_and(|path| listing.is_shown_elsewhere(path.entry(), &shown)));
        }
        listing.failed.into_inner().map_or(Ok(all), Err)
    })
}

struct Listing<'a> {
    layout: &'a Layout,
    /// Everything that is attached to something.
    attached: BTreeSet<Digest>,
    by_subject: BTreeMap<Digest, Vec<Descriptor>>,
    /// The sizes of what was listed, by digest.
    sizes: RefCell<BTreeMap<Digest, Option<u64>>>,
    /// What could not be read, if anything could not.
    failed: RefCell<Option<Error>>,
}

impl<'a> Listing<'a> {
    fn of(layout: &'a Layout) -> Result<Self> {
        let mut listing = Listing {
            layout,
            attached: BTreeSet::new(),
            by_subject: BTreeMap::new(),
            sizes: RefCell::new(BTreeMap::new()),
            failed: RefCell::new(None),
        };
        for referrer in layout.referrers()? {
            listing.attached.insert(referrer.descriptor.digest.clone());
            listing.by_subject.entry(referrer.subject).or_default().push(referrer.descriptor);
        }
        Ok(listing)
    }

    /// Lists an entry of the index with everything below it.
    fn entry(&self, entry: &Descriptor) -> Listed {
        self.listed(entry, MAX_DEPTH, &mut BTreeSet::new())
    }

    /// What was `seen` below the same entry is not followed again, so that the size of the layout limits the time.
    fn listed(&self, descriptor: &Descriptor, depth: usize, seen: &mut BTreeSet<Digest>) -> Listed {
        let mut listed = Listed {
            name: descriptor.ref_name().map(str::to_owned),
            digest: descriptor.digest.clone(),
            media_type: descriptor.media_type.clone(),
            artifact_type: descriptor.artifact_type.clone(),
            // BuildKit lists attestations for `unknown/unknown`: what they hold says more.
            platform: descriptor.platform.clone().filter(|platform| platform.is_named() && platform.os != "unknown"),
            size: self.size(descriptor),
            manifests: Vec::new(),
            attached: Vec::new(),
        };
        if listed.artifact_type.is_none() && listed.platform.is_none() {
            self.describe(&mut listed, descriptor);
        }
        if depth == 0 || !seen.insert(descriptor.digest.clone()) {
            return listed;
        }
        let mut below = |all: &[Descriptor]| all.iter().map(|one| self.listed(one, depth - 1, seen)).collect();
        if descriptor.media_type.kind() == MediaKind::Index {
            if let Some(links) = self.links(descriptor) {
                listed.manifests = below(links.manifests());
            }
        }
        listed.attached = self.by_subject.get(&descriptor.digest).map(|all| below(all)).unwrap_or_default();
        listed
    }

    /// Returns what a document leads to, or `None` if it cannot be read.
    fn links(&self, descriptor: &Descriptor) -> Option<Arc<DocumentLinks>> {
        self.despite_damage(self.layout.links(descriptor))?
    }

    /// Adds what the descriptor does not say and its documents do.
    fn describe(&self, listed: &mut Listed, descriptor: &Descriptor) {
        let MediaKind::Manifest = descriptor.media_type.kind() else { return };
        let Some(links) = self.links(descriptor) else { return };
        let Some(config) = &links.config else { return };
        if let Some(content) = links.layers().first().filter(|_| links.is_foreign()) {
            // It has the config of an image, as cosign's signatures do.
            listed.artifact_type = Some(content.media_type.to_string());
        } else if config.media_type.kind() == MediaKind::Config {
            let config: Option<Document<ImageConfig>> = self.despite_damage(self.layout.document(&config.descriptor()));
            listed.platform = config.map(|config| config.value().platform()).filter(Platform::is_named);
        } else {
            listed.artifact_type = links.artifact_type.clone().or_else(|| Some(config.media_type.to_string()));
        }
    }

    /// What was read, or `None` if it is damaged; what the system could not read is remembered.
    fn despite_damage<T>(&self, read: Result<T>) -> Option<T> {
        despite_damage(read).unwrap_or_else(|error| {
            *self.failed.borrow_mut() = Some(error);
            None
        })
    }

    fn size(&self, descriptor: &Descriptor) -> Option<u64> {
        if let Some(known) = self.sizes.borrow().get(&descriptor.digest) {
            return *known;
        }
        let size = self.sum(descriptor);
        self.sizes.borrow_mut().insert(descriptor.digest.clone(), size);
        size
    }

    /// Returns the bytes of everything that a descriptor leads to, or `None` if a document is missing.
    fn sum(&self, descriptor: &Descriptor) -> Option<u64> {
        let mut sizes = BTreeMap::from([(descriptor.digest.clone(), descriptor.size)]);
        for met in Walk::new(self.layout, Opened::Manifests, Subjects::Left, [descriptor.clone()]) {
            match self.despite_damage(met)?.found {
                Found::Read(links) => {
                    let held = links.config.iter().chain(links.layers());
                    sizes.extend(held.map(|link| (link.digest.clone(), link.size)));
                    sizes.extend(links.manifests().iter().map(|listed| (listed.digest.clone(), listed.size)));
                }
                Found::Missing => return None,
                Found::Unopened => {}
            }
        }
        Some(sizes.values().fold(0, |total: u64, size| total.saturating_add(*size)))
    }

    /// Whether an entry is only there for something that is shown: its subject, or what it lists.
    fn is_shown_elsewhere(&self, entry: &Descriptor, shown: &BTreeSet<Digest>) -> bool {
        match self.links(entry).filter(|_| is_referrers_tag(entry)) {
            Some(list) => {
                let listed = list.manifests();
                !listed.is_empty() && listed.iter().all(|listed| shown.contains(&listed.digest))
            }
            None => !has_own_name(entry) && shown.contains(&entry.digest),
        }
    }

    /// Returns the digests of what is shown as attached to something that is not attached itself.
    fn attached_below(&self, all: &[Listed]) -> BTreeSet<Digest> {
        let is_named = |listed: &Listed| listed.name.as_deref().is_some_and(|name| about_by_tag(name).is_none());
        let is_referrer = |listed: &&Listed| !is_named(listed) && self.attached.contains(&listed.digest);
        let mut open: Vec<&Listed> = all.iter().filter(|listed| !is_referrer(listed)).collect();
        let mut digests = BTreeSet::new();
        while let Some(listed) = open.pop() {
            open.extend(&listed.manifests);
            open.extend(&listed.attached);
            digests.extend(listed.attached.iter().map(|attached| attached.digest.clone()));
        }
        digests
    }
}
