//! What is attached to an image: manifests with a `subject` (image-spec, manifest.md). They are found in `index.json`
//! and, where only those who know look, below the referrers tag of the subject (distribution-spec,
//! spec.md#referrers-tag-schema).

use crate::media_type::MediaKind;
use crate::oci::Descriptor;

/// The algorithms whose digests a referrers tag can be told from.
const ALGORITHMS: [&str; 2] = ["sha256", "sha512"];
/// How much of a digest the tag holds.
const ENCODED: usize = 64;

/// Whether an entry of `index.json` is a list of what is attached to something: an index by the name `sha256-…`.
pub(super) fn is_referrers_tag(entry: &Descriptor) -> bool {
    let name = entry.ref_name().and_then(|name| name.split_once('-'));
    let is_tag = |(algorithm, encoded): (&str, &str)| {
        ALGORITHMS.contains(&algorithm) && encoded.len() == ENCODED && encoded.bytes().all(|b| b.is_ascii_hexdigit())
    };
    entry.media_type.kind() == MediaKind::Index && name.is_some_and(is_tag)
}
