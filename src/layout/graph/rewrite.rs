//! Documents that replace others, and the indexes that lead to them.

use std::collections::BTreeMap;

use crate::digest::Digest;
use crate::error::Result;
use crate::layout::graph::documents::Documents;
use crate::layout::graph::walk::{Found, Met, Opened, Subjects, Walk};
use crate::oci::Descriptor;

/// Replacements by the digest of the old document. A document that was visited but did not change maps to itself.
///
/// Documents are rewritten bottom-up: first those that lead to no others, then the [`indexes`](Redirects::indexes)
/// above them. Each index is redirected, rewritten and recorded here in turn.
#[derive(Debug, Default)]
pub(crate) struct Redirects(BTreeMap<Digest, Descriptor>);

impl FromIterator<(Digest, Descriptor)> for Redirects {
    fn from_iter<I: IntoIterator<Item = (Digest, Descriptor)>>(pairs: I) -> Self {
        Redirects(pairs.into_iter().collect())
    }
}

impl Redirects {
    /// Records a replacement. Only media type, digest and size of the descriptor matter.
    pub(crate) fn put(&mut self, old: Digest, new: Descriptor) {
        self.0.insert(old, new);
    }

    /// Returns the replacement of a document, or `None` if there is none.
    pub(crate) fn get(&self, old: &Digest) -> Option<&Descriptor> {
        self.0.get(old)
    }

    /// Points a descriptor at the replacement of its document. Everything else in it stays, except embedded data.
    pub(crate) fn redirected(&self, descriptor: &Descriptor) -> Option<Descriptor> {
        let new = self.get(&descriptor.digest)?;
        let mut redirected = descriptor.clone();
        redirected.redirect(new);
        Some(redirected)
    }

    /// All pairs of old digest and new descriptor.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&Digest, &Descriptor)> {
        self.0.iter()
    }

    /// The documents that were replaced by different ones.
    pub(crate) fn replaced(&self) -> impl Iterator<Item = &Digest> {
        self.0.iter().filter(|(old, new)| **old != new.digest).map(|(old, _)| old)
    }

    /// The indexes that descriptors lead to, each after those that it lists. Missing ones lead to nothing.
    pub(crate) fn indexes<'d>(
        documents: &dyn Documents,
        roots: impl IntoIterator<Item = &'d Descriptor>,
    ) -> Result<Vec<Descriptor>> {
        let walk = Walk::new(documents, Opened::Indexes, Subjects::Left, roots.into_iter().cloned());
        let index = |met: Met| match met.found {
            Found::Read(_) => Some(met.path.descriptor().clone()),
            Found::Unopened | Found::Missing => None,
        };
        walk.filter_map(|met| met.map(index).transpose()).collect()
    }
}
