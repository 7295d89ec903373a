//! Any bytes are decoded to their end or to an error, in bounded memory.

#![no_main]

use std::io::{self, Read};

use libfuzzer_sys::fuzz_target;
use ocibake::compress::{Decoder, Format};
use ocibake::limits::Limits;

/// A small input can be decoded to any size; that is for whoever reads to bound.
const OUTPUT_LIMIT: u64 = 16 << 20;

fuzz_target!(|input: &[u8]| {
    let mut decoder = Decoder::new(input, Limits::default()).unwrap();
    let format = decoder.format();
    let Ok(output) = io::copy(&mut (&mut decoder).take(OUTPUT_LIMIT), &mut io::sink()) else { return };
    if output == OUTPUT_LIMIT {
        return;
    }
    let rest = decoder.finish().unwrap();
    assert!(rest.trailing <= input.len() as u64);
    assert_eq!(rest.streams == 0, format == Format::Plain);
    assert!(format != Format::Plain || output == input.len() as u64);
});
