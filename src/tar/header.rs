//! The 512-byte header block (POSIX.1-2017, pax, "ustar Interchange Format").

use tar::{EntryType, Header};

use crate::tree::Device;

/// The largest number in the seven octal digits of an owner, group or device field.
pub(super) const MAX_ID: u32 = 0o777_7777;
/// The largest number in the eleven octal digits of a size or mtime field.
pub(super) const MAX_LONG: u64 = 0o777_7777_7777;

pub(super) const NAME_LENGTH: usize = 100;
const PREFIX_LENGTH: usize = 155;

/// What a header block says, in the terms of its fields.
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
    /// The block, magic `ustar` and version `00`, user and group names blank. Names that do not fit are cut and numbers
    /// must be at most their maximum: what else there is to say stands in a PAX header before the block.
    pub(super) fn encode(&self) -> Header {
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::new(self.typeflag));
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

/// Copies as many bytes as there is room for. A field that is full has no NUL at its end.
fn fill(field: &mut [u8], bytes: &[u8]) {
    let length = bytes.len().min(field.len());
    field[..length].copy_from_slice(&bytes[..length]);
}

/// Cuts a name into the prefix and name fields, at the last slash that will do; none if there is no such slash.
pub(super) fn split_name(name: &[u8]) -> Option<(&[u8], &[u8])> {
    if name.len() <= NAME_LENGTH {
        return Some((b"", name));
    }
    // The slash at the end of a directory's name is no place to cut: it would leave an empty name.
    let end = (name.len() - 1).min(PREFIX_LENGTH + 1);
    let slash = name[..end].iter().rposition(|byte| *byte == b'/')?;
    let (prefix, rest) = (&name[..slash], &name[slash + 1..]);
    (!prefix.is_empty() && rest.len() <= NAME_LENGTH).then_some((prefix, rest))
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
            (257, b"ustar\000"),
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
}
