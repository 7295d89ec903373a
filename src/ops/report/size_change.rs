//! Changes in the sizes of entries.

use std::cmp::Ordering;

use serde::Serialize;

use crate::ops::report::contents::ImageContents;
use crate::ops::report::LISTED;
use crate::tree::{path_members, Change, Difference, Entry, FieldChange, TarPath};

/// Entries that were added, removed or changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SizeChanges {
    /// How many there are.
    pub count: usize,
    /// By how many bytes files grew in total.
    pub grown: u64,
    /// By how many bytes files shrank in total.
    pub shrunk: u64,
    /// Those with the greatest change in size, greatest first; of equal ones, the larger first.
    pub entries: Vec<SizeChange>,
}

/// An entry that changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SizeChange {
    /// Where it stands.
    #[serde(flatten, serialize_with = "path_members")]
    pub path: TarPath,
    /// Bytes of its content in the older image; zero if it was not there.
    pub from: u64,
    /// Bytes of its content now; zero if it is gone.
    pub to: u64,
    /// The fields that differ, as `diff` names them; empty for added and removed entries.
    pub fields: Vec<&'static str>,
}

impl SizeChange {
    /// Those with the greatest change in size come first; of equal ones, the larger.
    pub(super) fn by_change(&self, other: &Self) -> Ordering {
        let key = |change: &SizeChange| (change.from.abs_diff(change.to), change.from.max(change.to));
        key(other).cmp(&key(self)).then_with(|| self.path.cmp(&other.path))
    }
}

impl SizeChanges {
    pub(super) fn of<'a>(changes: impl Iterator<Item = &'a SizeChange>) -> Self {
        let mut all = SizeChanges::default();
        let mut entries: Vec<&SizeChange> = changes.collect();
        for change in &entries {
            all.grown += change.to.saturating_sub(change.from);
            all.shrunk += change.from.saturating_sub(change.to);
        }
        all.count = entries.len();
        entries.sort_by(|a, b| a.by_change(b));
        all.entries = entries.into_iter().take(LISTED).cloned().collect();
        all
    }
}

pub(super) fn size_change(entry: &Difference, before: &ImageContents, after: &ImageContents) -> SizeChange {
    let size = |contents: &ImageContents| contents.tree().get(&entry.path).map_or(0, Entry::size);
    let mut fields = Vec::new();
    if let Change::Changed { fields: changed } = &entry.change {
        fields = changed.iter().map(FieldChange::name).collect();
        fields.dedup();
    }
    SizeChange { path: entry.path.clone(), from: size(before), to: size(after), fields }
}
