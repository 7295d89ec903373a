//! Lists of what is attached to something (distribution-spec, spec.md#referrers-tag-schema).

use serde_json::Value;

use crate::layout::{blob_path, names_digest, referrers_tag};
use crate::oci::annotations::REF_NAME;
use crate::ops::verify::documents::DocumentWalk;
use crate::ops::verify::finding::FindingPlace;
use crate::ops::verify::mention::digest_in;
use crate::ops::verify::Rule;

impl DocumentWalk<'_> {
    /// Notes which entries of `index.json` are referrers tags.
    pub(super) fn note_referrers_tags(&mut self, index: &Value) {
        for entry in index["manifests"].as_array().into_iter().flatten() {
            let name = entry["annotations"][REF_NAME].as_str().filter(|name| names_digest(name));
            self.referrers_tags.extend(name.map(str::to_owned).zip(digest_in(entry)));
        }
    }

    /// Compares what such lists contain with their names, once all documents are known. What has no subject is not
    /// checked: images are also named in this way.
    pub(super) fn check_referrers(&mut self) {
        for (tag, digest) in &self.referrers_tags {
            let Some(list) = self.known.get(digest) else { continue };
            for (number, listed) in &list.listed {
                let subject = self.known.get(listed).and_then(|facts| facts.subject.as_ref());
                let Some(subject) = subject else { continue };
                if !referrers_tag(subject).is_ok_and(|expected| expected.as_str() == tag) {
                    let place = FindingPlace::file(blob_path(digest)).member("manifests").member(*number);
                    let expected = format!("a manifest about what `{tag}` names");
                    self.findings.add(Rule::ReferrersTag, &place, expected, format!("one about {subject}"));
                }
            }
        }
    }
}
