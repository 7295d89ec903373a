//! What is odd about an archive whose members can still be read.

use std::fmt;

/// Something odd about a member whose entry can still be read. Other readers may read it differently.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Anomaly {
    /// The name begins with a slash; it is taken as relative to the root.
    AbsoluteName,
    /// The name has a `.` after its beginning, or an empty component.
    RedundantComponent,
    /// The name ends with a slash, but the member is not a directory.
    TrailingSlash,
    /// An empty regular file, type `0`, whose name ends with a slash: a directory. Go's readers make a file of it.
    FileNamedAsDirectory,
    /// The target of a hard link begins with a slash; it is taken as relative to the root.
    AbsoluteLink,
    /// The name is in a GNU `L` header.
    GnuLongName,
    /// The target of a link is in a GNU `K` header.
    GnuLongLink,
    /// A header of GNU tar with text where it has times: the beginning of the name, as Go wrote it before 1.8. GNU tar
    /// and libarchive do not read it.
    GnuPrefix,
    /// A GNU long name and a PAX record of the same meaning; PAX wins.
    NamedTwice,
    /// Two extended headers of the same kind before one member; for each keyword, the later wins.
    RepeatedHeader,
    /// A PAX header for all members after it, of keywords that no entry is made from, such as `comment`.
    GlobalHeader,
    /// A keyword of a global header that an entry is made from. Go's readers ignore it, others apply it.
    GlobalKeyword(Box<[u8]>),
    /// A PAX keyword that is neither known nor known to be harmless; ignored.
    UnknownKeyword(Box<[u8]>),
    /// A PAX keyword for an ACL, a label or file flags, which runtimes do not apply from a layer:
    /// [`Member::unapplied`].
    ///
    /// [`Member::unapplied`]: crate::tar::Member::unapplied
    ForeignKeyword(Box<[u8]>),
    /// A PAX keyword that occurs twice in one header; the later wins.
    RepeatedKeyword(Box<[u8]>),
    /// An attribute that stands only as `LIBARCHIVE.xattr`, which engines do not read.
    LibarchiveXattr(Box<[u8]>),
    /// An attribute with two values, as `SCHILY.xattr` and as `LIBARCHIVE.xattr`; the first wins.
    ConflictingXattr(Box<[u8]>),
    /// The PAX size differs from the header's, although it would fit there; PAX wins.
    ConflictingSize {
        /// The number in the header.
        header: u64,
        /// The number in the PAX record.
        pax: u64,
    },
    /// A type without content has a size; there is no content.
    SizeWithoutContent(u64),
    /// A number in the binary form of GNU tar, in the field of this name.
    BinaryNumber(&'static str),
    /// A field that nothing depends on should be a number, and is none or out of range. Some readers end there.
    NoNumber(&'static str),
    /// An extended header without the magic of its format, which some readers take for a file.
    ExtendedOldFormat,
    /// What follows the ustar magic is neither POSIX's version nor GNU tar's: some readers take it for an older format.
    OddVersion,
    /// The mode has bits beyond permissions, setuid, setgid and sticky; they are dropped.
    TypeBits(u32),
    /// A sparse file; it is expanded.
    Sparse,
    /// Records of a sparse file for a member that is none; they are ignored. GNU tar takes the name in them.
    SparseRecords,
    /// A type that engines refuse and that has a plain meaning: a contiguous file (`7`) and a sparse file of GNU tar
    /// (`S`) are regular files, a directory with a list of its content (`D`) is a directory, the name of the archive
    /// (`V`) before the member is skipped, an extended header of Solaris (`X`) is one of POSIX.
    RareType(u8),
    /// A directory without a name: the root.
    EmptyName,
    /// A regular file or directory from before ustar, type NUL.
    OldTypeflag,
    /// A header without the ustar magic.
    OldFormat,
    /// The checksum was made with signed bytes.
    SignedChecksum,
    /// The padding before this place is not all zeros.
    Padding,
    /// The archive ends with its last member's content, which is not padded to a block.
    MissingPadding,
    /// An archive ends with two blocks of zeros; this one has fewer.
    MissingEnd {
        /// How many there are, zero or one.
        found: u8,
    },
    /// Something other than zeros follows the end, starting at this byte of the archive.
    TrailingBytes {
        /// Counted from the beginning of the archive.
        offset: u64,
    },
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Anomaly::AbsoluteName => f.write_str("the name begins with `/`"),
            Anomaly::RedundantComponent => f.write_str("the name has an empty component or a `.`"),
            Anomaly::TrailingSlash => f.write_str("the name ends with `/`, and the type is not directory"),
            Anomaly::FileNamedAsDirectory => {
                f.write_str("a file has the name of a directory, which some readers make of it")
            }
            Anomaly::AbsoluteLink => f.write_str("the target of the hard link begins with `/`"),
            Anomaly::GnuLongName => f.write_str("the name is in a GNU long name header"),
            Anomaly::GnuLongLink => f.write_str("the link target is in a GNU long name header"),
            Anomaly::GnuPrefix => {
                f.write_str("the name has a prefix in a header of GNU tar, which some readers do not read")
            }
            Anomaly::NamedTwice => f.write_str("a GNU long name and a PAX record name the same thing"),
            Anomaly::RepeatedHeader => f.write_str("two extended headers of one kind"),
            Anomaly::GlobalHeader => f.write_str("a global PAX header"),
            Anomaly::GlobalKeyword(keyword) => {
                write!(
                    f,
                    "a global PAX header with `{}`, which some readers apply and others ignore",
                    keyword.escape_ascii()
                )
            }
            Anomaly::UnknownKeyword(keyword) => write!(f, "unknown PAX keyword `{}`", keyword.escape_ascii()),
            Anomaly::ForeignKeyword(keyword) => {
                write!(f, "PAX keyword `{}`, which no runtime applies from a layer", keyword.escape_ascii())
            }
            Anomaly::RepeatedKeyword(keyword) => write!(f, "PAX keyword `{}` comes twice", keyword.escape_ascii()),
            Anomaly::LibarchiveXattr(name) => {
                write!(
                    f,
                    "extended attribute `{}` as `LIBARCHIVE.xattr` alone, which engines do not read",
                    name.escape_ascii()
                )
            }
            Anomaly::ConflictingXattr(name) => {
                write!(f, "extended attribute `{}` has two values", name.escape_ascii())
            }
            Anomaly::ConflictingSize { header, pax } => {
                write!(f, "the size is {header} in the header and {pax} in the PAX record")
            }
            Anomaly::SizeWithoutContent(size) => write!(f, "a type without content has the size {size}"),
            Anomaly::BinaryNumber(field) => write!(f, "the {field} is a binary number"),
            Anomaly::NoNumber(field) => {
                write!(f, "the {field}, which does not matter here, is no number or out of range")
            }
            Anomaly::ExtendedOldFormat => f.write_str("an extended header without the magic of its format"),
            Anomaly::OddVersion => f.write_str("the version after the `ustar` magic is neither `00` nor GNU tar's"),
            Anomaly::TypeBits(mode) => write!(f, "the mode {mode:o} has bits beyond 7777"),
            Anomaly::Sparse => f.write_str("a sparse file"),
            Anomaly::SparseRecords => {
                f.write_str("records of a sparse file without its map, which some readers take the name from")
            }
            Anomaly::RareType(typeflag) => {
                let meaning = match typeflag {
                    b'7' => "a contiguous file",
                    b'S' => "a sparse file of GNU tar",
                    b'D' => "a directory of an incremental archive of GNU tar",
                    b'V' => "the label of the archive before it",
                    _ => "an extended header of Solaris",
                };
                write!(f, "type `{}`, {meaning}, which engines refuse", typeflag.escape_ascii())
            }
            Anomaly::EmptyName => f.write_str("a directory without a name"),
            Anomaly::OldTypeflag => f.write_str("the typeflag is NUL"),
            Anomaly::OldFormat => f.write_str("the header has no `ustar` magic"),
            Anomaly::SignedChecksum => f.write_str("the checksum is a sum of signed bytes"),
            Anomaly::Padding => f.write_str("the padding before it is not zero"),
            Anomaly::MissingPadding => f.write_str("the last content is not filled up to a block"),
            Anomaly::MissingEnd { found } => write!(f, "an end of {found} blocks of zeros instead of two"),
            Anomaly::TrailingBytes { offset } => {
                write!(f, "something other than zeros after it, at byte {offset}")
            }
        }
    }
}
