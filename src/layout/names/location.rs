//! Where an image is or goes: `oci:DIR[:REF]`, `oci-archive:FILE[:REF]`, `docker-archive:FILE[:NAME[:TAG]]`, or a bare
//! path.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use crate::compress::{Codec, GzipLevel, XzLevel, ZstdLevel};
use crate::error::{Error, Result};
use crate::layout::{DockerName, ImageName};

/// The place of one image, or of all that a layout holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// What stands at the path.
    pub transport: Transport,
    /// The layout directory or the archive.
    pub path: PathBuf,
    /// Which of its images; none was named if none.
    pub name: Option<ImageName>,
}

/// The forms in which a layout exists, in the names that skopeo and podman use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A layout directory.
    Oci,
    /// A tar of a layout.
    OciArchive,
    /// A tar as `docker save` writes it.
    DockerArchive,
    /// A tar that was named by its path alone: a tar of a layout where one is written; where it is read, what it turns
    /// out to be.
    Archive,
}

/// Transports that others know and this tool does not.
const FOREIGN: [&str; 7] = ["containers-storage", "dir", "docker", "docker-daemon", "ostree", "sif", "tarball"];

/// Endings that make a bare path an archive, and the compression of the archive as a whole.
const ARCHIVE_ENDINGS: [(&str, Outer); 11] = [
    (".tar", Outer::None),
    (".tar.gz", Outer::Gzip),
    (".tgz", Outer::Gzip),
    (".tar.xz", Outer::Xz),
    (".txz", Outer::Xz),
    (".tar.zst", Outer::Zstd),
    (".tar.zstd", Outer::Zstd),
    (".tzst", Outer::Zstd),
    (".tar.bz2", Outer::Bzip2),
    (".tbz2", Outer::Bzip2),
    (".tbz", Outer::Bzip2),
];

#[derive(Clone, Copy)]
enum Outer {
    None,
    Gzip,
    Xz,
    Zstd,
    /// For reading only.
    Bzip2,
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
    /// Reads a location as it was typed.
    ///
    /// A name may hold colons (`registry:5000/app:v2`) and so may a path: the longest path that is on disk wins, and
    /// where nothing is on disk the first colon behind which a whole name stands.
    pub fn parse(text: &OsStr) -> Result<Self> {
        let on_disk = |path: &Path| path.symlink_metadata().is_ok();
        let bytes = text.as_bytes();
        let error =
            |reason: &str| Error::malformed(format!("image `{}`", text.to_string_lossy().escape_debug()), reason);
        for transport in [Transport::Oci, Transport::OciArchive, Transport::DockerArchive] {
            let rest = bytes.strip_prefix(transport.name().as_bytes()).and_then(|rest| rest.strip_prefix(b":"));
            if let Some(rest) = rest {
                let (path, name) = split_name(rest, on_disk).map_err(|no| error(no.reason(transport)))?;
                return Ok(Location { transport, path, name });
            }
        }
        let foreign =
            FOREIGN.iter().find(|name| bytes.starts_with(name.as_bytes()) && bytes.get(name.len()) == Some(&b':'));
        if let (Some(name), false) = (foreign, on_disk(Path::new(text))) {
            return Err(Error::refused_with_hint(
                format!(
                    "transport `{name}:` is unknown: `oci:DIR[:REF]`, `oci-archive:FILE[:REF]` or \
                     `docker-archive:FILE[:NAME[:TAG]]` expected"
                ),
                "read and write archives, and let `skopeo copy` carry them to and fro",
            ));
        }
        let (path, name) = split_name(bytes, on_disk).map_err(|no| error(no.reason(Transport::Archive)))?;
        let transport = if archive_ending(&path).is_some() && !path.is_dir() {
            Transport::Archive
        } else if path.is_file() {
            return Err(Error::refused_with_hint(
                format!("image `{}`: a layout directory is wanted, found a file", path.display()),
                "if it is an archive, put `oci-archive:` or `docker-archive:` before it",
            ));
        } else {
            Transport::Oci
        };
        Ok(Location { transport, path, name })
    }

    /// Whether it is named as a docker archive.
    pub fn is_docker_archive(&self) -> bool {
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

    /// How an archive that is written to this path is compressed as a whole: by its ending. bzip2 is only read.
    pub fn outer_codec(&self) -> Result<Codec> {
        Ok(match archive_ending(&self.path).unwrap_or(Outer::None) {
            Outer::None => Codec::Plain,
            Outer::Gzip => Codec::Gzip(GzipLevel::default()),
            Outer::Xz => Codec::Xz(XzLevel::default()),
            Outer::Zstd => Codec::Zstd(ZstdLevel::default()),
            Outer::Bzip2 => {
                return Err(Error::refused_with_hint(
                    format!("target `{self}`: archives in bzip2 are read, not written"),
                    "end its name in `.tar`, `.tar.gz`, `.tar.xz` or `.tar.zst`",
                ))
            }
        })
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.transport.name(), self.path.display())?;
        match &self.name {
            Some(name) => write!(f, ":{name}"),
            None => Ok(()),
        }
    }
}

fn archive_ending(path: &Path) -> Option<Outer> {
    let bytes = path.as_os_str().as_bytes();
    ARCHIVE_ENDINGS.iter().find(|(ending, _)| bytes.ends_with(ending.as_bytes())).map(|(_, outer)| *outer)
}

/// What is missing in the text of a location.
enum Missing {
    Path,
    Name,
}

impl Missing {
    fn reason(&self, transport: Transport) -> &'static str {
        match (self, transport) {
            (Missing::Path, _) => "a path is missing",
            (Missing::Name, Transport::DockerArchive) => DockerName::ACCEPTED,
            (Missing::Name, _) => {
                "what stands behind the colon is no ref name: letters and digits expected, joined by `/`, by one of \
                 `-` `.` `_` `:` `@` `+`, or by `--`"
            }
        }
    }
}

/// Cuts `PATH[:NAME]`.
fn split_name(text: &[u8], on_disk: impl Fn(&Path) -> bool) -> Result<(PathBuf, Option<ImageName>), Missing> {
    let as_path = |bytes: &[u8]| PathBuf::from(OsString::from_vec(bytes.to_vec()));
    if text.is_empty() || text.starts_with(b":") {
        return Err(Missing::Path);
    }
    let whole = as_path(text);
    if !text.contains(&b':') || on_disk(&whole) {
        return Ok((whole, None));
    }
    let splits: Vec<(PathBuf, ImageName)> = text
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b':')
        .filter_map(|(colon, _)| {
            let name = std::str::from_utf8(&text[colon + 1..]).ok()?.parse().ok()?;
            Some((as_path(&text[..colon]), name))
        })
        .collect();
    // Behind two colons a name is missing, rather than that the path ends in one.
    let ends_in_colon = |path: &Path| path.as_os_str().as_bytes().ends_with(b":");
    let found = splits.iter().rev().find(|(path, _)| on_disk(path));
    match found.or_else(|| splits.iter().find(|(path, _)| !ends_in_colon(path))) {
        Some((path, name)) => Ok((path.clone(), Some(name.clone()))),
        None => Err(Missing::Name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str, disk: &[&str]) -> Option<(String, Option<String>)> {
        let (path, name) = split_name(text.as_bytes(), |path| disk.iter().any(|d| Path::new(d) == path)).ok()?;
        Some((path.display().to_string(), name.map(|name| name.to_string())))
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
            ("", &[], None),
            (":x", &[], None),
        ] {
            assert_eq!(split(text, disk), expected, "{text} with {disk:?}");
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
