//! One gzip member from blocks that libdeflate compressed independently of each other.
//!
//! libdeflate ends each buffer with a deflate block that is marked as the last of its stream. Here that mark is cleared
//! and an empty stored block is appended, after which the next buffer starts on a byte; a separate empty block ends the
//! stream. So no block has to know whether it is the last, and equal input gives equal bytes anywhere in the stream.
//! There is one member because some readers, bootc among them, stop after the first.

use std::io;

use libdeflater::{CompressionLvl, Compressor};

use super::block_encoder::{BlockEncoder, EncodedBlock};
use super::buffer::Buffer;
use super::codec::GzipLevel;
use super::deflate_scan::Scanner;

/// RFC 1952, 2.3: deflate, no flags, no time, no extra flags, unknown operating system: nothing about this host.
pub(super) const HEADER: [u8; 10] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF];

/// The last deflate block: fixed codes, and only the end-of-block symbol.
const LAST_BLOCK: [u8; 2] = [0x03, 0x00];

/// The rest of an empty stored block after its three header bits and the padding to a byte (RFC 1951, 3.2.4).
const EMPTY_STORED: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];

/// Returns what ends the member: the last block, and checksum and size of all input (RFC 1952, 2.3.1).
pub(super) fn trailer(checksum: crc32fast::Hasher, input_size: u64) -> Vec<u8> {
    let checksum = checksum.finalize().to_le_bytes();
    let size = (input_size as u32).to_le_bytes();
    [&LAST_BLOCK[..], &checksum, &size].concat()
}

/// Returns the most bytes that a block of `size` bytes can become.
pub(super) fn bound(size: usize) -> usize {
    // libdeflate's own bound, which only a compressor can tell: what does not get smaller is stored in pieces of at
    // least 5000 bytes, with five bytes for each. The rest is for what is appended here.
    size + 5 * size.div_ceil(5000).max(1) + 16
}

/// Compresses blocks for one member.
pub(super) struct GzipEncoder {
    compressor: Compressor,
    /// Compresses blocks in which nearly every byte is low, where a faster compressor does as well.
    for_low_bytes: Option<Compressor>,
    scanner: Scanner,
}

impl GzipEncoder {
    pub(super) fn new(level: GzipLevel) -> io::Result<Self> {
        let for_low_bytes = (level == GzipLevel::default()).then(|| compressor(1)).transpose()?;
        Ok(GzipEncoder { compressor: compressor(level.number())?, for_low_bytes, scanner: Scanner::new() })
    }
}

fn compressor(level: u8) -> io::Result<Compressor> {
    let level = CompressionLvl::new(i32::from(level))
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "not a level of libdeflate"))?;
    Ok(Compressor::new(level))
}

/// Returns whether fewer than one byte in eight is 0x80 or more, as in text, and in tables of names and small numbers.
/// Level 1 loses least on these: a third of a root filesystem, on which it takes a third less time and makes 2.5% more
/// output.
fn has_low_bytes(block: &[u8]) -> bool {
    // The top bit of each byte of a word; sixteen counts that fit a byte each are added up side by side.
    const ONES: u128 = u128::MAX / 0xFF;
    const WORD: usize = 16;
    let mut high = 0;
    for piece in block.chunks(WORD * 255) {
        let words = piece.chunks_exact(WORD);
        high += words.remainder().iter().filter(|byte| **byte >= 0x80).count();
        let mut counts = 0;
        // A plain loop: it runs for every byte, and in tests without optimisation.
        for word in words {
            counts += <[u8; WORD]>::try_from(word).map_or(0, u128::from_le_bytes) >> 7 & ONES;
        }
        high += counts.to_le_bytes().map(usize::from).iter().sum::<usize>();
    }
    high < block.len() / 8
}

impl BlockEncoder for GzipEncoder {
    fn encode(&mut self, input: &[u8], output: &mut Buffer) -> io::Result<EncodedBlock> {
        let room = output.room();
        let compressor = match &mut self.for_low_bytes {
            Some(faster) if has_low_bytes(input) => faster,
            _ => &mut self.compressor,
        };
        let size = compressor.deflate_compress(input, room).map_err(io::Error::other)?;
        let size = open_end(&mut self.scanner, input.len(), room, size)
            .ok_or_else(|| io::Error::other("libdeflate wrote a block that does not give its input back"))?;
        output.fill(size);
        let mut checksum = crc32fast::Hasher::new();
        checksum.update(input);
        Ok(EncodedBlock { checksum, known: None })
    }
}

/// Turns the deflate stream in `bytes[..size]` into one that can go on. Returns its new size, or `None` if it does not
/// expand to `expanded` bytes or if `bytes` is too short.
fn open_end(scanner: &mut Scanner, expanded: usize, bytes: &mut [u8], size: usize) -> Option<usize> {
    let extent = scanner.scan(&bytes[..size]).ok().filter(|extent| extent.expanded == expanded as u64)?;
    bytes[extent.last_header / 8] &= !(1 << (extent.last_header % 8));
    // Three zero bits, the header of a stored block that is not the last, and zeros to the end of the byte.
    let aligned = (extent.end + 3).div_ceil(8);
    let open_size = aligned + EMPTY_STORED.len();
    bytes.get_mut(aligned..open_size)?.copy_from_slice(&EMPTY_STORED);
    if extent.end % 8 != 0 {
        bytes[extent.end / 8] &= (1 << (extent.end % 8)) - 1;
    }
    bytes[extent.end.div_ceil(8)..aligned].fill(0);
    Some(open_size)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use proptest::prelude::*;

    use super::super::buffer::Pool;
    use super::*;

    /// Returns the member that these blocks make.
    fn join(level: u8, blocks: &[Vec<u8>]) -> Vec<u8> {
        let mut encoder = GzipEncoder::new(level.try_into().unwrap()).unwrap();
        let mut member = HEADER.to_vec();
        let (mut checksum, mut size) = (crc32fast::Hasher::new(), 0);
        for block in blocks {
            let mut output = Pool::new(1, bound(block.len())).take();
            checksum.combine(&encoder.encode(block, &mut output).unwrap().checksum);
            size += block.len() as u64;
            member.extend_from_slice(&output);
        }
        member.extend(trailer(checksum, size));
        member
    }

    fn assert_reads_back(level: u8, blocks: &[Vec<u8>]) {
        let member = join(level, blocks);
        let mut rest = &member[..];
        let mut back = Vec::new();
        // Reads only one member.
        flate2::bufread::GzDecoder::new(&mut rest).read_to_end(&mut back).unwrap();
        assert!(rest.is_empty(), "level {level}: {} bytes after the member", rest.len());
        assert!(back == blocks.concat(), "level {level}: {:?} bytes", blocks.iter().map(Vec::len).collect::<Vec<_>>());
    }

    fn noise(size: usize) -> Vec<u8> {
        let mut state = 0x9E37_79B9_u32;
        let step = |_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            (state >> 11) as u8
        };
        (0..size).map(step).collect()
    }

    #[test]
    fn blocks_of_all_kinds_make_one_member() {
        let text: Vec<u8> = (0..40_000_u32).flat_map(|n| format!("{:x}\n", n * n).into_bytes()).collect();
        let zeros = vec![0; 1 << 20];
        // Noise is stored, in pieces of 64 KiB at most.
        let blocks = [noise(200_000), text, Vec::new(), zeros, noise(1), noise(70_000), b"the end".to_vec()];
        for level in 1..=12 {
            assert_reads_back(level, &[]);
            assert_reads_back(level, &blocks);
            assert_reads_back(level, &blocks[..1]);
        }
    }

    #[test]
    fn the_default_level_takes_the_faster_one_for_low_bytes() {
        let default = GzipLevel::default().number();
        let with_high = |count: usize| {
            let mut block: Vec<u8> = noise(8000).iter().map(|byte| byte & 0x7F).collect();
            block.iter_mut().step_by(8).take(count).for_each(|byte| *byte |= 0x80);
            block
        };
        for (block, level) in [(with_high(0), 1), (with_high(999), 1), (with_high(1000), default)] {
            let mut expected = vec![0; bound(block.len())];
            let size = compressor(level).unwrap().deflate_compress(&block, &mut expected).unwrap();
            let size = open_end(&mut Scanner::new(), block.len(), &mut expected, size).unwrap();
            let mut output = Pool::new(1, bound(block.len())).take();
            GzipEncoder::new(GzipLevel::default()).unwrap().encode(&block, &mut output).unwrap();
            assert!(output[..] == expected[..size], "level {level}");
        }
        let fixed = |level: u8| join(level, &[with_high(0)]);
        assert!(fixed(default) == fixed(1) && fixed(default) != fixed(3));
    }

    #[test]
    fn high_bytes_are_counted_wherever_they_are() {
        for size in (0..40).chain(2030..2060).chain([4095, 6001]) {
            let mut block = vec![0x7F; size];
            assert_eq!(has_low_bytes(&block), size >= 8, "{size}");
            block.fill(0x80);
            assert!(!has_low_bytes(&block), "{size}");
            block.fill(0);
            for (count, at) in (0..size).rev().step_by(3).enumerate() {
                assert_eq!(has_low_bytes(&block), count < size / 8, "{size}: {count}");
                block[at] = 0xFF;
            }
        }
    }

    /// However many bits of its last byte a block uses, the next one starts on a byte.
    #[test]
    fn a_block_may_end_on_any_bit() {
        let mut ends = [0; 8];
        for size in 0..200 {
            let block: Vec<u8> = noise(size).iter().map(|byte| byte % 16).collect();
            let mut compressor = Compressor::new(CompressionLvl::new(6).unwrap());
            let mut out = vec![0; bound(size)];
            let length = compressor.deflate_compress(&block, &mut out).unwrap();
            ends[Scanner::new().scan(&out[..length]).unwrap().end % 8] += 1;
            assert_reads_back(6, &[block.clone(), block]);
        }
        assert!(!ends.contains(&0), "{ends:?}");
    }

    #[test]
    fn a_stream_that_expands_to_another_size_is_refused() {
        let mut bytes = [0x4B, 0x84, 0x03, 0x00, 0, 0, 0, 0, 0];
        assert_eq!(open_end(&mut Scanner::new(), 9, &mut { bytes }, 4), None);
        assert_eq!(open_end(&mut Scanner::new(), 10, &mut { bytes }[..8], 4), None);
        assert_eq!(open_end(&mut Scanner::new(), 10, &mut bytes, 4), Some(9));
        assert_eq!(bytes, [0x4A, 0x84, 0x03, 0x00, 0x00, 0x00, 0x00, 0xFF, 0xFF]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn any_blocks_read_back(
            level in 1_u8..=12,
            blocks in prop::collection::vec(
                prop::collection::vec(prop::sample::select(vec![0, 1, 2, 65, 66, 200, 255]), 0..9000),
                0..5,
            ),
        ) {
            assert_reads_back(level, &blocks);
        }
    }
}
