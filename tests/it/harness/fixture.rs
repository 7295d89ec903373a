//! `tests/fixtures/*.tree`: a rootfs as text, one line per entry.
//!
//!     KIND MODE OWNER MTIME PATH [REST] [@ATTRIBUTE=HEX ...]
//!
//! KIND is `d`, `f`, `l` (symlink), `h` (hard link), `c`, `b`, `p` (fifo) or `s` (socket). OWNER is `UID:GID`, or `-`
//! for the user who makes the tree. MTIME is in seconds; nanoseconds after a dot are added, so that `-2.5` is half a
//! second later than `-2`. REST is a file's content (`text WORD`, `zeros N`, `hole N`, `noise N`, `words N`, nothing),
//! the text of a symlink, the first name of a hard link (whose other columns are `-`), `MAJOR:MINOR`. Words: see
//! [`super::words`].

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use super::listing::{File, Listing, Node, What};
use super::words;

/// A rootfs as described.
pub(crate) struct Fixture {
    pub(super) entries: Vec<Described>,
}

/// An entry as described.
pub(super) struct Described {
    pub(super) path: PathBuf,
    pub(super) make: Make,
    pub(super) mode: u32,
    /// `None`: the user who makes the tree.
    pub(super) owner: Option<(u32, u32)>,
    pub(super) seconds: i64,
    pub(super) nanoseconds: u32,
    pub(super) xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// The kind of entry.
pub(super) enum Make {
    Directory,
    File(Bytes),
    Symlink(Vec<u8>),
    Hardlink(PathBuf),
    CharDevice(u32, u32),
    BlockDevice(u32, u32),
    Fifo,
    Socket,
}

/// The content of a file.
pub(super) enum Bytes {
    Are(Vec<u8>),
    /// A hole of this many bytes.
    Hole(u64),
}

impl Fixture {
    pub(crate) fn named(name: &str) -> Self {
        let path = super::clone().join(format!("tests/fixtures/{name}.tree"));
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Fixture::parse(&text)
    }

    pub(crate) fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
        Fixture { entries: lines.map(entry).collect() }
    }

    pub(crate) fn without_attributes(mut self) -> Self {
        self.entries.iter_mut().for_each(|entry| entry.xattrs.clear());
        self
    }

    /// The expected content of a layer of this tree: everything but sockets.
    pub(crate) fn listing(&self) -> Listing {
        let mut listing = Listing::new();
        for entry in &self.entries {
            let what = match &entry.make {
                Make::Directory => What::Directory,
                Make::File(Bytes::Are(bytes)) => What::File(File::of(bytes)),
                Make::File(Bytes::Hole(size)) => What::File(File::of(&vec![0; usize::try_from(*size).unwrap()])),
                Make::Symlink(text) => What::Symlink(text.clone()),
                Make::Hardlink(first) => What::Hardlink(first.clone()),
                Make::CharDevice(major, minor) => What::CharDevice(*major, *minor),
                Make::BlockDevice(major, minor) => What::BlockDevice(*major, *minor),
                Make::Fifo => What::Fifo,
                Make::Socket => continue,
            };
            let (uid, gid) = entry.owner.unwrap_or_else(super::disk::own_ids);
            let mut node =
                Node { what, mode: entry.mode, uid, gid, mtime: entry.seconds, xattrs: entry.xattrs.clone() };
            if let Make::Hardlink(first) = &entry.make {
                let first = &listing[first];
                node = Node { what: node.what, ..first.clone() };
            }
            listing.insert(entry.path.clone(), node);
        }
        listing
    }
}

fn entry(line: &str) -> Described {
    let words = words::cut(line);
    let text = |index: usize| {
        let word = words.get(index).unwrap_or_else(|| panic!("too few words: {line}"));
        std::str::from_utf8(word).unwrap_or_else(|_| panic!("word {index} is no text: {line}"))
    };
    let (rest, xattrs): (Vec<_>, Vec<_>) = words.iter().skip(5).partition(|word| !word.starts_with(b"@"));
    let rest = |index: usize| rest.get(index).copied().unwrap_or_else(|| panic!("too few words: {line}")).clone();
    let number = |word: Vec<u8>| String::from_utf8(word).unwrap().parse::<u64>().unwrap_or_else(|_| panic!("{line}"));
    let make = match text(0) {
        "d" => Make::Directory,
        "f" if words.len() - xattrs.len() == 5 => Make::File(Bytes::Are(Vec::new())),
        "f" => Make::File(match rest(0).as_slice() {
            b"text" => Bytes::Are(rest(1)),
            b"zeros" => Bytes::Are(vec![0; usize::try_from(number(rest(1))).unwrap()]),
            b"noise" => Bytes::Are(noise(usize::try_from(number(rest(1))).unwrap())),
            b"words" => Bytes::Are(prose(usize::try_from(number(rest(1))).unwrap())),
            b"hole" => Bytes::Hole(number(rest(1))),
            _ => panic!("unknown content: {line}"),
        }),
        "l" => Make::Symlink(rest(0)),
        "h" => Make::Hardlink(path(rest(0))),
        "c" => device(&rest(0), Make::CharDevice),
        "b" => device(&rest(0), Make::BlockDevice),
        "p" => Make::Fifo,
        "s" => Make::Socket,
        _ => panic!("unknown kind: {line}"),
    };
    let is_link = matches!(make, Make::Hardlink(_));
    let (seconds, nanoseconds) = if is_link { (0, 0) } else { time(text(3)) };
    Described {
        path: path(words[4].clone()),
        make,
        mode: if is_link { 0 } else { u32::from_str_radix(text(1), 8).unwrap_or_else(|_| panic!("mode: {line}")) },
        owner: text(2).split_once(':').map(|(uid, gid)| (uid.parse().unwrap(), gid.parse().unwrap())),
        seconds,
        nanoseconds,
        xattrs: xattrs.into_iter().map(|word| attribute(&word[1..])).collect(),
    }
}

/// Paths of fixtures and listings are relative; the root is empty.
fn path(mut word: Vec<u8>) -> PathBuf {
    assert_eq!(word.first(), Some(&b'/'), "paths in fixtures begin with a slash");
    word.remove(0);
    OsString::from_vec(word).into()
}

fn time(word: &str) -> (i64, u32) {
    match word.split_once('.') {
        Some((seconds, fraction)) => {
            (seconds.parse().unwrap(), format!("{fraction:0<9}").parse().expect("at most nine digits"))
        }
        None => (word.parse().unwrap(), 0),
    }
}

fn device(word: &[u8], make: fn(u32, u32) -> Make) -> Make {
    let (major, minor) = std::str::from_utf8(word).unwrap().split_once(':').expect("MAJOR:MINOR");
    make(major.parse().unwrap(), minor.parse().unwrap())
}

fn attribute(word: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let equals = word.iter().rposition(|byte| *byte == b'=').expect("@NAME=HEX");
    let digits = std::str::from_utf8(&word[equals + 1..]).unwrap();
    let value = (0..digits.len()).step_by(2).map(|i| u8::from_str_radix(&digits[i..i + 2], 16).expect("hex")).collect();
    (word[..equals].to_vec(), value)
}

/// Bytes that do not compress.
fn noise(length: usize) -> Vec<u8> {
    fill(length, |bytes, number| bytes.extend_from_slice(&number.to_le_bytes()))
}

/// Bytes that compress like text.
fn prose(length: usize) -> Vec<u8> {
    const WORDS: [&str; 8] = ["a ", "rootfs ", "becomes ", "an ", "image ", "and ", "stays ", "itself\n"];
    fill(length, |bytes, number| bytes.extend_from_slice(WORDS[(number % 8) as usize].as_bytes()))
}

/// Bytes made of numbers, the same each time (xorshift64). A plain loop: tests run without optimisation.
fn fill(length: usize, append: impl Fn(&mut Vec<u8>, u64)) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut bytes = Vec::with_capacity(length + 16);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        append(&mut bytes, state);
    }
    bytes.truncate(length);
    bytes
}
