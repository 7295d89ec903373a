//! What a target lists, open for a change while no one else can change it.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::digest::Digest;
use crate::error::{IoContext, Result};
use crate::layout::graph::{Documents, Links, Reach};
use crate::layout::transaction::merge::{join_list, merge};
use crate::layout::transaction::Stage;
use crate::layout::{Layout, Location};
use crate::media_type::MediaType;
use crate::oci::annotations::CONTAINERD_NAME;
use crate::oci::{Descriptor, Document, Index, RefName};

/// The index of a target, to be changed, and what is there to change it by.
///
/// Of a target that is new, or an archive that is written anew, the index is empty. Nothing of the target changes
/// before the transaction is committed.
#[derive(Debug)]
pub(crate) struct Draft<'a> {
    /// Where the index goes.
    target: &'a Location,
    layout: Option<&'a Layout>,
    before: &'a Index,
    index: Index,
    stage: &'a mut Stage,
    freed: BTreeSet<Digest>,
}

/// What a change leaves behind.
#[derive(Clone, Debug, Default)]
pub(crate) struct Replaced {
    /// The documents that are taken away.
    pub(crate) freed: BTreeSet<Digest>,
    /// What something in the layout is attached to.
    pub(crate) subjects: BTreeSet<Digest>,
}

impl<'a> Draft<'a> {
    /// A draft that begins with `index`, of a layout that had the index `before`.
    pub(super) fn new(
        target: &'a Location,
        layout: Option<&'a Layout>,
        before: &'a Index,
        index: Index,
        stage: &'a mut Stage,
    ) -> Self {
        Draft { target, layout, before, index, stage, freed: BTreeSet::new() }
    }

    /// What is to be listed, and the blobs that are to be taken away.
    pub(super) fn finish(self) -> (Index, BTreeSet<Digest>) {
        (self.index, self.freed)
    }

    /// Where the index goes.
    pub(crate) fn target(&self) -> &'a Location {
        self.target
    }

    /// What is there, as it was before; none of a target that is new or written anew.
    pub(crate) fn existing(&self) -> Option<&'a Layout> {
        self.layout
    }

    /// What is there, where something must be.
    pub(crate) fn layout(&self) -> Result<&'a Layout> {
        let missing = || io::Error::from(io::ErrorKind::NotFound);
        self.layout.ok_or_else(missing).at("open the image", &self.target.path)
    }

    /// What is to be listed.
    pub(crate) fn index(&self) -> &Index {
        &self.index
    }

    /// What is to be listed, for a change.
    pub(crate) fn index_mut(&mut self) -> &mut Index {
        &mut self.index
    }

    /// Whether something else is listed than before.
    pub(crate) fn is_change(&self) -> bool {
        self.index != *self.before
    }

    /// Lists what comes from elsewhere; its ref name moves to it. A list of what is attached to something is joined with
    /// the one that is there. Docker tells images apart by more than their ref names, so in its archives all stay.
    pub(crate) fn list(&mut self, descriptor: Descriptor) -> Result<()> {
        if self.target.is_docker_archive() {
            self.index.manifests.push(descriptor);
            return Ok(());
        }
        let read = |list: &Descriptor| self.document(list).map(Document::into_value);
        let (descriptor, list) = join_list(read, &self.index, descriptor);
        if let Some(list) = list {
            self.stage.put(&list, descriptor.media_type.clone())?;
        }
        merge(&mut self.index, &[descriptor]);
        Ok(())
    }

    /// Lists a descriptor under a name, which moves to it if it is taken. The name by which containerd calls an image is
    /// not taken along: it stands for one ref name.
    pub(crate) fn name(&mut self, descriptor: &Descriptor, name: &RefName) {
        let mut named = descriptor.clone();
        if descriptor.ref_name() != Some(name.as_str()) {
            named = named.with_ref_name(name);
            named.annotations.iter_mut().for_each(|annotations| drop(annotations.remove(CONTAINERD_NAME)));
        }
        merge(&mut self.index, &[named]);
    }

    /// Stores a document.
    pub(crate) fn put<T>(&mut self, document: &Document<T>, media_type: MediaType) -> Result<Descriptor> {
        self.stage.put(document, media_type)
    }

    /// Where new blobs gather.
    pub(crate) fn stage_mut(&mut self) -> &mut Stage {
        self.stage
    }

    /// A document, new or old.
    pub(crate) fn document<T: DeserializeOwned>(&self, descriptor: &Descriptor) -> Result<Document<T>> {
        match self.stage.staged(&descriptor.digest)? {
            Some(raw) => Document::parse(raw, &self.subject(&descriptor.digest)),
            None => self.layout()?.document(descriptor),
        }
    }

    /// Takes blobs away when the index is there. Nothing that is listed may lead to them.
    pub(crate) fn free(&mut self, blobs: impl IntoIterator<Item = Digest>) {
        self.freed.extend(blobs);
    }

    /// Takes away what the index led to before and leads to no more, if that is nothing but documents: what a change has
    /// replaced. An image with layers of its own, whose name has moved away, is left to be collected.
    ///
    /// Where a document elsewhere in the layout is damaged, what it leads to is not known, and nothing is taken away.
    pub(crate) fn free_replaced(&mut self) -> Result<Replaced> {
        let mut replaced = Replaced::default();
        let Some(layout) = self.layout else { return Ok(replaced) };
        let Ok(kept) = Reach::of(self, &self.index.manifests) else { return Ok(replaced) };
        let listed: BTreeSet<&Digest> = self.index.manifests.iter().map(|descriptor| &descriptor.digest).collect();
        for gone in self.before.manifests.iter().filter(|old| !listed.contains(&old.digest)) {
            let Ok(reached) = Reach::of(layout, std::slice::from_ref(gone)) else { continue };
            let is_lost = |digest: &Digest| !kept.blobs.contains_key(digest);
            let lost: Vec<_> = reached.blobs.into_iter().filter(|(digest, _)| is_lost(digest)).collect();
            if lost.iter().all(|(_, need)| need.is_document) {
                for (digest, _) in lost {
                    if layout.holds(&digest)? {
                        replaced.freed.insert(digest);
                    }
                }
            }
        }
        self.freed.extend(replaced.freed.iter().cloned());
        replaced.subjects = kept.subjects;
        Ok(replaced)
    }
}

/// New documents before old ones.
impl Documents for Draft<'_> {
    fn raw(&self, descriptor: &Descriptor) -> Result<Option<Arc<[u8]>>> {
        match (self.stage.staged(&descriptor.digest)?, self.layout) {
            (Some(raw), _) => Ok(Some(raw.into())),
            (None, Some(layout)) => layout.raw(descriptor),
            (None, None) => Ok(None),
        }
    }

    fn subject(&self, digest: &Digest) -> String {
        format!("{}: blob {}", self.target, digest.short())
    }

    fn links(&self, descriptor: &Descriptor) -> Result<Option<Arc<Links>>> {
        match self.layout {
            Some(layout) if !self.stage.holds(&descriptor.digest) => layout.links(descriptor),
            _ => Links::read(self, descriptor),
        }
    }
}
