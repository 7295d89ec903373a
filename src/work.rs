//! What every operation is given beside its options: how many threads it may use, and who watches it and may stop it.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;

use crate::block_cache::BlockCache;
use crate::error::{Error, Result};

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
    /// Where compressed blocks are kept from one run to the next, if anywhere.
    pub cache: Option<&'a Arc<dyn BlockCache>>,
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
        Work { threads, observer, durability: Durability::default(), cache: None }
    }

    /// The same work for targets that are durable, or not.
    #[must_use]
    pub fn with_durability(self, durability: Durability) -> Self {
        Work { durability, ..self }
    }
}

/// As many threads as the machine has cores, watched by no one.
impl Default for Work<'_> {
    fn default() -> Self {
        Work::new(thread::available_parallelism().unwrap_or(NonZeroUsize::MIN), &Silent)
    }
}

impl fmt::Debug for Work<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Work").field("threads", &self.threads).finish_non_exhaustive()
    }
}

/// Watches an operation. Every method has an empty default; calls may come from several threads.
pub trait Observer: Sync {
    /// A step begins, for people who asked to be told.
    fn step(&self, _message: &str) {}

    /// Something is odd but does not stop the work. Operations also list their warnings in their result.
    fn warning(&self, _message: &str) {}

    /// So many bytes are to be read in all.
    fn expect(&self, _bytes: u64) {}

    /// So many more bytes were read.
    fn advance(&self, _bytes: u64) {}

    /// Whether the work should stop; asked often.
    fn interrupted(&self) -> bool {
        false
    }

    /// [`Error::Interrupted`] if the work should stop.
    fn check(&self) -> Result<()> {
        if self.interrupted() {
            Err(Error::Interrupted)
        } else {
            Ok(())
        }
    }
}

/// Watches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {}
