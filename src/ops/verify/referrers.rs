//! Lists of what is attached to something (distribution-spec, spec.md#referrers-tag-schema).

use serde_json::Value;

use crate::layout::{blob_path, names_digest, referrers_tag};
use crate::oci::annotations::REF_NAME;
use crate::ops::verify::documents::Documents;
use crate::ops::verify::finding::Place;
use crate::ops::verify::mention::digest_in;
use crate::ops::verify::Rule;

impl Documents<'_> {
    /// Notes which entries of `index.json` are lists by the name of a digest.
    pub(super) fn note_referrers_tags(&mut self, index: &Value) {
        for entry in index["manifests"].as_array().into_iter().flatten() {
            let name = entry["annotations"][REF_NAME].as_str().filter(|name| names_digest(name));
            self.referrers_tags.extend(name.map(str::to_owned).zip(digest_in(entry)));
        }
    }

    /// Holds what such lists list to their names, once all documents are known. What says of nothing that it is about
    /// that is none of it: people also name images so.
    pub(super) fn check_referrers(&mut self) {
        for (tag, digest) in &self.referrers_tags {
            let Some(list) = self.known.get(digest) else { continue };
            for (number, listed) in &list.listed {
                let subject = self.known.get(listed).and_then(|facts| facts.subject.as_ref());
                let Some(subject) = subject else { continue };
                if !referrers_tag(subject).is_ok_and(|expected| expected.as_str() == tag) {
                    let place = Place::file(blob_path(digest)).member("manifests").member(*number);
                    let expected = format!("a manifest about what `{tag}` names");
                    self.findings.add(Rule::ReferrersTag, &place, expected, format!("one about {subject}"));
                }
            }
        }
    }
}
