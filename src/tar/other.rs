//! Recognises files that are given in place of a tar.

use crate::error::{Error, ErrorKind};

/// How files begin that are given for a tar and are none, what they are, and what to do about it.
const KNOWN: [(&[u8], &str, &str); 24] = [
    (b"\x04\x22\x4d\x18", "lz4", DECOMPRESS),
    (b"LZIP", "lzip", DECOMPRESS),
    (b"\x89LZO\0", "lzop", DECOMPRESS),
    (b"\x5d\0\0", "lzma", DECOMPRESS),
    (b"\x1f\x9d", "compress (.Z)", DECOMPRESS),
    (b"PK\x03\x04", "a zip archive", EXTRACT),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", EXTRACT),
    (b"07070", "a cpio archive", EXTRACT),
    (b"!<arch>\n", "an ar archive, such as a Debian package", EXTRACT),
    (b"\xed\xab\xee\xdb", "an RPM package", EXTRACT),
    (b"hsqs", "a SquashFS image", EXTRACT),
    (b"sqsh", "a SquashFS image", EXTRACT),
    (b"XFSB", "an XFS image", EXTRACT),
    (b"UBI#", "a UBI image", EXTRACT),
    (b"\x31\x18\x10\x06", "a UBIFS image", EXTRACT),
    // Either order of bytes.
    (b"\x85\x19", "a JFFS2 image", EXTRACT),
    (b"\x19\x85", "a JFFS2 image", EXTRACT),
    (b"\x45\x3d\xcd\x28", "a cramfs image", EXTRACT),
    (b"\x28\xcd\x3d\x45", "a cramfs image", EXTRACT),
    (b"\x3a\xff\x26\xed", "a sparse image of Android", EXTRACT),
    (b"KDMV", "a VMDK disk image", EXTRACT),
    (b"vhdxfile", "a VHDX disk image", EXTRACT),
    (b"QFI\xfb", "a qcow2 disk image", EXTRACT),
    (b"\x7fELF", "a program", "name the directory or the archive that it is in"),
];

const DECOMPRESS: &str = "decompress it first: archives are read plain, or in gzip, zstd, xz or bzip2";
const EXTRACT: &str = "extract it into a directory first, and under fakeroot if you are not root, which keeps owners";

/// The error for a file that is no tar. `start` is how it begins.
pub(super) fn no_tar(archive: &str, start: &[u8]) -> Error {
    match KNOWN.iter().find(|(magic, ..)| start.starts_with(magic)) {
        Some((_, what, hint)) => {
            Error::refused_with_hint(format!("{archive}: this is not a tar archive, found {what}"), *hint)
                .of_kind(ErrorKind::Unsupported)
        }
        // The mark of a boot sector, before which wic and others have partitions.
        None if start.get(510..512) == Some(b"\x55\xaa") => {
            Error::refused_with_hint(format!("{archive}: this is not a tar archive, found a disk image"), EXTRACT)
                .of_kind(ErrorKind::Unsupported)
        }
        None => Error::malformed(archive, "at byte 0: this is not a tar archive"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_named() {
        for (start, message, hint) in [
            (&b"\x04\x22\x4d\x18xyz"[..], "a: this is not a tar archive, found lz4", Some("decompress it first")),
            (b"070701", "a: this is not a tar archive, found a cpio archive", Some("extract it")),
            (b"Dear reader", "a: at byte 0: this is not a tar archive", None),
            (b"", "a: at byte 0: this is not a tar archive", None),
        ] {
            let error = no_tar("a", start);
            assert_eq!(error.to_string(), message);
            let found = error.hint().map(|hint| hint.to_string());
            assert_eq!(found.is_some(), hint.is_some());
            assert!(found.unwrap_or_default().starts_with(hint.unwrap_or_default()));
        }
    }
}
