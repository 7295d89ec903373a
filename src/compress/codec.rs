//! What a layer or an archive is compressed with, and at which level.

use std::fmt;
use std::str::FromStr;

use crate::compress::Format;
use crate::error::{as_typed, Error};
use crate::media_type::LayerEncoding;

/// How a layer is compressed: `none`, `gzip[:LEVEL]` or `zstd[:LEVEL]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Uncompressed; digest and `diff_id` are equal.
    None,
    /// gzip, which every reader supports.
    Gzip(GzipLevel),
    /// Zstandard, which is smaller and faster, but which older readers do not support.
    Zstd(ZstdLevel),
}

/// What an [`Encoder`](super::Encoder) writes: the compressions of layers, and xz, which only archives may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// The bytes unchanged.
    Plain,
    /// One gzip member (RFC 1952).
    Gzip(GzipLevel),
    /// Zstandard frames (RFC 8878), each with its size and checksum.
    Zstd(ZstdLevel),
    /// xz streams, each with a CRC-64.
    Xz(XzLevel),
}

macro_rules! levels {
    ($(
        $(#[$doc:meta])*
        $name:ident = $codec:literal, $lowest:literal to $highest:literal, default $default:literal;
    )*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
            pub struct $name(u8);

            impl $name {
                /// Returns the number.
                pub fn number(self) -> u8 {
                    self.0
                }
            }

            impl Default for $name {
                fn default() -> Self {
                    $name($default)
                }
            }

            impl TryFrom<u8> for $name {
                type Error = Error;

                fn try_from(number: u8) -> Result<Self, Error> {
                    if ($lowest..=$highest).contains(&number) {
                        Ok($name(number))
                    } else {
                        Err(Error::invalid(
                            format!("{} level {number}", $codec),
                            concat!($lowest, " to ", $highest, " expected"),
                        ))
                    }
                }
            }
        )*
    };
}

levels! {
    /// A level of libdeflate, 1 to 12; its numbers are not those of zlib. The default is the fastest whose result is
    /// smaller than umoci's: 1,599 MB of a root filesystem become 544 MB, and 547 MB with umoci. It compresses blocks
    /// that lose little by it at level 1. Level 1 for all makes 562 MB in 0.85 of the time, 3 makes 534 MB in up to
    /// 1.15, 4 makes 530 MB in 1.25, 6 makes 515 MB in 1.7.
    GzipLevel = "gzip", 1 to 12, default 2;
    /// A level of zstd, 1 to 22. From 20 on, each thread needs about 100 MiB.
    ZstdLevel = "zstd", 1 to 22, default 3;
    /// A preset of xz, 0 to 9.
    XzLevel = "xz", 0 to 9, default 6;
}

impl Codec {
    /// Returns the format that a reader detects.
    pub fn format(self) -> Format {
        match self {
            Codec::Plain => Format::Plain,
            Codec::Gzip(_) => Format::Gzip,
            Codec::Zstd(_) => Format::Zstd,
            Codec::Xz(_) => Format::Xz,
        }
    }
}

impl Compression {
    /// What [`FromStr`] accepts, for messages about a flag or a variable.
    pub(crate) const ACCEPTED: &'static str =
        "`none`, `gzip` or `zstd`, the last two also with a level: `gzip:1` to `gzip:12`, `zstd:1` to `zstd:22`";

    /// Returns the layer encoding that the media type names.
    pub fn encoding(self) -> LayerEncoding {
        match self {
            Compression::None => LayerEncoding::Plain,
            Compression::Gzip(_) => LayerEncoding::Gzip,
            Compression::Zstd(_) => LayerEncoding::Zstd,
        }
    }
}

impl Default for Compression {
    /// gzip: nearly all public images use it, and older readers support nothing else.
    fn default() -> Self {
        Compression::Gzip(GzipLevel::default())
    }
}

impl FromStr for Compression {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let refused = || Error::invalid(format!("compression `{}`", as_typed(text)), Compression::ACCEPTED);
        let (name, level) = match text.split_once(':') {
            Some((name, level)) => (name, Some(parse_level(level).ok_or_else(refused)?)),
            None => (text, None),
        };
        match (name, level) {
            ("none", None) => Ok(Compression::None),
            ("gzip", None) => Ok(Compression::Gzip(GzipLevel::default())),
            ("zstd", None) => Ok(Compression::Zstd(ZstdLevel::default())),
            ("gzip", Some(level)) => GzipLevel::try_from(level).map(Compression::Gzip).map_err(|_| refused()),
            ("zstd", Some(level)) => ZstdLevel::try_from(level).map(Compression::Zstd).map_err(|_| refused()),
            _ => Err(refused()),
        }
    }
}

/// Accepts one spelling of each number: no sign, no leading zero.
fn parse_level(text: &str) -> Option<u8> {
    let number: u8 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Compression::None => f.write_str("none"),
            Compression::Gzip(level) => write!(f, "gzip:{}", level.0),
            Compression::Zstd(level) => write!(f, "zstd:{}", level.0),
        }
    }
}

impl From<Compression> for Codec {
    fn from(compression: Compression) -> Self {
        match compression {
            Compression::None => Codec::Plain,
            Compression::Gzip(level) => Codec::Gzip(level),
            Compression::Zstd(level) => Codec::Zstd(level),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        for (text, shown) in [
            ("none", Some("none")),
            ("gzip", Some("gzip:2")),
            ("gzip:1", Some("gzip:1")),
            ("gzip:12", Some("gzip:12")),
            ("zstd", Some("zstd:3")),
            ("zstd:22", Some("zstd:22")),
            ("", None),
            ("GZIP", None),
            ("xz", None),
            ("none:1", None),
            ("gzip:", None),
            ("gzip:0", None),
            ("gzip:13", None),
            ("gzip:256", None),
            ("gzip:+5", None),
            ("gzip:05", None),
            ("gzip: 5", None),
            ("zstd:0", None),
            ("zstd:-1", None),
            ("zstd:23", None),
        ] {
            let parsed = text.parse::<Compression>();
            assert_eq!(parsed.as_ref().map(ToString::to_string).ok().as_deref(), shown, "{text}");
            if let Ok(compression) = parsed {
                assert_eq!(compression.to_string().parse::<Compression>().ok(), Some(compression));
            }
        }
    }

    #[test]
    fn a_refusal_says_what_is_accepted() {
        let error = "gzip:13".parse::<Compression>().unwrap_err().to_string();
        assert!(error.starts_with("compression `gzip:13`: `none`, `gzip`"), "{error}");
        assert!(XzLevel::try_from(10).is_err());
    }
}
