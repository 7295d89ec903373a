//! Paths that comparisons skip.

use crate::tree::TarPath;

/// Paths that a comparison leaves out, each with everything below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mask {
    paths: Vec<TarPath>,
}

impl Mask {
    /// Returns whether a path is left out. A masked root leaves out everything.
    pub(crate) fn covers(&self, path: &TarPath) -> bool {
        self.paths.iter().any(|masked| path.starts_with(masked))
    }
}

impl FromIterator<TarPath> for Mask {
    fn from_iter<I: IntoIterator<Item = TarPath>>(paths: I) -> Self {
        Mask { paths: paths.into_iter().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_and_all_below_it() {
        let path = |text: &str| TarPath::parse(text.as_bytes()).unwrap();
        for (masked, covered, others) in [
            (&[][..], &[][..], &["", "a"][..]),
            (&["var/foo", "x"], &["var/foo", "var/foo/bar", "x"], &["", "var", "var/foobar", "xx", "y/x"]),
            (&[""], &["", "a/b"], &[]),
        ] {
            let mask: Mask = masked.iter().map(|text| path(text)).collect();
            for text in covered {
                assert!(mask.covers(&path(text)), "{masked:?} should cover `{text}`");
            }
            for text in others {
                assert!(!mask.covers(&path(text)), "{masked:?} should not cover `{text}`");
            }
        }
    }
}
