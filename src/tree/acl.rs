//! ACLs as text, which archives of whole filesystems hold, and as attributes, which filesystems hold.
//!
//! The text is that of POSIX.1e draft 17 (acl(5)), with entries on lines or between commas: `user::rw-`,
//! `group:staff:r-x`. star and libarchive add the number of the named user or group at the end of the entry,
//! `user:lp:rw-:7`.

use crate::tree::embedded_ids::{self, AclEntry, GROUP, GROUP_OBJ, MASK, OTHER, USER, USER_OBJ};
use crate::tree::ids::Ids;

/// An ACL with at least one entry for the owner, the group and all others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Acl {
    entries: Vec<AclEntry>,
    /// A name in it that has no number.
    pub(crate) unknown: Option<String>,
}

impl Acl {
    /// Reads the text. `users` and `groups` give the numbers of names that come without one; if they do not know a
    /// name, there is no attribute. The error says what is wrong; the caller says with what.
    pub(crate) fn parse(text: &[u8], users: &Ids, groups: &Ids) -> Result<Self, String> {
        let not_accepted = |line: &str| format!("ACL entry `{}` is not accepted", line.escape_debug());
        let text = std::str::from_utf8(text).map_err(|_| "an ACL is text, found other bytes".to_owned())?;
        let mut entries = Vec::new();
        let mut unknown = None;
        for line in text.split(['\n', ',']) {
            // Tools note in a comment what a mask leaves of the permissions.
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let mut fields = line.split(':').map(str::trim);
            let (tag, who) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
            let permissions = fields.next().and_then(permissions).ok_or_else(|| not_accepted(line))?;
            let number = fields.next();
            let (tag, names) = match (tag, who) {
                ("user" | "u", "") => (USER_OBJ, None),
                ("user" | "u", _) => (USER, Some(users)),
                ("group" | "g", "") => (GROUP_OBJ, None),
                ("group" | "g", _) => (GROUP, Some(groups)),
                ("mask" | "m", "") => (MASK, None),
                ("other" | "o", "") => (OTHER, None),
                _ => return Err(not_accepted(line)),
            };
            let id = match (names, number) {
                (None, _) => embedded_ids::NO_ID,
                (Some(_), Some(number)) => number.parse().map_err(|_| not_accepted(line))?,
                (Some(names), None) => names.find(who).unwrap_or_else(|| {
                    unknown.get_or_insert(who.to_owned());
                    embedded_ids::NO_ID
                }),
            };
            entries.push(AclEntry::new(tag, id, permissions));
        }
        entries.sort_unstable();
        if embedded_ids::is_acl(&entries) {
            Ok(Acl { entries, unknown })
        } else {
            Err("an ACL has one entry for the owner, the group and others, and a mask if it names a user or group"
                .to_owned())
        }
    }

    /// Returns whether it says no more than a mode can.
    pub(crate) fn is_mode(&self) -> bool {
        self.entries.len() == 3
    }

    /// Returns the permissions in the mode of a file that has it: for the group, at most what the mask leaves.
    pub(crate) fn mode(&self) -> u16 {
        self.mode_of(self.find(MASK).or(self.find(GROUP_OBJ)))
    }

    /// Returns the permissions in the mode of a file that loses it: the group gets no more than it had.
    pub(crate) fn mode_without(&self) -> u16 {
        self.mode_of(self.find(GROUP_OBJ).map(|group| group & self.find(MASK).unwrap_or(7)))
    }

    fn mode_of(&self, group: Option<u16>) -> u16 {
        let parts = [self.find(USER_OBJ), group, self.find(OTHER)];
        parts.into_iter().fold(0, |mode, permissions| mode << 3 | permissions.unwrap_or(0))
    }

    fn find(&self, tag: u16) -> Option<u16> {
        self.entries.iter().find(|entry| entry.tag() == tag).map(|entry| entry.permissions())
    }

    /// Returns the attribute of a filesystem.
    pub(crate) fn value(self) -> Vec<u8> {
        embedded_ids::acl_value(self.entries)
    }
}

/// Reads `rwx`, `r-x`, `r` as a number.
fn permissions(text: &str) -> Option<u16> {
    text.bytes().try_fold(0, |sum, letter| match letter {
        b'r' => Some(sum | 4),
        b'w' => Some(sum | 2),
        b'x' => Some(sum | 1),
        b'-' => Some(sum),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Acl, String> {
        let ids = |names: &[(&str, u32)]| names.iter().map(|(name, id)| ((*name).to_owned(), *id)).collect::<Ids>();
        Acl::parse(text.as_bytes(), &ids(&[("lp", 7), ("ab", 3)]), &ids(&[("staff", 50)]))
    }

    #[test]
    fn every_writer_says_the_same() {
        let value = |entries: &[(u16, u16, u32)]| {
            let bytes = entries.iter().flat_map(|(tag, permissions, id)| {
                [&tag.to_le_bytes()[..], &permissions.to_le_bytes(), &id.to_le_bytes()].concat()
            });
            [2, 0, 0, 0].into_iter().chain(bytes).collect::<Vec<u8>>()
        };
        let none = u32::MAX;
        let expected =
            value(&[(1, 6, none), (2, 4, 3), (2, 6, 7), (4, 4, none), (8, 5, 50), (16, 7, none), (32, 0, none)]);
        for text in [
            "user::rw-\nuser:lp:rw-\nuser:ab:r--\ngroup::r--\ngroup:staff:r-x\nmask::rwx\nother::---\n",
            "user::rw-,user:7:rw-,user:3:r--,group::r--,group:50:r-x,mask::rwx,other::---",
            "user::rw-,user:else:rw-:7,user:ab:r--:3,group::r--,group:other:r-x:50,mask::rwx,other::---",
            "u::rw, u:lp:rw\t#effective:rw-, u:ab:r, g::r, g:staff:rx, m::rwx, o::-",
        ] {
            let acl = parse(text).unwrap();
            assert!(!acl.is_mode());
            assert_eq!((acl.mode(), acl.value()), (0o670, expected.clone()), "{text}");
        }
        let acl = parse("user::rwx,group::r-x,other::--x").unwrap();
        assert_eq!((acl.is_mode(), acl.mode()), (true, 0o751));
    }

    #[test]
    fn who_is_unknown_gets_nothing() {
        let acl = parse("user::rwx,user:lp:rw-,user:nn:rwx,group::rwx,mask::rw-,other::r--").unwrap();
        assert_eq!((acl.unknown.as_deref(), acl.mode_without()), (Some("nn"), 0o764));
        let acl = parse("user::rwx,group::r-x,group:lp:rwx,mask::rwx,other::---").unwrap();
        assert_eq!((acl.unknown.as_deref(), acl.mode(), acl.mode_without()), (Some("lp"), 0o770, 0o750));
    }

    #[test]
    fn what_no_kernel_takes_is_refused() {
        for (text, reason) in [
            ("user::rw-,group::r--", "an ACL has one entry for"),
            ("user::rw-,user:lp:r--,group::r--,other::---", "an ACL has one entry for"),
            ("user::rw-,user::r--,group::r--,other::---", "an ACL has one entry for"),
            ("user::rw-,group::r--,other::---,everyone@:r:allow", "ACL entry `everyone@:r:allow` is not accepted"),
            ("user::rwz,group::r--,other::---", "ACL entry `user::rwz` is not accepted"),
            ("user:lp:r--:x", "ACL entry `user:lp:r--:x` is not accepted"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.starts_with(reason), "{text}: {error}");
        }
    }
}
