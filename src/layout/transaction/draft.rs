//! The index of a target, open for a change while its lock is held.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::digest::Digest;
use crate::error::{as_typed, despite_damage, IoContext, Result};
use crate::layout::graph::{take_orphans, DocumentLinks, Documents, Reach};
use crate::layout::transaction::merge::{join_list, marks, merge};
use crate::layout::transaction::Stage;
use crate::layout::{about, full_name, is_referrers_tag, kind_of_referrer, most_specific, Layout, Location};
use crate::media_type::{MediaKind, MediaType};
use crate::oci::annotations::CONTAINERD_NAME;
use crate::oci::{Descriptor, Document, Index, RefName};

/// The index of a target during a change, and what the target holds.
///
/// For a new target, or an archive that is replaced, the index starts empty. The target does not change before the
/// transaction is committed.
#[derive(Debug)]
pub(crate) struct Draft<'a> {
    /// The location of the target.
    target: &'a Location,
    layout: Option<&'a Layout>,
    before: &'a Index,
    index: Index,
    stage: &'a mut Stage,
    freed: BTreeSet<Digest>,
    /// Entries that others took the place of, each with the name of the other.
    displaced: Vec<(Descriptor, Option<String>)>,
}

/// What is published of a draft.
pub(super) struct Drafted {
    pub(super) index: Index,
    /// The blobs to remove.
    pub(super) freed: BTreeSet<Digest>,
    /// Warnings about what the change did to other entries.
    pub(super) warnings: Vec<String>,
    /// What went with an image that it is about, which these warnings tell.
    pub(super) orphans: BTreeSet<Digest>,
}

/// A warning about an image or an index that has lost its name. `how` says what took it, or which name it was.
pub(crate) fn displacement(target: &str, entry: &Descriptor, how: &str) -> String {
    let what = if entry.media_type.kind() == MediaKind::Index { "index" } else { "image" };
    format!("target `{target}` was the {what} {}, {how}: it has lost its name", entry.digest.short())
}

/// The outcome of a change.
#[derive(Clone, Debug, Default)]
pub(crate) struct Replaced {
    /// The documents to be removed.
    pub(crate) freed: BTreeSet<Digest>,
    /// The subjects of documents in the layout.
    pub(crate) subjects: BTreeSet<Digest>,
}

impl<'a> Draft<'a> {
    /// Starts from `index`; `before` is the index that the layout had.
    pub(super) fn new(
        target: &'a Location,
        layout: Option<&'a Layout>,
        before: &'a Index,
        index: Index,
        stage: &'a mut Stage,
    ) -> Self {
        Draft { target, layout, before, index, stage, freed: BTreeSet::new(), displaced: Vec::new() }
    }

    /// Returns the new index and the blobs to remove.
    ///
    /// Entries about an image that `index.json` no longer lists are removed with it.
    pub(super) fn finish(mut self) -> Drafted {
        let mut warnings = Vec::new();
        let mut orphans = BTreeSet::new();
        let mut index = std::mem::take(&mut self.index);
        for orphan in take_orphans(&self, &mut index, self.before) {
            let (what, image) = (kind_of_referrer(&orphan), about(&orphan).unwrap_or(orphan.digest.clone()));
            warnings.push(format!(
                "{what} {} is about {image}, which `{}` does not list any more: it goes with it",
                orphan.digest.short(),
                self.target.of_all()
            ));
            orphans.insert(orphan.digest);
        }
        self.index = index;
        for (old, by) in &self.displaced {
            let of_all = self.target.of_all();
            let target = by.as_ref().map_or_else(|| of_all.to_string(), |name| format!("{of_all}:{}", as_typed(name)));
            if let Some(name) = self.lost_name(old) {
                let how = format!("under the name `{}`", name.escape_debug());
                warnings.push(displacement(&target, old, &how));
            } else if self.gave_way_to_image(old) {
                warnings.push(displacement(&target, old, "and is one image now"));
            }
        }
        Drafted { index: self.index, freed: self.freed, warnings, orphans }
    }

    /// Whether an index was replaced by one image, and nothing leads to the others by a name any more.
    fn gave_way_to_image(&self, old: &Descriptor) -> bool {
        let is_image =
            |new: &Descriptor| new.ref_name() == old.ref_name() && new.media_type.kind() == MediaKind::Manifest;
        old.media_type.kind() == MediaKind::Index
            && !is_referrers_tag(old)
            && self.index.manifests.iter().any(is_image)
            && !self.index.manifests.iter().any(|new| new.digest == old.digest)
    }

    /// The name of an entry that was replaced, if its image has lost it to another spelling.
    fn lost_name<'d>(&self, old: &'d Descriptor) -> Option<&'d str> {
        let saved = full_name(old);
        let is_it = |new: &Descriptor| {
            let new_saved = full_name(new);
            new.ref_name() == old.ref_name() && (new_saved == saved || new_saved.is_none() || saved.is_none())
        };
        let has_moved = |new: &Descriptor| new.digest == old.digest || is_it(new);
        most_specific(saved, old.ref_name()).filter(|_| !self.index.manifests.iter().any(has_moved))
    }

    /// The location of the target.
    pub(crate) fn target(&self) -> &'a Location {
        self.target
    }

    /// Returns the layout as it was before, or `None` if the target is new or is replaced.
    pub(crate) fn existing(&self) -> Option<&'a Layout> {
        self.layout
    }

    /// Returns the layout; an error if there is none.
    pub(crate) fn layout(&self) -> Result<&'a Layout> {
        let missing = || io::Error::from(io::ErrorKind::NotFound);
        self.layout.ok_or_else(missing).at("open the image", &self.target.shown())
    }

    /// The new index.
    pub(crate) fn index(&self) -> &Index {
        &self.index
    }

    /// The new index, to be changed.
    pub(crate) fn index_mut(&mut self) -> &mut Index {
        &mut self.index
    }

    /// Whether the index differs from the one before.
    pub(crate) fn is_change(&self) -> bool {
        self.index != *self.before
    }

    /// Lists a descriptor from elsewhere; its ref name moves to it. Lists of referrers are merged. Docker archives keep
    /// all entries, since Docker tells images apart by more than their ref names.
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
        let before = self.before;
        let displaced = merge(&mut self.index, &descriptor, |old| before.manifests.contains(old));
        let by = descriptor.ref_name().map(str::to_owned);
        self.displaced.extend(displaced.into_iter().map(|old| (old, by.clone())));
        Ok(())
    }

    /// Lists many descriptors. One that has nothing in common with what is listed is not compared with all of it.
    pub(crate) fn list_all(&mut self, descriptors: impl IntoIterator<Item = Descriptor>) -> Result<()> {
        let mut known: BTreeSet<String> = self.index.manifests.iter().flat_map(marks).collect();
        for descriptor in descriptors {
            let new: Vec<String> = marks(&descriptor).collect();
            let is_new = new.iter().all(|mark| !known.contains(mark));
            known.extend(new);
            if is_new {
                self.index.manifests.push(descriptor);
            } else {
                self.list(descriptor)?;
            }
        }
        Ok(())
    }

    /// Lists a descriptor under a name, and takes that name from any other entry. containerd's name is dropped, since
    /// it belongs to one ref name.
    pub(crate) fn name(&mut self, descriptor: &Descriptor, name: &RefName) {
        let mut named = descriptor.clone();
        if descriptor.ref_name() != Some(name.as_str()) {
            named = named.with_ref_name(name);
            named.annotations.iter_mut().for_each(|annotations| drop(annotations.remove(CONTAINERD_NAME)));
        }
        let displaced = merge(&mut self.index, &named, |_| false);
        self.displaced.extend(displaced.into_iter().map(|old| (old, Some(name.to_string()))));
    }

    /// Stores a document.
    pub(crate) fn put<T>(&mut self, document: &Document<T>, media_type: MediaType) -> Result<Descriptor> {
        self.stage.put(document, media_type)
    }

    /// The stage for new blobs.
    pub(crate) fn stage_mut(&mut self) -> &mut Stage {
        self.stage
    }

    /// Reads a document, staged or existing.
    pub(crate) fn document<T: DeserializeOwned>(&self, descriptor: &Descriptor) -> Result<Document<T>> {
        match self.stage.staged(&descriptor.digest)? {
            Some(raw) => Document::parse(raw, &self.subject(&descriptor.digest)),
            None => self.layout()?.document(descriptor),
        }
    }

    /// Marks blobs for removal after the index is written. Nothing listed may lead to them.
    pub(crate) fn free(&mut self, blobs: impl IntoIterator<Item = Digest>) {
        self.freed.extend(blobs);
    }

    /// Frees what only the old index led to, if that is nothing but documents: what the change replaced. An image with
    /// its own layers, whose name has moved, is left for garbage collection.
    ///
    /// If another document in the layout is damaged, what it leads to is unknown, and nothing is freed.
    pub(crate) fn free_replaced(&mut self) -> Result<Replaced> {
        let mut replaced = Replaced::default();
        let Some(layout) = self.layout else { return Ok(replaced) };
        let Some(kept) = despite_damage(Reach::of(self, &self.index.manifests))? else { return Ok(replaced) };
        let listed: BTreeSet<&Digest> = self.index.manifests.iter().map(|descriptor| &descriptor.digest).collect();
        for gone in self.before.manifests.iter().filter(|old| !listed.contains(&old.digest)) {
            let Some(reached) = despite_damage(Reach::of(layout, std::slice::from_ref(gone)))? else { continue };
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

/// Prefers staged documents to existing ones.
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

    fn links(&self, descriptor: &Descriptor) -> Result<Option<Arc<DocumentLinks>>> {
        match self.layout {
            Some(layout) if !self.stage.holds(&descriptor.digest) => layout.links(descriptor),
            _ => DocumentLinks::read(self, descriptor),
        }
    }
}
