//! What `BuildKit` attests about an image: a manifest without a `subject`, listed beside the image with its digest in an
//! annotation (BuildKit, docs/attestations/attestation-storage.md). Attestations are found here and nowhere else.

use std::collections::BTreeSet;

use crate::digest::Digest;
use crate::error::Result;
use crate::layout::graph::walk::{Found, Opened, Subjects, Walk};
use crate::layout::Layout;
use crate::oci::{Descriptor, Index};

impl Layout {
    /// The attestations that `index.json` lists, and those in the indexes that its entries lead to, each once.
    pub(crate) fn attestations<'d>(
        &self,
        entries: impl IntoIterator<Item = &'d Descriptor>,
    ) -> Result<Vec<Descriptor>> {
        let index = self.index()?;
        let mut found: Vec<Descriptor> = index.value().manifests.clone();
        for met in Walk::new(self, Opened::Indexes, Subjects::Left, entries.into_iter().cloned()) {
            if let Found::Read(links) = met?.found {
                found.extend_from_slice(links.manifests());
            }
        }
        let mut seen = BTreeSet::new();
        found.retain(|listed| listed.attested().is_some_and(|image| seen.insert((image, listed.digest.clone()))));
        Ok(found)
    }
}

/// Takes attestations out of an index whose images it listed before and does not list any more. Returns them.
pub(in crate::layout) fn take_orphans(index: &mut Index, before: &Index) -> Vec<Descriptor> {
    let digests =
        |index: &Index| -> BTreeSet<Digest> { index.manifests.iter().map(|listed| listed.digest.clone()).collect() };
    if !index.manifests.iter().any(|listed| listed.attested().is_some()) {
        return Vec::new();
    }
    let (listed, listed_before) = (digests(index), digests(before));
    let is_orphan = |entry: &Descriptor| {
        let is_lost = |image: &Digest| listed_before.contains(image) && !listed.contains(image);
        entry.ref_name().is_none() && entry.attested().is_some_and(|image| is_lost(&image))
    };
    let (orphans, kept) = std::mem::take(&mut index.manifests).into_iter().partition(is_orphan);
    index.manifests = kept;
    orphans
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media_type::MediaType;
    use crate::oci::annotations::ATTESTED;
    use crate::oci::Annotations;

    #[test]
    fn an_attestation_goes_with_the_last_entry_of_its_image() {
        let image = |content: &str| Descriptor::new(MediaType::MANIFEST, Digest::of(content.as_bytes()), 1);
        let about = |image: &Descriptor, name: Option<&str>| {
            let digest = Digest::of(format!("about {}", image.digest).as_bytes());
            let mut about = Descriptor::new(MediaType::MANIFEST, digest, 1);
            about.annotations = Some(Annotations::from([(ATTESTED.to_owned(), image.digest.to_string())]));
            name.map_or(about.clone(), |name| about.with_ref_name(&name.parse().unwrap()))
        };
        let (a, b, elsewhere) = (image("a"), image("b"), image("c"));
        let (of_a, of_b, named) = (about(&a, None), about(&b, None), about(&a, Some("n")));
        let of_elsewhere = about(&elsewhere, None);
        let index = |entries: &[&Descriptor]| Index {
            manifests: entries.iter().map(|entry| (*entry).clone()).collect(),
            ..Index::default()
        };
        let before = index(&[&a, &a, &b, &of_a, &of_b, &named, &of_elsewhere]);
        for (mut after, orphans) in [
            (before.clone(), vec![]),
            (index(&[&a, &b, &of_a, &of_b]), vec![]),
            (index(&[&b, &of_a, &of_b, &named, &of_elsewhere]), vec![of_a.clone()]),
            (index(&[&of_a, &of_b]), vec![of_a.clone(), of_b.clone()]),
        ] {
            let count = after.manifests.len();
            assert_eq!(take_orphans(&mut after, &before), orphans);
            assert_eq!(after.manifests.len() + orphans.len(), count);
        }
    }
}
