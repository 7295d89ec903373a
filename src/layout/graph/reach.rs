//! All blobs that descriptors lead to, and what they are needed for.

use std::collections::{BTreeMap, BTreeSet};

use crate::digest::Digest;
use crate::error::Result;
use crate::layout::graph::documents::{DocumentLinks, Documents};
use crate::layout::graph::walk::{Found, Met, Opened, Subjects, Walk};
use crate::media_type::MediaKind;
use crate::oci::Descriptor;

/// Everything that descriptors lead to.
#[derive(Debug, Default)]
pub(crate) struct Reach {
    /// Every blob that is mentioned.
    pub(crate) blobs: BTreeMap<Digest, Need>,
    /// Digests that manifests and indexes name as their subject.
    pub(crate) subjects: BTreeSet<Digest>,
    /// Digests that are new since the last look.
    fresh: Vec<Digest>,
    /// The documents that were read.
    here: BTreeSet<Digest>,
}

/// What a layout needs a blob for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Need {
    /// Whether the blob is an index, a manifest or a config.
    pub(crate) is_document: bool,
    /// Whether a descriptor promises that the blob is present. A subject may be missing (image-spec, manifest.md,
    /// `subject`).
    pub(crate) is_promised: bool,
}

impl Reach {
    /// Follows descriptors to all blobs, through nested indexes and subjects. In documents of an unknown kind,
    /// everything that looks like a digest counts as a mention. Missing documents lead to nothing.
    ///
    /// # Errors
    ///
    /// A manifest or index cannot be read or is malformed.
    pub(crate) fn of(documents: &dyn Documents, roots: &[Descriptor]) -> Result<Self> {
        let mut reach = Reach::default();
        let mut walk = Walk::new(documents, Opened::All, Subjects::Followed, roots.iter().cloned());
        reach.mention_all(roots);
        walk.try_for_each(|met| met.map(|met| reach.add(&met, Subjects::Followed)))?;
        Ok(reach)
    }

    /// Like [`of`](Self::of), but does not follow subjects; follows what is attached to any of the blobs instead.
    pub(super) fn with_referrers(
        documents: &dyn Documents,
        roots: &[Descriptor],
        by_subject: &BTreeMap<&Digest, Vec<&Descriptor>>,
    ) -> Result<Self> {
        let mut reach = Reach::default();
        let mut walk = Walk::new(documents, Opened::All, Subjects::Left, roots.iter().cloned());
        reach.mention_all(roots);
        loop {
            for met in walk.by_ref() {
                reach.add(&met?, Subjects::Left);
            }
            let Some(digest) = reach.fresh.pop() else { return Ok(reach) };
            for referrer in by_subject.get(&digest).into_iter().flatten() {
                reach.mention(referrer, is_promised(referrer));
                walk.go_on_from((*referrer).clone());
            }
        }
    }

    fn add(&mut self, met: &Met, subjects: Subjects) {
        let Found::Read(links) = &met.found else { return };
        let DocumentLinks { config, subject, mentions, digests, .. } = &**links;
        for held in config.iter().chain(links.layers()) {
            let held = held.descriptor();
            self.mention(&held, is_promised(&held));
        }
        self.here.insert(met.path.descriptor().digest.clone());
        // If only some of the listed manifests are present, the others may have been left out on purpose (image-spec,
        // image-layout.md#blobs).
        let is_partial = links.manifests().iter().any(|listed| self.here.contains(&listed.digest));
        for listed in links.manifests() {
            let is_left_out = is_partial && !self.here.contains(&listed.digest);
            self.mention(listed, is_promised(listed) && !is_left_out);
        }
        for aside in mentions {
            self.mention(&aside.descriptor(), false);
        }
        for digest in digests {
            let _ = self.need(digest);
        }
        if let Some(subject) = subject {
            self.subjects.insert(subject.digest.clone());
            if subjects == Subjects::Followed {
                self.mention(&subject.descriptor(), false);
            }
        }
    }

    fn mention_all(&mut self, listed: &[Descriptor]) {
        for descriptor in listed {
            self.mention(descriptor, is_promised(descriptor));
        }
    }

    fn mention(&mut self, descriptor: &Descriptor, is_promised: bool) {
        let kind = descriptor.media_type.kind();
        let need = self.need(&descriptor.digest);
        need.is_promised |= is_promised;
        need.is_document |= matches!(kind, MediaKind::Index | MediaKind::Manifest | MediaKind::Config);
    }

    fn need(&mut self, digest: &Digest) -> &mut Need {
        if !self.blobs.contains_key(digest) {
            self.fresh.push(digest.clone());
        }
        self.blobs.entry(digest.clone()).or_default()
    }
}

/// Whether a descriptor in an index or a manifest promises that its blob is in the layout rather than at a URL.
fn is_promised(descriptor: &Descriptor) -> bool {
    descriptor.urls.is_empty() && !descriptor.media_type.is_non_distributable()
}
