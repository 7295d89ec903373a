//! Blocks: where the input is cut, and how a block is compressed.
//!
//! A block ends where an entry starts, so that a changed file affects its own blocks and no others. The sizes are
//! measured: smaller blocks compress worse (gzip 0.15% compared with one stream, zstd 1%), larger ones cost memory.

use std::io;
use std::sync::Arc;

use xz2::stream::{Action, Check, Filters, LzmaOptions, Status, Stream};
use zstd::zstd_safe::CParameter;

use super::block_encoder::{BlockEncoder, EncodedBlock, MakeEncoder};
use super::buffer::Buffer;
use super::codec::{Codec, XzLevel, ZstdLevel};
use super::gzip;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// The length of blocks, in bytes of input.
#[derive(Clone, Copy)]
pub(super) struct BlockSize {
    /// From here on, the start of an entry may end the block.
    pub(super) least: usize,
    /// The block ends here at the latest.
    pub(super) most: usize,
}

impl BlockSize {
    pub(super) fn of(codec: Codec) -> Self {
        match codec {
            // Nothing is compressed: this only makes writes large.
            Codec::Plain => BlockSize { least: 256 * KIB, most: 256 * KIB },
            Codec::Gzip(_) => BlockSize { least: 384 * KIB, most: MIB },
            Codec::Zstd(_) | Codec::Xz(_) => BlockSize { least: 3 * MIB / 2, most: 4 * MIB },
        }
    }
}

/// Returns the most bytes that a block of `size` bytes can become.
pub(super) fn bound(codec: Codec, size: usize) -> usize {
    match codec {
        Codec::Plain => 0,
        Codec::Gzip(_) => gzip::bound(size),
        Codec::Zstd(_) => zstd::zstd_safe::compress_bound(size),
        // LZMA2 stores what it cannot compress, three bytes for each 64 KiB; then the index and the frame around it.
        Codec::Xz(_) => size + size / KIB + KIB,
    }
}

/// Returns what makes the encoders of a codec, or `None` for [`Codec::Plain`].
pub(super) fn encoder(codec: Codec) -> Option<MakeEncoder> {
    match codec {
        Codec::Plain => None,
        Codec::Gzip(level) => Some(Arc::new(move || Ok(Box::new(gzip::GzipEncoder::new(level)?)))),
        Codec::Zstd(level) => Some(Arc::new(move || Ok(Box::new(Zstd::new(level)?)))),
        Codec::Xz(level) => Some(Arc::new(move || Ok(Box::new(Xz(level))))),
    }
}

/// What surrounds the blocks.
#[derive(Clone, Copy)]
pub(super) enum Frame {
    /// Nothing: each block is complete.
    Bare,
    /// Header and trailer of the one gzip member.
    Gzip,
}

impl Frame {
    pub(super) fn of(codec: Codec) -> Self {
        match codec {
            Codec::Gzip(_) => Frame::Gzip,
            Codec::Plain | Codec::Zstd(_) | Codec::Xz(_) => Frame::Bare,
        }
    }

    pub(super) fn head(self) -> &'static [u8] {
        match self {
            Frame::Bare => &[],
            Frame::Gzip => &gzip::HEADER,
        }
    }

    /// Returns what follows the blocks of an input with this checksum and size.
    pub(super) fn tail(self, checksum: crc32fast::Hasher, size: u64) -> Vec<u8> {
        match self {
            Frame::Bare => Vec::new(),
            Frame::Gzip => gzip::trailer(checksum, size),
        }
    }
}

/// One frame per block, with its size at the front and a checksum at the end.
struct Zstd(zstd::bulk::Compressor<'static>);

impl Zstd {
    fn new(level: ZstdLevel) -> io::Result<Self> {
        let mut compressor = zstd::bulk::Compressor::new(i32::from(level.number()))?;
        compressor.set_parameter(CParameter::ContentSizeFlag(true))?;
        compressor.set_parameter(CParameter::ChecksumFlag(true))?;
        compressor.set_parameter(CParameter::DictIdFlag(false))?;
        Ok(Zstd(compressor))
    }
}

impl BlockEncoder for Zstd {
    fn encode(&mut self, input: &[u8], output: &mut Buffer) -> io::Result<EncodedBlock> {
        let size = self.0.compress_to_buffer(input, output.room())?;
        output.fill(size);
        Ok(EncodedBlock::default())
    }
}

/// One stream per block.
struct Xz(XzLevel);

impl BlockEncoder for Xz {
    fn encode(&mut self, input: &[u8], output: &mut Buffer) -> io::Result<EncodedBlock> {
        let preset = u32::from(self.0.number());
        let mut options = LzmaOptions::new_preset(preset)?;
        // No larger than the block: the match finder needs more than ten times the dictionary. Presets 0 to 2 have
        // less.
        if preset > 2 {
            options.dict_size(4 * MIB as u32);
        }
        let mut stream = Stream::new_stream_encoder(Filters::new().lzma2(&options), Check::Crc64)?;
        let status = stream.process(input, output.room(), Action::Finish)?;
        if status != Status::StreamEnd || stream.total_in() != input.len() as u64 {
            return Err(io::Error::other("liblzma needs more room than its format does"));
        }
        output.fill(stream.total_out() as usize);
        Ok(EncodedBlock::default())
    }
}
