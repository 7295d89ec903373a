use crate::error::{Error, Result};
use crate::layout::docker_name::whole_name;
use crate::layout::Layout;
use crate::media_type::{MediaKind, MediaType};
use crate::oci::annotations::CONTAINERD_NAME;
use crate::oci::{Descriptor, Document, ImageConfig, Index, Manifest, RefName};
use crate::platform::Platform;

/// The descriptors that lead from `index.json` to a manifest, through nested indexes if there are any. Never empty.
#[derive(Clone, Debug, PartialEq)]
pub struct ImagePath(Vec<Descriptor>);

impl ImagePath {
    /// The manifest's own descriptor.
    pub fn manifest(&self) -> &Descriptor {
        self.0.last().expect("a path has a descriptor")
    }

    /// The entry of `index.json` that it starts from.
    pub fn entry(&self) -> &Descriptor {
        self.0.first().expect("a path has a descriptor")
    }
}

/// An image's documents.
#[derive(Debug)]
pub struct Image {
    /// How it was found.
    pub path: ImagePath,
    /// Its manifest.
    pub manifest: Document<Manifest>,
    /// Its configuration.
    pub config: Document<ImageConfig>,
}

/// How deep indexes may be nested. Nobody goes beyond two.
const MAX_DEPTH: usize = 8;

impl Layout {
    /// All manifests below the location's ref name, or all that the layout holds if the location has none.
    pub fn image_paths(&self) -> Result<Vec<ImagePath>> {
        let wanted = self.location().ref_name.as_ref();
        let index = self.index()?;
        let descriptors = match wanted {
            Some(name) => called(index.value(), name),
            None => index.value().manifests.iter().collect(),
        };
        let mut paths = Vec::new();
        for descriptor in &descriptors {
            self.collect(vec![(*descriptor).clone()], &mut paths)?;
        }
        if let (true, Some(name)) = (descriptors.is_empty(), wanted) {
            return Err(Error::refused_with_hint(
                format!("image `{}`: no image of this name is in the layout", self.location()),
                match names(index.value()) {
                    names if names.is_empty() => format!("none has a name: leave `:{name}` out"),
                    names => format!("there is {}", names.join(", ")),
                },
            ));
        }
        Ok(paths)
    }

    fn collect(&self, path: Vec<Descriptor>, paths: &mut Vec<ImagePath>) -> Result<()> {
        let last = path.last().expect("a path has a descriptor");
        match last.media_type.kind() {
            MediaKind::Manifest => paths.push(ImagePath(path)),
            MediaKind::Index if path.len() < MAX_DEPTH => {
                let index: Document<Index> = self.document(last)?;
                for descriptor in &index.value().manifests {
                    let mut path = path.clone();
                    path.push(descriptor.clone());
                    self.collect(path, paths)?;
                }
            }
            MediaKind::Index => {
                let reason = format!("indexes are nested deeper than {MAX_DEPTH}");
                return Err(Error::malformed(self.location().to_string(), reason));
            }
            // An unknown media type must be skipped (image-spec, image-index.md, `mediaType` of `manifests`).
            _ => {}
        }
        Ok(())
    }

    /// The one image that the location means. Where there is a choice, `platform` (`os/architecture[/variant]`) makes
    /// it; the error lists what there is.
    pub fn image(&self, platform: Option<&str>) -> Result<Image> {
        let mut images = self.images()?;
        let choices: Vec<String> = images.iter().map(describe).collect();
        if let Some(platform) = platform {
            images.retain(|image| image.is_for(platform));
        }
        match (images.len(), platform) {
            (1, _) => Ok(images.remove(0)),
            (0, Some(platform)) if !choices.is_empty() => Err(Error::refused_with_hint(
                format!("image `{}`: no image for platform `{platform}`", self.location()),
                format!("there is {}", choices.join(", ")),
            )),
            (0, _) => Err(Error::refused(format!("image `{}`: the layout holds no image", self.location()))),
            (count, _) => Err(Error::refused_with_hint(
                format!("image `{}`: one image is wanted, found {count}", self.location()),
                format!(
                    "name one, or choose with --platform: {}",
                    images.iter().map(describe).collect::<Vec<_>>().join(", ")
                ),
            )),
        }
    }

    /// All images below the location's ref name, or of the layout. Several names of one image are one image, and
    /// artifacts are none.
    fn images(&self) -> Result<Vec<Image>> {
        let mut images = Vec::<Image>::new();
        let mut missing = None;
        for path in self.image_paths()? {
            let descriptor = path.manifest();
            let is_known = images.iter().any(|image| image.path.manifest().digest == descriptor.digest);
            if is_known || is_artifact(descriptor) {
                continue;
            }
            // Of an image for several platforms, people often copy only those that they use.
            if self.stored_blob(&descriptor.digest)?.is_none() {
                missing = missing.or(Some(path));
                continue;
            }
            images.extend(self.read(path)?);
        }
        match missing {
            Some(path) if images.is_empty() => self.read(path).map(|_| images),
            _ => Ok(images),
        }
    }

    /// The documents of an image; nothing, if it is an artifact.
    fn read(&self, path: ImagePath) -> Result<Option<Image>> {
        let manifest: Document<Manifest> = self.document(path.manifest())?;
        if manifest.value().config.media_type.kind() != MediaKind::Config {
            return Ok(None);
        }
        let config = self.document(&manifest.value().config)?;
        Ok(Some(Image { path, manifest, config }))
    }
}

impl Image {
    /// Whether it is for a platform, going by its config or by the index; a platform without a variant takes any.
    fn is_for(&self, wanted: &str) -> bool {
        let is = |platform: &Platform| {
            platform.to_string() == wanted || format!("{}/{}", platform.os, platform.architecture) == wanted
        };
        is(&self.config.value().platform()) || self.path.manifest().platform.as_ref().is_some_and(is)
    }
}

/// Name and platform of an image, for people.
fn describe(image: &Image) -> String {
    let name = name(image.path.entry()).unwrap_or("(no name)");
    format!("{name} {}", image.config.value().platform())
}

/// The descriptors with a ref name; if there is none, those which Docker would find by that name.
fn called<'a>(index: &'a Index, name: &RefName) -> Vec<&'a Descriptor> {
    let descriptors = index.manifests.iter();
    let found: Vec<_> = descriptors.clone().filter(|descriptor| descriptor.ref_name() == Some(name.as_str())).collect();
    if !found.is_empty() {
        return found;
    }
    let whole = whole_name(name.as_str());
    let is_called =
        |descriptor: &&Descriptor| descriptor.annotation(CONTAINERD_NAME).map(whole_name).as_ref() == Some(&whole);
    descriptors.filter(is_called).collect()
}

/// The name that tells most: containerd's holds the repository too.
fn name(descriptor: &Descriptor) -> Option<&str> {
    descriptor.annotation(CONTAINERD_NAME).or(descriptor.ref_name())
}

fn names(index: &Index) -> Vec<String> {
    index.manifests.iter().filter_map(name).map(|name| format!("`{name}`")).collect()
}

/// Whether an index says of a manifest that it is no image. `BuildKit`'s attestations stand there as images for
/// `unknown/unknown`.
fn is_artifact(descriptor: &Descriptor) -> bool {
    let artifact_type = descriptor.artifact_type.clone().map(|text| MediaType::from(text).kind());
    artifact_type.is_some_and(|kind| kind != MediaKind::Config)
        || descriptor.platform.as_ref().is_some_and(|platform| platform.os == "unknown")
}
