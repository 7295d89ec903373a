//! The platform of an image, and how the architecture names of Yocto, `uname -m` and Debian map to it.
//!
//! Nothing is guessed and the host is never asked: what a name and the words of a tune do not say is left out, and an
//! architecture that has no name in OCI is refused.

mod architecture;
mod machine;
mod variant;

pub use architecture::{accepted_names, is_known_name, is_known_os};
pub use machine::Machine;
pub use variant::VariantPolicy;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `os/architecture[/variant]` in Go's names (image-spec, image-index.md#image-index-property-descriptions).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// A GOARCH: `amd64`, `arm64`, `arm` …
    pub architecture: String,
    /// A GOOS: `linux`.
    pub os: String,
    /// Version of the operating system; used by Windows.
    #[serde(rename = "os.version", default, skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// Features that the operating system must have; used by Windows.
    #[serde(rename = "os.features", default, skip_serializing_if = "Vec::is_empty")]
    pub os_features: Vec<String>,
    /// The CPU's variant: `v7`, `v8` …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Members that this version does not know.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

impl Platform {
    /// Whether somebody who writes `os/architecture[/variant]` may mean it: without a variant, any will do.
    pub fn is_meant_by(&self, text: &str) -> bool {
        self.to_string() == text || format!("{}/{}", self.os, self.architecture) == text
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}
