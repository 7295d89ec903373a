//! Shell patterns for paths, and what they leave out.

use std::collections::{BTreeMap, BTreeSet};

use regex::bytes::{RegexSet, RegexSetBuilder};

use crate::error::{Error, ErrorKind, Result};
use crate::tree::TarPath;

/// Shell patterns for paths of an image.
///
/// `*` and `?` do not cross a slash, `**` does, `[a-z]` and `[!a-z]` are sets, `\` takes the next byte literally. A
/// pattern is anchored at the root, with or without a leading slash: `/var/cache/*` empties that one directory and
/// keeps it, `**/*.pyc` matches anywhere. Names that begin with a dot are not special.
#[derive(Clone, Debug, Default)]
pub struct Globs {
    /// What the patterns without wildcards match, and which they are: plans name recipes by the thousand, and to
    /// compile an expression costs far more than to compare a name.
    literal: BTreeMap<Vec<u8>, Vec<usize>>,
    /// The others, if there are any.
    wild: Option<Wild>,
    patterns: Vec<Vec<u8>>,
    /// How many of them the user gave: only those are told if they match nothing.
    given: usize,
}

/// Patterns with wildcards.
#[derive(Clone, Debug)]
struct Wild {
    set: RegexSet,
    /// Which of all patterns each of the set is.
    numbers: Vec<usize>,
}

/// Paths that only builds need: headers, static libraries, files for pkg-config, `CMake`, libtool and autoconf, debug
/// symbols and sources.
pub const DEVELOPMENT: &[&str] = &[
    "usr/include",
    "usr/local/include",
    "**/*.a",
    "**/*.la",
    "**/*.o",
    "**/pkgconfig",
    "usr/lib*/cmake",
    "usr/lib/*/cmake",
    "usr/share/cmake*",
    "usr/share/aclocal*",
    "**/.debug",
    "usr/lib*/debug",
    "usr/src",
];

impl Globs {
    /// Compiles patterns; the error names the invalid one.
    pub fn parse<I: IntoIterator<Item = S>, S: AsRef<[u8]>>(patterns: I) -> Result<Self> {
        let patterns: Vec<Vec<u8>> = patterns.into_iter().map(|pattern| pattern.as_ref().to_owned()).collect();
        let mut literal: BTreeMap<Vec<u8>, Vec<usize>> = BTreeMap::new();
        let (mut expressions, mut numbers) = (Vec::new(), Vec::new());
        for (number, pattern) in patterns.iter().enumerate() {
            let trimmed = without_slashes(pattern);
            if let Some(name) = trimmed.and_then(literal_name) {
                literal.entry(name).or_default().push(number);
                continue;
            }
            expressions.push(trimmed.and_then(to_regex).ok_or_else(|| Error::Setting {
                name: "pattern".to_owned(),
                value: String::from_utf8_lossy(pattern).into_owned(),
                accepted: "a path with `*`, `?`, `**`, `[set]`; a set must be closed".to_owned(),
            })?);
            numbers.push(number);
        }
        let wild = if expressions.is_empty() {
            None
        } else {
            let set = RegexSetBuilder::new(expressions).unicode(false).build();
            let set = set.map_err(|error| {
                Error::refused(format!("patterns are too large together: {error}")).of_kind(ErrorKind::Unsupported)
            })?;
            Some(Wild { set, numbers })
        };
        Ok(Globs { literal, wild, given: patterns.len(), patterns })
    }

    /// Adds patterns that the user did not write: one that matches nothing is not told.
    pub fn and(self, more: &[&str]) -> Result<Self> {
        let given = self.given;
        let more = more.iter().map(|pattern| pattern.as_bytes().to_owned());
        Ok(Globs { given, ..Globs::parse(self.patterns.into_iter().chain(more))? })
    }

    /// Returns whether any pattern matches the path. None matches the root.
    pub fn matches(&self, path: &TarPath) -> bool {
        !path.is_root() && self.matches_name(path.as_bytes())
    }

    /// Returns whether any pattern matches a name that is not a path.
    pub(crate) fn matches_name(&self, name: &[u8]) -> bool {
        self.literal.contains_key(name) || self.wild.as_ref().is_some_and(|wild| wild.set.is_match(name))
    }

    /// Returns which patterns match a name.
    fn matching<'a>(&'a self, name: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
        let wild = self.wild.iter().flat_map(|wild| wild.set.matches(name).into_iter().map(|at| wild.numbers[at]));
        self.literal.get(name).into_iter().flatten().copied().chain(wild)
    }
}

/// Leaves out paths that patterns match, and remembers which patterns did so.
pub(crate) struct Exclusion<'a> {
    globs: &'a Globs,
    met: BTreeSet<usize>,
}

/// What patterns left out of a tree.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Excluded {
    /// Whether anything was left out.
    pub anything: bool,
    /// The patterns that matched nothing, or only what another had left out with a directory above it.
    pub idle: Vec<String>,
}

impl<'a> Exclusion<'a> {
    pub(crate) fn new(globs: &'a Globs) -> Self {
        Exclusion { globs, met: BTreeSet::new() }
    }

    /// Returns whether a path is left out, with everything below it.
    pub(crate) fn leaves_out(&mut self, path: &TarPath) -> bool {
        let is_match = self.globs.matches(path);
        if is_match && self.met.len() < self.globs.patterns.len() {
            self.met.extend(self.globs.matching(path.as_bytes()));
        }
        is_match
    }

    pub(crate) fn finish(self) -> Excluded {
        let given = self.globs.patterns.iter().take(self.globs.given);
        let idle = given.enumerate().filter(|(at, _)| !self.met.contains(at));
        Excluded {
            anything: !self.met.is_empty(),
            idle: idle.map(|(_, pattern)| String::from_utf8_lossy(pattern).into_owned()).collect(),
        }
    }
}

/// What a pattern should be instead that matches nothing: it is anchored at the root of the image.
pub(crate) fn form_of_idle(pattern: &str) -> Option<String> {
    let path = pattern.trim_matches('/');
    let is_dots = |component: &str| matches!(component, "." | "..");
    if path.split('/').any(is_dots) {
        let rest: Vec<&str> = path.split('/').filter(|component| !is_dots(component)).collect();
        let instead = if rest.is_empty() { String::new() } else { format!(": `{}`", rest.join("/")) };
        return Some(format!("a pattern is a path in the image, without `.` and `..`{instead}"));
    }
    let is_lone = !path.contains('/') && !path.is_empty() && !pattern.starts_with('/');
    is_lone.then(|| format!("it is only looked for at the top, and `**/{path}` in every directory"))
}

/// Returns a pattern without the slashes around it, or `None` if nothing is left.
fn without_slashes(pattern: &[u8]) -> Option<&[u8]> {
    let start = pattern.iter().position(|byte| *byte != b'/')?;
    let end = pattern.iter().rposition(|byte| *byte != b'/')?;
    Some(&pattern[start..=end])
}

/// Returns the one name that a pattern matches, or `None` if it has wildcards.
fn literal_name(pattern: &[u8]) -> Option<Vec<u8>> {
    let mut name = Vec::with_capacity(pattern.len());
    let mut bytes = pattern.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'*' | b'?' | b'[' => return None,
            b'\\' => name.push(*bytes.next().unwrap_or(byte)),
            byte => name.push(*byte),
        }
    }
    Some(name)
}

/// Returns the regular expression of one pattern, over bytes, or `None` if a set is not closed.
fn to_regex(pattern: &[u8]) -> Option<String> {
    use std::fmt::Write;
    let mut regex = String::from(r"(?s-u)\A");
    let literal = |regex: &mut String, byte: u8| {
        write!(regex, r"\x{byte:02x}").expect("writing to a string");
    };
    let mut at = 0;
    while at < pattern.len() {
        let byte = pattern[at];
        at += 1;
        match byte {
            b'*' if pattern[at..].starts_with(b"*/") => {
                at += 2;
                regex.push_str("(?:.*/)?");
            }
            b'*' if pattern.get(at) == Some(&b'*') => {
                at += 1;
                regex.push_str(".*");
            }
            b'*' => regex.push_str("[^/]*"),
            b'?' => regex.push_str("[^/]"),
            b'[' => {
                let negated = matches!(pattern.get(at), Some(b'!' | b'^'));
                at += usize::from(negated);
                // A closing bracket that comes first is a member.
                let length = 1 + pattern.get(at + 1..)?.iter().position(|b| *b == b']')?;
                let set = &pattern[at..at + length];
                at += length + 1;
                regex.push_str(if negated { "[^/" } else { "[" });
                for (i, member) in set.iter().enumerate() {
                    if *member == b'-' && i > 0 && i + 1 < set.len() {
                        regex.push('-');
                    } else {
                        literal(&mut regex, *member);
                    }
                }
                regex.push(']');
            }
            b'\\' if at < pattern.len() => {
                literal(&mut regex, pattern[at]);
                at += 1;
            }
            byte => literal(&mut regex, byte),
        }
    }
    regex.push_str(r"\z");
    Some(regex)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, matching, others) in [
            ("/tmp/*", &["tmp/a", "tmp/.a", "tmp/a b"][..], &["tmp", "tmp/a/b", "x/tmp/a"][..]),
            ("tmp", &["tmp"], &["tmp/a", "a/tmp", "tmpx"]),
            ("**/*.pyc", &["a.pyc", "usr/lib/a.pyc"], &["a.pycx", "a.pyc/b"]),
            ("usr/**", &["usr/a", "usr/a/b"], &["usr", "usrx/a"]),
            ("usr/**/doc", &["usr/doc", "usr/share/doc", "usr/a/b/doc"], &["usr/xdoc"]),
            ("[a-c]?[!x]", &["abc", "c.y"], &["dbc", "abx", "a/b"]),
            ("a[]]b", &["a]b"], &["ab"]),
            (r"a\*", &["a*"], &["ab"]),
            (r"a\*?", &["a*b"], &["abc"]),
            (r"\[x]\\\y\", &[r"[x]\y\"], &["x", r"[x]\\y\"]),
            (r"//a//", &["a"], &["a/b"]),
            ("größe.{1}", &["größe.{1}"], &["größe.1"]),
            ("var/cache/", &["var/cache"], &["var/cache/x"]),
        ] {
            let globs = Globs::parse([pattern]).unwrap();
            for path in matching {
                assert!(globs.matches(&TarPath::parse(path.as_bytes()).unwrap()), "{pattern} should match {path}");
            }
            for path in others {
                assert!(!globs.matches(&TarPath::parse(path.as_bytes()).unwrap()), "{pattern} should not match {path}");
            }
        }
    }

    #[test]
    fn patterns_that_did_nothing_are_told() {
        let globs = Globs::parse(["usr", "usr/share/*", "var/*", "lib", "*.pyc", "etc/m?td", "/usr/"]).unwrap();
        let mut exclusion = Exclusion::new(&globs);
        let left_out: Vec<&str> = ["etc", "etc/motd", "usr", "var", "x.pyc", "y"]
            .into_iter()
            .filter(|path| exclusion.leaves_out(&TarPath::parse(path.as_bytes()).unwrap()))
            .collect();
        assert_eq!(left_out, ["etc/motd", "usr", "x.pyc"]);
        assert_eq!(
            exclusion.finish(),
            Excluded { anything: true, idle: vec!["usr/share/*".to_owned(), "var/*".to_owned(), "lib".to_owned()] }
        );
        assert_eq!(Exclusion::new(&Globs::default()).finish(), Excluded::default());
    }

    #[test]
    fn a_pattern_that_does_nothing_is_explained() {
        for (pattern, words) in [
            ("./dev", "without `.` and `..`: `dev`"),
            ("./usr/*/", "without `.` and `..`: `usr/*`"),
            ("../dev", "without `.` and `..`: `dev`"),
            (".", "without `.` and `..`"),
            ("*.pyc", "`**/*.pyc` in every directory"),
            ("tmp/", "`**/tmp` in every directory"),
        ] {
            let form = form_of_idle(pattern).unwrap_or_default();
            assert!(form.ends_with(words), "{pattern}: {form}");
        }
        for pattern in ["/tmp", "usr/nowhere/*", "**/*.pyc", "usr/..x", "usr/.*"] {
            assert_eq!(form_of_idle(pattern), None, "{pattern}");
        }
    }

    #[test]
    fn bytes_that_are_not_utf8() {
        let globs = Globs::parse(["etc/*.conf"]).unwrap();
        assert!(globs.matches(&TarPath::parse(b"etc/\xff\xfe\n.conf").unwrap()));
    }

    #[test]
    fn the_root_is_never_excluded() {
        assert!(!Globs::parse(["**"]).unwrap().matches(&TarPath::root()));
    }

    #[test]
    fn what_is_no_pattern() {
        for pattern in ["", "/", "a[b", "a["] {
            assert!(Globs::parse([pattern]).is_err(), "{pattern}");
        }
    }
}
