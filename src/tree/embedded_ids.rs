//! Ids inside extended attributes: the users and groups of ACLs, and the user that a file capability treats as root.
//!
//! The formats are the kernel's, little-endian: `posix_acl_xattr.h` (version 2) and `vfs_ns_cap_data` (version 3).

/// An id that an attribute holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EmbeddedId {
    User(u32),
    Group(u32),
}

/// An attribute whose value the kernel interprets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Parsed {
    Acl(Vec<AclEntry>),
    Capability {
        /// Revision and flags, and the sets.
        head: Vec<u8>,
        root: Option<u32>,
    },
}

/// Tags are in the order that they have in an ACL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AclEntry {
    tag: u16,
    id: u32,
    permissions: u16,
}

pub(crate) const USER_OBJ: u16 = 0x01;
pub(crate) const USER: u16 = 0x02;
pub(crate) const GROUP_OBJ: u16 = 0x04;
pub(crate) const GROUP: u16 = 0x08;
pub(crate) const MASK: u16 = 0x10;
pub(crate) const OTHER: u16 = 0x20;

/// The id of an entry that names no user or group.
pub(crate) const NO_ID: u32 = u32::MAX;

pub(crate) const ACCESS_ACL: &[u8] = b"system.posix_acl_access";
pub(crate) const DEFAULT_ACL: &[u8] = b"system.posix_acl_default";
const CAPABILITY: &[u8] = b"security.capability";

const ACL_VERSION: [u8; 4] = 2_u32.to_le_bytes();
const CAPABILITY_2: u32 = 0x0200_0000;
const CAPABILITY_3: u32 = 0x0300_0000;
const CAPABILITY_EFFECTIVE: u32 = 1;

impl Parsed {
    /// Parses an attribute; returns `None` for other attributes, and for a value that the kernel would not accept.
    pub(crate) fn parse(name: &[u8], value: &[u8]) -> Option<Self> {
        match name {
            ACCESS_ACL | DEFAULT_ACL => acl(value),
            CAPABILITY => capability(value),
            _ => None,
        }
    }

    /// Whether the kernel takes the value of an attribute, as far as it interprets values of this name.
    pub(crate) fn is_valid(name: &[u8], value: &[u8]) -> bool {
        let is_interpreted = matches!(name, ACCESS_ACL | DEFAULT_ACL | CAPABILITY);
        !is_interpreted || Parsed::parse(name, value).is_some()
    }

    /// Returns the ids, in their order.
    pub(crate) fn ids(&self) -> Vec<EmbeddedId> {
        match self {
            Parsed::Acl(entries) => entries.iter().filter_map(|entry| entry.embedded()).collect(),
            Parsed::Capability { root, .. } => root.iter().map(|root| EmbeddedId::User(*root)).collect(),
        }
    }

    /// Returns the attribute with other ids. A capability whose root becomes 0 is one of version 2, which has no root.
    pub(crate) fn translate<E>(self, mut translate: impl FnMut(EmbeddedId) -> Result<u32, E>) -> Result<Vec<u8>, E> {
        match self {
            Parsed::Acl(mut entries) => {
                for entry in &mut entries {
                    if let Some(id) = entry.embedded() {
                        entry.id = translate(id)?;
                    }
                }
                entries.sort_unstable();
                Ok(acl_value(entries))
            }
            Parsed::Capability { mut head, root: None } => {
                head[3] = CAPABILITY_2.to_le_bytes()[3];
                Ok(head)
            }
            Parsed::Capability { mut head, root: Some(root) } => match translate(EmbeddedId::User(root))? {
                0 => Parsed::Capability { head, root: None }.translate(translate),
                root => {
                    head.extend(root.to_le_bytes());
                    Ok(head)
                }
            },
        }
    }
}

/// Returns the attribute that holds an ACL, with its entries in order.
pub(crate) fn acl_value(entries: Vec<AclEntry>) -> Vec<u8> {
    ACL_VERSION.into_iter().chain(entries.into_iter().flat_map(AclEntry::bytes)).collect()
}

impl AclEntry {
    pub(crate) fn new(tag: u16, id: u32, permissions: u16) -> Self {
        AclEntry { tag, id, permissions }
    }

    pub(crate) fn tag(self) -> u16 {
        self.tag
    }

    pub(crate) fn permissions(self) -> u16 {
        self.permissions
    }

    fn embedded(self) -> Option<EmbeddedId> {
        match self.tag {
            USER => Some(EmbeddedId::User(self.id)),
            GROUP => Some(EmbeddedId::Group(self.id)),
            _ => None,
        }
    }

    fn bytes(self) -> impl Iterator<Item = u8> {
        let AclEntry { tag, id, permissions } = self;
        tag.to_le_bytes().into_iter().chain(permissions.to_le_bytes()).chain(id.to_le_bytes())
    }
}

fn acl(value: &[u8]) -> Option<Parsed> {
    let entries = value.strip_prefix(&ACL_VERSION)?.chunks(8);
    let entries: Option<Vec<AclEntry>> = entries
        .map(|entry| match *entry {
            [tag, tag_high, permissions, permissions_high, a, b, c, d] => Some(AclEntry {
                tag: u16::from_le_bytes([tag, tag_high]),
                id: u32::from_le_bytes([a, b, c, d]),
                permissions: u16::from_le_bytes([permissions, permissions_high]),
            }),
            _ => None,
        })
        .collect();
    entries.filter(|entries| is_acl(entries)).map(Parsed::Acl)
}

/// Returns whether the kernel accepts these entries in this order.
pub(crate) fn is_acl(entries: &[AclEntry]) -> bool {
    let count = |tag| entries.iter().filter(|entry| entry.tag == tag).count();
    let needs_mask = count(USER) + count(GROUP) > 0;
    [USER_OBJ, GROUP_OBJ, OTHER].into_iter().all(|tag| count(tag) == 1)
        && if needs_mask { count(MASK) == 1 } else { count(MASK) < 2 }
        && entries.iter().all(|entry| {
            [USER_OBJ, USER, GROUP_OBJ, GROUP, MASK, OTHER].contains(&entry.tag) && entry.permissions <= 0o7
        })
        && entries.windows(2).all(|pair| pair[0].tag <= pair[1].tag)
}

fn capability(value: &[u8]) -> Option<Parsed> {
    let revision = u32::from_le_bytes(value.get(..4)?.try_into().ok()?) & !CAPABILITY_EFFECTIVE;
    match (revision, value.len()) {
        (CAPABILITY_2, 20) => Some(Parsed::Capability { head: value.to_vec(), root: None }),
        (CAPABILITY_3, 24) => {
            let (head, root) = value.split_at(20);
            Some(Parsed::Capability { head: head.to_vec(), root: Some(u32::from_le_bytes(root.try_into().ok()?)) })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use EmbeddedId::{Group, User};

    const ACCESS: &[u8] = b"system.posix_acl_access";
    const CAPABILITY: &[u8] = b"security.capability";
    const NONE: u32 = u32::MAX;

    fn acl(entries: &[(u16, u16, u32)]) -> Vec<u8> {
        let bytes = entries
            .iter()
            .flat_map(|(tag, permissions, id)| AclEntry { tag: *tag, id: *id, permissions: *permissions }.bytes());
        ACL_VERSION.into_iter().chain(bytes).collect()
    }

    fn capability(revision: u32, root: Option<u32>) -> Vec<u8> {
        let words = [revision, 1 << 13, 0, 0, 0].into_iter().chain(root);
        words.flat_map(u32::to_le_bytes).collect()
    }

    fn moved(id: EmbeddedId) -> u32 {
        match id {
            User(id) => id.wrapping_add(10),
            Group(id) => id.wrapping_sub(10),
        }
    }

    #[test]
    fn ids_are_found_and_translated() {
        let full = [
            (USER_OBJ, 6, NONE),
            (USER, 7, 5),
            (USER, 6, u32::MAX - 7),
            (GROUP_OBJ, 4, NONE),
            (GROUP, 5, 50),
            (MASK, 7, NONE),
            (OTHER, 0, NONE),
        ];
        // Sorted by the new ids.
        let translated = [
            (USER_OBJ, 6, NONE),
            (USER, 6, 2),
            (USER, 7, 15),
            (GROUP_OBJ, 4, NONE),
            (GROUP, 5, 40),
            (MASK, 7, NONE),
            (OTHER, 0, NONE),
        ];
        let minimal = acl(&[(USER_OBJ, 6, NONE), (GROUP_OBJ, 4, NONE), (OTHER, 0, NONE)]);
        for (name, value, ids, expected) in [
            (ACCESS, acl(&full), vec![User(5), User(u32::MAX - 7), Group(50)], acl(&translated)),
            (b"system.posix_acl_default", minimal.clone(), vec![], minimal),
            (CAPABILITY, capability(0x0200_0001, None), vec![], capability(0x0200_0001, None)),
            (CAPABILITY, capability(0x0300_0000, Some(7)), vec![User(7)], capability(0x0300_0000, Some(17))),
            (
                CAPABILITY,
                capability(0x0300_0001, Some(u32::MAX - 9)),
                vec![User(u32::MAX - 9)],
                capability(0x0200_0001, None),
            ),
        ] {
            let parsed = Parsed::parse(name, &value).unwrap();
            assert_eq!(parsed.ids(), ids);
            assert_eq!(parsed.translate(|id| Ok::<_, ()>(moved(id))), Ok(expected));
        }
    }

    #[test]
    fn what_no_kernel_reads_is_left_alone() {
        let minimal = [(USER_OBJ, 6, NONE), (GROUP_OBJ, 4, NONE), (OTHER, 0, NONE)];
        let with = |more: &[(u16, u16, u32)]| {
            let mut entries = [&minimal[..], more].concat();
            entries.sort_unstable();
            acl(&entries)
        };
        let mut other_version = acl(&minimal);
        other_version[0] = 1;
        for (what, name, value) in [
            ("no bytes", ACCESS, vec![]),
            ("a version of its own", ACCESS, other_version),
            ("half an entry", ACCESS, [acl(&minimal), vec![1, 2, 3]].concat()),
            ("a user without a mask", ACCESS, with(&[(USER, 7, 1)])),
            ("two masks", ACCESS, with(&[(MASK, 7, NONE), (MASK, 7, NONE)])),
            ("no owner", ACCESS, acl(&minimal[1..])),
            ("an unknown tag", ACCESS, with(&[(0x40, 7, 1)])),
            ("permissions beyond rwx", ACCESS, with(&[(MASK, 8, NONE)])),
            ("another order", ACCESS, acl(&[minimal[1], minimal[0], minimal[2]])),
            ("version 1", CAPABILITY, capability(0x0100_0000, None)[..12].to_vec()),
            ("a root in version 2", CAPABILITY, capability(0x0200_0000, Some(1))),
            ("no root in version 3", CAPABILITY, capability(0x0300_0000, None)),
            ("unknown flags", CAPABILITY, capability(0x0200_0002, None)),
            ("another attribute", b"user.x", capability(0x0200_0000, None)),
        ] {
            assert_eq!(Parsed::parse(name, &value), None, "{what}");
        }
    }
}
