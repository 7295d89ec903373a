//! Rewrites the indexes that lead to an image, up to the entry of `index.json`.

use std::collections::BTreeMap;

use crate::digest::Digest;
use crate::error::{despite_damage, Error, ErrorKind, Result};
use crate::hint::{Hint, OptionName};
use crate::image::transfer::take_along;
use crate::layout::{Draft, Location, Redirects};
use crate::oci::{Descriptor, Document, Index, Manifest};
use crate::ops::config::image::{annotated, changes_platform, platform};
use crate::platform::Platform;
use crate::settings::changes::{Annotated, ImageChanges};

/// How descriptors of images change, and the indexes that list them.
pub(super) struct Parents<'a> {
    changes: &'a ImageChanges,
    /// The platforms in the new configs, by the digests of the old manifests.
    platforms: BTreeMap<Digest, Platform>,
    /// Manifests and indexes that lead to an image that is replaced.
    redirects: Redirects,
    /// Whether one of these indexes lists such an image directly.
    pub(super) met_index: bool,
    /// Warnings about attestations of the images.
    pub(super) warnings: Vec<String>,
}

impl<'a> Parents<'a> {
    pub(super) fn new(changes: &'a ImageChanges) -> Self {
        Parents {
            changes,
            platforms: BTreeMap::new(),
            redirects: Redirects::default(),
            met_index: false,
            warnings: Vec::new(),
        }
    }

    /// Replaces a manifest. `platform` is the one in the new config.
    pub(super) fn replace(&mut self, old: Digest, new: Descriptor, platform: Platform) {
        self.platforms.insert(old.clone(), platform);
        self.redirects.put(old, new);
    }

    /// Rewrites the indexes that lead from entries to an image that is replaced.
    pub(super) fn renew_indexes(&mut self, draft: &mut Draft<'_>, entries: &[&Descriptor]) -> Result<()> {
        let layout = draft.layout()?;
        for descriptor in Redirects::indexes(layout, entries.iter().copied())? {
            let old: Document<Index> = layout.document(&descriptor)?;
            let mut index = old.value().clone();
            let mut leads_to_image = false;
            for listed in &mut index.manifests {
                if let Some(new) = self.renewed(listed) {
                    *listed = new;
                    leads_to_image = true;
                } else if let Some(warning) = self.take_along(draft, listed)? {
                    self.warnings.push(warning);
                }
            }
            if !leads_to_image {
                continue;
            }
            if old.value().manifests.iter().any(|listed| self.platforms.contains_key(&listed.digest)) {
                index.annotations = annotated(index.annotations, Annotated::Index, self.changes);
                self.met_index = true;
            }
            let mut new = descriptor.clone();
            if index != *old.value() {
                if changes_platform(self.changes) {
                    refuse_second(&index, draft.target())?;
                }
                index.media_type = index.media_type.map(|media_type| media_type.in_oci());
                new = draft.put(&Document::seal(index), descriptor.media_type.in_oci())?;
            }
            self.redirects.put(descriptor.digest, new);
        }
        Ok(())
    }

    /// Returns the descriptor with all changes, or `None` if it leads to no image that is replaced.
    pub(super) fn renewed(&self, old: &Descriptor) -> Option<Descriptor> {
        let mut new = self.redirects.redirected(old)?;
        if let Some(told) = self.platforms.get(&old.digest) {
            new.annotations = annotated(new.annotations, Annotated::Descriptor, self.changes);
            new.platform = match &old.platform {
                Some(old) => Some(platform(old, self.changes)),
                None => changes_platform(self.changes).then(|| told.clone()),
            };
        }
        Some(new)
    }

    /// Makes an attestation of an image that is replaced one of the new image, and so its subject if it has one.
    /// Returns a warning about it, or `None` if there is no such attestation.
    fn take_along(&self, draft: &mut Draft<'_>, listed: &mut Descriptor) -> Result<Option<String>> {
        let about = listed.attested();
        let warning = take_along(listed, |image| self.redirects.get(image));
        if warning.is_none() || !draft.layout()?.holds(&listed.digest)? {
            return Ok(warning);
        }
        let Some(old) = despite_damage(draft.document::<Manifest>(listed))? else { return Ok(warning) };
        let mut manifest = old.into_value();
        let subject = manifest.subject.as_mut().filter(|subject| Some(&subject.digest) == about.as_ref());
        if let Some(new) = subject.as_ref().and_then(|subject| self.redirects.redirected(subject)) {
            manifest.subject = Some(new);
            let new = draft.put(&Document::seal(manifest), listed.media_type.clone())?;
            listed.redirect(&new);
        }
        Ok(warning)
    }

    /// Does the same for the attestations beside images in `index.json`. If the old image is still there, it keeps its
    /// attestation.
    pub(super) fn renew_attestations(&mut self, draft: &mut Draft<'_>) -> Result<()> {
        let entries = draft.index().manifests.clone();
        let is_listed = |digest: &Digest| entries.iter().any(|entry| entry.digest == *digest);
        for (position, entry) in entries.iter().enumerate() {
            let mut renewed = entry.clone();
            let Some(warning) = self.take_along(draft, &mut renewed)? else { continue };
            if !renewed.attested().is_some_and(|image| is_listed(&image)) || entries.contains(&renewed) {
                continue;
            }
            self.warnings.push(warning);
            if entry.attested().is_some_and(|image| is_listed(&image)) {
                draft.index_mut().manifests.push(renewed);
            } else {
                draft.index_mut().manifests[position] = renewed;
            }
        }
        Ok(())
    }

    /// The manifests and indexes that were replaced.
    pub(super) fn replaced(&self) -> impl Iterator<Item = &Digest> {
        self.redirects.replaced()
    }
}

/// Refuses two images for one platform: readers would only find the first.
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

/// The error for annotating an index that does not exist.
pub(super) fn without_index(location: &Location) -> Error {
    Error::refused_with_hint(
        format!("image `{location}`: `index.json` lists it, and no index of its own that could have annotations"),
        Hint::from("annotate its descriptor with ")
            .option(OptionName::DescriptorAnnotations)
            .text(", or its manifest with ")
            .option(OptionName::Annotations),
    )
    .of_kind(ErrorKind::NotFound)
}
