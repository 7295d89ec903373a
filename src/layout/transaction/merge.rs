//! Merges new entries into an index.

use crate::digest::Digest;
use crate::error::Result;
use crate::layout::is_referrers_tag;
use crate::layout::names::{complete_names, full_name, is_full, whole_name};
use crate::oci::annotations::CONTAINERD_NAME;
use crate::oci::{Descriptor, Document, Index, RefName};

/// Adds a descriptor to an index. A ref name belongs to one image, so it moves, keeping its position; and so does a
/// full name that Docker has saved in an annotation, however it is spelt. Docker saves images of several repositories
/// under their tag alone: entries whose full names differ are kept, under their full names.
///
/// Returns the entries whose place it took. `is_old` tells whether an entry that leads to the same image by another
/// spelling of a full name gives way too.
pub(crate) fn merge(index: &mut Index, new: &Descriptor, is_old: impl Fn(&Descriptor) -> bool) -> Vec<Descriptor> {
    let new = told_apart(index, new);
    let gives_way = |old: &Descriptor| {
        let is_same_name = match new.ref_name() {
            Some(name) => old.ref_name() == Some(name),
            None => *old == new,
        };
        is_same_name || (has_saved_name(old, &new) && (old.digest != new.digest || is_old(old)))
    };
    let mut replaced = Vec::new();
    index.manifests.retain_mut(|old| {
        if !gives_way(old) {
            return true;
        }
        let is_first = replaced.is_empty();
        replaced.push(std::mem::replace(old, new.clone()));
        is_first
    });
    if replaced.is_empty() {
        index.manifests.push(new);
    }
    replaced
}

/// What two entries must have in common for one to take the other's place or to change its name.
pub(super) fn marks(entry: &Descriptor) -> impl Iterator<Item = String> + '_ {
    let (own, saved) = (entry.ref_name(), full_name(entry));
    let as_written = own.into_iter().chain(saved).map(str::to_owned);
    // What has no name is compared with the same image.
    let digest = own.is_none().then(|| entry.digest.to_string());
    as_written.chain(complete_names(saved, own)).chain(digest)
}

/// Whether the full name in an entry's annotation is one of another's names.
fn has_saved_name(entry: &Descriptor, other: &Descriptor) -> bool {
    let Some(saved) = full_name(entry).map(whole_name) else { return false };
    complete_names(other.annotation(CONTAINERD_NAME), other.ref_name()).any(|name| name == saved)
}

/// Whether a ref name means an entry of a layout: it is its own, or in full the name that Docker has saved.
pub(crate) fn bears(entry: &Descriptor, name: &RefName) -> bool {
    let saved = || full_name(entry).map(whole_name);
    entry.ref_name() == Some(name.as_str())
        || (is_full(name.as_str()) && saved().is_some_and(|saved| saved == whole_name(name.as_str())))
}

/// Returns the descriptor with the name that the index gives it: an entry's own spelling of its full name, if there is
/// one. If other repositories have entries of the same tag, those entries get their full names first.
fn told_apart(index: &mut Index, new: &Descriptor) -> Descriptor {
    let Some(name) = new.ref_name() else { return new.clone() };
    let full = |descriptor: &Descriptor| full_name(descriptor)?.parse::<RefName>().ok();
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
    let Some(own) = own else { return new.clone() };
    let is_own = |spelt: &&str| is_full(spelt) && whole_name(spelt) == whole_name(own.as_str());
    let mut spellings = index.manifests.iter().filter_map(Descriptor::ref_name).filter(is_own);
    let is_there = |spelt: &str| index.manifests.iter().any(|old| old.ref_name() == Some(spelt));
    let spelling = match spellings.next() {
        Some(_) if is_full(name) && is_there(name) => None,
        Some(spelt) => spelt.parse().ok(),
        None => collide.then_some(own),
    };
    match spelling {
        Some(spelling) => new.clone().with_ref_name(&spelling),
        None => new.clone(),
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
        let mut list = |content: &str, name| merge(&mut index, &descriptor(content, name), |_| false);
        for (content, name) in [("1", Some("a")), ("1", Some("b")), ("2", None)] {
            assert_eq!(list(content, name), []);
        }
        assert_eq!(list("3", Some("a")), [descriptor("1", Some("a"))]);
        assert_eq!(list("2", None), [descriptor("2", None)]);
        assert_eq!(index.manifests, [descriptor("3", Some("a")), descriptor("1", Some("b")), descriptor("2", None)]);

        // Some writers leave two entries with the same name; one remains.
        index.manifests.push(descriptor("4", Some("b")));
        assert_eq!(merge(&mut index, &descriptor("5", Some("b")), |_| false).len(), 2);
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
                merge(&mut index, new, |_| false);
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
        merge(&mut index, &descriptor("5", Some("v1")), |_| false);
        assert_eq!(index.manifests.len(), 3);
    }

    /// What Docker saved as `app:latest` is found by every spelling of that name, and moves by every spelling too.
    #[test]
    fn a_name_of_docker_moves_however_it_is_spelt() {
        let saved = |content: &str, repository: &str| {
            let mut saved = descriptor(content, Some("latest"));
            let name = format!("docker.io/library/{repository}:latest");
            saved.annotations.as_mut().unwrap().insert(CONTAINERD_NAME.to_owned(), name);
            saved
        };
        for spelt in ["app:latest", "docker.io/library/app:latest", "docker.io/app"] {
            let new = descriptor("3", Some(spelt));
            let mut index = Index { manifests: vec![saved("1", "app"), saved("2", "db")], ..Index::default() };
            assert!(bears(&index.manifests[0], &spelt.parse().unwrap()), "{spelt}");
            assert_eq!(merge(&mut index, &new, |_| false), [saved("1", "app")], "{spelt}");
            assert_eq!(index.manifests, [new.clone(), saved("2", "db")]);
            // What comes from Docker again takes the spelling that is there, and not a second name.
            assert_eq!(merge(&mut index, &saved("4", "app"), |_| false), [new]);
            assert_eq!(index.manifests[0].ref_name(), Some(spelt));
            assert_eq!(index.manifests.len(), 2);
        }
        // Another name of the same image takes nothing from it, but the same image listed anew is listed once.
        let mut index = Index { manifests: vec![saved("1", "app")], ..Index::default() };
        let named = descriptor("1", Some("app:latest"));
        assert_eq!(merge(&mut index, &named, |_| false), []);
        assert_eq!(merge(&mut index, &named, |_| true).len(), 2);
        // A tag is no name of a repository.
        assert_eq!(merge(&mut index, &descriptor("5", Some("app")), |_| true), []);
        assert_eq!(index.manifests.len(), 2);
    }
}
