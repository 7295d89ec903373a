//! Speed, size and memory of the encoder, a line for each codec:
//!
//!     cargo bench --bench encoder -- FILE [CODEC...]
//!
//! FILE should be the tar of a real tree; CODEC is `none`, `gzip:2`, `zstd:3`, `xz:6` … `THREADS` in the environment
//! sets the number of threads. Output goes nowhere. Peak memory needs Linux.

#![allow(clippy::print_stdout, clippy::cast_precision_loss)] // what it is for; figures for people

use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::time::Instant;

use anyhow::{Context as _, Result};
use ocibake::compress::{Codec, Compression, Encoder, InputDigest, XzLevel};

const CODECS: [&str; 9] = ["none", "gzip:1", "gzip:2", "gzip:3", "gzip:4", "gzip:6", "zstd:1", "zstd:3", "zstd:9"];

fn main() -> Result<()> {
    // Cargo adds `--bench`.
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let Some(file) = arguments.next() else {
        println!("nothing measured: cargo bench --bench encoder -- FILE [CODEC...]");
        return Ok(());
    };
    let mut codecs: Vec<String> = arguments.collect();
    if codecs.is_empty() {
        codecs = CODECS.map(str::to_owned).to_vec();
    }
    let threads = match std::env::var("THREADS") {
        Ok(number) => number.parse().context("THREADS")?,
        Err(_) => std::thread::available_parallelism()?,
    };
    println!("{file}, {threads} threads");
    println!("codec           bytes  ratio  seconds   MB/s  compress  hash  write  peak MiB");
    codecs.iter().try_for_each(|codec| measure(&file, codec, threads))
}

fn measure(file: &str, text: &str, threads: NonZeroUsize) -> Result<()> {
    let codec = match text.strip_prefix("xz:") {
        Some(level) => Codec::Xz(XzLevel::try_from(level.parse::<u8>()?)?),
        None => text.parse::<Compression>()?.into(),
    };
    let mut input = File::open(file).with_context(|| file.to_owned())?;
    // Resets the peak (proc_pid_clear_refs(5)).
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let start = Instant::now();
    let mut encoder = Encoder::new(io::sink(), codec, threads, InputDigest::Compute)?;
    encoder.read_from(&mut input, u64::MAX)?;
    let (_, summary) = encoder.finish()?;
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{text:<8} {:>12} {:>5.1}% {seconds:>8.2} {:>6.0} {:>9.2} {:>5.2} {:>6.2} {:>9.1}",
        summary.output_size,
        100.0 * summary.output_size as f64 / summary.input_size as f64,
        summary.input_size as f64 / seconds / 1e6,
        summary.busy.compress.as_secs_f64(),
        summary.busy.hash.as_secs_f64(),
        summary.busy.write.as_secs_f64(),
        peak_memory().unwrap_or(f64::NAN),
    );
    Ok(())
}

/// The largest resident size since it was reset, in MiB.
fn peak_memory() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<f64>().ok()? / 1024.0)
}
