//! What was found in a layer, kept for one of two purposes: to list it, or to judge whether the layer can be read.

use std::collections::BTreeMap;
use std::fmt;

use crate::error::Error;
use crate::rule::{Depth, Rule, Verdict};

/// A deviation from a rule, within a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LayerFinding {
    pub(crate) rule: Rule,
    /// The entry, if it is about one.
    pub(crate) entry: Option<String>,
    pub(crate) expected: String,
    pub(crate) found: String,
}

/// `RULE: ENTRY: expected …, found …`.
impl fmt::Display for LayerFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LayerFinding { rule, entry, expected, found } = self;
        write!(f, "{}: ", rule.name())?;
        if let Some(entry) = entry {
            write!(f, "{entry}: ")?;
        }
        write!(f, "expected {expected}, found {found}")
    }
}

impl LayerFinding {
    pub(crate) fn new(
        rule: Rule,
        entry: Option<&dyn fmt::Display>,
        expected: &dyn fmt::Display,
        found: &dyn fmt::Display,
    ) -> Self {
        let (expected, found) = (expected.to_string(), found.to_string());
        LayerFinding { rule, entry: entry.map(ToString::to_string), expected, found }
    }

    /// A warning about a layer or an image, of a finding and `more` of its kind.
    pub(crate) fn warning(&self, subject: &str, more: u64) -> String {
        let more = if more == 0 { String::new() } else { format!(", and {more} more of the kind") };
        format!("{subject}: {self}{more}")
    }
}

/// Why findings are collected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To list them.
    List,
    /// To judge whether the layer can be read: what is taken silently is not even kept.
    Judge,
}

/// Findings of one rule that are listed; the rest are counted, so that a hostile layer cannot fill memory.
const LISTED: u64 = 1000;

/// What was found so far.
#[derive(Debug)]
pub(crate) struct LayerFindings {
    purpose: Purpose,
    list: Vec<LayerFinding>,
    counts: BTreeMap<Rule, u64>,
    /// The first of those for which a layer is refused.
    refused: Option<usize>,
}

impl LayerFindings {
    pub(crate) fn new(purpose: Purpose) -> Self {
        LayerFindings { purpose, list: Vec::new(), counts: BTreeMap::new(), refused: None }
    }

    pub(crate) fn purpose(&self) -> Purpose {
        self.purpose
    }

    pub(crate) fn add(
        &mut self,
        rule: Rule,
        entry: Option<&dyn fmt::Display>,
        expected: &dyn fmt::Display,
        found: &dyn fmt::Display,
    ) {
        let verdict = rule.verdict(Depth::Files);
        let kept = match self.purpose {
            Purpose::List => LISTED,
            Purpose::Judge if verdict == Verdict::Takes => return,
            Purpose::Judge => 1,
        };
        let count = self.counts.entry(rule).or_default();
        *count = count.saturating_add(1);
        if *count <= kept {
            if verdict == Verdict::Refuses {
                self.refused.get_or_insert(self.list.len());
            }
            self.list.push(LayerFinding::new(rule, entry, expected, found));
        }
    }

    /// What a layer is refused for.
    pub(crate) fn refused(&self) -> Option<&LayerFinding> {
        self.list.get(self.refused?)
    }

    /// A line for each rule.
    pub(crate) fn warnings(&self, layer: &str) -> Vec<String> {
        let more = |rule| self.counts.get(rule).map_or(0, |count| count.saturating_sub(1));
        self.list.iter().map(|finding| finding.warning(layer, more(&finding.rule))).collect()
    }

    /// The findings, and how many more of each rule there were.
    pub(crate) fn finish(self) -> (Vec<LayerFinding>, BTreeMap<Rule, u64>) {
        let more = self.counts.into_iter().filter_map(|(rule, count)| Some((rule, count.checked_sub(LISTED)?)));
        (self.list, more.filter(|(_, count)| *count > 0).collect())
    }
}

/// Returns what is wrong without the subject, which the place tells.
pub(crate) fn reason_of(error: &Error) -> String {
    match error {
        Error::Malformed { reason, .. } => reason.clone(),
        error => error.to_string(),
    }
}
