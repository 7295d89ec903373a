//! Merges new entries into an index.

use crate::digest::Digest;
use crate::error::Result;
use crate::layout::is_referrers_tag;
use crate::oci::annotations::CONTAINERD_NAME;
use crate::oci::{Descriptor, Document, Index, RefName};

/// Adds descriptors to an index. A ref name belongs to one image, so it moves, keeping its position. Docker saves images of
/// several repositories under their tag alone: entries whose full names differ are kept, under their full names.
pub(crate) fn merge(index: &mut Index, descriptors: &[Descriptor]) {
    for new in descriptors {
        let new = &told_apart(index, new);
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

/// Returns the descriptor with the name that the index gives it. If other repositories have entries of the same tag, those
/// entries get their full names first.
fn told_apart(index: &mut Index, new: &Descriptor) -> Descriptor {
    let Some(name) = new.ref_name() else { return new.clone() };
    let full = |descriptor: &Descriptor| descriptor.annotation(CONTAINERD_NAME)?.parse::<RefName>().ok();
    let own = full(new);
    let of_name = index.manifests.iter().filter(|old| old.ref_name() == Some(name));
    let mut others: Vec<RefName> = of_name.filter_map(full).filter(|other| Some(other) != own.as_ref()).collect();
    others.sort();
    others.dedup();
    let collide = others.len() > usize::from(own.is_none());
    for old in index.manifests.iter_mut().filter(|old| collide && old.ref_name() == Some(name)) {
        if let Some(other) = full(old).filter(|other| Some(other) != own.as_ref()) {
            *old = old.clone().with_ref_name(&other);
        }
    }
    match own {
        Some(own) if collide || index.manifests.iter().any(|old| old.ref_name() == Some(own.as_str())) => {
            new.clone().with_ref_name(&own)
        }
        _ => new.clone(),
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

    #[test]
    fn one_tag_of_two_repositories_is_two_names() {
        let saved = |content: &str, repository: &str| {
            let mut saved = descriptor(content, Some("v1"));
            let name = format!("docker.io/library/{repository}:v1");
            saved.annotations.as_mut().unwrap().insert(CONTAINERD_NAME.to_owned(), name);
            saved
        };
        let names = |new: &[Descriptor]| {
            let mut index = Index { manifests: vec![], ..Index::default() };
            for new in new {
                merge(&mut index, std::slice::from_ref(new));
            }
            let shown = |listed: &Descriptor| format!("{} {}", listed.digest.short(), listed.ref_name().unwrap());
            index.manifests.iter().map(shown).collect::<Vec<_>>()
        };
        let short = |content: &str| Digest::of(content.as_bytes()).short().to_owned();
        let full = |content: &str, repository: &str| format!("{} docker.io/library/{repository}:v1", short(content));
        let (app, db) = (saved("1", "app"), saved("2", "db"));
        assert_eq!(names(&[app.clone(), saved("3", "app")]), [format!("{} v1", short("3"))]);
        assert_eq!(names(&[app.clone(), descriptor("3", Some("v1"))]), [format!("{} v1", short("3"))]);
        let both = [full("1", "app"), full("2", "db")];
        assert_eq!(names(&[app.clone(), db.clone()]), both);
        assert_eq!(names(&[app.clone(), db.clone(), db.clone(), app.clone()]), both);
        assert_eq!(names(&[app.clone(), db.clone(), saved("3", "db")]), [full("1", "app"), full("3", "db")]);
        let last = descriptor("4", Some("v1"));
        assert_eq!(names(&[app, db, last]), [both[0].clone(), both[1].clone(), format!("{} v1", short("4"))]);
        // Both by the tag alone, as Docker saves them, and then something else of this name.
        let mut index = Index { manifests: vec![saved("1", "app"), saved("2", "db")], ..Index::default() };
        merge(&mut index, &[descriptor("5", Some("v1"))]);
        assert_eq!(index.manifests.len(), 3);
    }
}
