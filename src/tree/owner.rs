use std::str::FromStr;

use crate::error::{Error, Result};
use crate::tree::{Kind, Tree};

/// Who owns the entries of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum OwnerPolicy {
    /// Whoever owns them in the rootfs.
    #[default]
    Keep,
    /// Everything belongs to one user and group.
    Fixed {
        /// The user.
        uid: u32,
        /// The group.
        gid: u32,
    },
    /// Ids of the host are translated, as a user namespace would.
    Mapped {
        /// For users; an empty map changes nothing.
        uids: IdMap,
        /// For groups; an empty map changes nothing.
        gids: IdMap,
    },
}

impl OwnerPolicy {
    /// Gives every entry its owner. Fails on an id that the map does not hold.
    pub fn apply(&self, tree: &mut Tree) -> Result<()> {
        match self {
            OwnerPolicy::Keep => Ok(()),
            OwnerPolicy::Fixed { uid, gid } => {
                for entry in tree.iter_mut() {
                    (entry.metadata.uid, entry.metadata.gid) = (*uid, *gid);
                }
                Ok(())
            }
            OwnerPolicy::Mapped { uids, gids } => {
                for entry in tree.iter_mut() {
                    let unmapped = |what: &str, id: u32| {
                        Error::refused_with_hint(
                            format!("`{}`: {what} {id} is outside of the map", entry.path),
                            format!("extend --{what}-map"),
                        )
                    };
                    let metadata = &entry.metadata;
                    let uid = uids.to_container(metadata.uid).ok_or_else(|| unmapped("uid", metadata.uid))?;
                    let gid = gids.to_container(metadata.gid).ok_or_else(|| unmapped("gid", metadata.gid))?;
                    (entry.metadata.uid, entry.metadata.gid) = (uid, gid);
                }
                Ok(())
            }
        }
    }
}

/// Ranges of ids, each `CONTAINER:HOST:SIZE`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdMap {
    ranges: Vec<Range>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    container: u32,
    host: u32,
    size: u32,
}

impl IdMap {
    /// Whether the map has no ranges and so changes nothing.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Puts several ranges into one map. Fails where two of them claim one id of the host.
    pub fn from_ranges<I: IntoIterator<Item = IdMap>>(maps: I) -> Result<Self> {
        let ranges: Vec<Range> = maps.into_iter().flat_map(|map| map.ranges).collect();
        for (i, a) in ranges.iter().enumerate() {
            for b in &ranges[i + 1..] {
                if a.host <= b.last_host() && b.host <= a.last_host() {
                    return Err(Error::refused(format!(
                        "id maps: {} and {} name the same ids of the host",
                        a.text(),
                        b.text()
                    )));
                }
            }
        }
        Ok(IdMap { ranges })
    }

    fn to_container(&self, host: u32) -> Option<u32> {
        if self.is_empty() {
            return Some(host);
        }
        let range = self.ranges.iter().find(|range| (range.host..=range.last_host()).contains(&host))?;
        Some(range.container + (host - range.host))
    }
}

impl Range {
    fn last_host(self) -> u32 {
        self.host + (self.size - 1)
    }

    fn text(self) -> String {
        format!("`{}:{}:{}`", self.container, self.host, self.size)
    }
}

impl FromStr for IdMap {
    type Err = Error;

    /// One range.
    fn from_str(text: &str) -> Result<Self> {
        let parts: Option<Vec<u32>> = text.split(':').map(|part| part.parse().ok()).collect();
        match parts.as_deref() {
            Some(&[container, host, size])
                if size > 0 && container.checked_add(size - 1).is_some() && host.checked_add(size - 1).is_some() =>
            {
                Ok(IdMap { ranges: vec![Range { container, host, size }] })
            }
            _ => Err(Error::malformed(
                format!("id map `{}`", text.escape_debug()),
                "CONTAINER:HOST:SIZE expected, such as 0:100000:65536",
            )),
        }
    }
}

/// Times newer than `limit` become `limit`; others stay (reproducible-builds.org, SOURCE_DATE_EPOCH).
pub fn clamp_times(tree: &mut Tree, limit: i64) {
    for entry in tree.iter_mut() {
        entry.metadata.mtime = entry.metadata.mtime.min(limit);
    }
}

/// Gives hard links the metadata of the file that they name: policies may have changed one and not the other.
pub(crate) fn align_hardlinks(tree: &mut Tree) {
    let changed: Vec<_> = tree
        .iter()
        .filter_map(|entry| match &entry.kind {
            Kind::Hardlink { target } => {
                let file = tree.get(target)?;
                (file.metadata != entry.metadata).then(|| (entry.path.clone(), file.metadata.clone()))
            }
            _ => None,
        })
        .collect();
    for (path, metadata) in changed {
        if let Some(entry) = tree.get_mut(&path) {
            entry.metadata = metadata;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Entry, Metadata, TarPath};

    fn tree(uid: u32, gid: u32) -> Tree {
        let metadata = Metadata { uid, gid, mtime: 100, ..Metadata::default() };
        Tree::from_iter([Entry { path: TarPath::root(), metadata, kind: Kind::Directory }])
    }

    fn owner(tree: &Tree) -> (u32, u32) {
        let metadata = &tree.get(&TarPath::root()).unwrap().metadata;
        (metadata.uid, metadata.gid)
    }

    #[test]
    fn policies() {
        let map = |texts: &[&str]| IdMap::from_ranges(texts.iter().map(|text| text.parse().unwrap())).unwrap();
        let mapped = |uids: &[&str], gids: &[&str]| OwnerPolicy::Mapped { uids: map(uids), gids: map(gids) };
        for (policy, expected) in [
            (OwnerPolicy::Keep, Some((1000, 1005))),
            (OwnerPolicy::Fixed { uid: 0, gid: 7 }, Some((0, 7))),
            (mapped(&["0:1000:1", "1:100000:65535"], &[]), Some((0, 1005))),
            (mapped(&[], &["10:1000:10"]), Some((1000, 15))),
            (mapped(&["0:100000:65536"], &[]), None),
        ] {
            let mut tree = tree(1000, 1005);
            let applied = policy.apply(&mut tree).map(|()| owner(&tree));
            assert_eq!(applied.ok(), expected, "{policy:?}");
        }
    }

    #[test]
    fn maps() {
        for text in ["0:0:0", "0:0", "0:0:1:2", "a:0:1", "-1:0:1", "4294967295:0:2", "0:4294967295:2", ""] {
            assert!(text.parse::<IdMap>().is_err(), "{text}");
        }
        let overlapping = ["0:0:10", "100:9:5"].map(|text| text.parse().unwrap());
        assert!(IdMap::from_ranges(overlapping).is_err());
    }

    #[test]
    fn clamping_moves_only_what_is_newer() {
        for (limit, expected) in [(50, 50), (100, 100), (150, 100), (-1, -1)] {
            let mut tree = tree(0, 0);
            clamp_times(&mut tree, limit);
            assert_eq!(tree.newest_mtime(), Some(expected));
        }
    }
}
