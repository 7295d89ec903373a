//! `platform`: how a machine of Yocto, uname or Debian maps to a platform of OCI.

use std::fmt;

use serde::Serialize;

use crate::error::Result;
use crate::platform::{Machine, Platform, VariantPolicy};
use crate::work::Work;

/// How a machine is mapped.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PlatformOptions {
    /// Which variant of the CPU.
    pub variant: VariantPolicy,
    /// The operating system, a GOOS.
    pub os: String,
}

impl Default for PlatformOptions {
    fn default() -> Self {
        PlatformOptions { variant: VariantPolicy::default(), os: "linux".to_owned() }
    }
}

/// The platform of a machine; its text is `os/architecture[/variant]`.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct PlatformReport {
    /// The operating system, a GOOS.
    pub os: String,
    /// The architecture, a GOARCH.
    pub architecture: String,
    /// The variant of the CPU.
    pub variant: Option<String>,
}

/// Maps a machine to its platform. An architecture that OCI has no name for is an error, never a guess.
pub fn platform(machine: &Machine<'_>, options: &PlatformOptions, work: &Work<'_>) -> Result<PlatformReport> {
    work.observer.check()?;
    let platform = machine.platform(&options.variant)?;
    if let Some(warning) = platform.unknown_variant() {
        work.observer.warning(&warning);
    }
    let Platform { architecture, variant, .. } = platform;
    Ok(PlatformReport { os: options.os.clone(), architecture, variant })
}

impl fmt::Display for PlatformReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.iter().try_for_each(|variant| write!(f, "/{variant}"))
    }
}
