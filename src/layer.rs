//! A tree becomes a layer: one pass in which each byte is read, hashed and compressed once.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read, Write};
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::compress::{Busy, Compression, Encoded, Encoder, InputDigest};
use crate::digest::Digest;
use crate::error::{Error, IoContext, Result};
use crate::media_type::MediaType;
use crate::observer::Observer;
use crate::oci::Descriptor;
use crate::tar::{self, Output};
use crate::tree::{Content, Entry, Tree};

/// A layer whose bytes are written.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Its blob.
    pub descriptor: Descriptor,
    /// The digest of its tar (image-spec, config.md#layer-diffid).
    pub diff_id: Digest,
    /// The size of its tar in bytes.
    pub unpacked_size: u64,
}

/// How long the stages of a layer's making were busy, summed over their threads.
#[derive(Clone, Copy, Debug, Default)]
pub struct LayerTimes {
    /// Opening and reading files.
    pub read: Duration,
    /// Hashing, compressing and writing.
    pub busy: Busy,
}

/// Writes all of `tree` as one layer to `blob`; `threads` of them compress, and the bytes do not depend on how many.
///
/// A file that is larger or smaller than its entry says was changed in the meantime: an error that names it.
pub fn write(
    tree: &Tree,
    content: &dyn Content,
    blob: File,
    compression: Compression,
    threads: NonZeroUsize,
    observer: &dyn Observer,
) -> Result<(Layer, LayerTimes)> {
    let read = Cell::new(Duration::ZERO);
    let encoder =
        Encoder::new(blob, compression, threads, InputDigest::Compute).at("start", Path::new("the encoder"))?;
    let mut writer = tar::Writer::new(LayerOutput(encoder));
    for entry in tree.iter() {
        observer.check()?;
        let mut reader = EntryReader { entry, content, open: None, read: &read, observer };
        let appended = writer.append(entry, &mut reader);
        appended.map_err(|error| if observer.interrupted() { Error::Interrupted } else { error })?;
    }
    let ended = writer.finish().and_then(|output| output.0.finish());
    let (_, encoded) = ended.at("write", Path::new("the layer"))?;
    let Encoded { input, input_size, output, output_size, busy } = encoded;
    let layer = Layer {
        descriptor: Descriptor::new(MediaType::layer(compression.encoding()), output, output_size),
        diff_id: input.expect("the encoder was told to compute it"),
        unpacked_size: input_size,
    };
    let times = LayerTimes { read: read.get(), busy };
    Ok((layer, times))
}

/// The encoder as the place where a tar goes: content flows straight into its blocks, which end at entry edges.
struct LayerOutput(Encoder<File>);

impl Write for LayerOutput {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Output for LayerOutput {
    fn entry_edge(&mut self) {
        self.0.entry_edge();
    }

    fn read_from(&mut self, reader: &mut dyn Read, limit: u64) -> io::Result<u64> {
        self.0.read_from(reader, limit)
    }
}

/// Opens an entry's content when the first byte is asked for, so that nothing is opened for entries without content.
struct EntryReader<'a> {
    entry: &'a Entry,
    content: &'a dyn Content,
    open: Option<Box<dyn Read + 'a>>,
    read: &'a Cell<Duration>,
    observer: &'a dyn Observer,
}

impl Read for EntryReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.observer.interrupted() {
            return Err(Error::Interrupted.into());
        }
        let start = Instant::now();
        let open = match &mut self.open {
            Some(open) => open,
            None => self.open.insert(self.content.open(self.entry)?),
        };
        let read = open.read(buffer)?;
        self.read.set(self.read.get() + start.elapsed());
        self.observer.advance(read as u64);
        Ok(read)
    }
}
