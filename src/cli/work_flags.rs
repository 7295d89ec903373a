//! The flags of verbs that write images and may take a while.

use std::num::NonZeroUsize;

use super::progress::{Display, ProgressMode};
use super::usage::count;
use super::Session;

/// How such a verb works, and what it tells.
#[derive(clap::Args)]
pub(super) struct WorkFlags {
    /// Work with so many threads; the result is the same for any number [default: the machine's cores]
    #[arg(long, value_name = "N", value_parser = count, allow_hyphen_values = true)]
    pub(super) threads: Option<NonZeroUsize>,

    /// How to show progress
    #[arg(long, value_name = "HOW", default_value = "auto")]
    progress: ProgressMode,

    /// Print a report in JSON instead of the digest
    #[arg(long)]
    pub(super) json: bool,
}

impl WorkFlags {
    pub(super) fn display(&self, session: &Session) -> Display {
        session.display(self.progress)
    }
}
