//! The walk through the documents: from `index.json` through indexes and manifests to configs. Each document is read
//! once and each descriptor of it is held to what was read; blobs that are no documents are noted for later.

use std::collections::{BTreeMap, VecDeque};
use std::io::Read;
use std::rc::Rc;

use serde_json::Value;

use crate::compress::Format;
use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::layout::{blob_path, Layout, INDEX, MARKER};
use crate::media_type::{MediaKind, MediaType};
use crate::observer::Observer;
use crate::oci::{self, LayoutMarker, MAX_DOCUMENT_SIZE};
use crate::ops::verify::blob::{self, Blobs, Role, Stored};
use crate::ops::verify::config::{self, ConfigFacts, PLATFORM_MEMBERS};
use crate::ops::verify::finding::{quoted, Findings, Place};
use crate::ops::verify::mention::{check_annotations, check_media_type, AnnotationsOf, Mention};
use crate::ops::verify::{json, shape, Rule};

/// A walk and what it has found.
pub(super) struct Documents<'a> {
    layout: &'a Layout,
    observer: &'a dyn Observer,
    findings: &'a mut Findings,
    known: BTreeMap<Digest, Rc<Facts>>,
    queue: VecDeque<(Mention, Kind)>,
    /// What was mentioned and is no document.
    pub(super) blobs: Blobs,
    /// How many manifests of images there are.
    pub(super) images: u64,
}

/// What a document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Index,
    Manifest,
    Config,
}

/// What reading a document brought to light.
struct Facts {
    stored: Size,
    /// None if it could not be made out.
    kind: Option<Kind>,
    /// The media type that it gives itself.
    media_type: Option<String>,
    /// Of a config, or of the manifest of an image.
    config: Option<Rc<ConfigFacts>>,
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
    fn of(value: &Value) -> Vec<Self> {
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

    fn index_json(&mut self) -> Result<()> {
        let place = Place::file(INDEX);
        let Some(raw) = self.top_level(INDEX)? else {
            self.findings.add(Rule::LayoutIndex, &place, "a file", "nothing");
            return Ok(());
        };
        let Some(value) = self.parse(&raw, &place) else { return Ok(()) };
        if let Some(found) = value["mediaType"].as_str().filter(|text| *text != MediaType::INDEX.as_str()) {
            let expected = quoted(MediaType::INDEX.as_str());
            self.findings.add(Rule::DocumentMediaType, &place.member("mediaType"), expected, quoted(found));
        }
        self.check_ambiguity(&Kind::of(&value), &place);
        self.index(&value, &place, AnnotationsOf::IndexEntry)
    }

    /// A file that has no descriptor; none if it is missing or larger than a document may be.
    fn top_level(&mut self, name: &str) -> Result<Option<Vec<u8>>> {
        let Some((reader, size)) = self.layout.file(name)? else { return Ok(None) };
        let mut raw = Vec::new();
        let read = reader.take(MAX_DOCUMENT_SIZE + 1).read_to_end(&mut raw);
        if let Err(error) = read {
            return Err(Error::malformed(format!("{}: {name}", self.layout.location()), error.to_string()));
        }
        if raw.len() as u64 > MAX_DOCUMENT_SIZE {
            self.add_too_large(size, &Place::file(name));
        }
        Ok(Some(raw))
    }

    fn add_too_large(&mut self, size: u64, place: &Place) {
        let expected = format!("at most {MAX_DOCUMENT_SIZE} bytes");
        self.findings.add(Rule::DocumentSize, place, expected, format!("{size} bytes"));
    }

    /// The value of a document; none if it is no JSON, which the findings know then.
    fn parse(&mut self, raw: &[u8], place: &Place) -> Option<Value> {
        if raw.len() as u64 > MAX_DOCUMENT_SIZE {
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
    fn follow(&mut self, mention: &Mention, wanted: Kind) -> Result<Rc<Facts>> {
        let facts = match self.known.get(&mention.digest) {
            Some(facts) => Rc::clone(facts),
            None => {
                let facts = Rc::new(self.open(&mention.digest, wanted)?);
                self.known.insert(mention.digest.clone(), Rc::clone(&facts));
                facts
            }
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
        Ok(facts)
    }

    fn open(&mut self, digest: &Digest, wanted: Kind) -> Result<Facts> {
        let facts = |stored| Facts { stored, kind: None, media_type: None, config: None };
        let mut reader = match blob::open(self.layout, digest, self.observer, self.findings) {
            Stored::Missing => return Ok(facts(Size::Missing)),
            Stored::Unreadable => return Ok(facts(Size::Unreadable)),
            Stored::Here(reader) => reader,
        };
        let mut raw = Vec::new();
        // The reader keeps its error.
        let _ = (&mut reader).take(MAX_DOCUMENT_SIZE + 1).read_to_end(&mut raw);
        let Some(size) = reader.finish(digest, self.findings)? else { return Ok(facts(Size::Unreadable)) };
        let facts = facts(Size::Bytes(size));
        let place = Place::file(blob_path(digest));
        if size > MAX_DOCUMENT_SIZE {
            self.add_too_large(size, &place);
            return Ok(facts);
        }
        if let Some(found) = what_is_no_document(&raw) {
            self.findings.add(Rule::BlobContent, &place, format!("{} in JSON", wanted.name()), found);
            return Ok(facts);
        }
        match self.parse(&raw, &place) {
            Some(value) => self.document(&value, wanted, &place, facts),
            None => Ok(facts),
        }
    }

    fn document(&mut self, value: &Value, wanted: Kind, place: &Place, facts: Facts) -> Result<Facts> {
        let kinds = Kind::of(value);
        self.check_ambiguity(&kinds, place);
        let kind = if kinds.contains(&wanted) { wanted } else { kinds.first().copied().unwrap_or(wanted) };
        let media_type = value["mediaType"].as_str().filter(|_| kind != Kind::Config).map(str::to_owned);
        let config = match kind {
            Kind::Index => {
                self.index(value, place, AnnotationsOf::Other)?;
                None
            }
            Kind::Manifest => self.manifest(value, place)?,
            Kind::Config => {
                let before = self.findings.len();
                shape::CONFIG.check(value, place, self.findings);
                let config = config::check(value, place, self.findings);
                self.check_readable::<oci::ImageConfig>(value, before, place);
                Some(Rc::new(config))
            }
        };
        Ok(Facts { kind: Some(kind), media_type, config, ..facts })
    }

    /// A manifest that is also an index is one image to some readers and another to others.
    fn check_ambiguity(&mut self, kinds: &[Kind], place: &Place) {
        if kinds.contains(&Kind::Index) && kinds.contains(&Kind::Manifest) {
            self.findings.add(Rule::DocumentAmbiguous, place, "a manifest or an index", "the members of both");
        }
    }

    /// The tables of members and this library's own structs must not differ on what is well-formed.
    fn check_readable<T: serde::de::DeserializeOwned>(&mut self, value: &Value, before: usize, place: &Place) {
        if self.findings.len() == before {
            if let Err(error) = serde_json::from_value::<T>(value.clone()) {
                self.findings.add(Rule::DocumentStructure, place, "a document that can be read", error.to_string());
            }
        }
    }

    /// What manifests and indexes have in common.
    fn check_head(&mut self, value: &Value, place: &Place) {
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

    fn index(&mut self, value: &Value, place: &Place, of: AnnotationsOf) -> Result<()> {
        let before = self.findings.len();
        shape::INDEX.check(value, place, self.findings);
        self.check_head(value, place);
        let Some(descriptors) = value["manifests"].as_array() else { return Ok(()) };
        let place_of = |number: usize| place.member("manifests").member(number);
        let mut mentions = Vec::new();
        for (number, descriptor) in descriptors.iter().enumerate() {
            check_annotations(descriptor, of, &place_of(number), self.findings);
            let mention = Mention::read(descriptor, place_of(number), self.findings);
            mentions.extend(mention.map(|mention| (ref_name(descriptor), mention)));
        }
        let subject = self.subject(value, place);
        self.check_readable::<oci::Index>(value, before, place);
        if of == AnnotationsOf::IndexEntry {
            self.choose(descriptors, &mut mentions, place)?;
        }
        for (_, mention) in mentions {
            match mention.media_type.kind() {
                MediaKind::Manifest => self.queue.push_back((mention, Kind::Manifest)),
                MediaKind::Index => self.queue.push_back((mention, Kind::Index)),
                MediaKind::Config | MediaKind::Layer(_) | MediaKind::Empty | MediaKind::Other => {
                    self.add_unknown(&mention, "a manifest or an index");
                    self.blobs.mention(mention, Role::Opaque);
                }
            }
        }
        self.follow_subject(subject);
        Ok(())
    }

    /// Leaves those descriptors of `index.json` that the location's ref name means, and tells names that mean several.
    fn choose(
        &mut self,
        descriptors: &[Value],
        mentions: &mut Vec<(Option<String>, Mention)>,
        place: &Place,
    ) -> Result<()> {
        let wanted = self.layout.location().ref_name.as_ref();
        let mut seen = BTreeMap::new();
        for (number, descriptor) in descriptors.iter().enumerate() {
            let Some(name) = ref_name(descriptor) else { continue };
            if wanted.map_or(false, |wanted| *wanted.as_str() != name) {
                continue;
            }
            if let Some(first) = seen.get(&name) {
                let place = place.member("manifests").member(number).member("annotations");
                let place = place.member(oci::annotations::REF_NAME);
                let found = format!("{}, which manifests/{first} has too", quoted(&name));
                self.findings.add(Rule::RefNameRepeated, &place, "a name of its own", found);
            } else {
                seen.insert(name, number);
            }
        }
        if let Some(wanted) = wanted {
            if seen.is_empty() {
                let names: Vec<String> = descriptors.iter().filter_map(ref_name).collect();
                return Err(self.layout.unknown_ref_name(wanted, &names));
            }
            mentions.retain(|(name, _)| name.as_deref() == Some(wanted.as_str()));
        }
        Ok(())
    }

    fn add_unknown(&mut self, mention: &Mention, expected: &str) {
        let place = mention.place.member("mediaType");
        self.findings.add(Rule::UnknownMediaType, &place, expected, quoted(mention.media_type.as_str()));
    }

    fn subject(&mut self, value: &Value, place: &Place) -> Option<Mention> {
        let subject = value.get("subject").filter(|subject| subject.is_object())?;
        check_annotations(subject, AnnotationsOf::Other, &place.member("subject"), self.findings);
        Mention::read(subject, place.member("subject"), self.findings)
    }

    /// A subject need not be there: the association is a weak one (image-spec, manifest.md, `subject`).
    fn follow_subject(&mut self, subject: Option<Mention>) {
        let Some(mention) = subject else { return };
        let is_here = self.known.contains_key(&mention.digest)
            || self.layout.stored_blob(&mention.digest).map_or(true, |blob| blob.is_some());
        match mention.media_type.kind() {
            MediaKind::Manifest if is_here => self.queue.push_back((mention, Kind::Manifest)),
            MediaKind::Index if is_here => self.queue.push_back((mention, Kind::Index)),
            MediaKind::Manifest | MediaKind::Index => {}
            MediaKind::Other => self.add_unknown(&mention, "a manifest or an index"),
            MediaKind::Config | MediaKind::Layer(_) | MediaKind::Empty => {
                self.add_misplaced(&mention, "a manifest or an index");
            }
        }
    }

    fn add_misplaced(&mut self, mention: &Mention, expected: &str) {
        let place = mention.place.member("mediaType");
        self.findings.add(Rule::DescriptorKind, &place, expected, quoted(mention.media_type.as_str()));
    }

    fn manifest(&mut self, value: &Value, place: &Place) -> Result<Option<Rc<ConfigFacts>>> {
        let before = self.findings.len();
        shape::MANIFEST.check(value, place, self.findings);
        self.check_head(value, place);
        let config_place = place.member("config");
        check_annotations(&value["config"], AnnotationsOf::Other, &config_place, self.findings);
        let config = Mention::read(&value["config"], config_place, self.findings);
        let layers_place = place.member("layers");
        let layers = value["layers"].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut mentions = Vec::new();
        for (number, layer) in layers.iter().enumerate() {
            check_annotations(layer, AnnotationsOf::Other, &layers_place.member(number), self.findings);
            mentions.push(Mention::read(layer, layers_place.member(number), self.findings));
        }
        let subject = self.subject(value, place);
        self.check_readable::<oci::Manifest>(value, before, place);

        let mut facts = None;
        match config.map(|config| (config.media_type.kind(), config)) {
            Some((MediaKind::Config, config)) => {
                facts = self.follow(&config, Kind::Config)?.config.clone();
                self.images += 1;
                if value["layers"].is_array() {
                    self.image(mentions, facts.as_deref(), &layers_place);
                }
            }
            other => {
                if let Some((_, config)) = other {
                    self.artifact_config(config, value, place);
                }
                // What an artifact's blobs hold is its own affair.
                mentions.into_iter().flatten().for_each(|mention| self.blobs.mention(mention, Role::Opaque));
            }
        }
        self.follow_subject(subject);
        Ok(facts)
    }

    fn artifact_config(&mut self, config: Mention, manifest: &Value, place: &Place) {
        match config.media_type.kind() {
            MediaKind::Empty if manifest["artifactType"].as_str().unwrap_or_default().is_empty() => {
                let place = place.member("artifactType");
                self.findings.add(Rule::ArtifactType, &place, "a media type, since the config is empty", "nothing");
            }
            MediaKind::Other => self.add_unknown(&config, "an image's config"),
            MediaKind::Index | MediaKind::Manifest | MediaKind::Layer(_) => self.add_misplaced(&config, "a config"),
            MediaKind::Config | MediaKind::Empty => {}
        }
        self.blobs.mention(config, Role::Opaque);
    }

    /// Layers against the config that tells what they should hold.
    fn image(&mut self, layers: Vec<Option<Mention>>, config: Option<&ConfigFacts>, place: &Place) {
        let count = layers.len();
        if count == 0 {
            self.findings.add(Rule::NoLayers, place, "a layer", "none");
        }
        let mut diff_ids: &[Option<Digest>] = &[];
        if let Some(config) = config {
            let expected = |what: &str| format!("{count} {what}, as there are {place}");
            if config.diff_ids.len() == count {
                diff_ids = &config.diff_ids;
            } else {
                let place = config.place.member("rootfs").member("diff_ids");
                self.findings.add(Rule::DiffIdCount, &place, expected("diff_ids"), config.diff_ids.len().to_string());
            }
            if let Some(found) = config.history_layers.filter(|found| *found != count) {
                let place = config.place.member("history");
                let expected = expected("entries with a layer");
                self.findings.add(Rule::HistoryCount, &place, expected, found.to_string());
            }
        }
        for (number, mention) in layers.into_iter().enumerate() {
            let Some(mention) = mention else { continue };
            let role = match mention.media_type.kind() {
                MediaKind::Layer(encoding) => {
                    let diff_id = diff_ids.get(number).cloned().flatten().zip(config);
                    let place_of =
                        |config: &ConfigFacts| config.place.member("rootfs").member("diff_ids").member(number);
                    Role::Layer(encoding, diff_id.map(|(diff_id, config)| (place_of(config), diff_id)))
                }
                MediaKind::Other => {
                    self.add_unknown(&mention, "a layer");
                    Role::Opaque
                }
                MediaKind::Index | MediaKind::Manifest | MediaKind::Config | MediaKind::Empty => {
                    self.add_misplaced(&mention, "a layer");
                    Role::Opaque
                }
            };
            self.blobs.mention(mention, role);
        }
    }

    /// The platform that an index gives against the one in the config.
    fn compare_platforms(&mut self, index: &serde_json::Map<String, Value>, config: &ConfigFacts, place: &Place) {
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        for member in PLATFORM_MEMBERS {
            let given = index.get(member).filter(|value| !value.is_null());
            match (given, config.platform.get(member)) {
                (Some(given), Some(expected)) if given != expected => {
                    let expected = format!("{}, as in the config", quoted(&text(expected)));
                    let place = place.member(member);
                    self.findings.add(Rule::PlatformMismatch, &place, expected, quoted(&text(given)));
                }
                (None, Some(expected)) if member == "variant" => {
                    let expected = format!("{}, as in the config", quoted(&text(expected)));
                    self.findings.add(Rule::PlatformVariant, &place.member(member), expected, "nothing");
                }
                (Some(given), None) if member == "variant" => {
                    let place = config.place.member(member);
                    let expected = format!("{}, as in the index", quoted(&text(given)));
                    self.findings.add(Rule::PlatformVariant, &place, expected, "nothing");
                }
                _ => {}
            }
        }
    }
}

fn ref_name(descriptor: &Value) -> Option<String> {
    descriptor["annotations"][oci::annotations::REF_NAME].as_str().map(str::to_owned)
}

/// What a blob is that is certainly no JSON.
fn what_is_no_document(raw: &[u8]) -> Option<&'static str> {
    match Format::sniff(raw) {
        Format::Plain if raw.get(257..262) == Some(b"ustar") => Some("a tar"),
        Format::Plain => None,
        format => Some(blob::format_name(format)),
    }
}
