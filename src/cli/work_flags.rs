//! The flags of verbs that write images and may take a while.

use std::num::NonZeroUsize;

use anyhow::Result;

use super::progress::{Display, ProgressMode};
use super::{threads, Session};

/// How such a verb works, and what it tells.
#[derive(clap::Args)]
pub(super) struct WorkFlags {
    /// Work with so many threads; the result is the same for any number [default: the machine's cores]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,

    /// How to show progress
    #[arg(long, value_name = "HOW", default_value = "auto")]
    progress: ProgressMode,

    /// Print a report in JSON instead of the digest
    #[arg(long)]
    pub(super) json: bool,
}

impl WorkFlags {
    /// The number that was given, else that of the machine's cores.
    pub(super) fn threads(&self) -> Result<NonZeroUsize> {
        threads(self.threads)
    }

    pub(super) fn display(&self, session: &Session) -> Display {
        Display::new(self.progress, session.verbosity, &session.interruption)
    }
}
