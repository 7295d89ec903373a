//! The walk through the documents: from `index.json` through indexes and manifests to configs. Each document is read
//! once, and each descriptor of it is compared with it. Blobs that are not documents are noted for later.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::Read;
use std::rc::Rc;

use serde_json::Value;

use crate::compress::Format;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::layer::format_name;
use crate::layout::{blob_path, size_limit, Layout, MARKER};
use crate::oci::annotations::ATTESTED;
use crate::oci::{self, LayoutMarker};
use crate::ops::verify::blob::{self, Blobs};
use crate::ops::verify::config::{self, ConfigFacts};
use crate::ops::verify::finding::{quoted, FindingPlace, Findings};
use crate::ops::verify::mention::{digest_in, listed_in, AnnotationsOf, BlobMention};
use crate::ops::verify::stored::{self, Stored, StoredReader};
use crate::ops::verify::{json, shape, Rule};
use crate::work::Observer;

/// A walk and what it has found.
pub(super) struct DocumentWalk<'a> {
    pub(super) layout: &'a Layout,
    pub(super) findings: &'a mut Findings,
    observer: &'a dyn Observer,
    /// The bytes of `index.json`, if it is there.
    pub(super) index_json: Option<Vec<u8>>,
    pub(super) known: BTreeMap<Digest, Rc<Facts>>,
    /// Manifests and indexes that are yet to be followed.
    pub(super) queue: VecDeque<(BlobMention, DocumentKind)>,
    /// What was mentioned and is not a document.
    pub(super) blobs: Blobs,
    /// How many manifests of images there are.
    pub(super) images: u64,
    /// The layers of the images that have several, the base's first.
    pub(super) layered: BTreeSet<Vec<Digest>>,
    /// The referrers tags in `index.json`, and what they lead to.
    pub(super) referrers_tags: Vec<(String, Digest)>,
}

/// What a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DocumentKind {
    Index,
    Manifest,
    Config,
}

/// What is known about a document that was read.
pub(super) struct Facts {
    stored: Size,
    /// `None` if it is unknown.
    kind: Option<DocumentKind>,
    /// The media type that it gives itself.
    media_type: Option<String>,
    /// Its artifact type, or else the media type of its config.
    artifact_type: Option<String>,
    /// For a config, or the manifest of an image.
    pub(super) config: Option<Rc<ConfigFacts>>,
    /// Its subject.
    pub(super) subject: Option<Digest>,
    /// What an index lists, with the positions in its list.
    pub(super) listed: Vec<(usize, Digest)>,
}

#[derive(Clone, Copy)]
enum Size {
    Missing,
    Unreadable,
    Bytes(u64),
}

impl DocumentKind {
    fn name(self) -> &'static str {
        match self {
            DocumentKind::Index => "an index",
            DocumentKind::Manifest => "a manifest",
            DocumentKind::Config => "a config",
        }
    }

    /// Returns what a document is by its members: more than one kind if it is ambiguous.
    pub(super) fn of(value: &Value) -> Vec<Self> {
        let is_manifest = value.get("layers").is_some() || value["config"].get("digest").is_some();
        [
            (DocumentKind::Index, value.get("manifests").is_some()),
            (DocumentKind::Manifest, is_manifest),
            (DocumentKind::Config, value.get("rootfs").is_some()),
        ]
        .into_iter()
        .filter_map(|(kind, is_kind)| is_kind.then_some(kind))
        .collect()
    }
}

impl Facts {
    /// A document of unknown kind.
    fn unknown(stored: Size) -> Self {
        Facts {
            stored,
            kind: None,
            media_type: None,
            artifact_type: None,
            config: None,
            subject: None,
            listed: Vec::new(),
        }
    }
}

impl<'a> DocumentWalk<'a> {
    pub(super) fn new(layout: &'a Layout, observer: &'a dyn Observer, findings: &'a mut Findings) -> Self {
        DocumentWalk {
            layout,
            observer,
            findings,
            index_json: None,
            known: BTreeMap::new(),
            queue: VecDeque::new(),
            blobs: Blobs::default(),
            images: 0,
            layered: BTreeSet::new(),
            referrers_tags: Vec::new(),
        }
    }

    /// Walks from the marker and `index.json` to everything that they lead to.
    pub(super) fn walk(&mut self) -> Result<()> {
        self.marker()?;
        self.index_json()?;
        while let Some((mention, kind)) = self.queue.pop_front() {
            self.observer.check()?;
            let facts = self.follow(&mention, kind)?;
            if let (Some(platform), Some(config)) = (&mention.platform, &facts.config) {
                self.compare_platforms(platform, config, &mention.place.member("platform"));
            }
            if let (Some(attested), Some(subject)) = (&mention.attested, &facts.subject) {
                if attested != subject {
                    let place = mention.place.member("annotations").member(ATTESTED);
                    let expected = format!("{subject}, the subject of the attestation");
                    self.findings.add(Rule::AttestationSubject, &place, expected, attested.to_string());
                }
            }
        }
        self.check_referrers();
        Ok(())
    }

    /// The number and the bytes of the documents that were read.
    pub(super) fn read(&self) -> (u64, u64) {
        let sizes = self.known.values().filter_map(|facts| match facts.stored {
            Size::Bytes(size) => Some(size),
            Size::Missing | Size::Unreadable => None,
        });
        sizes.fold((0, 0), |(count, bytes), size| (count + 1, bytes + size))
    }

    /// Whether a descriptor with this digest was met.
    pub(super) fn is_mentioned(&self, digest: &Digest) -> bool {
        self.known.contains_key(digest) || self.blobs.contains(digest)
    }

    fn marker(&mut self) -> Result<()> {
        let place = FindingPlace::file(MARKER);
        let expected = format!("a file with the layout version {}", LayoutMarker::VERSION);
        let Some(raw) = self.top_level(MARKER)? else {
            self.findings.add(Rule::LayoutMarker, &place, expected, "nothing");
            return Ok(());
        };
        let Some(value) = self.parse(&raw, &place) else { return Ok(()) };
        shape::MARKER.check(&value, &place, self.findings);
        if let Some(version) = value["imageLayoutVersion"].as_str().filter(|text| *text != LayoutMarker::VERSION) {
            self.findings.add(Rule::LayoutMarker, &place.member("imageLayoutVersion"), expected, quoted(version));
        }
        Ok(())
    }

    /// Reads a file that has no descriptor. Returns `None` if it is missing.
    pub(super) fn top_level(&mut self, name: &str) -> Result<Option<Vec<u8>>> {
        let Some((reader, size)) = self.layout.file(name)? else { return Ok(None) };
        let mut raw = Vec::new();
        let limit = size_limit(name, self.layout.limits());
        let read = reader.take(limit + 1).read_to_end(&mut raw);
        if let Err(error) = read {
            return Err(Error::malformed(format!("{}: {name}", self.layout.location()), error.to_string()));
        }
        if raw.len() as u64 > limit {
            self.add_too_large(size, limit, &FindingPlace::file(name));
        }
        Ok(Some(raw))
    }

    fn add_too_large(&mut self, size: u64, limit: u64, place: &FindingPlace) {
        let expected = format!("at most {limit} bytes");
        self.findings.add(Rule::DocumentSize, place, expected, format!("{size} bytes"));
    }

    /// Parses a document. Returns `None`, and adds a finding, if it is not JSON.
    pub(super) fn parse(&mut self, raw: &[u8], place: &FindingPlace) -> Option<Value> {
        if raw.len() as u64 > size_limit(place.file_name(), self.layout.limits()) {
            return None;
        }
        match json::read(raw) {
            Ok((value, repeated)) => {
                for path in repeated {
                    let place = path.iter().fold(place.clone(), |place, name| place.member(name));
                    self.findings.add(Rule::DocumentRepeatedMember, &place, "each member once", "the name again");
                }
                Some(value)
            }
            Err(error) => {
                let found = error.to_string();
                let is_too_deep = found.starts_with("recursion limit exceeded");
                let expected = if is_too_deep { "at most 127 levels of nesting" } else { "well-formed JSON" };
                self.findings.add(Rule::DocumentJson, place, expected, found);
                None
            }
        }
    }

    /// Reads the document of a descriptor, unless it was read before, and compares it with the descriptor.
    pub(super) fn follow(&mut self, mention: &BlobMention, wanted: DocumentKind) -> Result<Rc<Facts>> {
        let facts = if let Some(facts) = self.known.get(&mention.digest) {
            Rc::clone(facts)
        } else {
            let facts = Rc::new(self.open(&mention.digest, wanted)?);
            self.known.insert(mention.digest.clone(), Rc::clone(&facts));
            facts
        };
        match facts.stored {
            Size::Missing => blob::add_missing(mention, self.findings),
            Size::Unreadable => {}
            Size::Bytes(size) => blob::check_size(mention, size, self.findings),
        }
        let media_type = mention.media_type.as_str();
        match (facts.kind.filter(|kind| *kind != wanted), &facts.media_type) {
            (Some(kind), _) => {
                let expected = format!("{}, as {} says", wanted.name(), quoted(media_type));
                self.findings.add(Rule::BlobContent, &mention.place, expected, kind.name());
            }
            (None, Some(found)) if found != media_type => {
                let place = FindingPlace::file(blob_path(&mention.digest)).member("mediaType");
                let expected = format!("{}, as {} says", quoted(media_type), mention.place);
                self.findings.add(Rule::DocumentMediaType, &place, expected, quoted(found));
            }
            _ => {}
        }
        if let (Some(given), Some(expected)) = (&mention.artifact_type, &facts.artifact_type) {
            if given != expected {
                let place = mention.place.member("artifactType");
                let expected = format!("{}, as the manifest says", quoted(expected));
                self.findings.add(Rule::ArtifactType, &place, expected, quoted(given));
            }
        }
        Ok(facts)
    }

    fn open(&mut self, digest: &Digest, wanted: DocumentKind) -> Result<Facts> {
        let reader = match stored::open(self.layout, digest, self.observer, self.findings) {
            Stored::Missing => return Ok(Facts::unknown(Size::Missing)),
            Stored::Unreadable => return Ok(Facts::unknown(Size::Unreadable)),
            Stored::Here(reader) => reader,
        };
        let limit = self.layout.limits().document;
        let Some((raw, size)) = read_document(reader, limit, digest, self.findings)? else {
            return Ok(Facts::unknown(Size::Unreadable));
        };
        let place = FindingPlace::file(blob_path(digest));
        if size > limit {
            self.add_too_large(size, limit, &place);
        } else if let Some(found) = what_is_no_document(&raw) {
            self.findings.add(Rule::BlobContent, &place, format!("{} in JSON", wanted.name()), found);
        } else if let Some(value) = self.parse(&raw, &place) {
            return self.document(&value, wanted, &place, size);
        }
        Ok(Facts::unknown(Size::Bytes(size)))
    }

    fn document(&mut self, value: &Value, wanted: DocumentKind, place: &FindingPlace, size: u64) -> Result<Facts> {
        let kinds = DocumentKind::of(value);
        self.check_ambiguity(value, &kinds, place);
        let kind = if kinds.contains(&wanted) { wanted } else { kinds.first().copied().unwrap_or(wanted) };
        let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let mut facts = Facts { kind: Some(kind), ..Facts::unknown(Size::Bytes(size)) };
        match kind {
            // An index or manifest in place of a config is not followed: a chain of them could go on for ever.
            DocumentKind::Index | DocumentKind::Manifest if wanted == DocumentKind::Config => {}
            DocumentKind::Index => {
                facts.media_type = text(&value["mediaType"]);
                facts.artifact_type = text(&value["artifactType"]);
                facts.subject = digest_in(&value["subject"]);
                facts.listed = listed_in(value);
                self.index(value, place, AnnotationsOf::Other)?;
            }
            DocumentKind::Manifest => {
                facts.media_type = text(&value["mediaType"]);
                facts.artifact_type = text(&value["artifactType"]).or_else(|| text(&value["config"]["mediaType"]));
                facts.subject = digest_in(&value["subject"]);
                facts.config = self.manifest(value, place)?;
            }
            DocumentKind::Config => {
                let errors = self.findings.errors();
                shape::CONFIG.check(value, place, self.findings);
                facts.config = Some(Rc::new(config::check(value, place, self.findings)));
                self.check_readable::<oci::ImageConfig>(value, errors, place);
            }
        }
        Ok(facts)
    }
}

/// Returns a document's bytes, one more than `limit` at most, and their number; `None` if they cannot be read.
fn read_document(
    mut reader: StoredReader,
    limit: u64,
    digest: &Digest,
    findings: &mut Findings,
) -> Result<Option<(Vec<u8>, u64)>> {
    let mut raw = Vec::new();
    // The reader keeps its error.
    let _ = (&mut reader).take(limit.saturating_add(1)).read_to_end(&mut raw);
    Ok(reader.finish(digest, findings)?.map(|size| (raw, size)))
}

/// Returns what a blob is if it is certainly not JSON.
fn what_is_no_document(raw: &[u8]) -> Option<&'static str> {
    match Format::sniff(raw) {
        Format::Plain if raw.get(257..262) == Some(b"ustar") => Some("a tar"),
        Format::Plain => None,
        format => Some(format_name(format)),
    }
}
