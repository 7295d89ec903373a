//! Media types of OCI and of Docker's schema 2, recognised as a whole rather than by their ends (image-spec,
//! media-types.md): Docker's gzip layers end in `.tar.gzip`, so a test for `+gzip` misses them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// A media type as written in a document.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MediaType(std::borrow::Cow<'static, str>);

/// What a blob of a media type is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaKind {
    /// An image index or manifest list.
    Index,
    /// An image manifest.
    Manifest,
    /// An image configuration.
    Config,
    /// A layer: a tar changeset in this encoding.
    Layer(LayerEncoding),
    /// The two bytes `{}` (image-spec, manifest.md#guidance-for-an-empty-descriptor).
    Empty,
    /// Anything else: an artifact's content.
    Other,
}

/// How the tar of a layer is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerEncoding {
    /// Uncompressed.
    Plain,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
}

macro_rules! media_types {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $kind:expr;)*) => {
        impl MediaType {
            $($(#[$doc])* pub const $name: MediaType = MediaType(std::borrow::Cow::Borrowed($text));)*

            /// Returns what the media type means.
            pub fn kind(&self) -> MediaKind {
                match &*self.0 {
                    $($text => $kind,)*
                    _ => MediaKind::Other,
                }
            }
        }

        #[cfg(test)]
        const KNOWN: &[(&str, MediaKind)] = &[$(($text, $kind)),*];
    };
}

media_types! {
    /// OCI image index.
    INDEX = "application/vnd.oci.image.index.v1+json", MediaKind::Index;
    /// OCI image manifest.
    MANIFEST = "application/vnd.oci.image.manifest.v1+json", MediaKind::Manifest;
    /// OCI image configuration.
    CONFIG = "application/vnd.oci.image.config.v1+json", MediaKind::Config;
    /// OCI layer, plain tar.
    LAYER = "application/vnd.oci.image.layer.v1.tar", MediaKind::Layer(LayerEncoding::Plain);
    /// OCI layer, gzip.
    LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip", MediaKind::Layer(LayerEncoding::Gzip);
    /// OCI layer, zstd.
    LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd", MediaKind::Layer(LayerEncoding::Zstd);
    /// OCI layer that must not be distributed; deprecated, accepted on reading.
    LAYER_NONDIST = "application/vnd.oci.image.layer.nondistributable.v1.tar", MediaKind::Layer(LayerEncoding::Plain);
    /// The same with gzip.
    LAYER_NONDIST_GZIP = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        MediaKind::Layer(LayerEncoding::Gzip);
    /// The same with zstd.
    LAYER_NONDIST_ZSTD = "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
        MediaKind::Layer(LayerEncoding::Zstd);
    /// The empty descriptor's type.
    EMPTY = "application/vnd.oci.empty.v1+json", MediaKind::Empty;
    /// Docker manifest list.
    DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json", MediaKind::Index;
    /// Docker manifest, schema 2.
    DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json", MediaKind::Manifest;
    /// Docker image configuration.
    DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json", MediaKind::Config;
    /// Docker layer, plain tar.
    DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar", MediaKind::Layer(LayerEncoding::Plain);
    /// Docker layer, gzip.
    DOCKER_LAYER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip", MediaKind::Layer(LayerEncoding::Gzip);
    /// Docker layer, zstd, as BuildKit writes it.
    DOCKER_LAYER_ZSTD = "application/vnd.docker.image.rootfs.diff.tar.zstd", MediaKind::Layer(LayerEncoding::Zstd);
    /// Docker layer that must not be distributed, plain tar.
    DOCKER_LAYER_FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar", MediaKind::Layer(LayerEncoding::Plain);
    /// The same with gzip.
    DOCKER_LAYER_FOREIGN_GZIP = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        MediaKind::Layer(LayerEncoding::Gzip);
}

impl MediaType {
    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether it has nothing to do with images: it is neither OCI's nor Docker's, of any version.
    pub(crate) fn is_foreign(&self) -> bool {
        let of_images = ["application/vnd.oci.", "application/vnd.docker."];
        self.kind() == MediaKind::Other && !of_images.iter().any(|beginning| self.as_str().starts_with(beginning))
    }

    /// Returns OCI's equivalent of a media type of Docker; others stay.
    #[must_use]
    pub(crate) fn in_oci(&self) -> Self {
        match self {
            t if *t == MediaType::DOCKER_INDEX => MediaType::INDEX,
            t if *t == MediaType::DOCKER_MANIFEST => MediaType::MANIFEST,
            t if *t == MediaType::DOCKER_CONFIG => MediaType::CONFIG,
            t if *t == MediaType::DOCKER_LAYER => MediaType::LAYER,
            t if *t == MediaType::DOCKER_LAYER_GZIP => MediaType::LAYER_GZIP,
            t if *t == MediaType::DOCKER_LAYER_ZSTD => MediaType::LAYER_ZSTD,
            t if *t == MediaType::DOCKER_LAYER_FOREIGN => MediaType::LAYER_NONDIST,
            t if *t == MediaType::DOCKER_LAYER_FOREIGN_GZIP => MediaType::LAYER_NONDIST_GZIP,
            other => other.clone(),
        }
    }

    /// Returns how a layer of this media type is compressed, or `None` if it is not that of a layer.
    pub(crate) fn layer_encoding(&self) -> Option<LayerEncoding> {
        match self.kind() {
            MediaKind::Layer(encoding) => Some(encoding),
            _ => None,
        }
    }

    /// Returns whether it is the media type of a non-distributable layer (image-spec,
    /// layer.md#non-distributable-layers).
    pub(crate) fn is_non_distributable(&self) -> bool {
        [
            MediaType::LAYER_NONDIST,
            MediaType::LAYER_NONDIST_GZIP,
            MediaType::LAYER_NONDIST_ZSTD,
            MediaType::DOCKER_LAYER_FOREIGN,
            MediaType::DOCKER_LAYER_FOREIGN_GZIP,
        ]
        .contains(self)
    }

    /// Returns the OCI media type of a layer in the given encoding.
    pub fn layer(encoding: LayerEncoding) -> Self {
        match encoding {
            LayerEncoding::Plain => MediaType::LAYER,
            LayerEncoding::Gzip => MediaType::LAYER_GZIP,
            LayerEncoding::Zstd => MediaType::LAYER_ZSTD,
        }
    }
}

impl FromStr for MediaType {
    type Err = Error;

    /// Checks the grammar: `type/subtype`, without parameters (RFC 6838, 4.2).
    fn from_str(text: &str) -> Result<Self, Error> {
        let is_name = |name: &str| {
            (1..=127).contains(&name.len())
                && name.starts_with(|c: char| c.is_ascii_alphanumeric())
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
        };
        match text.split_once('/') {
            Some((kind, subtype)) if is_name(kind) && is_name(subtype) => Ok(text.to_owned().into()),
            _ => Err(Error::invalid(
                format!("media type `{}`", text.escape_debug()),
                "`type/subtype` expected, such as `application/spdx+json`",
            )),
        }
    }
}

impl From<String> for MediaType {
    fn from(text: String) -> Self {
        MediaType(text.into())
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grammar() {
        for (text, accepted) in [
            ("application/vnd.oci.image.layer.v1.tar+gzip", true),
            ("a/b", true),
            ("application", false),
            ("application/", false),
            ("/json", false),
            ("a/b/c", false),
            ("text/plain; charset=utf-8", false),
            ("a/ b", false),
            ("-a/b", false),
        ] {
            assert_eq!(text.parse::<MediaType>().is_ok(), accepted, "{text}");
        }
        let long = |length| format!("a/{}", "b".repeat(length)).parse::<MediaType>();
        assert!(long(127).is_ok() && long(128).is_err());
    }

    #[test]
    fn every_known_type_is_told_apart() {
        for (text, kind) in KNOWN {
            assert_eq!(MediaType::from((*text).to_owned()).kind(), *kind, "{text}");
        }
        assert_eq!(MediaType::from("text/plain".to_owned()).kind(), MediaKind::Other);
        assert_eq!(MediaType::layer(LayerEncoding::Zstd), MediaType::LAYER_ZSTD);
    }

    #[test]
    fn each_type_of_docker_has_one_of_oci_that_means_the_same() {
        for (text, kind) in KNOWN {
            let media_type = MediaType::from((*text).to_owned());
            let in_oci = media_type.in_oci();
            assert_eq!((in_oci.kind(), in_oci.is_non_distributable()), (*kind, media_type.is_non_distributable()));
            assert!(in_oci.as_str().starts_with("application/vnd.oci."), "{in_oci}");
            assert_eq!(media_type == in_oci, !text.contains("docker"), "{text}");
        }
    }
}
