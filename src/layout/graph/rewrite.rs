//! Documents that took the place of others, and what leads to them.

use std::collections::BTreeMap;

use crate::digest::Digest;
use crate::error::Result;
use crate::layout::graph::documents::Documents;
use crate::layout::graph::walk::{Found, Met, Opened, Subjects, Walk};
use crate::oci::Descriptor;

/// By the digests of documents, what stands in their place now; of one that was only looked at, itself.
///
/// Who writes documents anew begins with those that lead to no others, and goes up along the [`indexes`](Redirects::indexes)
/// that lead to them: these are redirected, written anew, and stand here in turn for those above them.
#[derive(Debug, Default)]
pub(crate) struct Redirects(BTreeMap<Digest, Descriptor>);

impl FromIterator<(Digest, Descriptor)> for Redirects {
    fn from_iter<I: IntoIterator<Item = (Digest, Descriptor)>>(pairs: I) -> Self {
        Redirects(pairs.into_iter().collect())
    }
}

impl Redirects {
    /// Puts a document into the place of another. Of the descriptor, media type, digest and size count.
    pub(crate) fn put(&mut self, old: Digest, new: Descriptor) {
        self.0.insert(old, new);
    }

    /// What stands in the place of a document.
    pub(crate) fn get(&self, old: &Digest) -> Option<&Descriptor> {
        self.0.get(old)
    }

    /// The descriptor of what stands in the place of what it describes. All else that it says stays, but the blob itself,
    /// which it may hold.
    pub(crate) fn redirected(&self, descriptor: &Descriptor) -> Option<Descriptor> {
        let new = self.get(&descriptor.digest)?;
        let mut redirected = descriptor.clone();
        redirected.redirect(new);
        Some(redirected)
    }

    /// All pairs of what was and what is.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&Digest, &Descriptor)> {
        self.0.iter()
    }

    /// The documents in whose place another came.
    pub(crate) fn replaced(&self) -> impl Iterator<Item = &Digest> {
        self.0.iter().filter(|(old, new)| **old != new.digest).map(|(old, _)| old)
    }

    /// The indexes that descriptors lead to, each after those that it lists. Those that are missing lead to nothing.
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
