//! Paths inside of images.

use std::cmp::Ordering;
use std::ffi::OsStr;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::ser::SerializeMap;
use serde::Serializer;

use crate::base64;
use crate::error::Error;

/// A path inside an image: relative to its root, components of any bytes joined by single slashes, no `.`, no `..`.
///
/// The root is the empty path. Paths are ordered by components, so that a directory comes before its content and `a/b`
/// before `a-b`. Clones share the bytes, and a directory shares those of what is in it.
#[derive(Clone)]
pub struct TarPath {
    /// Those of this path, or of many that were packed. One pointer: trees hold millions of paths.
    shared: Arc<Box<[u8]>>,
    start: u32,
    length: u32,
}

impl TarPath {
    /// Returns the root.
    pub fn root() -> Self {
        TarPath::alone(Vec::new())
    }

    /// Returns a path that shares its bytes with no other.
    fn alone(bytes: Vec<u8>) -> Self {
        let length = u32::try_from(bytes.len()).expect("paths are shorter than 4 GiB");
        TarPath { shared: Arc::new(bytes.into()), start: 0, length }
    }

    /// Normalises a name found in an archive or on a command line: `./a`, `/a`, `a/` and `a//` are all `a`. Refuses
    /// `..` and NUL.
    pub fn parse(name: &[u8]) -> Result<Self, Error> {
        if name.contains(&0) {
            return Err(Error::malformed(format!("name `{}`", name.escape_ascii()), "a NUL byte is part of it"));
        }
        if u32::try_from(name.len()).is_err() {
            return Err(Error::malformed("a name", format!("no path has {} bytes", name.len())));
        }
        let mut path = Vec::with_capacity(name.len());
        for component in name.split(|b| *b == b'/') {
            match component {
                b"" | b"." => {}
                b".." => {
                    return Err(Error::malformed(
                        format!("name `{}`", name.escape_ascii()),
                        "`..` leads out of the tree",
                    ))
                }
                component => {
                    if !path.is_empty() {
                        path.push(b'/');
                    }
                    path.extend_from_slice(component);
                }
            }
        }
        Ok(TarPath::alone(path))
    }

    /// Returns the path of something in this directory. `name` is one component, as `readdir` returns it.
    #[must_use]
    pub fn join(&self, name: &[u8]) -> Self {
        debug_assert!(!name.is_empty() && !name.contains(&b'/'));
        let mut path = Vec::with_capacity(self.as_bytes().len() + 1 + name.len());
        self.join_to(name, &mut path);
        TarPath::alone(path)
    }

    /// Appends the bytes of the path of something in this directory.
    pub(super) fn join_to(&self, name: &[u8], bytes: &mut Vec<u8>) {
        if !self.is_root() {
            bytes.extend_from_slice(self.as_bytes());
            bytes.push(b'/');
        }
        bytes.extend_from_slice(name);
    }

    /// Returns paths whose bytes are one after the other in `bytes`, and end in these places.
    pub(super) fn of_parts(bytes: Vec<u8>, ends: &[u32]) -> impl Iterator<Item = Self> + '_ {
        let shared: Arc<Box<[u8]>> = Arc::new(bytes.into());
        let starts = std::iter::once(&0).chain(ends);
        starts.zip(ends).map(move |(start, end)| TarPath { shared: shared.clone(), start: *start, length: end - start })
    }

    /// Returns whether all bytes in memory are those of this path.
    pub(super) fn is_alone(&self) -> bool {
        self.shared.len() == self.length as usize
    }

    /// Returns whether this is the root.
    pub fn is_root(&self) -> bool {
        self.length == 0
    }

    /// Returns the bytes, without a leading or trailing slash; empty for the root.
    pub fn as_bytes(&self) -> &[u8] {
        &self.shared[self.start as usize..][..self.length as usize]
    }

    /// Returns the last component; empty for the root.
    pub fn file_name(&self) -> &[u8] {
        let bytes = self.as_bytes();
        match bytes.iter().rposition(|b| *b == b'/') {
            Some(slash) => &bytes[slash + 1..],
            None => bytes,
        }
    }

    /// Returns the directory that holds it, or `None` for the root.
    pub fn parent(&self) -> Option<TarPath> {
        if self.is_root() {
            return None;
        }
        let length = self.as_bytes().iter().rposition(|b| *b == b'/').unwrap_or(0) as u32;
        Some(TarPath { length, ..self.clone() })
    }

    /// Returns whether this is `other` or below it.
    pub fn starts_with(&self, other: &TarPath) -> bool {
        let rest = self.as_bytes().strip_prefix(other.as_bytes());
        rest.is_some_and(|rest| other.is_root() || matches!(rest.first(), None | Some(b'/')))
    }

    /// Returns its path on disk below `root`.
    pub fn below(&self, root: &Path) -> PathBuf {
        if self.is_root() {
            root.to_path_buf()
        } else {
            root.join(OsStr::from_bytes(self.as_bytes()))
        }
    }
}

/// Bytes that are compared at once.
const STRETCH: usize = 16;

impl Ord for TarPath {
    fn cmp(&self, other: &Self) -> Ordering {
        // A slash ends a component, so it sorts before every other byte; NUL cannot occur.
        let rank = |byte: u8| if byte == b'/' { 0 } else { byte };
        let (own, others) = (self.as_bytes(), other.as_bytes());
        let shorter = own.len().min(others.len());
        let mut at = 0;
        // Paths that are compared mostly begin alike, and whole stretches are compared faster than bytes.
        while at + STRETCH <= shorter && own[at..at + STRETCH] == others[at..at + STRETCH] {
            at += STRETCH;
        }
        while at < shorter && own[at] == others[at] {
            at += 1;
        }
        if at < shorter {
            rank(own[at]).cmp(&rank(others[at]))
        } else {
            own.len().cmp(&others.len())
        }
    }
}

impl PartialEq for TarPath {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for TarPath {}

impl Hash for TarPath {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl PartialOrd for TarPath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for TarPath {
    /// With a leading slash, as [`shown`] shows it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", shown(self.as_bytes()))
    }
}

/// Serialises a path as the members `path` and, if it is not UTF-8, `path_base64`, both with a leading slash.
pub(crate) fn path_members<S: Serializer>(path: &TarPath, serializer: S) -> Result<S::Ok, S::Error> {
    let mut object = serializer.serialize_map(None)?;
    let (text, raw) = members(&[b"/", path.as_bytes()].concat());
    object.serialize_entry("path", &text)?;
    if let Some(raw) = raw {
        object.serialize_entry("path_base64", &raw)?;
    }
    object.end()
}

/// Returns a name for a program: unchanged, or if it is not UTF-8, as it is shown and in base64.
pub(crate) fn members(name: &[u8]) -> (String, Option<String>) {
    match std::str::from_utf8(name) {
        Ok(text) => (text.to_owned(), None),
        Err(_) => (shown(name), Some(base64::encode(name))),
    }
}

/// Returns a name for people: bytes that are not UTF-8 as `\xff`, control characters and backslashes escaped.
pub fn shown(name: &[u8]) -> String {
    let mut text = String::with_capacity(name.len());
    let mut rest = name;
    while !rest.is_empty() {
        let (valid, invalid) = match std::str::from_utf8(rest) {
            Ok(valid) => (valid, 0),
            Err(error) => {
                let valid = std::str::from_utf8(&rest[..error.valid_up_to()]).unwrap_or_default();
                (valid, error.error_len().unwrap_or(rest.len() - error.valid_up_to()))
            }
        };
        for c in valid.chars() {
            if c.is_control() || c == '\\' {
                text.extend(c.escape_default());
            } else {
                text.push(c);
            }
        }
        let invalid = &rest[valid.len()..valid.len() + invalid];
        text.extend(invalid.escape_ascii().map(char::from));
        rest = &rest[valid.len() + invalid.len()..];
    }
    text
}

impl fmt::Debug for TarPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.as_bytes().escape_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> TarPath {
        TarPath::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn one_path_has_one_form() {
        for text in ["a/b", "./a/b", "/a/b", "a/b/", "a//b", "a/./b", "///a/b/."] {
            assert_eq!(path(text), path("a/b"), "{text}");
        }
        for text in ["", ".", "./", "/"] {
            assert!(path(text).is_root(), "{text}");
        }
        for text in ["..", "a/..", "../a", "a/../b", "a\0b"] {
            assert!(TarPath::parse(text.as_bytes()).is_err(), "{text}");
        }
        assert_eq!(path("..a/...").as_bytes(), b"..a/...");
    }

    #[test]
    fn parents_stand_before_children_and_siblings_in_byte_order() {
        let mut paths: Vec<_> =
            ["a-b", "a/b", "a", "", "a.b", "a/b/c", "b", "a b", "a/B"].into_iter().map(path).collect();
        paths.sort();
        let sorted: Vec<_> = paths.iter().map(TarPath::as_bytes).collect();
        let expected: [&[u8]; 9] = [b"", b"a", b"a/B", b"a/b", b"a/b/c", b"a b", b"a-b", b"a.b", b"b"];
        assert_eq!(sorted, expected);
    }

    #[test]
    fn parts() {
        assert_eq!(path("a/b").file_name(), b"b");
        assert_eq!(path("a/b").parent(), Some(path("a")));
        assert_eq!(path("a").parent(), Some(TarPath::root()));
        assert_eq!(TarPath::root().parent(), None);
        assert_eq!(path("a").join(b"b"), path("a/b"));
        assert_eq!(TarPath::root().join(b"b"), path("b"));
        assert!(path("foo/x").starts_with(&path("foo")) && path("foo").starts_with(&path("foo")));
        assert!(!path("foobar").starts_with(&path("foo")));
        assert!(path("foo").starts_with(&TarPath::root()));
        assert_eq!(path("a\n").to_string(), "/a\\n");
    }

    #[test]
    fn names_that_are_no_text_are_shown_without_doubt() {
        for (name, text) in [
            (&b"it's \"quoted\""[..], "it's \"quoted\""),
            (b"a\xffb", "a\\xffb"),
            (b"\xff\xfe", "\\xff\\xfe"),
            (b"a\\xffb", "a\\\\xffb"),
            ("größe".as_bytes(), "größe"),
            (b"cut \xc3", "cut \\xc3"),
            (b"\xe2\x82ab", "\\xe2\\x82ab"),
            (b"\x1b[31m\t\x7f", "\\u{1b}[31m\\t\\u{7f}"),
            (b"", ""),
        ] {
            assert_eq!(shown(name), text);
            let is_text = std::str::from_utf8(name).is_ok();
            let (member, raw) = members(name);
            assert_eq!(raw.map(|raw| base64::decode(&raw).unwrap()), (!is_text).then(|| name.to_vec()));
            assert_eq!(member.as_bytes() == name, is_text, "{member}");
        }
    }
}
