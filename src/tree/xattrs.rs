//! The extended attributes of one entry.

use std::collections::{btree_map, BTreeMap};
use std::ops::Deref;
use std::sync::Arc;

/// Attributes by name.
type Map = BTreeMap<Vec<u8>, Arc<[u8]>>;

/// Extended attributes by name; names and values are bytes. Entries share a value that all of them were given at once.
///
/// Most entries have none, so these take one pointer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Xattrs(
    /// Never an empty map.
    Option<Box<Map>>,
);

/// What entries without attributes have.
static NONE: Map = Map::new();

impl Xattrs {
    /// Returns no attributes.
    pub fn new() -> Self {
        Xattrs::default()
    }

    /// Adds an attribute, or replaces its value and returns the old one.
    pub fn insert(&mut self, name: Vec<u8>, value: Arc<[u8]>) -> Option<Arc<[u8]>> {
        self.0.get_or_insert_with(Box::default).insert(name, value)
    }

    /// Leaves out attributes that `keep` rejects.
    pub fn retain(&mut self, keep: impl FnMut(&Vec<u8>, &mut Arc<[u8]>) -> bool) {
        if let Some(map) = &mut self.0 {
            map.retain(keep);
            if map.is_empty() {
                self.0 = None;
            }
        }
    }

    /// Returns all attributes in the order of their names, for changes of their values.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&Vec<u8>, &mut Arc<[u8]>)> {
        self.0.iter_mut().flat_map(|map| map.iter_mut())
    }
}

impl Deref for Xattrs {
    type Target = Map;

    fn deref(&self) -> &Map {
        self.0.as_deref().unwrap_or(&NONE)
    }
}

impl FromIterator<(Vec<u8>, Arc<[u8]>)> for Xattrs {
    fn from_iter<I: IntoIterator<Item = (Vec<u8>, Arc<[u8]>)>>(attributes: I) -> Self {
        let map = Map::from_iter(attributes);
        Xattrs((!map.is_empty()).then(|| Box::new(map)))
    }
}

impl<'a> IntoIterator for &'a Xattrs {
    type Item = (&'a Vec<u8>, &'a Arc<[u8]>);
    type IntoIter = btree_map::Iter<'a, Vec<u8>, Arc<[u8]>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl IntoIterator for Xattrs {
    type Item = (Vec<u8>, Arc<[u8]>);
    type IntoIter = btree_map::IntoIter<Vec<u8>, Arc<[u8]>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.map(|map| *map).unwrap_or_default().into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_attributes_all_are_equal() {
        let mut xattrs: Xattrs = [(b"user.a".to_vec(), (*b"1").into())].into_iter().collect();
        assert_ne!(xattrs, Xattrs::new());
        xattrs.retain(|_, _| false);
        assert_eq!(xattrs, Xattrs::new());
        assert_eq!(xattrs, std::iter::empty().collect());
        assert_eq!(std::mem::size_of::<Xattrs>(), std::mem::size_of::<usize>());
    }
}
