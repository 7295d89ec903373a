use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::files::{list_of, BLOBS};
use super::prune::{items, prune};
use super::store::lists;
use super::Cache;
use crate::block_cache::BlockCache;
use crate::compress::{encoding, Compression};
use crate::error::Result;
use crate::layer::{self, Layer, Members, Step};
use crate::testing::TempDir;
use crate::tree::{Content, Entry, Kind, Metadata, TarPath};
use crate::work::{Silent, Work};

/// Files with text that follows from their name and a version.
struct Files {
    /// Of each file its path, its version and its size.
    list: Vec<(String, u64, usize)>,
    text: Text,
}

/// What the files hold after a line of their own.
#[derive(Clone, Copy)]
enum Text {
    /// As many pieces as fit, which compress as text does.
    Varied,
    /// One piece again and again, numbered: it compresses fast, for tests of nothing but where blocks end.
    Repeated,
}

/// The length of a piece of text.
const PIECE: usize = 2048;

/// Lines to take pieces from. They are made once: to format lines costs more than to compress them.
fn lines() -> &'static [u8] {
    static LINES: OnceLock<Vec<u8>> = OnceLock::new();
    LINES.get_or_init(|| {
        let mut state = 1_u64;
        let mut lines = Vec::new();
        while lines.len() < 128 * PIECE {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            lines.extend_from_slice(format!("line {} of a file\n", state >> 50).as_bytes());
        }
        lines
    })
}

impl Files {
    fn new() -> Self {
        Files::of((0..160).map(|number| (format!("d/file-{number:03}"), 0, 8_000 + number * 331)).collect())
    }

    fn of(list: Vec<(String, u64, usize)>) -> Self {
        Files { list, text: Text::Varied }
    }

    fn entries(&self) -> Vec<Entry> {
        let entry = |(path, _, size): &(String, u64, usize)| Entry {
            path: TarPath::parse(path.as_bytes()).unwrap(),
            metadata: Metadata::default(),
            kind: Kind::File { size: *size as u64 },
        };
        self.list.iter().map(entry).collect()
    }
}

impl Content for Files {
    fn open<'a>(&'a self, entry: &Entry) -> Result<Box<dyn Read + 'a>> {
        let (path, version, size) = self
            .list
            .iter()
            .find(|(path, ..)| path.as_bytes() == entry.path.as_bytes())
            .expect("asked for what is there");
        let mut state = path.bytes().fold(*version, |state, byte| state.wrapping_mul(31) + u64::from(byte)) | 1;
        let mut bytes = Vec::with_capacity(*size + 2 * PIECE);
        bytes.extend_from_slice(format!("{path} {version}\n").as_bytes());
        while bytes.len() < *size {
            let at = (state >> 33) as usize % (lines().len() - PIECE);
            // No two stretches of a file are alike.
            let place = bytes.len().to_le_bytes();
            bytes.extend_from_slice(&place);
            bytes.extend_from_slice(&lines()[at..at + PIECE]);
            if let Text::Varied = self.text {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            }
        }
        bytes.truncate(*size);
        Ok(Box::new(io::Cursor::new(bytes)))
    }
}

/// A directory with a cache.
struct Place(TempDir);

impl Place {
    fn new(test: &str) -> Self {
        Place(TempDir::new(test))
    }

    fn cache(&self) -> PathBuf {
        self.0.path().join("cache")
    }

    /// Writes a layer as a run with a cache does. Returns also its bytes and the summary of the cache.
    fn bake(&self, files: &Files, compression: &str) -> (Layer, Vec<u8>, String) {
        self.bake_with(files, compression, Cache::open(&self.cache(), Cache::DEFAULT_SIZE))
    }

    fn bake_with(&self, files: &Files, compression: &str, cache: Cache) -> (Layer, Vec<u8>, String) {
        let cache = Arc::new(cache);
        let shared: Arc<dyn BlockCache> = Arc::clone(&cache) as Arc<dyn BlockCache>;
        let (layer, bytes) = self.write(files, compression, Some(&shared));
        (layer, bytes, cache.summary())
    }

    fn write(&self, files: &Files, compression: &str, cache: Option<&Arc<dyn BlockCache>>) -> (Layer, Vec<u8>) {
        self.write_with(files, compression, cache, 2)
    }

    fn write_with(
        &self,
        files: &Files,
        compression: &str,
        cache: Option<&Arc<dyn BlockCache>>,
        threads: usize,
    ) -> (Layer, Vec<u8>) {
        let compression: Compression = compression.parse().unwrap();
        let entries = files.entries();
        let path = self.0.path().join("layer");
        let _ = fs::remove_file(&path);
        let mut work = Work::new(NonZeroUsize::new(threads).unwrap(), &Silent);
        work.cache = cache;
        let steps: Vec<Step<'_>> = entries.iter().map(Step::Put).collect();
        let blob = || Ok(File::create(&path).unwrap());
        let (layer, _) = layer::write(vec![Members::Steps(steps)], files, blob, compression, &work).unwrap().remove(0);
        if let (Some(cache), Some(encoding)) = (cache, encoding(compression)) {
            cache.keep(&encoding, &layer.descriptor.digest, &path, &layer.blocks);
        }
        (layer, fs::read(&path).unwrap())
    }
}

fn found(summary: &str) -> (usize, usize) {
    let words: Vec<&str> = summary.split(' ').collect();
    (words[0].parse().unwrap(), words[2].parse().unwrap())
}

#[test]
fn the_layer_is_the_same_with_and_without() {
    for compression in ["gzip", "gzip:4", "zstd"] {
        let place = Place::new("cache-same");
        let mut files = Files::new();
        let (_, plain) = place.write(&files, compression, None);
        let (_, cold, summary) = place.bake(&files, compression);
        assert!(cold == plain, "{compression}");
        assert_eq!(found(&summary).0, 0, "{summary}");
        let (_, warm, summary) = place.bake(&files, compression);
        assert!(warm == plain, "{compression}");
        assert_eq!(found(&summary).0, found(&summary).1, "{summary}");

        // One file is changed, one is added, one is removed.
        files.list[70].1 = 1;
        files.list.remove(120);
        files.list.insert(20, ("d/file-019-new".to_owned(), 0, 30_000));
        let (_, plain) = place.write(&files, compression, None);
        let (_, edited, summary) = place.bake(&files, compression);
        assert!(edited == plain, "{compression}");
        let (known, all) = found(&summary);
        assert!(known < all && all - known <= 9, "{compression}: {summary}");
        // The new blocks are cached now too.
        let (_, again, summary) = place.bake(&files, compression);
        assert!(again == plain);
        assert_eq!(found(&summary).0, all, "{summary}");
    }
}

#[test]
fn a_layer_costs_no_space_and_its_changes_only_theirs() {
    let place = Place::new("cache-space");
    let mut files = Files::new();
    let _ = place.bake(&files, "gzip");
    let blobs = |place: &Place| -> Vec<PathBuf> { lists(&place.cache()).into_iter().map(|(path, _)| path).collect() };
    let layer = fs::metadata(place.0.path().join("layer")).unwrap();
    let kept = fs::metadata(&blobs(&place)[0]).unwrap();
    assert_eq!((kept.ino(), kept.nlink()), (layer.ino(), 2));
    files.list[5].1 = 7;
    let (_, bytes, _) = place.bake(&files, "gzip");
    let sizes: Vec<u64> = blobs(&place).iter().map(|path| fs::metadata(path).unwrap().len()).collect();
    assert_eq!(sizes.len(), 2);
    assert!(sizes.iter().any(|size| *size < bytes.len() as u64 / 2), "{sizes:?}");
}

#[test]
fn other_encodings_are_others_blocks() {
    let place = Place::new("cache-encodings");
    let files = Files::new();
    let _ = place.bake(&files, "gzip:6");
    for compression in ["gzip", "gzip:4", "zstd", "zstd:5"] {
        let (_, bytes, summary) = place.bake(&files, compression);
        assert!(bytes == place.write(&files, compression, None).1);
        assert_eq!(found(&summary).0, 0, "{compression}: {summary}");
    }
    let (layer, _, summary) = place.bake(&files, "none");
    assert!(layer.blocks.is_empty());
    assert_eq!(found(&summary), (0, 0));
}

/// A way to damage a blob or its list.
type Deed = (&'static str, fn(&Path, &Path));

/// Damage to its files never changes the layer.
#[test]
fn damage_costs_time_and_nothing_else() {
    let files = Files::new();
    let plain = Place::new("cache-plain").write(&files, "gzip", None).1;
    let deeds: [Deed; 10] = [
        ("a bit of a blob", |blob, _| flip(blob, 1, 2)),
        ("a bit of its first block", |blob, _| flip(blob, 1, 1000)),
        ("a bit of a list", |_, list| flip(list, 1, 2)),
        ("a blob cut short", |blob, _| cut(blob)),
        ("a list cut short", |_, list| cut(list)),
        ("no blob", |blob, _| fs::remove_file(blob).unwrap()),
        ("no list", |_, list| fs::remove_file(list).unwrap()),
        ("an empty blob", |blob, _| fs::write(blob, b"").unwrap()),
        ("another blob of this size", |blob, _| {
            let size = fs::metadata(blob).unwrap().len();
            fs::remove_file(blob).unwrap();
            fs::write(blob, vec![7; size as usize]).unwrap();
        }),
        ("a link in the place of the blob", |blob, _| {
            let other = blob.with_extension("other");
            fs::rename(blob, &other).unwrap();
            std::os::unix::fs::symlink(&other, blob).unwrap();
        }),
    ];
    for (deed, damage) in deeds {
        let place = Place::new("cache-damage");
        let _ = place.bake(&files, "gzip");
        // The image's own file is a different one.
        let _ = fs::rename(place.0.path().join("layer"), place.0.path().join("image"));
        let blob = place.cache().join(BLOBS).join(lists(&place.cache())[0].0.file_name().unwrap());
        damage(&blob, &list_of(&blob));
        let (_, bytes, summary) = place.bake(&files, "gzip");
        assert!(bytes == plain, "{deed}");
        assert_ne!(found(&summary).0, found(&summary).1, "{deed}: {summary}");
        let (_, bytes, summary) = place.bake(&files, "gzip");
        assert!(bytes == plain, "{deed}");
        assert_eq!(found(&summary).0, found(&summary).1, "{deed}, mended: {summary}");
    }
}

fn flip(path: &Path, numerator: usize, denominator: usize) {
    let mut bytes = fs::read(path).unwrap();
    let at = bytes.len() * numerator / denominator;
    bytes[at] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

fn cut(path: &Path) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
}

#[test]
fn a_directory_that_goes_or_is_none_costs_nothing() {
    let place = Place::new("cache-gone");
    let files = Files::new();
    let plain = place.write(&files, "gzip", None).1;
    let _ = place.bake(&files, "gzip");
    let open = Cache::open(&place.cache(), Cache::DEFAULT_SIZE);
    fs::remove_dir_all(place.cache()).unwrap();
    assert!(place.bake_with(&files, "gzip", open).1 == plain);
    fs::remove_dir_all(place.cache()).unwrap();
    fs::write(place.cache(), b"a file").unwrap();
    let (_, bytes, summary) = place.bake(&files, "gzip");
    assert!(bytes == plain);
    assert!(summary.contains("nothing new could be kept: "), "{summary}");
}

#[test]
fn what_was_used_least_recently_goes_first() {
    let place = Place::new("cache-prune");
    let mut files = Files::new();
    for version in 0..4 {
        files.list.iter_mut().for_each(|file| file.1 = version);
        let _ = place.bake(&files, "gzip");
        let _ = fs::remove_file(place.0.path().join("layer"));
    }
    // The first layer is used once more.
    files.list.iter_mut().for_each(|file| file.1 = 0);
    let (layer, ..) = place.bake(&files, "gzip");
    let total = |place: &Place| items(&place.cache()).unwrap().iter().map(|item| item.bytes).sum::<u64>();
    let all = total(&place);
    prune(&place.cache(), all * 5 / 8).unwrap();
    assert!(total(&place) <= all * 5 / 8);
    let left = lists(&place.cache());
    assert_eq!(left.len(), 2);
    assert!(left.iter().any(|(path, _)| path.to_string_lossy().ends_with(layer.descriptor.digest.encoded())));
    // The cache stays within its limit.
    files.list.iter_mut().for_each(|file| file.1 = 9);
    let _ = place.bake_with(&files, "gzip", Cache::open(&place.cache(), all / 4));
    assert!(total(&place) <= all / 4);
    prune(&place.cache(), 0).unwrap();
    assert_eq!(total(&place), 0);
    assert_eq!(prune(&place.0.path().join("none"), 0).unwrap(), 0);
}

/// Trees of sizes as those of root filesystems are. A file that comes, grows or goes changes few blocks.
#[test]
fn an_edit_makes_few_blocks_new() {
    let mut state = 11_u64;
    let mut random = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    // Many small ones, few large ones, and one that is larger than blocks.
    let size = |draw: u64| match draw {
        0..=69 => 200 + draw as usize * 150,
        70..=97 => 20_000 + (draw as usize - 70) * 5_000,
        _ => 400_000,
    };
    let mut files: Vec<(String, u64, usize)> =
        (0..400).map(|number| (format!("usr/lib/file-{number:03}"), 0, size(random(100)))).collect();
    files[123].2 = 2_600_000;
    let blocks = |list| -> BTreeSet<[u8; 32]> {
        // The cache says what a block is; one that remembers nothing is enough.
        let place = Place::new("cache-edges");
        let cache: Arc<dyn BlockCache> = Arc::new(Cache::open(&place.cache(), 0));
        let (layer, _) = place.write(&Files { list, text: Text::Repeated }, "gzip:1", Some(&cache));
        layer.blocks.iter().map(|block| *block.block.as_bytes()).collect()
    };
    let before = blocks(files.clone());
    assert!(before.len() > 12, "{}", before.len());
    let turns = 15;
    let mut new = 0;
    for turn in 0..turns {
        let mut edited = files.clone();
        let at = random(400) as usize;
        match turn % 3 {
            0 => edited.insert(at + 1, (format!("{}-new", edited[at].0), 0, size(random(100)))),
            1 => edited[at].2 += 3_000,
            _ => drop(edited.remove(at)),
        }
        new += blocks(edited).difference(&before).count();
    }
    assert!(new <= 3 * turns, "{new} blocks in {turns} edits of {} blocks", before.len());
}

/// What happens to a tree and to its cache between two builds.
#[derive(Clone, Debug)]
enum Event {
    Change(usize),
    Grow(usize, usize),
    Add(usize, usize),
    Remove(usize),
    FlipBit(usize),
    Truncate(usize),
    RemoveFile(usize),
    Prune(u64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => any::<usize>().prop_map(Event::Change),
        3 => (any::<usize>(), 1..200_000_usize).prop_map(|(at, more)| Event::Grow(at, more)),
        3 => (any::<usize>(), 0..300_000_usize).prop_map(|(at, size)| Event::Add(at, size)),
        3 => any::<usize>().prop_map(Event::Remove),
        1 => any::<usize>().prop_map(Event::FlipBit),
        1 => any::<usize>().prop_map(Event::Truncate),
        1 => any::<usize>().prop_map(Event::RemoveFile),
        1 => (0..500_000_u64).prop_map(Event::Prune),
    ]
}

/// A file of the cache, or `None` if the cache is empty.
fn file_of_cache(place: &Place, seed: usize) -> Option<PathBuf> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(place.cache().join(BLOBS)).ok()?.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    (!files.is_empty()).then(|| files.swap_remove(seed % files.len()))
}

fn happen(event: &Event, files: &mut Vec<(String, u64, usize)>, place: &Place) {
    let at = |seed: usize, files: &Vec<_>| seed % files.len();
    match event {
        Event::Change(seed) => {
            let at = at(*seed, files);
            files[at].1 += 1;
        }
        Event::Grow(seed, more) => {
            let at = at(*seed, files);
            files[at].2 += more;
        }
        Event::Add(seed, size) => {
            let at = at(*seed, files);
            let name = format!("{}-{size}", files[at].0);
            files.insert(at + 1, (name, 0, *size));
        }
        Event::Remove(seed) if files.len() > 1 => drop(files.remove(at(*seed, files))),
        Event::Remove(_) => {}
        // Not in place: a link is the image's own file.
        Event::FlipBit(seed) => rewrite(file_of_cache(place, *seed), |bytes| {
            let at = seed % bytes.len().max(1);
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1;
            }
        }),
        Event::Truncate(seed) => rewrite(file_of_cache(place, *seed), |bytes| bytes.truncate(seed % (bytes.len() + 1))),
        Event::RemoveFile(seed) => {
            if let Some(path) = file_of_cache(place, *seed) {
                fs::remove_file(path).unwrap();
            }
        }
        Event::Prune(most) => drop(prune(&place.cache(), *most).unwrap()),
    }
}

fn rewrite(path: Option<PathBuf>, change: impl FnOnce(&mut Vec<u8>)) {
    let Some(path) = path else { return };
    let mut bytes = fs::read(&path).unwrap();
    change(&mut bytes);
    fs::remove_file(&path).unwrap();
    fs::write(&path, bytes).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// Whatever happened to tree and cache, threads and level: the bytes are those that there are without a cache.
    #[test]
    fn a_cache_changes_no_byte(
        builds in vec((vec(event(), 0..4), 1..4_usize, select(vec!["gzip", "gzip:1", "gzip:6", "zstd", "zstd:1"])), 2..5)
    ) {
        let place = Place::new("cache-property");
        let mut files: Vec<(String, u64, usize)> =
            (0..24).map(|number| (format!("d/file-{number:03}"), 0, number * number * 700)).collect();
        for (events, threads, compression) in builds {
            for event in &events {
                happen(event, &mut files, &place);
            }
            let current = Files::of(files.clone());
            let plain = place.write_with(&current, compression, None, 1).1;
            let cache: Arc<dyn BlockCache> = Arc::new(Cache::open(&place.cache(), 3_000_000));
            let (_, kept) = place.write_with(&current, compression, Some(&cache), threads);
            prop_assert!(plain == kept, "{} {} {:?}", compression, threads, events);
        }
    }
}
