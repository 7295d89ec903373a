//! Walks through a finished deflate stream (RFC 1951) without producing its output: where is the header of the last
//! block, where does that block end, how many bytes would come out?
//!
//! Joining streams ([`gzip`](super::gzip)) needs the first two; the third checks the encoder. Only lengths matter here,
//! not literals and distances. So one look-up skips as many literals as its index holds, and the length of a match
//! after them. A second look-up follows without a branch, since whether a match comes next is exactly what cannot be
//! predicted: it covers the distance of the match, or more literals.
//!
//! Any input is safe: an invalid one is [`Damaged`].

/// The result of a scan.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Extent {
    /// The bit at which the header of the last block starts: its "final" flag.
    pub(super) last_header: usize,
    /// The first bit after the last block.
    pub(super) end: usize,
    /// How many bytes the stream expands to.
    pub(super) expanded: u64,
}

/// The bytes are not a complete deflate stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Damaged;

/// The codes of a block and the tables made from them, kept from one block to the next.
pub(super) struct Scanner {
    literals: Code,
    distances: Code,
    /// Entries of one symbol, by the next [`INDEX_BITS`] bits.
    single: Box<[u32; TABLE_SIZE]>,
    /// Entries of as many symbols as the index holds.
    first: Box<[u32; TABLE_SIZE]>,
    /// What follows, by the bits after those of `first`: more literals after literals and, in the second half, the
    /// distance after a length. The low byte is the number of bits, the high byte that of literals.
    second: Box<[u16; 2 * TABLE_SIZE]>,
}

const INDEX_BITS: u32 = 10;
const TABLE_SIZE: usize = 1 << INDEX_BITS;
const LONGEST_CODE: usize = 15;

// The fields of an entry for literals and lengths; an entry of zero says that the code is longer than the index.

/// All its bits: those of its codes, and the extra bits after them.
const BITS: u32 = 0x3F;
/// Where the number of bits of its codes alone is.
const CODE_SHIFT: u32 = 6;
/// Where the number of extra bits is, whose value adds to the bytes.
const EXTRA_SHIFT: u32 = 11;
/// It ends in a length: a distance follows.
const MATCH: u32 = 1 << MATCH_SHIFT;
const MATCH_SHIFT: u32 = 14;
/// It stands for bytes, not for the end of the block.
const DATA: u32 = 1 << 15;
/// Where the number of those bytes is.
const BYTES_SHIFT: u32 = 16;

/// A distance whose code is longer than the index.
const LONG_DISTANCE: u16 = u16::MAX;

const LENGTH_BASE: [u16; 29] =
    [3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258];
const LENGTH_EXTRA: [u8; 29] = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];

/// The order in which the lengths of the code for code lengths are stored.
const LENGTH_ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

impl Scanner {
    pub(super) fn new() -> Self {
        Scanner {
            literals: Code::default(),
            distances: Code::default(),
            single: Box::new([0; TABLE_SIZE]),
            first: Box::new([0; TABLE_SIZE]),
            second: Box::new([0; 2 * TABLE_SIZE]),
        }
    }

    /// Scans `stream`, which must end in the byte in which its last block ends.
    pub(super) fn scan(&mut self, stream: &[u8]) -> Result<Extent, Damaged> {
        let mut bits = Bits { bytes: stream, next: 0, buffer: 0, available: 0 };
        let mut expanded = 0;
        loop {
            let last_header = bits.position();
            bits.refill()?;
            let last = bits.take(1) == 1;
            expanded += match bits.take(2) {
                0 => bits.skip_stored()?,
                1 => {
                    self.set_fixed_codes()?;
                    self.skip_symbols(&mut bits)?
                }
                2 => {
                    self.read_codes(&mut bits)?;
                    self.skip_symbols(&mut bits)?
                }
                _ => return Err(Damaged),
            };
            if last {
                let end = bits.position();
                let complete = end.div_ceil(8) == stream.len();
                return if complete { Ok(Extent { last_header, end, expanded }) } else { Err(Damaged) };
            }
        }
    }

    /// Sets the codes that need no description (RFC 1951, 3.2.6).
    fn set_fixed_codes(&mut self) -> Result<(), Damaged> {
        let mut lengths = [8; 288];
        lengths[144..256].fill(9);
        lengths[256..280].fill(7);
        self.set_codes(&lengths, &[5; 30])
    }

    /// Reads the description of a block's codes (RFC 1951, 3.2.7).
    fn read_codes(&mut self, bits: &mut Bits<'_>) -> Result<(), Damaged> {
        bits.refill()?;
        let literals = bits.take(5) as usize + 257;
        let distances = bits.take(5) as usize + 1;
        let stored = bits.take(4) as usize + 4;
        let mut lengths = [0; 19];
        for &symbol in &LENGTH_ORDER[..stored] {
            bits.refill()?;
            lengths[symbol] = bits.take(3) as u8;
        }
        let mut code = Code::default();
        code.set(&lengths)?;

        let total = literals + distances;
        let mut lengths = [0; 288 + 32];
        let mut at = 0;
        while at < total {
            bits.refill()?;
            let (symbol, length) = code.decode(bits.buffer).ok_or(Damaged)?;
            bits.drop(u32::from(length));
            let (value, times) = match symbol {
                0..=15 => (symbol as u8, 1),
                16 if at > 0 => (lengths[at - 1], bits.take(2) as usize + 3),
                17 => (0, bits.take(3) as usize + 3),
                18 => (0, bits.take(7) as usize + 11),
                _ => return Err(Damaged),
            };
            lengths[..total].get_mut(at..at + times).ok_or(Damaged)?.fill(value);
            at += times;
        }
        self.set_codes(&lengths[..literals], &lengths[literals..total])
    }

    fn set_codes(&mut self, literals: &[u8], distances: &[u8]) -> Result<(), Damaged> {
        self.literals.set(literals)?;
        self.literals.fill_table(&mut self.single[..], 0, literal_entry);
        let (more, after_length) = self.second.split_at_mut(TABLE_SIZE);
        for (index, (first, more)) in self.first.iter_mut().zip(more).enumerate() {
            // The literals whose codes the index holds in full, and what follows them, perhaps in part.
            let (mut used, mut count) = (0, 0);
            let next = loop {
                let entry = self.single[index >> used];
                if entry & (DATA | MATCH) != DATA || used + code_bits(entry) > INDEX_BITS {
                    break entry;
                }
                used += code_bits(entry);
                count += 1;
            };
            *more = (count << 8 | used) as u16;
            *first = if next & MATCH != 0 && used + code_bits(next) <= INDEX_BITS {
                next + (count << BYTES_SHIFT) + (used << CODE_SHIFT) + used
            } else if count > 0 {
                data_entry(count, used, 0)
            } else {
                next
            };
        }
        self.distances.set(distances)?;
        self.distances.fill_table(after_length, LONG_DISTANCE, distance_entry);
        Ok(())
    }

    /// Skips the symbols of a block and returns how many bytes they stand for.
    fn skip_symbols(&self, bits: &mut Bits<'_>) -> Result<u64, Damaged> {
        // A copy, so that it stays in registers.
        let mut ahead = *bits;
        let mut expanded = 0;
        loop {
            // At least 56 bits: enough for the codes of an entry (15), extra bits (5), a distance and its extra (28).
            ahead.refill()?;
            let mut entry = self.first[ahead.buffer as usize % TABLE_SIZE];
            if entry & DATA == 0 {
                if entry == 0 {
                    let (symbol, length) = self.literals.decode(ahead.buffer).ok_or(Damaged)?;
                    entry = literal_entry(symbol, length);
                }
                if entry & DATA == 0 {
                    ahead.drop(entry & BITS);
                    *bits = ahead;
                    return if entry == 0 { Err(Damaged) } else { Ok(expanded) };
                }
            }
            let extra = (1 << ((entry >> EXTRA_SHIFT) & 7)) - 1;
            expanded += u64::from(entry >> BYTES_SHIFT) + (ahead.buffer >> code_bits(entry) & extra);

            let after = ahead.buffer >> (entry & BITS);
            let half = (entry & MATCH) as usize >> MATCH_SHIFT << INDEX_BITS;
            let mut second = self.second[half + after as usize % TABLE_SIZE];
            if second == LONG_DISTANCE {
                let (symbol, length) = self.distances.decode(after).ok_or(Damaged)?;
                second = distance_entry(symbol, length);
                if second == LONG_DISTANCE {
                    return Err(Damaged);
                }
            }
            expanded += u64::from(second >> 8);
            ahead.drop((entry & BITS) + u32::from(second & 0xFF));
        }
    }
}

/// Returns the entry of one symbol for literals and lengths, with a code of `length` bits; zero if there is no such
/// symbol.
fn literal_entry(symbol: u16, length: u8) -> u32 {
    let code = u32::from(length);
    match symbol {
        0..=255 => data_entry(1, code, 0),
        256 => code << CODE_SHIFT | code,
        257..=285 => {
            let index = usize::from(symbol - 257);
            data_entry(u32::from(LENGTH_BASE[index]), code, u32::from(LENGTH_EXTRA[index])) | MATCH
        }
        _ => 0,
    }
}

/// Returns an entry that stands for `bytes`, with codes of `code` bits followed by `extra` bits.
fn data_entry(bytes: u32, code: u32, extra: u32) -> u32 {
    bytes << BYTES_SHIFT | DATA | extra << EXTRA_SHIFT | code << CODE_SHIFT | (code + extra)
}

/// Returns the number of bits of an entry's codes.
fn code_bits(entry: u32) -> u32 {
    entry >> CODE_SHIFT & 0x1F
}

/// Returns the entry of a distance with a code of `length` bits: its bits, extra bits included.
fn distance_entry(symbol: u16, length: u8) -> u16 {
    match symbol {
        0..=3 => u16::from(length),
        4..=29 => u16::from(length) + symbol / 2 - 1,
        _ => LONG_DISTANCE,
    }
}

/// A canonical prefix code (RFC 1951, 3.2.2).
struct Code {
    /// How many codes of each length there are.
    counts: [u16; LONGEST_CODE + 1],
    /// The symbols in the order of their codes.
    symbols: [u16; 288],
}

impl Default for Code {
    fn default() -> Self {
        Code { counts: [0; LONGEST_CODE + 1], symbols: [0; 288] }
    }
}

impl Code {
    /// Sets the code that has these lengths by symbol.
    fn set(&mut self, lengths: &[u8]) -> Result<(), Damaged> {
        self.counts = [0; LONGEST_CODE + 1];
        for &length in lengths {
            self.counts[usize::from(length)] += 1;
        }
        self.counts[0] = 0;
        let mut starts = [0; LONGEST_CODE + 1];
        let mut unused = 1_u32;
        for length in 1..=LONGEST_CODE {
            starts[length] = starts[length - 1] + self.counts[length - 1];
            unused = (unused * 2).checked_sub(u32::from(self.counts[length])).ok_or(Damaged)?;
        }
        for (symbol, &length) in lengths.iter().enumerate().filter(|(_, &length)| length > 0) {
            let start = &mut starts[usize::from(length)];
            *self.symbols.get_mut(usize::from(*start)).ok_or(Damaged)? = symbol as u16;
            *start += 1;
        }
        Ok(())
    }

    /// Fills a table, whose size is a power of two, with `entry(symbol, length)` by the bits of the symbol's code, and
    /// with `absent` where the code is longer than the index or missing.
    fn fill_table<T: Copy>(&self, table: &mut [T], absent: T, entry: impl Fn(u16, u8) -> T) {
        table.fill(absent);
        let mut symbols = self.symbols.iter();
        let mut code = 0_u32;
        for length in 1..=table.len().trailing_zeros() {
            code <<= 1;
            for &symbol in symbols.by_ref().take(usize::from(self.counts[length as usize])) {
                let reversed = code.reverse_bits() >> (32 - length);
                let entry = entry(symbol, length as u8);
                for slot in table.iter_mut().skip(reversed as usize).step_by(1 << length) {
                    *slot = entry;
                }
                code += 1;
            }
        }
    }

    /// Returns the symbol at the front of `buffer` and the length of its code, found bit by bit.
    fn decode(&self, mut buffer: u64) -> Option<(u16, u8)> {
        let (mut code, mut first, mut index) = (0, 0, 0);
        for length in 1..=LONGEST_CODE {
            code |= (buffer & 1) as u32;
            buffer >>= 1;
            let count = u32::from(self.counts[length]);
            if code < first + count {
                let symbol = self.symbols[(index + code - first) as usize];
                return Some((symbol, length as u8));
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        None
    }
}

/// The bits of a stream, the lowest of each byte first. Zeros follow the end, for as long as a look-up may need them.
#[derive(Clone, Copy)]
struct Bits<'a> {
    bytes: &'a [u8],
    /// The next byte to be taken into the buffer.
    next: usize,
    /// The next bits; from `available` on, there may be more of them, or zeros.
    buffer: u64,
    available: u32,
}

impl Bits<'_> {
    /// Ensures that at least 56 bits are available.
    #[inline(always)]
    #[allow(clippy::inline_always)] // runs for every symbol
    fn refill(&mut self) -> Result<(), Damaged> {
        if let Some(Ok(word)) = self.bytes.get(self.next..self.next + 8).map(<[u8; 8]>::try_from) {
            self.buffer |= u64::from_le_bytes(word) << self.available;
            self.next += ((63 - self.available) / 8) as usize;
            self.available |= 0x38;
        } else {
            *self = self.refilled_at_end()?;
        }
        Ok(())
    }

    /// By value: through a reference, the bits of a loop could not stay in registers.
    #[cold]
    fn refilled_at_end(mut self) -> Result<Self, Damaged> {
        while self.available < 56 {
            let byte = self.bytes.get(self.next).copied().unwrap_or(0);
            self.buffer |= u64::from(byte) << self.available;
            self.next += 1;
            self.available += 8;
        }
        // The buffer holds eight bytes: further after the end, zeros were consumed as if they were bits.
        if self.next <= self.bytes.len() + 8 {
            Ok(self)
        } else {
            Err(Damaged)
        }
    }

    #[inline]
    fn take(&mut self, count: u32) -> u64 {
        let value = self.buffer & ((1 << count) - 1);
        self.drop(count);
        value
    }

    #[inline]
    fn drop(&mut self, count: u32) {
        self.buffer >>= count;
        self.available -= count;
    }

    fn position(&self) -> usize {
        self.next * 8 - self.available as usize
    }

    /// Skips a stored block (RFC 1951, 3.2.4) and returns how many bytes it holds.
    fn skip_stored(&mut self) -> Result<u64, Damaged> {
        let start = self.position().div_ceil(8);
        match self.bytes.get(start..start + 4) {
            Some(&[low, high, not_low, not_high]) if low == !not_low && high == !not_high => {
                let length = u16::from_le_bytes([low, high]);
                *self = Bits { bytes: self.bytes, next: start + 4 + usize::from(length), buffer: 0, available: 0 };
                Ok(u64::from(length))
            }
            _ => Err(Damaged),
        }
    }
}

#[cfg(test)]
mod tests {
    use libdeflater::{CompressionLvl, Compressor};
    use proptest::prelude::*;

    use super::*;

    fn deflate(bytes: &[u8], level: i32) -> Vec<u8> {
        let mut compressor = Compressor::new(CompressionLvl::new(level).unwrap());
        let mut out = vec![0; compressor.deflate_compress_bound(bytes.len())];
        let size = compressor.deflate_compress(bytes, &mut out).unwrap();
        out.truncate(size);
        out
    }

    #[test]
    fn known_streams() {
        for (stream, found) in [
            // An empty block with fixed codes.
            (&[0x03, 0x00][..], Ok((0, 10, 0))),
            // The same after an empty stored block.
            (&[0x00, 0x00, 0x00, 0xFF, 0xFF, 0x03, 0x00], Ok((40, 50, 0))),
            // Two bytes, stored.
            (&[0x01, 0x02, 0x00, 0xFD, 0xFF, b'a', b'b'], Ok((0, 56, 2))),
            // `aaaaaaaaaa` with fixed codes: a literal and a match.
            (&[0x4B, 0x84, 0x03, 0x00], Ok((0, 30, 10))),
            (&[], Err(Damaged)),
            // No block is the last.
            (&[0x00, 0x00, 0x00, 0xFF, 0xFF], Err(Damaged)),
            // One byte less than the stored block says, one more, and a wrong complement.
            (&[0x01, 0x02, 0x00, 0xFD, 0xFF, b'a'], Err(Damaged)),
            (&[0x01, 0x02, 0x00, 0xFD, 0xFF, b'a', b'b', b'c'], Err(Damaged)),
            (&[0x01, 0x02, 0x00, 0xFD, 0xFE, b'a', b'b'], Err(Damaged)),
            // The block type that does not exist.
            (&[0x07, 0x00], Err(Damaged)),
        ] {
            let found = found.map(|(last_header, end, expanded)| Extent { last_header, end, expanded });
            assert_eq!(Scanner::new().scan(stream), found, "{stream:02x?}");
        }
    }

    #[test]
    fn a_stream_that_ends_early_or_late_is_damaged() {
        let text: Vec<u8> = (0..500_u32).flat_map(|n| format!("{} ", n * n).into_bytes()).collect();
        let mut stream = deflate(&text, 6);
        assert_eq!(stream[0] & 7, 0b101, "one block, which describes its codes");
        let mut scanner = Scanner::new();
        assert_eq!(scanner.scan(&stream).unwrap().expanded, text.len() as u64);
        for size in 0..stream.len() {
            assert_eq!(scanner.scan(&stream[..size]), Err(Damaged), "{size} bytes");
        }
        stream.push(0);
        assert_eq!(scanner.scan(&stream), Err(Damaged));
    }

    /// Codes longer than the index: each literal half as frequent as the one before.
    #[test]
    fn long_codes() {
        let mut bytes = Vec::new();
        let mut state = 1_u32;
        for _ in 0..100_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            bytes.push((state >> 8).leading_zeros() as u8 * 7);
        }
        for level in 1..=12 {
            let stream = deflate(&bytes, level);
            let mut scanner = Scanner::new();
            assert_eq!(scanner.scan(&stream).unwrap().expanded, bytes.len() as u64, "level {level}");
            let long: u16 = scanner.literals.counts[INDEX_BITS as usize + 1..].iter().sum();
            assert!(long > 0, "level {level}: no long codes");
        }
    }

    proptest! {
        #[test]
        fn no_input_is_too_odd(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = Scanner::new().scan(&bytes);
        }

        /// Nor one that starts like a real stream.
        #[test]
        fn nor_is_a_damaged_stream(at in 0_usize..2000, flip in 1_u8..) {
            let text: Vec<u8> = (0..1000_u32).flat_map(|n| (n * n).to_le_bytes()).collect();
            let mut stream = deflate(&text, 6);
            let at = at % stream.len();
            stream[at] ^= flip;
            let _ = Scanner::new().scan(&stream);
        }
    }
}
