use std::str::FromStr;

use crate::error::Error;

/// Which variant of the CPU an image names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum VariantPolicy {
    /// What default container hosts match: `v8` for arm64, the Arm version for arm, nothing for the rest.
    #[default]
    Auto,
    /// Nothing.
    None,
    /// All that the tune says: `arm64/v9`, `amd64/v3`. A default container host does not match such an image.
    Exact,
    /// This one.
    Named(String),
}

impl VariantPolicy {
    /// What is accepted, for a message.
    pub const ACCEPTED: &'static str = "`auto`, `none`, `exact`, or a variant such as `v7`, `v8.2` or `power9`";
}

impl FromStr for VariantPolicy {
    type Err = Error;

    /// Reads `auto`, `none`, `exact`, or a variant: a small letter, then small letters, digits, `.`, `_` and `-`.
    fn from_str(text: &str) -> Result<Self, Error> {
        match text {
            "auto" => Ok(VariantPolicy::Auto),
            "none" => Ok(VariantPolicy::None),
            "exact" => Ok(VariantPolicy::Exact),
            _ if is_variant(text) => Ok(VariantPolicy::Named(text.to_owned())),
            _ => Err(Error::malformed(
                format!("variant `{}`", text.escape_debug()),
                format!("{} expected", Self::ACCEPTED),
            )),
        }
    }
}

fn is_variant(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase()) && is_word(text)
}

/// Whether a text could be a part of a platform: small letters, digits, `.`, `_` and `-`, none of these at its end.
pub(super) fn is_word(text: &str) -> bool {
    text.ends_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

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
