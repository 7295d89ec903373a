//! The cache directory.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};

use super::files::{list_of, open_file, touch, BLOBS, LIST};
use super::list::{BlockPlace, List};
use crate::block_cache::{BlockCache, FoundBlock, KeptBlock};
use crate::digest::{ContentDigest, Digest};
use crate::error::{describe, Error, Result};
use crate::layout::Staging;

/// The largest list that is read, enough for 16 million blocks.
const MAX_LIST_SIZE: u64 = 1 << 30;

/// A cache opened for one run. It was listed when it was opened; other runs may add and remove files meanwhile.
#[derive(Debug)]
pub struct Cache {
    directory: PathBuf,
    most_bytes: u64,
    files: Vec<BlockFile>,
    /// For each encoding, the file and the place of each block.
    blocks: BTreeMap<String, BTreeMap<ContentDigest, (usize, BlockPlace)>>,
    use_made: UseMade,
    /// Lists that could not be read.
    unreadable: usize,
    trouble: Mutex<Option<String>>,
    complaints: Complaints,
}

/// Warnings for the user who gave the directory.
#[derive(Debug, Default)]
struct Complaints {
    /// Findings from opening the cache that were not reported yet.
    untold: Mutex<Option<String>>,
    /// Whether a finding means that nothing is kept.
    is_told: AtomicBool,
}

/// How lookups in a cache turned out.
#[derive(Debug, Default)]
struct UseMade {
    found: AtomicU64,
    absent: AtomicU64,
    /// Of these, how many are there from another level or another version of the encoder.
    of_another_encoding: AtomicU64,
    damaged: AtomicU64,
}

/// A file with compressed blocks.
#[derive(Debug)]
struct BlockFile {
    path: PathBuf,
    size: u64,
    /// Opened when its first block is needed; `None` if it does not match its list.
    open: OnceLock<Option<File>>,
    was_used: AtomicBool,
}

impl Cache {
    /// The default size limit of a cache: 4 GiB.
    pub const DEFAULT_SIZE: u64 = 4 << 30;

    /// Opens the cache in `directory`, which is created once there is something to keep. The cache is limited to
    /// `most_bytes`. Unreadable files are ignored.
    pub fn open(directory: &Path, most_bytes: u64) -> Self {
        let mut cache = Cache {
            directory: directory.to_path_buf(),
            most_bytes,
            files: Vec::new(),
            blocks: BTreeMap::new(),
            use_made: UseMade::default(),
            unreadable: 0,
            trouble: Mutex::new(None),
            complaints: Complaints::default(),
        };
        if let Some((unusable, complaint)) = problem(directory) {
            cache.complaints.untold = Mutex::new(Some(complaint));
            cache.complaints.is_told = AtomicBool::new(unusable);
        }
        for (path, list) in lists(directory) {
            let Some(list) = list else {
                cache.unreadable += 1;
                continue;
            };
            let file = cache.files.len();
            let blocks = cache.blocks.entry(list.encoding).or_default();
            blocks.extend(list.blocks.into_iter().map(|(block, place)| (block, (file, place))));
            cache.files.push(BlockFile {
                path,
                size: list.file_size,
                open: OnceLock::new(),
                was_used: AtomicBool::new(false),
            });
        }
        cache
    }

    /// The directory of the cache.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The benefit of the cache in readable form: how many blocks it had, and why it lacked the others.
    pub fn summary(&self) -> String {
        let UseMade { found, absent, of_another_encoding, damaged } = &self.use_made;
        let [found, absent, other, damaged] =
            [found, absent, of_another_encoding, damaged].map(|count| count.load(Ordering::Relaxed));
        let mut summary = format!(
            "{found} of {} blocks were in the cache `{}`: {absent} were not known, {damaged} damaged or gone",
            found + absent + damaged,
            self.directory.display()
        );
        if other > 0 {
            summary = format!("{summary}; {other} are known in another compression, level or version of the encoder");
        }
        if self.unreadable > 0 {
            summary = format!("{summary}; {} lists are damaged or of another version", self.unreadable);
        }
        if let Some(trouble) = self.trouble.lock().ok().and_then(|trouble| trouble.clone()) {
            summary = format!("{summary}; nothing new could be kept: {trouble}");
        }
        summary
    }

    fn read(&self, encoding: &str, block: &ContentDigest, output: &mut [u8]) -> Option<FoundBlock> {
        let Some((number, place)) = self.blocks.get(encoding).and_then(|blocks| blocks.get(block)) else {
            let is_known = self.blocks.values().any(|blocks| blocks.contains_key(block));
            self.use_made.absent.fetch_add(1, Ordering::Relaxed);
            self.use_made.of_another_encoding.fetch_add(u64::from(is_known), Ordering::Relaxed);
            return None;
        };
        let file = &self.files[*number];
        let found = file.read(*place, output);
        let counter = if found.is_some() { &self.use_made.found } else { &self.use_made.damaged };
        counter.fetch_add(1, Ordering::Relaxed);
        found
    }

    /// Adds new blocks to the directory.
    fn add(&self, encoding: &str, blob: &Digest, file: &Path, blocks: &[KeptBlock]) -> Result<(), io::Error> {
        for used in self.files.iter().filter(|file| file.was_used.swap(false, Ordering::Relaxed)) {
            touch(&list_of(&used.path));
        }
        let bytes = |of: &mut dyn Iterator<Item = &KeptBlock>| of.map(|block| u64::from(block.size)).sum::<u64>();
        let new = bytes(&mut blocks.iter().filter(|block| !block.was_found));
        if new == 0 {
            return Ok(());
        }
        let blobs = self.directory.join(BLOBS);
        let path = blobs.join(format!("{}-{}", blob.algorithm_name(), blob.encoded()));
        fs::create_dir_all(&blobs)?;
        let staging = Staging::create(&self.directory).map_err(io::Error::other)?;
        let staged = staging.path().join("blob");
        // If most blocks are new, the blob is kept as a whole, which costs nothing as a hard link. Otherwise only the
        // new blocks are copied.
        let is_listed = list_of(&path).symlink_metadata().is_ok();
        let listed = if is_listed || new >= bytes(&mut blocks.iter()) / 2 {
            if fs::hard_link(file, &staged).is_err() {
                fs::copy(file, &staged)?;
            }
            blocks.iter().map(|block| (block.block, place(block, block.offset))).collect()
        } else {
            copy_new(file, blocks, &staged)?
        };
        let list = List { encoding: encoding.to_owned(), file_size: fs::metadata(&staged)?.len(), blocks: listed };
        let staged_list = staging.path().join("list");
        fs::write(&staged_list, list.encode())?;
        fs::rename(&staged, &path)?;
        fs::rename(&staged_list, list_of(&path))?;
        drop(staging);
        super::prune::prune(&self.directory, self.most_bytes).map(drop)
    }
}

impl BlockCache for Cache {
    fn find(&self, encoding: &str, block: &ContentDigest, output: &mut [u8]) -> Option<FoundBlock> {
        self.read(encoding, block, output)
    }

    fn keep(&self, encoding: &str, blob: &Digest, file: &Path, blocks: &[KeptBlock]) {
        let Err(error) = self.add(encoding, blob, file, blocks) else { return };
        let cause = match Error::carried_by(error) {
            Ok(Error::Io { cause, .. }) | Err(cause) => cause,
            Ok(error) => error.into(),
        };
        // Another run may remove it at any time.
        if cause.kind() == io::ErrorKind::NotFound && fs::create_dir_all(&self.directory).is_ok() {
            self.complaints.is_told.store(true, Ordering::Relaxed);
        }
        if let Ok(mut trouble) = self.trouble.lock() {
            *trouble = Some(describe(&cause));
        }
    }

    fn complaint(&self) -> Option<String> {
        if let Some(found) = self.complaints.untold.lock().ok()?.take() {
            return Some(found);
        }
        let trouble = self.trouble.lock().ok()?.clone()?;
        let is_told = self.complaints.is_told.swap(true, Ordering::Relaxed);
        (!is_told).then(|| nothing_kept(&self.directory, &format!("cannot be written: {trouble}")))
    }
}

impl BlockFile {
    fn read(&self, place: BlockPlace, output: &mut [u8]) -> Option<FoundBlock> {
        let open = || open_file(&self.path).filter(|(_, size)| *size == self.size).map(|(file, _)| file);
        let file = self.open.get_or_init(open).as_ref()?;
        let output = output.get_mut(..place.size as usize)?;
        file.read_exact_at(output, place.offset).ok()?;
        if crc32fast::hash(output) != place.stored_checksum {
            return None;
        }
        self.was_used.store(true, Ordering::Relaxed);
        Some(FoundBlock { size: output.len(), stored_checksum: place.stored_checksum, checksum: place.checksum })
    }
}

/// Problems with the directory of a cache before anything is written, and whether they make the cache useless.
fn problem(directory: &Path) -> Option<(bool, String)> {
    for part in [directory.to_path_buf(), directory.join(BLOBS)] {
        match part.metadata() {
            Ok(found) if !found.is_dir() => {
                let blobs = if part == directory { "" } else { "has a file `blobs` that " };
                return Some((true, nothing_kept(directory, &format!("{blobs}is no directory"))));
            }
            _ => {}
        }
        match fs::read_dir(&part) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Some((true, nothing_kept(directory, &format!("cannot be read: {}", describe(&error)))));
            }
            _ => {}
        }
    }
    let is_foreign = directory.is_dir() && super::prune::check(directory).is_err();
    let shown = directory.display();
    is_foreign
        .then(|| (false, format!("the cache `{shown}` is a directory with other files: what is kept goes beside them")))
}

fn nothing_kept(directory: &Path, why: &str) -> String {
    format!("nothing is kept for later runs: the cache `{}` {why}", directory.display())
}

fn place(block: &KeptBlock, offset: u64) -> BlockPlace {
    BlockPlace { offset, size: block.size, stored_checksum: block.stored_checksum, checksum: block.checksum }
}

/// Copies the new blocks of a blob into a separate file.
fn copy_new(blob: &Path, blocks: &[KeptBlock], to: &Path) -> io::Result<Vec<(ContentDigest, BlockPlace)>> {
    let (blob, mut to) = (File::open(blob)?, BufWriter::new(File::create(to)?));
    let mut listed = Vec::new();
    let (mut bytes, mut end) = (Vec::new(), 0);
    for block in blocks.iter().filter(|block| !block.was_found) {
        bytes.resize(block.size as usize, 0);
        blob.read_exact_at(&mut bytes, block.offset)?;
        to.write_all(&bytes)?;
        listed.push((block.block, place(block, end)));
        end += u64::from(block.size);
    }
    to.flush()?;
    Ok(listed)
}

/// The lists in a cache with their files, sorted by name; `None` for a list that is damaged or of another version.
pub(crate) fn lists(directory: &Path) -> Vec<(PathBuf, Option<List>)> {
    let Ok(listing) = fs::read_dir(directory.join(BLOBS)) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = listing.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let read = |path: PathBuf| {
        let file = path.to_str()?.strip_suffix(LIST)?;
        let (open, size) = open_file(&path)?;
        let mut bytes = Vec::new();
        let is_whole = open.take(MAX_LIST_SIZE).read_to_end(&mut bytes).is_ok_and(|read| read as u64 == size);
        Some((PathBuf::from(file), if is_whole { List::decode(&bytes) } else { None }))
    };
    paths.into_iter().filter_map(read).collect()
}
