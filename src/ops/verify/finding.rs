//! What `verify` finds, and where. Repetitions are counted rather than kept.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Serialize, Serializer};

use crate::layer::{LayerCheck, LayerFinding};
use crate::ops::verify::{Rule, Severity};

/// A deviation from a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The rule that it breaks.
    pub rule: Rule,
    /// Where: a file of the layout; after a `#`, a JSON pointer into a document (RFC 6901); after a colon, an entry of
    /// a layer.
    pub place: String,
    /// What should be there.
    pub expected: String,
    /// What is there.
    pub found: String,
}

impl Finding {
    /// Its severity.
    pub fn severity(&self) -> Severity {
        self.rule.severity()
    }
}

/// `error: RULE: PLACE: expected …, found …`.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Finding { rule, place, expected, found } = self;
        write!(f, "{}: {}: {place}: expected {expected}, found {found}", self.severity().name(), rule.name())
    }
}

impl Serialize for Finding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut members = serializer.serialize_struct("Finding", 5)?;
        members.serialize_field("severity", &self.severity())?;
        members.serialize_field("rule", &self.rule)?;
        members.serialize_field("place", &self.place)?;
        members.serialize_field("expected", &self.expected)?;
        members.serialize_field("found", &self.found)?;
        members.end()
    }
}

/// Findings of one rule in one file that are listed; the rest are counted, so that a hostile layer cannot fill memory.
const LISTED: u64 = 1000;

/// What has been found so far.
#[derive(Debug, Default)]
pub(super) struct Findings {
    list: Vec<Finding>,
    errors: usize,
    counts: BTreeMap<(Rule, String), u64>,
}

impl Findings {
    pub(super) fn add(
        &mut self,
        rule: Rule,
        place: &FindingPlace,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) {
        let count = self.counts.entry((rule, place.file.clone())).or_default();
        *count += 1;
        self.errors += usize::from(rule.severity() == Severity::Error);
        if *count <= LISTED {
            let (expected, found) = (expected.into(), found.into());
            self.list.push(Finding { rule, place: place.to_string(), expected, found });
        }
    }

    /// Adds what was found in a layer.
    pub(super) fn add_layer(&mut self, check: LayerCheck, place: &FindingPlace) {
        let (list, more) = check.finish();
        self.add_layer_findings(list, place);
        for (rule, count) in more {
            *self.counts.entry((rule, place.file.clone())).or_default() += count;
            self.errors += if rule.severity() == Severity::Error { count as usize } else { 0 };
        }
    }

    pub(super) fn add_layer_findings(&mut self, list: impl IntoIterator<Item = LayerFinding>, place: &FindingPlace) {
        for LayerFinding { rule, entry, expected, found } in list {
            match entry {
                Some(entry) => self.add(rule, &place.entry(entry), expected, found),
                None => self.add(rule, place, expected, found),
            }
        }
    }

    /// How many are errors.
    pub(super) fn errors(&self) -> usize {
        self.errors
    }

    pub(super) fn finish(mut self) -> Vec<Finding> {
        for ((rule, place), count) in self.counts {
            if count > LISTED {
                let (expected, found) = ("no more of the kind".to_owned(), format!("{} more", count - LISTED));
                self.list.push(Finding { rule, place, expected, found });
            }
        }
        self.list
    }
}

/// Where something is: a file of the layout, and perhaps a place in it.
#[derive(Clone, Debug)]
pub(super) struct FindingPlace {
    file: String,
    within: String,
}

impl FindingPlace {
    /// A file of the layout.
    pub(super) fn file(name: impl Into<String>) -> Self {
        FindingPlace { file: name.into(), within: String::new() }
    }

    /// The name of the file.
    pub(super) fn file_name(&self) -> &str {
        &self.file
    }

    /// A member or element of the document, or of the value at this place.
    pub(super) fn member(&self, name: impl fmt::Display) -> Self {
        let mark = if self.within.is_empty() { "#/" } else { "/" };
        let name = shortened(&name.to_string(), 100).replace('~', "~0").replace('/', "~1");
        FindingPlace { file: self.file.clone(), within: format!("{}{mark}{name}", self.within) }
    }

    /// An entry of the layer.
    pub(super) fn entry(&self, name: impl fmt::Display) -> Self {
        FindingPlace { file: self.file.clone(), within: format!(": {name}") }
    }
}

impl fmt::Display for FindingPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.file.escape_debug(), self.within)
    }
}

/// A text of a document for people: on one line, and not too long.
pub(super) fn quoted(text: &str) -> String {
    format!("`{}`", shortened(text, 200))
}

fn shortened(text: &str, length: usize) -> String {
    match text.char_indices().nth(length) {
        Some((end, _)) => format!("{}…", text[..end].escape_debug()),
        None => text.escape_debug().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_texts_stay_on_one_line() {
        let document = FindingPlace::file("index.json");
        assert_eq!(document.member("manifests").member(0).to_string(), "index.json#/manifests/0");
        assert_eq!(document.member("a/b~\n").to_string(), "index.json#/a~1b~0\\n");
        assert_eq!(FindingPlace::file("blobs/x\n").entry("/a").to_string(), "blobs/x\\n: /a");
        assert_eq!(quoted("a\n"), "`a\\n`");
        assert_eq!(quoted(&"ä".repeat(201)), format!("`{}…`", "ä".repeat(200)));
    }

    #[test]
    fn a_flood_is_counted_and_not_kept() {
        let mut findings = Findings::default();
        for i in 0..LISTED + 5 {
            findings.add(Rule::TarPath, &FindingPlace::file("blob").entry(i), "a", "b");
        }
        findings.add(Rule::TarEntry, &FindingPlace::file("blob"), "a", "b");
        let list = findings.finish();
        assert_eq!(list.len() as u64, LISTED + 2);
        let line = list.last().map(ToString::to_string);
        assert_eq!(line.as_deref(), Some("error: tar-path: blob: expected no more of the kind, found 5 more"));
    }
}
