//! Shows a layout as of one state of its index. Readers take no locks, and an edit removes the documents that it
//! replaces.

use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::de::DeserializeOwned;

use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::layout::graph::documents::{check_kind, DocumentLinks, Documents, Kept};
use crate::layout::reader::read_document;
use crate::layout::{blob_path, Layout, VerifiedReader, INDEX};
use crate::media_type::MediaKind;
use crate::oci::{Descriptor, Document, Index};

/// What was read from a layout.
#[derive(Debug, Default)]
pub(in crate::layout) struct Snapshot {
    index: Mutex<Option<Arc<Document<Index>>>>,
    documents: Mutex<Kept>,
    /// Whether anything was missing.
    missed: AtomicBool,
}

/// How often the index is read again. Each edit writes it once, so this many edits during one read are not expected.
const ATTEMPTS: usize = 16;

impl Layout {
    /// The list of the layout's content (image-spec, image-layout.md#indexjson-file), as of the first read.
    pub fn index(&self) -> Result<Arc<Document<Index>>> {
        let mut known = locked(&self.snapshot.index);
        if let Some(known) = &*known {
            return Ok(Arc::clone(known));
        }
        let index: Document<Index> = self.top_level(INDEX)?;
        self.refuse_ambiguity(index.value())?;
        Ok(Arc::clone(known.insert(Arc::new(index))))
    }

    /// Refuses an `index.json` that others take for something else (CVE-2021-41190).
    fn refuse_ambiguity(&self, index: &Index) -> Result<()> {
        let subject = || format!("{}: {INDEX}", self.location());
        if let Some(other) = index.media_type.as_ref().filter(|own| own.kind() != MediaKind::Index) {
            return Err(Error::malformed(subject(), format!("the media type of an index expected, found `{other}`")));
        }
        // Go's readers do not tell the cases of names apart.
        let is_of_manifest = |name: &str| {
            ["config", "fsLayers", "history", "layers"].iter().any(|member| member.eq_ignore_ascii_case(name))
        };
        if index.other.iter().any(|(name, value)| is_of_manifest(name) && !value.is_null()) {
            return Err(Error::malformed(subject(), "an index expected, found the members of a manifest too"));
        }
        Ok(())
    }

    /// Runs `read` against one state of the index. If something is missing and the index has changed meanwhile, `read`
    /// runs again with the new index.
    pub(crate) fn by_one_index<T>(&self, read: impl Fn() -> Result<T>) -> Result<T> {
        for _ in 1..ATTEMPTS {
            self.snapshot.missed.store(false, Ordering::Relaxed);
            let found = read();
            if !self.snapshot.missed.load(Ordering::Relaxed) || !self.is_outdated()? {
                return found;
            }
            *locked(&self.snapshot.index) = None;
        }
        read()
    }

    /// Whether the index has changed since it was read.
    fn is_outdated(&self) -> Result<bool> {
        let known = locked(&self.snapshot.index).clone();
        let Some(known) = known else { return Ok(false) };
        Ok(!self.has_still(Some(known.raw()))?)
    }

    /// Whether these are still the bytes of its index, or there still is none.
    pub(crate) fn has_still(&self, index: Option<&[u8]>) -> Result<bool> {
        Ok(self.raw_index()?.as_deref() == index)
    }

    /// Whether a blob is present. It is not opened.
    pub fn holds(&self, digest: &Digest) -> Result<bool> {
        let is_there = self.has_file(&blob_path(digest))?;
        if !is_there {
            self.snapshot.missed.store(true, Ordering::Relaxed);
        }
        Ok(is_there)
    }

    /// Reads a document, verified against its descriptor and limited in size.
    pub fn document<T: DeserializeOwned>(&self, descriptor: &Descriptor) -> Result<Document<T>> {
        if descriptor.digest.algorithm().is_none() {
            // The digest cannot be computed: return the error that says so.
            self.blob(descriptor)?;
        }
        match self.raw(descriptor)? {
            Some(raw) => {
                let subject = self.subject(&descriptor.digest);
                let document = Document::parse(raw.to_vec(), &subject)?;
                check_kind(&raw, descriptor, &subject)?;
                Ok(document)
            }
            None => Err(self.lacks(&descriptor.digest)),
        }
    }

    /// The bytes of a document that was read already.
    pub(in crate::layout) fn known(&self, descriptor: &Descriptor) -> Option<Arc<[u8]>> {
        locked(&self.snapshot.documents).raw(descriptor)
    }

    /// The error for a missing blob.
    pub(crate) fn lacks(&self, digest: &Digest) -> Error {
        let cut = self.cut().map(|member| format!(": the archive ends in the middle of `{}`", member.escape_debug()));
        let reason = format!("blob {digest} is missing{}", cut.unwrap_or_default());
        Error::malformed(self.location().to_string(), reason)
    }
}

impl Documents for Layout {
    fn raw(&self, descriptor: &Descriptor) -> Result<Option<Arc<[u8]>>> {
        if let Some(raw) = locked(&self.snapshot.documents).raw(descriptor) {
            return Ok(Some(raw));
        }
        let Some((stored, _)) = self.stored_blob(&descriptor.digest)? else {
            self.snapshot.missed.store(true, Ordering::Relaxed);
            return Ok(None);
        };
        let reader: Box<dyn Read> = match descriptor.digest.algorithm() {
            Some(_) => Box::new(VerifiedReader::new(stored, descriptor)?),
            None => stored,
        };
        let subject = self.subject(&descriptor.digest);
        let limit = self.limits().document;
        let raw: Arc<[u8]> = read_document(limit, reader, descriptor.size, &subject, &self.location().path)?.into();
        locked(&self.snapshot.documents).keep(&descriptor.digest, &raw);
        Ok(Some(raw))
    }

    fn subject(&self, digest: &Digest) -> String {
        self.name_of(digest)
    }

    fn links(&self, descriptor: &Descriptor) -> Result<Option<Arc<DocumentLinks>>> {
        if let Some(links) = locked(&self.snapshot.documents).links(descriptor) {
            return Ok(Some(links));
        }
        let links = DocumentLinks::read(self, descriptor)?;
        if let Some(links) = &links {
            locked(&self.snapshot.documents).keep_links(descriptor, links);
        }
        Ok(links)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::fs;

    use serde_json::Value;

    use super::*;
    use crate::layout::graph::tests::{ByHand, OCI};

    fn digest(descriptor: &Value) -> Digest {
        descriptor["digest"].as_str().unwrap().parse().unwrap()
    }

    fn remove(layout: &ByHand, descriptor: &Value) {
        fs::remove_file(layout.0.path().join(blob_path(&digest(descriptor)))).unwrap();
    }

    #[test]
    fn what_is_gone_is_looked_for_by_the_index_that_is_there_now() {
        let by_hand = ByHand::new("outdated");
        let (old, new) = (by_hand.image(&OCI, "amd64", None), by_hand.image(&OCI, "arm64", None));
        by_hand.list(&[old.clone()]);
        let layout = by_hand.open("");
        layout.index().unwrap();
        by_hand.list(&[new.clone()]);
        // The index is not read again as long as nothing is missing.
        assert_eq!(layout.image(None).unwrap().path.descriptor().digest, digest(&old));

        let layout = by_hand.open("");
        by_hand.list(&[old.clone()]);
        layout.index().unwrap();
        by_hand.list(&[new.clone()]);
        remove(&by_hand, &old);
        assert_eq!(layout.image(None).unwrap().path.descriptor().digest, digest(&new));
        // A document that is missing by the current index is reported as missing.
        remove(&by_hand, &new);
        let error = by_hand.open("").image(None).unwrap_err().to_string();
        assert!(error.ends_with(&format!("blob {} is missing", digest(&new))), "{error}");
    }

    #[test]
    fn the_index_is_not_followed_for_ever() {
        let by_hand = ByHand::new("followed");
        let image = by_hand.image(&OCI, "amd64", None);
        remove(&by_hand, &image);
        by_hand.list(&[image.clone()]);
        let layout = by_hand.open("");
        let count = Cell::new(0);
        let found = layout.by_one_index(|| {
            let listed = layout.index()?.value().manifests.len();
            assert_eq!(listed, count.get() + 1, "each attempt sees one index, the last");
            count.set(listed);
            by_hand.list(&vec![image.clone(); listed + 1]);
            layout.holds(&digest(&image))
        });
        assert_eq!((found.unwrap(), count.get()), (false, ATTEMPTS));
    }

    #[test]
    fn what_was_read_is_not_read_again() {
        let by_hand = ByHand::new("kept");
        let image = by_hand.image(&OCI, "amd64", None);
        by_hand.list(&[image.clone()]);
        let layout = by_hand.open("");
        let descriptor: Descriptor = serde_json::from_value(image.clone()).unwrap();
        layout.links(&descriptor).unwrap().unwrap();
        remove(&by_hand, &image);
        layout.document::<Value>(&descriptor).unwrap();
        // The document is still checked against each descriptor and its media type.
        let larger = Descriptor { size: descriptor.size + 1, ..descriptor.clone() };
        assert!(layout.document::<Value>(&larger).is_err());
        let index = Descriptor { media_type: crate::media_type::MediaType::INDEX, ..descriptor };
        let error = layout.links(&index).unwrap_err().to_string();
        assert!(
            error.contains("the media type `application/vnd.oci.image.index.v1+json` of its descriptor"),
            "{error}"
        );
    }
}
