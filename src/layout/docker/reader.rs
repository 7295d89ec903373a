//! A docker archive shown as the layout that it could have been.
//!
//! `manifest.json` names each image's config and layers by their paths in the archive (Docker Image Specification v1.2,
//! "Combined Image JSON + Filesystem Changeset Format"). Of that, an index and a manifest are made for each image;
//! configs and layers stay as they are, and their bytes are compatible with those of OCI. A layer that is stored
//! plain, as most are, has the digest that the config gives as its `diff_id`, so nothing has to be read to know it, and
//! it is held to it when it is read.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};

use crate::compress::{Decoder, Format};
use crate::digest::{Algorithm, Digest, Hasher};
use crate::error::{Error, IoContext, Result};
use crate::layout::archive::Archive;
use crate::layout::docker::parts::{document, member, read, Parts, Source};
use crate::layout::docker::{legacy, Item, MANIFEST, REPOSITORIES};
use crate::layout::names::whole_name;
use crate::layout::{blob_path, Stored, INDEX, MARKER};
use crate::media_type::MediaType;
use crate::oci::annotations::CONTAINERD_NAME;
use crate::oci::{Annotations, Descriptor, Document, ImageConfig, Index, LayoutMarker, Manifest, RefName};

/// An archive and the layout that is made of it.
#[derive(Debug)]
pub(in crate::layout) struct DockerArchive {
    archive: Archive,
    /// By their paths in the layout.
    files: BTreeMap<String, Source>,
    /// What had to be computed, by the names of members: images share layers.
    computed: BTreeMap<String, Computed>,
    /// What is wrong with layers whose digest nobody promised, by that digest.
    damaged: BTreeMap<Digest, String>,
}

/// The digest of a member's bytes, and of the tar in them, or why there is none.
#[derive(Clone, Debug)]
struct Computed {
    stored: Digest,
    tar: Result<Digest, String>,
}

/// Whether an archive has what makes a docker archive.
pub(in crate::layout) fn is_docker_archive(archive: &Archive) -> bool {
    [MANIFEST, REPOSITORIES].iter().any(|name| archive.stretch(name).is_some())
}

impl DockerArchive {
    /// Reads the lists and the configs, and of the layers those that are stored compressed under a name that does not
    /// give their digest.
    pub(in crate::layout) fn new(archive: Archive) -> Result<Self> {
        let images = match document::<Vec<Item>>(&archive, MANIFEST)? {
            Some(items) => parts(&archive, items)?,
            None => legacy::images(&archive)?.ok_or_else(|| no_manifest(&archive))?,
        };
        let mut docker_archive =
            DockerArchive { archive, files: BTreeMap::new(), computed: BTreeMap::new(), damaged: BTreeMap::new() };
        let mut index = Index::default();
        for image in images {
            index.manifests.extend(docker_archive.add(image)?);
        }
        docker_archive.make(MARKER.to_owned(), &Document::seal(LayoutMarker::default()));
        docker_archive.make(INDEX.to_owned(), &Document::seal(index));
        Ok(docker_archive)
    }

    /// Shows an image; gives back a descriptor of its manifest for each name.
    fn add(&mut self, image: Parts) -> Result<Vec<Descriptor>> {
        let (raw, promised) = match &image.config {
            Source::Member(name) => (read(&self.archive, name)?, blob_digest(name)),
            Source::Made(raw) => (raw.clone(), None),
        };
        let subject = match &image.config {
            Source::Member(name) => format!("{}: config `{name}`", self.archive.name()),
            Source::Made(_) => format!("{}: config of `{}`", self.archive.name(), image.names.join("`, `")),
        };
        let document: Document<ImageConfig> = Document::parse(raw, &subject)?;
        let mut config = document.descriptor(MediaType::CONFIG);
        config.digest = promised.unwrap_or(config.digest);
        self.files.insert(blob_path(&config.digest), image.config);

        let diff_ids = &document.value().rootfs.diff_ids;
        if diff_ids.len() != image.layers.len() {
            let (expected, found) = (diff_ids.len().to_string(), image.layers.len().to_string());
            return Err(Error::Mismatch { subject, what: "number of layers", expected, found });
        }
        let layers = image.layers.iter().zip(diff_ids);
        let layers = layers.map(|(path, diff_id)| self.add_layer(path, diff_id)).collect::<Result<_>>()?;

        let manifest = Document::seal(Manifest::new(config, layers));
        let mut descriptor = manifest.descriptor(MediaType::MANIFEST);
        descriptor.platform = Some(document.value().platform());
        self.make(blob_path(&descriptor.digest), &manifest);
        if image.names.is_empty() {
            return Ok(vec![descriptor]);
        }
        Ok(image.names.iter().map(|name| named(&descriptor, name)).collect())
    }

    fn add_layer(&mut self, path: &str, diff_id: &Digest) -> Result<Descriptor> {
        let name = member(&self.archive, path)?;
        let stretch = self.archive.stretch(&name).expect("the path was resolved to a file");
        let media_type = match stretch.format {
            Format::Plain => MediaType::LAYER,
            Format::Gzip => MediaType::LAYER_GZIP,
            Format::Zstd => MediaType::LAYER_ZSTD,
            Format::Xz | Format::Bzip2 => {
                let subject = format!("{}: layer `{path}`", self.archive.name());
                return Err(Error::malformed(subject, "a layer that is plain or in gzip or zstd expected"));
            }
        };
        let size = stretch.size;
        let digest = match blob_digest(&name) {
            _ if media_type == MediaType::LAYER => diff_id.clone(),
            Some(promised) => promised,
            // The digest of what is there says nothing about what should be: only the diff_id does.
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
        self.files.insert(blob_path(&descriptor.digest), Source::Member(name));
        Ok(descriptor)
    }

    /// Reads a compressed layer once for both its digests.
    fn compute(&mut self, name: &str, diff_id: &Digest) -> Result<Computed> {
        if let Some(computed) = self.computed.get(name) {
            return Ok(computed.clone());
        }
        let (reader, _) = self.archive.file(name)?.expect("the name is that of a file");
        let mut stored = Hashing { inner: reader, hasher: Hasher::new(Algorithm::Sha256) };
        let algorithm = diff_id.algorithm().unwrap_or(Algorithm::Sha256);
        let tar = tar_digest(&mut stored, algorithm).map_err(|error| error.to_string());
        io::copy(&mut stored, &mut io::sink()).at("read", self.archive.path())?;
        let computed = Computed { stored: stored.hasher.finish(), tar };
        self.computed.insert(name.to_owned(), computed.clone());
        Ok(computed)
    }

    /// Fails if what has this digest is not what the config promises: its digest promises nothing.
    pub(in crate::layout) fn check_promise(&self, digest: &Digest) -> Result<()> {
        match self.damaged.get(digest) {
            Some(reason) => Err(Error::malformed(self.archive.name(), reason)),
            None => Ok(()),
        }
    }

    fn make<T>(&mut self, path: String, document: &Document<T>) {
        self.files.insert(path, Source::Made(document.raw().to_vec()));
    }

    /// The archive that it is.
    pub(in crate::layout) fn archive(&self) -> &Archive {
        &self.archive
    }

    /// The files of the layout.
    pub(in crate::layout) fn files(&self) -> Vec<Stored> {
        let size = |source: &Source| match source {
            Source::Member(name) => self.archive.stretch(name).map_or(0, |stretch| stretch.size),
            Source::Made(bytes) => bytes.len() as u64,
        };
        self.files.iter().map(|(name, source)| Stored { name: name.clone(), size: size(source) }).collect()
    }

    /// Whether the layout has a file.
    pub(in crate::layout) fn has(&self, name: &str) -> bool {
        self.files.contains_key(name)
    }

    /// A file of the layout and its size.
    pub(in crate::layout) fn file(&self, name: &str) -> Result<Option<(Box<dyn Read + Send + '_>, u64)>> {
        match self.files.get(name) {
            Some(Source::Member(name)) => self.archive.file(name),
            Some(Source::Made(bytes)) => Ok(Some((Box::new(bytes.as_slice()), bytes.len() as u64))),
            None => Ok(None),
        }
    }
}

/// Hashes what is read through it.
struct Hashing<R> {
    inner: R,
    hasher: Hasher,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        Ok(read)
    }
}

/// The digest of what is compressed in `stored`.
fn tar_digest(stored: impl Read, algorithm: Algorithm) -> io::Result<Digest> {
    let mut tar = Hashing { inner: Decoder::new(stored)?, hasher: Hasher::new(algorithm) };
    io::copy(&mut tar, &mut io::sink())?;
    tar.inner.finish()?;
    Ok(tar.hasher.finish())
}

/// The images of `manifest.json`. Where one has no name there, the older list may have one for its top layer; but other
/// images may have that layer on top too, and what names one image names no other.
fn parts(archive: &Archive, items: Vec<Item>) -> Result<Vec<Parts>> {
    let mut taken: BTreeSet<String> =
        items.iter().filter_map(|item| item.repo_tags.as_ref()).flatten().map(|name| whole_name(name)).collect();
    let images = items.into_iter().map(|item| {
        let layers = item.layers.unwrap_or_default();
        let mut names = item.repo_tags.unwrap_or_default();
        if let (true, Some(top)) = (names.is_empty(), layers.last()) {
            names = legacy::names_of_layer(archive, top)?;
            names.retain(|name| taken.insert(whole_name(name)));
        }
        Ok(Parts { names, config: Source::Member(member(archive, &item.config)?), layers })
    });
    images.collect()
}

/// The same descriptor under a name. A name may be none that a layout can hold as a ref name.
fn named(descriptor: &Descriptor, name: &str) -> Descriptor {
    let mut descriptor = descriptor.clone();
    descriptor.annotations.get_or_insert_with(Annotations::new).insert(CONTAINERD_NAME.to_owned(), whole_name(name));
    match name.parse::<RefName>() {
        Ok(name) => descriptor.with_ref_name(&name),
        Err(_) => descriptor,
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

/// The digest that the name of a blob in a layout promises.
fn blob_digest(name: &str) -> Option<Digest> {
    name.strip_prefix("blobs/")?.replacen('/', ":", 1).parse().ok()
}
