//! Writes a layer in one pass, in which each byte is read, hashed and compressed once.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::block_cache::KeptBlock;
use crate::compress::{Busy, Compression, Compressors, Encoded, Encoder, EndedStream, InputDigest, ReadAhead};
use crate::digest::{Algorithm, Digest, HashReader};
use crate::error::{Error, IoContext, Result};
use crate::layer::stream::{self, WholeBlob};
use crate::media_type::MediaType;
use crate::oci::Descriptor;
use crate::tar::{self, Edge, Output};
use crate::tree::{Content, Entry, TarPath, Tree};
use crate::work::{Observer, Work};

/// A written layer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Layer {
    /// Its blob.
    pub descriptor: Descriptor,
    /// The digest of its tar (image-spec, config.md#layer-diffid).
    pub diff_id: Digest,
    /// The size of its tar in bytes.
    pub unpacked_size: u64,
    /// Where its compressed blocks are in the blob, if they are worth caching and there is a cache.
    pub blocks: Vec<KeptBlock>,
}

/// How long the stages of writing a layer were busy, summed over their threads.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct LayerTimes {
    /// Opening and reading files.
    pub read: Duration,
    /// Hashing, compressing and writing.
    pub busy: Busy,
}

/// One member of a layer to be written. All entries of a tree make a layer with none below it; what turns one tree into
/// another is their [`difference`](crate::layer::difference()).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step<'a> {
    /// An entry that replaces what the layers below have at its path; a directory keeps its content there.
    Put(&'a Entry),
    /// An entry that the layer stores under another name than its tree.
    PutAs {
        /// The entry as the layer has it.
        entry: Box<Entry>,
        /// The entry of the tree whose content it has.
        source: &'a Entry,
    },
    /// A whiteout: what the layers below have at this path is removed, with everything below it.
    Whiteout(TarPath),
}

impl<'a> Step<'a> {
    /// Returns the entry as the layer has it, and the one whose content it has, or `None` for a whiteout.
    pub(crate) fn entry_and_source(&self) -> Option<(&Entry, &'a Entry)> {
        match self {
            Step::Put(entry) => Some((entry, entry)),
            Step::PutAs { entry, source } => Some((entry, source)),
            Step::Whiteout(_) => None,
        }
    }

    /// Returns the bytes of content that writing it will read.
    pub(crate) fn size(&self) -> u64 {
        self.entry_and_source().map_or(0, |(entry, _)| entry.size())
    }

    /// Returns the entry's path, or the path that is removed.
    pub(crate) fn path(&self) -> &TarPath {
        match self {
            Step::Put(entry) => &entry.path,
            Step::PutAs { entry, .. } => &entry.path,
            Step::Whiteout(path) => path,
        }
    }
}

/// What one layer is to hold, in its order.
#[derive(Clone, Debug)]
pub(crate) enum Members<'a> {
    /// All entries of a tree.
    All(&'a Tree),
    /// What a difference or a plan says.
    Steps(Vec<Step<'a>>),
}

impl<'a> Members<'a> {
    /// Returns how many there are.
    pub(crate) fn len(&self) -> usize {
        match self {
            Members::All(tree) => tree.len(),
            Members::Steps(steps) => steps.len(),
        }
    }

    /// Returns the bytes of content that writing them will read.
    pub(crate) fn size(&self) -> u64 {
        match self {
            Members::All(tree) => tree.content_size(),
            Members::Steps(steps) => steps.iter().map(Step::size).sum(),
        }
    }

    /// Returns them one by one.
    pub(crate) fn into_steps(self) -> Box<dyn Iterator<Item = Step<'a>> + 'a> {
        match self {
            Members::All(tree) => Box::new(tree.iter().map(Step::Put)),
            Members::Steps(steps) => Box::new(steps.into_iter()),
        }
    }
}

/// How many layers may be on their way at once: each has two threads of its own besides those that compress.
const ON_THEIR_WAY: usize = 4;

/// Writes layers to the files that `blob` makes, each member by member in their order; `content` has the content of the
/// sources. While the last blocks of a layer are hashed, compressed and written, the next is read: they share the
/// work's threads, whose number does not affect the bytes, and the memory of one layer.
///
/// A file that is larger or smaller than its entry says has changed in the meantime: an error that names it.
pub(crate) fn write<W: Write + Send + 'static>(
    layers: Vec<Members<'_>>,
    content: &dyn Content,
    mut blob: impl FnMut() -> Result<W>,
    compression: Compression,
    work: &Work<'_>,
) -> Result<Vec<(Layer, LayerTimes)>> {
    let compressors = Compressors::start(compression, work.threads, work.cache).at("compress", Path::new("a layer"))?;
    let mut written = Vec::with_capacity(layers.len());
    let mut on_their_way = VecDeque::new();
    for members in layers {
        if on_their_way.len() == ON_THEIR_WAY {
            written.extend(on_their_way.pop_front().map(|ended| finish(ended, compression)).transpose()?);
        }
        let encoder =
            Encoder::with(blob()?, &compressors, InputDigest::Compute).at("compress", Path::new("a layer"))?;
        on_their_way.push_back(write_members(members, content, encoder, work)?);
    }
    for ended in on_their_way {
        written.push(finish(ended, compression)?);
    }
    Ok(written)
}

/// A layer whose members were all read.
type Ended<W> = (EndedStream<W>, Duration);

fn write_members<W: Write + Send + 'static>(
    members: Members<'_>,
    content: &dyn Content,
    encoder: Encoder<W>,
    work: &Work<'_>,
) -> Result<Ended<W>> {
    let observer = work.observer;
    let read = Cell::new(Duration::ZERO);
    let output = LayerOutput(encoder);
    let mut writer = match members {
        Members::All(_) => tar::Writer::of_unique_paths(output),
        Members::Steps(_) => tar::Writer::new(output),
    };
    for step in members.into_steps() {
        observer.check()?;
        let appended = match step.entry_and_source() {
            Some((entry, source)) => {
                if source.is_file() && source.size() == 0 {
                    content.confirm_empty(source)?;
                }
                writer.append(entry, &mut EntryReader { source, content, open: None, read: &read, observer })
            }
            None => writer.append_whiteout(step.path()),
        };
        appended.map_err(|error| if observer.interrupted() { Error::Interrupted } else { error })?;
    }
    let ended = writer.finish().and_then(|output| output.0.end());
    Ok((ended.at("write", Path::new("the layer"))?, read.get()))
}

fn finish<W: Write + Send + 'static>(
    (ending, read): Ended<W>,
    compression: Compression,
) -> Result<(Layer, LayerTimes)> {
    let ended = ending.wait().at("write", Path::new("the layer"))?;
    let (_, Encoded { input, input_size, output, output_size, busy, blocks }) = ended;
    let layer = Layer {
        descriptor: Descriptor::new(MediaType::layer(compression.encoding()), output, output_size),
        diff_id: input.expect("the encoder was told to compute it"),
        unpacked_size: input_size,
        blocks,
    };
    Ok((layer, LayerTimes { read, busy }))
}

/// Recompresses a layer: reads its blob, compressed or not, and writes the same tar to `to`. The tar must match the
/// `diff_id`. The blob is read to its end, so that a reader that verifies it sees all of it; `name` names the layer in
/// errors.
///
/// The new bytes are the same as if the layer had been [written](write()) with this compression.
pub(crate) fn recompress(
    blob: impl Read + Send,
    diff_id: &Digest,
    name: &str,
    to: impl Write + Send + 'static,
    compression: Compression,
    work: &Work<'_>,
) -> Result<Layer> {
    let place = Path::new(name);
    let algorithm = stream::algorithm(diff_id, name)?;
    let input = if algorithm == Algorithm::Sha256 { InputDigest::Compute } else { InputDigest::Skip };
    let compressors = Compressors::start(compression, work.threads, work.cache).at("compress", Path::new("a layer"))?;
    let mut output = LayerOutput(Encoder::with(to, &compressors, input).at("compress", Path::new("a layer"))?);
    let hashed = thread::scope(|scope| {
        let mut tar = ReadAhead::new(scope, WholeBlob::new(blob, work.limits)?)?;
        if input == InputDigest::Compute {
            return tar::copy(&mut tar, &mut output).map(|()| None);
        }
        let mut hashed = HashReader::new(tar, algorithm);
        tar::copy(&mut hashed, &mut output).map(|()| Some(hashed.finish().1))
    });
    let hashed = hashed.at("recompress", place)?;
    let (_, Encoded { input, input_size, output, output_size, blocks, .. }) = output.0.finish().at("write", place)?;
    let found = hashed.or(input).expect("one of the two computes it");
    stream::check(diff_id, &found, name)?;
    Ok(Layer {
        descriptor: Descriptor::new(MediaType::layer(compression.encoding()), output, output_size),
        diff_id: found,
        unpacked_size: input_size,
        blocks,
    })
}

/// The encoder as an output for a tar: content goes straight into its blocks, which end at entry edges.
struct LayerOutput<W: Write + Send + 'static>(Encoder<W>);

impl<W: Write + Send + 'static> Write for LayerOutput<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl<W: Write + Send + 'static> Output for LayerOutput<W> {
    fn entry_edge(&mut self, edge: Edge) {
        self.0.entry_edge(edge.key, edge.size);
    }

    fn read_from(&mut self, reader: &mut dyn Read, limit: u64) -> io::Result<u64> {
        self.0.read_from(reader, limit)
    }
}

/// Opens an entry's content when the first byte is read, so that nothing is opened for entries without content.
struct EntryReader<'a> {
    source: &'a Entry,
    content: &'a dyn Content,
    open: Option<Box<dyn Read + 'a>>,
    read: &'a Cell<Duration>,
    observer: &'a dyn Observer,
}

impl Read for EntryReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.observer.interrupted() {
            return Err(Error::Interrupted.into());
        }
        let start = Instant::now();
        let open = match &mut self.open {
            Some(open) => open,
            None => self.open.insert(self.content.open(self.source)?),
        };
        let read = open.read(buffer)?;
        self.read.set(self.read.get() + start.elapsed());
        self.observer.advance(read as u64);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;
    use crate::limits::Limits;
    use crate::testing::TempDir;
    use crate::tree::{Kind, Metadata};

    /// Files whose content is their path.
    struct Paths;

    impl Content for Paths {
        fn open<'a>(&'a self, entry: &Entry) -> Result<Box<dyn Read + 'a>> {
            Ok(Box::new(io::Cursor::new(entry.path.as_bytes().to_vec())))
        }
    }

    fn entry(path: &str, kind: Kind) -> Entry {
        Entry { path: TarPath::parse(path.as_bytes()).unwrap(), metadata: Metadata::default(), kind }
    }

    fn written(name: &str, steps: Vec<Step<'_>>) -> Result<(Layer, Vec<u8>)> {
        let directory = TempDir::new(name);
        let blob = directory.path().join("blob");
        let file = File::create(&blob).unwrap();
        let mut file = Some(file);
        let file = || Ok(file.take().unwrap());
        let written = write(vec![Members::Steps(steps)], &Paths, file, Compression::None, &Work::default())?;
        let (layer, _) = written.into_iter().next().unwrap();
        Ok((layer, std::fs::read(&blob).unwrap()))
    }

    #[test]
    fn members_stand_in_the_order_of_the_steps() {
        let directory = entry("d", Kind::Directory);
        let (file, source) = (entry("d/x", Kind::File { size: 5 }), entry("d/abc", Kind::File { size: 5 }));
        let steps = vec![
            Step::Put(&directory),
            Step::Whiteout(TarPath::parse(b"d/gone").unwrap()),
            Step::PutAs { entry: Box::new(file.clone()), source: &source },
            Step::Put(&source),
        ];
        let (layer, bytes) = written("layer-steps", steps).unwrap();
        assert_eq!((layer.unpacked_size, &layer.diff_id), (bytes.len() as u64, &Digest::of(&bytes)));
        assert_eq!(layer.descriptor.digest, layer.diff_id);

        let mut reader = tar::Reader::new(bytes.as_slice(), "layer", Limits::default());
        let mut found = Vec::new();
        while let Some(member) = reader.next_member().unwrap() {
            let mut content = String::new();
            reader.read_to_string(&mut content).unwrap();
            found.push((member.entry.unwrap(), content));
        }
        let expected =
            [(directory, ""), (entry("d/.wh.gone", Kind::File { size: 0 }), ""), (file, "d/abc"), (source, "d/abc")];
        assert_eq!(found, expected.map(|(entry, content)| (entry, content.to_owned())));
    }

    #[test]
    fn content_that_does_not_fit_its_entry_is_named() {
        let file = entry("d/x", Kind::File { size: 7 });
        let error = written("layer-changed", vec![Step::Put(&file)]).unwrap_err();
        assert_eq!(error.to_string(), "/d/x: file changed while it was read: size should be 7, found 3");
    }
}
