//! What is compressed, in any way, with edges of entries anywhere, is decompressed to the same bytes, and does not depend
//! on the number of threads.

#![no_main]

use std::io::{Read, Write};
use std::num::NonZeroUsize;

use libfuzzer_sys::fuzz_target;
use ocibake::compress::{Compression, Decoder, Encoder, InputDigest};
use ocibake::limits::Limits;

fuzz_target!(|input: &[u8]| {
    let [codec, edge, content @ ..] = input else { return };
    // Some repetition, so that blocks fill.
    let times = 1 << (codec >> 4 & 7);
    let codec = ["none", "gzip", "gzip:1", "gzip:12", "zstd", "zstd:1", "zstd:19", "gzip:6"][usize::from(codec & 7)];
    let codec: Compression = codec.parse().unwrap();
    let edge = usize::from(*edge).max(1);
    let encoded = |threads| {
        let threads = NonZeroUsize::new(threads).unwrap();
        let mut encoder = Encoder::new(Vec::new(), codec, threads, InputDigest::Compute).unwrap();
        for _ in 0..times {
            for (number, chunk) in content.chunks(edge * 64).enumerate() {
                encoder.entry_edge(number as u64, chunk.len() as u64);
                encoder.write_all(chunk).unwrap();
            }
        }
        encoder.finish().unwrap().0
    };
    let stored = encoded(1);
    assert!(stored == encoded(2));
    let mut decoded = Vec::new();
    Decoder::new(stored.as_slice(), Limits::default()).unwrap().read_to_end(&mut decoded).unwrap();
    if codec == Compression::None {
        decoded = stored;
    }
    assert!(decoded == content.repeat(times));
});
