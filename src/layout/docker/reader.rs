//! Presents a docker archive as an equivalent layout.
//!
//! `manifest.json` names each image's config and layers by their paths in the archive (Docker Image Specification v1.2,
//! "Combined Image JSON + Filesystem Changeset Format"). An index, and a manifest for each image, are generated from
//! it; configs and layers stay unchanged, since OCI accepts their bytes. The digest of an uncompressed layer, the usual
//! case, is its `diff_id` in the config, so it is known without reading the layer, and it is verified when the layer is
//! read. Layers in xz or bzip2, for which OCI has no media types, are presented as the tar in them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::rc::Rc;

use crate::compress::{Decoder, Format, Rest};
use crate::digest::{Algorithm, Digest, HashReader};
use crate::error::{Error, IoContext, Result};
use crate::layout::archive::Archive;
use crate::layout::docker::decompressed::DecompressedLayer;
use crate::layout::docker::parts::{document, member, read, FileSource, Parts};
use crate::layout::docker::{legacy, Item, MANIFEST, REPOSITORIES};
use crate::layout::names::whole_name;
use crate::layout::{blob_path, StoredFile, INDEX, MARKER};
use crate::limits::Limits;
use crate::media_type::MediaType;
use crate::oci::annotations::CONTAINERD_NAME;
use crate::oci::{Annotations, Descriptor, Document, ImageConfig, Index, LayoutMarker, Manifest, RefName};
use crate::platform::Platform;

/// An archive and the layout generated from it.
#[derive(Debug)]
pub(in crate::layout) struct DockerArchive {
    archive: Archive,
    /// By path in the layout.
    files: BTreeMap<String, PresentedFile>,
    /// Computed digests by member name; images may share layers.
    computed: BTreeMap<String, Computed>,
    /// Errors by digest, for layers whose digest was computed rather than promised by the archive.
    damaged: BTreeMap<Digest, String>,
}

/// A file of the layout.
#[derive(Debug)]
enum PresentedFile {
    AsStored(FileSource),
    /// What is in a compressed member.
    Decompressed {
        member: String,
        size: u64,
    },
}

/// What the config of an image says.
struct ReadConfig {
    descriptor: Descriptor,
    platform: Platform,
    diff_ids: Vec<Digest>,
}

/// The digest of a member's bytes, and that of the tar in them or the reason why there is none.
#[derive(Clone, Debug)]
struct Computed {
    stored: Digest,
    tar: Result<Digest, String>,
    /// The bytes of the tar, as far as it can be decompressed.
    tar_size: u64,
    /// Whether it is in xz without an integrity check.
    is_unchecked: bool,
}

/// Whether an archive has the files that mark a docker archive.
pub(in crate::layout) fn is_docker_archive(archive: &Archive) -> bool {
    [MANIFEST, REPOSITORIES].iter().any(|name| archive.stretch(name).is_some())
}

impl DockerArchive {
    /// Reads lists and configs. Of the layers, it reads only compressed ones whose name does not tell their digest.
    pub(in crate::layout) fn new(archive: Archive) -> Result<Self> {
        let images = match document::<Vec<Item>>(&archive, MANIFEST)? {
            Some(items) => parts(&archive, items)?,
            None => legacy::images(&archive)?.ok_or_else(|| no_manifest(&archive))?,
        };
        let mut docker_archive =
            DockerArchive { archive, files: BTreeMap::new(), computed: BTreeMap::new(), damaged: BTreeMap::new() };
        let mut index = Index::default();
        let mut configs = BTreeMap::new();
        for image in images {
            index.manifests.extend(docker_archive.add(image, &mut configs)?);
        }
        docker_archive.make(MARKER.to_owned(), &Document::seal(LayoutMarker::default()));
        docker_archive.make(INDEX.to_owned(), &Document::seal(index));
        Ok(docker_archive)
    }

    /// Adds an image. Returns a descriptor of its manifest for each name. `configs` are those that were read, by the
    /// names of their members: a short list can name a long one over and over.
    fn add(&mut self, image: Parts, configs: &mut BTreeMap<String, Rc<ReadConfig>>) -> Result<Vec<Descriptor>> {
        let subject = match &image.config {
            FileSource::Member(name) => format!("{}: config `{name}`", self.archive.name()),
            FileSource::Made(_) => format!("{}: config of `{}`", self.archive.name(), image.names.join("`, `")),
        };
        let known = match &image.config {
            FileSource::Member(name) => configs.get(name).cloned(),
            FileSource::Made(_) => None,
        };
        let config = match (known, &image.config) {
            (Some(config), _) => config,
            (None, FileSource::Member(name)) => {
                let mut config = ReadConfig::parse(read(&self.archive, name)?, &subject)?;
                config.descriptor.digest = blob_digest(name).unwrap_or(config.descriptor.digest);
                let config = Rc::new(config);
                configs.insert(name.clone(), Rc::clone(&config));
                config
            }
            (None, FileSource::Made(raw)) => Rc::new(ReadConfig::parse(raw.clone(), &subject)?),
        };
        self.files.insert(blob_path(&config.descriptor.digest), PresentedFile::AsStored(image.config));

        let diff_ids = &config.diff_ids;
        if diff_ids.len() != image.layers.len() {
            let (expected, found) = (diff_ids.len().to_string(), image.layers.len().to_string());
            return Err(Error::Mismatch { subject, what: "number of layers", expected, found });
        }
        let layers = image.layers.iter().zip(diff_ids);
        let layers = layers.map(|(path, diff_id)| self.add_layer(path, diff_id)).collect::<Result<_>>()?;

        let manifest = Document::seal(Manifest::new(config.descriptor.clone(), layers));
        let mut descriptor = manifest.descriptor(MediaType::MANIFEST);
        descriptor.platform = Some(config.platform.clone()).filter(Platform::is_named);
        self.make(blob_path(&descriptor.digest), &manifest);
        if image.names.is_empty() {
            return Ok(vec![descriptor]);
        }
        Ok(image.names.iter().map(|name| named(&descriptor, name)).collect())
    }

    fn add_layer(&mut self, path: &str, diff_id: &Digest) -> Result<Descriptor> {
        let name = member(&self.archive, path)?;
        let Some(stretch) = self.archive.stretch(&name) else { return Err(self.archive.lacks(&name)) };
        let media_type = match stretch.format {
            Format::Plain => MediaType::LAYER,
            Format::Gzip => MediaType::LAYER_GZIP,
            Format::Zstd => MediaType::LAYER_ZSTD,
            Format::Xz | Format::Bzip2 => return self.add_decompressed(name, diff_id),
        };
        let size = stretch.size;
        let digest = match blob_digest(&name) {
            _ if media_type == MediaType::LAYER => diff_id.clone(),
            Some(promised) => promised,
            // A computed digest proves nothing; only the diff_id tells what the layer should be.
            None => {
                let computed = self.compute(&name, diff_id)?;
                let damage = match computed.tar {
                    Ok(tar) if tar == *diff_id => None,
                    Ok(tar) => Some(format!("diff_id should be {diff_id}, found {tar}")),
                    Err(reason) => Some(reason),
                };
                if let Some(damage) = damage {
                    self.damaged.insert(computed.stored.clone(), format!("layer `{path}`: {damage}"));
                }
                computed.stored
            }
        };
        let descriptor = Descriptor::new(media_type, digest, size);
        self.files.insert(blob_path(&descriptor.digest), PresentedFile::AsStored(FileSource::Member(name)));
        Ok(descriptor)
    }

    /// Adds a layer as the tar in it, which has the digest that the config promises.
    fn add_decompressed(&mut self, name: String, diff_id: &Digest) -> Result<Descriptor> {
        let size = self.compute(&name, diff_id)?.tar_size;
        self.files.insert(blob_path(diff_id), PresentedFile::Decompressed { member: name, size });
        Ok(Descriptor::new(MediaType::LAYER, diff_id.clone(), size))
    }

    /// Reads a compressed layer once to compute both digests.
    fn compute(&mut self, name: &str, diff_id: &Digest) -> Result<Computed> {
        if let Some(computed) = self.computed.get(name) {
            return Ok(computed.clone());
        }
        let Some((reader, _)) = self.archive.file(name)? else { return Err(self.archive.lacks(name)) };
        let mut stored = HashReader::new(reader, Algorithm::Sha256);
        let algorithm = diff_id.algorithm().unwrap_or(Algorithm::Sha256);
        let (tar, tar_size) = tar_digest(&mut stored, algorithm, self.archive.limits());
        let is_unchecked = matches!(&tar, Ok((_, rest)) if rest.is_unchecked);
        let tar = tar.map(|(digest, _)| digest).map_err(|error| error.to_string());
        io::copy(&mut stored, &mut io::sink()).at("read", self.archive.path())?;
        let computed = Computed { stored: stored.finish().1, tar, tar_size, is_unchecked };
        self.computed.insert(name.to_owned(), computed.clone());
        Ok(computed)
    }

    /// Fails if the layer with this digest does not match its diff_id; the digest was computed and proves nothing.
    pub(in crate::layout) fn check_promise(&self, digest: &Digest) -> Result<()> {
        match self.damaged.get(digest) {
            Some(reason) => Err(Error::malformed(self.archive.name(), reason)),
            None => Ok(()),
        }
    }

    fn make<T>(&mut self, path: String, document: &Document<T>) {
        self.files.insert(path, PresentedFile::AsStored(FileSource::Made(document.raw().to_vec())));
    }

    /// The layers in xz without an integrity check.
    pub(in crate::layout) fn unchecked_layers(&self) -> Vec<String> {
        let computed = self.computed.iter().filter(|(_, computed)| computed.is_unchecked);
        computed.map(|(name, _)| name.clone()).collect()
    }

    /// The underlying archive.
    pub(in crate::layout) fn archive(&self) -> &Archive {
        &self.archive
    }

    /// All files of the layout.
    pub(in crate::layout) fn files(&self) -> Vec<StoredFile> {
        let size = |source: &PresentedFile| match source {
            PresentedFile::AsStored(FileSource::Member(name)) => {
                self.archive.stretch(name).map_or(0, |stretch| stretch.size)
            }
            PresentedFile::AsStored(FileSource::Made(bytes)) => bytes.len() as u64,
            PresentedFile::Decompressed { size, .. } => *size,
        };
        self.files.iter().map(|(name, source)| StoredFile { name: name.clone(), size: size(source) }).collect()
    }

    /// Whether the layout has this file.
    pub(in crate::layout) fn has(&self, name: &str) -> bool {
        self.files.contains_key(name)
    }

    /// Returns a file of the layout and its size.
    pub(in crate::layout) fn file(&self, name: &str) -> Result<Option<(Box<dyn Read + Send + '_>, u64)>> {
        match self.files.get(name) {
            Some(PresentedFile::AsStored(FileSource::Member(name))) => self.archive.file(name),
            Some(PresentedFile::AsStored(FileSource::Made(bytes))) => {
                Ok(Some((Box::new(bytes.as_slice()), bytes.len() as u64)))
            }
            Some(PresentedFile::Decompressed { member, size }) => {
                let Some((stored, _)) = self.archive.file(member)? else { return Ok(None) };
                Ok(Some((Box::new(DecompressedLayer::new(stored, &self.archive, member)?), *size)))
            }
            None => Ok(None),
        }
    }
}

impl ReadConfig {
    fn parse(raw: Vec<u8>, subject: &str) -> Result<Self> {
        let document: Document<ImageConfig> = Document::parse(raw, subject)?;
        let descriptor = document.descriptor(MediaType::CONFIG);
        let config = document.into_value();
        Ok(ReadConfig { descriptor, platform: config.platform(), diff_ids: config.rootfs.diff_ids })
    }
}

/// The digest of the decompressed content of `stored` and what was found at its end, and how many bytes could be
/// decompressed.
fn tar_digest(stored: impl Read, algorithm: Algorithm, limits: Limits) -> (io::Result<(Digest, Rest)>, u64) {
    let mut size = 0;
    let digest = || {
        let mut tar = CountedTar { inner: HashReader::new(Decoder::new(stored, limits)?, algorithm), count: &mut size };
        io::copy(&mut tar, &mut io::sink())?;
        let (decoder, digest) = tar.inner.finish();
        Ok((digest, decoder.finish()?))
    };
    (digest(), size)
}

/// Counts the bytes of a tar that come through.
struct CountedTar<'a, R> {
    inner: R,
    count: &'a mut u64,
}

impl<R: Read> Read for CountedTar<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        *self.count = self.count.saturating_add(read as u64);
        Ok(read)
    }
}

/// The images of `manifest.json`. An image without a name there gets the name that `repositories` has for its top
/// layer, but only one image does: others may have the same top layer.
fn parts(archive: &Archive, items: Vec<Item>) -> Result<Vec<Parts>> {
    let mut taken: BTreeSet<String> =
        items.iter().filter_map(|item| item.repo_tags.as_ref()).flatten().map(|name| whole_name(name)).collect();
    let mut by_layer = None;
    let images = items.into_iter().map(|item| {
        let layers = item.layers.unwrap_or_default();
        let mut names = item.repo_tags.unwrap_or_default();
        names.retain(|name| name != NO_NAME);
        if let (true, Some(top)) = (names.is_empty(), layers.last()) {
            let by_layer = match &mut by_layer {
                Some(by_layer) => by_layer,
                None => by_layer.insert(legacy::names_by_layer(archive)?),
            };
            names =
                archive.resolve(top).ok().flatten().and_then(|layer| by_layer.get(&layer).cloned()).unwrap_or_default();
            names.retain(|name| taken.insert(whole_name(name)));
        }
        Ok(Parts { names, config: FileSource::Member(member(archive, &item.config)?), layers })
    });
    images.collect()
}

/// What Docker shows in place of a name, and some tools save.
const NO_NAME: &str = "<none>:<none>";

/// A copy of the descriptor with a name, which may not be a valid ref name.
fn named(descriptor: &Descriptor, name: &str) -> Descriptor {
    let mut descriptor = descriptor.clone();
    descriptor.annotations.get_or_insert_with(Annotations::new).insert(CONTAINERD_NAME.to_owned(), whole_name(name));
    match name.parse::<RefName>() {
        // A ref name that ends in a digest could not be told from the digest.
        Ok(ref_name) if !name.contains('@') => descriptor.with_ref_name(&ref_name),
        _ => descriptor,
    }
}

fn no_manifest(archive: &Archive) -> Error {
    Error::malformed(
        archive.name(),
        match archive.cut() {
            Some(member) => format!("no docker archive, or half of one: it ends within `{member}`"),
            None => format!("no docker archive: the file `{MANIFEST}` is missing"),
        },
    )
}

/// The digest in the path of a blob.
fn blob_digest(name: &str) -> Option<Digest> {
    name.strip_prefix("blobs/")?.replacen('/', ":", 1).parse().ok()
}
