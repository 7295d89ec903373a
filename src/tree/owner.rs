//! Policies for owners and times that are applied to a scanned tree.

use std::collections::BTreeSet;
use std::str::FromStr;

use crate::error::{as_typed, Error, ErrorKind, Result};
use crate::hint::{Hint, OptionName};
use crate::tree::embedded_ids::{EmbeddedId, Parsed};
use crate::tree::{Entry, Kind, Mtime, TarPath, Tree};

/// Who owns the entries of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum OwnerPolicy {
    /// The owners in the rootfs.
    #[default]
    Keep,
    /// Everything belongs to one user and group. Ids inside attributes stay the same.
    Fixed {
        /// The user.
        uid: u32,
        /// The group.
        gid: u32,
    },
    /// Ids of the host are translated, as in a user namespace, including those of ACLs and of file capabilities.
    Mapped {
        /// For users; an empty map changes nothing.
        uids: IdMap,
        /// For groups; an empty map changes nothing.
        gids: IdMap,
    },
}

impl OwnerPolicy {
    /// Sets the owner of every entry. Fails on an id that is not in the map.
    pub fn apply(&self, tree: &mut Tree) -> Result<()> {
        self.apply_beside(tree, &BTreeSet::new())
    }

    /// Sets the owner of every entry. No host gave an owner to the directories that were made up: their ids are the
    /// container's already.
    pub(crate) fn apply_beside(&self, tree: &mut Tree, made_up: &BTreeSet<TarPath>) -> Result<()> {
        match self {
            OwnerPolicy::Keep => Ok(()),
            OwnerPolicy::Fixed { uid, gid } => {
                for entry in tree.iter_mut() {
                    (entry.metadata.uid, entry.metadata.gid) = (*uid, *gid);
                }
                Ok(())
            }
            OwnerPolicy::Mapped { uids, gids } => {
                for entry in tree.iter_mut().filter(|entry| !made_up.contains(&entry.path)) {
                    let Entry { path, metadata, .. } = entry;
                    let map = |id: EmbeddedId, place: &str| {
                        let (what, found, map, option) = match id {
                            EmbeddedId::User(id) => ("uid", id, uids, OptionName::UidMap),
                            EmbeddedId::Group(id) => ("gid", id, gids, OptionName::GidMap),
                        };
                        map.to_container(found).ok_or_else(|| {
                            let message = format!("`{path}`: {what} {found}{place} is outside of the map");
                            Error::refused_with_hint(message, Hint::from("extend ").option(option))
                                .of_kind(ErrorKind::Invalid)
                        })
                    };
                    metadata.uid = map(EmbeddedId::User(metadata.uid), "")?;
                    metadata.gid = map(EmbeddedId::Group(metadata.gid), "")?;
                    for (name, value) in metadata.xattrs.iter_mut() {
                        let Some(parsed) = Parsed::parse(name, value).filter(|parsed| !parsed.ids().is_empty()) else {
                            continue;
                        };
                        let place = format!(" in {}", name.escape_ascii());
                        *value = parsed.translate(|id| map(id, &place))?.into();
                    }
                }
                Ok(())
            }
        }
    }

    /// Returns a note about ids that stay the same in a tree to which the policy was applied, or `None`: one owner for
    /// everything does not reach into attributes.
    pub(crate) fn note(&self, tree: &Tree) -> Option<String> {
        const SHOWN: usize = 3;
        let OwnerPolicy::Fixed { .. } = self else { return None };
        let mut count = 0;
        let mut shown = Vec::new();
        for entry in tree.iter() {
            for (name, value) in &entry.metadata.xattrs {
                if Parsed::parse(name, value).is_some_and(|parsed| !parsed.ids().is_empty()) {
                    count += 1;
                    if count <= SHOWN {
                        shown.push(format!("`{}` ({})", entry.path, name.escape_ascii()));
                    }
                }
            }
        }
        let more = if count > SHOWN { " …" } else { "" };
        let shown = shown.join(", ");
        (count > 0)
            .then(|| format!("one owner for all leaves ids inside attributes as they are: {count}: {shown}{more}"))
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
    /// Returns whether the map has no ranges and so changes nothing.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Combines several ranges into one map. Fails if two of them name one id of the host.
    pub fn from_ranges<I: IntoIterator<Item = IdMap>>(maps: I) -> Result<Self> {
        let ranges: Vec<Range> = maps.into_iter().flat_map(|map| map.ranges).collect();
        for (i, a) in ranges.iter().enumerate() {
            for b in &ranges[i + 1..] {
                if a.host <= b.last_host() && b.host <= a.last_host() {
                    return Err(Error::refused(format!(
                        "id maps: {} and {} name the same ids of the host",
                        a.text(),
                        b.text()
                    ))
                    .of_kind(ErrorKind::Invalid));
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

    /// Parses one range.
    fn from_str(text: &str) -> Result<Self> {
        let parts: Option<Vec<u32>> = text.split(':').map(|part| part.parse().ok()).collect();
        match parts.as_deref() {
            Some(&[container, host, size])
                // The largest number is no owner in a container: chown(2) takes it for "unchanged".
                if size > 0 && container.checked_add(size).is_some() && host.checked_add(size - 1).is_some() =>
            {
                Ok(IdMap { ranges: vec![Range { container, host, size }] })
            }
            _ => Err(Error::invalid(
                format!("id map `{}`", as_typed(text)),
                "CONTAINER:HOST:SIZE expected, such as 0:100000:65536",
            )),
        }
    }
}

/// Sets times newer than `limit` to `limit`; others stay (reproducible-builds.org, SOURCE_DATE_EPOCH).
pub(crate) fn clamp_times(tree: &mut Tree, limit: Mtime) {
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
    use crate::tree::{Entry, Metadata, Xattrs};

    fn tree(uid: u32, gid: u32) -> Tree {
        let metadata = Metadata { uid, gid, mtime: 100.into(), ..Metadata::default() };
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

    /// Returns a tree with an ACL of a user and a group, and a capability for a root.
    fn with_ids(user: u32, group: u32, root: u32) -> Tree {
        let acl =
            [(1, 6, u32::MAX), (2, 7, user), (4, 4, u32::MAX), (8, 5, group), (16, 7, u32::MAX), (32, 4, u32::MAX)];
        let words = acl.into_iter().flat_map(|(tag, mode, id): (u16, u16, u32)| {
            tag.to_le_bytes().into_iter().chain(mode.to_le_bytes()).chain(id.to_le_bytes())
        });
        let acl = 2_u32.to_le_bytes().into_iter().chain(words).collect();
        let capability = if root == 0 { vec![0x0200_0001, 1, 0, 0, 0] } else { vec![0x0300_0001, 1, 0, 0, 0, root] };
        let mut tree = tree(1000, 1000);
        tree.get_mut(&TarPath::root()).unwrap().metadata.xattrs = Xattrs::from_iter([
            (b"security.capability".to_vec(), capability.into_iter().flat_map(u32::to_le_bytes).collect()),
            (b"system.posix_acl_access".to_vec(), acl),
        ]);
        tree
    }

    #[test]
    fn ids_inside_attributes() {
        let map = |text: &str| IdMap::from_ranges([text.parse().unwrap()]).unwrap();
        let mapped = OwnerPolicy::Mapped { uids: map("0:1000:10"), gids: map("100:1000:10") };
        let xattrs = |tree: &Tree| tree.get(&TarPath::root()).unwrap().metadata.xattrs.clone();
        for (given, expected) in [((1002, 1003, 1004), (2, 103, 4)), ((1000, 1009, 1000), (0, 109, 0))] {
            let mut tree = with_ids(given.0, given.1, given.2);
            mapped.apply(&mut tree).unwrap();
            assert_eq!(xattrs(&tree), xattrs(&with_ids(expected.0, expected.1, expected.2)));
            assert_eq!(mapped.note(&tree), None);
        }
        for (given, expected) in [
            ((7, 1000, 1000), "`/`: uid 7 in system.posix_acl_access is outside of the map"),
            ((1000, 7, 1000), "`/`: gid 7 in system.posix_acl_access is outside of the map"),
            ((1000, 1000, 7), "`/`: uid 7 in security.capability is outside of the map"),
        ] {
            let error = mapped.apply(&mut with_ids(given.0, given.1, given.2)).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
        let fixed = OwnerPolicy::Fixed { uid: 0, gid: 0 };
        let mut tree = with_ids(5, 6, 7);
        fixed.apply(&mut tree).unwrap();
        assert_eq!(xattrs(&tree), xattrs(&with_ids(5, 6, 7)));
        let note = "one owner for all leaves ids inside attributes as they are: 2: `/` (security.capability), `/` \
                    (system.posix_acl_access)";
        assert_eq!(fixed.note(&tree).as_deref(), Some(note));
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
            clamp_times(&mut tree, limit.into());
            assert_eq!(tree.newest_mtime(), Some(expected.into()));
        }
    }
}
