//! Variants of CPUs: which ones are known, and which one an image names.

use std::str::FromStr;

use crate::error::{as_typed, Error};
use crate::platform::Platform;
use crate::spelling::edit_distance;

/// Which variant of the CPU an image names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum VariantPolicy {
    /// What default container hosts match: `v8` for arm64, the Arm version for arm, nothing for others.
    #[default]
    Auto,
    /// Nothing.
    None,
    /// Everything that the tune says: `arm64/v9`, `amd64/v3`. A default container host does not match such an image.
    Exact,
    /// This one.
    Named(String),
}

impl VariantPolicy {
    /// What is accepted, for a message.
    pub(crate) const ACCEPTED: &'static str =
        "`auto`, `none`, `exact`, or a variant such as `v6`, `v7`, `v8`, `v8.2` or `power9`";
}

impl FromStr for VariantPolicy {
    type Err = Error;

    /// Reads `auto`, `none`, `exact`, or a variant: a lower-case letter, then lower-case letters, digits, `.`, `_` and
    /// `-`.
    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "auto" => Ok(VariantPolicy::Auto),
            "none" => Ok(VariantPolicy::None),
            "exact" => Ok(VariantPolicy::Exact),
            _ if is_variant(text) => Ok(VariantPolicy::Named(text.to_owned())),
            _ => Err(Error::invalid(format!("variant `{}`", as_typed(text)), format!("{} expected", Self::ACCEPTED))),
        }
    }
}

/// Returns the variants that builders and container engines know, in Go's names; empty if they know none.
fn known(architecture: &str) -> &'static [&'static str] {
    match architecture {
        "386" => &["softfloat", "sse2"],
        "amd64" => &["v1", "v2", "v3", "v4"],
        "arm" => &["v5", "v6", "v7", "v8"],
        "arm64" => &[
            "v8", "v8.0", "v8.1", "v8.2", "v8.3", "v8.4", "v8.5", "v8.6", "v8.7", "v8.8", "v8.9", "v9", "v9.0", "v9.1",
            "v9.2", "v9.3", "v9.4", "v9.5", "v9.6", "v9.7",
        ],
        "mips" | "mipsle" | "mips64" | "mips64le" => &["hardfloat", "softfloat"],
        "ppc64" | "ppc64le" => &["power7", "power8", "power9", "power10", "power11"],
        "riscv64" => &["rva20u64", "rva22u64", "rva23u64"],
        _ => &[],
    }
}

/// Returns whether an architecture is known to have this variant.
pub(crate) fn is_known_variant(architecture: &str, variant: &str) -> bool {
    known(architecture).contains(&variant)
}

impl Platform {
    /// Returns a warning about an unknown variant, or `None` if there is nothing to compare it with.
    pub(crate) fn unknown_variant(&self) -> Option<String> {
        let (variant, known) = (self.variant.as_deref()?, known(&self.architecture));
        if known.is_empty() || known.contains(&variant) {
            return None;
        }
        let said = format!("`{variant}` is not a known variant of {}", self.architecture);
        // Enough that `armv7` still means `v7`, but not the whole variant.
        let allowed = (variant.len() * 3 / 5).max(2).min(variant.len() - 1);
        // Of several that are as near, the one with the nearest number: v8 for v9.
        let number = |text: &str| text.trim_start_matches(|c: char| c.is_ascii_alphabetic()).parse::<u32>().ok();
        let gap = |known: &str| match (number(known), number(variant)) {
            (Some(known_number), Some(wanted)) if known.len() == variant.len() => known_number.abs_diff(wanted),
            _ => u32::MAX,
        };
        let distances = known.iter().map(|known| (edit_distance(known, variant), known));
        let nearest = distances.min_by_key(|(distance, known)| (*distance, gap(known)));
        Some(match nearest.filter(|(distance, _)| *distance <= allowed) {
            Some((_, nearest)) => format!("{said}, did you mean `{nearest}`"),
            None => format!("{said}: there is {}", known.join(", ")),
        })
    }
}

fn is_variant(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase()) && is_word(text)
}

/// Returns whether a text can be part of a platform: lower-case letters, digits, `.`, `_` and `-`, with none of these
/// at its end.
pub(super) fn is_word(text: &str) -> bool {
    text.ends_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_ones() {
        for (architecture, variant, said) in [
            ("arm64", "v8", None),
            ("arm64", "v9.2", None),
            ("arm64", "v77", Some("did you mean `v8`")),
            ("arm", "v77", Some("did you mean `v7`")),
            ("arm", "armv7", Some("did you mean `v7`")),
            ("amd64", "v3.0", Some("did you mean `v3`")),
            ("amd64", "haswell", Some("there is v1, v2, v3, v4")),
            ("ppc64le", "power12", Some("did you mean `power11`")),
            ("arm", "v9", Some("did you mean `v8`")),
            ("arm", "v4", Some("did you mean `v5`")),
            ("amd64", "v5", Some("did you mean `v4`")),
            ("amd64", "v0", Some("did you mean `v1`")),
            ("s390x", "z14", None),
        ] {
            let (architecture, variant) = (architecture.to_owned(), Some(variant.to_owned()));
            let platform = Platform { architecture, variant, ..Platform::default() };
            let found = platform.unknown_variant();
            assert_eq!(found.is_some(), said.is_some(), "{platform}: {found:?}");
            assert!(found.unwrap_or_default().ends_with(said.unwrap_or_default()), "{platform}");
        }
    }

    #[test]
    fn grammar() {
        for (text, policy) in
            [("auto", VariantPolicy::Auto), ("none", VariantPolicy::None), ("exact", VariantPolicy::Exact)]
        {
            assert_eq!(text.parse::<VariantPolicy>().unwrap(), policy);
        }
        for text in ["v7", "v8.2", "power10", "rva20u64", "v8"] {
            assert_eq!(text.parse::<VariantPolicy>().unwrap(), VariantPolicy::Named(text.to_owned()));
        }
        for text in ["", "7", "V7", "v7 ", "v7/v8", "v8.", "Auto", "v\n", "vé", "v'7"] {
            assert!(text.parse::<VariantPolicy>().is_err(), "{text}");
        }
    }
}
