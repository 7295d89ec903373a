//! Image names as Docker writes them, short or complete: `app`, `team/app:v2`, `docker.io/library/app:latest`.

use std::fmt;
use std::str::FromStr;

use crate::error::{as_typed, Error, Result};
use crate::oci::annotations::CONTAINERD_NAME;
use crate::oci::Descriptor;

/// The default registry.
const DOCKER_HUB: &str = "docker.io";
/// The default tag.
const LATEST: &str = "latest";
/// The longest repository that every version of Docker accepts, registry included.
const MAX_LENGTH: usize = 255;

/// The complete form of a name: registry, repository and tag. Docker supplies `docker.io`, `library/` and `:latest`
/// where they are left out, so two names are the same if their complete forms are.
pub(in crate::layout) fn whole_name(name: &str) -> String {
    let Split { registry, path, tag } = split(name);
    let library = library(registry, path);
    match tag {
        Some(tag) => format!("{registry}/{library}{path}:{tag}"),
        None if path.contains('@') => format!("{registry}/{library}{path}"),
        None => format!("{registry}/{library}{path}:{LATEST}"),
    }
}

/// The full name that containerd's annotation gives an entry. Tools that rename an image by its ref name leave the
/// annotation as it was: where the two disagree, it is the name of another image, if of any.
fn saved_name<'a>(of_containerd: Option<&'a str>, ref_name: Option<&str>) -> Option<&'a str> {
    of_containerd.filter(|full| {
        ref_name.map_or(true, |own| {
            let whole = whole_name(full);
            whole.ends_with(&format!(":{own}")) || whole == whole_name(own)
        })
    })
}

/// Like [`complete_names`], but only the name in the annotation, as it is written.
pub(crate) fn full_name(entry: &Descriptor) -> Option<&str> {
    saved_name(entry.annotation(CONTAINERD_NAME), entry.ref_name())
}

/// The more specific one of an entry's names: that of containerd includes the repository, and a ref name may too.
pub(crate) fn most_specific<'a>(of_containerd: Option<&'a str>, ref_name: Option<&'a str>) -> Option<&'a str> {
    match ref_name {
        Some(full) if is_full(full) => ref_name,
        _ => saved_name(of_containerd, ref_name).or(ref_name),
    }
}

/// The complete names by which Docker knows an entry: containerd's, and a ref name that is more than a tag.
pub(crate) fn complete_names<'a>(
    of_containerd: Option<&'a str>,
    ref_name: Option<&'a str>,
) -> impl Iterator<Item = String> + 'a {
    saved_name(of_containerd, ref_name).into_iter().chain(ref_name.filter(|name| is_full(name))).map(whole_name)
}

/// Whether a ref name is more than a tag.
pub(in crate::layout) fn is_full(ref_name: &str) -> bool {
    ref_name.contains([':', '/'])
}

/// The parts of a name, valid or not.
struct Split<'a> {
    registry: &'a str,
    path: &'a str,
    tag: Option<&'a str>,
}

fn split(name: &str) -> Split<'_> {
    let (registry, rest) = match name.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (first, rest),
        _ => (DOCKER_HUB, name),
    };
    let registry = if registry == "index.docker.io" { DOCKER_HUB } else { registry };
    // A colon before the last slash belongs to the port of a registry, and one after `@` to a digest.
    let last = rest.rfind('/').map_or(0, |slash| slash + 1);
    match rest[last..].split_once(':') {
        Some((name, tag)) if !name.contains('@') => {
            Split { registry, path: &rest[..last + name.len()], tag: Some(tag) }
        }
        _ => Split { registry, path: rest, tag: None },
    }
}

fn library(registry: &str, path: &str) -> &'static str {
    if registry == DOCKER_HUB && !path.contains('/') {
        "library/"
    } else {
        ""
    }
}

/// A name that Docker accepts, `[REGISTRY/]PATH[:TAG]`, valid by construction (distribution, `reference` grammar).
///
/// Two names are the same if their complete forms are.
#[derive(Clone, Debug)]
pub struct DockerName {
    /// Everything before the tag, as given.
    repository: String,
    registry: String,
    /// Includes the implied `library/`.
    path: String,
    tag: Option<DockerTag>,
}

impl DockerName {
    /// What is accepted, for messages.
    pub(crate) const ACCEPTED: &'static str =
        "[REGISTRY/]NAME[:TAG] as Docker takes it expected, the name in lower-case letters \
                                        and digits, joined by `/`, by `.` `_` or `__`, or by `-`";

    /// Returns the tag, or `None` if none was given.
    pub fn tag(&self) -> Option<&DockerTag> {
        self.tag.as_ref()
    }

    /// The same name with another tag.
    #[must_use]
    pub(crate) fn with_tag(&self, tag: DockerTag) -> Self {
        DockerName { tag: Some(tag), ..self.clone() }
    }

    /// The complete form: `docker.io/library/app:latest`. containerd and podman use it.
    pub fn whole(&self) -> String {
        format!("{}/{}:{}", self.registry, self.path, self.tag_text())
    }

    /// The short form, as Docker shows it: `app:latest`.
    #[must_use]
    pub fn short(&self) -> Self {
        let path = match self.path.strip_prefix("library/") {
            Some(rest) if !rest.contains('/') => rest,
            _ => &self.path,
        };
        // Without its registry, `docker.io/localhost/app` would refer to another registry.
        let without = split(path);
        let is_clear = self.registry == DOCKER_HUB && without.registry == DOCKER_HUB && without.path == path;
        let repository = if is_clear { path.to_owned() } else { format!("{}/{}", self.registry, self.path) };
        DockerName { repository, ..self.clone() }
    }

    /// The name without the tag, as given.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The tag, or `latest` if none was given.
    pub(crate) fn tag_text(&self) -> &str {
        self.tag.as_ref().map_or(LATEST, DockerTag::as_str)
    }
}

/// Whether both mean the same, however they are written.
impl PartialEq for DockerName {
    fn eq(&self, other: &Self) -> bool {
        self.whole() == other.whole()
    }
}

impl Eq for DockerName {}

impl FromStr for DockerName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refused = || Error::invalid(format!("name `{}`", as_typed(text)), DockerName::ACCEPTED);
        let Split { registry, path, tag } = split(text);
        let tag = tag.map(str::parse).transpose().map_err(|_| refused())?;
        let path = format!("{}{path}", library(registry, path));
        // Docker takes 64 digits for an image ID.
        let is_id = text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let is_short = registry.len() + 1 + path.len() <= MAX_LENGTH;
        if is_registry(registry) && path.split('/').all(is_component) && is_short && !is_id {
            let repository = tag.as_ref().map_or(text, |tag: &DockerTag| &text[..text.len() - tag.0.len() - 1]);
            Ok(DockerName { repository: repository.to_owned(), registry: registry.to_owned(), path, tag })
        } else {
            Err(refused())
        }
    }
}

/// The name as given, with the default tag if it has none.
impl fmt::Display for DockerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.repository, self.tag_text())
    }
}

/// A tag that Docker accepts: up to 128 letters, digits, `_`, `.` and `-`, of which the last two cannot come first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DockerTag(String);

impl DockerTag {
    /// The text of the tag.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DockerTag {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let is_tag = text.len() <= 128
            && text.bytes().all(|byte| is_word(byte) || matches!(byte, b'.' | b'-'))
            && text.bytes().next().is_some_and(is_word);
        if is_tag {
            Ok(DockerTag(text.to_owned()))
        } else {
            let reason = "up to 128 letters, digits, `_`, `.` and `-` expected, the last two not in front";
            Err(Error::invalid(format!("tag `{}`", as_typed(text)), reason))
        }
    }
}

impl fmt::Display for DockerTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a text is a host name or address, with or without a port.
fn is_registry(text: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_label = |text: &str| {
        let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        !text.is_empty() && !text.starts_with('-') && !text.ends_with('-') && text.bytes().all(is_inner)
    };
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let is_host = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => !address.is_empty() && address.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':'),
        None => host.split('.').all(is_label),
    };
    is_host && port.map_or(true, is_number)
}

/// Whether a text is made of lower-case letters and digits, joined by `.`, `_`, `__` or any number of `-`.
fn is_component(text: &str) -> bool {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_joint = |joint: &str| matches!(joint, "." | "_" | "__") || joint.bytes().all(|byte| byte == b'-');
    text.starts_with(is_word) && text.ends_with(is_word) && text.split(is_word).all(is_joint)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_left_out_is_put_in() {
        for (name, whole, short) in [
            ("app", "docker.io/library/app:latest", "app:latest"),
            ("app:v2", "docker.io/library/app:v2", "app:v2"),
            ("team/app", "docker.io/team/app:latest", "team/app:latest"),
            ("docker.io/app:v2", "docker.io/library/app:v2", "app:v2"),
            ("docker.io/library/app:v2", "docker.io/library/app:v2", "app:v2"),
            ("docker.io/library/a/b:v2", "docker.io/library/a/b:v2", "library/a/b:v2"),
            ("index.docker.io/team/app", "docker.io/team/app:latest", "team/app:latest"),
            ("localhost/app", "localhost/app:latest", "localhost/app:latest"),
            ("docker.io/localhost/app", "docker.io/localhost/app:latest", "docker.io/localhost/app:latest"),
            ("docker.io/a.b/app:1", "docker.io/a.b/app:1", "docker.io/a.b/app:1"),
            ("registry:5000/app", "registry:5000/app:latest", "registry:5000/app:latest"),
            ("registry:5000/team/app:v2", "registry:5000/team/app:v2", "registry:5000/team/app:v2"),
            ("registry:5000", "docker.io/library/registry:5000", "registry:5000"),
            ("my__app---x:_V1__.-", "docker.io/library/my__app---x:_V1__.-", "my__app---x:_V1__.-"),
            ("[2001:db8::1]:5000/app:v1", "[2001:db8::1]:5000/app:v1", "[2001:db8::1]:5000/app:v1"),
        ] {
            assert_eq!(whole_name(name), whole, "{name}");
            assert_eq!(whole_name(whole), whole);
            let parsed: DockerName = name.parse().unwrap();
            assert_eq!((parsed.whole().as_str(), parsed.short().to_string().as_str()), (whole, short));
            assert!(format!("{name}:latest").starts_with(&parsed.to_string()), "{name} became {parsed}");
            let again: DockerName = short.parse().unwrap();
            assert_eq!(again.whole(), whole, "the short form means something else");
        }
        assert_eq!(whole_name("quay.io/team/app@sha256:00"), "quay.io/team/app@sha256:00");
    }

    #[test]
    fn grammar() {
        for text in [
            "",
            ":v1",
            "/app",
            "app/",
            "a//b",
            "App",
            "a___b",
            "a..b",
            "a._b",
            "-a",
            "a-",
            "_a",
            "a b",
            "größe",
            "app:",
            "app:-v",
            "app:.v",
            "app:v+1",
            "app@sha256:00",
            "reg:50x0/app",
            "reg-.x/app",
            "host:/app",
            "[::g]/app",
        ] {
            assert!(text.parse::<DockerName>().is_err(), "{text}");
        }
        let (tag, path) = ("t".repeat(128), "p".repeat(255 - "docker.io/library/".len()));
        assert!(format!("{path}:{tag}").parse::<DockerName>().is_ok());
        assert!(format!("{path}p:{tag}").parse::<DockerName>().is_err());
        assert!(format!("app:{tag}t").parse::<DockerName>().is_err());
        assert!("0123456789abcdef".repeat(4).parse::<DockerName>().is_err());
    }

    proptest! {
        #[test]
        fn every_form_of_a_name_means_the_same(
            text in "((docker[.]io|localhost|library|[a-z0-9.:-]{1,6})/){0,2}[a-z0-9._-]{1,6}(:[A-Za-z0-9_.-]{1,4})?",
        ) {
            if let Ok(name) = text.parse::<DockerName>() {
                prop_assert_eq!(name.whole(), whole_name(&text));
                for same in [name.to_string(), name.whole(), name.short().to_string()] {
                    prop_assert_eq!(same.parse::<DockerName>().unwrap().whole(), name.whole());
                }
            }
        }
    }

    #[test]
    fn a_tag_is_what_was_given() {
        let name: DockerName = "reg:5/app".parse().unwrap();
        assert_eq!(name.tag(), None);
        let tagged = name.with_tag("v2".parse().unwrap());
        assert_eq!((tagged.repository(), tagged.tag_text()), ("reg:5/app", "v2"));
    }
}
