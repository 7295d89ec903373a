//! The length of the lists in a report.

/// How many items of long lists are kept, such as the largest files and directories.
pub(super) const LISTED: usize = 100;
