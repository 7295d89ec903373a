//! Merges new entries into an index.

use crate::digest::Digest;
use crate::error::Result;
use crate::layout::is_referrers_tag;
use crate::oci::{Descriptor, Document, Index};

/// Adds descriptors to an index. A ref name belongs to one image, so it moves, keeping its position.
pub(crate) fn merge(index: &mut Index, descriptors: &[Descriptor]) {
    for new in descriptors {
        let position = match new.ref_name() {
            Some(name) => index.manifests.iter().position(|old| old.ref_name() == Some(name)),
            None => index.manifests.iter().position(|old| old == new),
        };
        match position {
            Some(position) => {
                index.manifests[position] = new.clone();
                let mut at = 0;
                index.manifests.retain(|old| {
                    at += 1;
                    at <= position + 1 || new.ref_name().is_none() || old.ref_name() != new.ref_name()
                });
            }
            None => index.manifests.push(new.clone()),
        }
    }
}

/// Prepares an entry for an index. If the index has another list under the same referrers tag, the two are merged
/// (distribution-spec, spec.md#pushing-manifests-with-subject), and a list that is new in that way is returned too. A
/// list that cannot be read is not merged.
pub(super) fn join_list(
    read: impl Fn(&Descriptor) -> Result<Index>,
    index: &Index,
    mut entry: Descriptor,
) -> (Descriptor, Option<Document<Index>>) {
    let is_old = |old: &&Descriptor| old.ref_name() == entry.ref_name() && old.digest != entry.digest;
    let old = index.manifests.iter().find(is_old).filter(|_| is_referrers_tag(&entry));
    let Some(old) = old else { return (entry, None) };
    let (Ok(mut list), Ok(new)) = (read(old), read(&entry)) else { return (entry, None) };
    let lacks = |list: &Index, digest: &Digest| !list.manifests.iter().any(|listed| listed.digest == *digest);
    if !list.manifests.iter().any(|listed| lacks(&new, &listed.digest)) {
        return (entry, None);
    }
    let more: Vec<Descriptor> = new.manifests.into_iter().filter(|listed| lacks(&list, &listed.digest)).collect();
    if more.is_empty() {
        return (old.clone(), None);
    }
    list.manifests.extend(more);
    let list = Document::seal(list);
    entry.redirect(&list.descriptor(entry.media_type.clone()));
    (entry, Some(list))
}

#[cfg(test)]
mod tests {
    use crate::media_type::MediaType;

    use super::*;

    fn descriptor(content: &str, name: Option<&str>) -> Descriptor {
        let descriptor = Descriptor::new(MediaType::MANIFEST, Digest::of(content.as_bytes()), 1);
        match name {
            Some(name) => descriptor.with_ref_name(&name.parse().unwrap()),
            None => descriptor,
        }
    }

    #[test]
    fn a_ref_name_moves_and_everything_else_stays() {
        let mut index = Index { manifests: vec![], ..Index::default() };
        merge(&mut index, &[descriptor("1", Some("a")), descriptor("1", Some("b")), descriptor("2", None)]);
        merge(&mut index, &[descriptor("3", Some("a")), descriptor("2", None)]);
        assert_eq!(index.manifests, [descriptor("3", Some("a")), descriptor("1", Some("b")), descriptor("2", None)]);

        // Some writers leave two entries with the same name; one remains.
        index.manifests.push(descriptor("4", Some("b")));
        merge(&mut index, &[descriptor("5", Some("b"))]);
        assert_eq!(index.manifests, [descriptor("3", Some("a")), descriptor("5", Some("b")), descriptor("2", None)]);
    }
}
