//! The flags of verbs that keep compressed blocks between runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::builder::{PathBufValueParser, TypedValueParser};
use ocibake::block_cache::BlockCache;
use ocibake::image::cache::Cache;
use ocibake::layout::refuse_location_as_path;
use ocibake::Error;

use super::progress::Verbosity;
use super::{say, Session};

/// How large a cache may become.
#[derive(clap::Args)]
pub(super) struct CacheSizeFlag {
    /// Keep the cache to this size: bytes, or a number with K, M, G or T [default: 4G]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    cache_size: Option<u64>,
}

/// Where such a verb keeps blocks. For `build`, the directory is a setting.
#[derive(clap::Args)]
pub(super) struct CacheFlags {
    /// Keep compressed blocks in this directory, and reuse those that are there
    #[arg(long, value_name = "DIR", value_parser = PathBufValueParser::new().try_map(directory))]
    cache: Option<PathBuf>,

    #[command(flatten)]
    size: CacheSizeFlag,
}

/// A cache that is open for one run. With -v, its use is reported at the end.
pub(super) struct OpenCache<'a> {
    cache: Arc<Cache>,
    shared: Arc<dyn BlockCache>,
    session: &'a Session,
}

impl CacheFlags {
    pub(super) fn open<'a>(&self, session: &'a Session) -> Option<OpenCache<'a>> {
        self.size.open(self.cache.as_deref(), session)
    }
}

impl CacheSizeFlag {
    pub(super) fn open<'a>(&self, directory: Option<&Path>, session: &'a Session) -> Option<OpenCache<'a>> {
        if directory.is_none() && self.cache_size.is_some() {
            session.warn("--cache-size has no effect without --cache");
        }
        let directory = directory?;
        let cache = Arc::new(Cache::open(directory, self.cache_size.unwrap_or(Cache::DEFAULT_SIZE)));
        let shared: Arc<dyn BlockCache> = Arc::<Cache>::clone(&cache);
        Some(OpenCache { cache, shared, session })
    }
}

impl OpenCache<'_> {
    pub(super) fn blocks(&self) -> &Arc<dyn BlockCache> {
        &self.shared
    }
}

impl Drop for OpenCache<'_> {
    fn drop(&mut self) {
        if self.session.verbosity == Verbosity::Verbose {
            say(&format!("ocibake: {}", self.cache.summary()));
        }
    }
}

/// Checks the directory of a cache.
pub(super) fn directory(path: PathBuf) -> Result<PathBuf, Error> {
    refuse_location_as_path("the directory of a cache", &path)?;
    Ok(path)
}

/// Parses a size: bytes, or a number with a letter for a power of 1024.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let (digits, factor) = match text.char_indices().last() {
        Some((at, letter)) if letter.is_ascii_alphabetic() => {
            let power = "KMGT".find(letter.to_ascii_uppercase()).map(|power| power as u32 + 1);
            (&text[..at], power.map(|power| 1024_u64.pow(power)))
        }
        _ => (text, Some(1)),
    };
    let size = digits.parse::<u64>().ok().zip(factor).and_then(|(number, factor)| number.checked_mul(factor));
    size.ok_or_else(|| "bytes, or a number with K, M, G or T such as 500M".to_owned())
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes() {
        for (text, expected) in [
            ("0", Some(0)),
            ("1000", Some(1000)),
            ("4G", Some(4 << 30)),
            ("4g", Some(4 << 30)),
            ("2K", Some(2048)),
            ("1T", Some(1 << 40)),
            ("", None),
            ("G", None),
            ("-1", None),
            ("1.5G", None),
            ("1X", None),
            ("99999999999T", None),
        ] {
            assert_eq!(size(text).ok(), expected, "{text}");
        }
    }
}
