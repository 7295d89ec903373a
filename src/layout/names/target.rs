//! The names of an image in each of its targets.

use std::str::FromStr;

use crate::error::{Error, ErrorKind, Result};
use crate::hint::{Hint, OptionName};
use crate::layout::names::mistaken::refuse_location_as_name;
use crate::layout::{DockerName, DockerTag, ImageName, Location, Transport};
use crate::oci::annotations::{CONTAINERD_NAME, REF_NAME};
use crate::oci::{Annotations, Descriptor, Index, RefName};

/// A name in addition to the one in the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdditionalName {
    /// `:TAG`: another tag for the first name.
    Tag(DockerTag),
    /// A separate name. In a docker archive it gets the tag of the first name if it has none.
    Name(ImageName),
}

impl FromStr for AdditionalName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.strip_prefix(':') {
            Some(tag) => tag.parse().map(AdditionalName::Tag),
            None => text.parse().map(AdditionalName::Name),
        }
    }
}

/// The names of an image in one target, without duplicates.
#[derive(Clone, Debug)]
pub(crate) enum Names {
    /// At least one ref name. In an archive, tags may belong to a repository.
    Layout(Vec<RefName>, Option<DockerName>),
    /// Docker names; may be empty.
    Docker(Vec<DockerName>),
}

impl Names {
    /// The name in the target, or else `tags`, plus the additional names. In an archive, `repository` has the tags that
    /// come without one. The error says which name is not valid in the target.
    pub(crate) fn of(
        target: &Location,
        repository: Option<&DockerName>,
        tags: &[ImageName],
        additional: &[AdditionalName],
    ) -> Result<Self> {
        target.refuse_digest()?;
        let added = additional.iter().filter_map(|name| match name {
            AdditionalName::Name(name) => Some(name),
            AdditionalName::Tag(_) => None,
        });
        tags.iter().chain(added).try_for_each(|name| refuse_location_as_name(name.as_str()))?;
        let ref_names = || ref_names(target, tags, additional);
        match target.transport {
            Transport::DockerArchive => docker_names(target, repository, tags, additional).map(Names::Docker),
            Transport::Oci => Ok(Names::Layout(ref_names()?, None)),
            Transport::OciArchive | Transport::Archive => Ok(Names::Layout(ref_names()?, repository.cloned())),
        }
    }

    /// A copy of the descriptor for each name; if there is none, the descriptor unchanged.
    pub(crate) fn descriptors(&self, descriptor: &Descriptor) -> Vec<Descriptor> {
        let called = |name: &DockerName| {
            let mut descriptor = descriptor.clone();
            let annotations = descriptor.annotations.get_or_insert_with(Annotations::new);
            annotations.insert(CONTAINERD_NAME.to_owned(), name.whole());
            // The name as given; the archive writer derives the ref name from it.
            annotations.insert(REF_NAME.to_owned(), name.to_string());
            descriptor
        };
        let tagged = |name: &RefName, repository: &Option<DockerName>| {
            let mut descriptor = descriptor.clone().with_ref_name(name);
            if let (Some(repository), Ok(tag)) = (repository, name.as_str().parse::<DockerTag>()) {
                let annotations = descriptor.annotations.get_or_insert_with(Annotations::new);
                annotations.insert(CONTAINERD_NAME.to_owned(), repository.with_tag(tag).whole());
            }
            descriptor
        };
        match self {
            Names::Layout(names, repository) => names.iter().map(|name| tagged(name, repository)).collect(),
            Names::Docker(names) if names.is_empty() => vec![descriptor.clone()],
            Names::Docker(names) => names.iter().map(called).collect(),
        }
    }

    /// The names as users write them.
    pub(crate) fn texts(&self) -> Vec<String> {
        match self {
            Names::Layout(names, _) => names.iter().map(RefName::to_string).collect(),
            Names::Docker(names) => names.iter().map(DockerName::to_string).collect(),
        }
    }
}

/// Gives entries of an archive whose ref name is a full name the annotation that says so: containerd and podman take
/// the name in it, and a ref name for a tag.
pub(in crate::layout) fn with_full_names(mut index: Index) -> Index {
    for descriptor in &mut index.manifests {
        if let Some(name) = whole_ref_name(descriptor) {
            let annotations = descriptor.annotations.get_or_insert_with(Annotations::new);
            annotations.entry(CONTAINERD_NAME.to_owned()).or_insert(name);
        }
    }
    index
}

/// Takes that annotation away again, for a directory.
pub(crate) fn without_full_name(mut descriptor: Descriptor) -> Descriptor {
    let name = whole_ref_name(&descriptor);
    if let (Some(name), Some(annotations)) = (name, &mut descriptor.annotations) {
        annotations.retain(|key, value| key != CONTAINERD_NAME || *value != name);
    }
    descriptor
}

/// The complete form of a ref name that is a full name.
fn whole_ref_name(descriptor: &Descriptor) -> Option<String> {
    let name: ImageName = descriptor.ref_name()?.parse().ok().filter(|name: &ImageName| !name.is_word())?;
    Some(name.docker_name().ok()?.whole())
}

fn ref_names(target: &Location, tags: &[ImageName], additional: &[AdditionalName]) -> Result<Vec<RefName>> {
    let refused = |error: Error| error.about(format!("target `{target}`"));
    let given: Vec<&ImageName> = target.name.as_ref().map_or_else(|| tags.iter().collect(), |name| vec![name]);
    let mut names: Vec<RefName> = given.into_iter().map(ImageName::ref_name).collect::<Result<_>>().map_err(refused)?;
    if names.is_empty() {
        names.push(RefName::latest());
    }
    for name in additional {
        names.push(match name {
            AdditionalName::Tag(tag) => with_tag(&names[0], tag).map_err(refused)?,
            AdditionalName::Name(name) => name.ref_name().map_err(refused)?,
        });
    }
    Ok(each_once(names, Clone::clone))
}

/// Replaces the tag: `app:v2` for `app:v1`, and `v2` for `v1`, since a single word is a tag.
fn with_tag(name: &RefName, tag: &DockerTag) -> Result<RefName> {
    let text = name.as_str();
    let last = text.rfind('/').map_or(0, |slash| slash + 1);
    let repository = match text[last..].find(':') {
        Some(colon) => Some(&text[..last + colon]),
        None => text.contains('/').then_some(text),
    };
    repository.map_or_else(|| tag.to_string(), |repository| format!("{repository}:{tag}")).parse()
}

fn docker_names(
    target: &Location,
    repository: Option<&DockerName>,
    tags: &[ImageName],
    additional: &[AdditionalName],
) -> Result<Vec<DockerName>> {
    let refused = |error: Error| error.about(format!("target `{target}`"));
    let parse = |name: &ImageName| name.docker_name().map_err(refused);
    let mut names = Vec::new();
    match target.name.as_ref().map(parse).transpose()? {
        Some(name) if name.tag().is_none() => {
            // The target names the repository; words in `tags` are tags of it.
            for word in tags.iter().filter(|tag| tag.is_word()) {
                names.push(name.with_tag(word.as_str().parse().map_err(refused)?));
            }
            if names.is_empty() {
                names.push(name);
            }
        }
        Some(name) => names.push(name),
        None => {
            for tag in tags {
                names.push(match repository {
                    Some(repository) if tag.is_word() => repository.with_tag(tag.as_str().parse().map_err(refused)?),
                    None if tag.is_word() => return Err(without_name(target, tag.as_str())),
                    _ => parse(tag)?,
                });
            }
            if names.is_empty() {
                names.extend(repository.cloned());
            }
        }
    }
    for name in additional {
        let first = names.first();
        let name = match name {
            AdditionalName::Tag(tag) => match first {
                Some(first) => first.with_tag(tag.clone()),
                None => return Err(without_name(target, tag.as_str())),
            },
            AdditionalName::Name(name) => {
                let name = parse(name)?;
                match first.and_then(DockerName::tag) {
                    Some(tag) if name.tag().is_none() => name.with_tag(tag.clone()),
                    _ => name,
                }
            }
        };
        names.push(name);
    }
    Ok(each_once(names, DockerName::whole))
}

fn without_name(target: &Location, tag: &str) -> Error {
    Error::refused_with_hint(
        format!("target `{target}`: the tag `{tag}` has no name, which a docker archive needs"),
        Hint::from(format!("write `{target}:NAME:{tag}`, or give the name with ")).option(OptionName::Repository),
    )
    .of_kind(ErrorKind::Invalid)
}

fn each_once<T, K: Ord>(mut names: Vec<T>, key: impl Fn(&T) -> K) -> Vec<T> {
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|name| seen.insert(key(name)));
    names
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;
    use crate::media_type::MediaType;
    use crate::oci::Document;

    /// Returns the names, or the error without its `target …:` part.
    fn names(target: &str, tags: &[&str], additional: &[&str]) -> Result<Vec<String>, String> {
        names_in(target, None, tags, additional).map(|names| names.texts())
    }

    fn names_in(target: &str, repository: Option<&str>, tags: &[&str], additional: &[&str]) -> Result<Names, String> {
        let repository: Option<DockerName> = repository.map(|name| name.parse().unwrap());
        let target = Location::parse(OsStr::new(target)).unwrap();
        let tags: Vec<ImageName> = tags.iter().map(|tag| tag.parse().unwrap()).collect();
        let additional: Vec<AdditionalName> = additional.iter().map(|name| name.parse().unwrap()).collect();
        Names::of(&target, repository.as_ref(), &tags, &additional).map_err(|error| {
            let error = error.to_string();
            error.strip_prefix(&format!("target `{target}`: ")).unwrap_or_else(|| panic!("{error}")).to_owned()
        })
    }

    #[test]
    fn ref_names_of_layouts() {
        for (target, tags, additional, expected) in [
            ("oci:o", &[][..], &[][..], &["latest"][..]),
            ("oci:o", &["a", "b:1"], &[], &["a", "b:1"]),
            ("oci:o:v1", &["a"], &["v2", ":v3", "v1"], &["v1", "v2", "v3"]),
            ("oci:o:app:v1", &[], &[":v2", "x"], &["app:v1", "app:v2", "x"]),
            ("oci:o:reg:5/app", &[], &[":v2"], &["reg:5/app", "reg:5/app:v2"]),
            ("o.tar", &["reg:5/app:v1"], &[":v2"], &["reg:5/app:v1", "reg:5/app:v2"]),
        ] {
            assert_eq!(names(target, tags, additional).unwrap(), expected, "{target} {tags:?} {additional:?}");
        }
        for (target, tags, additional) in
            [("oci:o:my__app", &[][..], &[][..]), ("oci:o", &["my__app:v1"], &[]), ("oci:o:v1", &[], &[":v__2"])]
        {
            let error = names(target, tags, additional).unwrap_err();
            assert!(error.starts_with("ref name `"), "{error}");
        }
    }

    #[test]
    fn names_of_docker_archives() {
        let archive = |name: &str| format!("docker-archive:o.tar{name}");
        for (name, tags, additional, expected) in [
            ("", &[][..], &[][..], &[][..]),
            ("", &["app:v1", "reg:5/app"], &[], &["app:v1", "reg:5/app:latest"]),
            ("", &[], &["x:1"], &["x:1"]),
            (":app", &[], &[], &["app:latest"]),
            (":app", &["v1", "other:v3", "v2"], &[":v4"], &["app:v1", "app:v2", "app:v4"]),
            (
                ":docker.io/library/app:v1",
                &["v2"],
                &[":v3", "app:v1", "app:v3", "app:v4"],
                &["docker.io/library/app:v1", "docker.io/library/app:v3", "app:v4"],
            ),
            (
                ":reg:5/app:v1",
                &[],
                &[":v2", "app", "my__app:x"],
                &["reg:5/app:v1", "reg:5/app:v2", "app:v1", "my__app:x"],
            ),
            (":app", &[], &["b"], &["app:latest", "b:latest"]),
        ] {
            assert_eq!(names(&archive(name), tags, additional).unwrap(), expected, "{name} {tags:?} {additional:?}");
        }
        for (name, tags, additional, expected) in [
            ("", &["v1"][..], &[][..], "the tag `v1` has no name"),
            ("", &["app:v1", "v1"], &[], "the tag `v1` has no name"),
            ("", &[], &[":v1"], "the tag `v1` has no name"),
            (":App:v1", &[], &[], "name `App:v1`"),
            ("", &["App:v1"], &[], "name `App:v1`"),
            (":app:v1", &[], &["App"], "name `App`"),
            (":app", &["v+1"], &[], "tag `v+1`"),
        ] {
            let error = names(&archive(name), tags, additional).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn a_repository_has_the_tags_of_archives() {
        let docker = |name: &str, tags: &[&str], additional: &[&str]| {
            names_in(&format!("docker-archive:o.tar{name}"), Some("reg:5/team/app"), tags, additional).unwrap().texts()
        };
        assert_eq!(docker("", &[], &[]), ["reg:5/team/app:latest"]);
        assert_eq!(docker("", &["v1", "other:v2"], &[":v3"]), ["reg:5/team/app:v1", "other:v2", "reg:5/team/app:v3"]);
        assert_eq!(docker(":own", &["v1"], &[]), ["own:v1"]);

        // Ref name and containerd's name.
        let layout = |target: &str, repository: Option<&str>, tags: &[&str], additional: &[&str]| {
            let descriptor = Document::seal(Index::default()).descriptor(MediaType::INDEX);
            let manifests = names_in(target, repository, tags, additional).unwrap().descriptors(&descriptor);
            let index = with_full_names(Index { manifests, ..Index::default() });
            let name = |descriptor: &Descriptor, key| descriptor.annotation(key).unwrap_or("-").to_owned();
            let named = index.manifests.iter().map(|one| name(one, REF_NAME) + " " + &name(one, CONTAINERD_NAME));
            named.collect::<Vec<_>>()
        };
        let archive =
            |repository, tags: &[&str], additional: &[&str]| layout("oci-archive:o.tar", repository, tags, additional);
        assert_eq!(archive(Some("app"), &[], &[]), ["latest docker.io/library/app:latest"]);
        assert_eq!(
            archive(Some("reg:5/app"), &["v1", "v+1", "other:v2"], &[":v3"]),
            ["v1 reg:5/app:v1", "v+1 -", "other:v2 docker.io/library/other:v2", "v3 reg:5/app:v3"]
        );
        assert_eq!(archive(None, &["v1", "reg:5/app"], &[]), ["v1 -", "reg:5/app reg:5/app:latest"]);
        assert_eq!(archive(None, &["App:v1"], &[]), ["App:v1 -"], "no name that Docker takes");
        assert_eq!(layout("o.tar", Some("app"), &["v1"], &[]), ["v1 docker.io/library/app:v1"]);
    }

    #[test]
    fn a_layout_has_ref_names_alone() {
        let descriptor = Document::seal(Index::default()).descriptor(MediaType::INDEX);
        let named = names_in("oci:o", Some("app"), &["v1", "app:v1"], &[]).unwrap().descriptors(&descriptor);
        assert!(named.iter().all(|one| one.annotation(CONTAINERD_NAME).is_none()));
    }

    #[test]
    fn what_is_no_additional_name() {
        for text in ["", ":", ":-v", ":a/b", ":a:b", "a b", "App__x"] {
            assert!(text.parse::<AdditionalName>().is_err(), "{text}");
        }
    }
}
