//! `index.json` and other indexes (image-spec, image-index.md): what they list, under which names and for what
//! platform.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::error::Result;
use crate::layout::{blob_path, most_specific, named, DigestPrefix, Named, INDEX};
use crate::media_type::{MediaKind, MediaType};
use crate::oci::annotations::{ATTESTED, CONTAINERD_NAME, REFERENCE_TYPE, REF_NAME};
use crate::oci::Index;
use crate::ops::verify::blob::BlobRole;
use crate::ops::verify::config::{ConfigFacts, PLATFORM_MEMBERS};
use crate::ops::verify::documents::{DocumentKind, DocumentWalk};
use crate::ops::verify::finding::{quoted, FindingPlace};
use crate::ops::verify::mention::{check_annotations, AnnotationsOf, BlobMention, IfMissing};
use crate::ops::verify::{shape, Rule};

impl DocumentWalk<'_> {
    pub(super) fn index_json(&mut self) -> Result<()> {
        let place = FindingPlace::file(INDEX);
        let Some(raw) = self.top_level(INDEX)? else {
            self.findings.add(Rule::LayoutIndex, &place, "a file", "nothing");
            return Ok(());
        };
        let value = self.parse(&raw, &place);
        self.index_json = Some(raw);
        let Some(value) = value else { return Ok(()) };
        if let Some(found) = value["mediaType"].as_str().filter(|text| *text != MediaType::INDEX.as_str()) {
            let expected = quoted(MediaType::INDEX.as_str());
            self.findings.add(Rule::DocumentMediaType, &place.member("mediaType"), expected, quoted(found));
        }
        self.check_ambiguity(&value, &DocumentKind::of(&value), &place);
        self.note_referrers_tags(&value);
        self.index(&value, &place, AnnotationsOf::IndexEntry)
    }

    /// Checks an index: `index.json`, or one that was met on the way.
    pub(super) fn index(&mut self, value: &Value, place: &FindingPlace, of: AnnotationsOf) -> Result<()> {
        let errors = self.findings.errors();
        shape::INDEX.check(value, place, self.findings);
        self.check_head(value, place);
        let Some(descriptors) = value["manifests"].as_array() else { return Ok(()) };
        let place_of = |number: usize| place.member("manifests").member(number);
        let mut mentions = Vec::new();
        for (number, descriptor) in descriptors.iter().enumerate() {
            check_annotations(descriptor, of, &place_of(number), self.findings);
            let mention = BlobMention::read(descriptor, place_of(number), self.findings);
            mentions.extend(mention.map(|mention| (number, mention)));
        }
        let subject = self.subject(value, place);
        self.check_readable::<Index>(value, errors, place);
        if of == AnnotationsOf::IndexEntry {
            self.choose(descriptors, &mut mentions, place)?;
        }
        self.check_attestations(descriptors, place);
        // An image for several platforms may be copied only in part, with the index as it is.
        let is_here = |mention: &BlobMention| self.layout.holds(&mention.digest).unwrap_or(true);
        let is_partial = of != AnnotationsOf::IndexEntry && mentions.iter().any(|(_, mention)| is_here(mention));
        for (_, mut mention) in mentions {
            if is_partial && mention.if_missing == IfMissing::Error {
                mention.if_missing = IfMissing::OtherPlatform;
            }
            match mention.media_type.kind() {
                MediaKind::Manifest => self.queue.push_back((mention, DocumentKind::Manifest)),
                MediaKind::Index => self.queue.push_back((mention, DocumentKind::Index)),
                MediaKind::Config | MediaKind::Layer(_) | MediaKind::Empty | MediaKind::Other => {
                    self.add_unknown(&mention, "a manifest or an index");
                    self.blobs.mention(mention, BlobRole::Opaque);
                }
            }
        }
        self.follow_subject(subject);
        Ok(())
    }

    /// Finds attestations about nothing that the same index lists.
    fn check_attestations(&mut self, descriptors: &[Value], place: &FindingPlace) {
        for (number, descriptor) in descriptors.iter().enumerate() {
            let about = annotation(descriptor, ATTESTED);
            let is_attestation = annotation(descriptor, REFERENCE_TYPE) == Some("attestation-manifest");
            let is_listed = |about| descriptors.iter().any(|listed| listed["digest"].as_str() == Some(about));
            if (about.is_none() && !is_attestation) || about.is_some_and(is_listed) {
                continue;
            }
            let place = place.member("manifests").member(number).member("annotations").member(ATTESTED);
            let found = about.map_or_else(|| "nothing".to_owned(), quoted);
            self.findings.add(Rule::AttestationSubject, &place, "the digest of an image in this index", found);
        }
    }

    /// Keeps those descriptors of `index.json` that the location's name means, and reports names that mean several.
    fn choose(
        &mut self,
        descriptors: &[Value],
        mentions: &mut Vec<(usize, BlobMention)>,
        place: &FindingPlace,
    ) -> Result<()> {
        let wanted = self.layout.location();
        let descriptors: Vec<(usize, &Value)> = descriptors.iter().enumerate().collect();
        let Named { found: meant, digest } =
            named(&descriptors, wanted, |(_, descriptor), key| annotation(descriptor, key));
        // In a docker archive, every spelling of a name is that name, and one image may have several. Elsewhere Docker
        // saves one image under its tag alone, once for each repository.
        let is_docker_archive = wanted.is_docker_archive();
        let is_same = |one: &Value, other: &Value| one.get("digest") == other.get("digest");
        let full = |descriptor: &Value| annotation(descriptor, CONTAINERD_NAME).map(str::to_owned);
        let mut seen: BTreeMap<&str, (usize, &Value)> = BTreeMap::new();
        for (number, descriptor) in &meant {
            let key = if is_docker_archive { CONTAINERD_NAME } else { REF_NAME };
            let Some(name) = annotation(descriptor, key) else { continue };
            match seen.get(&name) {
                Some((_, first)) if is_docker_archive && is_same(first, descriptor) => {}
                Some((_, first)) if is_same(first, descriptor) && full(first) != full(descriptor) => {}
                Some((first, _)) => {
                    let place = place.member("manifests").member(*number).member("annotations");
                    let found = format!("{}, which manifests/{first} has too", quoted(name));
                    self.findings.add(Rule::RefNameRepeated, &place.member(REF_NAME), "a name of its own", found);
                }
                None => drop(seen.insert(name, (*number, *descriptor))),
            }
        }
        if let Some(wanted) = &wanted.name {
            if meant.is_empty() {
                let name = |descriptor| {
                    most_specific(annotation(descriptor, CONTAINERD_NAME), annotation(descriptor, REF_NAME))
                };
                let names = descriptors.iter().filter_map(|(_, descriptor)| name(descriptor).map(str::to_owned));
                return Err(self.layout.unknown_name(wanted, &names.collect::<Vec<_>>()));
            }
            let meant: BTreeSet<usize> = meant.iter().map(|(number, _)| *number).collect();
            mentions.retain(|(number, _)| meant.contains(number));
        }
        digest.map_or(Ok(()), |digest| self.choose_digest(digest, mentions))
    }

    /// Keeps those that the location's digest means, or replaces them by what an index lists with that digest.
    fn choose_digest(&mut self, wanted: &DigestPrefix, mentions: &mut Vec<(usize, BlobMention)>) -> Result<()> {
        mentions.retain(|(_, mention)| wanted.begins(&mention.digest));
        if wanted.is_whole() && !mentions.is_empty() {
            return Ok(());
        }
        let meant = self.layout.meant()?;
        mentions.retain(|(_, mention)| meant.iter().any(|path| path.descriptor().digest == mention.digest));
        if let (true, [path, ..]) = (mentions.is_empty(), &meant[..]) {
            let file = path.index().map_or(INDEX.to_owned(), |index| blob_path(&index.digest));
            let descriptor = serde_json::to_value(path.descriptor()).expect("a descriptor has string keys");
            let mention = BlobMention::read(&descriptor, FindingPlace::file(file), self.findings);
            mentions.extend(mention.map(|mention| (0, mention)));
        }
        Ok(())
    }

    /// Compares the platform in an index with the one in the config.
    pub(super) fn compare_platforms(&mut self, index: &Map<String, Value>, config: &ConfigFacts, place: &FindingPlace) {
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

fn annotation<'a>(descriptor: &'a Value, key: &str) -> Option<&'a str> {
    descriptor["annotations"][key].as_str()
}
