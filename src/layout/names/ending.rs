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
const OTHER: &[&str] = &[
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
    ".lz",
    ".lzma",
    ".lzo",
    ".zip",
    ".7z",
    ".rar",
    ".cpio",
    ".squashfs",
    ".sqfs",
    ".sif",
    ".gz",
    ".xz",
    ".zst",
    ".zstd",
    ".bz2",
];

/// Endings of images of disks and of file systems.
const DISKS: &[&str] = &[
    ".iso", ".img", ".hddimg", ".wic", ".qcow2", ".vmdk", ".vdi", ".vhd", ".vhdx", ".ext2", ".ext3", ".ext4", ".btrfs",
    ".erofs", ".jffs2", ".ubi", ".ubifs",
];

/// What the ending of a path says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Archive(Outer),
    /// An archive in an unsupported form.
    Unknown(String),
    /// No archive by its name, and no directory either: the image of a disk, or the name of an archive with something
    /// appended, as a signature, a part or a copy put aside has.
    Doubtful(String),
    /// Not an archive.
    Plain,
}

impl Ending {
    pub(super) fn of(path: &Path) -> Self {
        let name = path.as_os_str().as_bytes().to_ascii_lowercase();
        if let Some((_, outer)) = READ.iter().find(|(ending, _)| name.ends_with(ending.as_bytes())) {
            return Ending::Archive(*outer);
        }
        let last = String::from_utf8_lossy(name.rsplit(|byte| *byte == b'/').next().unwrap_or_default());
        let after_tar = last.find(".tar.").map(|at| last[at..].to_owned());
        let find = |endings: &[&str]| {
            let found = endings.iter().find(|ending| last.ends_with(**ending))?;
            Some((*found).to_owned())
        };
        match find(OTHER) {
            Some(ending) => Ending::Unknown(after_tar.unwrap_or(ending)),
            None => after_tar.or_else(|| find(DISKS)).map_or(Ending::Plain, Ending::Doubtful),
        }
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
            ("a.tar.lz4", Ending::Unknown(".tar.lz4".to_owned())),
            ("a.tar.Z", Ending::Unknown(".tar.z".to_owned())),
            ("a.ZIP", Ending::Unknown(".zip".to_owned())),
            ("a.wic", Ending::Doubtful(".wic".to_owned())),
            ("a.tar.gpg", Ending::Doubtful(".tar.gpg".to_owned())),
            ("a.tar.gz.tmp", Ending::Doubtful(".tar.gz.tmp".to_owned())),
            ("a.TAR.", Ending::Doubtful(".tar.".to_owned())),
            ("a.tar.d/out", Ending::Plain),
            ("a.tar.d/", Ending::Plain),
            ("a.oci", Ending::Plain),
            ("a.tarball", Ending::Plain),
            ("tar", Ending::Plain),
            ("zip", Ending::Plain),
        ] {
            assert_eq!(Ending::of(Path::new(path)), expected, "{path}");
        }
    }
}
