//! The formats of layers: what a media type states, and what findings call it.

use crate::compress::Format;
use crate::media_type::LayerEncoding;

/// The format that the media type of a layer says.
pub(crate) fn format_of(encoding: LayerEncoding) -> Format {
    match encoding {
        LayerEncoding::Plain => Format::Plain,
        LayerEncoding::Gzip => Format::Gzip,
        LayerEncoding::Zstd => Format::Zstd,
    }
}

/// Returns the name of a format for findings.
pub(crate) fn format_name(format: Format) -> &'static str {
    match format {
        Format::Plain => "no compression",
        Format::Gzip => "gzip",
        Format::Zstd => "zstd",
        Format::Xz => "xz",
        Format::Bzip2 => "bzip2",
    }
}
