//! `ls`: what a layout lists.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::digest::Digest;
use crate::error::Result;
use crate::json;
use crate::layout::{called, is_referrers_tag, links, names, Layout, Link, Location, MAX_DEPTH};
use crate::media_type::{MediaKind, MediaType};
use crate::oci::{Descriptor, Document, ImageConfig, Index};
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
    /// Of an artifact, its kind.
    pub artifact_type: Option<String>,
    /// Of an image, what it runs on.
    #[serde(serialize_with = "json::optional_text")]
    pub platform: Option<Platform>,
    /// Bytes of all blobs that it leads to, each counted once; none if a document among them is missing.
    pub size: Option<u64>,
    /// Of an index, what it lists.
    pub manifests: Vec<Listed>,
    /// What is attached to it.
    pub attached: Vec<Listed>,
}

/// Lists what the location means, or without a name all that the layout holds. What is attached is listed with
/// what it is attached to, and its referrers tag not at all, unless that is not in the layout.
pub fn ls(location: &Location, _: &LsOptions, work: &Work<'_>) -> Result<LsReport> {
    work.observer.check()?;
    Ok(LsReport { entries: entries(&Layout::open(location)?)? })
}

fn entries(layout: &Layout) -> Result<Vec<Listed>> {
    let index = layout.index()?.into_value();
    let listing = Listing::of(layout)?;
    let Some(name) = &layout.location().name else {
        let all: Vec<Listed> = index.manifests.iter().map(|entry| listing.entry(entry)).collect();
        let shown = listing.attached_below(&all);
        let is_shown_elsewhere = |entry: &Descriptor| match listing.below_tag(entry) {
            Some(digests) => !digests.is_empty() && digests.iter().all(|digest| shown.contains(digest)),
            None => entry.ref_name().is_none() && shown.contains(&entry.digest),
        };
        let entries = index.manifests.iter().zip(all);
        return Ok(entries.filter(|(entry, _)| !is_shown_elsewhere(entry)).map(|(_, listed)| listed).collect());
    };
    let meant = called(&index.manifests, name, Descriptor::annotation);
    if meant.is_empty() {
        return Err(layout.unknown_ref_name(name, &names(&index)));
    }
    Ok(meant.into_iter().map(|entry| listing.entry(entry)).collect())
}

struct Listing<'a> {
    layout: &'a Layout,
    /// What is attached to anything.
    attached: BTreeSet<Digest>,
    by_subject: BTreeMap<Digest, Vec<Descriptor>>,
}

impl<'a> Listing<'a> {
    fn of(layout: &'a Layout) -> Result<Self> {
        let mut listing = Listing { layout, attached: BTreeSet::new(), by_subject: BTreeMap::new() };
        for referrer in layout.referrers()? {
            listing.attached.insert(referrer.descriptor.digest.clone());
            listing.by_subject.entry(referrer.subject).or_default().push(referrer.descriptor);
        }
        Ok(listing)
    }

    /// An entry of the index with all below it.
    fn entry(&self, entry: &Descriptor) -> Listed {
        self.listed(entry, MAX_DEPTH, &mut BTreeSet::new())
    }

    /// What was `seen` below the same entry is not followed again, so that time is bounded by what is there.
    fn listed(&self, descriptor: &Descriptor, depth: usize, seen: &mut BTreeSet<Digest>) -> Listed {
        let mut listed = Listed {
            name: descriptor.ref_name().map(str::to_owned),
            digest: descriptor.digest.clone(),
            media_type: descriptor.media_type.clone(),
            artifact_type: descriptor.artifact_type.clone(),
            platform: descriptor.platform.clone(),
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
            if let Ok(index) = self.layout.document::<Index>(descriptor) {
                listed.manifests = below(&index.value().manifests);
            }
        }
        listed.attached = self.by_subject.get(&descriptor.digest).map(|all| below(all)).unwrap_or_default();
        listed
    }

    /// What the descriptor does not say, its documents may.
    fn describe(&self, listed: &mut Listed, descriptor: &Descriptor) {
        let link = Link::from(descriptor);
        let (MediaKind::Manifest, Ok(Some(found))) = (descriptor.media_type.kind(), links(self.layout, &link)) else {
            return;
        };
        let Some(config) = found.config else { return };
        if config.media_type.kind() == MediaKind::Config {
            let config = Descriptor::new(config.media_type, config.digest, config.size);
            let config: Option<Document<ImageConfig>> = self.layout.document(&config).ok();
            listed.platform = config.map(|config| config.value().platform());
        } else {
            listed.artifact_type = found.artifact_type.or_else(|| Some(config.media_type.to_string()));
        }
    }

    fn size(&self, descriptor: &Descriptor) -> Option<u64> {
        let mut sizes = BTreeMap::new();
        let mut open = vec![Link::from(descriptor)];
        while let Some(link) = open.pop() {
            let is_document = matches!(link.media_type.kind(), MediaKind::Index | MediaKind::Manifest);
            if sizes.insert(link.digest.clone(), link.size).is_none() && is_document {
                let found = links(self.layout, &link).ok()??;
                open.extend(found.config);
                open.extend(found.layers.into_iter().chain(found.manifests).flatten());
            }
        }
        Some(sizes.values().sum())
    }

    /// Of a referrers tag, what it lists.
    fn below_tag(&self, entry: &Descriptor) -> Option<Vec<Digest>> {
        let index: Document<Index> = is_referrers_tag(entry).then(|| self.layout.document(entry).ok())??;
        Some(index.into_value().manifests.into_iter().map(|manifest| manifest.digest).collect())
    }

    /// The digests of what is shown as attached to something that is not attached itself.
    fn attached_below(&self, all: &[Listed]) -> BTreeSet<Digest> {
        let is_referrer = |listed: &&Listed| listed.name.is_none() && self.attached.contains(&listed.digest);
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
