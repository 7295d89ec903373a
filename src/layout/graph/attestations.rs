//! What is said about an image without a `subject`: attestations of `BuildKit`, listed beside the image with its digest
//! in an annotation (BuildKit, docs/attestations/attestation-storage.md), and what cosign lists under a tag with the
//! digest. They are found here and nowhere else.

use std::collections::BTreeSet;

use crate::digest::Digest;
use crate::error::Result;
use crate::layout::graph::documents::Documents;
use crate::layout::graph::referrers::{about, has_own_name};
use crate::layout::graph::walk::{Found, Opened, Subjects, Walk};
use crate::layout::Layout;
use crate::oci::{Descriptor, Index};

impl Layout {
    /// What `index.json` lists that is [`about`] an image, and the indexes that its entries lead to, each once.
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
        found.retain(|listed| about(listed).is_some_and(|image| seen.insert((image, listed.digest.clone()))));
        Ok(found)
    }
}

/// Removes from an index the entries that are about an image that it no longer lists, and returns them.
pub(in crate::layout) fn take_orphans(documents: &dyn Documents, index: &mut Index, before: &Index) -> Vec<Descriptor> {
    let mut orphans = Vec::new();
    // Entries about a signature go with it.
    loop {
        let lost = lost_by(documents, index, before);
        if lost.is_empty() {
            return orphans;
        }
        let (taken, kept) = std::mem::take(&mut index.manifests).into_iter().partition(|entry| lost.contains(entry));
        index.manifests = kept;
        orphans.extend::<Vec<Descriptor>>(taken);
    }
}

fn lost_by(documents: &dyn Documents, index: &Index, before: &Index) -> Vec<Descriptor> {
    let is_meant = |entry: &&Descriptor| about(entry).is_some() && !has_own_name(entry);
    let (attestations, by_tag): (Vec<&Descriptor>, Vec<&Descriptor>) =
        index.manifests.iter().filter(is_meant).partition(|entry| entry.attested().is_some());
    let mut lost = Vec::new();
    let mut find = |entries: Vec<&Descriptor>, before: &BTreeSet<Digest>, now: &BTreeSet<Digest>| {
        let is_lost = |image: &Digest| before.contains(image) && !now.contains(image);
        lost.extend(entries.into_iter().filter(|entry| about(entry).is_some_and(|image| is_lost(&image))).cloned());
    };
    if !attestations.is_empty() {
        let listed =
            |index: &Index| index.manifests.iter().map(|listed| listed.digest.clone()).collect::<BTreeSet<Digest>>();
        find(attestations, &listed(before), &listed(index));
    }
    // cosign also signs members of an index. One that cannot be read may still list the image.
    if !by_tag.is_empty() {
        if let Some((before, now)) = led_to(documents, before).zip(led_to(documents, index)) {
            find(by_tag, &before, &now);
        }
    }
    lost
}

/// Everything that an index and the indexes below it list, or `None` if that is unknown.
fn led_to(documents: &dyn Documents, index: &Index) -> Option<BTreeSet<Digest>> {
    let walk = Walk::new(documents, Opened::Indexes, Subjects::Left, index.manifests.iter().cloned());
    walk.map(|met| Some(met.ok()?.path.descriptor().digest.clone())).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::layout::graph::documents::DocumentLinks;
    use crate::media_type::MediaType;
    use crate::oci::annotations::ATTESTED;
    use crate::oci::Annotations;

    /// Documents that are all missing.
    struct NoDocuments;

    impl Documents for NoDocuments {
        fn raw(&self, _: &Descriptor) -> Result<Option<Arc<[u8]>>> {
            Ok(None)
        }

        fn subject(&self, digest: &Digest) -> String {
            digest.to_string()
        }

        fn links(&self, _: &Descriptor) -> Result<Option<Arc<DocumentLinks>>> {
            Ok(None)
        }
    }

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
        let tagged = about(&a, Some(&format!("{}.sig", a.digest.as_str().replace(':', "-"))));
        let signed = index(&[&a, &b, &tagged]);
        for (mut after, orphans) in [(signed.clone(), vec![]), (index(&[&b, &tagged]), vec![tagged])] {
            assert_eq!(take_orphans(&NoDocuments, &mut after, &signed), orphans);
        }
        for (mut after, orphans) in [
            (before.clone(), vec![]),
            (index(&[&a, &b, &of_a, &of_b]), vec![]),
            (index(&[&b, &of_a, &of_b, &named, &of_elsewhere]), vec![of_a.clone()]),
            (index(&[&of_a, &of_b]), vec![of_a.clone(), of_b.clone()]),
        ] {
            let count = after.manifests.len();
            assert_eq!(take_orphans(&NoDocuments, &mut after, &before), orphans);
            assert_eq!(after.manifests.len() + orphans.len(), count);
        }
    }
}
