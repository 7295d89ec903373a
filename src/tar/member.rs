use tar::Header;

use crate::error::{Error, Result};
use crate::tar::extended::{Overrides, Record};
use crate::tar::header::{has_magic, name, number, text, Form, Number, DEVICE_MAJOR, DEVICE_MINOR};
use crate::tar::{Anomaly, NAME_LIMIT};
use crate::tree::{Device, Entry, Kind, Metadata, TarPath};

/// One member of an archive, headers read and content still to come.
#[derive(Debug)]
pub struct Member {
    /// The entry; or why none can be made of the member, with its name and place. Reading can go on in either case.
    pub entry: Result<Entry>,
    /// The name as it is stored.
    pub name: Vec<u8>,
    /// Where the first of its headers begins, counted from the beginning of the archive.
    pub offset: u64,
    /// Where its stored content begins. Of a sparse file ([`Anomaly::Sparse`]), less is stored than it holds.
    pub content_offset: u64,
    /// What it says of an ACL, a label or file flags: PAX keywords and their values ([`Anomaly::ForeignKeyword`]). A
    /// filesystem would have it; runtimes do not apply it from a layer.
    pub unapplied: Vec<Record>,
    /// What is odd about it, or about the padding before it.
    pub anomalies: Vec<Anomaly>,
}

/// Whether content follows the header. Types without content may come with a size all the same, and the runtimes that
/// unpack layers pass over none then.
pub(super) fn has_content(typeflag: u8) -> bool {
    !matches!(typeflag, b'1'..=b'6')
}

/// The name that holds: of the sparse records, of the extended headers, of the header.
pub(super) fn member_name(header: &Header, overrides: &Overrides) -> Vec<u8> {
    let sparse = overrides.sparse.as_ref().and_then(|sparse| sparse.name.clone());
    sparse.or_else(|| overrides.path.clone()).unwrap_or_else(|| name(header))
}

/// Makes an entry of header and overrides, `size` the number of bytes that a regular file holds. The error says what is
/// wrong, and leaves it to the caller to say with what.
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
    let metadata = Metadata {
        mode: mode(&fields.mode, anomalies)?,
        uid: field("uid", overrides.uid, &fields.uid, anomalies)?,
        gid: field("gid", overrides.gid, &fields.gid, anomalies)?,
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

/// A number of the header, unless an extended header gave it.
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
    if form == Form::Binary {
        anomalies.push(Anomaly::BinaryNumber(what));
    }
    T::try_from(value).map_err(|_| format!("the {what} {value} is out of range"))
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
                b'7' => anomalies.push(Anomaly::ContiguousFile),
                _ => {}
            }
            // Before ustar, a slash at the end was what told directories from files; most readers still go by it.
            if !name.ends_with(b"/") {
                return Ok(Kind::File { size });
            }
            if typeflag != 0 {
                anomalies.push(Anomaly::TrailingSlash);
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
            Ok(Kind::Hardlink { target })
        }
        b'2' => match link()? {
            b"" => Err("a symbolic link needs a target".to_owned()),
            target if target.contains(&0) => Err("a NUL byte is part of the target".to_owned()),
            target => Ok(Kind::Symlink { target: target.into() }),
        },
        b'3' => Ok(Kind::CharDevice(device(header, overrides, anomalies)?)),
        b'4' => Ok(Kind::BlockDevice(device(header, overrides, anomalies)?)),
        b'5' => Ok(Kind::Directory),
        b'D' => {
            anomalies.push(Anomaly::DumpDirectory);
            Ok(Kind::Directory)
        }
        b'6' => Ok(Kind::Fifo),
        b'M' => Err("the rest of a file stands in another volume".to_owned()),
        other => Err(format!("a layer holds no members of type `{}`", other.escape_ascii())),
    }
}

fn device(header: &Header, overrides: &Overrides, anomalies: &mut Vec<Anomaly>) -> Result<Device, String> {
    // Where the fields stand is the same with and without the magic of POSIX.
    let bytes = header.as_bytes();
    Ok(Device {
        major: field("device major", overrides.device_major, &bytes[DEVICE_MAJOR], anomalies)?,
        minor: field("device minor", overrides.device_minor, &bytes[DEVICE_MINOR], anomalies)?,
    })
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
