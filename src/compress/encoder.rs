//! The encoder: bytes go in, blocks are cut, and a [`Pipeline`] does the rest.

use std::io::{self, Read, Write};
use std::num::NonZeroUsize;
use std::sync::Arc;

use super::block::{BlockSize, Frame};
use super::buffer::Buffer;
use super::codec::Codec;
use super::compressors::Compressors;
use super::cut::BlockEnd;
use super::encoded::{Encoded, InputDigest};
use super::pipeline::Pipeline;

/// Compresses what is written to it with several threads, and writes the result to `W` in another thread.
///
/// The output is complete only after [`finish`](Self::finish). If the encoder is dropped before, it stops its threads,
/// and what was written so far is not a complete stream. An error of the inner writer is returned by one of the next
/// writes or by `finish`, and by all calls after that. [`flush`](Write::flush) does nothing: it must not move the end
/// of a block.
pub struct Encoder<W: Write + Send + 'static> {
    pipeline: Pipeline<W>,
    compressors: Arc<Compressors>,
    /// The block being filled, and perhaps the beginning of the next.
    block: Option<Buffer>,
    /// Where the block being filled ends.
    cut: BlockEnd,
    /// No block was sent yet. An empty input needs one too: an empty frame, as opposed to none.
    needs_block: bool,
}

impl<W: Write + Send + 'static> Encoder<W> {
    /// Makes an encoder that writes to `inner` and compresses with `threads` threads; two more hash and write.
    ///
    /// # Errors
    ///
    /// If a thread cannot be started.
    pub fn new(inner: W, codec: impl Into<Codec>, threads: NonZeroUsize, input: InputDigest) -> io::Result<Self> {
        Encoder::with(inner, &Compressors::start(codec, threads, None)?, input)
    }

    /// Makes an encoder that writes to `inner` and shares its threads and their memory with others; two more hash and
    /// write. Each must have ended before the next is written to.
    ///
    /// # Errors
    ///
    /// If a thread cannot be started.
    pub(crate) fn with(inner: W, compressors: &Arc<Compressors>, input: InputDigest) -> io::Result<Self> {
        let codec = compressors.codec;
        Ok(Encoder {
            pipeline: Pipeline::start(inner, compressors, Frame::of(codec), input)?,
            compressors: Arc::clone(compressors),
            block: None,
            cut: BlockEnd::of(BlockSize::of(codec)),
            needs_block: matches!(codec, Codec::Zstd(_) | Codec::Xz(_)),
        })
    }

    /// Says that an entry starts with the next byte: it has this many bytes of content, and a key that follows from its
    /// name alone.
    pub fn entry_edge(&mut self, key: u64, size: u64) {
        if let Some(block) = &self.block {
            self.cut.entry_edge(block.len(), key, size);
        }
    }

    /// Reads up to `limit` bytes from `reader`, straight into a block; returns how many there were.
    ///
    /// # Errors
    ///
    /// Those of `reader` and of the inner writer.
    pub fn read_from(&mut self, reader: &mut dyn Read, limit: u64) -> io::Result<u64> {
        let mut taken = 0;
        while taken < limit {
            let block = self.open_block()?;
            let room = block.room();
            let wanted = usize::try_from(limit - taken).map_or(room.len(), |left| left.min(room.len()));
            match reader.read(&mut room[..wanted]) {
                Ok(0) => break,
                Ok(count) => {
                    block.fill(count);
                    taken += count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(taken)
    }

    /// Writes what is left, ends the stream, and returns the inner writer and the encoder's report.
    ///
    /// # Errors
    ///
    /// Those of the inner writer.
    pub fn finish(self) -> io::Result<(W, Encoded)> {
        self.end()?.wait()
    }

    /// Writes what is left and ends the stream, without waiting until it is written: another encoder with the same
    /// threads can begin.
    ///
    /// # Errors
    ///
    /// Those of the inner writer, as far as they are known.
    pub(crate) fn end(mut self) -> io::Result<EndedStream<W>> {
        let block = self.block.take().filter(|block| !block.is_empty());
        let empty = self.needs_block && block.is_none();
        if let Some(block) = block.or_else(|| empty.then(|| self.compressors.input())) {
            self.pipeline.push(block)?;
        }
        self.pipeline.end()?;
        Ok(EndedStream(self.pipeline))
    }

    /// Returns the block being filled, with room for at least one more byte.
    fn open_block(&mut self) -> io::Result<&mut Buffer> {
        if let Some(mut block) = self.block.take() {
            match self.cut.end(block.len()) {
                None => self.block = Some(block),
                Some(end) => {
                    self.pipeline.running()?;
                    if end < block.len() {
                        // What comes after the end begins the next block.
                        let mut next = self.compressors.input();
                        let rest = block.len() - end;
                        next.room()[..rest].copy_from_slice(&block[end..]);
                        next.fill(rest);
                        block.truncate(end);
                        self.block = Some(next);
                    }
                    self.needs_block = false;
                    self.pipeline.push(block)?;
                }
            }
        }
        if self.block.is_none() {
            self.pipeline.running()?;
        }
        Ok(self.block.get_or_insert_with(|| self.compressors.input()))
    }
}

/// A stream that has ended but may not be written completely.
pub(crate) struct EndedStream<W: Write + Send + 'static>(Pipeline<W>);

impl<W: Write + Send + 'static> EndedStream<W> {
    /// Waits until everything is written; returns the inner writer and the encoder's report.
    ///
    /// # Errors
    ///
    /// Those of the inner writer.
    pub(crate) fn wait(self) -> io::Result<(W, Encoded)> {
        self.0.wait()
    }
}

impl<W: Write + Send + 'static> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let block = self.open_block()?;
        let room = block.room();
        let count = room.len().min(bytes.len());
        room[..count].copy_from_slice(&bytes[..count]);
        block.fill(count);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;
    use crate::compress::{Compression, Decoder, GzipLevel, XzLevel, ZstdLevel};
    use crate::digest::Digest;
    use crate::limits::Limits;

    fn threads(count: usize) -> NonZeroUsize {
        NonZeroUsize::new(count).unwrap()
    }

    /// Returns bytes like those of a tree: text, zeros and noise in turn, the same in each run.
    fn mixed(size: usize) -> Vec<u8> {
        let mut state = 0x2545_F491_4F6C_DD1D_u64;
        let mut bytes = Vec::with_capacity(size);
        while bytes.len() < size {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            match state % 4 {
                0 => bytes.extend_from_slice(format!("entry {} of a tree, mode 0644\n", state % 1000).as_bytes()),
                1 => bytes.extend_from_slice(&[0; 700][..(state % 700) as usize]),
                _ => bytes.extend_from_slice(&state.to_le_bytes()),
            }
        }
        bytes.truncate(size);
        bytes
    }

    fn encode(codec: impl Into<Codec>, count: usize, bytes: &[u8]) -> (Vec<u8>, Encoded) {
        let mut encoder = Encoder::new(Vec::new(), codec, threads(count), InputDigest::Compute).unwrap();
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn codecs() -> Vec<Codec> {
        vec![
            Codec::Plain,
            Codec::Gzip(GzipLevel::default()),
            Codec::Zstd(ZstdLevel::default()),
            Codec::Xz(XzLevel::try_from(1).unwrap()),
        ]
    }

    #[test]
    fn what_goes_in_comes_out_whatever_the_codec_and_the_threads() {
        for bytes in [Vec::new(), mixed(1), mixed(1 << 20), mixed(9_000_000)] {
            for codec in codecs() {
                let (one, summary) = encode(codec, 1, &bytes);
                assert_eq!(summary.input, Some(Digest::of(&bytes)));
                assert_eq!(summary.output, Digest::of(&one));
                assert_eq!((summary.input_size, summary.output_size), (bytes.len() as u64, one.len() as u64));
                let (three, _) = encode(codec, 3, &bytes);
                assert!(one == three, "{codec:?}: the number of threads changed the bytes");
                let mut decoder = Decoder::new(&one[..], Limits::default()).unwrap();
                let mut back = Vec::new();
                decoder.read_to_end(&mut back).unwrap();
                assert!(back == bytes, "{codec:?}, {} bytes", bytes.len());
                assert_eq!(decoder.finish().unwrap().trailing, 0);
            }
        }
    }

    #[test]
    fn encoders_with_the_same_threads_write_what_they_would_write_alone() {
        for codec in codecs() {
            let compressors = Compressors::start(codec, threads(2), None).unwrap();
            let inputs: Vec<Vec<u8>> = [0, 100, 3_000_000, 0, 5_000_001, 7].into_iter().map(mixed).collect();
            let endings: Vec<_> = inputs
                .iter()
                .map(|bytes| {
                    let mut encoder = Encoder::with(Vec::new(), &compressors, InputDigest::Compute).unwrap();
                    encoder.write_all(bytes).unwrap();
                    encoder.end().unwrap()
                })
                .collect();
            for (bytes, ending) in inputs.iter().zip(endings) {
                let (together, summary) = ending.wait().unwrap();
                let (alone, expected) = encode(codec, 2, bytes);
                assert!(together == alone, "{codec:?}");
                assert_eq!((summary.input, summary.output), (expected.input, expected.output));
            }
        }
    }

    #[test]
    fn gzip_is_one_member() {
        let bytes = mixed(5_000_000);
        let (packed, _) = encode(Compression::default(), 2, &bytes);
        let mut rest = &packed[..];
        let mut back = Vec::new();
        flate2::bufread::GzDecoder::new(&mut rest).read_to_end(&mut back).unwrap();
        assert!(back == bytes && rest.is_empty());
    }

    /// Returns where the blocks end, in bytes of input, when entries start at `edges`.
    fn block_ends(codec: impl Into<Codec>, size: usize, edges: &[usize]) -> Vec<u64> {
        let mut encoder = Encoder::new(Vec::new(), codec, threads(2), InputDigest::Skip).unwrap();
        let mut at = 0;
        for &edge in edges.iter().chain([&size]) {
            encoder.write_all(&vec![0; edge - at]).unwrap();
            encoder.entry_edge(edge as u64, 0);
            at = edge;
        }
        let (bytes, summary) = encoder.finish().unwrap();
        assert_eq!(summary.input, None);
        let mut ends = Vec::new();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let frame = zstd::zstd_safe::find_frame_compressed_size(rest).unwrap();
            let size = zstd::zstd_safe::get_frame_content_size(rest).unwrap().unwrap();
            ends.push(ends.last().unwrap_or(&0) + size);
            rest = &rest[frame..];
        }
        ends
    }

    #[test]
    fn blocks_end_where_entries_start() {
        const MIB: usize = 1 << 20;
        let zstd = Codec::Zstd(ZstdLevel::default());
        for (size, edges, ends) in [
            (0, &[][..], vec![0]),
            (1, &[], vec![1]),
            (4 * MIB, &[], vec![4 * MIB]),
            (9 * MIB, &[], vec![4 * MIB, 8 * MIB, 9 * MIB]),
            // The last block ends with the input, whatever starts in it.
            (3 * MIB, &[2 * MIB], vec![3 * MIB]),
            (5 * MIB, &[2 * MIB], vec![2 * MIB, 5 * MIB]),
            // The keys here are the positions, so the first edge that may end the block does.
            (9 * MIB, &[MIB, 3 * MIB, 4 * MIB, 6 * MIB], vec![3 * MIB, 6 * MIB, 9 * MIB]),
            // An edge twice, and one at the end.
            (5 * MIB, &[3 * MIB, 3 * MIB, 5 * MIB], vec![3 * MIB, 5 * MIB]),
        ] {
            let ends: Vec<u64> = ends.into_iter().map(|end| end as u64).collect();
            assert_eq!(block_ends(zstd, size, edges), ends, "{size} bytes, edges {edges:?}");
        }
    }

    #[test]
    fn how_the_input_comes_does_not_matter() {
        let bytes = mixed(3_000_000);
        for codec in codecs() {
            let (expected, _) = encode(codec, 2, &bytes);
            let mut encoder = Encoder::new(Vec::new(), codec, threads(2), InputDigest::Skip).unwrap();
            let mut rest = &bytes[..];
            for (turn, size) in [0, 1, 511, 70_000, 1_048_576, 3].into_iter().cycle().enumerate() {
                let size = size.min(rest.len());
                if turn % 2 == 0 {
                    encoder.write_all(&rest[..size]).unwrap();
                    encoder.flush().unwrap();
                    rest = &rest[size..];
                } else {
                    assert_eq!(encoder.read_from(&mut rest, size as u64).unwrap(), size as u64);
                }
                // The end of a reader that is not the end of the input.
                assert_eq!(encoder.read_from(&mut io::empty(), 5).unwrap(), 0);
                if rest.is_empty() {
                    break;
                }
            }
            let (packed, summary) = encoder.finish().unwrap();
            assert!(packed == expected, "{codec:?}");
            assert_eq!((summary.input, summary.input_size), (None, bytes.len() as u64));
        }
    }

    #[test]
    fn a_reader_is_read_to_its_end_or_the_limit() {
        let mut encoder = Encoder::new(Vec::new(), Codec::Plain, threads(1), InputDigest::Compute).unwrap();
        let mut reader = &b"0123456789"[..];
        assert_eq!(encoder.read_from(&mut reader, 4).unwrap(), 4);
        assert_eq!(reader, b"456789");
        assert_eq!(encoder.read_from(&mut reader, 10).unwrap(), 6);
        let (bytes, summary) = encoder.finish().unwrap();
        assert_eq!(bytes, b"0123456789");
        assert_eq!(summary.input, Some(summary.output));
    }

    #[test]
    fn an_error_of_a_reader_is_passed_on() {
        struct Broken(u32);

        impl Read for Broken {
            fn read(&mut self, output: &mut [u8]) -> io::Result<usize> {
                self.0 += 1;
                match self.0 {
                    1 => Err(io::ErrorKind::Interrupted.into()),
                    // More blocks than there are buffers.
                    2..=10 => Ok(output.len()),
                    _ => Err(io::Error::from_raw_os_error(5)),
                }
            }
        }

        for codec in codecs() {
            let mut encoder = Encoder::new(io::sink(), codec, threads(2), InputDigest::Compute).unwrap();
            let error = encoder.read_from(&mut Broken(0), u64::MAX).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(5), "{codec:?}");
        }
    }

    #[test]
    fn a_full_disk_is_reported_and_goes_on_being_reported() {
        struct Full;

        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::Error::from_raw_os_error(28))
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }

        for codec in codecs() {
            let mut encoder = Encoder::new(Full, codec, threads(2), InputDigest::Compute).unwrap();
            let error = encoder.read_from(&mut io::repeat(0), u64::MAX).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(28), "{codec:?}");
            assert_eq!(encoder.write(b"more").unwrap_err().raw_os_error(), Some(28), "{codec:?}");
            assert_eq!(encoder.finish().map(|_| ()).unwrap_err().raw_os_error(), Some(28), "{codec:?}");
        }
    }

    /// The bytes of a layer are its identity: a change here changes every digest and belongs in the changelog.
    #[test]
    fn bytes_are_pinned() {
        let bytes = mixed(2_500_000);
        for (text, digest) in [
            ("none", "sha256:7354aa692e9b"),
            ("gzip", "sha256:be538808f09b"),
            ("gzip:1", "sha256:be538808f09b"),
            ("gzip:6", "sha256:381a6df64e85"),
            ("gzip:12", "sha256:d579ee0fb144"),
            ("zstd", "sha256:c29b305a1eb3"),
            ("zstd:9", "sha256:c6085e68bb3a"),
        ] {
            let compression: Compression = text.parse().unwrap();
            assert_eq!(encode(compression, 2, &bytes).1.output.short(), digest, "{text}");
        }
    }
}
