use crate::error::{Error, Result};
use crate::layout::Layout;
use crate::media_type::MediaKind;
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
        let mut paths = Vec::new();
        for descriptor in &index.value().manifests {
            if wanted.map_or(true, |name| descriptor.ref_name() == Some(name.as_str())) {
                self.collect(vec![descriptor.clone()], &mut paths)?;
            }
        }
        match wanted {
            Some(name) if paths.is_empty() => Err(self.unknown_ref_name(name, &names(index.value()))),
            _ => Ok(paths),
        }
    }

    /// That no descriptor has the location's ref name; `names` are those that there are.
    pub(crate) fn unknown_ref_name(&self, wanted: &RefName, names: &[String]) -> Error {
        let names: Vec<String> = names.iter().map(|name| format!("`{}`", name.escape_debug())).collect();
        Error::refused_with_hint(
            format!("image `{}`: no image of this name is in the layout", self.location()),
            if names.is_empty() {
                format!("none has a name: leave `:{wanted}` out")
            } else {
                format!("there is {}", names.join(", "))
            },
        )
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
        let mut images = Vec::<Image>::new();
        for path in self.image_paths()? {
            // Several names of one image are one image; an artifact is none.
            let known = images.iter().any(|image| image.path.manifest().digest == path.manifest().digest);
            if !known && path.manifest().artifact_type.is_none() && !is_attestation(path.manifest()) {
                images.push(self.read(path)?);
            }
        }
        if let Some(platform) = platform {
            images.retain(|image| matches(&image.config.value().platform(), platform));
        }
        match images.len() {
            1 => Ok(images.remove(0)),
            0 => Err(Error::refused(match platform {
                Some(platform) => format!("image `{}`: no image for platform `{platform}`", self.location()),
                None => format!("image `{}`: the layout holds no image", self.location()),
            })),
            _ => {
                let choices: Vec<String> = images
                    .iter()
                    .map(|image| {
                        let name = image.path.entry().ref_name().unwrap_or("(no name)");
                        format!("{name} {}", image.config.value().platform())
                    })
                    .collect();
                Err(Error::refused_with_hint(
                    format!("image `{}`: one image is wanted, found {}", self.location(), images.len()),
                    format!("name one, or choose with --platform: {}", choices.join(", ")),
                ))
            }
        }
    }

    fn read(&self, path: ImagePath) -> Result<Image> {
        let manifest: Document<Manifest> = self.document(path.manifest())?;
        let config = self.document(&manifest.value().config)?;
        Ok(Image { path, manifest, config })
    }
}

/// Whether an image is for a platform; a platform without a variant takes any.
fn matches(platform: &Platform, wanted: &str) -> bool {
    let full = platform.to_string();
    full == wanted || format!("{}/{}", platform.os, platform.architecture) == wanted
}

/// BuildKit's attestations stand in indexes as images for `unknown/unknown`.
fn is_attestation(descriptor: &Descriptor) -> bool {
    descriptor.platform.as_ref().is_some_and(|platform| platform.os == "unknown")
}

fn names(index: &Index) -> Vec<String> {
    index.manifests.iter().filter_map(Descriptor::ref_name).map(str::to_owned).collect()
}
