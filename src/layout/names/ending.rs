//! What the ending of a path says about an archive.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// How an archive is compressed as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outer {
    None,
    Gzip,
    Xz,
    Zstd,
    /// Only read, never written.
    Bzip2,
}

/// Endings that mark a bare path as an archive.
const READ: [(&str, Outer); 12] = [
    (".tar", Outer::None),
    (".oci-archive", Outer::None),
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

/// Endings of unsupported archives, listed so that no directory gets such a name by mistake.
const OTHER: [&str; 23] = [
    ".tar.lz4",
    ".tar.lz",
    ".tar.lzma",
    ".tar.lzo",
    ".tar.z",
    ".tar.br",
    ".tar.sz",
    ".tar.7z",
    ".tlz",
    ".tlz4",
    ".taz",
    ".tbr",
    ".lz4",
    ".lzma",
    ".zip",
    ".7z",
    ".rar",
    ".cpio",
    ".squashfs",
    ".sqfs",
    ".sif",
    ".gz",
    ".zst",
];

/// What the ending of a path says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Archive(Outer),
    /// An archive in an unsupported form.
    Unknown(&'static str),
    /// Not an archive.
    Plain,
}

impl Ending {
    pub(super) fn of(path: &Path) -> Self {
        let name = path.as_os_str().as_bytes().to_ascii_lowercase();
        if let Some((_, outer)) = READ.iter().find(|(ending, _)| name.ends_with(ending.as_bytes())) {
            return Ending::Archive(*outer);
        }
        let other = OTHER.iter().find(|ending| name.ends_with(ending.as_bytes()));
        other.map_or(Ending::Plain, |ending| Ending::Unknown(ending))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_tell_archives_from_directories() {
        for (path, expected) in [
            ("a.tar", Ending::Archive(Outer::None)),
            ("a.TAR", Ending::Archive(Outer::None)),
            ("dir/a.oci-archive", Ending::Archive(Outer::None)),
            ("a.tgz", Ending::Archive(Outer::Gzip)),
            ("a.tar.zstd", Ending::Archive(Outer::Zstd)),
            ("a.tbz", Ending::Archive(Outer::Bzip2)),
            ("a.tar.lz4", Ending::Unknown(".tar.lz4")),
            ("a.tar.Z", Ending::Unknown(".tar.z")),
            ("a.ZIP", Ending::Unknown(".zip")),
            ("a.oci", Ending::Plain),
            ("a.tarball", Ending::Plain),
            ("tar", Ending::Plain),
            ("zip", Ending::Plain),
        ] {
            assert_eq!(Ending::of(Path::new(path)), expected, "{path}");
        }
    }
}
