//! The decoder: detects the format and decompresses.
//!
//! It reads all gzip members, zstd frames (skippable ones too), xz streams (with the padding between them) or bzip2
//! streams, one after the other, and stops at anything else. The caller decides what to do with the rest, which
//! [`Decoder::finish`] counts. Memory is bounded whatever the input says, and what comes out by [`Limits`].

// This input is foreign: no value in it may end the process.
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used
    )
)]

use std::io::{self, Read};

use crate::limits::Limits;
use flate2::{Decompress, FlushDecompress};
use xz2::stream::{Action, Stream};
use zstd::stream::raw::{DParameter, Operation};

/// How bytes are compressed, judged by their first few.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Not in a known way.
    Plain,
    /// gzip (RFC 1952).
    Gzip,
    /// Zstandard (RFC 8878).
    Zstd,
    /// xz.
    Xz,
    /// bzip2.
    Bzip2,
}

impl Format {
    /// How many bytes [`sniff`](Self::sniff) looks at.
    pub(crate) const MAGIC_SIZE: usize = 10;

    /// Returns the format that starts with these bytes. Fewer than [`MAGIC_SIZE`](Self::MAGIC_SIZE) are enough for all
    /// but bzip2.
    pub(crate) fn sniff(start: &[u8]) -> Self {
        match start {
            [0x1F, 0x8B, 8, ..] => Format::Gzip,
            // A frame, or a skippable one (RFC 8878, 3.1).
            [0x28, 0xB5, 0x2F, 0xFD, ..] | [0x50..=0x5F, 0x2A, 0x4D, 0x18, ..] => Format::Zstd,
            [0xFD, b'7', b'z', b'X', b'Z', 0, ..] => Format::Xz,
            // With the marks of a first block or of an empty stream: a tar may well start with a file named `BZh9`.
            [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, 0x53, 0x59, ..]
            | [b'B', b'Z', b'h', b'1'..=b'9', 0x17, 0x72, 0x45, 0x38, 0x50, 0x90, ..] => Format::Bzip2,
            _ => Format::Plain,
        }
    }
}

/// Decompresses what `R` yields.
pub struct Decoder<R> {
    input: Input<R>,
    format: Format,
    engine: Engine,
    streams: u64,
    is_unchecked: bool,
    state: State,
    limits: Limits,
    /// The bytes that came out.
    unpacked: u64,
}

/// What follows a compressed stream.
#[derive(Debug)]
pub struct Rest {
    /// How many bytes followed the last member, frame or stream; zero for [`Format::Plain`].
    pub trailing: u64,
    /// How many members, frames or streams there were, including skippable frames; zero for [`Format::Plain`].
    pub streams: u64,
    /// Whether an xz stream was among them that has no integrity check.
    pub is_unchecked: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Within a member, frame or stream.
    Within,
    /// After one that need not be the last.
    Between,
    /// After the last one.
    Ended,
}

enum Engine {
    Plain,
    Gzip(Decompress),
    Zstd(zstd::stream::raw::Decoder<'static>),
    Xz(Stream),
    Bzip2(bzip2::Decompress),
}

/// What an engine did with its input.
struct Step {
    read: usize,
    written: usize,
    ended: bool,
}

/// The largest window that a zstd frame may ask for, as a power of two: 128 MiB, the limit of the zstd command.
const ZSTD_WINDOW: u32 = 27;

/// The memory in bytes that the xz decoder may use: enough for the presets (65 MiB) and for dictionaries of up to 127
/// MiB.
const XZ_MEMORY: u64 = 128 << 20;

impl<R: Read> Decoder<R> {
    /// Makes a decoder that reads from `reader`; reads its first bytes at once to detect the format.
    ///
    /// `reader` may also be a `&mut` to a reader that is used afterwards; it is read in pieces of 64 KiB.
    ///
    /// # Errors
    ///
    /// Those of `reader`.
    pub fn new(reader: R, limits: Limits) -> io::Result<Self> {
        let mut input = Input::new(reader);
        let start = input.peek(Format::MAGIC_SIZE)?;
        let (format, is_unchecked) = (Format::sniff(start), is_unchecked(start));
        let engine = Engine::new(format)?;
        Ok(Decoder {
            input,
            format,
            engine,
            streams: u64::from(format != Format::Plain),
            is_unchecked,
            state: State::Within,
            limits,
            unpacked: 0,
        })
    }

    /// Returns the detected format.
    pub fn format(&self) -> Format {
        self.format
    }

    /// The reader, wherever it is.
    pub fn into_inner(self) -> R {
        self.input.reader
    }

    /// Reads what is left, which checks the checksums at its end, and what comes after it.
    ///
    /// # Errors
    ///
    /// Those of [`read`](Read::read).
    pub fn finish(mut self) -> io::Result<Rest> {
        io::copy(&mut self, &mut io::sink())?;
        let mut trailing = 0;
        loop {
            let count = self.input.filled()?.len();
            if count == 0 {
                return Ok(Rest { trailing, streams: self.streams, is_unchecked: self.is_unchecked });
            }
            trailing = u64::saturating_add(trailing, count as u64);
            self.input.consume(count);
        }
    }

    /// Skips what may be between two streams, and starts the next one if there is one.
    fn next_stream(&mut self) -> io::Result<State> {
        if self.format == Format::Plain {
            return Ok(State::Ended);
        }
        // xz streams may be padded with zeros, four at a time (the .xz file format, 2.2).
        while self.format == Format::Xz && self.input.peek(4)? == [0; 4] {
            self.input.consume(4);
        }
        let start = self.input.peek(Format::MAGIC_SIZE)?;
        if Format::sniff(start) != self.format {
            return Ok(State::Ended);
        }
        self.is_unchecked |= is_unchecked(start);
        self.engine.restart()?;
        self.streams = self.streams.saturating_add(1);
        Ok(State::Within)
    }
}

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, output: &mut [u8]) -> io::Result<usize> {
        while !output.is_empty() {
            match self.state {
                State::Within => {
                    let input = self.input.filled()?;
                    let at_end = input.is_empty();
                    let step = self.engine.step(input, output)?;
                    self.input.consume(step.read);
                    if step.ended {
                        self.state = State::Between;
                    }
                    if step.written > 0 {
                        self.unpacked = self.unpacked.saturating_add(step.written as u64);
                        if self.format != Format::Plain {
                            self.limits.check_unpacked(self.input.consumed, self.unpacked)?;
                        }
                        return Ok(step.written);
                    }
                    if at_end && !step.ended {
                        let message = format!("the {} stream is cut short", self.format.name());
                        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
                    }
                    if step.read == 0 && !step.ended {
                        return Err(damaged(self.format)("no end in sight"));
                    }
                }
                State::Between => self.state = self.next_stream()?,
                State::Ended => break,
            }
        }
        Ok(0)
    }
}

impl Format {
    fn name(self) -> &'static str {
        match self {
            Format::Plain => "plain",
            Format::Gzip => "gzip",
            Format::Zstd => "zstd",
            Format::Xz => "xz",
            Format::Bzip2 => "bzip2",
        }
    }
}

impl Engine {
    fn new(format: Format) -> io::Result<Self> {
        Ok(match format {
            Format::Plain => Engine::Plain,
            // 2^15: the largest window of deflate.
            Format::Gzip => Engine::Gzip(Decompress::new_gzip(15)),
            Format::Zstd => {
                let mut decoder = zstd::stream::raw::Decoder::new()?;
                decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW))?;
                Engine::Zstd(decoder)
            }
            Format::Xz => Engine::Xz(Stream::new_stream_decoder(XZ_MEMORY, 0)?),
            Format::Bzip2 => Engine::Bzip2(new_bzip2()),
        })
    }

    /// Prepares for the next member, frame or stream of the same format.
    fn restart(&mut self) -> io::Result<()> {
        match self {
            Engine::Plain => {}
            // `reset` does not support gzip.
            Engine::Gzip(inflate) => *inflate = Decompress::new_gzip(15),
            Engine::Zstd(decoder) => decoder.reinit()?,
            Engine::Xz(stream) => *stream = Stream::new_stream_decoder(XZ_MEMORY, 0)?,
            Engine::Bzip2(stream) => *stream = new_bzip2(),
        }
        Ok(())
    }

    /// Decodes from `input`, which is empty only at the end, to `output`.
    fn step(&mut self, mut input: &[u8], output: &mut [u8]) -> io::Result<Step> {
        let since = |before: u64, now: u64| now.saturating_sub(before) as usize;
        match self {
            Engine::Plain => {
                let ended = input.is_empty();
                let count = input.read(output)?;
                Ok(Step { read: count, written: count, ended })
            }
            Engine::Gzip(inflate) => {
                let (read, written) = (inflate.total_in(), inflate.total_out());
                let status = inflate.decompress(input, output, FlushDecompress::None).map_err(damaged(Format::Gzip))?;
                Ok(Step {
                    read: since(read, inflate.total_in()),
                    written: since(written, inflate.total_out()),
                    ended: status == flate2::Status::StreamEnd,
                })
            }
            Engine::Zstd(decoder) => {
                let status = decoder.run_on_buffers(input, output).map_err(damaged_zstd)?;
                Ok(Step { read: status.bytes_read, written: status.bytes_written, ended: status.remaining == 0 })
            }
            Engine::Xz(stream) => {
                let (read, written) = (stream.total_in(), stream.total_out());
                let status = stream.process(input, output, Action::Run).map_err(damaged(Format::Xz))?;
                Ok(Step {
                    read: since(read, stream.total_in()),
                    written: since(written, stream.total_out()),
                    ended: status == xz2::stream::Status::StreamEnd,
                })
            }
            Engine::Bzip2(stream) => {
                let (read, written) = (stream.total_in(), stream.total_out());
                let status = stream.decompress(input, output).map_err(damaged(Format::Bzip2))?;
                Ok(Step {
                    read: since(read, stream.total_in()),
                    written: since(written, stream.total_out()),
                    ended: status == bzip2::Status::StreamEnd,
                })
            }
        }
    }
}

/// Whether the start of a stream is that of xz without an integrity check (the .xz file format, 2.1.1.2).
fn is_unchecked(start: &[u8]) -> bool {
    matches!(start, [0xFD, b'7', b'z', b'X', b'Z', 0, 0, 0, ..])
}

/// Uses the faster of its two ways: 4 MB at most, whatever the stream says.
fn new_bzip2() -> bzip2::Decompress {
    bzip2::Decompress::new(false)
}

fn damaged<E: std::fmt::Display>(format: Format) -> impl Fn(E) -> io::Error {
    move |error| io::Error::new(io::ErrorKind::InvalidData, format!("the {} stream is damaged: {error}", format.name()))
}

/// A stream may be whole, and want a larger window than any reader has to give it.
fn damaged_zstd(error: io::Error) -> io::Error {
    if !error.to_string().contains("too much memory") {
        return damaged(Format::Zstd)(error);
    }
    let limit = 1 << (ZSTD_WINDOW - 20);
    let message = format!("the zstd stream needs a window of more than {limit} MiB: decompress it first");
    io::Error::new(io::ErrorKind::InvalidData, message)
}

/// A reader with a buffer that allows looking several bytes ahead, however few each read yields.
struct Input<R> {
    reader: R,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// The bytes that are used up.
    consumed: u64,
}

impl<R: Read> Input<R> {
    fn new(reader: R) -> Self {
        Input { reader, buffer: vec![0; 64 * 1024].into(), start: 0, end: 0, consumed: 0 }
    }

    /// Returns the next bytes, at least one except at the end.
    fn filled(&mut self) -> io::Result<&[u8]> {
        self.at_least(1)?;
        Ok(self.held())
    }

    /// Returns the next `count` bytes, or as many as there are.
    fn peek(&mut self, count: usize) -> io::Result<&[u8]> {
        self.at_least(count)?;
        let held = self.held();
        Ok(held.split_at(held.len().min(count)).0)
    }

    /// Returns what was read and is not used up.
    fn held(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    fn consume(&mut self, count: usize) {
        self.start = self.start.saturating_add(count);
        self.consumed = self.consumed.saturating_add(count as u64);
    }

    fn at_least(&mut self, count: usize) -> io::Result<()> {
        let held = self.held().len();
        if held >= count {
            return Ok(());
        }
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, held);
        while self.end < count {
            match self.reader.read(self.buffer.get_mut(self.end..).unwrap_or_default()) {
                Ok(0) => break,
                Ok(read) => self.end = self.end.saturating_add(read),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::write::GzEncoder;

    use super::*;

    const TEXT: &[u8] = b"entry entry entry, and so on";

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
        encoder.include_checksum(true).unwrap();
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn xz(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = xz2::write::XzEncoder::new(Vec::new(), 1);
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn bzip2(content: &[u8]) -> Vec<u8> {
        let mut stream = Vec::new();
        bzip2::read::BzEncoder::new(content, bzip2::Compression::fast()).read_to_end(&mut stream).unwrap();
        stream
    }

    /// A skippable frame with five bytes.
    const SKIPPABLE: &[u8] = b"\x53\x2A\x4D\x18\x05\0\0\0abcde";

    fn decode(bytes: &[u8]) -> io::Result<(Vec<u8>, Format, u64, u64)> {
        /// One byte per read, and every other read interrupted, which a reader may do.
        struct Slow<'a>(&'a [u8], bool);

        impl Read for Slow<'_> {
            fn read(&mut self, output: &mut [u8]) -> io::Result<usize> {
                self.1 = !self.1;
                if self.1 {
                    return Err(io::ErrorKind::Interrupted.into());
                }
                self.0.read(&mut output[..1])
            }
        }

        let mut input = Slow(bytes, false);
        let mut decoder = Decoder::new(&mut input, Limits::default())?;
        let mut output = Vec::new();
        decoder.read_to_end(&mut output)?;
        let format = decoder.format();
        let rest = decoder.finish()?;
        assert!(input.0.is_empty());
        Ok((output, format, rest.streams, rest.trailing))
    }

    #[test]
    fn all_streams_are_read_and_what_follows_is_counted() {
        let twice = [TEXT, TEXT].concat();
        for (bytes, expected) in [
            (Vec::new(), (&[][..], Format::Plain, 0, 0)),
            (TEXT.to_vec(), (TEXT, Format::Plain, 0, 0)),
            (b"BZh9 is a file's name".to_vec(), (b"BZh9 is a file's name", Format::Plain, 0, 0)),
            (gzip(b""), (b"", Format::Gzip, 1, 0)),
            (gzip(TEXT), (TEXT, Format::Gzip, 1, 0)),
            ([gzip(TEXT), gzip(b""), gzip(TEXT)].concat(), (&twice, Format::Gzip, 3, 0)),
            ([gzip(TEXT), b"rubbish".to_vec()].concat(), (TEXT, Format::Gzip, 1, 7)),
            ([gzip(TEXT), vec![0; 512]].concat(), (TEXT, Format::Gzip, 1, 512)),
            ([gzip(TEXT), zstd(TEXT)].concat(), (TEXT, Format::Gzip, 1, zstd(TEXT).len() as u64)),
            (zstd(TEXT), (TEXT, Format::Zstd, 1, 0)),
            ([SKIPPABLE, &zstd(TEXT), SKIPPABLE, &zstd(TEXT)].concat(), (&twice, Format::Zstd, 4, 0)),
            ([zstd(TEXT), b"!".to_vec()].concat(), (TEXT, Format::Zstd, 1, 1)),
            (xz(TEXT), (TEXT, Format::Xz, 1, 0)),
            ([xz(TEXT), vec![0; 8], xz(TEXT), vec![0; 4]].concat(), (&twice, Format::Xz, 2, 0)),
            ([xz(TEXT), vec![0; 6], xz(TEXT)].concat(), (TEXT, Format::Xz, 1, 2 + xz(TEXT).len() as u64)),
        ] {
            let (output, format, streams, trailing) = decode(&bytes).unwrap();
            assert_eq!((&output[..], format, streams, trailing), expected);
        }
    }

    #[test]
    fn a_stream_that_is_cut_short_is_an_error_wherever_that_is() {
        for (bytes, magic) in [(gzip(TEXT), 3), (zstd(TEXT), 4), (xz(TEXT), 6)] {
            for size in magic..bytes.len() {
                let error = decode(&bytes[..size]).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{size} of {} bytes: {error}", bytes.len());
            }
        }
    }

    #[test]
    fn a_wrong_checksum_is_an_error_also_for_who_stops_reading_early() {
        // In gzip and zstd it is at the end, in xz before the index (12) and the footer (12).
        for (mut bytes, from_end) in [(gzip(TEXT), 8), (zstd(TEXT), 1), (xz(TEXT), 28)] {
            let at = bytes.len() - from_end;
            bytes[at] ^= 1;
            assert_eq!(decode(&bytes).unwrap_err().kind(), io::ErrorKind::InvalidData);
            let mut decoder = Decoder::new(&bytes[..], Limits::default()).unwrap();
            let mut all = [0; TEXT.len()];
            // The decoder may notice at once or only at the end, but it must notice.
            let read = decoder.read_exact(&mut all);
            assert_eq!(read.and_then(|()| decoder.finish()).unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
    }

    #[test]
    fn streams_that_ask_for_much_memory_are_refused() {
        // A frame header with a window of 256 MiB (RFC 8878, 3.1.1.1.2: 10 + 18, no mantissa).
        let frame = [0x28, 0xB5, 0x2F, 0xFD, 0x00, 18 << 3, 0x01, 0x00, 0x00];
        assert!(
            decode(&frame).unwrap_err().to_string().contains("a window of more than 128 MiB"),
            "{:?}",
            decode(&frame)
        );

        let mut options = xz2::stream::LzmaOptions::new_preset(0).unwrap();
        options.dict_size(256 << 20);
        let mut filters = xz2::stream::Filters::new();
        let stream = Stream::new_stream_encoder(filters.lzma2(&options), xz2::stream::Check::Crc32).unwrap();
        let mut encoder = xz2::write::XzEncoder::new_stream(Vec::new(), stream);
        encoder.write_all(TEXT).unwrap();
        assert!(decode(&encoder.finish().unwrap()).unwrap_err().to_string().contains("memory"));
    }

    #[test]
    fn bzip2_streams_follow_each_other() {
        let content: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
        let (first, second) = content.split_at(1_000_000);
        let streams = [bzip2(first), bzip2(b""), bzip2(second)].concat();
        assert_eq!(Format::sniff(&bzip2(b"")), Format::Bzip2);
        assert_eq!(decode(&streams).unwrap(), (content.clone(), Format::Bzip2, 3, 0));
        let followed = [streams.as_slice(), b"BZh9 and no stream"].concat();
        assert_eq!(decode(&followed).unwrap(), (content, Format::Bzip2, 3, 18));
    }

    #[test]
    fn bzip2_is_held_to_its_checksums_and_its_end() {
        let stream = bzip2(&[7; 5000]);
        for length in [11, 20, stream.len() - 1] {
            let error = decode(&stream[..length]).unwrap_err().to_string();
            assert_eq!(error, "the bzip2 stream is cut short", "{length} bytes");
        }
        for position in [10, stream.len() - 3] {
            let mut stream = stream.clone();
            stream[position] ^= 1;
            let error = decode(&stream).unwrap_err().to_string();
            assert!(error.starts_with("the bzip2 stream is damaged: "), "byte {position}: {error}");
        }
    }
}
