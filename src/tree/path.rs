use std::cmp::Ordering;
use std::ffi::OsStr;
use std::fmt;
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
/// before `a-b`. Clones share the bytes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TarPath(Arc<[u8]>);

impl TarPath {
    /// Returns the root.
    pub fn root() -> Self {
        TarPath(Arc::from(&b""[..]))
    }

    /// Normalises a name found in an archive or on a command line: `./a`, `/a`, `a/` and `a//` are all `a`. Refuses
    /// `..` and NUL.
    pub fn parse(name: &[u8]) -> Result<Self, Error> {
        if name.contains(&0) {
            return Err(Error::malformed(format!("name `{}`", name.escape_ascii()), "a NUL byte is part of it"));
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
        Ok(TarPath(path.into()))
    }

    /// Returns the path of something in this directory. `name` is one component, as `readdir` returns it.
    #[must_use]
    pub fn join(&self, name: &[u8]) -> Self {
        debug_assert!(!name.is_empty() && !name.contains(&b'/'));
        let mut path = Vec::with_capacity(self.0.len() + 1 + name.len());
        if !self.is_root() {
            path.extend_from_slice(&self.0);
            path.push(b'/');
        }
        path.extend_from_slice(name);
        TarPath(path.into())
    }

    /// Returns whether this is the root.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the bytes, without a leading or trailing slash; empty for the root.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the last component; empty for the root.
    pub fn file_name(&self) -> &[u8] {
        match self.0.iter().rposition(|b| *b == b'/') {
            Some(slash) => &self.0[slash + 1..],
            None => &self.0,
        }
    }

    /// Returns the directory that holds it, or `None` for the root.
    pub fn parent(&self) -> Option<TarPath> {
        if self.is_root() {
            return None;
        }
        Some(match self.0.iter().rposition(|b| *b == b'/') {
            Some(slash) => TarPath(self.0[..slash].into()),
            None => TarPath::root(),
        })
    }

    /// Returns whether this is `other` or below it.
    pub fn starts_with(&self, other: &TarPath) -> bool {
        other.is_root() || (self.0.starts_with(&other.0) && matches!(self.0.get(other.0.len()), None | Some(b'/')))
    }

    /// Returns its path on disk below `root`.
    pub fn below(&self, root: &Path) -> PathBuf {
        if self.is_root() {
            root.to_path_buf()
        } else {
            root.join(OsStr::from_bytes(&self.0))
        }
    }
}

/// Bytes that are compared at once.
const STRETCH: usize = 16;

impl Ord for TarPath {
    fn cmp(&self, other: &Self) -> Ordering {
        // A slash ends a component, so it sorts before every other byte; NUL cannot occur.
        let rank = |byte: u8| if byte == b'/' { 0 } else { byte };
        // Paths that are compared mostly begin alike, and whole stretches are compared faster than bytes.
        let alike = self.0.chunks(STRETCH).zip(other.0.chunks(STRETCH)).take_while(|(a, b)| a == b).count() * STRETCH;
        let differ = self.0.iter().zip(other.0.iter()).skip(alike).find(|(a, b)| a != b);
        match differ {
            Some((a, b)) => rank(*a).cmp(&rank(*b)),
            None => self.0.len().cmp(&other.0.len()),
        }
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
        write!(f, "/{}", shown(&self.0))
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
        write!(f, "\"{}\"", self.0.escape_ascii())
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
