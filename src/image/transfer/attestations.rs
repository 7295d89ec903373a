//! Warnings about attestations and signatures whose images are copied or changed.

use std::collections::{BTreeMap, BTreeSet};

use crate::digest::Digest;
use crate::layout::{about, about_by_tag, is_referrers_tag, kind_of_referrer};
use crate::oci::annotations::ATTESTED;
use crate::oci::{Annotations, Descriptor};

/// Warnings about attestations and signatures that are left behind by their images.
pub(crate) fn left_attestations<'d>(
    attestations: &[Descriptor],
    images: impl IntoIterator<Item = &'d Digest>,
    is_taken: impl Fn(&Digest) -> bool,
) -> Vec<String> {
    let mut left = BTreeMap::<Digest, Vec<&Descriptor>>::new();
    for attestation in attestations.iter().filter(|attestation| !is_taken(&attestation.digest)) {
        if let Some(image) = about(attestation) {
            left.entry(image).or_default().push(attestation);
        }
    }
    let warning = |image: &Digest| {
        let left = left.get(image)?;
        let first = left.first()?;
        Some(match left.len() {
            1 => left_of(kind_of_referrer(first), first, image),
            count => {
                let (what, first) = (kind_of_referrer(first), first.digest.short());
                format!("{what} {first} and {} more are about {image}, and do not go along", count - 1)
            }
        })
    };
    images.into_iter().filter_map(warning).collect()
}

/// The warning about one of them.
pub(super) fn left_of(what: &str, left: &Descriptor, image: &Digest) -> String {
    format!("{what} {} is about {image}, and does not go along", left.digest.short())
}

/// A warning about entries beside the images that are taken, which are about none of these. `None` if there are none.
pub(crate) fn left_beside(left: &[&Descriptor]) -> Option<String> {
    // Each is also in the list under the referrers tag.
    let lists_alone = left.iter().all(|entry| is_referrers_tag(entry));
    let left: Vec<_> = left.iter().filter(|entry| lists_alone || !is_referrers_tag(entry)).collect();
    let count = left.iter().map(|entry| &entry.digest).collect::<BTreeSet<_>>().len();
    let first = left.first()?;
    let what = match first.ref_name().and_then(about_by_tag) {
        Some(_) => kind_of_referrer(first),
        None if lists_alone => "the list",
        None => "artifact",
    };
    let first = first.digest.short();
    Some(match count {
        1 => format!("{what} {first} is about no image that is taken, and does not go along"),
        _ => format!("{what} {first} and {} more are about no image that is taken, and do not go along", count - 1),
    })
}

/// Makes an attestation of an image that is replaced one of the new image, whose layers are the same. Returns a warning
/// about it, or `None` if `new` knows no other image in the place of its own.
pub(crate) fn take_along<'d>(
    attestation: &mut Descriptor,
    new: impl FnOnce(&Digest) -> Option<&'d Descriptor>,
) -> Option<String> {
    let old = attestation.attested()?;
    let new = new(&old).filter(|new| new.digest != old)?;
    attestation.annotations.get_or_insert_with(Annotations::new).insert(ATTESTED.to_owned(), new.digest.to_string());
    let digest = attestation.digest.short();
    Some(format!("attestation {digest} was made of {old}: it stays with the image, whose layers are the same"))
}
