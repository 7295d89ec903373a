//! A compact map from paths to values.

use std::collections::BTreeMap;
use std::{iter, mem};

use crate::tree::packed::pack_grown;
use crate::tree::TarPath;

/// Values by path, in order, for paths that are mostly added in order: archives and scans give them so.
///
/// It takes half as much memory as a map, which would leave its nodes half empty, and keeps the bytes of paths beside
/// each other.
#[derive(Clone, Debug)]
pub(crate) struct PathMap<V> {
    /// Each path after the one before it.
    ascending: Vec<(TarPath, V)>,
    /// What came later than something that is after it in order. None of its paths is in the list.
    others: BTreeMap<TarPath, V>,
    /// Something was removed, and all is in the map for good: a list would keep gaps, or close each of them at a cost.
    is_map: bool,
}

/// So many more may be out of order than are in order before the list is made anew.
const FEW: usize = 1024;

impl<V> PathMap<V> {
    /// Adds a value, or replaces the one at a path and returns it.
    pub(crate) fn insert(&mut self, path: TarPath, value: V) -> Option<V> {
        match self.position(&path) {
            Ok(at) => Some(mem::replace(&mut self.ascending[at].1, value)),
            Err(at) if at == self.ascending.len() && !self.is_map => {
                self.ascending.push((path, value));
                pack_grown(&mut self.ascending, |(path, _)| path);
                None
            }
            Err(_) => {
                let old = self.others.insert(path, value);
                if self.others.len() > FEW + self.ascending.len() && !self.is_map {
                    *self = mem::take(self).into_ordered().collect();
                }
                old
            }
        }
    }

    /// Where a path is in the list, or would be.
    fn position(&self, path: &TarPath) -> Result<usize, usize> {
        match self.ascending.last() {
            // Most that are asked for are new.
            Some((last, _)) if last < path => Err(self.ascending.len()),
            _ => self.ascending.binary_search_by(|(found, _)| found.cmp(path)),
        }
    }

    /// Returns the value at a path.
    pub(crate) fn get(&self, path: &TarPath) -> Option<&V> {
        match self.position(path) {
            Ok(at) => Some(&self.ascending[at].1),
            Err(_) => self.others.get(path),
        }
    }

    /// Returns the value at a path, for changes.
    pub(crate) fn get_mut(&mut self, path: &TarPath) -> Option<&mut V> {
        match self.position(path) {
            Ok(at) => Some(&mut self.ascending[at].1),
            Err(_) => self.others.get_mut(path),
        }
    }

    /// Returns whether there is a value at a path.
    pub(crate) fn contains_key(&self, path: &TarPath) -> bool {
        self.get(path).is_some()
    }

    /// Removes the value at a path and returns it.
    pub(crate) fn remove(&mut self, path: &TarPath) -> Option<V> {
        if self.position(path).is_ok() {
            *self = PathMap { others: mem::take(self).into_ordered().collect(), is_map: true, ..PathMap::default() };
        }
        self.others.remove(path)
    }

    /// Leaves out paths that `keep`, which is asked in order, rejects.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&TarPath) -> bool) {
        *self = mem::take(self).into_ordered().filter(|(path, _)| keep(path)).collect();
    }

    /// Returns all in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&TarPath, &V)> {
        self.from(TarPath::root())
    }

    /// Returns all in order.
    pub(crate) fn into_ordered(self) -> impl Iterator<Item = (TarPath, V)> {
        merged(self.ascending.into_iter(), self.others.into_iter())
    }

    /// Returns those at and after a path, in order.
    pub(crate) fn from(&self, path: TarPath) -> impl Iterator<Item = (&TarPath, &V)> {
        let from = self.position(&path).unwrap_or_else(|after| after);
        merged(self.ascending[from..].iter().map(|(path, value)| (path, value)), self.others.range(path..))
    }
}

/// Merges two lists that are in order and share no path.
fn merged<P: Ord, V>(
    one: impl Iterator<Item = (P, V)>,
    other: impl Iterator<Item = (P, V)>,
) -> impl Iterator<Item = (P, V)> {
    let (mut one, mut other) = (one.peekable(), other.peekable());
    iter::from_fn(move || match (one.peek(), other.peek()) {
        (Some((of_one, _)), Some((of_other, _))) if of_one < of_other => one.next(),
        (Some(_), None) => one.next(),
        _ => other.next(),
    })
}

impl<V> Default for PathMap<V> {
    fn default() -> Self {
        PathMap { ascending: Vec::new(), others: BTreeMap::new(), is_map: false }
    }
}

impl<V> FromIterator<(TarPath, V)> for PathMap<V> {
    fn from_iter<I: IntoIterator<Item = (TarPath, V)>>(all: I) -> Self {
        let mut map = PathMap::default();
        for (path, value) in all {
            map.insert(path, value);
        }
        map
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(number: usize) -> TarPath {
        TarPath::parse(format!("{}/{}", number % 7, number / 7).as_bytes()).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn it_is_a_map(edits in prop::collection::vec((0_usize..40, any::<bool>()), 0..80), begin in 0_usize..40) {
            let (mut map, mut expected) = (PathMap::default(), BTreeMap::new());
            for (number, (at, is_added)) in edits.into_iter().enumerate() {
                if is_added {
                    prop_assert_eq!(map.insert(path(at), number), expected.insert(path(at), number));
                } else {
                    prop_assert_eq!(map.remove(&path(at)), expected.remove(&path(at)));
                }
                prop_assert_eq!(map.get(&path(at)), expected.get(&path(at)));
                prop_assert_eq!(map.get_mut(&path(at + 1)), expected.get_mut(&path(at + 1)));
            }
            prop_assert!(map.iter().eq(&expected));
            prop_assert!(map.from(path(begin)).eq(expected.range(path(begin)..)));
            prop_assert!(map.clone().into_ordered().eq(expected.clone()));
            map.retain(|path| path.file_name().len() > 1);
            expected.retain(|path, _| path.file_name().len() > 1);
            prop_assert!(map.into_ordered().eq(expected));
        }
    }

    #[test]
    fn what_is_removed_leaves_no_gap() {
        let mut map: PathMap<usize> = (0..10).map(|number| (path(7 * number), number)).collect();
        assert_eq!((map.ascending.len(), map.remove(&path(1)), map.ascending.len()), (10, None, 10));
        assert_eq!((map.remove(&path(63)), map.ascending.len(), map.others.len()), (Some(9), 0, 9));
        // Nor is the list made again, only to be taken apart by the next that is removed.
        for number in 0..2 * FEW {
            map.insert(path(7 * number), number);
        }
        assert_eq!((map.ascending.len(), map.others.len()), (0, 2 * FEW));
    }

    #[test]
    fn paths_in_any_order_end_in_the_list() {
        const COUNT: usize = 6_000;
        for step in [1, COUNT - 1, 7919] {
            let mut map = PathMap::default();
            for number in 0..COUNT {
                assert_eq!(map.insert(path(number * step % COUNT), number), None);
            }
            assert!(map.others.len() <= FEW + map.ascending.len(), "{step}");
            assert!(map.ascending.windows(2).all(|pair| pair[0].0 < pair[1].0));
            assert!((0..COUNT).all(|number| map.get(&path(number * step % COUNT)) == Some(&number)));
            assert_eq!(map.iter().count(), COUNT);
        }
    }
}
