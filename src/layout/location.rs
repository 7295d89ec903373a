//! Where an image is or goes: `oci:DIR[:REF]`, `oci-archive:FILE[:REF]`, or a bare path.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use crate::compress::{Codec, GzipLevel, XzLevel, ZstdLevel};
use crate::error::{Error, Result};
use crate::oci::RefName;

/// The place of one image, or of all that a layout holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// What stands at the path.
    pub transport: Transport,
    /// The layout directory or the archive.
    pub path: PathBuf,
    /// Which of its images; none was named if none.
    pub ref_name: Option<RefName>,
}

/// The forms in which a layout exists, in the names that skopeo and podman use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A layout directory.
    Oci,
    /// A tar of a layout.
    OciArchive,
}

/// Transports that others know and this tool does not.
const FOREIGN: [&str; 8] =
    ["containers-storage", "dir", "docker", "docker-archive", "docker-daemon", "ostree", "sif", "tarball"];

/// Endings that make a bare path an archive, and the compression of the archive as a whole.
const ARCHIVE_ENDINGS: [(&str, Outer); 8] = [
    (".tar", Outer::None),
    (".tar.gz", Outer::Gzip),
    (".tgz", Outer::Gzip),
    (".tar.xz", Outer::Xz),
    (".txz", Outer::Xz),
    (".tar.zst", Outer::Zstd),
    (".tar.zstd", Outer::Zstd),
    (".tzst", Outer::Zstd),
];

#[derive(Clone, Copy)]
enum Outer {
    None,
    Gzip,
    Xz,
    Zstd,
}

impl Transport {
    fn name(self) -> &'static str {
        match self {
            Transport::Oci => "oci",
            Transport::OciArchive => "oci-archive",
        }
    }
}

impl Location {
    /// Reads a location as it was typed.
    ///
    /// A ref name may hold colons (`registry:5000/app:v2`) and so may a path: the longest path that is on disk wins,
    /// and where nothing is on disk the first colon behind which a whole ref name stands.
    pub fn parse(text: &OsStr) -> Result<Self> {
        let on_disk = |path: &Path| path.symlink_metadata().is_ok();
        let bytes = text.as_bytes();
        let error =
            |reason: &str| Error::malformed(format!("image `{}`", text.to_string_lossy().escape_debug()), reason);
        for transport in [Transport::Oci, Transport::OciArchive] {
            let rest = bytes.strip_prefix(transport.name().as_bytes()).and_then(|rest| rest.strip_prefix(b":"));
            if let Some(rest) = rest {
                let (path, ref_name) = split_ref_name(rest, on_disk).map_err(error)?;
                return Ok(Location { transport, path, ref_name });
            }
        }
        let foreign =
            FOREIGN.iter().find(|name| bytes.starts_with(name.as_bytes()) && bytes.get(name.len()) == Some(&b':'));
        if let (Some(name), false) = (foreign, on_disk(Path::new(text))) {
            return Err(Error::refused_with_hint(
                format!("transport `{name}:` is unknown: `oci:DIR[:REF]` or `oci-archive:FILE[:REF]` expected"),
                "write `oci-archive:` and let `skopeo copy` carry it further",
            ));
        }
        let (path, ref_name) = split_ref_name(bytes, on_disk).map_err(error)?;
        let transport = if archive_ending(&path).is_some() && !path.is_dir() {
            Transport::OciArchive
        } else if path.is_file() {
            return Err(Error::refused_with_hint(
                format!("image `{}`: a layout directory is wanted, found a file", path.display()),
                "if it is an archive, put `oci-archive:` before it",
            ));
        } else {
            Transport::Oci
        };
        Ok(Location { transport, path, ref_name })
    }

    /// The directory that holds the layout or the archive.
    pub fn directory(&self) -> &Path {
        match self.path.parent() {
            Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
            Some(parent) => parent,
            None => &self.path,
        }
    }

    /// How an archive at this path is compressed as a whole: by its ending.
    pub fn outer_codec(&self) -> Codec {
        match archive_ending(&self.path).unwrap_or(Outer::None) {
            Outer::None => Codec::Plain,
            Outer::Gzip => Codec::Gzip(GzipLevel::default()),
            Outer::Xz => Codec::Xz(XzLevel::default()),
            Outer::Zstd => Codec::Zstd(ZstdLevel::default()),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.transport.name(), self.path.display())?;
        match &self.ref_name {
            Some(ref_name) => write!(f, ":{ref_name}"),
            None => Ok(()),
        }
    }
}

fn archive_ending(path: &Path) -> Option<Outer> {
    let bytes = path.as_os_str().as_bytes();
    ARCHIVE_ENDINGS.iter().find(|(ending, _)| bytes.ends_with(ending.as_bytes())).map(|(_, outer)| *outer)
}

/// Cuts `PATH[:REF]`.
fn split_ref_name(text: &[u8], on_disk: impl Fn(&Path) -> bool) -> Result<(PathBuf, Option<RefName>), &'static str> {
    let as_path = |bytes: &[u8]| PathBuf::from(OsString::from_vec(bytes.to_vec()));
    if text.is_empty() || text.starts_with(b":") {
        return Err("a path is missing");
    }
    let whole = as_path(text);
    if !text.contains(&b':') || on_disk(&whole) {
        return Ok((whole, None));
    }
    let splits: Vec<(PathBuf, RefName)> = text
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b':')
        .filter_map(|(colon, _)| {
            let ref_name = std::str::from_utf8(&text[colon + 1..]).ok()?.parse().ok()?;
            Some((as_path(&text[..colon]), ref_name))
        })
        .collect();
    let found = splits.iter().rev().find(|(path, _)| on_disk(path)).or(splits.first());
    match found {
        Some((path, ref_name)) => Ok((path.clone(), Some(ref_name.clone()))),
        None => Err("what stands behind the colon is no ref name: letters and digits expected, joined by `/`, by one \
                     of `-` `.` `_` `:` `@` `+`, or by `--`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str, disk: &[&str]) -> Option<(String, Option<String>)> {
        let (path, name) = split_ref_name(text.as_bytes(), |path| disk.iter().any(|d| Path::new(d) == path)).ok()?;
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
        assert_eq!(outer("oci-archive:a.oci-archive"), Codec::Plain);
        assert_eq!(outer("a.tar"), Codec::Plain);
        assert!(matches!(outer("a.tar.gz"), Codec::Gzip(_)));
        assert!(matches!(outer("a.tar.zst"), Codec::Zstd(_)));
        assert!(matches!(outer("a.tar.xz:v1"), Codec::Xz(_)));
    }
}
