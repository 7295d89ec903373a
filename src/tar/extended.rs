//! What precedes a member and says more about it: PAX headers, global ones, and the long names of GNU tar.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::tar::header::text;
use crate::tar::sparse::Description;
use crate::tar::{first, libarchive, pax, Anomaly, EXTENDED_HEADER_LIMIT, XATTR_NAMES_LIMIT};
use crate::tree::{Mtime, Xattrs};

/// PAX records that apply to all members that follow.
pub(super) type Globals = BTreeMap<Vec<u8>, Arc<[u8]>>;

/// The most extended headers before one member; the formats define four kinds.
const HEADER_COUNT: usize = 16;

/// The type by which Solaris wrote PAX headers before POSIX had them.
pub(super) const SOLARIS_PAX: u8 = b'X';

/// The kinds of extended headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Extension {
    Pax,
    GlobalPax,
    GnuLongName,
    GnuLongLink,
}

impl Extension {
    pub(super) fn of(typeflag: u8) -> Option<Self> {
        match typeflag {
            b'x' | SOLARIS_PAX => Some(Extension::Pax),
            b'g' => Some(Extension::GlobalPax),
            b'L' => Some(Extension::GnuLongName),
            b'K' => Some(Extension::GnuLongLink),
            _ => None,
        }
    }
}

/// The extended headers of one member, as they are collected.
#[derive(Debug, Default)]
pub(super) struct Extended {
    kinds: BTreeSet<Extension>,
    count: usize,
    records: Vec<(Vec<u8>, Arc<[u8]>)>,
    long_name: Option<Vec<u8>>,
    long_link: Option<Vec<u8>>,
    /// The first record that spoils the member, whatever comes after it.
    problem: Option<String>,
    pub(super) anomalies: Vec<Anomaly>,
}

impl Extended {
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds one header.
    pub(super) fn add(&mut self, kind: Extension, body: &[u8], globals: &mut Globals) -> Result<(), String> {
        self.count = self.count.saturating_add(1);
        if self.count > HEADER_COUNT {
            return Err(format!("a member has up to {HEADER_COUNT} extended headers, found more"));
        }
        if !self.kinds.insert(kind) {
            self.anomalies.push(Anomaly::RepeatedHeader);
        }
        match kind {
            Extension::GnuLongName => {
                self.anomalies.push(Anomaly::GnuLongName);
                self.long_name = Some(text(body).to_vec());
            }
            Extension::GnuLongLink => {
                self.anomalies.push(Anomaly::GnuLongLink);
                self.long_link = Some(text(body).to_vec());
            }
            Extension::Pax => {
                let records = self.parse(body)?;
                self.records.extend(records.iter().map(|(key, value)| (key.to_vec(), Arc::from(*value))));
            }
            Extension::GlobalPax => {
                let before = self.anomalies.len();
                for (key, value) in self.parse(body)? {
                    if is_known(key) && key != b"hdrcharset" {
                        self.anomalies.push(Anomaly::GlobalKeyword(key.into()));
                    }
                    globals.insert(key.to_vec(), value.into());
                }
                if self.anomalies.len() == before {
                    self.anomalies.push(Anomaly::GlobalHeader);
                }
                let size: usize = globals.iter().map(|(key, value)| key.len().saturating_add(value.len())).sum();
                if size as u64 > EXTENDED_HEADER_LIMIT {
                    return Err(format!("global headers go up to {EXTENDED_HEADER_LIMIT} bytes, found {size}"));
                }
            }
        }
        Ok(())
    }

    /// Parses a PAX body and notes its odd keywords.
    fn parse<'a>(&mut self, body: &'a [u8]) -> Result<Vec<pax::Record<'a>>, String> {
        let records = pax::parse(body)?;
        let mut seen = BTreeSet::new();
        for (key, value) in &records {
            if spoils(key, value) {
                self.problem.get_or_insert_with(|| not_accepted(key, value));
                continue;
            }
            let pairs = matches!(*key, b"GNU.sparse.offset" | b"GNU.sparse.numbytes");
            if !seen.insert(*key) && !pairs {
                self.anomalies.push(Anomaly::RepeatedKeyword((*key).into()));
            }
            let charset = *key == b"hdrcharset" && !matches!(*value, b"BINARY" | b"ISO-IR 10646 2000 UTF-8");
            if is_for_filesystems(key) {
                self.anomalies.push(Anomaly::ForeignKeyword((*key).into()));
            } else if charset || !(is_known(key) || is_harmless(key)) {
                self.anomalies.push(Anomaly::UnknownKeyword((*key).into()));
            }
        }
        Ok(records)
    }

    /// How much room the member's own records take, and what it has of global ones, whose values it shares.
    pub(super) fn room(&self, globals: &Globals) -> u64 {
        const MAP_ENTRY: usize = 64;
        let own = self.records.iter().map(|(key, value)| [MAP_ENTRY, key.len(), value.len()]);
        let shared = globals.iter().map(|(key, value)| {
            let is_decoded = key.starts_with(libarchive::XATTR);
            [MAP_ENTRY, key.len(), if is_decoded { value.len() } else { 0 }]
        });
        own.chain(shared).flatten().sum::<usize>() as u64
    }

    /// What all headers together say. A record of the member holds over a global one, a PAX record over a GNU name.
    ///
    /// After an error, the start of the next member is unknown.
    pub(super) fn resolve(self, globals: &Globals) -> Result<Overrides, String> {
        let mut overrides = Overrides { anomalies: self.anomalies, problem: self.problem, ..Overrides::default() };
        let own: BTreeSet<&[u8]> = self.records.iter().map(|(key, _)| key.as_slice()).collect();
        for (key, value) in globals.iter().filter(|(key, _)| !own.contains(key.as_slice())) {
            overrides.apply(key, value)?;
        }
        for (key, value) in &self.records {
            overrides.apply(key, value)?;
        }
        overrides.add_libarchive_xattrs();
        let names: usize = overrides.xattrs.keys().map(|name| name.len().saturating_add(1)).sum();
        if names > XATTR_NAMES_LIMIT {
            let reason = format!("the names of its attributes go up to {XATTR_NAMES_LIMIT} bytes, found {names}");
            overrides.problem.get_or_insert(reason);
        }
        for (gnu, pax) in [(self.long_name, &mut overrides.path), (self.long_link, &mut overrides.link)] {
            match (gnu, &pax) {
                (Some(_), Some(_)) => overrides.anomalies.push(Anomaly::NamedTwice),
                (Some(gnu), None) => *pax = Some(gnu),
                (None, _) => {}
            }
        }
        Ok(overrides)
    }
}

/// A keyword and its value.
pub(crate) type OwnedRecord = (Box<[u8]>, Box<[u8]>);

/// What extended headers say in place of the header of a member.
#[derive(Debug, Default)]
pub(super) struct Overrides {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    pub(super) mtime: Option<Mtime>,
    pub(super) device_major: Option<u32>,
    pub(super) device_minor: Option<u32>,
    pub(super) xattrs: Xattrs,
    pub(super) sparse: Option<Description>,
    /// See [`crate::tar::Member::unapplied`].
    pub(super) unapplied: Vec<OwnedRecord>,
    pub(super) anomalies: Vec<Anomaly>,
    /// The first reason why the member cannot become an entry.
    pub(super) problem: Option<String>,
    libarchive_xattrs: Xattrs,
}

impl Overrides {
    fn apply(&mut self, key: &[u8], value: &Arc<[u8]>) -> Result<(), String> {
        if let Some(name) = key.strip_prefix(pax::XATTR) {
            if is_xattr_name(name) {
                self.xattrs.insert(name.to_vec(), Arc::clone(value));
            } else {
                self.refuse(key, value);
            }
        } else if let Some(name) = key.strip_prefix(libarchive::XATTR) {
            match (libarchive::decode_name(name), libarchive::decode_value(value)) {
                (Some(name), Some(value)) if is_xattr_name(&name) => {
                    self.libarchive_xattrs.insert(name, value.into());
                }
                _ => self.refuse(key, value),
            }
        } else if let Some(name) = key.strip_prefix(b"GNU.sparse.") {
            if self.sparse.get_or_insert_with(Description::default).apply(name, value).is_none() {
                self.refuse(key, value);
            }
        } else {
            self.apply_field(key, value)?;
        }
        Ok(())
    }

    /// Applies a keyword for a field of the header. An empty value leaves the field to the header.
    fn apply_field(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        let given = !value.is_empty();
        let short = || pax::decimal(value).and_then(|number| u32::try_from(number).ok());
        let field = match key {
            b"path" => {
                self.path = given.then(|| value.to_vec());
                return Ok(());
            }
            b"linkpath" => {
                self.link = given.then(|| value.to_vec());
                return Ok(());
            }
            b"size" => {
                self.size = pax::decimal(value).filter(|size| i64::try_from(*size).is_ok());
                if given && self.size.is_none() {
                    return Err(not_accepted(key, value));
                }
                return Ok(());
            }
            b"mtime" => {
                self.mtime = Mtime::parse(value);
                if given && self.mtime.is_none() {
                    self.refuse(key, value);
                }
                return Ok(());
            }
            _ if is_for_filesystems(key) => {
                self.unapplied.push((key.into(), value.into()));
                return Ok(());
            }
            b"uid" => &mut self.uid,
            b"gid" => &mut self.gid,
            b"SCHILY.devmajor" => &mut self.device_major,
            b"SCHILY.devminor" => &mut self.device_minor,
            _ => return Ok(()),
        };
        *field = short();
        if given && field.is_none() {
            self.refuse(key, value);
        }
        Ok(())
    }

    fn refuse(&mut self, key: &[u8], value: &[u8]) {
        self.problem.get_or_insert_with(|| not_accepted(key, value));
    }

    fn add_libarchive_xattrs(&mut self) {
        for (name, value) in std::mem::take(&mut self.libarchive_xattrs) {
            match self.xattrs.get(&name) {
                Some(other) if *other != value => self.anomalies.push(Anomaly::ConflictingXattr(name.into())),
                Some(_) => {}
                None => {
                    self.anomalies.push(Anomaly::LibarchiveXattr(name.as_slice().into()));
                    self.xattrs.insert(name, value);
                }
            }
        }
    }
}

/// Returns whether Go's readers end at a record that nothing here is made from, or that another one hides: a NUL byte
/// in a name or a keyword, a time that is no number.
fn spoils(key: &[u8], value: &[u8]) -> bool {
    match key {
        b"path" | b"linkpath" | b"uname" | b"gname" => value.contains(&0),
        b"atime" | b"ctime" => !value.is_empty() && Mtime::parse(value).is_none(),
        _ => key.contains(&0),
    }
}

fn is_xattr_name(name: &[u8]) -> bool {
    !name.is_empty() && !name.contains(&0)
}

fn not_accepted(key: &[u8], value: &[u8]) -> String {
    format!("PAX record `{}`: `{}` is not accepted", key.escape_ascii(), first(value, 40).escape_ascii())
}

/// Returns whether an entry is made from this keyword.
fn is_known(key: &[u8]) -> bool {
    let fields: [&[u8]; 9] = [
        b"path",
        b"linkpath",
        b"size",
        b"uid",
        b"gid",
        b"mtime",
        b"SCHILY.devmajor",
        b"SCHILY.devminor",
        b"hdrcharset",
    ];
    let families: [&[u8]; 3] = [pax::XATTR, libarchive::XATTR, b"GNU.sparse."];
    fields.contains(&key) || families.iter().any(|family| key.starts_with(family))
}

/// Returns whether the keyword is for what a layer does not hold (image-spec, layer.md#file-attributes), as common
/// tools write it.
fn is_harmless(key: &[u8]) -> bool {
    let keywords: [&[u8]; 15] = [
        b"atime",
        b"ctime",
        b"comment",
        b"charset",
        b"uname",
        b"gname",
        b"GNU.dumpdir",
        b"LIBARCHIVE.creationtime",
        b"LIBARCHIVE.symlinktype",
        b"SCHILY.dev",
        b"SCHILY.filetype",
        b"SCHILY.ino",
        b"SCHILY.nlink",
        b"SCHILY.release",
        b"SCHILY.volhdr",
    ];
    let families: [&[u8]; 2] = [b"GNU.volume.", b"MSWINDOWS."];
    keywords.contains(&key) || families.iter().any(|family| key.starts_with(family))
}

/// Returns whether the keyword is for what filesystems have besides the attributes of a layer: ACLs as text, SELinux
/// labels, file flags. No runtime applies it from a layer.
fn is_for_filesystems(key: &[u8]) -> bool {
    key.starts_with(b"SCHILY.acl.") || matches!(key, b"RHT.security.selinux" | b"SCHILY.fflags")
}
