//! The flags of verbs that write images and may take a while.

use std::num::NonZeroUsize;

use anyhow::Result;
use ocibake::work::{Durability, Work};

use super::progress::{Display, ProgressMode};
use super::usage::count;
use super::Session;

/// How such a verb works, and what it prints.
#[derive(clap::Args)]
pub(super) struct WorkFlags {
    /// Number of threads; the result is the same for any number [default: the machine's cores]
    #[arg(long, value_name = "N", value_parser = count, allow_hyphen_values = true)]
    threads: Option<NonZeroUsize>,

    /// How to show progress
    #[arg(long, value_name = "HOW", default_value = "auto")]
    progress: ProgressMode,

    /// Print a report in JSON instead of the digest
    #[arg(long)]
    pub(super) json: bool,

    #[command(flatten)]
    pub(super) sync: SyncFlag,
}

/// Whether a change survives a crash of the machine.
#[derive(clap::Args)]
pub(super) struct SyncFlag {
    /// Do not wait until the data is on disk; for targets that can be made again after a crash
    #[arg(long)]
    no_sync: bool,
}

impl SyncFlag {
    pub(super) fn durability(&self) -> Durability {
        if self.no_sync {
            Durability::Unsynced
        } else {
            Durability::Synced
        }
    }
}

impl WorkFlags {
    /// Returns the work for the library.
    pub(super) fn of<'a>(&self, display: &'a Display) -> Result<Work<'a>> {
        Ok(display.work(self.threads)?.with_durability(self.sync.durability()))
    }

    pub(super) fn display(&self, session: &Session) -> Display {
        session.display(self.progress)
    }
}
