//! What manifests and indexes have in common: version, media types, annotations, and that they are not taken for each
//! other.

use serde::Deserialize;
use serde_json::Value;

use crate::ops::verify::documents::{DocumentKind, DocumentWalk};
use crate::ops::verify::finding::{quoted, FindingPlace};
use crate::ops::verify::mention::{check_annotations, check_media_type, AnnotationsOf, BlobMention};
use crate::rule::Rule;

impl DocumentWalk<'_> {
    /// A manifest that is also an index is one image to some readers and another to others.
    pub(super) fn check_ambiguity(&mut self, value: &Value, kinds: &[DocumentKind], place: &FindingPlace) {
        let is = |kind| kinds.contains(&kind);
        // Go's readers do not tell the cases of names apart.
        let has = |members: &[&str]| {
            let is_one = |name: &str| members.iter().any(|member| member.eq_ignore_ascii_case(name));
            value.as_object().is_some_and(|object| object.iter().any(|(name, found)| is_one(name) && !found.is_null()))
        };
        let found = if is(DocumentKind::Index) && (is(DocumentKind::Manifest) || has(&["config"])) {
            "the members of both"
        } else if (is(DocumentKind::Index) || is(DocumentKind::Manifest)) && has(&["fsLayers", "history"]) {
            "members of a schema 1 manifest"
        } else {
            return;
        };
        self.findings.add(Rule::DocumentAmbiguous, place, "a manifest or an index", found);
    }

    /// Checks that this library's own structs accept what the tables of members accept. `errors` is how many errors
    /// there were before the document was checked.
    pub(super) fn check_readable<'de, T: Deserialize<'de>>(
        &mut self,
        value: &'de Value,
        errors: usize,
        place: &FindingPlace,
    ) {
        if self.findings.errors() == errors {
            if let Err(error) = T::deserialize(value) {
                self.findings.add(Rule::DocumentStructure, place, "a document that can be read", error.to_string());
            }
        }
    }

    /// Checks what manifests and indexes have in common.
    pub(super) fn check_head(&mut self, value: &Value, place: &FindingPlace) {
        let found = match &value["schemaVersion"] {
            Value::Null => Some("nothing".to_owned()),
            Value::Number(version) if value["schemaVersion"] != 2 => Some(version.to_string()),
            _ => None,
        };
        if let Some(found) = found {
            self.findings.add(Rule::SchemaVersion, &place.member("schemaVersion"), "2", found);
        }
        for member in ["mediaType", "artifactType"] {
            check_media_type(value[member].as_str(), &place.member(member), self.findings);
        }
        if value["mediaType"].is_null() {
            self.findings.add(Rule::DocumentMediaTypeMissing, &place.member("mediaType"), "a media type", "nothing");
        }
        check_annotations(value, AnnotationsOf::Other, place, self.findings);
    }

    pub(super) fn add_unknown(&mut self, mention: &BlobMention, expected: &str) {
        let place = mention.place.member("mediaType");
        self.findings.add(Rule::UnknownMediaType, &place, expected, quoted(mention.media_type.as_str()));
    }

    pub(super) fn add_misplaced(&mut self, mention: &BlobMention, expected: &str) {
        let place = mention.place.member("mediaType");
        self.findings.add(Rule::DescriptorKind, &place, expected, quoted(mention.media_type.as_str()));
    }
}
