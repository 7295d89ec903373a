//! `inspect`: what is in an image.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use crate::compress::Decoder;
use crate::digest::Digest;
use crate::error::{Error, IoContext, Result};
use crate::image::tree::{read_layers, ImageLayers, Wanted};
use crate::json;
use crate::layout::{AttachedFile, DescriptorPath, Image, Layout, Location, Referrer, Watched};
use crate::media_type::{LayerEncoding, MediaKind, MediaType};
use crate::oci::{Annotations, ContainerConfig, Descriptor, History};
use crate::platform::{Platform, PlatformPattern};
use crate::tar;
use crate::tree::{members, path_members, shown, Entry, Kind, TarPath};
use crate::work::Work;

/// What is shown of an image.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct InspectOptions {
    /// Which image where there is a choice.
    pub platform: Option<PlatformPattern>,
    /// Whether the entries of the layers are listed.
    pub files: Files,
    /// How many of the largest files and directories are listed.
    pub largest: Option<usize>,
}

/// Whether the entries of layers are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Files {
    /// No layer is read for them.
    #[default]
    Omitted,
    /// They are.
    Listed,
}

/// An image as its documents describe it.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct InspectReport {
    /// Where it is.
    pub image: String,
    /// Its names in the layout.
    pub refs: Vec<String>,
    /// The digest of its manifest.
    pub digest: Digest,
    /// The manifest's media type.
    pub media_type: MediaType,
    /// What it runs on.
    #[serde(serialize_with = "json::text")]
    pub platform: Platform,
    /// When it was made, as the configuration has it: RFC 3339, perhaps with an offset and a fraction of a second.
    pub created: Option<String>,
    /// Who made it.
    pub author: Option<String>,
    /// How it runs.
    pub config: ContainerConfig,
    /// The manifest's annotations.
    pub annotations: Annotations,
    /// The layers, base first.
    pub layers: Vec<LayerInspection>,
    /// How it was made.
    pub history: Vec<History>,
    /// Bytes of all blobs: manifest, config and layers.
    pub size: u64,
    /// What is attached to its manifest, or to an index that lists it.
    pub attached: Vec<Attached>,
    /// The entries of all layers, base first, each layer's in the order of its tar; if they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<Vec<LayerEntry>>,
    /// The largest files and directories, if they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub largest: Option<Vec<Usage>>,
}

/// An entry of a layer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LayerEntry {
    /// The number of the layer, the base's being 1.
    pub layer: usize,
    /// The entry.
    pub entry: Entry,
}

impl Serialize for LayerEntry {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let Entry { path, metadata, kind } = &self.entry;
        let xattrs: Vec<_> = metadata.xattrs.keys().map(|name| shown(name)).collect();
        let mut object = serializer.serialize_struct("LayerEntry", 13)?;
        object.serialize_field("layer", &self.layer)?;
        let (text, raw) = members(&[b"/", path.as_bytes()].concat());
        object.serialize_field("path", &text)?;
        match raw {
            Some(raw) => object.serialize_field("path_base64", &raw)?,
            None => object.skip_field("path_base64")?,
        }
        object.serialize_field("type", kind.name())?;
        object.serialize_field("mode", &format!("{:04o}", metadata.mode))?;
        object.serialize_field("uid", &metadata.uid)?;
        object.serialize_field("gid", &metadata.gid)?;
        object.serialize_field("size", &self.entry.size())?;
        object.serialize_field("mtime", &metadata.mtime.seconds())?;
        match metadata.mtime.nanoseconds() {
            0 => object.skip_field("mtime_nanoseconds")?,
            nanoseconds => object.serialize_field("mtime_nanoseconds", &nanoseconds)?,
        }
        let (target, raw) = kind.target().map(|target| members(&target)).unzip();
        object.serialize_field("target", &target)?;
        match raw.flatten() {
            Some(raw) => object.serialize_field("target_base64", &raw)?,
            None => object.skip_field("target_base64")?,
        }
        object.serialize_field("xattrs", &xattrs)?;
        object.end()
    }
}

/// An artifact that is attached.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Attached {
    /// The digest of its manifest.
    pub digest: Digest,
    /// The digest of what it is attached to.
    pub subject: Digest,
    /// What kind of artifact it is.
    pub artifact_type: Option<String>,
    /// The manifest's annotations.
    pub annotations: Annotations,
    /// What it consists of.
    pub files: Vec<AttachedContent>,
}

/// A file that is attached.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct AttachedContent {
    /// The digest of its blob.
    pub digest: Digest,
    /// What it holds.
    pub media_type: MediaType,
    /// Its bytes.
    pub size: u64,
    /// The name that it had.
    pub title: Option<String>,
}

/// A layer as the documents describe it.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct LayerInspection {
    /// The digest of its blob.
    pub digest: Digest,
    /// The digest of its tar; missing where the config lists fewer than there are layers.
    pub diff_id: Option<Digest>,
    /// Its media type.
    pub media_type: MediaType,
    /// `none`, `gzip`, `zstd`, or `unknown`.
    pub compression: &'static str,
    /// The blob's bytes.
    pub size: u64,
    /// By what it was made, if the history tells.
    pub created_by: Option<String>,
}

/// Describes the one image that the location means.
pub fn inspect(location: &Location, options: &InspectOptions, work: &Work<'_>) -> Result<InspectReport> {
    let layout = Layout::open(location)?;
    let (image, mut report) = layout.by_one_index(|| {
        let image = layout.image_now(options.platform.as_ref())?;
        let report = describe(&layout, &image)?;
        Ok((image, report))
    })?;
    if options.files == Files::Listed {
        report.files = Some(files(&layout, &image, work)?);
    }
    report.largest = options.largest.map(|count| largest(&layout, &image, count, work)).transpose()?;
    Ok(report)
}

fn describe(layout: &Layout, image: &Image) -> Result<InspectReport> {
    let manifest = image.manifest.value();
    let config = image.config.value();
    let digest = &image.path.descriptor().digest;
    let history = config.history.clone().unwrap_or_default();
    let mut steps = history.iter().filter(|step| !step.is_empty_layer());
    let layers: Vec<LayerInspection> = manifest
        .layers
        .iter()
        .enumerate()
        .map(|(i, layer)| LayerInspection {
            digest: layer.digest.clone(),
            diff_id: config.rootfs.diff_ids.get(i).cloned(),
            media_type: layer.media_type.clone(),
            compression: compression(&layer.media_type),
            size: layer.size,
            created_by: steps.next().and_then(|step| step.created_by.clone()),
        })
        .collect();
    Ok(InspectReport {
        image: layout.location().to_string(),
        refs: refs(layout, image.path.entry())?,
        digest: digest.clone(),
        media_type: image.path.descriptor().media_type.clone(),
        platform: config.platform(),
        created: config.created.clone(),
        author: config.author.clone(),
        config: config.config.clone().unwrap_or_default(),
        annotations: manifest.annotations.clone().unwrap_or_default(),
        size: image.path.descriptor().size + manifest.config.size + layers.iter().map(|layer| layer.size).sum::<u64>(),
        layers,
        history,
        attached: attached_to(layout, &image.path)?,
        files: None,
        largest: None,
    })
}

/// The names by which the layout lists what an entry leads to.
fn refs(layout: &Layout, entry: &Descriptor) -> Result<Vec<String>> {
    let index = layout.index()?;
    let entries = index.value().manifests.iter().filter(|other| other.digest == entry.digest);
    Ok(entries.filter_map(|entry| entry.ref_name().map(str::to_owned)).collect())
}

/// What is attached to the descriptors of a path.
fn attached_to(layout: &Layout, path: &DescriptorPath) -> Result<Vec<Attached>> {
    let referrers = layout.referrers()?.into_iter().filter(|referrer| path.leads_through(&referrer.subject));
    let content = |file: AttachedFile| AttachedContent {
        digest: file.descriptor.digest,
        media_type: file.descriptor.media_type,
        size: file.descriptor.size,
        title: file.title,
    };
    let attached = |referrer: Referrer| Attached {
        digest: referrer.descriptor.digest,
        subject: referrer.subject,
        artifact_type: referrer.artifact_type,
        annotations: referrer.annotations,
        files: referrer.files.into_iter().map(content).collect(),
    };
    Ok(referrers.map(attached).collect())
}

/// A document that leads to an image, or describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageDocument {
    /// `index.json` of the layout.
    Index,
    /// The image's manifest.
    Manifest,
    /// The image's configuration.
    Config,
}

/// The bytes of a document as they are stored.
pub fn document(location: &Location, which: ImageDocument, options: &InspectOptions) -> Result<Vec<u8>> {
    let layout = Layout::open(location)?;
    if which == ImageDocument::Index {
        return Ok(layout.index()?.raw().to_vec());
    }
    let image = layout.image(options.platform.as_ref())?;
    Ok(match which {
        ImageDocument::Config => image.config.raw().to_vec(),
        _ => image.manifest.raw().to_vec(),
    })
}

/// Copies to `out` the one file of what is attached to what the location means, or to the image for a platform and the
/// indexes that list it; `wanted` is the digest of the artifact or of the file, or the type of either.
///
/// # Errors
///
/// An error of `out` is as it was; one of this library is carried by an I/O error.
pub fn copy_attached(
    location: &Location,
    wanted: &str,
    options: &InspectOptions,
    work: &Work<'_>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let layout = Layout::open(location)?;
    let file = layout.by_one_index(|| attached_file(&layout, options.platform.as_ref(), wanted))?;
    let mut content = Watched { inner: layout.blob(&file)?, observer: work.observer };
    io::copy(&mut content, out).map(drop)
}

fn attached_file(layout: &Layout, platform: Option<&PlatformPattern>, wanted: &str) -> Result<Descriptor> {
    let subjects = match (layout.image_now(platform), platform) {
        (Ok(image), _) => image.path,
        // Of an image for several platforms, all that is meant without one is its index.
        (Err(_), None) => DescriptorPath::from(layout.entry()?),
        (Err(error), Some(_)) => return Err(error),
    };
    let mut found = Vec::new();
    let mut there_is = Vec::new();
    for referrer in layout.referrers()?.into_iter().filter(|referrer| subjects.leads_through(&referrer.subject)) {
        let kind = referrer.artifact_type.unwrap_or_default();
        let is_wanted = kind == wanted || referrer.descriptor.digest.as_str() == wanted;
        for AttachedFile { descriptor, .. } in referrer.files {
            there_is.push(format!("{kind} {}", descriptor.digest));
            let is_wanted =
                is_wanted || descriptor.media_type.as_str() == wanted || descriptor.digest.as_str() == wanted;
            if is_wanted && !found.iter().any(|known: &Descriptor| known.digest == descriptor.digest) {
                found.push(descriptor);
            }
        }
    }
    match found.len() {
        1 => Ok(found.remove(0)),
        count => {
            let (location, wanted) = (layout.location(), wanted.escape_debug());
            let message =
                format!("image `{location}`: one file that is attached as `{wanted}` is wanted, found {count}");
            Err(if there_is.is_empty() {
                Error::refused_with_hint(message, "nothing is attached: `ocibake attach` does it")
            } else {
                Error::refused_with_hint(message, format!("give a type or a digest: there is {}", there_is.join(", ")))
            })
        }
    }
}

fn compression(media_type: &MediaType) -> &'static str {
    match media_type.kind() {
        MediaKind::Layer(LayerEncoding::Plain) => "none",
        MediaKind::Layer(LayerEncoding::Gzip) => "gzip",
        MediaKind::Layer(LayerEncoding::Zstd) => "zstd",
        _ => "unknown",
    }
}

/// The entries of all layers, whose blobs are checked against their descriptors.
fn files(layout: &Layout, image: &Image, work: &Work<'_>) -> Result<Vec<LayerEntry>> {
    let place = &layout.location().path;
    let layers = &image.manifest.value().layers;
    work.observer.expect(layers.iter().map(|layer| layer.size).sum());
    let mut files = Vec::new();
    for (number, layer) in layers.iter().enumerate() {
        let blob = Watched { inner: layout.blob(layer)?, observer: work.observer };
        let mut decoder = Decoder::new(blob).at("read a layer of", place)?;
        let mut reader = tar::Reader::new(&mut decoder, format!("layer {}", layer.digest.short()));
        while let Some(member) = reader.next_member()? {
            work.observer.check()?;
            files.push(LayerEntry { layer: number + 1, entry: member.entry? });
        }
        reader.finish()?;
        decoder.finish().at("read a layer of", place)?;
    }
    Ok(files)
}

/// How much a file or directory holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Usage {
    /// Its path.
    #[serde(flatten, serialize_with = "path_members")]
    pub path: TarPath,
    /// Bytes of content at and below it.
    pub size: u64,
    /// Whether it is a directory.
    pub directory: bool,
}

/// The `count` largest files and directories of the image's filesystem, largest first. What upper layers remove or
/// replace does not count, and a file counts under the first of its names.
fn largest(layout: &Layout, image: &Image, count: usize, work: &Work<'_>) -> Result<Vec<Usage>> {
    let mut layers = ImageLayers::default();
    layers.push(read_layers(layout, image, usize::MAX, &Wanted::Entries, work)?)?;
    let tree = layers.into_tree().folded.tree;
    let mut sizes: BTreeMap<TarPath, u64> = BTreeMap::new();
    for entry in tree.iter().filter(|entry| entry.size() > 0) {
        for path in std::iter::successors(Some(entry.path.clone()), TarPath::parent) {
            *sizes.entry(path).or_default() += entry.size();
        }
    }
    let usage = |(path, size): (TarPath, u64)| Usage {
        directory: tree.get(&path).is_some_and(|entry| entry.kind == Kind::Directory),
        path,
        size,
    };
    let mut all: Vec<Usage> = sizes.into_iter().map(usage).collect();
    all.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.path.cmp(&b.path)));
    all.truncate(count);
    Ok(all)
}
