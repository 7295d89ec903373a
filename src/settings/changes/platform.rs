//! Changes to the platform of an image.

use crate::error::Result;
use crate::platform::{self, Machine, Platform, VariantPolicy};
use crate::settings::sources::Settings;
use crate::settings::{unknown_architecture, values, variables};

/// Changes of the platform. Unless the architecture or the variant is given, the variant stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlatformChanges {
    architecture: Option<Chosen>,
    variant: Option<VariantPolicy>,
    os: Option<String>,
    /// The version of the operating system.
    pub os_version: Option<String>,
    /// Required features of the operating system; the list replaces the old one.
    pub os_features: Vec<String>,
}

/// An explicitly given architecture.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Chosen {
    goarch: String,
    /// The variant that container hosts match by default, or that the architecture's name implies.
    variant: Option<String>,
}

impl PlatformChanges {
    pub(super) fn resolve(settings: &Settings) -> Result<Self> {
        let variant = settings.one(&variables::SUBARCH, &values::VARIANT)?;
        if let (Some(VariantPolicy::Exact), Some(setting)) = (&variant, settings.find(&variables::SUBARCH)) {
            return Err(setting.error("exact", "`auto`, `none` or a variant, since nothing tells the tune here"));
        }
        let architecture = match settings.find(&variables::ARCH) {
            None => None,
            Some(setting) => {
                let name = setting.text()?;
                if !platform::is_known_name(name) {
                    return Err(unknown_architecture(setting.error(name, &platform::accepted_names()), name));
                }
                let machine = Machine { architecture: name, ..Machine::default() };
                let platform = machine.platform(&VariantPolicy::Auto).map_err(|error| error.about(setting.origin))?;
                Some(Chosen { goarch: platform.architecture, variant: platform.variant })
            }
        };
        let os = settings.one(&variables::OS, &values::OS)?;
        Ok(PlatformChanges { architecture, variant, os, ..PlatformChanges::default() })
    }

    /// Whether anything changes.
    pub(crate) fn is_change(&self) -> bool {
        *self != PlatformChanges::default()
    }

    /// Applies the changes to a platform.
    #[must_use]
    pub fn of(&self, old: &Platform) -> Platform {
        let mut new = old.clone();
        new.variant = self.variant_of(old);
        if let Some(chosen) = &self.architecture {
            new.architecture.clone_from(&chosen.goarch);
        }
        if let Some(os) = &self.os {
            new.os.clone_from(os);
        }
        if self.os_version.is_some() {
            new.os_version.clone_from(&self.os_version);
        }
        if !self.os_features.is_empty() {
            new.os_features.clone_from(&self.os_features);
        }
        new
    }

    /// The new variant. The old one is dropped with its architecture, or by an explicit `none`.
    fn variant_of(&self, old: &Platform) -> Option<String> {
        let architecture = self.architecture.as_ref().map_or(&old.architecture, |chosen| &chosen.goarch);
        let kept = old.variant.clone().filter(|_| *architecture == old.architecture);
        let default = || {
            let machine = Machine { architecture, ..Machine::default() };
            let told = self.architecture.as_ref().map(|chosen| chosen.variant.clone());
            told.unwrap_or_else(|| machine.platform(&VariantPolicy::Auto).ok().and_then(|platform| platform.variant))
        };
        match &self.variant {
            Some(VariantPolicy::None) => None,
            Some(VariantPolicy::Named(variant)) => Some(variant.clone()),
            Some(VariantPolicy::Auto | VariantPolicy::Exact) => default().or(kept),
            None if self.architecture.is_none() => kept,
            // `armv7l` is more specific than `arm`; `arm64` says nothing about an existing variant.
            None if architecture == "arm" => default().or(kept),
            None => kept.or_else(default),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{FlagValue, Settings};

    #[test]
    fn a_variant_goes_with_its_architecture_or_when_asked_to() {
        for (old, arch, variant, new) in [
            ("arm/v7", None, None, "arm/v7"),
            ("arm64/v9", None, None, "arm64/v9"),
            ("arm64/v9", Some("arm64"), None, "arm64/v9"),
            ("arm64", Some("arm64"), None, "arm64/v8"),
            ("arm64/v9", Some("aarch64"), None, "arm64/v9"),
            ("arm64/v9", None, Some("auto"), "arm64/v8"),
            ("arm64/v9", Some("amd64"), None, "amd64"),
            ("amd64/v3", Some("arm64"), None, "arm64/v8"),
            ("arm/v6", Some("arm"), None, "arm/v6"),
            ("arm/v6", Some("armv7l"), None, "arm/v7"),
            ("arm/v6", None, Some("auto"), "arm/v6"),
            ("arm/v6", None, Some("v5"), "arm/v5"),
            ("arm/v6", None, Some("none"), "arm"),
            ("arm/v6", Some("amd64"), Some("v2"), "amd64/v2"),
            ("z80/a", None, Some("auto"), "z80/a"),
        ] {
            let (architecture, old_variant) = old.split_once('/').map_or((old, None), |(a, v)| (a, Some(v.to_owned())));
            let old = Platform { architecture: architecture.to_owned(), variant: old_variant, ..Platform::default() };
            let flags = [(variables::ARCH, arch), (variables::SUBARCH, variant)];
            let flags =
                flags.into_iter().filter_map(|(variable, text)| Some((variable, FlagValue::Text(text?.to_owned()))));
            let changes = PlatformChanges::resolve(&Settings::new(flags, [], None).unwrap()).unwrap();
            let text = changes.of(&old).to_string();
            assert_eq!(text.trim_start_matches('/'), new, "{old} {arch:?} {variant:?}");
        }
    }
}
