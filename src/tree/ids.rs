//! The numbers of users and groups, from the image itself.

use std::collections::BTreeMap;
use std::io::Read;

use crate::error::{IoContext, Result};
use crate::tree::{Content, TarPath, Tree};

/// Names and numbers of a passwd or group file.
#[derive(Debug, Default)]
pub(crate) struct Ids(BTreeMap<String, u32>);

impl Ids {
    /// Reads `name:password:id:…` lines of a file of the image; a missing file has no names.
    pub(crate) fn read(tree: &Tree, content: &dyn Content, path: &[u8]) -> Result<Self> {
        let mut names = BTreeMap::new();
        if let Some(entry) = tree.get(&TarPath::parse(path)?).filter(|entry| entry.size() > 0) {
            let mut text = Vec::new();
            let read = content.open(entry)?.take(16 << 20).read_to_end(&mut text);
            read.at("read", &entry.path.below("/".as_ref()))?;
            for line in String::from_utf8_lossy(&text).lines() {
                let mut fields = line.split(':');
                if let (Some(name), Some(_), Some(Ok(id))) =
                    (fields.next(), fields.next(), fields.next().map(str::parse))
                {
                    names.entry(name.to_owned()).or_insert(id);
                }
            }
        }
        Ok(Ids(names))
    }

    /// Returns the number that a text is or names, or `None` if the name is unknown. The largest number is none:
    /// chown(2) takes it for "unchanged".
    pub(crate) fn find(&self, text: &str) -> Option<u32> {
        text.parse().ok().or_else(|| self.0.get(text).copied()).filter(|id| *id != u32::MAX)
    }
}

impl FromIterator<(String, u32)> for Ids {
    fn from_iter<I: IntoIterator<Item = (String, u32)>>(names: I) -> Self {
        Ids(names.into_iter().collect())
    }
}
