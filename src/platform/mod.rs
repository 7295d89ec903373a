//! The platform of an image, and how the architecture names of Yocto, `uname -m` and Debian map to it.
//!
//! Nothing is guessed and the host is never asked: what a name and the words of a tune do not say is left out, and an
//! architecture without a name in OCI is refused.

mod architecture;
mod machine;
mod pattern;
mod toolchain;
mod variant;

pub use architecture::known_names;
pub(crate) use architecture::{accepted_names, is_known_name, is_known_os, meant};
pub use machine::Machine;
pub use pattern::PlatformPattern;
pub(crate) use toolchain::tune_words;
pub(crate) use variant::is_known_variant;
pub use variant::VariantPolicy;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::json::{null_as_default, nulls_in_list};

/// `os/architecture[/variant]` in Go's names (image-spec, image-index.md#image-index-property-descriptions).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Platform {
    /// A GOARCH: `amd64`, `arm64`, `arm` … Empty if it is not stated.
    #[serde(default, deserialize_with = "null_as_default")]
    pub architecture: String,
    /// A GOOS: `linux`. Empty if it is not stated.
    #[serde(default, deserialize_with = "null_as_default")]
    pub os: String,
    /// Version of the operating system; used by Windows.
    #[serde(rename = "os.version", default, skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// Features that the operating system must have; used by Windows.
    #[serde(
        rename = "os.features",
        default,
        deserialize_with = "nulls_in_list",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub os_features: Vec<String>,
    /// The CPU's variant: `v7`, `v8` …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Members that this version does not know.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

impl Platform {
    /// Returns the platform with everything that distinguishes it from others, for people.
    pub(crate) fn in_full(&self) -> String {
        let version = self.os_version.as_ref().map(|version| format!(", version {version}")).unwrap_or_default();
        let features = self.os_features.join(", ");
        let features = if features.is_empty() { features } else { format!(", with {features}") };
        format!("{self}{version}{features}")
    }

    /// Returns whether it names both an operating system and an architecture.
    pub fn is_named(&self) -> bool {
        !self.os.is_empty() && !self.architecture.is_empty()
    }

    /// Returns whether it tells what an image is for: it is named, and not `unknown`.
    pub(crate) fn is_told(&self) -> bool {
        self.is_named() && self.os != "unknown"
    }

    /// Returns whether hosts accept one for the other: without a variant, arm64 is v8, arm is v7 and amd64 is v1
    /// (containerd, platforms, `Normalize`).
    pub(crate) fn is_same_for_hosts(&self, other: &Self) -> bool {
        self.for_hosts() == other.for_hosts()
    }

    /// What hosts take it for.
    pub(crate) fn for_hosts(&self) -> HostPlatform {
        let implied = match self.architecture.as_str() {
            "arm64" => Some("v8"),
            "arm" => Some("v7"),
            "amd64" => Some("v1"),
            _ => None,
        };
        HostPlatform {
            os: self.os.clone(),
            architecture: self.architecture.clone(),
            variant: self.variant.clone().or_else(|| implied.map(str::to_owned)),
            os_version: self.os_version.clone(),
            os_features: self.os_features.clone(),
        }
    }
}

/// All of a platform by which a host takes it for its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HostPlatform {
    os: String,
    architecture: String,
    variant: Option<String>,
    os_version: Option<String>,
    os_features: Vec<String>,
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

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn platform(text: &str) -> Platform {
        let mut words = text.split('/').map(str::to_owned);
        let mut word = || words.next();
        let (os, architecture) = (word().unwrap(), word().unwrap());
        Platform { os, architecture, variant: word(), ..Platform::default() }
    }

    #[test]
    fn a_variant_may_go_without_saying() {
        for (a, b, same) in [
            ("linux/arm64", "linux/arm64/v8", true),
            ("linux/arm64", "linux/arm64/v9", false),
            ("linux/arm", "linux/arm/v7", true),
            ("linux/arm", "linux/arm/v6", false),
            ("linux/amd64", "linux/amd64/v1", true),
            ("linux/amd64", "linux/amd64/v3", false),
            ("linux/riscv64", "linux/riscv64/rva22u64", false),
            ("linux/amd64", "windows/amd64", false),
        ] {
            assert_eq!(platform(a).is_same_for_hosts(&platform(b)), same, "{a} {b}");
            assert_eq!(platform(b).is_same_for_hosts(&platform(a)), same, "{b} {a}");
        }
        let windows = |version: &str| Platform { os_version: Some(version.to_owned()), ..platform("windows/amd64") };
        assert!(!windows("10.0.1").is_same_for_hosts(&windows("10.0.2")));
    }
}
