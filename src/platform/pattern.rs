//! Patterns that choose among platforms, and which platforms they match.

use std::fmt;
use std::str::FromStr;

use crate::error::{as_typed, Error, ErrorKind, Result};
use crate::platform::{architecture, is_known_name, is_known_os, machine, variant, Platform};

/// `os/architecture[/variant]`, or an architecture of Linux with or without a variant.
///
/// The architecture may be any name for a GOARCH: `linux/aarch64` is `linux/arm64`, and a name that implies the variant
/// too (`armhf`) asks for it. An unknown name means itself.
///
/// ```
/// # use ocibake::platform::PlatformPattern;
/// let pattern: PlatformPattern = "aarch64".parse()?;
/// assert_eq!(pattern.to_string(), "linux/arm64");
/// # Ok::<(), ocibake::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformPattern {
    os: String,
    architecture: String,
    variant: Option<String>,
}

/// How well a platform fits a pattern, best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    /// The two are equal.
    Equal,
    /// They are equal if `arm64` is `arm64/v8` and `amd64` is `amd64/v1`.
    EqualByDefault,
    /// The pattern asks for no variant.
    AnyVariant,
}

impl PlatformPattern {
    /// What is accepted, for a message.
    pub(crate) const ACCEPTED: &'static str = "`os/architecture[/variant]`, or the name of an architecture alone";

    /// Returns the positions of the platforms that fit best. Versions and features of the operating system do not
    /// count, so several may fit equally well.
    pub fn choose<'p>(&self, platforms: impl IntoIterator<Item = &'p Platform>) -> Vec<usize> {
        let fits = platforms.into_iter().enumerate().filter_map(|(at, platform)| Some((self.fit(platform)?, at)));
        let fits: Vec<(Fit, usize)> = fits.collect();
        let best = fits.iter().map(|(fit, _)| *fit).min();
        fits.iter().filter(|(fit, _)| Some(*fit) == best).map(|(_, at)| *at).collect()
    }

    fn fit(&self, platform: &Platform) -> Option<Fit> {
        if (&self.os, &self.architecture) != (&platform.os, &platform.architecture) {
            return None;
        }
        let or_default = |variant: &Option<String>| variant.clone().or_else(|| self.default_variant());
        if self.variant == platform.variant {
            Some(Fit::Equal)
        } else if or_default(&self.variant) == or_default(&platform.variant) {
            Some(Fit::EqualByDefault)
        } else {
            self.variant.is_none().then_some(Fit::AnyVariant)
        }
    }

    /// Returns whether a platform that names only a part, or nothing, may be meant: what it names is asked for.
    pub(crate) fn may_mean(&self, platform: &Platform) -> bool {
        let is_open = |named: &str, asked: &str| named.is_empty() || named == asked;
        !platform.is_named() && is_open(&platform.os, &self.os) && is_open(&platform.architecture, &self.architecture)
    }

    /// Returns the platform that is asked for.
    pub fn platform(&self) -> Platform {
        let PlatformPattern { os, architecture, variant } = self.clone();
        Platform { architecture, os, variant, ..Platform::default() }
    }

    /// Returns the platform, for an image that names none and becomes one for it. What is unknown is refused as in a
    /// setting: no machine would ever take the image.
    pub(crate) fn to_be_named(&self) -> Result<Platform> {
        if !is_known_os(&self.os) {
            let subject = format!("operating system `{}`", as_typed(&self.os));
            return Err(Error::invalid(subject, "a GOOS such as `linux` expected"));
        }
        architecture::chosen(&self.architecture)?;
        Ok(self.platform())
    }

    /// Returns the default variant (containerd, platforms, `Normalize`). Not for arm: too many of its images are v6.
    fn default_variant(&self) -> Option<String> {
        match self.architecture.as_str() {
            "arm64" => Some("v8".to_owned()),
            "amd64" => Some("v1".to_owned()),
            _ => None,
        }
    }
}

impl From<&Platform> for PlatformPattern {
    fn from(platform: &Platform) -> Self {
        let Platform { os, architecture, variant, .. } = platform.clone();
        PlatformPattern { os, architecture, variant }
    }
}

impl FromStr for PlatformPattern {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let words: Vec<&str> = text.split('/').collect();
        let (os, name, variant) = match words[..] {
            [name] if is_known_name(name) => ("linux", name, None),
            [name, variant] if is_known_name(name) && !is_known_os(name) => ("linux", name, Some(variant)),
            [os, name] => (os, name, None),
            [os, name, variant] => (os, name, Some(variant)),
            _ => ("", "", None),
        };
        let is_word = |text: &str| variant::is_word(text);
        if ![os, name].into_iter().chain(variant).all(is_word) {
            let subject = format!("platform `{}`", as_typed(text));
            return Err(match nearest(text) {
                Some(nearest) => Error::refused_with_hint(
                    format!("{subject}: {} expected", Self::ACCEPTED),
                    format!("did you mean `{nearest}`"),
                )
                .of_kind(ErrorKind::Invalid),
                None => Error::invalid(subject, format!("{} expected", Self::ACCEPTED)),
            });
        }
        let (architecture, told) = machine::told_by(name).unwrap_or((name, None));
        Ok(PlatformPattern {
            os: os.to_owned(),
            architecture: architecture.to_owned(),
            variant: variant.or(told).map(str::to_owned),
        })
    }
}

impl fmt::Display for PlatformPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.iter().try_for_each(|variant| write!(f, "/{variant}"))
    }
}

/// The platform that a text may mean: in lower case, with the nearest architecture, or one of Docker's words.
fn nearest(text: &str) -> Option<PlatformPattern> {
    let lower = text.to_lowercase();
    if let Some((architecture, variant)) = architecture::of_docker(&lower) {
        return format!("linux/{architecture}/{variant}").parse().ok();
    }
    if lower != text {
        return lower.parse().ok();
    }
    architecture::nearest_name(&lower).filter(|_| !lower.contains('/'))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::tests::platform;

    #[test]
    fn every_name_of_an_architecture_will_do() {
        for (text, meant) in [
            ("linux/amd64", Some("linux/amd64")),
            ("linux/x86_64", Some("linux/amd64")),
            ("linux/aarch64", Some("linux/arm64")),
            ("linux/aarch64/v9", Some("linux/arm64/v9")),
            ("arm64", Some("linux/arm64")),
            ("x86_64/v3", Some("linux/amd64/v3")),
            ("armhf", Some("linux/arm/v7")),
            ("linux/armel", Some("linux/arm/v5")),
            ("linux/armhf/v6", Some("linux/arm/v6")),
            ("armv4tl", Some("linux/arm")),
            ("arm/v7", Some("linux/arm/v7")),
            ("windows/amd64", Some("windows/amd64")),
            ("linux/m68k", Some("linux/m68k")),
            ("wasi/wasm", Some("wasi/wasm")),
            ("linux/of-tomorrow/v1.2", Some("linux/of-tomorrow/v1.2")),
            ("linux", None),
            ("of-tomorrow", None),
            ("", None),
            ("/", None),
            ("linux/", None),
            ("/arm64", None),
            ("linux/arm64/", None),
            ("linux/arm64/v8/x", None),
            ("linux /arm64", None),
            ("linux/arm64,linux/amd64", None),
        ] {
            let parsed = text.parse::<PlatformPattern>();
            assert_eq!(parsed.as_ref().ok().map(ToString::to_string).as_deref(), meant, "{text}: {parsed:?}");
        }
        let error = "linux".parse::<PlatformPattern>().unwrap_err().to_string();
        let expected = "`os/architecture[/variant]`, or the name of an architecture alone expected";
        assert_eq!(error, format!("platform `linux`: {expected}"));
    }

    #[test]
    fn what_fits_best_is_meant() {
        for (pattern, platforms, meant) in [
            // Equal.
            ("linux/amd64", &["linux/amd64/v2", "linux/amd64", "linux/amd64/v1"][..], &[1][..]),
            ("linux/arm64/v8", &["linux/arm64", "linux/arm64/v8"], &[1]),
            ("linux/arm", &["linux/arm", "linux/arm/v7"], &[0]),
            // Equal by default, whichever side omits the variant.
            ("linux/arm64/v8", &["linux/amd64", "linux/arm64"], &[1]),
            ("linux/arm64", &["linux/arm64/v9", "linux/arm64/v8"], &[1]),
            ("linux/amd64/v1", &["linux/amd64", "linux/amd64/v2"], &[0]),
            ("linux/amd64", &["linux/amd64/v3", "linux/amd64/v1"], &[1]),
            // The only one, if the pattern asks for no variant.
            ("linux/arm", &["linux/arm/v6", "linux/arm64"], &[0]),
            ("linux/amd64", &["linux/amd64/v3"], &[0]),
            ("linux/amd64", &["linux/amd64/v2", "linux/amd64/v3"], &[0, 1]),
            ("linux/arm", &["linux/arm/v6", "linux/arm/v7"], &[0, 1]),
            // A requested variant must be there.
            ("linux/arm/v7", &["linux/arm/v6", "linux/arm"], &[]),
            ("linux/arm64/v9", &["linux/arm64", "linux/arm64/v8"], &[]),
            ("linux/amd64/v2", &["linux/amd64", "linux/amd64/v1", "linux/amd64/v3"], &[]),
            ("windows/amd64", &["linux/amd64"], &[]),
            ("linux/amd64", &["linux/amd64", "linux/amd64"], &[0, 1]),
            ("linux/amd64", &[], &[]),
        ] {
            let pattern: PlatformPattern = pattern.parse().unwrap();
            let platforms: Vec<Platform> = platforms.iter().map(|text| platform(text)).collect();
            assert_eq!(pattern.choose(&platforms), meant, "{pattern} of {platforms:?}");
        }
    }

    #[test]
    fn a_version_of_the_system_makes_no_choice() {
        let windows = |version: &str| Platform { os_version: Some(version.to_owned()), ..platform("windows/amd64") };
        let pattern = PlatformPattern::from(&windows("10.0.1"));
        assert_eq!(pattern.choose(&[windows("10.0.1"), windows("10.0.2")]), [0, 1]);
    }

    #[test]
    fn a_platform_without_a_name_may_be_any_other() {
        let asked: PlatformPattern = "linux/arm/v7".parse().unwrap();
        assert_eq!(asked.platform(), platform("linux/arm/v7"));
        for (named, may) in [("/", true), ("linux/", true), ("/arm", true), ("windows/", false), ("linux/arm", false)] {
            assert_eq!(asked.may_mean(&platform(named)), may, "{named}");
        }
    }
}
