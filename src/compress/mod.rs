//! Compression: an encoder that works on many blocks at once, and a decoder that detects what it reads.
//!
//! The bytes that an [`Encoder`] writes depend on its input, on where entries start and on the level; never on the
//! number of threads, on timing or on how the input was split into writes. Blocks are compressed independently of each
//! other (see `block`) and joined into one gzip member, or a series of zstd frames or xz streams.

mod block;
mod block_encoder;
mod buffer;
mod caching;
pub(crate) use caching::{decoded, encoding};
mod codec;
mod compressors;
mod cut;
mod decoder;
mod deflate_scan;
mod encoded;
mod encoder;
mod gzip;
mod pipeline;
mod read_ahead;

pub use codec::{Codec, Compression, GzipLevel, XzLevel, ZstdLevel};
pub(crate) use compressors::Compressors;
pub use decoder::{Decoder, Format, Rest};
pub use encoded::Busy;
pub use encoded::Encoded;
pub use encoded::InputDigest;
pub use encoder::Encoder;
pub(crate) use encoder::EndedStream;
pub(crate) use read_ahead::ReadAhead;
