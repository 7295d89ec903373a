//! Where an image is or goes: `oci:DIR[:REF]`, `oci-archive:FILE[:REF]`, `docker-archive:FILE[:NAME[:TAG]]`, or a bare
//! path. A digest can select an existing image: `oci:DIR@sha256:…`, `oci:DIR:REF@sha256:…`.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::Metadata;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use crate::compress::{Codec, GzipLevel, XzLevel, ZstdLevel};
use crate::error::{as_typed, Error, ErrorKind, IoContext, Result};
use crate::hint::Hint;
use crate::layout::names::ending::{Ending, Outer};
use crate::layout::names::mistaken;
use crate::layout::names::role::Role;
use crate::layout::{DigestPrefix, DockerName, ImageName};

/// The location of one image, or of everything in a layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The form of what is at the path.
    pub transport: Transport,
    /// The path of the layout directory or archive.
    pub path: PathBuf,
    /// The name of one of its images, or `None` for all.
    pub name: Option<ImageName>,
    /// The digest that selects an image, if one was given. A target has none.
    pub digest: Option<DigestPrefix>,
    /// Whether it was written without a transport, so that it may be meant as a name in a registry.
    pub bare: bool,
}

/// The forms of a layout, with the transport names of skopeo and podman.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A layout directory.
    Oci,
    /// A tar of a layout.
    OciArchive,
    /// A tar as `docker save` writes it.
    DockerArchive,
    /// A tar given by its path alone: written as a tar of a layout; when read, its content decides.
    Archive,
}

impl Transport {
    fn name(self) -> &'static str {
        match self {
            Transport::Oci => "oci",
            Transport::OciArchive | Transport::Archive => "oci-archive",
            Transport::DockerArchive => "docker-archive",
        }
    }
}

impl Location {
    /// Parses the location of an image.
    ///
    /// A name may hold colons (`registry:5000/app:v2`). So may a path, which may also hold what looks like a digest.
    /// The longest existing path wins; if there is none, the path ends at the first colon after the existing
    /// directories.
    ///
    /// # Errors
    ///
    /// The path is missing, the text after it is not a valid name, or the text looks like something other than a path:
    /// an image in a registry, an unknown transport, or an archive in an unsupported form.
    pub fn parse(text: &OsStr) -> Result<Self> {
        Location::read(text, Role::Image)
    }

    /// Parses the location of a target. `-` as an archive is standard output.
    ///
    /// # Errors
    ///
    /// The same as for [`parse`](Self::parse).
    pub fn parse_target(text: &OsStr) -> Result<Self> {
        Location::read(text, Role::Target)
    }

    fn read(text: &OsStr, role: Role) -> Result<Self> {
        let on_disk = |path: &Path| path.symlink_metadata().is_ok();
        let bytes = text.as_bytes();
        let shown = as_typed(&text.to_string_lossy());
        for transport in [Transport::Oci, Transport::OciArchive, Transport::DockerArchive] {
            let rest = bytes.strip_prefix(transport.name().as_bytes()).and_then(|rest| rest.strip_prefix(b":"));
            let Some(rest) = rest else { continue };
            if rest.starts_with(b"//") {
                let rest = as_typed(&String::from_utf8_lossy(rest));
                return Err(mistaken::with_slashes(&shown, transport.name(), &rest, role));
            }
            let is_stream = rest == b"-" || rest.starts_with(b"-:");
            match (transport, role) {
                (Transport::Oci, _) if is_stream => return Err(mistaken::layout_as_stream(&shown, role)),
                (_, Role::Image) if is_stream => return Err(mistaken::from_standard_input(&shown)),
                _ => {}
            }
            let split = if is_stream { Split::of(rest, |_| false) } else { Split::of(rest, on_disk) };
            let has_digest = split.digest.is_some();
            return split.location(transport).map_err(|reason| not_valid(role, &shown, &reason, has_digest));
        }
        // Several slashes at the beginning are one on Linux, and after a transport they would be a scheme.
        let slashes = bytes.iter().take_while(|byte| **byte == b'/').count();
        let split = Split::of(&bytes[slashes.saturating_sub(1)..], on_disk);
        // A layout that is there is one, whatever its name.
        let is_there = on_disk(Path::new(text))
            || (split.digest.is_some() && on_disk(&split.path))
            || on_disk(&split.path.join("oci-layout"));
        if !is_there {
            mistaken::refuse(&shown, role, on_disk)?;
        }
        let transport = match Ending::of(&split.path) {
            _ if split.path.is_dir() => Transport::Oci,
            Ending::Archive(_) => Transport::Archive,
            Ending::Unknown(_) | Ending::Doubtful(_) if role == Role::Image && split.path.is_file() => Transport::Oci,
            Ending::Unknown(ending) | Ending::Doubtful(ending) => {
                return Err(unknown_ending(&format!("{role} `{shown}`"), &as_typed(&ending), role))
            }
            Ending::Plain => Transport::Oci,
        };
        let has_digest = split.digest.is_some();
        let location = split.location(transport).map_err(|reason| not_valid(role, &shown, &reason, has_digest))?;
        if transport == Transport::Oci && location.path.is_file() {
            return Err(Error::refused_with_hint(
                format!("{role} `{}`: a layout directory is wanted, found a file", location.path.display()),
                "if it is an archive, put `oci-archive:` or `docker-archive:` before it",
            )
            .of_kind(ErrorKind::Invalid));
        }
        Ok(Location { bare: true, ..location })
    }

    /// What is at the path of an image that is to be read or changed.
    pub(crate) fn metadata(&self) -> Result<Metadata> {
        self.metadata_or(mistaken::not_here)
    }

    /// The same of one that is changed where it is, and that nothing elsewhere could stand for.
    pub(crate) fn metadata_in_place(&self) -> Result<Metadata> {
        self.metadata_or(|typed| {
            mistaken::not_here(typed).map(|error| Error::refused(error.to_string()).of_kind(error.kind()))
        })
    }

    fn metadata_or(&self, not_here: impl Fn(&str) -> Option<Error>) -> Result<Metadata> {
        let found = self.path.metadata();
        if self.bare && found.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            let typed = format!("{}{}", self.path.display(), self.part().unwrap_or_default());
            if let Some(error) = not_here(&as_typed(&typed)) {
                return Err(error);
            }
        }
        let found = found.map_err(|error| match error.kind() {
            // A link that leads nowhere is there.
            io::ErrorKind::NotFound if !self.path.is_symlink() => io::Error::new(error.kind(), self.nothing_there()),
            _ => error,
        });
        found.at("open the image", &self.shown()).map_err(|error| match self.meant_by_digits() {
            Some(meant) if error.kind() == ErrorKind::NotFound => {
                error.advising(format!("a digest begins with its algorithm: write `{meant}`"))
            }
            _ => error,
        })
    }

    /// The location that is meant if a path ends in digits of a digest, without `sha256:` before them.
    fn meant_by_digits(&self) -> Option<Location> {
        let (path, digest) = mistaken::digits_after_at(self.path.to_str()?)?;
        let path = PathBuf::from(path);
        (self.part().is_none() && path.metadata().is_ok()).then(|| Location {
            path,
            digest: Some(digest),
            ..self.clone()
        })
    }

    /// What was looked for and is not there.
    fn nothing_there(&self) -> String {
        let what = if self.transport == Transport::Oci { "directory" } else { "file" };
        format!("there is no {what} `{}`", self.path.display())
    }

    /// Whether the location is standard output.
    pub fn is_stream(&self) -> bool {
        self.transport != Transport::Oci && self.path.as_os_str() == "-"
    }

    /// The same location without name and digest.
    pub(crate) fn of_all(&self) -> Self {
        Location { name: None, digest: None, ..self.clone() }
    }

    /// Returns name and digest as written after the path, or `None` if everything is meant.
    pub(crate) fn part(&self) -> Option<String> {
        let name = self.name.as_ref().map(|name| format!(":{name}"));
        let digest = self.digest.as_ref().map(|digest| format!("@{digest}"));
        let words: Vec<String> = name.into_iter().chain(digest).collect();
        (!words.is_empty()).then(|| words.concat())
    }

    /// Refuses a digest in a target.
    pub(crate) fn refuse_digest(&self) -> Result<()> {
        let Some(digest) = &self.digest else { return Ok(()) };
        Err(Error::refused_with_hint(
            format!("target `{self}`: a name is wanted, found a digest"),
            format!("what is written has a digest of its own: leave `@{digest}` out"),
        )
        .of_kind(ErrorKind::Invalid))
    }

    /// The text of the location, where errors show a path.
    pub(crate) fn shown(&self) -> PathBuf {
        self.to_string().into()
    }

    /// Whether the transport is `docker-archive`.
    pub(crate) fn is_docker_archive(&self) -> bool {
        self.transport == Transport::DockerArchive
    }

    /// The directory that holds the layout or the archive.
    pub fn directory(&self) -> &Path {
        match self.path.parent() {
            Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
            Some(parent) => parent,
            None => &self.path,
        }
    }

    /// The compression of an archive written to this path, by its ending. bzip2 can only be read.
    pub(crate) fn outer_codec(&self) -> Result<Codec> {
        Ok(match Ending::of(&self.path) {
            // With a transport, any name will do.
            Ending::Plain | Ending::Doubtful(_) | Ending::Archive(Outer::None) => Codec::Plain,
            Ending::Archive(Outer::Gzip) => Codec::Gzip(GzipLevel::default()),
            Ending::Archive(Outer::Xz) => Codec::Xz(XzLevel::default()),
            Ending::Archive(Outer::Zstd) => Codec::Zstd(ZstdLevel::default()),
            Ending::Archive(Outer::Bzip2) => {
                return Err(Error::refused_with_hint(
                    format!("target `{self}`: archives in bzip2 are read, not written"),
                    ENDINGS,
                )
                .of_kind(ErrorKind::Unsupported))
            }
            Ending::Unknown(ending) => {
                return Err(unknown_ending(&format!("target `{self}`"), &as_typed(&ending), Role::Target))
            }
        })
    }
}

/// The error of a location that is not valid. A digest that is too short is the usual mistake.
fn not_valid(role: Role, shown: &str, reason: &str, has_digest: bool) -> Error {
    let subject = format!("{role} `{shown}`");
    if !has_digest || role == Role::Target {
        return Error::invalid(subject, reason);
    }
    let hint = Hint::from("").verb("ls").text(" shows the digests; their first 12 digits are enough");
    Error::invalid(subject, reason).advising(hint)
}

const ENDINGS: &str = "end its name in `.tar`, `.tar.gz`, `.tar.xz` or `.tar.zst`";

fn unknown_ending(subject: &str, ending: &str, role: Role) -> Error {
    let hint = match role {
        Role::Image => "decompress it first: archives are read plain, or in gzip, zstd, xz or bzip2",
        Role::Target => {
            "end its name in `.tar`, `.tar.gz`, `.tar.xz` or `.tar.zst`; a directory of this name has `oci:` before it"
        }
    };
    Error::refused_with_hint(format!("{subject}: archives that end in `{ending}` are not known here"), hint)
        .of_kind(ErrorKind::Unsupported)
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.transport.name(), self.path.display())?;
        f.write_str(&self.part().unwrap_or_default())
    }
}

/// A text split into `PATH[:NAME][@DIGEST]`.
struct Split<'a> {
    path: PathBuf,
    name: Option<&'a [u8]>,
    digest: Option<&'a [u8]>,
}

impl<'a> Split<'a> {
    fn of(text: &'a [u8], on_disk: impl Fn(&Path) -> bool) -> Self {
        let at = (0..text.len()).rev().find(|at| text[*at] == b'@' && DigestPrefix::is_meant_by(&text[at + 1..]));
        let Some(at) = at else { return Split::named(text, on_disk) };
        // What looks like a digest may be part of an existing path.
        let ends = (at + 1..=text.len()).filter(|end| *end == text.len() || text[*end] == b':');
        if ends.into_iter().any(|end| on_disk(&as_path(&text[..end]))) {
            return Split::named(text, on_disk);
        }
        Split { digest: Some(&text[at + 1..]), ..Split::named(&text[..at], on_disk) }
    }

    /// Splits `PATH[:NAME]`.
    fn named(text: &'a [u8], on_disk: impl Fn(&Path) -> bool) -> Self {
        let whole = Split { path: as_path(text), name: None, digest: None };
        let is_there = |end: usize| on_disk(&as_path(&text[..end]));
        let ends = |byte: u8| text.iter().enumerate().filter(move |(_, b)| **b == byte).map(|(at, _)| at);
        let colons: Vec<usize> = ends(b':').collect();
        let Some(first) = colons.first() else { return whole };
        if is_there(text.len()) {
            return whole;
        }
        let end = colons.iter().rev().copied().find(|colon| is_there(*colon)).or_else(|| {
            // Directories may have a colon in their name, and the path below them may not exist yet.
            let slashes: Vec<usize> = ends(b'/').filter(|slash| slash > first).collect();
            let below = slashes.into_iter().rev().find(|slash| is_there(*slash)).unwrap_or(0);
            colons.iter().copied().find(|colon| *colon >= below)
        });
        match end {
            Some(end) => Split { path: as_path(&text[..end]), name: Some(&text[end + 1..]), digest: None },
            None => whole,
        }
    }

    /// Turns the parts into a location. The error says what is wrong with the text.
    fn location(self, transport: Transport) -> Result<Location, String> {
        if self.path.as_os_str().is_empty() {
            return Err("a path is missing".to_owned());
        }
        let digest = match self.digest.map(|digest| std::str::from_utf8(digest).ok()?.parse().ok()) {
            Some(None) => return Err(format!("{} expected after `@`", DigestPrefix::ACCEPTED)),
            digest => digest.flatten(),
        };
        let Some(name) = self.name else {
            return Ok(Location { transport, path: self.path, name: None, digest, bare: false });
        };
        // A digest in the place of a name is meant as a digest.
        if let (None, Some(digest)) = (&digest, std::str::from_utf8(name).ok().and_then(|name| name.parse().ok())) {
            return Ok(Location { transport, path: self.path, name: None, digest: Some(digest), bare: false });
        }
        let read = std::str::from_utf8(name).ok().and_then(|name| name.parse().ok());
        if let Some(name) = read {
            return Ok(Location { transport, path: self.path, name: Some(name), digest, bare: false });
        }
        let (kind, expected) = match transport {
            Transport::DockerArchive => ("name", DockerName::ACCEPTED),
            _ => (
                "ref name",
                "letters and digits expected, joined by `/`, by one of `-` `.` `_` `:` `@` `+`, or by `--`",
            ),
        };
        let (path, name) = (self.path.display().to_string(), String::from_utf8_lossy(name));
        let (path, name) = (as_typed(&path), as_typed(&name));
        Err(format!("read as the path `{path}` and the name `{name}`, which is no {kind}: {expected}"))
    }
}

fn as_path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsString::from_vec(bytes.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str, disk: &[&str]) -> Option<(String, Option<String>, Option<String>)> {
        let split = Split::of(text.as_bytes(), |path| disk.iter().any(|d| Path::new(d) == path));
        let Location { path, name, digest, .. } = split.location(Transport::Oci).ok()?;
        Some((path.display().to_string(), name.map(|name| name.to_string()), digest.map(|digest| digest.to_string())))
    }

    #[test]
    fn digests_stand_after_the_last_at_sign() {
        const D: &str = "sha256:0123456789ab";
        for (text, disk, expected) in [
            ("out@D", &[][..], Some(("out", None, true))),
            ("out@D", &["out"], Some(("out", None, true))),
            ("out:v1@D", &["out"], Some(("out", Some("v1"), true))),
            ("out:reg:5000/app:v1@D", &[], Some(("out", Some("reg:5000/app:v1"), true))),
            ("a:b@D", &["a:b"], Some(("a:b", None, true))),
            ("a:b:v1@D", &["a:b"], Some(("a:b", Some("v1"), true))),
            ("out:D", &["out"], Some(("out", None, true))),
            ("out:sha256:v1", &["out"], Some(("out", Some("sha256:v1"), false))),
            ("team@home", &[], Some(("team@home", None, false))),
            ("team@home:v1", &["team@home"], Some(("team@home", Some("v1"), false))),
            ("team@home@D", &[], Some(("team@home", None, true))),
            ("out:app@home", &[], Some(("out", Some("app@home"), false))),
            // An existing path wins, whatever it looks like.
            ("out@D", &["out", "out@D"], Some(("out@D", None, false))),
            ("out@sha256:v1", &["out@sha256"], Some(("out@sha256", Some("v1"), false))),
            ("out@D", &["out", "out@sha256"], Some(("out@sha256", Some("0123456789ab"), false))),
            ("out@D@D", &["out@D"], Some(("out@D", None, true))),
            ("@home", &[], Some(("@home", None, false))),
            ("out@sha256:0123", &[], None),
            ("out:v1@sha256:0123", &["out"], None),
            ("out@sha256:", &[], None),
            ("out@sha256:0123456789aB", &["out"], None),
            ("out:@D", &[], None),
            ("out::v1@D", &[], None),
            ("@D", &[], None),
        ] {
            let (text, disk) = (text.replace('D', D), disk.iter().map(|d| d.replace('D', D)).collect::<Vec<_>>());
            let disk: Vec<&str> = disk.iter().map(String::as_str).collect();
            let expected = expected.map(|(path, name, has_digest)| {
                (path.replace('D', D), name.map(str::to_owned), has_digest.then(|| D.to_owned()))
            });
            assert_eq!(parts(&text, &disk), expected, "{text} with {disk:?}");
        }
    }

    #[test]
    fn ref_names_are_found_by_grammar() {
        let some = |path: &str, name: Option<&str>| Some((path.to_owned(), name.map(str::to_owned)));
        for (text, disk, expected) in [
            ("out", &[][..], some("out", None)),
            ("out:v1", &[], some("out", Some("v1"))),
            ("out:registry:5000/team/app:v2", &[], some("out", Some("registry:5000/team/app:v2"))),
            ("a:b:latest", &["a:b"], some("a:b", Some("latest"))),
            ("a:b:latest", &["a", "a:b"], some("a:b", Some("latest"))),
            ("a:b", &["a:b"], some("a:b", None)),
            ("./x y:z", &[], some("./x y", Some("z"))),
            ("out:", &[], None),
            ("out:-x", &[], None),
            ("out::v1", &[], None),
            ("out::v1", &["out:"], some("out:", Some("v1"))),
            ("out:my__app:v1", &[], some("out", Some("my__app:v1"))),
            ("dir:x/out:v1", &["dir:x"], some("dir:x/out", Some("v1"))),
            ("dir:x/y/out", &["dir:x", "dir:x/y"], some("dir:x/y/out", None)),
            ("out:app~x:1", &[], None),
            ("out.tar:a..b:v1", &[], None),
            ("out.tar:a b:c", &["out.tar"], None),
            ("a:b:c d", &["a:b"], None),
            ("", &[], None),
            (":x", &[], None),
        ] {
            let found = parts(text, disk).map(|(path, name, _)| (path, name));
            assert_eq!(found, expected, "{text} with {disk:?}");
        }
    }

    #[test]
    fn transports() {
        for (text, expected) in [
            ("oci:out:v1", Some("oci:out:v1")),
            ("oci-archive:file.bin", Some("oci-archive:file.bin")),
            ("out", Some("oci:out")),
            ("out.tar:v1", Some("oci-archive:out.tar:v1")),
            ("dir.d/out.tar.xz", Some("oci-archive:dir.d/out.tar.xz")),
            ("out.tarball", Some("oci:out.tarball")),
            ("docker-archive:out.tar", Some("docker-archive:out.tar")),
            ("docker-archive:out.tar:app", Some("docker-archive:out.tar:app")),
            (
                "docker-archive:out.tar:registry:5000/team/app:v2",
                Some("docker-archive:out.tar:registry:5000/team/app:v2"),
            ),
            ("docker-archive:out.tar:my__app:v1__x", Some("docker-archive:out.tar:my__app:v1__x")),
            ("docker-archive:out.tar::v1", None),
            ("docker-archive:", None),
            ("docker://registry/app", None),
            ("docker-daemon:app:v1", None),
            ("Cargo.toml", None),
        ] {
            let parsed = Location::parse(OsStr::new(text)).ok().map(|location| location.to_string());
            assert_eq!(parsed.as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn endings_choose_the_outer_compression() {
        let outer = |text: &str| Location::parse(OsStr::new(text)).unwrap().outer_codec();
        assert_eq!(outer("oci-archive:a.oci-archive").ok(), Some(Codec::Plain));
        assert_eq!(outer("a.tar").ok(), Some(Codec::Plain));
        assert!(matches!(outer("a.tar.gz"), Ok(Codec::Gzip(_))));
        assert!(matches!(outer("a.tar.zst"), Ok(Codec::Zstd(_))));
        assert!(matches!(outer("a.tar.xz:v1"), Ok(Codec::Xz(_))));
        let refused = outer("a.tar.bz2").unwrap_err().to_string();
        assert_eq!(refused, "target `oci-archive:a.tar.bz2`: archives in bzip2 are read, not written");
    }
}
