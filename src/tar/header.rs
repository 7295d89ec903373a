//! The 512-byte header block (POSIX.1-2017, pax, "ustar Interchange Format").

use std::ops::Range;

use tar::Header;

use crate::tar::Anomaly;
use crate::tree::Device;

/// The largest number in the seven octal digits of an owner, group or device field.
pub(super) const MAX_ID: u32 = 0o777_7777;
/// The largest number in the eleven octal digits of a size or mtime field.
pub(super) const MAX_LONG: u64 = 0o777_7777_7777;

pub(super) const NAME_LENGTH: usize = 100;
const PREFIX_LENGTH: usize = 155;

const MAGIC: Range<usize> = 257..263;
const MAGIC_AND_VERSION: Range<usize> = 257..265;
pub(super) const DEVICE_MAJOR: Range<usize> = 329..337;
pub(super) const DEVICE_MINOR: Range<usize> = 337..345;
const PREFIX: Range<usize> = 345..345 + PREFIX_LENGTH;
const GNU_ATIME: Range<usize> = 345..357;
const GNU_CTIME: Range<usize> = 357..369;

/// The fields of a header block.
pub(super) struct Fields<'a> {
    pub(super) typeflag: u8,
    pub(super) name: &'a [u8],
    pub(super) link: &'a [u8],
    pub(super) mode: u16,
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) size: u64,
    pub(super) mtime: u64,
    pub(super) device: Device,
}

impl Fields<'_> {
    /// Returns the block, with magic `ustar` and version `00`, and blank user and group names. Names that do not fit
    /// are cut, and numbers must be at most their maximum: a PAX header before the block says the rest.
    pub(super) fn encode(&self) -> Header {
        let mut header = Header::new_ustar();
        header.as_old_mut().linkflag = [self.typeflag];
        header.set_mode(u32::from(self.mode & 0o7777));
        header.set_uid(self.uid.min(MAX_ID).into());
        header.set_gid(self.gid.min(MAX_ID).into());
        header.set_size(self.size.min(MAX_LONG));
        header.set_mtime(self.mtime.min(MAX_LONG));
        fill(&mut header.as_old_mut().linkname, self.link);
        let (prefix, name) = split_name(self.name).unwrap_or((b"", self.name));
        fill(&mut header.as_old_mut().name, name);
        if let Some(ustar) = header.as_ustar_mut() {
            fill(&mut ustar.prefix, prefix);
            ustar.set_device_major(self.device.major.min(MAX_ID));
            ustar.set_device_minor(self.device.minor.min(MAX_ID));
        }
        header.set_cksum();
        header
    }
}

/// Copies as many bytes as fit. A full field has no NUL at its end.
fn fill(field: &mut [u8], bytes: &[u8]) {
    for (to, from) in field.iter_mut().zip(bytes) {
        *to = *from;
    }
}

/// Splits a name into the prefix and name fields at the last suitable slash; returns `None` if there is none.
pub(super) fn split_name(name: &[u8]) -> Option<(&[u8], &[u8])> {
    if name.len() <= NAME_LENGTH {
        return Some((b"", name));
    }
    // Not at the slash at the end of a directory's name: it would leave an empty name.
    let (_, before) = name.split_last()?;
    let slash = before.iter().take(PREFIX_LENGTH + 1).rposition(|byte| *byte == b'/')?;
    let (prefix, rest) = name.split_at(slash);
    let rest = rest.strip_prefix(b"/")?;
    (!prefix.is_empty() && rest.len() <= NAME_LENGTH).then_some((prefix, rest))
}

/// How the bytes of a header were added up. POSIX says unsigned; some old writers used signed ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeaderChecksum {
    Unsigned,
    Signed,
}

/// Returns which checksum a header has, or `None` if it has neither.
pub(super) fn checksum(header: &Header) -> Option<HeaderChecksum> {
    let stored = i32::try_from(number(&header.as_old().cksum)?.value).ok()?;
    if stored == sum(header, i32::from) {
        return Some(HeaderChecksum::Unsigned);
    }
    (stored == sum(header, |byte| i32::from(i8::from_ne_bytes([byte])))).then_some(HeaderChecksum::Signed)
}

/// Adds up the bytes of a header, with blanks in the place of its checksum.
fn sum(header: &Header, value: impl Fn(u8) -> i32) -> i32 {
    let total = |bytes: &[u8]| {
        let mut total = 0_i32;
        // A plain loop: it runs for every header, and in tests without optimisation.
        for byte in bytes {
            total = total.wrapping_add(value(*byte));
        }
        total
    };
    let stored = &header.as_old().cksum;
    total(header.as_bytes()).wrapping_sub(total(stored)).wrapping_add(total(&stored.map(|_| b' ')))
}

/// Returns a field without a name in the layout of the header, or in more than one.
pub(super) fn bytes(header: &Header, field: Range<usize>) -> &[u8] {
    header.as_bytes().get(field).unwrap_or_default()
}

/// Returns whether the header has the magic of ustar (or of GNU tar, which differs in the next byte).
pub(super) fn has_magic(header: &Header) -> bool {
    bytes(header, MAGIC).starts_with(b"ustar")
}

/// Returns whether the magic is GNU tar's.
pub(super) fn has_gnu_magic(header: &Header) -> bool {
    bytes(header, MAGIC_AND_VERSION) == b"ustar  \0"
}

/// Returns whether the magic is followed by a version that no format has.
pub(super) fn has_odd_version(header: &Header) -> bool {
    has_magic(header) && !matches!(bytes(header, MAGIC_AND_VERSION), b"ustar\x0000" | b"ustar  \0")
}

/// Returns the name, with the prefix before it. GNU headers have times in place of the prefix.
pub(super) fn name(header: &Header) -> Vec<u8> {
    let name = text(&header.as_old().name);
    let has_prefix = bytes(header, MAGIC) == b"ustar\0" || has_gnu_prefix(header);
    match text(bytes(header, PREFIX)) {
        prefix if has_prefix && !prefix.is_empty() => [prefix, b"/", name].concat(),
        _ => name.to_vec(),
    }
}

/// Returns whether a header of GNU tar has a prefix all the same, as Go before 1.8 wrote it for long names beside
/// binary numbers. Go's rule: the times are no numbers, and what stands in their place is ASCII.
pub(super) fn has_gnu_prefix(header: &Header) -> bool {
    let prefix = text(bytes(header, PREFIX));
    let is_time = |field| match bytes(header, field) {
        [0, ..] => true,
        // What follows a NUL does not matter to Go.
        time if time.is_ascii() => number(text(time)).is_some(),
        time => number(time).is_some(),
    };
    has_gnu_magic(header) && !prefix.is_empty() && prefix.is_ascii() && !(is_time(GNU_ATIME) && is_time(GNU_CTIME))
}

/// Returns a text field, up to the first NUL.
pub(super) fn text(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// A number, and how it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Number {
    pub(super) value: i128,
    pub(super) form: NumberForm,
}

/// The forms of numbers in headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NumberForm {
    /// Digits, as POSIX says.
    Octal,
    /// Big-endian two's complement in all bits but the first, as in GNU tar.
    Binary,
}

/// Reads a field of at most 15 bytes. Octal digits may follow spaces and end at a space, a NUL or the end of the field;
/// an empty field is zero.
pub(super) fn number(field: &[u8]) -> Option<Number> {
    if let Some((first, rest)) = field.split_first().filter(|(first, _)| **first & 0x80 != 0) {
        let sign = if first & 0x40 == 0 { 0 } else { -1 };
        let first = (sign << 7) | i128::from(first & 0x7f);
        let value = rest.iter().fold(first, |value, byte| (value << 8) | i128::from(*byte));
        return Some(Number { value, form: NumberForm::Binary });
    }
    let is_blank = |byte: &u8| matches!(byte, b' ' | 0);
    let (_, field) = field.split_at(field.iter().take_while(|byte| **byte == b' ').count());
    let (digits, rest) = field.split_at(field.iter().take_while(|byte| !is_blank(byte)).count());
    if !rest.iter().all(is_blank) || !digits.iter().all(|byte| matches!(byte, b'0'..=b'7')) {
        return None;
    }
    let value = digits.iter().fold(0, |value, digit| (value << 3) | i128::from(digit & 7));
    Some(Number { value, form: NumberForm::Octal })
}

/// The fields that should be numbers and are none, or none that the system has room for. The size is not among them,
/// since nothing is read without it.
pub(super) fn no_numbers(header: &Header) -> impl Iterator<Item = Anomaly> + '_ {
    let fields = header.as_old();
    let fields = [
        ("mode", &fields.mode[..]),
        ("uid", &fields.uid),
        ("gid", &fields.gid),
        ("mtime", &fields.mtime),
        ("device major", bytes(header, DEVICE_MAJOR)),
        ("device minor", bytes(header, DEVICE_MINOR)),
    ];
    let is_number = |name: &str, field: &[u8]| {
        let in_range =
            |value: i128| if name == "mtime" { i64::try_from(value).is_ok() } else { u32::try_from(value).is_ok() };
        number(field).is_some_and(|number| in_range(number.value))
    };
    fields.into_iter().filter(move |(name, field)| !is_number(name, field)).map(|(name, _)| Anomaly::NoNumber(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_split_where_both_parts_fit() {
        let x = |n: usize| "x".repeat(n);
        let table = [
            (x(1), Some((0, 1))),
            (x(99), Some((0, 99))),
            (x(100), Some((0, 100))),
            (x(101), None),
            (x(99) + "/", Some((0, 100))),
            (x(100) + "/", None),
            (format!("a/{}", x(99)), Some((1, 99))),
            (format!("a/{}", x(100)), Some((1, 100))),
            (format!("a/{}", x(101)), None),
            (format!("a/{}/", x(99)), Some((1, 100))),
            (format!("a/{}/", x(100)), None),
            (format!("{}/{}", x(154), x(100)), Some((154, 100))),
            (format!("{}/{}", x(155), x(99)), Some((155, 99))),
            (format!("{}/{}", x(155), x(100)), Some((155, 100))),
            (format!("{}/{}", x(156), x(98)), None),
            (format!("{}/{}", x(155), x(101)), None),
            (format!("{}/b/{}", x(100), x(50)), Some((102, 50))),
            (format!("{}/b/{}/", x(100), x(50)), Some((102, 51))),
            (format!("{}/{}/", x(155), x(99)), Some((155, 100))),
            (format!("{}/{}", x(150), "b/".repeat(53)), None),
            (format!("{}/{}", x(150), "b/".repeat(52)), Some((154, 100))),
            (format!("/{}", x(100)), None),
        ];
        for (name, expected) in table {
            let parts = split_name(name.as_bytes());
            assert_eq!(
                parts.map(|(prefix, rest)| (prefix.len(), rest.len())),
                expected,
                "{} bytes: {name}",
                name.len()
            );
            if let Some((prefix, rest)) = parts.filter(|(prefix, _)| !prefix.is_empty()) {
                assert_eq!([prefix, b"/", rest].concat(), name.as_bytes());
            }
        }
    }

    #[test]
    fn a_block_holds_every_field_in_its_place() {
        let header = Fields {
            typeflag: b'4',
            name: b"dev/sda",
            link: b"",
            mode: 0o4755,
            uid: MAX_ID,
            gid: 1,
            size: MAX_LONG,
            mtime: MAX_LONG,
            device: Device { major: 8, minor: MAX_ID },
        }
        .encode();
        let block = header.as_bytes();
        let table: [(usize, &[u8]); 13] = [
            (0, b"dev/sda\0\0"),
            (100, b"0004755\0"),
            (108, b"7777777\0"),
            (116, b"0000001\0"),
            (124, b"77777777777\0"),
            (136, b"77777777777\0"),
            (156, b"4"),
            (157, b"\0"),
            (257, b"ustar\x0000"),
            (265, &[0; 64]),
            (329, b"0000010\0"),
            (337, b"7777777\0"),
            (345, &[0; 167]),
        ];
        for (offset, expected) in table {
            assert_eq!(
                block[offset..offset + expected.len()].escape_ascii().to_string(),
                expected.escape_ascii().to_string(),
                "at {offset}"
            );
        }
        let as_if_blank = |(at, byte): (usize, &u8)| if (148..156).contains(&at) { 32 } else { u32::from(*byte) };
        assert_eq!(header.cksum().unwrap(), block.iter().enumerate().map(as_if_blank).sum::<u32>());
    }

    #[test]
    fn numbers_in_all_their_forms() {
        let octal = |value| Some(Number { value, form: NumberForm::Octal });
        let binary = |value| Some(Number { value, form: NumberForm::Binary });
        let table: [(&[u8], Option<Number>); 20] = [
            (b"0000644\0", octal(0o644)),
            (b"0000644 ", octal(0o644)),
            (b"   644 \0", octal(0o644)),
            (b"644\0\0\0\0\0", octal(0o644)),
            (b"77777777", octal(0o7777_7777)),
            (b"777777777777", octal(0o7777_7777_7777)),
            (b"\0\0\0\0\0\0\0\0", octal(0)),
            (b"        ", octal(0)),
            (b"64 4\0\0\0\0", None),
            (b"644\0x\0\0\0", None),
            (b"0000648\0", None),
            (b"-000001\0", None),
            (b"+000001\0", None),
            (b"0x00001\0", None),
            (b"\x80\0\0\0\0\x20\0\0", binary(2_097_152)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff", binary(-1)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe", binary(-2)),
            (b"\xbf\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", binary((1 << 94) - 1)),
            (b"\xc0\0\0\0\0\0\0\0\0\0\0\0", binary(-(1 << 94))),
            (b"", octal(0)),
        ];
        for (field, expected) in table {
            assert_eq!(number(field), expected, "{}", field.escape_ascii());
        }
    }

    #[test]
    fn both_checksums_are_known() {
        let mut header = Header::new_ustar();
        header.as_old_mut().name[0] = 0xff;
        header.set_cksum();
        assert_eq!(checksum(&header), Some(HeaderChecksum::Unsigned));
        let sum = header.cksum().unwrap();
        let mut store = |sum: u32| {
            header.as_old_mut().cksum.copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            checksum(&header)
        };
        assert_eq!(store(sum - 256), Some(HeaderChecksum::Signed));
        assert_eq!(store(sum - 1), None);
        assert_eq!(store(sum), Some(HeaderChecksum::Unsigned));
    }

    #[test]
    fn what_is_no_time_in_a_header_of_gnu_is_a_prefix() {
        let table: [(&[u8], &[u8]); 9] = [
            (b"a/b", b"a/b/name"),
            (b"a/path/of/forty/bytes/in/both/fields/here", b"a/path/of/forty/bytes/in/both/fields/here/name"),
            (b"00000000007\x0000000000006\0", b"name"),
            (b"00000000007\x0000000000008\0", b"00000000007/name"),
            (b"00000000007 \0rest", b"name"),
            (b"000000000071abc", b"000000000071abc/name"),
            (b"\0\0\0\0\0\0\0\0\0\0\0\0abc", b"name"),
            (b"\x80\0\0\0\0\0\0\0\0\0\0\x01abc", b"name"),
            ("\u{e9}".as_bytes(), b"name"),
        ];
        for (field, expected) in table {
            let mut header = Header::new_gnu();
            header.as_old_mut().name[..4].copy_from_slice(b"name");
            header.as_mut_bytes()[345..345 + field.len()].copy_from_slice(field);
            assert_eq!(name(&header), expected, "{}", field.escape_ascii());
        }
    }

    #[test]
    fn the_prefix_belongs_to_ustar() {
        let mut header = Header::new_ustar();
        header.as_old_mut().name[..4].copy_from_slice(b"name");
        assert_eq!(name(&header), b"name");
        header.as_mut_bytes()[345..351].copy_from_slice(b"prefix");
        assert_eq!(name(&header), b"prefix/name");
        // Another version: not what POSIX says, but still ustar.
        header.as_mut_bytes()[263..265].copy_from_slice(b"\0\0");
        assert_eq!(name(&header), b"prefix/name");
        header.as_mut_bytes()[257..265].copy_from_slice(b"ustar  \0");
        assert!(has_magic(&header));
        assert_eq!(name(&header), b"prefix/name");
        header.as_mut_bytes()[257..265].fill(0);
        assert!(!has_magic(&header));
        assert_eq!(name(&header), b"name");
    }
}
