//! Plans a docker archive from a layout: its files, in order.
//!
//! Lists come first, for readers that make one pass. Each layer is stored once, however many images use it; where the
//! older format needs it again, there is a link.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::rc::Rc;

use crate::compress::Decoder;
use crate::digest::{Digest, HashWriter};
use crate::error::{Error, ErrorKind, IoContext, Result};
use crate::layout::docker::v1::{self, V1Layer};
use crate::layout::docker::{v1_layer_path, DockerForm, Item, Repositories, MANIFEST, REPOSITORIES};
use crate::layout::names::is_full;
use crate::layout::pack::{FileContent, Packed};
use crate::layout::{blob_path, full_name, is_artifact, size_limit, DockerName, Image, Layout, INDEX, MARKER};
use crate::limits::Limits;
use crate::media_type::{LayerEncoding, MediaKind};
use crate::oci::annotations::{CONTAINERD_NAME, REF_NAME};
use crate::oci::{Annotations, Descriptor, Document, Index, LayoutMarker, RefName};

/// A file of the archive and where its content comes from.
#[derive(Debug)]
pub(in crate::layout) struct Planned {
    name: String,
    source: FileSource,
}

#[derive(Debug)]
enum FileSource {
    Made(Vec<u8>),
    /// A blob of the layout, unchanged.
    Blob(Digest),
    /// The uncompressed tar of a layer.
    Tar(StoredLayer),
    Link(String),
}

/// A layer of an image.
#[derive(Clone, Debug)]
struct StoredLayer {
    /// The digest of the blob.
    digest: Digest,
    encoding: LayerEncoding,
    diff_id: Digest,
}

/// An image as Docker's lists need it.
struct Listed {
    config: Vec<u8>,
    /// The digest of the config in the layout.
    config_digest: Digest,
    layers: Vec<StoredLayer>,
    v1: Vec<V1Layer>,
    names: Vec<DockerName>,
}

/// Plans an archive of the images that `descriptors`, which act as an index, lead to in `layout`.
///
/// Docker's lists know no platforms: the name of a multi-platform image goes to its first image only.
pub(in crate::layout) fn plan(
    layout: &Layout,
    descriptors: &[Descriptor],
    blobs: impl Iterator<Item = Digest>,
    form: DockerForm,
) -> Result<Vec<Planned>> {
    let all = read(layout, descriptors)?;
    let images = list(layout, &all)?;
    if images.is_empty() {
        return Err(
            Error::refused("a docker archive holds images, and there is none for it").of_kind(ErrorKind::NotFound)
        );
    }
    match form {
        DockerForm::Dual => Ok(dual(with_ref_names(all), &images, blobs)),
        DockerForm::LegacyOnly => Ok(legacy_only(&images)),
    }
}

impl Planned {
    fn made(name: impl Into<String>, bytes: Vec<u8>) -> Self {
        Planned { name: name.into(), source: FileSource::Made(bytes) }
    }

    fn sealed<T: serde::Serialize>(name: &str, value: T) -> Self {
        Planned::made(name, Document::seal(value).raw().to_vec())
    }

    /// Returns the name and the size of a document that is too large to be read again.
    pub(in crate::layout) fn beyond_limit(&self, limits: Limits) -> Option<(&str, u64)> {
        let FileSource::Made(bytes) = &self.source else { return None };
        let size = bytes.len() as u64;
        (size > size_limit(&self.name, limits)).then_some((&self.name, size))
    }

    /// Opens the file. A layer is first decompressed into a file from `scratch`, since a tar header needs its size.
    pub(in crate::layout) fn open(self, layout: &Layout, scratch: impl Fn() -> Result<File>) -> Result<Packed> {
        let on_disk = |digest: &Digest| layout.blob_on_disk(digest).expect("the layout is a directory");
        let target = &layout.location().path;
        let content = match self.source {
            FileSource::Made(bytes) => FileContent::Bytes(bytes),
            FileSource::Link(target) => FileContent::Symlink(target),
            FileSource::Blob(digest) => FileContent::open(&on_disk(&digest), target)?,
            FileSource::Tar(layer) => {
                let path = on_disk(&layer.digest);
                if layer.encoding == LayerEncoding::Plain && layer.digest == layer.diff_id {
                    FileContent::open(&path, target)?
                } else {
                    let blob = File::open(&path).at("open what is staged for", target)?;
                    FileContent::File(
                        layer
                            .decompress(blob, scratch()?, layout.limits())
                            .at("decompress what is staged for", target)?,
                        target.clone(),
                    )
                }
            }
        };
        Ok(Packed { name: self.name, content })
    }
}

impl StoredLayer {
    fn new(layout: &Layout, descriptor: &Descriptor, diff_id: &Digest) -> Result<Self> {
        let subject = || format!("layer {}", descriptor.digest.short());
        let MediaKind::Layer(encoding) = descriptor.media_type.kind() else {
            let found = descriptor.media_type.as_str().escape_debug();
            return Err(Error::malformed(subject(), format!("a tar expected, as Docker has it, found `{found}`")));
        };
        if !layout.holds(&descriptor.digest)? {
            return Err(Error::malformed(subject(), "its blob is missing"));
        }
        Ok(StoredLayer { digest: descriptor.digest.clone(), encoding, diff_id: diff_id.clone() })
    }

    /// Decompresses the tar into `file` and rewinds it.
    fn decompress(&self, blob: File, file: File, limits: Limits) -> io::Result<File> {
        let subject = || format!("layer {}", self.digest.short());
        let algorithm = self.diff_id.algorithm().ok_or_else(|| {
            Error::malformed(subject(), format!("the diff_id {} cannot be computed here", self.diff_id))
        })?;
        let mut decoder = Decoder::new(blob, limits)?;
        let mut writer = HashWriter::of(algorithm, io::BufWriter::with_capacity(1 << 18, file));
        io::copy(&mut decoder, &mut writer)?;
        let (writer, found, _) = writer.finish();
        if found != self.diff_id {
            let (expected, found) = (self.diff_id.to_string(), found.to_string());
            return Err(Error::Mismatch { subject: subject(), what: "diff_id", expected, found }.into());
        }
        let mut file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
        io::Seek::rewind(&mut file)?;
        Ok(file)
    }
}

impl Listed {
    /// Reads an image, without names yet. Fails if a layer is missing or is not a tar.
    fn new(layout: &Layout, image: &Image) -> Result<Self> {
        let diff_ids = &image.config.value().rootfs.diff_ids;
        let descriptors = &image.manifest.value().layers;
        let digest = &image.path.descriptor().digest;
        image.config.value().check_layers(descriptors.len(), || format!("image {}", digest.short()))?;
        let layers = descriptors.iter().zip(diff_ids);
        let config = image.config.raw().to_vec();
        Ok(Listed {
            v1: v1::layers(diff_ids, &config)?,
            config,
            config_digest: image.manifest.value().config.digest.clone(),
            layers: layers.map(|(layer, diff_id)| StoredLayer::new(layout, layer, diff_id)).collect::<Result<_>>()?,
            names: Vec::new(),
        })
    }
}

/// What a descriptor leads to, and its name in Docker.
struct Named {
    descriptor: Descriptor,
    name: Option<DockerName>,
    /// Shared by all names of one image.
    images: Rc<Vec<Image>>,
}

/// Reads what the descriptors lead to. If a name of one image occurs several times, the last descriptor keeps it.
///
/// # Errors
///
/// Several images have one name: Docker would keep only the last.
fn read(layout: &Layout, descriptors: &[Descriptor]) -> Result<Vec<Named>> {
    let mut all = Vec::<Named>::new();
    let mut last = BTreeMap::new();
    let mut known = BTreeMap::<_, Rc<Vec<Image>>>::new();
    for descriptor in descriptors {
        let images = match known.entry((&descriptor.digest, is_artifact(descriptor))) {
            Entry::Occupied(images) => Rc::clone(images.get()),
            Entry::Vacant(place) => Rc::clone(place.insert(Rc::new(layout.images([descriptor.clone()])?))),
        };
        let name = if images.is_empty() { None } else { docker_name(descriptor) };
        // Entries without a name are told apart by their descriptors.
        let key = name.as_ref().map(DockerName::whole).ok_or_else(|| Document::seal(descriptor).raw().to_vec());
        let before = last.insert(key.clone(), all.len()).map(|place| &all[place].descriptor.digest);
        if let (Ok(name), Some(first)) = (key, before.filter(|before| **before != descriptor.digest)) {
            let second = &descriptor.digest;
            return Err(Error::refused(format!(
                "a docker archive has one image of a name, and `{name}` is that of {first} and {second}"
            ))
            .of_kind(ErrorKind::Unsupported));
        }
        all.push(Named { descriptor: descriptor.clone(), name, images });
    }
    let last: BTreeSet<usize> = last.into_values().collect();
    let all = all.into_iter().enumerate().filter(|(place, _)| last.contains(place));
    Ok(all.map(|(_, named)| named).collect())
}

/// The images for the lists, each once.
fn list(layout: &Layout, all: &[Named]) -> Result<Vec<Listed>> {
    let mut listed = Vec::<Listed>::new();
    let mut places = BTreeMap::new();
    for named in all {
        for (number, image) in named.images.iter().enumerate() {
            // Docker identifies an image by its config, however the layers are stored.
            let digest = &image.manifest.value().config.digest;
            let place = *places.entry(digest).or_insert(listed.len());
            if place == listed.len() {
                listed.push(Listed::new(layout, image)?);
            }
            if number == 0 {
                listed[place].names.extend(named.name.clone());
            }
        }
    }
    Ok(listed)
}

/// The name from containerd's annotation, or else a ref name that is more than a tag. If both give the same name, the
/// spelling of the ref name is used.
fn docker_name(descriptor: &Descriptor) -> Option<DockerName> {
    let parse = |name: &str| name.parse::<DockerName>().ok();
    let of_containerd = full_name(descriptor).and_then(parse);
    let of_ref_name = descriptor.ref_name().filter(|name| is_full(name)).and_then(parse);
    match (of_containerd, of_ref_name) {
        (Some(name), Some(given)) if name.whole() == given.whole() => Some(given),
        (Some(name), _) => Some(name.short()),
        (None, given) => given,
    }
}

/// Sets ref names as Docker does: the tag, if only one image has it; else name and tag.
fn with_ref_names(all: Vec<Named>) -> Vec<Descriptor> {
    let mut meant = BTreeMap::<String, BTreeSet<Digest>>::new();
    for Named { descriptor, name, .. } in &all {
        if let Some(name) = name {
            meant.entry(name.tag_text().to_owned()).or_default().insert(descriptor.digest.clone());
        }
    }
    // A descriptor without a Docker name keeps its ref name.
    all.iter().filter(|named| named.name.is_none()).filter_map(|named| named.descriptor.ref_name()).for_each(|taken| {
        meant.remove(taken);
    });
    let give = |Named { mut descriptor, name, .. }| {
        let Some(name) = name else { return descriptor };
        // Of several names of one image, only the first gets the plain tag.
        let is_clear = meant.remove(name.tag_text()).is_some_and(|images| images.len() == 1);
        let ref_name = if is_clear { name.tag_text().to_owned() } else { name.to_string() };
        let annotations = descriptor.annotations.get_or_insert_with(Annotations::new);
        annotations.insert(CONTAINERD_NAME.to_owned(), name.whole());
        // Docker's grammar has names that are not valid ref names.
        match ref_name.parse::<RefName>() {
            Ok(ref_name) => annotations.insert(REF_NAME.to_owned(), ref_name.to_string()),
            Err(_) => annotations.remove(REF_NAME),
        };
        descriptor
    };
    all.into_iter().map(give).collect()
}

fn dual(manifests: Vec<Descriptor>, images: &[Listed], blobs: impl Iterator<Item = Digest>) -> Vec<Planned> {
    let index = Index { manifests, ..Index::default() };
    let mut files = vec![Planned::sealed(MARKER, LayoutMarker::default()), Planned::sealed(INDEX, index)];
    let layer_path = |layer: &StoredLayer| blob_path(&layer.digest);
    files.extend(lists(images, |image| blob_path(&image.config_digest), layer_path));
    files.extend(blobs.map(|digest| Planned { name: blob_path(&digest), source: FileSource::Blob(digest) }));
    files.extend(v1_files(images, |_, layer| FileSource::Link(format!("../{}", layer_path(layer)))));
    files
}

fn legacy_only(images: &[Listed]) -> Vec<Planned> {
    // By diff_id: the first path of a layer, which holds the content.
    let mut places = BTreeMap::<&Digest, String>::new();
    for image in images {
        for (layer, v1) in image.layers.iter().zip(&image.v1) {
            places.entry(&layer.diff_id).or_insert_with(|| v1_layer_path(&v1.id));
        }
    }
    let config_path = |image: &Listed| format!("{}.json", Digest::of(&image.config).encoded());
    let mut files = lists(images, config_path, |layer| places[&layer.diff_id].clone());
    files.extend(images.iter().map(|image| Planned::made(config_path(image), image.config.clone())));
    files.extend(v1_files(images, |path, layer| {
        let place = &places[&layer.diff_id];
        if place == path {
            FileSource::Tar(layer.clone())
        } else {
            FileSource::Link(format!("../{place}"))
        }
    }));
    files
}

/// `manifest.json`, and `repositories` if any image has both a name and a layer.
fn lists(
    images: &[Listed],
    config_path: impl Fn(&Listed) -> String,
    layer_path: impl Fn(&StoredLayer) -> String,
) -> Vec<Planned> {
    let item = |image: &Listed| Item {
        config: config_path(image),
        repo_tags: (!image.names.is_empty()).then(|| image.names.iter().map(DockerName::to_string).collect()),
        layers: Some(image.layers.iter().map(&layer_path).collect()),
    };
    let mut repositories = Repositories::default();
    for image in images {
        let Some(top) = image.v1.last() else { continue };
        for name in &image.names {
            let tags = repositories.0.entry(name.repository().to_owned()).or_default();
            tags.insert(name.tag_text().to_owned(), top.id.clone());
        }
    }
    let mut files = vec![Planned::sealed(MANIFEST, images.iter().map(item).collect::<Vec<_>>())];
    if !repositories.0.is_empty() {
        files.push(Planned::sealed(REPOSITORIES, repositories));
    }
    files
}

/// The layers in the older format. `tar` returns the source of the tar at a path.
fn v1_files(images: &[Listed], tar: impl Fn(&str, &StoredLayer) -> FileSource) -> Vec<Planned> {
    let mut files = Vec::new();
    let mut seen = BTreeSet::new();
    for image in images {
        for (v1, layer) in image.v1.iter().zip(&image.layers) {
            if !seen.insert(&v1.id) {
                continue;
            }
            let path = v1_layer_path(&v1.id);
            files.push(Planned::made(format!("{}/VERSION", v1.id), v1::VERSION.into()));
            files.push(Planned::made(format!("{}/json", v1.id), v1.document.clone()));
            files.push(Planned { source: tar(&path, layer), name: path });
        }
    }
    files
}
