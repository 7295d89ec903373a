//! The header blocks of an entry: ustar, and PAX only for what ustar cannot express.

use tar::Header;

use crate::error::{Error, ErrorKind, Result};
use crate::tar::header::{split_name, Fields, MAX_ID, MAX_LONG, NAME_LENGTH};
use crate::tar::pax::{Records, XATTR};
use crate::tar::{padding, EXTENDED_HEADER_LIMIT};
use crate::tree::{Device, Entry, Kind, Mtime, TarPath};

/// The name of every extended header. Only readers without PAX see it, as one file that they overwrite.
const EXTENDED_HEADER_NAME: &[u8] = b"PaxHeaders/0";

/// Whether a record can have the name of an extended attribute.
pub(crate) fn is_storable(attribute: &[u8]) -> bool {
    !(attribute.is_empty() || attribute.contains(&b'=') || attribute.contains(&0))
}

/// Appends the blocks before an entry's content to `blocks`.
pub(super) fn headers(entry: &Entry, blocks: &mut Vec<u8>) -> Result<()> {
    let refused = |reason: &str| Err(cannot_store(&entry.path, reason));
    let name = member_name(entry);
    let mut typeflag = b'0';
    let mut link: &[u8] = b"";
    let mut device = Device::default();
    match &entry.kind {
        Kind::File { .. } => {}
        Kind::Directory => typeflag = b'5',
        Kind::Symlink { target } => (typeflag, link) = (b'2', target),
        Kind::Hardlink { target } => (typeflag, link) = (b'1', target.as_bytes()),
        Kind::CharDevice(numbers) => (typeflag, device) = (b'3', *numbers),
        Kind::BlockDevice(numbers) => (typeflag, device) = (b'4', *numbers),
        Kind::Fifo => typeflag = b'6',
    }
    if entry.path.is_root() && entry.kind != Kind::Directory {
        return refused("the root of an image can only be a directory");
    }
    if matches!(entry.kind, Kind::Symlink { .. } | Kind::Hardlink { .. }) && (link.is_empty() || link.contains(&0)) {
        return refused("a link needs a target, one or more bytes other than NUL");
    }
    if let Err(reason) = Device::checked(device.major, device.minor) {
        return refused(&reason);
    }
    let metadata = &entry.metadata;
    if metadata.uid == u32::MAX || metadata.gid == u32::MAX {
        return refused(&format!("the owner {} stands for nobody: chown(2) takes it for \"unchanged\"", u32::MAX));
    }

    let mut records = Records::default();
    for (attribute, value) in &metadata.xattrs {
        if !is_storable(attribute) {
            let attribute = attribute.escape_ascii();
            return refused(&format!(
                "the name of an extended attribute has one or more bytes other than `=` and NUL, found `{attribute}`"
            ));
        }
        records.insert([XATTR, attribute].concat(), &**value);
    }
    if split_name(&name).is_none() {
        insert_name(&mut records, "path", &name);
    }
    if link.len() > NAME_LENGTH {
        insert_name(&mut records, "linkpath", link);
    }
    let header = Fields {
        typeflag,
        name: &name,
        link,
        mode: metadata.mode,
        uid: fitting(&mut records, "uid", metadata.uid.into(), MAX_ID.into()) as u32,
        gid: fitting(&mut records, "gid", metadata.gid.into(), MAX_ID.into()) as u32,
        size: fitting(&mut records, "size", entry.size().into(), MAX_LONG),
        mtime: time(&mut records, metadata.mtime),
        device,
    }
    .encode();

    if !records.is_empty() {
        let body = records.encode();
        let size = body.len() as u64;
        if size > EXTENDED_HEADER_LIMIT {
            return refused(&format!(
                "long names and extended attributes may have {EXTENDED_HEADER_LIMIT} bytes together, found {size}"
            ));
        }
        blocks.extend_from_slice(extended_header(size).as_bytes());
        blocks.extend_from_slice(&body);
        blocks.resize(blocks.len().saturating_add(padding(size)), 0);
    }
    blocks.extend_from_slice(header.as_bytes());
    Ok(())
}

/// Returns the error that a layer cannot hold an entry.
pub(super) fn cannot_store(path: &TarPath, reason: &str) -> Error {
    Error::refused(format!("cannot store `{path}`: {reason}")).of_kind(ErrorKind::Unsupported)
}

/// Returns the name: `./` for the root, with a slash at the end for directories.
fn member_name(entry: &Entry) -> Vec<u8> {
    let mut name = if entry.path.is_root() { vec![b'.'] } else { entry.path.as_bytes().to_vec() };
    if entry.kind == Kind::Directory {
        name.push(b'/');
    }
    name
}

/// Records are UTF-8 unless the header says otherwise before the first that is not: `hdrcharset` sorts before the keys
/// of names.
fn insert_name(records: &mut Records, key: &str, name: &[u8]) {
    if std::str::from_utf8(name).is_err() {
        records.insert("hdrcharset", "BINARY");
    }
    records.insert(key, name);
}

/// Returns the value of the ustar field: the number, or zero if it needs a record.
fn fitting(records: &mut Records, key: &str, number: i128, max: u64) -> u64 {
    match u64::try_from(number) {
        Ok(number) if number <= max => number,
        _ => {
            records.insert(key, number.to_string());
            0
        }
    }
}

/// Returns the whole seconds, and adds a record if the time has a fraction.
fn time(records: &mut Records, mtime: Mtime) -> u64 {
    let seconds = fitting(records, "mtime", mtime.seconds().into(), MAX_LONG);
    if mtime != mtime.whole() {
        records.insert("mtime", mtime.to_string());
    }
    seconds
}

fn extended_header(size: u64) -> Header {
    Fields {
        typeflag: b'x',
        name: EXTENDED_HEADER_NAME,
        link: b"",
        mode: 0o644,
        uid: 0,
        gid: 0,
        size,
        mtime: 0,
        device: Device::default(),
    }
    .encode()
}
