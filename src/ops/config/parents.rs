//! The indexes that lead to an image, up to the entry of `index.json`, written anew.

use std::collections::BTreeMap;

use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::layout::{Draft, Location};
use crate::media_type::MediaKind;
use crate::oci::{Descriptor, Document, Index};
use crate::ops::config::image::{annotated, changes_platform, platform};
use crate::platform::Platform;
use crate::settings::changes::{Annotated, ImageChanges};

/// A manifest and what comes into its place.
pub(super) struct Replacement {
    pub(super) digest: Digest,
    pub(super) size: u64,
    /// What its config says.
    pub(super) platform: Platform,
}

/// How descriptors of images are changed, and the indexes around them.
pub(super) struct Parents<'a> {
    changes: &'a ImageChanges,
    /// By the digest of the old manifest.
    replacements: BTreeMap<Digest, Replacement>,
    /// Digest and size of what came into the place of indexes, by their old digest; none if they lead to no image that
    /// is replaced.
    indexes: BTreeMap<Digest, Option<(Digest, u64)>>,
    /// Whether one of them lists an image that is replaced.
    pub(super) met_index: bool,
}

impl<'a> Parents<'a> {
    pub(super) fn new(changes: &'a ImageChanges, replacements: BTreeMap<Digest, Replacement>) -> Self {
        Parents { changes, replacements, indexes: BTreeMap::new(), met_index: false }
    }

    /// The descriptor with all that changes below it; none if it leads to no image that is replaced. New documents are
    /// stored.
    pub(super) fn renewed(&mut self, draft: &mut Draft<'_>, old: &Descriptor) -> Result<Option<Descriptor>> {
        match old.media_type.kind() {
            MediaKind::Manifest => Ok(self.replacements.get(&old.digest).map(|by| self.described(old, by))),
            MediaKind::Index => {
                let index = self.renewed_index(draft, old)?;
                Ok(index.map(|(digest, size)| moved(old, &digest, size)))
            }
            _ => Ok(None),
        }
    }

    fn described(&self, old: &Descriptor, by: &Replacement) -> Descriptor {
        let mut new = moved(old, &by.digest, by.size);
        new.annotations = annotated(new.annotations, Annotated::Descriptor, self.changes);
        new.platform = match &old.platform {
            Some(old) => Some(platform(old, self.changes)),
            None => changes_platform(self.changes).then(|| by.platform.clone()),
        };
        new
    }

    fn renewed_index(&mut self, draft: &mut Draft<'_>, descriptor: &Descriptor) -> Result<Option<(Digest, u64)>> {
        if let Some(done) = self.indexes.get(&descriptor.digest) {
            return Ok(done.clone());
        }
        // Should somebody find out how an index can hold itself, it is not followed round and round.
        self.indexes.insert(descriptor.digest.clone(), None);
        // Of indexes within indexes, people often copy only those that they use.
        if draft.layout()?.stored_blob(&descriptor.digest)?.is_none() {
            return Ok(None);
        }
        let old: Document<Index> = draft.layout()?.document(descriptor)?;
        let mut index = old.value().clone();
        let mut leads_to_image = false;
        for descriptor in &mut index.manifests {
            if let Some(new) = self.renewed(draft, descriptor)? {
                *descriptor = new;
                leads_to_image = true;
            }
        }
        if !leads_to_image {
            return Ok(None);
        }
        if old.value().manifests.iter().any(|descriptor| self.replacements.contains_key(&descriptor.digest)) {
            index.annotations = annotated(index.annotations, Annotated::Index, self.changes);
            self.met_index = true;
        }
        let mut renewed = (descriptor.digest.clone(), descriptor.size);
        if index != *old.value() {
            index.media_type = index.media_type.map(|media_type| media_type.in_oci());
            if changes_platform(self.changes) {
                refuse_second(&index, draft.target())?;
            }
            let new = draft.put(&Document::seal(index), descriptor.media_type.in_oci())?;
            renewed = (new.digest, new.size);
        }
        self.indexes.insert(descriptor.digest.clone(), Some(renewed.clone()));
        Ok(Some(renewed))
    }

    /// The manifests and indexes in whose place another came.
    pub(super) fn replaced(&self) -> impl Iterator<Item = &Digest> {
        let manifests = self.replacements.iter().filter(|(old, by)| **old != by.digest).map(|(old, _)| old);
        let indexes = self.indexes.iter().filter_map(|(old, by)| Some((old, &by.as_ref()?.0)));
        manifests.chain(indexes.filter(|(old, by)| old != by).map(|(old, _)| old))
    }
}

/// Of two images for one platform, readers would only find the first.
fn refuse_second(index: &Index, location: &Location) -> Result<()> {
    for (position, descriptor) in index.manifests.iter().enumerate() {
        let Some(platform) = &descriptor.platform else { continue };
        let is_second = |first: &&Descriptor| {
            first.platform.as_ref() == Some(platform) && first.digest != descriptor.digest && platform.os != "unknown"
        };
        if index.manifests[..position].iter().any(|first| is_second(&first)) {
            let message = format!("image `{location}`: there would be two images for {platform}");
            return Err(Error::refused(message));
        }
    }
    Ok(())
}

/// A descriptor of another blob in the place of the old one. The blob itself, which it may hold, would be the old one's.
fn moved(old: &Descriptor, digest: &Digest, size: u64) -> Descriptor {
    let mut moved = old.clone();
    moved.redirect(&Descriptor::new(old.media_type.in_oci(), digest.clone(), size));
    moved
}

/// That there is an index to annotate.
pub(super) fn without_index(location: &Location) -> Error {
    Error::refused_with_hint(
        format!("image `{location}`: `index.json` lists it, and no index of its own that could have annotations"),
        "annotate its descriptor with --descriptor-annotation, or its manifest with --annotation",
    )
}
