//! Any file in a cache is used, or found damaged: lists of blocks, blocks, and the entries of layers.

#![no_main]

use std::fs;

use libfuzzer_sys::fuzz_target;
use ocibake::digest::Digest;
use ocibake::image::cache::Cache;
use ocibake::ops::cache::{cache, CacheOptions};
use ocibake::ops::verify::verify_cache;
use ocibake_fuzz::{pieces, place, work};

fuzz_target!(|input: &[u8]| {
    let directory = place();
    let mut pieces = pieces(input);
    let mut next = || pieces.next().unwrap_or_default().to_vec();
    let id = Digest::of(b"");
    let blobs = directory.join("blobs");
    fs::create_dir(&blobs).unwrap();
    let name = format!("sha256-{}", id.encoded());
    fs::write(blobs.join(&name), next()).unwrap();
    fs::write(blobs.join(format!("{name}.blocks")), sealed(next())).unwrap();
    let members = [format!("ocibake changeset 3\n{id}\n").into_bytes(), next(), b"\n".to_vec()].concat();
    fs::write(directory.join(format!("{name}.changeset")), sealed(members)).unwrap();
    let report = verify_cache(directory, &work()).unwrap();
    assert!(report.findings.values().all(|finding| !finding.is_empty()));
    assert!(!Cache::open(directory, u64::MAX).summary().is_empty());
    cache(directory, &CacheOptions::default(), &work()).unwrap();
});

/// Appends the digest that a list ends with.
fn sealed(mut list: Vec<u8>) -> Vec<u8> {
    let digest = Digest::of(&list).to_string();
    list.extend(digest.into_bytes());
    list
}
