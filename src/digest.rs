//! Content digests: `algorithm:encoded`, valid by construction (image-spec, descriptor.md#digests).

use std::fmt;
use std::io::{self, Read, Write};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256, Sha512};

use crate::error::{as_typed, Error};

/// The digest of stored bytes, in its text form.
///
/// `sha256` and `sha512` must have their exact length in lower-case hexadecimal. A digest of another algorithm is kept
/// and compared, but nothing can be checked against it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest {
    text: Box<str>,
    colon: usize,
}

/// The algorithms that this tool can compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Algorithm {
    /// SHA-256, the usual one.
    Sha256,
    /// SHA-512, registered and rare.
    Sha512,
}

impl Digest {
    /// Returns the SHA-256 digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let mut hasher = Hasher::default();
        hasher.update(bytes);
        hasher.finish()
    }

    /// Returns the part before the colon.
    pub(crate) fn algorithm_name(&self) -> &str {
        &self.text[..self.colon]
    }

    /// Returns the algorithm, or `None` if it cannot be computed here.
    pub fn algorithm(&self) -> Option<Algorithm> {
        match self.algorithm_name() {
            "sha256" => Some(Algorithm::Sha256),
            "sha512" => Some(Algorithm::Sha512),
            _ => None,
        }
    }

    /// Returns the part after the colon; for the known algorithms, lower-case hexadecimal.
    pub fn encoded(&self) -> &str {
        &self.text[self.colon + 1..]
    }

    /// Returns the whole text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the algorithm and the first twelve characters, for people.
    pub fn short(&self) -> &str {
        let end = self.text.len().min(self.colon + 13);
        &self.text[..end]
    }
}

impl FromStr for Digest {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let malformed = |reason: &str| Error::malformed(format!("digest `{}`", as_typed(text)), reason);
        let colon = text.find(':').ok_or_else(|| malformed("`algorithm:encoded` expected, no colon found"))?;
        let (algorithm, encoded) = (&text[..colon], &text[colon + 1..]);
        if !is_algorithm(algorithm) {
            return Err(malformed(
                "the algorithm must be lower-case letters and digits joined by `+`, `.`, `_` or `-`",
            ));
        }
        let hex_length = match algorithm {
            "sha256" => Some(64),
            "sha512" => Some(128),
            _ => None,
        };
        let well_formed = match hex_length {
            Some(length) => encoded.len() == length && encoded.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')),
            None => !encoded.is_empty() && encoded.bytes().all(|b| b.is_ascii_alphanumeric() || b"=_-".contains(&b)),
        };
        if !well_formed {
            return Err(malformed(match hex_length {
                Some(64) => "64 lower-case hexadecimal digits expected after the colon",
                Some(_) => "128 lower-case hexadecimal digits expected after the colon",
                None => "letters, digits, `=`, `_` or `-` expected after the colon",
            }));
        }
        Ok(Digest { text: text.into(), colon })
    }
}

/// `component (separator component)*`, component = `[a-z0-9]+`, separator = `[+._-]`.
fn is_algorithm(text: &str) -> bool {
    text.split(['+', '.', '_', '-'])
        .all(|component| !component.is_empty() && component.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9')))
}

impl TryFrom<String> for Digest {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.text.into_string()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Computes a digest piece by piece.
#[derive(Clone)]
pub(crate) struct Hasher(State);

#[derive(Clone)]
enum State {
    Sha256(Box<Sha256State>),
    Sha512(Box<Sha512>),
}

/// SHA-256 by the implementation that is faster on this CPU. Both compute the same digest.
#[derive(Clone)]
enum Sha256State {
    /// For CPUs with SHA instructions.
    Instructions(Sha256),
    /// For all others: vector instructions in hand-written assembly, nearly twice as fast there.
    Vectors(ring::digest::Context),
}

impl Sha256State {
    fn new() -> Self {
        if has_sha_instructions() {
            Sha256State::Instructions(Sha256::new())
        } else {
            Sha256State::Vectors(ring::digest::Context::new(&ring::digest::SHA256))
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Sha256State::Instructions(state) => state.update(bytes),
            Sha256State::Vectors(state) => state.update(bytes),
        }
    }

    fn finish(self) -> [u8; 32] {
        match self {
            Sha256State::Instructions(state) => state.finalize().into(),
            Sha256State::Vectors(state) => state.finish().as_ref().try_into().expect("a SHA-256 digest has 32 bytes"),
        }
    }
}

/// Returns whether this CPU has instructions for SHA-256. They affect only the speed of hashing.
pub(crate) fn has_sha_instructions() -> bool {
    #[cfg(target_arch = "x86_64")]
    let found = std::arch::is_x86_feature_detected!("sha");
    #[cfg(target_arch = "aarch64")]
    let found = std::arch::is_aarch64_feature_detected!("sha2");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let found = false;
    found
}

impl Default for Hasher {
    fn default() -> Self {
        Hasher::new(Algorithm::Sha256)
    }
}

impl Hasher {
    /// Makes a hasher that has seen no bytes.
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        Hasher(match algorithm {
            Algorithm::Sha256 => State::Sha256(Box::new(Sha256State::new())),
            Algorithm::Sha512 => State::Sha512(Box::new(Sha512::new())),
        })
    }

    /// Adds bytes.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Sha256(state) => state.update(bytes),
            State::Sha512(state) => state.update(bytes),
        }
    }

    /// Returns the digest of all bytes added.
    pub(crate) fn finish(self) -> Digest {
        match self.0 {
            State::Sha256(state) => text_form("sha256", &state.finish()),
            State::Sha512(state) => text_form("sha512", &state.finalize()),
        }
    }
}

fn text_form(algorithm: &str, bytes: &[u8]) -> Digest {
    let mut text = String::with_capacity(algorithm.len() + 1 + bytes.len() * 2);
    text.push_str(algorithm);
    text.push(':');
    for byte in bytes {
        text.push(char::from(HEX[usize::from(byte >> 4)]));
        text.push(char::from(HEX[usize::from(byte & 15)]));
    }
    Digest { text: text.into(), colon: algorithm.len() }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// The SHA-256 of a file's content or of a block, as 32 bytes: the text of a [`Digest`] would be the larger part of an
/// entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ContentDigest([u8; 32]);

impl ContentDigest {
    /// Returns the digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let mut hasher = Sha256State::new();
        hasher.update(bytes);
        ContentDigest(hasher.finish())
    }

    /// Returns its 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads `content` to its end through `buffer` and returns its digest; `each` gets every piece.
    pub fn read(
        content: &mut dyn Read,
        buffer: &mut [u8],
        mut each: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<Self> {
        let mut hasher = Sha256State::new();
        loop {
            match content.read(buffer) {
                Ok(0) => return Ok(ContentDigest(hasher.finish())),
                Ok(read) => {
                    hasher.update(&buffer[..read]);
                    each(&buffer[..read])?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl From<[u8; 32]> for ContentDigest {
    fn from(bytes: [u8; 32]) -> Self {
        ContentDigest(bytes)
    }
}

impl From<ContentDigest> for Digest {
    fn from(digest: ContentDigest) -> Self {
        text_form("sha256", &digest.0)
    }
}

impl TryFrom<Digest> for ContentDigest {
    type Error = Error;

    fn try_from(digest: Digest) -> Result<Self, Error> {
        let hex = digest.encoded().as_bytes();
        let not_sha256 = || Error::malformed(format!("digest `{digest}`"), "a sha256 expected");
        if digest.algorithm() != Some(Algorithm::Sha256) {
            return Err(not_sha256());
        }
        let nibble = |byte: u8| HEX.iter().position(|digit| *digit == byte).map(|value| value as u8);
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(hex.chunks_exact(2)) {
            *byte = nibble(pair[0]).zip(nibble(pair[1])).map(|(high, low)| high << 4 | low).ok_or_else(not_sha256)?;
        }
        Ok(ContentDigest(bytes))
    }
}

/// Passes on what `inner` yields, and keeps its digest.
pub(crate) struct HashReader<R> {
    inner: R,
    hasher: Hasher,
}

impl<R> HashReader<R> {
    /// Wraps `inner` and computes a digest of the given algorithm.
    pub(crate) fn new(inner: R, algorithm: Algorithm) -> Self {
        HashReader { inner, hasher: Hasher::new(algorithm) }
    }

    /// Returns the inner reader and the digest of what was read.
    pub(crate) fn finish(self) -> (R, Digest) {
        (self.inner, self.hasher.finish())
    }
}

impl<R: Read> Read for HashReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        Ok(read)
    }
}

/// Passes bytes on to `inner`, and keeps their digest and number.
pub(crate) struct HashWriter<W> {
    inner: W,
    hasher: Hasher,
    size: u64,
}

impl<W: Write> HashWriter<W> {
    /// Wraps `inner` and computes a SHA-256.
    pub(crate) fn new(inner: W) -> Self {
        HashWriter::of(Algorithm::Sha256, inner)
    }

    /// Wraps `inner` and computes a digest of the given algorithm.
    pub(crate) fn of(algorithm: Algorithm, inner: W) -> Self {
        HashWriter { inner, hasher: Hasher::new(algorithm), size: 0 }
    }

    /// Returns the inner writer, the digest of the bytes written, and their number.
    pub(crate) fn finish(self) -> (W, Digest, u64) {
        (self.inner, self.hasher.finish(), self.size)
    }
}

impl<W: Write> Write for HashWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn known_values() {
        assert_eq!(Digest::of(b"").as_str(), EMPTY);
        assert_eq!(Digest::of(b"{}").short(), "sha256:44136fa355b3");
        let mut sha512 = Hasher::new(Algorithm::Sha512);
        sha512.update(b"abc");
        assert!(sha512.finish().as_str().starts_with("sha512:ddaf35a193617aba"));
    }

    #[test]
    fn both_implementations_agree() {
        // Lengths around the edges of SHA-256's 64-byte blocks, added in pieces.
        for length in [0, 1, 55, 56, 63, 64, 65, 119, 128, 1000, 100_000] {
            let bytes: Vec<u8> = (0..length).map(|at: u32| (at * 7 + at / 251) as u8).collect();
            let mut instructions = Sha256State::Instructions(Sha256::new());
            let mut vectors = Sha256State::Vectors(ring::digest::Context::new(&ring::digest::SHA256));
            for piece in bytes.chunks(61) {
                instructions.update(piece);
                vectors.update(piece);
            }
            let expected = Digest::of(&bytes);
            assert_eq!(text_form("sha256", &instructions.finish()), expected, "{length}");
            assert_eq!(text_form("sha256", &vectors.finish()), expected, "{length}");
        }
    }

    #[test]
    fn grammar() {
        let upper = EMPTY.to_uppercase().replace("SHA256", "sha256");
        let longer = format!("{EMPTY}0");
        for (text, accepted) in [
            (EMPTY, true),
            ("blake3:abcDEF=_-", true),
            ("multihash+base58:QmRZxt2b1FVZPNqd8hsiykDL3TdBDeTSPX9Kv46HmX4Gx8", true),
            ("", false),
            ("sha256", false),
            ("sha256:", false),
            (":abc", false),
            ("SHA256:abc", false),
            ("a++b:c", false),
            ("sha256:abc", false),
            ("other:a/../b", false),
            (upper.as_str(), false),
            (longer.as_str(), false),
        ] {
            assert_eq!(text.parse::<Digest>().is_ok(), accepted, "{text}");
        }
    }

    #[test]
    fn content_digests_are_digests_in_short() {
        let content = ContentDigest::read(&mut &b""[..], &mut [0; 8], |_| Ok(())).unwrap();
        assert_eq!(Digest::from(content).as_str(), EMPTY);
        assert_eq!(ContentDigest::try_from(Digest::of(b"")).unwrap(), content);
        assert!(ContentDigest::try_from(Hasher::new(Algorithm::Sha512).finish()).is_err());
    }

    #[test]
    fn hash_writer_counts_and_hashes_what_was_accepted() {
        let mut writer = HashWriter::new(Vec::new());
        writer.write_all(b"{").unwrap();
        writer.write_all(b"}").unwrap();
        let (inner, digest, size) = writer.finish();
        assert_eq!((inner.as_slice(), size), (&b"{}"[..], 2));
        assert_eq!(digest, Digest::of(b"{}"));
    }
}
