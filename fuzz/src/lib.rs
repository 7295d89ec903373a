//! What several fuzz targets need: a place on disk, tars whose checksums are right, and the smallest of programs around
//! a verb.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::{env, process};

use ocibake::layout::Location;
use ocibake::limits::Limits;
use ocibake::tree::{Content, Entry};
use ocibake::work::{Durability, Silent};
use ocibake::{Result, Work};

/// Bytes that one input may be decompressed to.
pub const MOST_UNPACKED: u64 = 4 << 20;

/// Returns an empty directory of this process, in `TMPDIR`.
pub fn place() -> &'static Path {
    static PLACE: OnceLock<PathBuf> = OnceLock::new();
    let place = PLACE.get_or_init(|| env::temp_dir().join(format!("ocibake-fuzz-{}", process::id())));
    let _ = fs::remove_dir_all(place);
    fs::create_dir_all(place).unwrap();
    place
}

/// Returns what a user means by this text.
pub fn location(text: String) -> Location {
    Location::parse(OsStr::new(&text)).unwrap()
}

/// Limits under which one input takes no more than a moment.
pub fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.unpacked = MOST_UNPACKED;
    limits
}

/// Returns work for one thread that syncs nothing, under these limits.
pub fn work() -> Work<'static> {
    let mut work = Work::new(NonZeroUsize::MIN, &Silent).with_durability(Durability::Unsynced);
    work.limits = limits();
    work
}

/// Gives the header blocks of a tar their checksums: chance does not find them.
pub fn set_checksums(tar: &mut [u8]) {
    for block in tar.chunks_exact_mut(512).filter(|block| block[257..262] == *b"ustar") {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
}

/// Splits an input where it says so.
pub fn pieces(input: &[u8]) -> impl Iterator<Item = &[u8]> {
    const MARK: &[u8] = b"\n--\n";
    let mut rest = Some(input);
    std::iter::from_fn(move || {
        let piece = rest?;
        let mark = piece.windows(MARK.len()).position(|window| window == MARK);
        rest = mark.map(|mark| &piece[mark + MARK.len()..]);
        Some(&piece[..mark.unwrap_or(piece.len())])
    })
}

/// Files in memory, by path.
pub struct Files(pub BTreeMap<Vec<u8>, Vec<u8>>);

impl Content for Files {
    fn open<'a>(&'a self, entry: &Entry) -> Result<Box<dyn Read + 'a>> {
        match self.0.get(entry.path.as_bytes()) {
            Some(content) => Ok(Box::new(content.as_slice())),
            None => Ok(Box::new(io::empty())),
        }
    }
}
