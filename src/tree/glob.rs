use std::collections::BTreeSet;

use regex::bytes::{RegexSet, RegexSetBuilder};

use crate::error::{Error, Result};
use crate::tree::TarPath;

/// Shell patterns for paths of an image.
///
/// `*` and `?` do not cross a slash, `**` does, `[a-z]` and `[!a-z]` are sets, `\` takes the next byte literally. A
/// pattern is anchored at the root, with or without a leading slash: `/var/cache/*` empties that one directory and
/// keeps it, `**/*.pyc` matches anywhere. Names that begin with a dot are not special.
#[derive(Clone, Debug, Default)]
pub struct Globs {
    set: RegexSet,
    patterns: Vec<Vec<u8>>,
    /// How many of them the user gave: only those are told if they match nothing.
    given: usize,
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
        let expressions = patterns
            .iter()
            .map(|pattern| {
                to_regex(pattern).ok_or_else(|| Error::Setting {
                    name: "pattern".to_owned(),
                    value: String::from_utf8_lossy(pattern).into_owned(),
                    accepted: "a path with `*`, `?`, `**`, `[set]`; a set must be closed".to_owned(),
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let set = RegexSetBuilder::new(expressions)
            .unicode(false)
            .build()
            .map_err(|error| Error::refused(format!("patterns are too large together: {error}")))?;
        Ok(Globs { set, given: patterns.len(), patterns })
    }

    /// Adds patterns that the user did not write: one that matches nothing is not told.
    pub fn and(self, more: &[&str]) -> Result<Self> {
        let given = self.given;
        let more = more.iter().map(|pattern| pattern.as_bytes().to_owned());
        Ok(Globs { given, ..Globs::parse(self.patterns.into_iter().chain(more))? })
    }

    /// Returns whether any pattern matches the path. None matches the root.
    pub fn matches(&self, path: &TarPath) -> bool {
        !path.is_root() && self.set.is_match(path.as_bytes())
    }

    /// Returns whether any pattern matches a name that is not a path.
    pub(crate) fn matches_name(&self, name: &[u8]) -> bool {
        self.set.is_match(name)
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
            self.met.extend(self.globs.set.matches(path.as_bytes()).iter());
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

/// Returns the regular expression of one pattern, over bytes, or `None` if a set is not closed or the pattern is empty.
fn to_regex(pattern: &[u8]) -> Option<String> {
    use std::fmt::Write;
    let start = pattern.iter().position(|byte| *byte != b'/')?;
    let end = pattern.iter().rposition(|byte| *byte != b'/')?;
    let pattern = &pattern[start..=end];
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
        let globs = Globs::parse(["usr", "usr/share/*", "var/*", "*.pyc", "etc/m?td"]).unwrap();
        let mut exclusion = Exclusion::new(&globs);
        let left_out: Vec<&str> = ["etc", "etc/motd", "usr", "var", "x.pyc", "y"]
            .into_iter()
            .filter(|path| exclusion.leaves_out(&TarPath::parse(path.as_bytes()).unwrap()))
            .collect();
        assert_eq!(left_out, ["etc/motd", "usr", "x.pyc"]);
        assert_eq!(
            exclusion.finish(),
            Excluded { anything: true, idle: vec!["usr/share/*".to_owned(), "var/*".to_owned()] }
        );
        assert_eq!(Exclusion::new(&Globs::default()).finish(), Excluded::default());
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
