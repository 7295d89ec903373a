//! Blobs that are not documents. Each is read once and compared with everything that is said about it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use crate::compress::Format;
use crate::digest::{Algorithm, Digest};
use crate::error::Result;
use crate::layer::{format_name, format_of};
use crate::layout::{blob_path, Layout};
use crate::media_type::{LayerEncoding, MediaKind};
use crate::ops::verify::finding::{quoted, FindingPlace, Findings};
use crate::ops::verify::layer::{self, LayerFacts};
use crate::ops::verify::mention::{BlobMention, IfMissing};
use crate::ops::verify::stored::{self, Stored, StoredReader};
use crate::ops::verify::Rule;
use crate::work::Observer;

/// A blob that is not a document, and everything that mentions it.
#[derive(Debug)]
pub(super) struct Blob {
    pub(super) digest: Digest,
    mentions: Vec<(BlobMention, BlobRole)>,
}

/// What a descriptor has a blob for.
#[derive(Debug)]
pub(super) enum BlobRole {
    /// Bytes, not looked into.
    Opaque,
    /// A layer of an image, with the place and value of its `diff_id` if the config has one.
    Layer(LayerEncoding, Option<(FindingPlace, Digest)>),
}

/// Blobs in the order in which they were first mentioned.
#[derive(Debug, Default)]
pub(super) struct Blobs {
    list: Vec<Blob>,
    positions: BTreeMap<Digest, usize>,
}

impl Blobs {
    /// Notes a descriptor.
    pub(super) fn mention(&mut self, mention: BlobMention, role: BlobRole) {
        let position = self.position(&mention.digest);
        self.list[position].mentions.push((mention, role));
    }

    /// Notes a blob that nothing mentions.
    pub(super) fn add_unmentioned(&mut self, digest: &Digest) {
        self.position(digest);
    }

    pub(super) fn contains(&self, digest: &Digest) -> bool {
        self.positions.contains_key(digest)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Blob> {
        self.list.iter()
    }

    fn position(&mut self, digest: &Digest) -> usize {
        *self.positions.entry(digest.clone()).or_insert_with(|| {
            self.list.push(Blob { digest: digest.clone(), mentions: Vec::new() });
            self.list.len() - 1
        })
    }
}

impl Blob {
    /// Reads the blob and compares it with what is said about it. Notes a layer that has entries
    /// without directories above them. Returns the size, or `None` if the blob cannot be read.
    pub(super) fn check(
        &self,
        layout: &Layout,
        observer: &dyn Observer,
        findings: &mut Findings,
        implied: &mut BTreeSet<Digest>,
    ) -> Result<Option<u64>> {
        let mut stored = match stored::open(layout, &self.digest, observer, findings) {
            Stored::Here(stored) => stored,
            Stored::Unreadable => return Ok(None),
            Stored::Missing => {
                self.mentions.iter().for_each(|(mention, _)| add_missing(mention, findings));
                return Ok(None);
            }
        };
        let place = FindingPlace::file(blob_path(&self.digest));
        let diff_ids = self.mentions.iter().filter_map(|(_, role)| match role {
            BlobRole::Layer(_, diff_id) => diff_id.as_ref(),
            BlobRole::Opaque => None,
        });
        let mut algorithms: Vec<Algorithm> = diff_ids.clone().filter_map(|(_, diff_id)| diff_id.algorithm()).collect();
        algorithms.sort_unstable();
        algorithms.dedup();
        let is_layer = self.mentions.iter().any(|(_, role)| matches!(role, BlobRole::Layer(..)));
        let mut facts = None;
        if is_layer {
            facts = layer::read(&mut stored, algorithms, &place, findings)?;
        } else {
            self.check_empty(&mut stored, &place, findings);
        }
        let size = stored.finish(&self.digest, findings)?;
        for (mention, role) in &self.mentions {
            if let Some(size) = size {
                check_size(mention, size, findings);
            }
            if let (BlobRole::Layer(encoding, _), Some(facts)) = (role, &facts) {
                check_encoding(mention, *encoding, facts.format, findings);
            }
        }
        if let Some(facts) = facts {
            if facts.implies_directories {
                implied.insert(self.digest.clone());
            }
            diff_ids.for_each(|(place, diff_id)| check_diff_id(diff_id, &self.digest, &facts, place, findings));
        }
        Ok(size)
    }

    /// Checks that a blob of the empty type is the two bytes `{}` (image-spec,
    /// manifest.md#guidance-for-an-empty-descriptor).
    fn check_empty(&self, stored: &mut StoredReader, place: &FindingPlace, findings: &mut Findings) {
        if !self.mentions.iter().any(|(mention, _)| mention.media_type.kind() == MediaKind::Empty) {
            return;
        }
        let mut start = Vec::new();
        if stored.take(3).read_to_end(&mut start).is_ok() && start != b"{}" {
            findings.add(Rule::BlobContent, place, "`{}`, as the media type for what is empty says", "something else");
        }
    }
}

/// Adds that a blob is missing, which is not an error if it may be elsewhere.
pub(super) fn add_missing(mention: &BlobMention, findings: &mut Findings) {
    let rule = match mention.if_missing {
        IfMissing::Error => Rule::BlobMissing,
        IfMissing::Elsewhere => Rule::BlobElsewhere,
        IfMissing::OtherPlatform => Rule::PlatformMissing,
    };
    findings.add(rule, &mention.place, format!("the blob {}", mention.digest), "nothing");
}

/// Compares a blob's size with a descriptor.
pub(super) fn check_size(mention: &BlobMention, found: u64, findings: &mut Findings) {
    if let Some(expected) = mention.size.filter(|expected| *expected != found) {
        let place = mention.place.member("size");
        findings.add(Rule::BlobSize, &place, format!("the blob's {found} bytes"), format!("{expected} bytes"));
    }
}

fn check_encoding(mention: &BlobMention, encoding: LayerEncoding, found: Format, findings: &mut Findings) {
    let expected = format_of(encoding);
    if found != expected {
        let expected = format!("{}, as {} says", format_name(expected), quoted(mention.media_type.as_str()));
        findings.add(Rule::BlobContent, &FindingPlace::file(blob_path(&mention.digest)), expected, format_name(found));
    }
}

fn check_diff_id(diff_id: &Digest, layer: &Digest, facts: &LayerFacts, place: &FindingPlace, findings: &mut Findings) {
    let found = facts.diff_ids.iter().find(|found| found.algorithm() == diff_id.algorithm());
    if let Some(found) = found.filter(|found| *found != diff_id) {
        findings.add(Rule::DiffId, place, format!("{found}, the digest of the tar in {layer}"), diff_id.to_string());
    }
}
