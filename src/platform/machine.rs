//! From a machine to its platform.

use super::architecture::{self, Architecture};
use super::{Platform, VariantPolicy};
use crate::error::{Error, ErrorKind, Result};
use crate::hint::Hint;

/// What is known of the machine that an image is for, each part in the form of its variable. Unknown parts are empty.
#[derive(Clone, Copy, Debug, Default)]
pub struct Machine<'a> {
    /// The chosen architecture (`OCI_IMAGE_ARCH`): a GOARCH, or a name from Yocto, `uname -m` or Debian.
    pub architecture: &'a str,
    /// Yocto's `TARGET_ARCH`, used if no architecture is chosen.
    pub target_arch: &'a str,
    /// Yocto's `TUNE_FEATURES`, as words.
    pub tune_features: &'a str,
    /// Yocto's MACHINEOVERRIDES, as words joined by colons. Only Arm's versions are read from it.
    pub machine_overrides: &'a str,
}

/// What a word of an Arm tune says about the version.
enum ArmIsa {
    /// This variant.
    Variant(&'static str),
    /// Older than any variant that a container engine asks for.
    BeforeVariants,
    /// The M or R profile, which has no MMU for Linux.
    NotLinux,
}

impl Machine<'_> {
    /// Returns the platform of the machine, with the operating system `linux`.
    ///
    /// A chosen name that implies a variant (`armhf`, `armv7l`) needs no tune, and the tune of another architecture is
    /// ignored. ABIs that OCI cannot name (x32, n32) are refused, unless a GOARCH is chosen explicitly. So are Arm
    /// tunes that do not tell the version.
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

    /// Returns the variant that a default container host of this kind matches.
    fn default_variant(&self, architecture: Architecture) -> Result<Option<&'static str>> {
        match architecture.goarch {
            "arm64" => Ok(Some("v8")),
            "arm" => self.arm_variant(architecture),
            _ => Ok(None),
        }
    }

    /// MACHINEOVERRIDES comes first: the tune of a CPU, such as cortexa15, has no version among its features.
    fn arm_variant(&self, architecture: Architecture) -> Result<Option<&'static str>> {
        let mut words =
            architecture.isa.into_iter().chain(self.overrides(architecture)).chain(self.features(architecture));
        let told = words.clone().find_map(|word| arm_isa(word).map(|isa| (word, isa)));
        match told {
            Some((_, ArmIsa::Variant(variant))) => Ok(Some(variant)),
            Some((_, ArmIsa::BeforeVariants)) => Ok(None),
            Some((word, ArmIsa::NotLinux)) => Err(Error::refused_with_hint(
                format!("`{word}` is no architecture that Linux containers run on"),
                Hint::from("set ").setting("OCI_IMAGE_SUBARCH").text(" if you want it anyway"),
            )
            .of_kind(ErrorKind::Unsupported)),
            // Nothing is known, so nothing is claimed.
            None if words.next().is_none() => Ok(None),
            None => Err(Error::refused_with_hint(
                format!("neither MACHINEOVERRIDES nor TUNE_FEATURES tells the version of `{}`", architecture.goarch),
                Hint::from("set ").setting("OCI_IMAGE_SUBARCH").text(" to `v5`, `v6`, `v7`, `v8` or `none`"),
            )
            .of_kind(ErrorKind::Invalid)),
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

    /// Returns whether the tune is for this architecture: a tune belongs to `TARGET_ARCH`, if there is one.
    fn tune_is_of(&self, architecture: Architecture) -> bool {
        self.target_arch.is_empty()
            || architecture::derived(self.target_arch).is_ok_and(|target| target.goarch == architecture.goarch)
    }
}

/// Returns the GOARCH that a name means, and the variant if the name implies it, or `None` if the name is unknown.
pub(super) fn told_by(name: &str) -> Option<(&'static str, Option<&'static str>)> {
    let Architecture { goarch, isa } = architecture::chosen(name).ok()?;
    let variant = match isa.and_then(arm_isa) {
        Some(ArmIsa::Variant(variant)) => Some(variant),
        _ => None,
    };
    Some((goarch, variant))
}

fn arm_isa(word: &str) -> Option<ArmIsa> {
    /// How names of the M and R profiles begin: `armv8m-main`, `cortexr5` …
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

/// Returns the version that a word names: `armv8a` is v8, `armv8-2a` is v8.2, `armv9a` is v9.
fn arm64_version(word: &str) -> Option<String> {
    let version = word.strip_prefix("armv")?.strip_suffix('a')?;
    let (major, minor) = version.split_once('-').unwrap_or((version, ""));
    if !matches!(major, "8" | "9") || !minor.bytes().all(|b| b.is_ascii_digit()) || version.ends_with('-') {
        return None;
    }
    Some(if minor.is_empty() { format!("v{major}") } else { format!("v{major}.{minor}") })
}

/// Returns the level of the x86-64 psABI, which GOAMD64 uses too. Yocto's corei7 is Nehalem, the first CPU of level 2.
fn amd64_level(word: &str) -> Option<&'static str> {
    match word {
        "core2" => Some("v1"),
        "corei7" | "x86-64-v2" => Some("v2"),
        "x86-64-v3" => Some("v3"),
        "x86-64-v4" => Some("v4"),
        _ => None,
    }
}

/// Returns whether this is a value of GOPPC64; older CPUs have none.
fn is_power(word: &str) -> bool {
    matches!(word, "power8" | "power9" | "power10" | "power11")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(machine: Machine<'_>, policy: &VariantPolicy) -> String {
        match machine.platform(policy) {
            Ok(platform) => platform.to_string(),
            Err(error) => format!("{error}"),
        }
    }

    /// Every tune of OE-core with what it should map to, worked out by hand from the names of the tunes.
    #[test]
    fn every_tune_of_oe_core() {
        let table = include_str!("../../tests/fixtures/oe-tunes.tsv");
        let mut rows = table.lines();
        assert_eq!(rows.next(), Some("target_arch\ttune\ttune_features\tmachineoverrides\ttune_ccargs\tauto\texact"));
        let mut count = 0;
        for row in rows {
            let columns: Vec<_> = row.split('\t').collect();
            let [target_arch, _, tune_features, machine_overrides, _, auto, exact] = columns[..] else {
                panic!("{row}");
            };
            let machine = Machine { architecture: "", target_arch, tune_features, machine_overrides };
            for (policy, expected) in [(VariantPolicy::Auto, auto), (VariantPolicy::Exact, exact)] {
                let found = machine.platform(&policy).map_or("error".to_owned(), |platform| platform.to_string());
                assert_eq!(found, expected, "{policy:?} of {row}");
            }
            count += 1;
        }
        assert_eq!(count, 460);
    }

    #[test]
    fn names_alone() {
        for (name, auto) in [
            ("x86_64", "linux/amd64"),
            ("aarch64", "linux/arm64/v8"),
            ("arm64", "linux/arm64/v8"),
            ("arm", "linux/arm"),
            ("armhf", "linux/arm/v7"),
            ("armel", "linux/arm/v5"),
            ("armv7l", "linux/arm/v7"),
            ("armv6l", "linux/arm/v6"),
            ("armv5tel", "linux/arm/v5"),
            ("armv8l", "linux/arm/v8"),
            ("armv4tl", "linux/arm"),
            ("armv7b", "linux/armbe"),
            ("armv7ml", "`armv7m` is no architecture that Linux containers run on"),
            ("s390x", "linux/s390x"),
            ("ppc64el", "linux/ppc64le"),
        ] {
            let chosen = Machine { architecture: name, ..Machine::default() };
            assert_eq!(show(chosen, &VariantPolicy::Auto), auto);
            let derived = Machine { target_arch: name, ..Machine::default() };
            assert_eq!(show(derived, &VariantPolicy::Auto), auto);
            let exact = show(derived, &VariantPolicy::Exact);
            assert_eq!(exact, auto, "a name alone says no more in exact terms");
        }
    }

    #[test]
    fn a_policy_that_names_the_variant_asks_no_tune() {
        let named = VariantPolicy::Named("v7".to_owned());
        for (machine, policy, expected) in [
            (Machine { target_arch: "aarch64", ..Machine::default() }, &VariantPolicy::None, "linux/arm64"),
            (Machine { architecture: "armhf", ..Machine::default() }, &VariantPolicy::None, "linux/arm"),
            (Machine { architecture: "armel", ..Machine::default() }, &named, "linux/arm/v7"),
            (
                Machine { target_arch: "arm", tune_features: "vfpv5spd16 cortexm33", ..Machine::default() },
                &named,
                "linux/arm/v7",
            ),
            (
                Machine { target_arch: "arm", tune_features: "arm vfp cortexa15", ..Machine::default() },
                &VariantPolicy::None,
                "linux/arm",
            ),
        ] {
            assert_eq!(show(machine, policy), expected, "{machine:?}");
        }
    }

    #[test]
    fn what_is_chosen_and_what_the_tune_says() {
        let qemuarm = Machine {
            target_arch: "arm",
            tune_features: "arm vfp cortexa15 neon thumb callconvention-hard",
            machine_overrides: "armv7ve:qemuall:qemuarm",
            ..Machine::default()
        };
        let x32 = Machine { target_arch: "x86_64", tune_features: "mx32", ..Machine::default() };
        let n32 = Machine { target_arch: "mips64", tune_features: "n32 bigendian", ..Machine::default() };
        for (machine, expected) in [
            (qemuarm, "linux/arm/v7"),
            (Machine { architecture: "arm", ..qemuarm }, "linux/arm/v7"),
            (Machine { architecture: "arm", target_arch: "", ..qemuarm }, "linux/arm/v7"),
            // The name is more specific than the tune.
            (Machine { architecture: "armel", ..qemuarm }, "linux/arm/v5"),
            // The tune is for another architecture.
            (
                Machine { architecture: "arm", target_arch: "aarch64", machine_overrides: "armv8a", ..qemuarm },
                "linux/arm",
            ),
            (Machine { architecture: "arm64", ..qemuarm }, "linux/arm64/v8"),
            (Machine { architecture: "386", ..x32 }, "linux/386"),
            (Machine { architecture: "ppc", target_arch: "powerpc", ..Machine::default() }, "linux/ppc"),
            // MACHINEOVERRIDES before TUNE_FEATURES.
            (Machine { machine_overrides: "armv6:x", tune_features: "arm armv7a", ..qemuarm }, "linux/arm/v6"),
            (Machine { machine_overrides: "qemuarm", tune_features: "arm armv7a", ..qemuarm }, "linux/arm/v7"),
            (
                Machine { machine_overrides: "qemuarm", ..qemuarm },
                "neither MACHINEOVERRIDES nor TUNE_FEATURES tells the version of `arm`",
            ),
            (x32, "architecture `x86_64 (mx32)` has no name in OCI"),
            (Machine { architecture: "x86_64", ..x32 }, "architecture `x86_64 (mx32)` has no name in OCI"),
            (Machine { architecture: "amd64", ..x32 }, "linux/amd64"),
            (n32, "architecture `mips64 (n32)` has no name in OCI"),
            (Machine { architecture: "mips64p32", ..n32 }, "linux/mips64p32"),
            (Machine { target_arch: "sparc64", ..Machine::default() }, "architecture `sparc64` has no name in OCI"),
            (Machine { architecture: "sparc64", ..Machine::default() }, "linux/sparc64"),
            (Machine { target_arch: "z80", ..Machine::default() }, "architecture `z80` is not known"),
            // An unknown TARGET_ARCH does not affect a choice.
            (Machine { architecture: "arm64", target_arch: "z80", ..Machine::default() }, "linux/arm64/v8"),
        ] {
            assert_eq!(show(machine, &VariantPolicy::Auto), expected, "{machine:?}");
        }
    }

    #[test]
    fn exact_words() {
        for (target_arch, tune_features, machine_overrides, expected) in [
            ("aarch64", "aarch64", "armv8-2a:board", "linux/arm64/v8.2"),
            ("aarch64", "aarch64 armv9a", "", "linux/arm64/v9"),
            ("aarch64", "aarch64 armv8-a armv7a armvXa armv10a armv8-2", "", "linux/arm64/v8"),
            // A machine may be called anything; only Arm's words are overrides.
            ("x86_64", "m64", "corei7:x86-64-v4", "linux/amd64"),
            ("x86_64", "m64 x86-64-v4", "", "linux/amd64/v4"),
            ("powerpc64le", "m64 power10", "", "linux/ppc64le/power10"),
            ("powerpc64", "m64 power7", "", "linux/ppc64"),
        ] {
            let machine = Machine { architecture: "", target_arch, tune_features, machine_overrides };
            assert_eq!(show(machine, &VariantPolicy::Exact), expected, "{machine:?}");
        }
    }

    #[test]
    fn refusals_say_what_to_do() {
        let hint = |target_arch, tune_features| {
            let machine = Machine { target_arch, tune_features, ..Machine::default() };
            machine.platform(&VariantPolicy::Auto).unwrap_err().hint().unwrap().to_string()
        };
        assert!(hint("arm", "armv7m").contains("OCI_IMAGE_SUBARCH"));
        assert!(hint("arm", "arm vfp").contains("OCI_IMAGE_SUBARCH"));
        assert!(hint("x86_64", "mx32").contains("OCI_IMAGE_ARCH"));
        assert!(hint("riscv32", "").contains("OCI_IMAGE_ARCH"));
    }
}
