//! Caches the entries of layers by `diff_id`, so that a base image that was read once need not be decompressed again.
//!
//! A cached changeset is as good as the layer's tar whose digest names it. The file begins with that digest and ends
//! with the one of all before it, so one that is damaged, of another layer or of another version is read anew, never
//! believed.

use std::fs;
use std::io::{self, Read};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::files::{open_file, touch, CHANGESET};
use crate::digest::Digest;
use crate::error::{IoContext, Result};
use crate::layer::Changeset;
use crate::layout::Staging;
use crate::tree::{pack_grown, Device, Entry, Kind, Metadata, Mtime, TarPath};

/// The first line of a cache file; another version of the form gets another.
const HEADING: &str = "ocibake changeset 3";

/// Returns the changeset of the layer `diff_id`: from the cache, or else by reading the layer and caching it. The blob
/// is verified in both cases. A cache that cannot be written is no error, since it costs only time.
pub(crate) fn get_or_read<B: Read>(
    cache: &Path,
    diff_id: &Digest,
    blob: impl FnOnce() -> Result<B>,
    read: impl FnOnce() -> Result<Changeset>,
) -> Result<Changeset> {
    let path = cache.join(format!("{}-{}{CHANGESET}", diff_id.algorithm_name(), diff_id.encoded()));
    if let Some(changeset) = read_file(&path).and_then(|bytes| decode(diff_id, &bytes)) {
        touch(&path);
        io::copy(&mut blob()?, &mut io::sink()).at("read", Path::new(diff_id.short()))?;
        return Ok(changeset);
    }
    let changeset = read()?;
    // Warnings are repeated on every run.
    if changeset.warnings.is_empty() {
        let _ = store(cache, &path, &encode(diff_id, &changeset));
    }
    Ok(changeset)
}

fn read_file(path: &Path) -> Option<Vec<u8>> {
    let (mut file, _) = open_file(path)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// Readers see all of the file or nothing.
fn store(cache: &Path, path: &Path, bytes: &[u8]) -> Result<()> {
    fs::create_dir_all(cache).at("make the cache", cache)?;
    let staging = Staging::create(cache)?;
    let staged = staging.path().join("changeset");
    fs::write(&staged, bytes).and_then(|()| fs::rename(&staged, path)).at("write", path)
}

/// The lists of layers in a cache, in the order of their names, and whether each is whole.
pub(crate) fn changesets(cache: &Path) -> Vec<(PathBuf, bool)> {
    let Ok(listing) = fs::read_dir(cache) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = listing.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let check = |path: PathBuf| {
        let (algorithm, encoded) = path.file_name()?.to_str()?.strip_suffix(CHANGESET)?.split_once('-')?;
        let diff_id: Digest = format!("{algorithm}:{encoded}").parse().ok()?;
        let is_whole = decode(&diff_id, &read_file(&path)?).is_some();
        Some((path, is_whole))
    };
    paths.into_iter().filter_map(check).collect()
}

/// A member, stored as one line of JSON.
#[derive(Serialize, Deserialize)]
struct Line {
    path: Bytes,
    mode: u16,
    uid: u32,
    gid: u32,
    mtime: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nanoseconds: Option<NonZeroU32>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    xattrs: Vec<(Bytes, Bytes)>,
    kind: LineKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content: Option<Digest>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum LineKind {
    Directory,
    File(u64),
    Symlink(Bytes),
    Hardlink(Bytes),
    Char(u32, u32),
    Block(u32, u32),
    Fifo,
}

/// Bytes as a string if they are UTF-8, else as numbers.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Bytes {
    Text(String),
    Raw(Vec<u8>),
}

impl Bytes {
    fn from_slice(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Bytes::Text(text.to_owned()),
            Err(_) => Bytes::Raw(bytes.to_vec()),
        }
    }

    fn into_vec(self) -> Vec<u8> {
        match self {
            Bytes::Text(text) => text.into_bytes(),
            Bytes::Raw(bytes) => bytes,
        }
    }
}

fn encode(diff_id: &Digest, changeset: &Changeset) -> Vec<u8> {
    let mut bytes = format!("{HEADING}\n{diff_id}\n").into_bytes();
    for (number, entry) in changeset.members.iter().enumerate() {
        let metadata = &entry.metadata;
        let xattr = |(name, value): (&Vec<u8>, &Arc<[u8]>)| (Bytes::from_slice(name), Bytes::from_slice(value));
        let line = Line {
            path: Bytes::from_slice(entry.path.as_bytes()),
            mode: metadata.mode,
            uid: metadata.uid,
            gid: metadata.gid,
            mtime: metadata.mtime.seconds(),
            nanoseconds: NonZeroU32::new(metadata.mtime.nanoseconds()),
            xattrs: metadata.xattrs.iter().map(xattr).collect(),
            kind: match &entry.kind {
                Kind::Directory => LineKind::Directory,
                Kind::File { size } => LineKind::File(*size),
                Kind::Symlink { target } => LineKind::Symlink(Bytes::from_slice(target)),
                Kind::Hardlink { target } => LineKind::Hardlink(Bytes::from_slice(target.as_bytes())),
                Kind::CharDevice(device) => LineKind::Char(device.major, device.minor),
                Kind::BlockDevice(device) => LineKind::Block(device.major, device.minor),
                Kind::Fifo => LineKind::Fifo,
            },
            content: changeset.digests.get(number).map(|digest| Digest::from(*digest)),
        };
        serde_json::to_writer(&mut bytes, &line).expect("writing to memory");
        bytes.push(b'\n');
    }
    let digest = Digest::of(&bytes);
    bytes.extend_from_slice(digest.as_str().as_bytes());
    bytes
}

fn decode(diff_id: &Digest, bytes: &[u8]) -> Option<Changeset> {
    let end = 1 + bytes.iter().rposition(|byte| *byte == b'\n')?;
    let (body, digest) = bytes.split_at(end);
    if Digest::of(body).as_str().as_bytes() != digest {
        return None;
    }
    let mut lines = std::str::from_utf8(body).ok()?.lines();
    if (lines.next(), lines.next()) != (Some(HEADING), Some(diff_id.as_str())) {
        return None;
    }
    let mut changeset = Changeset::default();
    for line in lines {
        let line: Line = serde_json::from_str(line).ok()?;
        if let Some(content) = line.content {
            changeset.digests.push(changeset.members.len(), content.try_into().ok()?);
        }
        let xattrs = line.xattrs.into_iter().map(|(name, value)| (name.into_vec(), value.into_vec().into())).collect();
        changeset.members.push(Entry {
            path: TarPath::parse(&line.path.into_vec()).ok()?,
            metadata: Metadata {
                mode: line.mode,
                uid: line.uid,
                gid: line.gid,
                mtime: Mtime::new(line.mtime, line.nanoseconds.map_or(0, NonZeroU32::get))?,
                xattrs,
            },
            kind: match line.kind {
                LineKind::Directory => Kind::Directory,
                LineKind::File(size) => Kind::File { size },
                LineKind::Symlink(target) => Kind::Symlink { target: target.into_vec().into() },
                LineKind::Hardlink(target) => {
                    Kind::Hardlink { target: TarPath::parse(&target.into_vec()).ok()?.into() }
                }
                LineKind::Char(major, minor) => Kind::CharDevice(Device { major, minor }),
                LineKind::Block(major, minor) => Kind::BlockDevice(Device { major, minor }),
                LineKind::Fifo => Kind::Fifo,
            },
        });
        pack_grown(&mut changeset.members, |entry| &mut entry.path);
    }
    Some(changeset)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::ByMember;
    use crate::testing::TempDir;

    fn changeset() -> Changeset {
        let device = Device { major: 5, minor: 1 };
        let kinds = [
            Kind::Directory,
            Kind::File { size: 3 },
            Kind::Symlink { target: b"\xff/\n".to_vec().into() },
            Kind::Hardlink { target: TarPath::parse(b"1\xfe").unwrap().into() },
            Kind::CharDevice(device),
            Kind::BlockDevice(device),
            Kind::Fifo,
        ];
        let xattrs = [(b"security.capability".to_vec(), vec![1, 0, 10, 255].into())].into_iter().collect();
        let metadata = Metadata { mode: 0o4755, uid: 4_242_424_242, gid: 1, mtime: Mtime::new(-1, 5).unwrap(), xattrs };
        let path = |number: usize| TarPath::parse(&[number.to_string().as_bytes(), b"\xfe"].concat()).unwrap();
        let members = kinds.into_iter().enumerate();
        let members =
            members.map(|(number, kind)| Entry { path: path(number), metadata: metadata.clone(), kind }).collect();
        Changeset {
            members,
            digests: {
                let mut digests = ByMember::default();
                digests.push(1, Digest::of(b"abc").try_into().unwrap());
                digests
            },
            ..Changeset::default()
        }
    }

    #[test]
    fn what_goes_in_comes_out_and_damage_does_not() {
        let id = Digest::of(b"tar");
        let bytes = encode(&id, &changeset());
        assert_eq!(decode(&id, &bytes), Some(changeset()));
        assert_eq!(decode(&Digest::of(b"another"), &bytes), None);
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert_eq!(decode(&id, &damaged), None, "byte {at}");
            assert_eq!(decode(&id, &bytes[..at]), None, "cut at {at}");
        }
    }

    #[test]
    fn a_layer_is_read_once() {
        let dir = TempDir::new("changeset-cache");
        let id = Digest::of(b"tar");
        let get = |read: &dyn Fn() -> Result<Changeset>| {
            get_or_read(&dir.path().join("new"), &id, || Ok(&b"blob"[..]), read).unwrap()
        };
        assert_eq!(get(&|| Ok(changeset())), changeset());
        assert_eq!(get(&|| panic!("it is in the cache")), changeset());
        assert_eq!(fs::read_dir(dir.path().join("new")).unwrap().count(), 1);
    }
}
