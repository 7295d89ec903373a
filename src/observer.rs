//! How an operation tells its caller what it does, and how the caller tells it to stop.

use crate::error::{Error, Result};

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
