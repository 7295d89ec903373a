//! The decoder: finds out what it reads, and undoes it.
//!
//! It reads all gzip members, zstd frames (skippable ones too), xz streams (with the padding between them) or bzip2
//! streams that stand one behind the other, and stops where something else comes. What that is, is the caller's to
//! judge: [`Decoder::finish`] counts it. Memory is bounded whatever the input says; the size of the output is not.

use std::io::{self, Read};

use flate2::{Decompress, FlushDecompress};
use xz2::stream::{Action, Stream};
use zstd::stream::raw::{DParameter, Operation};

/// How bytes are compressed, going by their first few.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// In no way that is known here.
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
    pub const MAGIC_SIZE: usize = 10;

    /// What starts with these bytes. Fewer than [`MAGIC_SIZE`](Self::MAGIC_SIZE) are enough for all but bzip2.
    pub fn sniff(start: &[u8]) -> Self {
        match start {
            [0x1F, 0x8B, 8, ..] => Format::Gzip,
            // A frame, or one that readers skip (RFC 8878, 3.1).
            [0x28, 0xB5, 0x2F, 0xFD, ..] | [0x50..=0x5F, 0x2A, 0x4D, 0x18, ..] => Format::Zstd,
            [0xFD, b'7', b'z', b'X', b'Z', 0, ..] => Format::Xz,
            // With the marks of a first block or of an empty stream: a tar may well start with the file `BZh9`.
            [b'B', b'Z', b'h', b'1'..=b'9', 0x31, 0x41, 0x59, 0x26, 0x53, 0x59, ..]
            | [b'B', b'Z', b'h', b'1'..=b'9', 0x17, 0x72, 0x45, 0x38, 0x50, 0x90, ..] => Format::Bzip2,
            _ => Format::Plain,
        }
    }
}

/// Undoes the compression of what `R` yields.
pub struct Decoder<R> {
    input: Input<R>,
    format: Format,
    engine: Engine,
    streams: u64,
    state: State,
}

/// What stands behind a compressed stream.
#[derive(Debug)]
pub struct Rest<R> {
    /// The reader, at its end.
    pub inner: R,
    /// How many bytes stood behind the last member, frame or stream; zero for [`Format::Plain`].
    pub trailing: u64,
    /// How many members, frames or streams there were, skippable frames counted; zero for [`Format::Plain`].
    pub streams: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Within a member, frame or stream.
    Within,
    /// Behind one.
    Between,
    /// Behind the last one.
    Ended,
}

enum Engine {
    Plain,
    Gzip(Decompress),
    Zstd(zstd::stream::raw::Decoder<'static>),
    Xz(Stream),
    Bzip2(bzip2::Decompress),
}

/// What an engine did with the bytes it was given.
struct Step {
    read: usize,
    written: usize,
    ended: bool,
}

/// The largest window that a zstd frame may ask for, as a power of two: 128 MiB, the limit of the zstd command.
const ZSTD_WINDOW: u32 = 27;

/// Bytes that the xz decoder may use: enough for the presets (65 MiB) and for dictionaries of up to 127 MiB.
const XZ_MEMORY: u64 = 128 << 20;

impl<R: Read> Decoder<R> {
    /// A decoder behind `reader`, whose first bytes are looked at now.
    ///
    /// `reader` may also be a `&mut` to one that is looked at later; it is read in pieces of 64 KiB.
    ///
    /// # Errors
    ///
    /// Those of `reader`.
    pub fn new(reader: R) -> io::Result<Self> {
        let mut input = Input::new(reader);
        let format = Format::sniff(input.peek(Format::MAGIC_SIZE)?);
        let engine = Engine::new(format)?;
        Ok(Decoder { input, format, engine, streams: u64::from(format != Format::Plain), state: State::Within })
    }

    /// What was recognised.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Reads what is left, which checks the checksums at its end, and what stands behind it.
    ///
    /// # Errors
    ///
    /// Those of [`read`](Read::read).
    pub fn finish(mut self) -> io::Result<Rest<R>> {
        io::copy(&mut self, &mut io::sink())?;
        let mut trailing = 0;
        loop {
            let count = self.input.filled()?.len();
            if count == 0 {
                return Ok(Rest { inner: self.input.reader, trailing, streams: self.streams });
            }
            trailing += count as u64;
            self.input.consume(count);
        }
    }

    /// Steps over what may stand between two streams, and starts with the next one if there is one.
    fn next_stream(&mut self) -> io::Result<State> {
        if self.format == Format::Plain {
            return Ok(State::Ended);
        }
        // xz streams may be padded with zeros, four at a time (the .xz file format, 2.2).
        while self.format == Format::Xz && self.input.peek(4)? == [0; 4] {
            self.input.consume(4);
        }
        if Format::sniff(self.input.peek(Format::MAGIC_SIZE)?) != self.format {
            return Ok(State::Ended);
        }
        self.engine.restart()?;
        self.streams += 1;
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
            // 2^15: the largest window that deflate knows.
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

    /// Makes ready for the next member, frame or stream of the same format.
    fn restart(&mut self) -> io::Result<()> {
        match self {
            Engine::Plain => {}
            // Its `reset` does not know of gzip.
            Engine::Gzip(inflate) => *inflate = Decompress::new_gzip(15),
            Engine::Zstd(decoder) => decoder.reinit()?,
            Engine::Xz(stream) => *stream = Stream::new_stream_decoder(XZ_MEMORY, 0)?,
            Engine::Bzip2(stream) => *stream = new_bzip2(),
        }
        Ok(())
    }

    /// Decodes from `input`, which is empty only at the end, to `output`.
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> io::Result<Step> {
        match self {
            Engine::Plain => {
                let count = input.len().min(output.len());
                output[..count].copy_from_slice(&input[..count]);
                Ok(Step { read: count, written: count, ended: input.is_empty() })
            }
            Engine::Gzip(inflate) => {
                let (read, written) = (inflate.total_in(), inflate.total_out());
                let status = inflate.decompress(input, output, FlushDecompress::None).map_err(damaged(Format::Gzip))?;
                Ok(Step {
                    read: (inflate.total_in() - read) as usize,
                    written: (inflate.total_out() - written) as usize,
                    ended: status == flate2::Status::StreamEnd,
                })
            }
            Engine::Zstd(decoder) => {
                let status = decoder.run_on_buffers(input, output).map_err(damaged(Format::Zstd))?;
                Ok(Step { read: status.bytes_read, written: status.bytes_written, ended: status.remaining == 0 })
            }
            Engine::Xz(stream) => {
                let (read, written) = (stream.total_in(), stream.total_out());
                let status = stream.process(input, output, Action::Run).map_err(damaged(Format::Xz))?;
                Ok(Step {
                    read: (stream.total_in() - read) as usize,
                    written: (stream.total_out() - written) as usize,
                    ended: status == xz2::stream::Status::StreamEnd,
                })
            }
            Engine::Bzip2(stream) => {
                let (read, written) = (stream.total_in(), stream.total_out());
                let status = stream.decompress(input, output).map_err(damaged(Format::Bzip2))?;
                Ok(Step {
                    read: (stream.total_in() - read) as usize,
                    written: (stream.total_out() - written) as usize,
                    ended: status == bzip2::Status::StreamEnd,
                })
            }
        }
    }
}

/// In the faster of its two ways: 4 MB at most, whatever the stream says.
fn new_bzip2() -> bzip2::Decompress {
    bzip2::Decompress::new(false)
}

fn damaged<E: std::fmt::Display>(format: Format) -> impl Fn(E) -> io::Error {
    move |error| io::Error::new(io::ErrorKind::InvalidData, format!("the {} stream is damaged: {error}", format.name()))
}

/// A reader with a buffer in which several bytes can be looked at ahead, however few each read yields.
struct Input<R> {
    reader: R,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
}

impl<R: Read> Input<R> {
    fn new(reader: R) -> Self {
        Input { reader, buffer: vec![0; 64 * 1024].into(), start: 0, end: 0 }
    }

    /// The next bytes, at least one except at the end.
    fn filled(&mut self) -> io::Result<&[u8]> {
        self.at_least(1)?;
        Ok(&self.buffer[self.start..self.end])
    }

    /// The next `count` bytes, or as many as there are.
    fn peek(&mut self, count: usize) -> io::Result<&[u8]> {
        self.at_least(count)?;
        Ok(&self.buffer[self.start..self.end.min(self.start + count)])
    }

    fn consume(&mut self, count: usize) {
        self.start += count;
    }

    fn at_least(&mut self, count: usize) -> io::Result<()> {
        if self.end - self.start >= count {
            return Ok(());
        }
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        while self.end < count {
            match self.reader.read(&mut self.buffer[self.end..]) {
                Ok(0) => break,
                Ok(read) => self.end += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bzip2(content: &[u8]) -> Vec<u8> {
        let mut stream = Vec::new();
        bzip2::read::BzEncoder::new(content, bzip2::Compression::fast()).read_to_end(&mut stream).unwrap();
        stream
    }

    /// What comes out, and how many bytes and streams there were beside it.
    fn decode(stream: &[u8]) -> io::Result<(Vec<u8>, u64, u64)> {
        let mut decoder = Decoder::new(stream)?;
        let mut content = Vec::new();
        decoder.read_to_end(&mut content)?;
        let rest = decoder.finish()?;
        Ok((content, rest.trailing, rest.streams))
    }

    #[test]
    fn bzip2_streams_follow_each_other() {
        let content: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
        let (first, second) = content.split_at(1_000_000);
        let streams = [bzip2(first), bzip2(b""), bzip2(second)].concat();
        assert_eq!(Format::sniff(&bzip2(b"")), Format::Bzip2);
        assert_eq!(decode(&streams).unwrap(), (content.clone(), 0, 3));
        let followed = [streams.as_slice(), b"BZh9 and no stream"].concat();
        assert_eq!(decode(&followed).unwrap(), (content, 18, 3));
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
