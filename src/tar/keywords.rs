//! PAX keywords whose meaning is lost, for warnings.

use std::collections::BTreeMap;

use crate::tar::{first, Anomaly, Member};
use crate::tree::TarPath;

/// The PAX keywords of an archive that mean something but are lost when its entries are stored elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LostKeywords {
    /// For each keyword, the first member that has it and how many there are.
    found: BTreeMap<Box<[u8]>, (TarPath, u64)>,
    /// How many records of further keywords there were.
    more: u64,
}

/// How many keywords are told apart: an archive can make up a new one for each member.
const TOLD_APART: usize = 16;
/// How many bytes of a keyword are shown.
const SHOWN: u64 = 80;

impl LostKeywords {
    /// Adds the keywords of a member.
    pub(crate) fn add(&mut self, member: &Member) {
        let Ok(entry) = &member.entry else { return };
        for anomaly in &member.anomalies {
            let (Anomaly::UnknownKeyword(keyword) | Anomaly::ForeignKeyword(keyword)) = anomaly else { continue };
            if let Some((_, count)) = self.found.get_mut(keyword) {
                *count = count.saturating_add(1);
            } else if self.found.len() < TOLD_APART {
                self.found.insert(keyword.clone(), (entry.path.clone(), 1));
            } else {
                self.more = self.more.saturating_add(1);
            }
        }
    }

    /// Forgets the keywords that are applied after all.
    pub(crate) fn retain(&mut self, is_lost: impl Fn(&[u8]) -> bool) {
        self.found.retain(|keyword, _| is_lost(keyword));
    }

    /// A line for each keyword. `archive` names the archive.
    pub(crate) fn warnings(&self, archive: &str) -> Vec<String> {
        let mut lines = Vec::new();
        for (keyword, (path, count)) in &self.found {
            let keyword = first(keyword, SHOWN).escape_ascii();
            let rest = if *count > 1 { format!(" and {} more", count.saturating_sub(1)) } else { String::new() };
            lines.push(format!("{archive}: PAX keyword `{keyword}` is not understood and not kept, of `{path}`{rest}"));
        }
        if self.more > 0 {
            lines
                .push(format!("{archive}: {} PAX records of more keywords are not understood and not kept", self.more));
        }
        lines
    }
}
