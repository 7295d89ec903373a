//! From a machine to its platform.

use super::architecture::{self, Architecture};
use super::{Platform, VariantPolicy};
use crate::error::{Error, Result};

/// What is known of the machine that an image is made for, each part as its variable has it. Empty parts are unknown.
#[derive(Clone, Copy, Debug, Default)]
pub struct Machine<'a> {
    /// The architecture that somebody chose (`OCI_IMAGE_ARCH`): a GOARCH, or a name from Yocto, `uname -m` or Debian.
    pub architecture: &'a str,
    /// Yocto's `TARGET_ARCH`, used where nobody chose.
    pub target_arch: &'a str,
    /// Yocto's `TUNE_FEATURES`: words.
    pub tune_features: &'a str,
    /// Yocto's MACHINEOVERRIDES: words joined by colons. Only Arm's versions are read from it.
    pub machine_overrides: &'a str,
}

/// What a word of an Arm tune says of the version.
enum ArmIsa {
    /// It is this variant.
    Variant(&'static str),
    /// It is older than any variant that a container engine asks for.
    BeforeVariants,
    /// It is of the M or R profile, which has no MMU for Linux.
    NotLinux,
}

impl Machine<'_> {
    /// The platform of the machine, with the operating system `linux`.
    ///
    /// A chosen name that tells its own variant (`armhf`, `armv7l`) needs no tune, and a tune that belongs to another
    /// architecture than the chosen one is not asked. ABIs that OCI cannot name (x32, n32) are refused, unless somebody
    /// chose a GOARCH in full view of them. So are Arm tunes from which no version can be told.
    pub fn platform(&self, policy: &VariantPolicy) -> Result<Platform> {
        let architecture = self.resolve()?;
        let variant = match policy {
            VariantPolicy::None => None,
            VariantPolicy::Named(variant) => Some(variant.clone()),
            VariantPolicy::Auto => self.default_variant(architecture)?.map(str::to_owned),
            VariantPolicy::Exact => self.exact_variant(architecture)?,
        };
        Ok(Platform {
            architecture: architecture.goarch.to_owned(),
            os: "linux".to_owned(),
            variant,
            ..Platform::default()
        })
    }

    fn resolve(&self) -> Result<Architecture> {
        if self.architecture.is_empty() {
            let architecture = architecture::derived(self.target_arch)?;
            self.refuse_nameless_abi(self.target_arch, architecture)?;
            return Ok(architecture);
        }
        let architecture = architecture::chosen(self.architecture)?;
        if self.architecture != architecture.goarch {
            self.refuse_nameless_abi(self.architecture, architecture)?;
        }
        Ok(architecture)
    }

    fn refuse_nameless_abi(&self, name: &str, architecture: Architecture) -> Result<()> {
        let nameless = match architecture.goarch {
            "amd64" => "mx32",
            "mips64" | "mips64le" => "n32",
            _ => return Ok(()),
        };
        match self.features(architecture).find(|word| *word == nameless) {
            Some(word) => Err(architecture::without_name(&format!("{name} ({word})"))),
            None => Ok(()),
        }
    }

    /// The variant that a default container host of this kind matches.
    fn default_variant(&self, architecture: Architecture) -> Result<Option<&'static str>> {
        match architecture.goarch {
            "arm64" => Ok(Some("v8")),
            "arm" => self.arm_variant(architecture),
            _ => Ok(None),
        }
    }

    /// MACHINEOVERRIDES first: the tune of a CPU, such as cortexa15, has no version among its features.
    fn arm_variant(&self, architecture: Architecture) -> Result<Option<&'static str>> {
        let mut words =
            architecture.isa.into_iter().chain(self.overrides(architecture)).chain(self.features(architecture));
        let told = words.clone().find_map(|word| arm_isa(word).map(|isa| (word, isa)));
        match told {
            Some((_, ArmIsa::Variant(variant))) => Ok(Some(variant)),
            Some((_, ArmIsa::BeforeVariants)) => Ok(None),
            Some((word, ArmIsa::NotLinux)) => Err(Error::refused_with_hint(
                format!("`{word}` is no architecture that Linux containers run on"),
                "set OCI_IMAGE_SUBARCH (--variant) if it is meant all the same",
            )),
            // Nothing was said, so nothing is claimed.
            None if words.next().is_none() => Ok(None),
            None => Err(Error::refused_with_hint(
                format!("neither MACHINEOVERRIDES nor TUNE_FEATURES tells the version of `{}`", architecture.goarch),
                "set OCI_IMAGE_SUBARCH (--variant) to `v5`, `v6`, `v7`, `v8` or `none`",
            )),
        }
    }

    fn exact_variant(&self, architecture: Architecture) -> Result<Option<String>> {
        let told = match architecture.goarch {
            "arm64" => self.overrides(architecture).chain(self.features(architecture)).find_map(arm64_version),
            "amd64" => self.features(architecture).find_map(amd64_level).map(str::to_owned),
            "ppc64" | "ppc64le" => self.features(architecture).find(|word| is_power(word)).map(str::to_owned),
            _ => None,
        };
        match told {
            Some(variant) => Ok(Some(variant)),
            None => Ok(self.default_variant(architecture)?.map(str::to_owned)),
        }
    }

    fn features(&self, architecture: Architecture) -> impl Iterator<Item = &str> + Clone {
        let words = if self.tune_is_of(architecture) { self.tune_features } else { "" };
        words.split_ascii_whitespace()
    }

    fn overrides(&self, architecture: Architecture) -> impl Iterator<Item = &str> + Clone {
        let words = if self.tune_is_of(architecture) { self.machine_overrides } else { "" };
        words.split(':').map(str::trim).filter(|word| !word.is_empty())
    }

    /// Whether the tune speaks of this architecture: a tune belongs to `TARGET_ARCH`, where there is one.
    fn tune_is_of(&self, architecture: Architecture) -> bool {
        self.target_arch.is_empty()
            || architecture::derived(self.target_arch).is_ok_and(|target| target.goarch == architecture.goarch)
    }
}

fn arm_isa(word: &str) -> Option<ArmIsa> {
    /// How the M and R profiles begin: `armv8m-main`, `cortexr5` …
    const NOT_LINUX: [&str; 9] =
        ["armv6m", "armv7m", "armv7em", "armv7r", "armv8m", "armv8r", "armv8-1m", "cortexm", "cortexr"];
    match word {
        "armv4" => Some(ArmIsa::BeforeVariants),
        "armv5" => Some(ArmIsa::Variant("v5")),
        "armv6" => Some(ArmIsa::Variant("v6")),
        "armv7a" | "armv7ve" => Some(ArmIsa::Variant("v7")),
        "armv8a" => Some(ArmIsa::Variant("v8")),
        _ if NOT_LINUX.iter().any(|profile| word.starts_with(profile)) => Some(ArmIsa::NotLinux),
        _ => None,
    }
}

/// `armv8a` is v8, `armv8-2a` is v8.2, `armv9a` is v9.
fn arm64_version(word: &str) -> Option<String> {
    let version = word.strip_prefix("armv")?.strip_suffix('a')?;
    let (major, minor) = version.split_once('-').unwrap_or((version, ""));
    if !matches!(major, "8" | "9") || !minor.bytes().all(|b| b.is_ascii_digit()) || version.ends_with('-') {
        return None;
    }
    Some(if minor.is_empty() { format!("v{major}") } else { format!("v{major}.{minor}") })
}

/// The level of the x86-64 psABI, which GOAMD64 uses too. Yocto's corei7 is Nehalem, the first CPU of level 2.
fn amd64_level(word: &str) -> Option<&'static str> {
    match word {
        "core2" => Some("v1"),
        "corei7" | "x86-64-v2" => Some("v2"),
        "x86-64-v3" => Some("v3"),
        "x86-64-v4" => Some("v4"),
        _ => None,
    }
}

/// The values of GOPPC64; older CPUs have none.
fn is_power(word: &str) -> bool {
    matches!(word, "power8" | "power9" | "power10" | "power11")
}
