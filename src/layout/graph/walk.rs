//! The walk over documents that everything else uses: it visits each document once and limits how deeply they nest.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::layout::graph::documents::{DocumentLinks, Documents};
use crate::limits::MAX_DOCUMENT_SIZE;
use crate::media_type::MediaKind;
use crate::oci::Descriptor;
use crate::platform::Platform;

/// How deeply indexes may be nested. More than two levels are not seen in practice.
pub(crate) const MAX_DEPTH: usize = 8;

/// The descriptors from an entry of `index.json` to a document, through nested indexes if any.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DescriptorPath {
    /// The entry and the indexes below it that lead to the document.
    above: Vec<Descriptor>,
    /// The document's own descriptor.
    own: Descriptor,
}

impl DescriptorPath {
    /// The document's own descriptor.
    pub(crate) fn descriptor(&self) -> &Descriptor {
        &self.own
    }

    /// Treats the document as one for this platform.
    pub(crate) fn set_platform(&mut self, platform: Platform) {
        self.own.platform = Some(platform);
    }

    /// Whether any of the descriptors has this digest.
    pub(crate) fn leads_through(&self, digest: &Digest) -> bool {
        self.above.iter().chain([&self.own]).any(|descriptor| descriptor.digest == *digest)
    }

    /// Returns the index that lists the document, or `None` if `index.json` does.
    pub(crate) fn index(&self) -> Option<&Descriptor> {
        self.above.last()
    }

    /// The entry of `index.json` at its start.
    pub(crate) fn entry(&self) -> &Descriptor {
        self.above.first().unwrap_or(&self.own)
    }

    /// The path of a document that this one lists.
    fn to(&self, listed: &Descriptor) -> Self {
        let above = self.above.iter().chain([&self.own]).cloned().collect();
        DescriptorPath { above, own: listed.clone() }
    }
}

/// A path of one descriptor.
impl From<Descriptor> for DescriptorPath {
    fn from(own: Descriptor) -> Self {
        DescriptorPath { above: Vec::new(), own }
    }
}

/// Which documents are opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opened {
    /// Indexes only, enough to find manifests.
    Indexes,
    /// Manifests too.
    Manifests,
    /// Documents of unknown kinds too. Everything in them that looks like a descriptor is followed.
    All,
}

/// Whether the subject of a document is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subjects {
    Followed,
    Left,
}

/// A document that the walk reached.
#[derive(Debug)]
pub(crate) struct Met {
    /// Its path. A subject that no index lists has only its own descriptor.
    pub(crate) path: DescriptorPath,
    pub(crate) found: Found,
}

/// The state of the document.
#[derive(Clone, Debug)]
pub(crate) enum Found {
    Read(Arc<DocumentLinks>),
    /// Not opened; it may be missing.
    Unopened,
    /// Missing: often only the needed platforms of a multi-platform image are copied, and a subject need not be present
    /// (image-spec, manifest.md, `subject`).
    Missing,
}

/// Follows descriptors to all documents that they lead to. Each document is visited once, after its subject and the
/// documents that it lists, which keep their order. So the time depends on the number of documents, not on the number
/// of paths to them.
///
/// After an error, the walk ends.
pub(crate) struct Walk<'a> {
    documents: &'a dyn Documents,
    opened: Opened,
    subjects: Subjects,
    roots: VecDeque<DescriptorPath>,
    /// The open documents on the current path.
    steps: Vec<Step>,
    seen: BTreeMap<Digest, MediaKind>,
}

/// A document whose children are being visited.
struct Step {
    path: DescriptorPath,
    found: Found,
    next: usize,
}

/// How a descriptor was reached.
enum Way {
    /// Listed in an index, or a root.
    Listed,
    /// As a subject, or in a document of an unknown kind.
    Aside,
}

impl<'a> Walk<'a> {
    pub(crate) fn new<P: Into<DescriptorPath>>(
        documents: &'a dyn Documents,
        opened: Opened,
        subjects: Subjects,
        roots: impl IntoIterator<Item = P>,
    ) -> Self {
        let roots = roots.into_iter().map(Into::into).collect();
        Walk { documents, opened, subjects, roots, steps: Vec::new(), seen: BTreeMap::new() }
    }

    /// Continues with another root. Documents visited before are not visited again.
    pub(crate) fn go_on_from(&mut self, root: Descriptor) {
        self.roots.push_back(root.into());
    }

    /// Visits a document, unless it was visited before.
    fn come_to(&mut self, path: DescriptorPath, way: &Way) -> Result<()> {
        let descriptor = path.descriptor();
        let kind = descriptor.media_type.kind();
        if let Some(known) = self.seen.get(&descriptor.digest) {
            // A document that is valid as two media types could show each reader a different image (CVE-2021-41190).
            if matches!(way, Way::Listed) && *known != kind {
                let found = &descriptor.media_type;
                let reason = format!("one media type expected, found `{found}` and another");
                return Err(Error::malformed(self.documents.subject(&descriptor.digest), reason));
            }
            return Ok(());
        }
        if path.above.len() >= MAX_DEPTH {
            let reason = format!("documents are nested deeper than {MAX_DEPTH}");
            return Err(Error::malformed(self.documents.subject(&path.entry().digest), reason));
        }
        let is_opened = match kind {
            MediaKind::Index => true,
            MediaKind::Manifest => self.opened != Opened::Indexes,
            MediaKind::Other => {
                let may_be_document = matches!(way, Way::Listed) && descriptor.size <= MAX_DOCUMENT_SIZE;
                self.opened == Opened::All && may_be_document
            }
            _ => false,
        };
        let found = if is_opened {
            self.documents.links(descriptor)?.map_or(Found::Missing, Found::Read)
        } else {
            Found::Unopened
        };
        self.seen.insert(descriptor.digest.clone(), kind);
        self.steps.push(Step { path, found, next: 0 });
        Ok(())
    }

    /// The next child of the current document.
    fn next_child(&mut self) -> Option<(DescriptorPath, Way)> {
        let step = self.steps.last_mut()?;
        let Found::Read(links) = &step.found else { return None };
        let at = step.next;
        step.next = at.saturating_add(1);
        if let Some(listed) = links.manifests().get(at) {
            return Some((step.path.to(listed), Way::Listed));
        }
        let at = at.saturating_sub(links.manifests().len());
        let aside = match &links.subject {
            Some(subject) if at == 0 && self.subjects == Subjects::Followed => subject,
            Some(_) => return None,
            None => links.mentions.get(at)?,
        };
        Some((aside.descriptor().into(), Way::Aside))
    }

    fn advance(&mut self) -> Result<Option<Met>> {
        loop {
            if let Some((path, way)) = self.next_child() {
                self.come_to(path, &way)?;
            } else if let Some(Step { path, found, .. }) = self.steps.pop() {
                return Ok(Some(Met { path, found }));
            } else if let Some(root) = self.roots.pop_front() {
                self.come_to(root, &Way::Listed)?;
            } else {
                return Ok(None);
            }
        }
    }
}

impl Iterator for Walk<'_> {
    type Item = Result<Met>;

    fn next(&mut self) -> Option<Self::Item> {
        let met = self.advance();
        if met.is_err() {
            self.steps.clear();
            self.roots.clear();
        }
        met.transpose()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{json, Value};

    use super::*;
    use crate::layout::graph::tests::{ByHand, OCI};
    use crate::media_type::MediaType;

    fn descriptor(value: &Value) -> Descriptor {
        serde_json::from_value(value.clone()).unwrap()
    }

    fn index(layout: &ByHand, members: &Value) -> Value {
        let mut document = json!({"schemaVersion": 2});
        document.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        layout.put(&MediaType::INDEX, &document)
    }

    /// The documents that a walk visits, each with the digests on its path.
    fn walked(layout: &ByHand, roots: &[&Value], opened: Opened, subjects: Subjects) -> Result<Vec<Vec<Digest>>> {
        let layout = layout.open("");
        let walk = Walk::new(&layout, opened, subjects, roots.iter().map(|root| descriptor(root)));
        let digests = |met: Met| {
            let DescriptorPath { above, own } = met.path;
            above.into_iter().chain([own]).map(|descriptor| descriptor.digest).collect()
        };
        walk.map(|met| met.map(digests)).collect()
    }

    fn paths(all: &[&[&Value]]) -> Vec<Vec<Digest>> {
        all.iter().map(|path| path.iter().map(|document| descriptor(document).digest).collect()).collect()
    }

    #[test]
    fn each_document_comes_once_after_what_it_leads_to() {
        let layout = ByHand::new("walk");
        let (a, b) = (layout.image(&OCI, "amd64", None), layout.image(&OCI, "arm64", None));
        let inner = index(&layout, &json!({"manifests": [b, a]}));
        let about_a = index(&layout, &json!({"manifests": [], "subject": a}));
        let outer = index(&layout, &json!({"manifests": [a, inner, about_a], "subject": b}));
        let gone = json!({"mediaType": MediaType::INDEX, "digest": Digest::of(b"gone"), "size": 4});
        let found = walked(&layout, &[&outer, &inner, &gone], Opened::Indexes, Subjects::Left).unwrap();
        let below: &[&[&Value]] = &[&[&outer, &a], &[&outer, &inner, &b], &[&outer, &inner], &[&outer, &about_a]];
        assert_eq!(found, paths(&[below, &[&[&outer], &[&gone]]].concat()));
        // A subject is not below the document that refers to it.
        let found = walked(&layout, &[&about_a, &outer], Opened::Manifests, Subjects::Followed).unwrap();
        let expected: &[&[&Value]] = &[&[&a], &[&about_a], &[&outer, &inner, &b], &[&outer, &inner], &[&outer]];
        assert_eq!(found, paths(expected));
    }

    #[test]
    fn one_document_is_not_taken_for_two_things() {
        let layout = ByHand::new("two-things");
        let image = layout.image(&OCI, "amd64", None);
        let mut other = image.clone();
        other["mediaType"] = json!(MediaType::INDEX);
        let error = walked(&layout, &[&image, &other], Opened::Indexes, Subjects::Left).unwrap_err().to_string();
        assert!(error.contains("one media type expected"), "{error}");
        // A subject may have any media type: it never selects an image.
        let about = index(&layout, &json!({"manifests": [], "subject": other}));
        walked(&layout, &[&image, &about], Opened::Indexes, Subjects::Followed).unwrap();
    }

    #[test]
    fn the_walk_ends_with_an_error() {
        let layout = ByHand::new("walk-error");
        let image = layout.image(&OCI, "amd64", None);
        let bad = layout.put(&MediaType::INDEX, &json!({}));
        let layout_read = layout.open("");
        let roots = [&bad, &image].map(descriptor);
        let mut walk = Walk::new(&layout_read, Opened::Indexes, Subjects::Left, roots);
        assert!(walk.next().unwrap().is_err());
        assert!(walk.next().is_none());
    }

    #[test]
    fn a_chain_of_subjects_may_be_longer_than_indexes_are_deep() {
        let layout = ByHand::new("subject-chain");
        let mut last = layout.image(&OCI, "amd64", None);
        for _ in 0..3 * MAX_DEPTH {
            last = index(&layout, &json!({"manifests": [], "subject": last}));
        }
        let found = walked(&layout, &[&last], Opened::Manifests, Subjects::Followed).unwrap();
        assert_eq!(found.len(), 3 * MAX_DEPTH + 1);
    }
}
