//! Two trees side by side.

use std::cmp::Ordering;
use std::iter;

use crate::tree::{Entry, Mask, Tree};

/// What two trees have at one path.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pair<'a> {
    /// Only the old tree has an entry there.
    Old(&'a Entry),
    /// Only the new tree has.
    New(&'a Entry),
    /// Both have.
    Both {
        /// The old tree's.
        old: &'a Entry,
        /// The new tree's.
        new: &'a Entry,
    },
}

/// Walks two trees side by side in the order of their paths; what the mask covers is skipped.
pub(crate) fn pairs<'t: 'm, 'm>(old: &'t Tree, new: &'t Tree, mask: &'m Mask) -> impl Iterator<Item = Pair<'t>> + 'm {
    let visible = move |tree: &'t Tree| tree.iter().filter(move |entry| !mask.covers(&entry.path)).peekable();
    let (mut old, mut new) = (visible(old), visible(new));
    iter::from_fn(move || {
        let order = match (old.peek(), new.peek()) {
            (Some(old), Some(new)) => old.path.cmp(&new.path),
            (Some(_), None) => Ordering::Less,
            (None, _) => Ordering::Greater,
        };
        Some(match order {
            Ordering::Less => Pair::Old(old.next()?),
            Ordering::Greater => Pair::New(new.next()?),
            Ordering::Equal => Pair::Both { old: old.next()?, new: new.next()? },
        })
    })
}
