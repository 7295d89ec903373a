//! The paths of an archive, to find repeated ones.

use std::collections::BTreeSet;

use crate::tree::TarPath;

/// The paths in an archive so far: no two members may share one (image-spec, layer.md#layer-changesets).
///
/// Most come in ascending order, which costs one comparison.
#[derive(Debug, Default)]
pub(super) struct PathSet {
    ascending: Vec<TarPath>,
    others: BTreeSet<TarPath>,
}

impl PathSet {
    /// Adds a path and returns whether it is new.
    pub(super) fn insert(&mut self, path: &TarPath) -> bool {
        match self.ascending.last() {
            Some(last) if path <= last => {
                self.ascending.binary_search(path).is_err() && self.others.insert(path.clone())
            }
            _ => {
                self.ascending.push(path.clone());
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_is_new_once_in_any_order() {
        let mut set = PathSet::default();
        for (name, new) in [
            ("", true),
            ("b", true),
            ("d", true),
            ("c", true),
            ("a", true),
            ("d", false),
            ("b", false),
            ("c", false),
            ("a", false),
            ("", false),
            ("e", true),
            ("e", false),
            ("d/x", true),
            ("d/x", false),
        ] {
            assert_eq!(set.insert(&TarPath::parse(name.as_bytes()).unwrap()), new, "{name}");
        }
    }
}
