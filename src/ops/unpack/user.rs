//! Who runs in a container: the image's `User` with the image's own `etc/passwd` and `etc/group` (image-spec,
//! conversion.md#configuser).

use std::io::Read;

use crate::error::{Error, ErrorKind, Result};
use crate::hint::Hint;
use crate::ops::unpack::disk::Disk;
use crate::tree::TarPath;

/// The numbers of a user, and a home if the image knows one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct User {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) additional_gids: Vec<u32>,
    pub(super) home: Option<String>,
}

/// The accounts that an image knows: the lines of its files.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    passwd: String,
    group: String,
}

/// The most that is read of such a file.
const FILE_LIMIT: u64 = 16 << 20;

impl Accounts {
    /// Reads the files of a tree; a missing file has no names.
    pub(super) fn read(disk: &mut Disk) -> Result<Self> {
        let mut text = |path: &str| -> Result<String> {
            let path = TarPath::parse(path.as_bytes())?;
            let mut text = Vec::new();
            if let Some(file) = disk.open(&path)? {
                disk.at("read", &path, file.take(FILE_LIMIT).read_to_end(&mut text))?;
            }
            Ok(String::from_utf8_lossy(&text).into_owned())
        };
        Ok(Accounts { passwd: text("etc/passwd")?, group: text("etc/group")? })
    }

    /// Resolves `user`, `uid`, `user:group`, `uid:gid`, `uid:group` or `user:gid`. Numbers are taken as they are; a
    /// name must be known. Further groups are those of a user that is given by name and without a group.
    pub(super) fn resolve(&self, text: &str) -> Result<User> {
        let (user, group) = text.split_once(':').unwrap_or((text, ""));
        let unknown = |what: &str, name: &str, file: &str| {
            let message =
                format!("the image runs as the {what} `{}`, which is not in its `{file}`", name.escape_debug());
            let hint = Hint::from("give it another user with ").verb("config").text(", or unpack it without a bundle");
            Error::refused_with_hint(message, hint).of_kind(ErrorKind::Damaged)
        };
        let number: Option<u32> = if user.is_empty() { Some(0) } else { user.parse().ok() };
        let account = self.accounts().find(|account| match number {
            Some(uid) => account.uid == uid,
            None => account.name == user,
        });
        let uid = match (number, &account) {
            (Some(uid), _) => uid,
            (None, Some(account)) => account.uid,
            (None, None) => return Err(unknown("user", user, "etc/passwd")),
        };
        let gid = match (group, &account) {
            ("", Some(account)) => account.gid,
            ("", None) => 0,
            (group, _) => match group.parse() {
                Ok(gid) => gid,
                Err(_) => self.gid(group).ok_or_else(|| unknown("group", group, "etc/group"))?,
            },
        };
        let mut additional_gids = Vec::new();
        if group.is_empty() && number.is_none() {
            let of_user = self.groups().filter(|found| found.members.split(',').any(|member| member == user));
            for found in of_user.map(|found| found.gid).filter(|found| *found != gid) {
                if !additional_gids.contains(&found) {
                    additional_gids.push(found);
                }
            }
        }
        let home = account.map(|account| account.home.to_owned()).filter(|home| !home.is_empty());
        Ok(User { uid, gid, additional_gids, home })
    }

    fn accounts(&self) -> impl Iterator<Item = Account<'_>> {
        self.passwd.lines().filter_map(|line| {
            let mut fields = line.split(':');
            Some(Account {
                name: fields.next().filter(|name| !name.is_empty())?,
                uid: fields.nth(1)?.parse().ok()?,
                gid: fields.next()?.parse().ok()?,
                home: fields.nth(1).unwrap_or_default(),
            })
        })
    }

    fn groups(&self) -> impl Iterator<Item = Group<'_>> {
        self.group.lines().filter_map(|line| {
            let mut fields = line.split(':');
            Some(Group {
                name: fields.next().filter(|name| !name.is_empty())?,
                gid: fields.nth(1)?.parse().ok()?,
                members: fields.next().unwrap_or_default(),
            })
        })
    }

    fn gid(&self, name: &str) -> Option<u32> {
        self.groups().find(|group| group.name == name).map(|group| group.gid)
    }
}

/// A line of `etc/passwd`.
struct Account<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

/// A line of `etc/group`.
struct Group<'a> {
    name: &'a str,
    gid: u32,
    members: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts() -> Accounts {
        Accounts {
            passwd: "# comment\nroot:x:0:0:root:/root:/bin/sh\nbroken\n:x:7:7::/:\napp:x:1000:1001::/srv/app:/bin/sh\n\
                     short:x:5:6\n7:x:70:71::/:\n"
                .to_owned(),
            group: "root:x:0:\nstaff:x:50:root,app\nwheel:x:10:app\napp:x:1001:app\nagain:x:10:app\nnear:x:9:apple\n"
                .to_owned(),
        }
    }

    #[test]
    fn every_form_of_a_user() {
        let user = |uid, gid, additional_gids: &[u32], home: &str| User {
            uid,
            gid,
            additional_gids: additional_gids.to_vec(),
            home: (!home.is_empty()).then(|| home.to_owned()),
        };
        for (text, expected) in [
            ("", user(0, 0, &[], "/root")),
            ("root", user(0, 0, &[50], "/root")),
            ("app", user(1000, 1001, &[50, 10], "/srv/app")),
            ("app:", user(1000, 1001, &[50, 10], "/srv/app")),
            ("app:staff", user(1000, 50, &[], "/srv/app")),
            ("app:123", user(1000, 123, &[], "/srv/app")),
            // Verbatim; what the image says about the number is its group and home, and nothing else.
            ("1000", user(1000, 1001, &[], "/srv/app")),
            ("1000:staff", user(1000, 50, &[], "/srv/app")),
            ("4242", user(4242, 0, &[], "")),
            ("4242:4343", user(4242, 4343, &[], "")),
            ("7", user(7, 0, &[], "")),
            ("4294967295", user(u32::MAX, 0, &[], "")),
            ("short", user(5, 6, &[], "")),
        ] {
            assert_eq!(accounts().resolve(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn names_that_are_not_known_are_errors() {
        for (text, expected) in [
            ("nobody", "the image runs as the user `nobody`, which is not in its `etc/passwd`"),
            ("-1", "the image runs as the user `-1`, which is not in its `etc/passwd`"),
            ("4294967296", "the image runs as the user `4294967296`, which is not in its `etc/passwd`"),
            ("app:users", "the image runs as the group `users`, which is not in its `etc/group`"),
            ("1:users", "the image runs as the group `users`, which is not in its `etc/group`"),
        ] {
            assert_eq!(accounts().resolve(text).unwrap_err().to_string(), expected);
        }
        assert!(Accounts::default().resolve("root").is_err());
        assert_eq!(Accounts::default().resolve("").unwrap(), User::default());
    }
}
