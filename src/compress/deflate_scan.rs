//! Walks through a finished deflate stream (RFC 1951) without producing what it expands to: where does the header of
//! the last block stand, where does that block end, how many bytes would come out?
//!
//! The first two are what joining streams needs ([`gzip`](super::gzip)), the third checks the encoder. Only lengths
//! matter here, neither literals nor distances have to be known, so one look-up steps over several literals, or over
//! literals and the length of a match behind them. Any input is safe: an odd one is [`Damaged`].

/// What a scan finds out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Extent {
    /// The bit at which the header of the last block starts: its "final" flag.
    pub(super) last_header: usize,
    /// The first bit behind the last block.
    pub(super) end: usize,
    /// How many bytes the stream expands to.
    pub(super) expanded: u64,
}

/// The bytes are not a complete deflate stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Damaged;

/// The tables of a scan, kept from one to the next.
pub(super) struct Scanner {
    literals: Code<u32, LITERAL_BITS>,
    /// Like `literals`, with as many symbols in an entry as fit.
    runs: Box<[u32]>,
    distances: Code<u8, DISTANCE_BITS>,
    lengths: Code<u8, 7>,
}

const LITERAL_BITS: u32 = 12;
const DISTANCE_BITS: u32 = 10;
const LONGEST_CODE: usize = 15;

// An entry for literals and lengths: the bits of its codes (0 to 4), the number of extra bits (5 to 7), what it is
// (8 to 10), and the bytes that it stands for, less the value of the extra bits (16 to 31). 0: not in the table.
const CODE_BITS: u32 = 0x1F;
const EXTRA_SHIFT: u32 = 5;
const KIND: u32 = 7 << 8;
const LITERALS: u32 = 1 << 8;
const MATCH: u32 = 2 << 8;
const END: u32 = 3 << 8;
const INVALID: u32 = 4 << 8;
const BYTES_SHIFT: u32 = 16;

const LENGTH_BASE: [u16; 29] =
    [3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258];
const LENGTH_EXTRA: [u8; 29] = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];

/// In which order the lengths of the code for code lengths are stored.
const LENGTH_ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

impl Scanner {
    pub(super) fn new() -> Self {
        Scanner {
            literals: Code::new(),
            runs: vec![0; 1 << LITERAL_BITS].into(),
            distances: Code::new(),
            lengths: Code::new(),
        }
    }

    /// Walks through `stream`, which must end in the byte in which its last block ends.
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
                    self.read_fixed_codes()?;
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

    /// The codes that need no description (RFC 1951, 3.2.6).
    fn read_fixed_codes(&mut self) -> Result<(), Damaged> {
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
        self.lengths.set(&lengths, |_, length| length)?;

        let total = literals + distances;
        let mut lengths = [0; 288 + 32];
        let mut at = 0;
        while at < total {
            bits.refill()?;
            let (symbol, length) = self.lengths.decode(bits.buffer).ok_or(Damaged)?;
            bits.drop(length);
            let (value, times) = match symbol {
                0..=15 => (symbol as u8, 1),
                16 if at > 0 => (lengths[at - 1], bits.take(2) as usize + 3),
                17 => (0, bits.take(3) as usize + 3),
                18 => (0, bits.take(7) as usize + 11),
                _ => return Err(Damaged),
            };
            lengths.get_mut(at..at + times).filter(|_| at + times <= total).ok_or(Damaged)?.fill(value);
            at += times;
        }
        self.set_codes(&lengths[..literals], &lengths[literals..total])
    }

    fn set_codes(&mut self, literals: &[u8], distances: &[u8]) -> Result<(), Damaged> {
        self.literals.set(literals, literal_entry)?;
        self.distances.set(distances, |symbol, length| match symbol {
            0..=3 => length,
            4..=29 => length + (symbol / 2 - 1) as u8,
            _ => 0,
        })?;
        // Entries for several symbols: literals as long as the index knows their codes, and a length behind them.
        for (index, run) in self.runs.iter_mut().enumerate() {
            let (mut used, mut bytes) = (0, 0);
            *run = loop {
                let entry = self.literals.table[index >> used];
                let known = used + (entry & CODE_BITS);
                match entry & KIND {
                    LITERALS if known <= LITERAL_BITS => (used, bytes) = (known, bytes + 1),
                    MATCH if known <= LITERAL_BITS => break (entry + (bytes << BYTES_SHIFT)) & !CODE_BITS | known,
                    _ if bytes == 0 => break entry,
                    _ => break bytes << BYTES_SHIFT | LITERALS | used,
                }
            };
        }
        Ok(())
    }

    /// Steps over the symbols of a block and says how many bytes they stand for.
    fn skip_symbols(&self, bits: &mut Bits<'_>) -> Result<u64, Damaged> {
        let runs: &[u32; 1 << LITERAL_BITS] = (&*self.runs).try_into().map_err(|_| Damaged)?;
        let distances: &[u8; 1 << DISTANCE_BITS] = (&*self.distances.table).try_into().map_err(|_| Damaged)?;
        let mut expanded = 0;
        loop {
            // At least 56 bits: enough for the codes of an entry (15), extra bits (5), a distance and its extra (28).
            bits.refill()?;
            let mut entry = runs[(bits.buffer & ((1 << LITERAL_BITS) - 1)) as usize];
            if entry == 0 {
                let (symbol, length) = self.literals.decode(bits.buffer).ok_or(Damaged)?;
                entry = literal_entry(symbol, length);
            }
            bits.drop((entry & CODE_BITS) as u8);
            expanded += u64::from(entry >> BYTES_SHIFT);
            match entry & KIND {
                LITERALS => {}
                MATCH => {
                    expanded += bits.take((entry >> EXTRA_SHIFT) & 7);
                    let mut length = distances[(bits.buffer & ((1 << DISTANCE_BITS) - 1)) as usize];
                    if length == 0 {
                        let (symbol, code) = self.distances.decode(bits.buffer).ok_or(Damaged)?;
                        length = match symbol {
                            0..=3 => code,
                            4..=29 => code + (symbol / 2 - 1) as u8,
                            _ => return Err(Damaged),
                        };
                    }
                    bits.drop(length);
                }
                END => return Ok(expanded),
                _ => return Err(Damaged),
            }
        }
    }
}

/// The entry of one symbol for literals and lengths, with a code of `length` bits.
fn literal_entry(symbol: u16, length: u8) -> u32 {
    let code = u32::from(length);
    match symbol {
        0..=255 => 1 << BYTES_SHIFT | LITERALS | code,
        256 => END | code,
        257..=285 => {
            let index = usize::from(symbol - 257);
            u32::from(LENGTH_BASE[index]) << BYTES_SHIFT | MATCH | u32::from(LENGTH_EXTRA[index]) << EXTRA_SHIFT | code
        }
        _ => INVALID | code,
    }
}

/// A prefix code: a table for the codes of up to `BITS` bits, and what finds the longer ones.
struct Code<T, const BITS: u32> {
    table: Box<[T]>,
    /// How many codes of each length there are.
    counts: [u16; LONGEST_CODE + 1],
    /// The symbols in the order of their codes.
    symbols: [u16; 288],
}

impl<T: Copy + Default, const BITS: u32> Code<T, BITS> {
    fn new() -> Self {
        Code { table: vec![T::default(); 1 << BITS].into(), counts: [0; LONGEST_CODE + 1], symbols: [0; 288] }
    }

    /// Takes over the code that has these lengths by symbol (RFC 1951, 3.2.2); `entry` makes what the table holds.
    fn set(&mut self, lengths: &[u8], entry: impl Fn(u16, u8) -> T) -> Result<(), Damaged> {
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

        self.table.fill(T::default());
        let mut symbols = self.symbols.iter();
        let mut code = 0_u32;
        for length in 1..=BITS {
            code <<= 1;
            for &symbol in symbols.by_ref().take(usize::from(self.counts[length as usize])) {
                let reversed = code.reverse_bits() >> (32 - length);
                for slot in self.table.iter_mut().skip(reversed as usize).step_by(1 << length) {
                    *slot = entry(symbol, length as u8);
                }
                code += 1;
            }
        }
        Ok(())
    }

    /// The symbol at the front of `buffer` and the length of its code, found bit by bit.
    #[cold]
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

/// The bits of a stream, the lowest of each byte first. Behind the end come zeros, for as long as a look-up may need.
struct Bits<'a> {
    bytes: &'a [u8],
    /// The next byte to be taken into the buffer.
    next: usize,
    /// The next bits; from `available` on there may be more of them, or zeros.
    buffer: u64,
    available: u32,
}

impl Bits<'_> {
    /// Makes sure that at least 56 bits are available.
    #[inline(always)]
    #[allow(clippy::inline_always)] // the one call that runs for every symbol; without it a third slower
    fn refill(&mut self) -> Result<(), Damaged> {
        match self.bytes.get(self.next..self.next + 8).map(<[u8; 8]>::try_from) {
            Some(Ok(word)) => {
                self.buffer |= u64::from_le_bytes(word) << self.available;
                self.next += ((63 - self.available) / 8) as usize;
                self.available |= 0x38;
                Ok(())
            }
            _ => self.refill_at_end(),
        }
    }

    #[cold]
    fn refill_at_end(&mut self) -> Result<(), Damaged> {
        while self.available < 56 {
            let byte = self.bytes.get(self.next).copied().unwrap_or(0);
            self.buffer |= u64::from(byte) << self.available;
            self.next += 1;
            self.available += 8;
        }
        // With all bits behind the end still unused, the buffer reaches no further than its own size.
        if self.next <= self.bytes.len() + 8 {
            Ok(())
        } else {
            Err(Damaged)
        }
    }

    #[inline]
    fn take(&mut self, count: u32) -> u64 {
        let value = self.buffer & ((1 << count) - 1);
        self.drop(count as u8);
        value
    }

    #[inline]
    fn drop(&mut self, count: u8) {
        self.buffer >>= count;
        self.available -= u32::from(count);
    }

    fn position(&self) -> usize {
        self.next * 8 - self.available as usize
    }

    /// Steps over a stored block (RFC 1951, 3.2.4) and says how many bytes it holds.
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
