//! What every operation gets besides its options: how many threads it may use, how much it may read, and who observes
//! it and may stop it.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::block_cache::BlockCache;
use crate::error::{Error, Result};
use crate::limits::Limits;

/// How an operation works. Its output does not depend on this.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Work<'a> {
    /// How many threads read, hash and compress.
    pub threads: NonZeroUsize,
    /// Is told of progress, and may stop the operation.
    pub observer: &'a dyn Observer,
    /// How large what others made may be.
    pub limits: Limits,
    /// Whether a target survives a crash of the machine.
    pub durability: Durability,
    /// Where compressed blocks are kept from one run to the next, if anywhere.
    pub cache: Option<&'a Arc<dyn BlockCache>>,
}

/// What is done so that a target survives a crash of the machine, such as a power cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// All content of a target is on the disk before the target refers to it.
    #[default]
    Synced,
    /// Nothing: for targets that would be rebuilt anyway. A target is complete all the same whatever happens to the
    /// process.
    Unsynced,
}

impl<'a> Work<'a> {
    /// Makes a `Work` with this many threads and this observer.
    pub fn new(threads: NonZeroUsize, observer: &'a dyn Observer) -> Self {
        Work { threads, observer, limits: Limits::default(), durability: Durability::default(), cache: None }
    }

    /// Returns the same work with this durability.
    #[must_use]
    pub fn with_durability(self, durability: Durability) -> Self {
        Work { durability, ..self }
    }

    /// Tells the observer of warnings.
    pub(crate) fn warn(&self, warnings: impl IntoIterator<Item = impl AsRef<str>>) {
        for warning in warnings {
            self.observer.warning(warning.as_ref());
        }
    }

    /// Does something, and returns with its result all warnings that the observer is told of meanwhile, for a report.
    pub(crate) fn with_warnings<T>(&self, act: impl FnOnce(&Work<'_>) -> Result<T>) -> Result<(T, Vec<String>)> {
        let listening = Listening { observer: self.observer, told: Mutex::default() };
        let complain =
            || self.cache.and_then(|cache| cache.complaint()).iter().for_each(|told| listening.warning(told));
        complain();
        let result = act(&Work { observer: &listening, ..*self })?;
        complain();
        Ok((result, listening.told.into_inner().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// As many threads as the machine has cores, and no observer.
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

/// Observes an operation. Every method has an empty default; calls may come from several threads.
pub trait Observer: Sync {
    /// A step begins; for people who asked to be told.
    fn step(&self, _message: &str) {}

    /// Something is odd but does not stop the work. Operations also list their warnings in their result.
    fn warning(&self, _message: &str) {}

    /// This many bytes are to be read in all.
    fn expect(&self, _bytes: u64) {}

    /// This many more bytes were read.
    fn advance(&self, _bytes: u64) {}

    /// Returns whether the work should stop; called often.
    fn interrupted(&self) -> bool {
        false
    }

    /// Returns [`Error::Interrupted`] if the work should stop.
    fn check(&self) -> Result<()> {
        if self.interrupted() {
            Err(Error::Interrupted)
        } else {
            Ok(())
        }
    }
}

/// Passes everything on, and keeps the warnings.
struct Listening<'a> {
    observer: &'a dyn Observer,
    told: Mutex<Vec<String>>,
}

impl Observer for Listening<'_> {
    fn step(&self, message: &str) {
        self.observer.step(message);
    }

    fn warning(&self, message: &str) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).push(message.to_owned());
        self.observer.warning(message);
    }

    fn expect(&self, bytes: u64) {
        self.observer.expect(bytes);
    }

    fn advance(&self, bytes: u64) {
        self.observer.advance(bytes);
    }

    fn interrupted(&self) -> bool {
        self.observer.interrupted()
    }
}

/// Observes nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {}
