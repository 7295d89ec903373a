//! What is checked in a rootfs on its way into an image, and how much a finding weighs.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Serialize, Serializer};

/// A check of the rootfs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Check {
    /// Executables are for the platform of the image.
    Arch,
    /// The user and the group that the image runs as are in it.
    UserMissing,
    /// The program that the image starts is in it.
    EntrypointMissing,
    /// No setuid or setgid file is new beside the base image.
    SetuidNew,
}

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckLevel {
    /// The build ends with an error, before anything is written.
    Error,
    /// The build goes on, with a warning.
    Warn,
    /// Nothing is checked.
    Skip,
}

impl Check {
    /// All checks, each with its level if nothing is set.
    pub const ALL: &'static [(Check, CheckLevel)] = &[
        (Check::Arch, CheckLevel::Warn),
        (Check::UserMissing, CheckLevel::Warn),
        (Check::EntrypointMissing, CheckLevel::Skip),
        (Check::SetuidNew, CheckLevel::Skip),
    ];

    /// Its name in settings and reports.
    pub fn name(self) -> &'static str {
        match self {
            Check::Arch => "arch",
            Check::UserMissing => "user-missing",
            Check::EntrypointMissing => "entrypoint-missing",
            Check::SetuidNew => "setuid-new",
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Check {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// The levels of all checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checks(BTreeMap<Check, CheckLevel>);

impl Default for Checks {
    fn default() -> Self {
        Checks(Check::ALL.iter().copied().collect())
    }
}

impl Checks {
    /// The default levels, but for those given.
    pub fn with(given: impl IntoIterator<Item = (Check, CheckLevel)>) -> Self {
        let mut checks = Checks::default();
        checks.0.extend(given);
        checks
    }

    /// Returns the level of a check.
    pub fn level(&self, check: Check) -> CheckLevel {
        self.0.get(&check).copied().unwrap_or(CheckLevel::Skip)
    }
}

/// Reads `NAME:error`, `NAME:warn` or `NAME:skip`, or several joined by commas; `=` may stand in the place of the
/// colon.
pub(super) fn read(text: &str) -> Option<Vec<(Check, CheckLevel)>> {
    let one = |word: &str| {
        let (name, weight) = word.split_once([':', '='])?;
        let weight = match weight {
            "error" => CheckLevel::Error,
            "warn" => CheckLevel::Warn,
            "skip" => CheckLevel::Skip,
            _ => return None,
        };
        let check = Check::ALL.iter().map(|(check, _)| *check).find(|check| check.name() == name)?;
        Some((check, weight))
    };
    text.split(',').map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_what_is_left_out() {
        let checks = Checks::with(read("arch:error,setuid-new=warn").unwrap());
        let levels: Vec<CheckLevel> = Check::ALL.iter().map(|(check, _)| checks.level(*check)).collect();
        assert_eq!(levels, [CheckLevel::Error, CheckLevel::Warn, CheckLevel::Skip, CheckLevel::Warn]);
        for text in ["", "arch", "arch:", "arch:fatal", "arhc:warn", "arch:warn,", "arch:warn user-missing:skip"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
