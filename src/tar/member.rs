//! A member of an archive, made of its header and the extended headers before it.

use tar::Header;

use crate::error::{Error, Result};
use crate::tar::extended::{Overrides, OwnedRecord};
use crate::tar::header::{
    bytes, has_gnu_prefix, has_magic, name, number, text, Number, NumberForm, DEVICE_MAJOR, DEVICE_MINOR,
};
use crate::tar::{Anomaly, NAME_LIMIT};
use crate::tree::{Device, Entry, Kind, Metadata, TarPath};

/// The mode of every symbolic link on Linux.
const SYMLINK_MODE: u16 = 0o777;

/// One member of an archive, with its headers read and its content still to come.
#[derive(Debug)]
pub struct Member {
    /// The entry, or why the member cannot become one, with its name and place. Reading can go on in either case.
    pub entry: Result<Entry>,
    /// The name as it is stored.
    pub name: Vec<u8>,
    /// Where the first of its headers begins, counted from the beginning of the archive.
    pub offset: u64,
    /// Where its stored content begins. A sparse file ([`Anomaly::Sparse`]) stores less than it holds.
    pub content_offset: u64,
    /// How many bytes are stored there. Directories with a list of their content have some, too.
    pub content_size: u64,
    /// Its ACL, label or file flags: PAX keywords and their values ([`Anomaly::ForeignKeyword`]). They are meant for a
    /// filesystem; runtimes do not apply them from a layer.
    pub unapplied: Vec<OwnedRecord>,
    /// What is odd about it, or about the padding before it.
    pub anomalies: Vec<Anomaly>,
}

/// Returns whether content follows the header. Types without content may still have a size; the runtimes that unpack
/// layers then skip no content.
pub(super) fn has_content(typeflag: u8) -> bool {
    !matches!(typeflag, b'1'..=b'6')
}

/// Returns the name in effect: that of the sparse records, else of the extended headers, else of the header.
pub(super) fn member_name(header: &Header, overrides: &mut Overrides, anomalies: &mut Vec<Anomaly>) -> Vec<u8> {
    drop_sparse_records(header.as_old().linkflag[0], overrides, anomalies);
    let sparse = overrides.sparse.as_ref().and_then(|sparse| sparse.name.clone());
    sparse.or_else(|| overrides.path.clone()).unwrap_or_else(|| {
        if has_gnu_prefix(header) {
            anomalies.push(Anomaly::GnuPrefix);
        }
        name(header)
    })
}

/// Drops the records of a sparse file where Go's readers ignore them: without a map, or beside a header that has its
/// own. Other readers take the name in them.
fn drop_sparse_records(typeflag: u8, overrides: &mut Overrides, anomalies: &mut Vec<Anomaly>) {
    let Some(sparse) = &overrides.sparse else { return };
    let (is_mapped, is_file) = (sparse.is_mapped(), has_content(typeflag));
    if is_mapped && !is_file {
        overrides.problem.get_or_insert_with(|| "only a regular file can be sparse".to_owned());
    } else if typeflag == b'S' || !(is_mapped || (sparse.has_size() && is_file)) {
        anomalies.push(Anomaly::SparseRecords);
        overrides.sparse = None;
    }
}

/// Makes an entry from header and overrides; `size` is the number of bytes that a regular file holds. The error says
/// what is wrong; the caller says with what.
pub(super) fn entry(
    header: &Header,
    overrides: Overrides,
    name: &[u8],
    size: u64,
    anomalies: &mut Vec<Anomaly>,
) -> Result<Entry, String> {
    let fields = header.as_old();
    if !has_magic(header) {
        anomalies.push(Anomaly::OldFormat);
    }
    let kind = kind(header, &overrides, name, size, anomalies)?;
    let path = path(name, &kind, anomalies)?;
    let mode = mode(&fields.mode, anomalies)?;
    let metadata = Metadata {
        // Linux has no other mode for symbolic links, whatever an archive says; some writers say 0644.
        mode: if matches!(kind, Kind::Symlink { .. }) { SYMLINK_MODE } else { mode },
        uid: id("uid", overrides.uid, &fields.uid, anomalies)?,
        gid: id("gid", overrides.gid, &fields.gid, anomalies)?,
        mtime: match overrides.mtime {
            Some(mtime) => mtime,
            None => field::<i64>("mtime", None, &fields.mtime, anomalies)?.into(),
        },
        xattrs: overrides.xattrs,
    };
    match overrides.problem {
        Some(problem) => Err(problem),
        None => Ok(Entry { path, metadata, kind }),
    }
}

/// Returns a number of the header, unless an extended header gives it.
pub(super) fn field<T: TryFrom<i128>>(
    what: &'static str,
    given: Option<T>,
    bytes: &[u8],
    anomalies: &mut Vec<Anomaly>,
) -> Result<T, String> {
    if let Some(given) = given {
        return Ok(given);
    }
    let Number { value, form } =
        number(bytes).ok_or_else(|| format!("the {what} should be a number, found `{}`", bytes.escape_ascii()))?;
    if form == NumberForm::Binary {
        anomalies.push(Anomaly::BinaryNumber(what));
    }
    T::try_from(value).map_err(|_| format!("the {what} {value} is out of range"))
}

/// Returns an owner or group. The largest number stands for "unchanged" in chown(2), which would leave the file to
/// whoever unpacks it.
fn id(what: &'static str, given: Option<u32>, bytes: &[u8], anomalies: &mut Vec<Anomaly>) -> Result<u32, String> {
    match field(what, given, bytes, anomalies)? {
        u32::MAX => Err(format!("the {what} {} stands for nobody", u32::MAX)),
        id => Ok(id),
    }
}

fn mode(bytes: &[u8], anomalies: &mut Vec<Anomaly>) -> Result<u16, String> {
    let mode: u32 = field("mode", None, bytes, anomalies)?;
    if mode > 0o7777 {
        anomalies.push(Anomaly::TypeBits(mode));
    }
    Ok((mode & 0o7777) as u16)
}

fn kind(
    header: &Header,
    overrides: &Overrides,
    name: &[u8],
    size: u64,
    anomalies: &mut Vec<Anomaly>,
) -> Result<Kind, String> {
    let link = || match overrides.link.as_deref().unwrap_or_else(|| text(&header.as_old().linkname)) {
        link if link.len() > NAME_LIMIT => Err(format!("a target goes up to {NAME_LIMIT} bytes, found {}", link.len())),
        link => Ok(link),
    };
    match header.as_old().linkflag[0] {
        typeflag @ (0 | b'0' | b'7' | b'S') => {
            match typeflag {
                0 => anomalies.push(Anomaly::OldTypeflag),
                b'7' | b'S' => anomalies.push(Anomaly::RareType(typeflag)),
                _ => {}
            }
            // Before ustar, a slash at the end distinguished directories from files; most readers still go by it.
            if !name.ends_with(b"/") {
                return Ok(Kind::File { size });
            }
            if size > 0 || matches!(typeflag, b'7' | b'S') {
                return Err("a file has the name of a directory: readers differ in which they take it for".to_owned());
            }
            if typeflag != 0 {
                anomalies.push(Anomaly::FileNamedAsDirectory);
            }
            Ok(Kind::Directory)
        }
        b'1' => {
            let link = link()?;
            let target = TarPath::parse(link).map_err(|error| format!("the target of the hard link: {error}"))?;
            if target.is_root() {
                return Err("a hard link needs a target".to_owned());
            }
            if link.starts_with(b"/") {
                anomalies.push(Anomaly::AbsoluteLink);
            }
            Ok(Kind::Hardlink { target: target.into() })
        }
        b'2' => match link()? {
            b"" => Err("a symbolic link needs a target".to_owned()),
            target if target.contains(&0) => Err("a NUL byte is part of the target".to_owned()),
            target => Ok(Kind::Symlink { target: target.into() }),
        },
        b'3' => Ok(Kind::CharDevice(device(header, overrides, anomalies)?)),
        b'4' => Ok(Kind::BlockDevice(device(header, overrides, anomalies)?)),
        b'5' => Ok(Kind::Directory),
        typeflag @ b'D' => {
            anomalies.push(Anomaly::RareType(typeflag));
            Ok(Kind::Directory)
        }
        b'6' => Ok(Kind::Fifo),
        b'M' => Err("the rest of a file is in another volume".to_owned()),
        other => Err(format!("a layer holds no members of type `{}`", other.escape_ascii())),
    }
}

fn device(header: &Header, overrides: &Overrides, anomalies: &mut Vec<Anomaly>) -> Result<Device, String> {
    // The fields are in the same place with and without the POSIX magic.
    let major = field("device major", overrides.device_major, bytes(header, DEVICE_MAJOR), anomalies)?;
    let minor = field("device minor", overrides.device_minor, bytes(header, DEVICE_MINOR), anomalies)?;
    Device::checked(major, minor)
}

fn path(name: &[u8], kind: &Kind, anomalies: &mut Vec<Anomaly>) -> Result<TarPath, String> {
    if name.is_empty() {
        if *kind != Kind::Directory {
            return Err("it has no name".to_owned());
        }
        anomalies.push(Anomaly::EmptyName);
        return Ok(TarPath::root());
    }
    // Each of its directories may have to be made.
    if name.len() > NAME_LIMIT {
        return Err(format!("a name goes up to {NAME_LIMIT} bytes, found {}", name.len()));
    }
    let path = TarPath::parse(name).map_err(|error| match error {
        Error::Malformed { reason, .. } => reason,
        other => other.to_string(),
    })?;
    if path.is_root() && *kind != Kind::Directory {
        return Err("the root of an image can only be a directory".to_owned());
    }
    if name.starts_with(b"/") {
        anomalies.push(Anomaly::AbsoluteName);
    }
    let rest = name.strip_prefix(b"./").or(name.strip_prefix(b"/")).unwrap_or(name);
    let rest = rest.strip_suffix(b"/").unwrap_or(rest);
    let mut components = rest.split(|byte| *byte == b'/');
    if !path.is_root() && components.any(|component| matches!(component, b"" | b".")) {
        anomalies.push(Anomaly::RedundantComponent);
    }
    if name.ends_with(b"/") && *kind != Kind::Directory {
        anomalies.push(Anomaly::TrailingSlash);
    }
    Ok(path)
}
