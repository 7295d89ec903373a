//! What every operation is given beside its options: how many threads it may use, and who watches it and may stop it.

use std::fmt;
use std::num::NonZeroUsize;

use crate::observer::Observer;

/// How an operation works. What it makes does not depend on it.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Work<'a> {
    /// How many threads read, hash and compress.
    pub threads: NonZeroUsize,
    /// Who is told what is done, and may stop it.
    pub observer: &'a dyn Observer,
    /// Whether a target survives that the machine stops at any moment.
    pub durability: Durability,
}

/// What is done so that a target survives that the machine stops, of a power cut for one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// All that a target is to hold is on the disk before the target leads to it.
    #[default]
    Synced,
    /// Nothing: for targets that would be made anew anyway. A target is whole all the same whatever happens to the
    /// process.
    Unsynced,
}

impl<'a> Work<'a> {
    /// Work with so many threads, and with an observer.
    pub fn new(threads: NonZeroUsize, observer: &'a dyn Observer) -> Self {
        Work { threads, observer, durability: Durability::default() }
    }
}

impl fmt::Debug for Work<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Work").field("threads", &self.threads).finish_non_exhaustive()
    }
}
