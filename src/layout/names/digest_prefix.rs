//! Digests as users type them, whole or abbreviated.

use std::fmt;
use std::str::FromStr;

use crate::digest::Digest;
use crate::error::{as_typed, Error, Result};

/// A digest as typed by a user: complete, or the beginning of one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DigestPrefix(String);

/// The supported algorithms and the number of digits of their digests.
const ALGORITHMS: [(&str, usize); 2] = [("sha256:", 64), ("sha512:", 128)];

impl DigestPrefix {
    /// The least number of digits: as many as are shown to users.
    const LEAST: usize = 12;

    /// What is accepted, for messages.
    pub(crate) const ACCEPTED: &'static str = "`sha256:` or `sha512:` and 12 lower-case hexadecimal digits at least";

    /// Whether a text is meant as one, good or not.
    pub(crate) fn is_meant_by(text: &[u8]) -> bool {
        ALGORITHMS.iter().any(|(algorithm, _)| text.starts_with(algorithm.as_bytes()))
    }

    /// Whether this is a complete digest.
    pub fn is_whole(&self) -> bool {
        self.0.parse::<Digest>().is_ok()
    }

    /// Whether a digest begins with this prefix.
    pub fn begins(&self, digest: &Digest) -> bool {
        digest.as_str().starts_with(&self.0)
    }
}

impl FromStr for DigestPrefix {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let digits = ALGORITHMS.iter().find_map(|(algorithm, most)| Some((text.strip_prefix(algorithm)?, *most)));
        let is_digit = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        match digits {
            Some((digits, most)) if (Self::LEAST..=most).contains(&digits.len()) && digits.bytes().all(is_digit) => {
                Ok(DigestPrefix(text.to_owned()))
            }
            _ => {
                let subject = format!("digest `{}`", as_typed(text));
                Err(Error::malformed(subject, format!("{} expected", Self::ACCEPTED)))
            }
        }
    }
}

impl fmt::Display for DigestPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twelve_digits_are_enough() {
        let digest = Digest::of(b"x");
        for length in [12, 13, 63, 64] {
            let text = format!("sha256:{}", &digest.encoded()[..length]);
            let prefix: DigestPrefix = text.parse().unwrap();
            assert!(prefix.begins(&digest) && !prefix.begins(&Digest::of(b"y")), "{text}");
            assert_eq!(prefix.is_whole(), length == 64);
        }
        let hex = digest.encoded();
        let texts = [&hex[..11], &format!("{hex}0"), &format!("{}G", &hex[..12]), &hex[..20].to_uppercase(), ""];
        for text in texts.map(|digits| format!("sha256:{digits}")).iter().map(String::as_str).chain([hex, "", "sha1:0"])
        {
            assert!(text.parse::<DigestPrefix>().is_err(), "{text}");
        }
    }
}
