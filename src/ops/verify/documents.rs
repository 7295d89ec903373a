//! The walk through the documents: from `index.json` through indexes and manifests to configs. Each document is read
//! once and each descriptor of it is held to what was read; blobs that are no documents are noted for later.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::Read;
use std::rc::Rc;

use serde::Deserialize;
use serde_json::Value;

use crate::compress::Format;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::layout::{blob_path, Layout, INDEX, MARKER};
use crate::oci::{self, LayoutMarker, MAX_DOCUMENT_SIZE, MAX_INDEX_SIZE};
use crate::ops::verify::blob::{self, Blobs};
use crate::ops::verify::config::{self, ConfigFacts};
use crate::ops::verify::finding::{quoted, Findings, Place};
use crate::ops::verify::mention::{check_annotations, check_media_type, digest_in, listed_in, AnnotationsOf, Mention};
use crate::ops::verify::stored::{self, Stored, StoredReader};
use crate::ops::verify::{json, shape, Rule};
use crate::work::Observer;

/// A walk and what it has found.
pub(super) struct Documents<'a> {
    pub(super) layout: &'a Layout,
    pub(super) findings: &'a mut Findings,
    observer: &'a dyn Observer,
    pub(super) known: BTreeMap<Digest, Rc<Facts>>,
    /// Manifests and indexes that are still to be followed.
    pub(super) queue: VecDeque<(Mention, Kind)>,
    /// What was mentioned and is no document.
    pub(super) blobs: Blobs,
    /// How many manifests of images there are.
    pub(super) images: u64,
    /// The layers of those that have several, the base's first.
    pub(super) layered: BTreeSet<Vec<Digest>>,
    /// The names of digests that `index.json` gives, and what they lead to.
    pub(super) referrers_tags: Vec<(String, Digest)>,
}

/// What a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Index,
    Manifest,
    Config,
}

/// What reading a document brought to light.
pub(super) struct Facts {
    stored: Size,
    /// None if it could not be made out.
    kind: Option<Kind>,
    /// The media type that it gives itself.
    media_type: Option<String>,
    /// What kind of artifact it is: as it says itself, or the media type of its config.
    artifact_type: Option<String>,
    /// Of a config, or of the manifest of an image.
    pub(super) config: Option<Rc<ConfigFacts>>,
    /// What it says that it is about.
    pub(super) subject: Option<Digest>,
    /// Of an index, what it lists, with the position in its list.
    pub(super) listed: Vec<(usize, Digest)>,
}

#[derive(Clone, Copy)]
enum Size {
    Missing,
    Unreadable,
    Bytes(u64),
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Index => "an index",
            Kind::Manifest => "a manifest",
            Kind::Config => "a config",
        }
    }

    /// What the members of a document make it; several, if someone wants it to be taken for both.
    pub(super) fn of(value: &Value) -> Vec<Self> {
        let is_manifest = value.get("layers").is_some() || value["config"].get("digest").is_some();
        [
            (Kind::Index, value.get("manifests").is_some()),
            (Kind::Manifest, is_manifest),
            (Kind::Config, value.get("rootfs").is_some()),
        ]
        .into_iter()
        .filter_map(|(kind, is_kind)| is_kind.then_some(kind))
        .collect()
    }
}

impl Facts {
    /// A document that could not be made out.
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

impl<'a> Documents<'a> {
    pub(super) fn new(layout: &'a Layout, observer: &'a dyn Observer, findings: &'a mut Findings) -> Self {
        Documents {
            layout,
            observer,
            findings,
            known: BTreeMap::new(),
            queue: VecDeque::new(),
            blobs: Blobs::default(),
            images: 0,
            layered: BTreeSet::new(),
            referrers_tags: Vec::new(),
        }
    }

    /// Walks from the marker and `index.json` to all that they lead to.
    pub(super) fn walk(&mut self) -> Result<()> {
        self.marker()?;
        self.index_json()?;
        while let Some((mention, kind)) = self.queue.pop_front() {
            self.observer.check()?;
            let facts = self.follow(&mention, kind)?;
            if let (Some(platform), Some(config)) = (&mention.platform, &facts.config) {
                self.compare_platforms(platform, config, &mention.place.member("platform"));
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

    /// Whether a descriptor of this digest was met.
    pub(super) fn is_mentioned(&self, digest: &Digest) -> bool {
        self.known.contains_key(digest) || self.blobs.contains(digest)
    }

    fn marker(&mut self) -> Result<()> {
        let place = Place::file(MARKER);
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

    /// A file that has no descriptor; none if it is missing.
    pub(super) fn top_level(&mut self, name: &str) -> Result<Option<Vec<u8>>> {
        let Some((reader, size)) = self.layout.file(name)? else { return Ok(None) };
        let mut raw = Vec::new();
        let limit = limit(name);
        let read = reader.take(limit + 1).read_to_end(&mut raw);
        if let Err(error) = read {
            return Err(Error::malformed(format!("{}: {name}", self.layout.location()), error.to_string()));
        }
        if raw.len() as u64 > limit {
            self.add_too_large(size, limit, &Place::file(name));
        }
        Ok(Some(raw))
    }

    fn add_too_large(&mut self, size: u64, limit: u64, place: &Place) {
        let expected = format!("at most {limit} bytes");
        self.findings.add(Rule::DocumentSize, place, expected, format!("{size} bytes"));
    }

    /// The value of a document; none if it is no JSON, which the findings know then.
    pub(super) fn parse(&mut self, raw: &[u8], place: &Place) -> Option<Value> {
        if raw.len() as u64 > limit(place.file_name()) {
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
                self.findings.add(Rule::DocumentJson, place, "well-formed JSON", error.to_string());
                None
            }
        }
    }

    /// Reads the document that a descriptor is about, unless it was read before, and holds it to the descriptor.
    pub(super) fn follow(&mut self, mention: &Mention, wanted: Kind) -> Result<Rc<Facts>> {
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
                let place = Place::file(blob_path(&mention.digest)).member("mediaType");
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

    fn open(&mut self, digest: &Digest, wanted: Kind) -> Result<Facts> {
        let reader = match stored::open(self.layout, digest, self.observer, self.findings) {
            Stored::Missing => return Ok(Facts::unknown(Size::Missing)),
            Stored::Unreadable => return Ok(Facts::unknown(Size::Unreadable)),
            Stored::Here(reader) => reader,
        };
        let Some((raw, size)) = read_document(reader, digest, self.findings)? else {
            return Ok(Facts::unknown(Size::Unreadable));
        };
        let place = Place::file(blob_path(digest));
        if size > MAX_DOCUMENT_SIZE {
            self.add_too_large(size, MAX_DOCUMENT_SIZE, &place);
        } else if let Some(found) = what_is_no_document(&raw) {
            self.findings.add(Rule::BlobContent, &place, format!("{} in JSON", wanted.name()), found);
        } else if let Some(value) = self.parse(&raw, &place) {
            return self.document(&value, wanted, &place, size);
        }
        Ok(Facts::unknown(Size::Bytes(size)))
    }

    fn document(&mut self, value: &Value, wanted: Kind, place: &Place, size: u64) -> Result<Facts> {
        let kinds = Kind::of(value);
        self.check_ambiguity(&kinds, place);
        let kind = if kinds.contains(&wanted) { wanted } else { kinds.first().copied().unwrap_or(wanted) };
        let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let mut facts = Facts { kind: Some(kind), ..Facts::unknown(Size::Bytes(size)) };
        match kind {
            // What stands in the place of a config is not followed: a chain of such could go on for ever.
            Kind::Index | Kind::Manifest if wanted == Kind::Config => {}
            Kind::Index => {
                facts.media_type = text(&value["mediaType"]);
                facts.artifact_type = text(&value["artifactType"]);
                facts.subject = digest_in(&value["subject"]);
                facts.listed = listed_in(value);
                self.index(value, place, AnnotationsOf::Other)?;
            }
            Kind::Manifest => {
                facts.media_type = text(&value["mediaType"]);
                facts.artifact_type = text(&value["artifactType"]).or_else(|| text(&value["config"]["mediaType"]));
                facts.subject = digest_in(&value["subject"]);
                facts.config = self.manifest(value, place)?;
            }
            Kind::Config => {
                let errors = self.findings.errors();
                shape::CONFIG.check(value, place, self.findings);
                facts.config = Some(Rc::new(config::check(value, place, self.findings)));
                self.check_readable::<oci::ImageConfig>(value, errors, place);
            }
        }
        Ok(facts)
    }

    /// A manifest that is also an index is one image to some readers and another to others.
    pub(super) fn check_ambiguity(&mut self, kinds: &[Kind], place: &Place) {
        if kinds.contains(&Kind::Index) && kinds.contains(&Kind::Manifest) {
            self.findings.add(Rule::DocumentAmbiguous, place, "a manifest or an index", "the members of both");
        }
    }

    /// The tables of members and this library's own structs must not differ on what is well-formed.
    /// `errors` is how many there were before the document was looked at.
    pub(super) fn check_readable<'de, T: Deserialize<'de>>(&mut self, value: &'de Value, errors: usize, place: &Place) {
        if self.findings.errors() == errors {
            if let Err(error) = T::deserialize(value) {
                self.findings.add(Rule::DocumentStructure, place, "a document that can be read", error.to_string());
            }
        }
    }

    /// What manifests and indexes have in common.
    pub(super) fn check_head(&mut self, value: &Value, place: &Place) {
        if let Some(version) = value.get("schemaVersion").filter(|version| version.is_number() && **version != 2) {
            self.findings.add(Rule::SchemaVersion, &place.member("schemaVersion"), "2", version.to_string());
        }
        for member in ["mediaType", "artifactType"] {
            check_media_type(value[member].as_str(), &place.member(member), self.findings);
        }
        if value["mediaType"].is_null() {
            self.findings.add(Rule::DocumentMediaTypeMissing, &place.member("mediaType"), "a media type", "nothing");
        }
        check_annotations(value, AnnotationsOf::Other, place, self.findings);
    }

    pub(super) fn add_unknown(&mut self, mention: &Mention, expected: &str) {
        let place = mention.place.member("mediaType");
        self.findings.add(Rule::UnknownMediaType, &place, expected, quoted(mention.media_type.as_str()));
    }

    pub(super) fn add_misplaced(&mut self, mention: &Mention, expected: &str) {
        let place = mention.place.member("mediaType");
        self.findings.add(Rule::DescriptorKind, &place, expected, quoted(mention.media_type.as_str()));
    }
}

/// How many bytes a file that is a document may have.
fn limit(name: &str) -> u64 {
    if name == INDEX {
        MAX_INDEX_SIZE
    } else {
        MAX_DOCUMENT_SIZE
    }
}

/// A document's bytes, as many as a document may have, and their number; none if they cannot be read.
fn read_document(mut reader: StoredReader, digest: &Digest, findings: &mut Findings) -> Result<Option<(Vec<u8>, u64)>> {
    let mut raw = Vec::new();
    // The reader keeps its error.
    let _ = (&mut reader).take(MAX_DOCUMENT_SIZE + 1).read_to_end(&mut raw);
    Ok(reader.finish(digest, findings)?.map(|size| (raw, size)))
}

/// What a blob is that is certainly no JSON.
fn what_is_no_document(raw: &[u8]) -> Option<&'static str> {
    match Format::sniff(raw) {
        Format::Plain if raw.get(257..262) == Some(b"ustar") => Some("a tar"),
        Format::Plain => None,
        format => Some(blob::format_name(format)),
    }
}
