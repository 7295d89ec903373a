//! Differences between trees as values, for reports.

use std::fmt;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::tree::{path_members, Device, Kind, Mtime, TarPath};

/// A difference at one path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Difference {
    /// The path.
    #[serde(flatten, serialize_with = "path_members")]
    pub path: TarPath,
    /// The change.
    #[serde(flatten)]
    pub change: Change,
}

/// How the entries of two trees at one path differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "change", rename_all = "lowercase")]
pub enum Change {
    /// Only the new tree has one.
    Added {
        /// Its type; for another name of a file, [`Kind::Hardlink`].
        #[serde(rename = "type", serialize_with = "kind_name")]
        kind: Kind,
    },
    /// Only the old tree had one.
    Removed {
        /// Its type.
        #[serde(rename = "type", serialize_with = "kind_name")]
        kind: Kind,
    },
    /// Both have one, and at least one field differs.
    Changed {
        /// In the order of the variants of [`FieldChange`].
        fields: Vec<FieldChange>,
    },
}

/// A field and its values in the two trees.
///
/// For people it is a line, `mode 0644 -> 0755`; for programs an object, `{"field":"mode","from":"0644","to":"0755"}`.
/// In both, link targets and attributes that are not text are escaped, so that different bytes look different.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FieldChange {
    /// The type, in the words of [`Kind::name`]; another name of a file counts as the file.
    Type(FromTo<&'static str>),
    /// The size in bytes, of what is or was a regular file.
    Size(FromTo<Option<u64>>),
    /// Other bytes in a regular file of the same size.
    Content,
    /// The text of what is or was a symbolic link.
    Target(FromTo<Option<Box<[u8]>>>),
    /// The numbers of what is or was a device.
    Device(FromTo<Option<Device>>),
    /// The first of the other names of the inode. Names that only one of the trees has do not count.
    Hardlink(FromTo<Option<TarPath>>),
    /// Permissions with setuid, setgid and sticky.
    Mode(FromTo<u16>),
    /// Owner.
    Uid(FromTo<u32>),
    /// Group.
    Gid(FromTo<u32>),
    /// When it was last changed. In JSON, seconds since the epoch, with any nanoseconds in separate members.
    Mtime(FromTo<Mtime>),
    /// An extended attribute that was added, removed or changed.
    Xattr {
        /// Its name.
        name: Vec<u8>,
        /// Its values.
        value: FromTo<Option<Vec<u8>>>,
    },
}

/// The values of one field in the two trees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FromTo<T> {
    /// In the old one.
    pub from: T,
    /// In the new one.
    pub to: T,
}

impl FieldChange {
    /// Returns the field in one word: the variant's name in lower case.
    pub fn name(&self) -> &'static str {
        match self {
            FieldChange::Type(_) => "type",
            FieldChange::Size(_) => "size",
            FieldChange::Content => "content",
            FieldChange::Target(_) => "target",
            FieldChange::Device(_) => "device",
            FieldChange::Hardlink(_) => "hardlink",
            FieldChange::Mode(_) => "mode",
            FieldChange::Uid(_) => "uid",
            FieldChange::Gid(_) => "gid",
            FieldChange::Mtime(_) => "mtime",
            FieldChange::Xattr { .. } => "xattr",
        }
    }

    /// Returns the values as they are shown, null if there is none. Content is not shown.
    fn values(&self) -> Option<FromTo<Value>> {
        Some(match self {
            FieldChange::Type(values) => values.show(|name| (*name).into()),
            FieldChange::Size(values) => values.show(|size| (*size).into()),
            FieldChange::Content => return None,
            FieldChange::Target(values) => values.show(|target| target.as_deref().map(text).into()),
            FieldChange::Device(values) => {
                values.show(|device| device.map(|Device { major, minor }| format!("{major},{minor}")).into())
            }
            FieldChange::Hardlink(values) => values.show(|name| name.as_ref().map(TarPath::to_string).into()),
            FieldChange::Mode(values) => values.show(|mode| format!("{mode:04o}").into()),
            FieldChange::Uid(values) | FieldChange::Gid(values) => values.show(|id| (*id).into()),
            FieldChange::Mtime(values) => values.show(|mtime| mtime.seconds().into()),
            FieldChange::Xattr { value, .. } => value.show(|value| value.as_deref().map(text).into()),
        })
    }
}

impl<T> FromTo<T> {
    fn show(&self, value: impl Fn(&T) -> Value) -> FromTo<Value> {
        FromTo { from: value(&self.from), to: value(&self.to) }
    }
}

impl fmt::Display for FieldChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        if let FieldChange::Xattr { name, .. } = self {
            write!(f, " {}", text(name))?;
        }
        let shown = |value| match value {
            Value::Null => "none".to_owned(),
            Value::String(text) => text,
            number => number.to_string(),
        };
        let values = match self {
            FieldChange::Mtime(FromTo { from, to }) => Some(FromTo { from: from.date().into(), to: to.date().into() }),
            _ => self.values(),
        };
        match values {
            Some(FromTo { from, to }) => write!(f, " {} -> {}", shown(from), shown(to)),
            None => Ok(()),
        }
    }
}

impl Serialize for FieldChange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        object.serialize_entry("field", self.name())?;
        if let FieldChange::Xattr { name, .. } = self {
            object.serialize_entry("name", &text(name))?;
        }
        if let Some(FromTo { from, to }) = self.values() {
            object.serialize_entry("from", &from)?;
            object.serialize_entry("to", &to)?;
        }
        if let FieldChange::Mtime(FromTo { from, to }) = self {
            if (from.nanoseconds(), to.nanoseconds()) != (0, 0) {
                object.serialize_entry("from_nanoseconds", &from.nanoseconds())?;
                object.serialize_entry("to_nanoseconds", &to.nanoseconds())?;
            }
        }
        object.end()
    }
}

/// Returns bytes unchanged if they are text, escaped if they are not.
fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains(char::is_control) => text.escape_debug().to_string(),
        _ => bytes.escape_ascii().to_string(),
    }
}

fn kind_name<S: Serializer>(kind: &Kind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> TarPath {
        TarPath::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_line_for_people_and_an_object_for_programs() {
        let xattr = |name: &[u8], from: Option<&[u8]>, to: Option<&[u8]>| {
            let value = FromTo { from: from.map(<[u8]>::to_vec), to: to.map(<[u8]>::to_vec) };
            FieldChange::Xattr { name: name.to_vec(), value }
        };
        for (change, line, object) in [
            (
                FieldChange::Type(FromTo { from: "directory", to: "symlink" }),
                "type directory -> symlink",
                r#"{"field":"type","from":"directory","to":"symlink"}"#,
            ),
            (
                FieldChange::Size(FromTo { from: Some(7), to: None }),
                "size 7 -> none",
                r#"{"field":"size","from":7,"to":null}"#,
            ),
            (FieldChange::Content, "content", r#"{"field":"content"}"#),
            (
                FieldChange::Target(FromTo { from: None, to: Some("größe".as_bytes().into()) }),
                "target none -> größe",
                r#"{"field":"target","from":null,"to":"größe"}"#,
            ),
            (
                FieldChange::Device(FromTo { from: None, to: Some(Device { major: 5, minor: 1 }) }),
                "device none -> 5,1",
                r#"{"field":"device","from":null,"to":"5,1"}"#,
            ),
            (
                FieldChange::Hardlink(FromTo { from: Some(path("a/b")), to: None }),
                "hardlink /a/b -> none",
                r#"{"field":"hardlink","from":"/a/b","to":null}"#,
            ),
            (
                FieldChange::Mode(FromTo { from: 0o44, to: 0o4755 }),
                "mode 0044 -> 4755",
                r#"{"field":"mode","from":"0044","to":"4755"}"#,
            ),
            (FieldChange::Uid(FromTo { from: 0, to: 1 }), "uid 0 -> 1", r#"{"field":"uid","from":0,"to":1}"#),
            (FieldChange::Gid(FromTo { from: 0, to: 1 }), "gid 0 -> 1", r#"{"field":"gid","from":0,"to":1}"#),
            (
                FieldChange::Mtime(FromTo { from: (-1).into(), to: i64::MAX.into() }),
                "mtime 1969-12-31T23:59:59Z -> 9223372036854775807",
                r#"{"field":"mtime","from":-1,"to":9223372036854775807}"#,
            ),
            (
                FieldChange::Mtime(FromTo { from: Mtime::new(1, 100_000_000).unwrap(), to: 1.into() }),
                "mtime 1970-01-01T00:00:01.1Z -> 1970-01-01T00:00:01Z",
                r#"{"field":"mtime","from":1,"to":1,"from_nanoseconds":100000000,"to_nanoseconds":0}"#,
            ),
            (
                xattr(b"security.capability", None, Some(b"\x01\0\xff")),
                r"xattr security.capability none -> \x01\x00\xff",
                r#"{"field":"xattr","name":"security.capability","from":null,"to":"\\x01\\x00\\xff"}"#,
            ),
            (
                xattr(b"user.\n", Some(br"\n"), Some(b"\n")),
                r"xattr user.\n \\n -> \n",
                r#"{"field":"xattr","name":"user.\\n","from":"\\\\n","to":"\\n"}"#,
            ),
        ] {
            assert_eq!(change.to_string(), line);
            assert_eq!(serde_json::to_string(&change).unwrap(), object);
        }
    }

    #[test]
    fn a_difference_is_one_flat_object() {
        let of = |change| Difference { path: path("a\n"), change };
        for (difference, object) in [
            (of(Change::Added { kind: Kind::Fifo }), r#"{"path":"/a\n","change":"added","type":"fifo"}"#),
            (
                of(Change::Removed { kind: Kind::Hardlink { target: path("b").into() } }),
                r#"{"path":"/a\n","change":"removed","type":"hardlink"}"#,
            ),
            (
                of(Change::Changed { fields: vec![FieldChange::Content] }),
                r#"{"path":"/a\n","change":"changed","fields":[{"field":"content"}]}"#,
            ),
        ] {
            assert_eq!(serde_json::to_string(&difference).unwrap(), object);
        }
    }
}
