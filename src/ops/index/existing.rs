//! The index that the target already has, for adding to it, and what it is to list.

use crate::error::{Error, ErrorKind, Result};
use crate::image::transfer::{Rewritten, TransferPlan};
use crate::layout::{bears, Draft, Graph, Layout};
use crate::media_type::MediaKind;
use crate::oci::{Descriptor, Index, RefName};
use crate::ops::index::member::{self, listed, members, Candidate};
use crate::ops::index::IndexMember;
use crate::platform::Platform;

/// The form of an index in its target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IndexShape {
    /// A blob that one entry of `index.json` leads to. Readers know it as one image for several platforms.
    #[default]
    Nested,
    /// `index.json` itself.
    Flat,
}

/// Which entries of the target's `index.json` belong to an index.
#[derive(Clone, Debug)]
pub(super) struct Stand {
    pub(super) shape: IndexShape,
    /// Its names. Without any, a flat index is everything that has a platform and no name.
    pub(super) names: Vec<RefName>,
}

/// An index that the target has.
#[derive(Debug, Default)]
pub(super) struct Existing {
    /// The entries of `index.json` that belong to it.
    pub(super) entries: Vec<Descriptor>,
    pub(super) members: Vec<Candidate>,
    /// Its document, of which members are kept.
    pub(super) document: Index,
    /// Documents of its images that are rewritten.
    pub(super) rewritten: Rewritten,
}

impl Existing {
    /// Reads the index that a layout has, without the images that are to be removed. The documents of those are not
    /// needed, and what else is listed and was not copied stays listed.
    pub(super) fn of(layout: &Layout, stand: &Stand, remove: &[IndexMember], name: &str) -> Result<Self> {
        let entries = stand.own_entries(layout.index()?.value());
        let Some(first) = entries.first().cloned() else { return Ok(Existing::default()) };
        if stand.shape == IndexShape::Nested && entries.iter().any(|entry| entry.digest != first.digest) {
            let names: Vec<&str> = stand.names.iter().map(RefName::as_str).collect();
            let message = format!("`{}` of `{}` lead to different images", names.join("`, `"), layout.location());
            return Err(Error::refused(message).of_kind(ErrorKind::Ambiguous));
        }
        let mut candidates = listed(layout, &entries)?;
        remove.iter().try_for_each(|meant| member::remove(&mut candidates, meant, name))?;

        let here = candidates.iter().filter(|candidate| candidate.is_here).map(|candidate| &candidate.descriptor);
        let here: Vec<Descriptor> = here.cloned().collect();
        let graph = Graph::read(layout, &here)?;
        let plan = TransferPlan::of(&graph, None)?;
        let mut rewritten = Rewritten::of(&graph, &plan, std::collections::BTreeMap::new());
        let mut known = members(&graph, &here)?;
        for candidate in &mut candidates {
            if let Some(at) = known.iter().position(|known| known.descriptor.digest == candidate.descriptor.digest) {
                *candidate = known.swap_remove(at);
            }
            candidate.descriptor = rewritten.redirected(candidate.descriptor.clone());
        }
        let document = match (stand.shape, first.media_type.kind()) {
            (IndexShape::Nested, MediaKind::Index) => layout.document(&first)?.into_value(),
            _ => Index::default(),
        };
        Ok(Existing { entries, members: candidates, document, rewritten })
    }
}

impl Stand {
    /// Returns the entries of an `index.json` that belong to this index.
    pub(super) fn own_entries(&self, index: &Index) -> Vec<Descriptor> {
        let is_own = |entry: &&Descriptor| match (self.shape, self.names.is_empty()) {
            (IndexShape::Nested, _) => self.names.iter().any(|name| bears(entry, name)),
            (IndexShape::Flat, true) => {
                entry.media_type.kind() == MediaKind::Manifest
                    && entry.ref_name().is_none()
                    && (entry.platform.is_some() || entry.attested().is_some())
            }
            (IndexShape::Flat, false) => self.is_named(entry) || self.is_about_a_named(entry, index),
        };
        index.manifests.iter().filter(is_own).cloned().collect()
    }

    /// Whether a flat index of these names lists an image by this entry.
    fn is_named(&self, entry: &Descriptor) -> bool {
        entry.platform.as_ref().is_some_and(|platform| {
            self.names.iter().any(|name| entry.ref_name() == Some(flat_name(name, platform).as_str()))
        })
    }

    /// Whether an entry without a name attests something about such an image, and about no image of another index.
    fn is_about_a_named(&self, entry: &Descriptor, index: &Index) -> bool {
        let Some(about) = entry.attested().filter(|_| entry.ref_name().is_none()) else { return false };
        let mut images = index.manifests.iter().filter(|image| image.digest == about).peekable();
        images.peek().is_some() && images.all(|image| self.is_named(image))
    }

    /// Returns the entries for a member of a flat index.
    pub(super) fn flat_entries(&self, member: &Candidate) -> Result<Vec<Descriptor>> {
        match &member.platform {
            Some(platform) if !self.names.is_empty() => {
                let named = |name| Ok(member.descriptor.clone().with_ref_name(&flat_name(name, platform).parse()?));
                self.names.iter().map(named).collect()
            }
            _ => Ok(vec![member.descriptor.clone()]),
        }
    }

    /// Lists new entries of a flat index in place of its old ones.
    pub(super) fn replace(draft: &mut Draft<'_>, old: &[Descriptor], mut new: Vec<Descriptor>) -> Result<()> {
        let before = std::mem::take(&mut draft.index_mut().manifests);
        for entry in before {
            if !old.contains(&entry) {
                draft.index_mut().manifests.push(entry);
            } else if let Some(at) = new.iter().position(|new| takes_the_place(new, &entry)) {
                draft.index_mut().manifests.push(new.remove(at));
            }
        }
        new.into_iter().try_for_each(|entry| draft.list(entry))
    }
}

fn takes_the_place(new: &Descriptor, old: &Descriptor) -> bool {
    let is_same = match (&new.platform, &old.platform) {
        (Some(new), Some(old)) => new.is_same_for_hosts(old),
        _ => false,
    };
    new.ref_name() == old.ref_name() && (is_same || new.digest == old.digest)
}

/// Returns the name of the image for one platform: `v1-arm-v7` of `v1`.
fn flat_name(name: &RefName, platform: &Platform) -> String {
    let os = Some(platform.os.as_str()).filter(|os| *os != "linux");
    let variant = platform.variant.as_deref();
    let words = [Some(name.as_str()), os, Some(&platform.architecture), variant, platform.os_version.as_deref()];
    words.into_iter().flatten().collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::media_type::MediaType;
    use crate::oci::annotations::ATTESTED;
    use crate::oci::Annotations;

    fn image(text: &str, name: Option<&str>, architecture: &str) -> Descriptor {
        let mut image = Descriptor::new(MediaType::MANIFEST, Digest::of(text.as_bytes()), 1);
        image.platform = Some(Platform { architecture: architecture.to_owned(), ..Platform::default() });
        image.platform.iter_mut().for_each(|platform| platform.os = "linux".to_owned());
        name.map_or(image.clone(), |name| image.with_ref_name(&name.parse().unwrap()))
    }

    fn attestation(of: &Descriptor) -> Descriptor {
        let mut attestation =
            Descriptor::new(MediaType::MANIFEST, Digest::of(format!("of {}", of.digest).as_bytes()), 1);
        attestation.annotations = Some(Annotations::from([(ATTESTED.to_owned(), of.digest.to_string())]));
        attestation
    }

    /// An attestation belongs to the flat index of its image, and to none if the image is in two.
    #[test]
    fn a_flat_index_of_a_name_has_its_images_and_what_is_attested_of_them() {
        let (ours, other) = (image("a", Some("v1-amd64"), "amd64"), image("b", Some("v2-arm64"), "arm64"));
        let shared = image("c", Some("v1-riscv64"), "riscv64");
        let shared_too = image("c", Some("v2-riscv64"), "riscv64");
        let (of_ours, of_other, of_shared) = (attestation(&ours), attestation(&other), attestation(&shared));
        let named = attestation(&ours).with_ref_name(&"v3".parse().unwrap());
        let of_none = attestation(&image("d", None, "amd64"));
        let all = [&ours, &of_ours, &other, &of_other, &shared, &shared_too, &of_shared, &named, &of_none];
        let index = Index { manifests: all.map(Clone::clone).to_vec(), ..Index::default() };
        let own =
            |name: &str| Stand { shape: IndexShape::Flat, names: vec![name.parse().unwrap()] }.own_entries(&index);
        assert_eq!(own("v1"), [ours, of_ours, shared]);
        assert_eq!(own("v2"), [other, of_other, shared_too]);
        assert_eq!(own("v3"), []);
    }
}
