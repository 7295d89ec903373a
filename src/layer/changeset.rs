//! The content of a tar, read in one pass: the entries in their order, and the contents of files as requested.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::compress::Decoder;
use crate::digest::{ContentDigest, Digest};
use crate::error::{Error, IoContext, Result};
use crate::layer::check::{is_settable, LayerCheck};
use crate::layer::stream;
use crate::media_type::LayerEncoding;
use crate::tar::{is_zero, Anomaly, LostKeywords, OwnedRecord, Reader};
use crate::tree::{pack_grown, Entry, Kind};
use crate::work::{Observer, Work};

/// The members of a layer or of another tar, whiteouts among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changeset {
    /// In the order of the tar.
    pub members: Vec<Entry>,
    /// Digests of the contents of regular files, if requested.
    pub digests: ByMember<ContentDigest>,
    /// Where contents begin, in the spool or in the tar, if requested.
    pub offsets: ByMember<u64>,
    /// What members say that a layer cannot express: [`crate::tar::Member::unapplied`].
    pub unapplied: ByMember<Vec<OwnedRecord>>,
    /// The keywords of members that are lost.
    pub lost: LostKeywords,
    /// What is to be said about the layer.
    pub warnings: Vec<String>,
}

/// What is known about some of the members of a tar, by their numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ByMember<T>(Vec<(usize, T)>);

impl<T> ByMember<T> {
    /// Adds what is known about a member that comes after all that were added.
    pub(crate) fn push(&mut self, member: usize, known: T) {
        debug_assert!(self.0.last().map_or(true, |(last, _)| *last < member));
        self.0.push((member, known));
    }

    /// Returns what is known about a member, or `None` if nothing is.
    pub(crate) fn get(&self, member: usize) -> Option<&T> {
        self.0.binary_search_by_key(&member, |(number, _)| *number).ok().map(|at| &self.0[at].1)
    }
}

impl<T> Default for ByMember<T> {
    fn default() -> Self {
        ByMember(Vec::new())
    }
}

/// What to do with the contents of regular files.
#[derive(Debug)]
pub(crate) enum Contents<'a> {
    /// Skip them.
    Skip,
    /// Compute their digests.
    Digest,
    /// Keep them in a file, one after another.
    Spool(&'a mut File),
    /// Leave them in the tar, and note their places. A sparse member has no place: it is an error.
    Locate,
}

impl Changeset {
    /// Reads a tar that is no layer from its stored bytes, compressed or not, to their end, so that a reader that
    /// verifies them sees them all. What no image can hold, and what follows the end, is judged as in a layer. `name`
    /// names it in errors.
    pub(crate) fn read(source: impl Read, contents: Contents<'_>, name: &str, work: &Work<'_>) -> Result<Self> {
        let mut judge = LayerCheck::judging(None);
        let mut decoder = Decoder::new(source, work.limits).at("read", Path::new(name))?;
        let format = decoder.format();
        let mut reader = Reader::new(&mut decoder, name, work.limits);
        let mut changeset = read_members(&mut reader, contents, name, (&mut judge, Judged::Entries), work.observer)?;
        judge.trailing(&reader.finish()?);
        judge.compression(format, &decoder.finish().at("read", Path::new(name))?);
        changeset.warnings = judge.warnings(name);
        Ok(changeset)
    }

    /// Reads a layer, checks the digest of its tar (image-spec, config.md#layer-diffid), and judges it. `encoding` is
    /// what its media type says.
    pub(crate) fn read_layer(
        blob: impl Read + Send,
        diff_id: &Digest,
        encoding: Option<LayerEncoding>,
        contents: Contents<'_>,
        layer: &str,
        work: &Work<'_>,
    ) -> Result<Self> {
        let mut judge = LayerCheck::judging(encoding);
        let take = |reader: &mut stream::LayerReader<'_>, judge: &mut LayerCheck| {
            read_members(reader, contents, layer, (judge, Judged::Members), work.observer)
        };
        let mut changeset = stream::read(blob, diff_id, layer, work.limits, &mut judge, take)?;
        changeset.warnings = judge.warnings(layer);
        changeset.warnings.extend(changeset.lost.warnings(layer));
        Ok(changeset)
    }
}

/// What is judged about the members of a tar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Judged {
    /// All that matters in a layer.
    Members,
    /// Whether each entry alone can be in an image.
    Entries,
}

/// What an error says that is about the file of [`Contents::Spool`].
pub(crate) const KEEPING: &str = "keep the content of";

fn read_members<R: Read>(
    reader: &mut Reader<R>,
    mut contents: Contents<'_>,
    name: &str,
    (judge, judged): (&mut LayerCheck, Judged),
    observer: &dyn Observer,
) -> Result<Changeset> {
    let mut changeset = Changeset::default();
    let mut spooled = 0;
    let mut buffer = vec![0; 64 << 10];
    while let Some(member) = reader.next_member()? {
        observer.check()?;
        changeset.lost.add(&member);
        match (judged, &member.entry) {
            (Judged::Members, _) => judge.member(&member),
            (Judged::Entries, Ok(entry)) => judge.entry_alone(entry),
            (Judged::Entries, Err(_)) => {}
        }
        let mut entry = member.entry?;
        judge.refuse(name)?;
        // What is made of the entry has none that nothing can set: the judge warns of them.
        entry.metadata.xattrs.retain(|attribute, value| is_settable(attribute, value));
        let number = changeset.members.len();
        if !member.unapplied.is_empty() {
            changeset.unapplied.push(number, member.unapplied);
        }
        if let Kind::File { size } = entry.kind {
            match &mut contents {
                Contents::Skip => {}
                Contents::Digest => {
                    let digest = ContentDigest::read(reader, &mut buffer, |_| Ok(())).at("read", Path::new(name))?;
                    changeset.digests.push(number, digest);
                }
                Contents::Spool(file) => {
                    changeset.offsets.push(number, spooled);
                    spooled += size;
                    spool(reader, &mut buffer, file, spooled, Path::new(name))?;
                }
                Contents::Locate if member.anomalies.iter().any(|anomaly| matches!(anomaly, Anomaly::Sparse)) => {
                    return Err(Error::malformed(name, format!("`{}` is stored as a sparse file", entry.path)));
                }
                Contents::Locate => {
                    changeset.offsets.push(number, member.content_offset);
                }
            }
        }
        changeset.members.push(entry);
        pack_grown(&mut changeset.members, |entry| &mut entry.path);
    }
    Ok(changeset)
}

/// Appends content to a file, which must end at `end`. Zeros become holes: a sparse member can claim any size. An error
/// of reading is about the input, and one of writing about the file.
fn spool(content: &mut dyn Read, buffer: &mut [u8], file: &mut File, end: u64, name: &Path) -> Result<()> {
    loop {
        match content.read(buffer) {
            Ok(0) => break,
            Ok(read) => keep(&buffer[..read], file).at(KEEPING, name)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error).at("read", name),
        }
    }
    if file.stream_position().at(KEEPING, name)? != end {
        return Err(io::ErrorKind::UnexpectedEof.into()).at("read", name);
    }
    file.set_len(end).at(KEEPING, name)
}

fn keep(piece: &[u8], file: &mut File) -> io::Result<()> {
    if !is_zero(piece) {
        return file.write_all(piece);
    }
    let length = i64::try_from(piece.len()).expect("a piece fits into the buffer");
    file.seek(SeekFrom::Current(length)).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tar::Writer;
    use crate::testing::TempDir;
    use crate::tree::{Metadata, TarPath};

    fn tar() -> Vec<u8> {
        let mut writer = Writer::new(Vec::new());
        let zeros = vec![0; 70_000];
        for (path, content) in [("a", &b"first"[..]), ("b", &zeros), ("c", b""), ("d", b"last")] {
            let kind = Kind::File { size: content.len() as u64 };
            let path = TarPath::parse(path.as_bytes()).unwrap();
            writer.append(&Entry { path, metadata: Metadata::default(), kind }, &mut &*content).unwrap();
        }
        writer.finish().unwrap()
    }

    #[test]
    fn contents_are_found_again() {
        let tar = tar();
        let id = Digest::of(&tar);
        let digests =
            Changeset::read_layer(&*tar, &id, None, Contents::Digest, "layer", &Work::default()).unwrap().digests;
        assert_eq!(
            [0, 1, 2, 3].map(|member| Digest::from(*digests.get(member).unwrap())),
            [Digest::of(b"first"), Digest::of(&vec![0; 70_000]), Digest::of(b""), Digest::of(b"last"),]
        );

        let dir = TempDir::new("changeset");
        let path = dir.path().join("spool");
        let mut file = File::create(&path).unwrap();
        let spooled = Changeset::read(&*tar, Contents::Spool(&mut file), "tar", &Work::default()).unwrap();
        let kept = std::fs::read(&path).unwrap();
        let located = Changeset::read(&*tar, Contents::Locate, "tar", &Work::default()).unwrap();
        assert_eq!((kept.len(), spooled.members.len()), (70_009, 4));
        for (number, content) in [(0, &b"first"[..]), (3, b"last")] {
            assert!(kept[*spooled.offsets.get(number).unwrap() as usize..].starts_with(content));
            assert!(tar[*located.offsets.get(number).unwrap() as usize..].starts_with(content));
        }
    }

    #[test]
    fn what_cannot_be_read_is_told_from_what_cannot_be_kept() {
        let tar = tar();
        let dir = TempDir::new("changeset");
        let path = dir.path().join("spool");
        let read = |tar: &[u8], mut file: File| {
            Changeset::read(tar, Contents::Spool(&mut file), "a.tar", &Work::default()).unwrap_err().to_string()
        };
        let short = read(&tar[..2000], File::create(&path).unwrap());
        assert!(short.contains("a.tar") && !short.contains(KEEPING), "{short}");
        let unwritable = read(&tar, File::open(&path).unwrap());
        assert!(unwritable.contains(KEEPING), "{unwritable}");
    }

    #[test]
    fn another_diff_id_is_refused() {
        let error = Changeset::read_layer(&*tar(), &Digest::of(b""), None, Contents::Skip, "layer x", &Work::default())
            .unwrap_err();
        assert!(error.to_string().starts_with("layer x: diff_id should be sha256:e3b0"), "{error}");
    }
}
