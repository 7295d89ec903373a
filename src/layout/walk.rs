use std::collections::BTreeSet;

use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::layout::graph::{choose, list, Choice};
use crate::layout::names::whole_name;
use crate::layout::referrers::is_referrers_tag;
use crate::layout::{ImageName, Layout};
use crate::media_type::{MediaKind, MediaType};
use crate::oci::annotations::{CONTAINERD_NAME, REF_NAME};
use crate::oci::{Descriptor, Document, ImageConfig, Index, Manifest};
use crate::platform::PlatformPattern;

/// The descriptors that lead from `index.json` to a manifest, through nested indexes if there are any. Never empty.
#[derive(Clone, Debug, PartialEq)]
pub struct ImagePath(Vec<Descriptor>);

impl ImagePath {
    /// The manifest's own descriptor.
    pub fn manifest(&self) -> &Descriptor {
        self.0.last().expect("a path has a descriptor")
    }

    /// Whether a descriptor of it has this digest.
    pub fn leads_through(&self, digest: &Digest) -> bool {
        self.0.iter().any(|descriptor| descriptor.digest == *digest)
    }

    /// The index that lists the manifest; none if that is `index.json`.
    pub fn index(&self) -> Option<&Descriptor> {
        self.0.iter().rev().nth(1)
    }

    /// The entry of `index.json` that it starts from.
    pub fn entry(&self) -> &Descriptor {
        self.0.first().expect("a path has a descriptor")
    }
}

/// A path of one descriptor.
impl From<Descriptor> for ImagePath {
    fn from(descriptor: Descriptor) -> Self {
        ImagePath(vec![descriptor])
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
pub(crate) const MAX_DEPTH: usize = 8;

impl Layout {
    /// All manifests below the location's name, or all that the layout holds if the location has none.
    pub fn image_paths(&self) -> Result<Vec<ImagePath>> {
        let wanted = self.location().name.as_ref();
        let index = self.index()?;
        let descriptors = match wanted {
            Some(name) => called(&index.value().manifests, name, Descriptor::annotation),
            None => index.value().manifests.iter().collect(),
        };
        let mut paths = Vec::new();
        for descriptor in &descriptors {
            self.collect(vec![(*descriptor).clone()], &mut BTreeSet::new(), &mut paths)?;
        }
        match wanted {
            Some(name) if descriptors.is_empty() => Err(self.unknown_ref_name(name, &names(index.value()))),
            _ => Ok(paths),
        }
    }

    /// The one descriptor of `index.json` that the location means, of an image or of an index of several. Several names
    /// of one thing are one thing, and artifacts are only meant by their name.
    pub fn entry(&self) -> Result<Descriptor> {
        let index = self.index()?.into_value();
        let entries: Vec<&Descriptor> = match &self.location().name {
            Some(name) => called(&index.manifests, name, Descriptor::annotation),
            None => index.manifests.iter().filter(|entry| !is_artifact(entry) && !is_referrers_tag(entry)).collect(),
        };
        let digests: BTreeSet<&Digest> = entries.iter().map(|entry| &entry.digest).collect();
        match (entries.first(), digests.len(), &self.location().name) {
            (Some(entry), 1, _) => Ok((*entry).clone()),
            (None, _, Some(name)) => Err(self.unknown_ref_name(name, &names(&index))),
            (None, _, None) => Err(self.holds_no_image()),
            (_, count, _) => Err(Error::refused_with_hint(
                format!("image `{}`: one image is wanted, found {count}", self.location()),
                format!("name one: {}", names_in_hint(&names(&index))),
            )),
        }
    }

    /// That no descriptor has the location's name; `names` are those that there are.
    pub(crate) fn unknown_ref_name(&self, wanted: &ImageName, names: &[String]) -> Error {
        Error::refused_with_hint(
            format!("image `{}`: no image of this name is in the layout", self.location()),
            if names.is_empty() { format!("none has a name: leave `:{wanted}` out") } else { names_in_hint(names) },
        )
    }

    fn holds_no_image(&self) -> Error {
        Error::refused(format!("image `{}`: the layout holds no image", self.location()))
    }

    /// Adds the manifests that `path` leads to. Indexes that were `seen` on the way are not read again, so that time is
    /// bounded by what is there, not by the number of ways to it.
    fn collect(&self, path: Vec<Descriptor>, seen: &mut BTreeSet<Digest>, paths: &mut Vec<ImagePath>) -> Result<()> {
        let last = path.last().expect("a path has a descriptor");
        match last.media_type.kind() {
            MediaKind::Manifest => paths.push(ImagePath(path)),
            MediaKind::Index if seen.contains(&last.digest) => {}
            MediaKind::Index if path.len() < MAX_DEPTH => {
                seen.insert(last.digest.clone());
                let index: Document<Index> = self.document(last)?;
                for descriptor in &index.value().manifests {
                    let mut path = path.clone();
                    path.push(descriptor.clone());
                    self.collect(path, seen, paths)?;
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

    /// The one image that the location means. Where there is a choice, `platform` makes it; the error lists what there is.
    pub fn image(&self, platform: Option<&PlatformPattern>) -> Result<Image> {
        let mut images = self.images()?;
        if images.is_empty() {
            return Err(self.holds_no_image());
        }
        let choices: Vec<Choice> = images.iter().map(Image::choice).collect();
        let subject = format!("image `{}`", self.location());
        match platform {
            Some(platform) => choose(&subject, platform, &choices).map(|at| images.swap_remove(at)),
            None if images.len() == 1 => Ok(images.remove(0)),
            None => Err(Error::refused_with_hint(
                format!("{subject}: one image is wanted, found {}", images.len()),
                format!("name one, or choose with --platform: {}", list(&choices)),
            )),
        }
    }

    /// Every image that the location means.
    pub fn all_images(&self) -> Result<Vec<Image>> {
        let images = self.images()?;
        if images.is_empty() {
            return Err(self.holds_no_image());
        }
        Ok(images)
    }

    /// All images below the location's name, or of the layout. Several names of one image are one image, and
    /// artifacts are none.
    ///
    /// Readers lock nothing. Whoever edits an image takes its old documents away, so what is missing while somebody has
    /// written a new index is looked for once more.
    fn images(&self) -> Result<Vec<Image>> {
        loop {
            let before = self.raw_index()?;
            let found = self.image_paths().and_then(|paths| self.read_present(paths));
            let is_whole = matches!(&found, Ok((_, None)));
            if is_whole || self.raw_index()? == before {
                return found.and_then(|found| self.unless_all_missing(found));
            }
        }
    }

    /// The images that a descriptor leads to.
    pub(super) fn images_below(&self, descriptor: &Descriptor) -> Result<Vec<Image>> {
        let mut paths = Vec::new();
        self.collect(vec![descriptor.clone()], &mut BTreeSet::new(), &mut paths)?;
        self.read_present(paths).and_then(|found| self.unless_all_missing(found))
    }

    /// The images among what paths lead to, each once, and the first of those that are missing: of an image for several
    /// platforms, people often copy only those that they use.
    fn read_present(&self, paths: Vec<ImagePath>) -> Result<(Vec<Image>, Option<ImagePath>)> {
        let mut images = Vec::<Image>::new();
        let mut missing = None;
        for path in paths {
            let descriptor = path.manifest();
            let is_known = images.iter().any(|image| image.path.manifest().digest == descriptor.digest);
            if is_known || is_artifact(descriptor) {
                continue;
            }
            if self.stored_blob(&descriptor.digest)?.is_none() {
                missing = missing.or(Some(path));
                continue;
            }
            images.extend(self.read(path)?);
        }
        Ok((images, missing))
    }

    fn unless_all_missing(&self, (images, missing): (Vec<Image>, Option<ImagePath>)) -> Result<Vec<Image>> {
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
    /// It among others. The config tells its platform, if nothing else does.
    fn choice(&self) -> Choice {
        let platform = self.config.value().platform();
        Choice::new(self.path.manifest(), self.path.entry(), Some(&platform)).expect("a platform was given")
    }
}

/// The descriptors with this ref name; if there is none, those which Docker would find by that name. `annotation` looks up
/// a key of a descriptor.
pub(crate) fn called<'a, T>(
    descriptors: &'a [T],
    name: &ImageName,
    annotation: impl Fn(&'a T, &str) -> Option<&'a str>,
) -> Vec<&'a T> {
    let has = |descriptor: &&'a T| annotation(descriptor, REF_NAME) == Some(name.as_str());
    let found: Vec<_> = descriptors.iter().filter(has).collect();
    if !found.is_empty() {
        return found;
    }
    let whole = whole_name(name.as_str());
    let is_meant =
        |descriptor: &&'a T| annotation(descriptor, CONTAINERD_NAME).is_some_and(|found| whole_name(found) == whole);
    descriptors.iter().filter(is_meant).collect()
}

/// The name that tells most: containerd's holds the repository too.
fn name(descriptor: &Descriptor) -> Option<&str> {
    descriptor.annotation(CONTAINERD_NAME).or(descriptor.ref_name())
}

fn names_in_hint(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{}`", name.escape_debug())).collect();
    format!("there is {}", names.join(", "))
}

pub(crate) fn names(index: &Index) -> Vec<String> {
    index.manifests.iter().filter_map(name).map(str::to_owned).collect()
}

/// Whether an index says of a manifest that it is no image. `BuildKit`'s attestations stand there as images for
/// `unknown/unknown`.
fn is_artifact(descriptor: &Descriptor) -> bool {
    let artifact_type = descriptor.artifact_type.clone().map(|text| MediaType::from(text).kind());
    artifact_type.is_some_and(|kind| kind != MediaKind::Config)
        || descriptor.platform.as_ref().is_some_and(|platform| platform.os == "unknown")
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::fs;

    use serde_json::{json, Value};

    use super::*;
    use crate::layout::{blob_path, Location, INDEX};
    use crate::testing::TempDir;

    /// A layout that is written by hand.
    struct ByHand(TempDir);

    impl ByHand {
        fn new(test: &str) -> Self {
            let home = TempDir::new(test);
            fs::create_dir_all(home.path().join("blobs/sha256")).unwrap();
            ByHand(home)
        }

        /// Stores a document; gives back its descriptor.
        fn put(&self, media_type: &MediaType, document: &Value) -> Value {
            let raw = document.to_string();
            let digest = Digest::of(raw.as_bytes());
            fs::write(self.0.path().join(blob_path(&digest)), &raw).unwrap();
            json!({"mediaType": media_type, "digest": digest, "size": raw.len()})
        }

        /// An image of a platform, in the media types of OCI or of Docker.
        fn image(&self, types: &Types, architecture: &str, variant: Option<&str>) -> Value {
            let mut config = json!({"architecture": architecture, "os": "linux", "rootfs": {"type": "layers"}});
            if let Some(variant) = variant {
                config["variant"] = variant.into();
            }
            let config = self.put(&types.config, &config);
            let layer = json!({"mediaType": types.layer, "digest": Digest::of(b""), "size": 0});
            let manifest =
                json!({"schemaVersion": 2, "mediaType": types.manifest, "config": config, "layers": [layer]});
            self.put(&types.manifest, &manifest)
        }

        /// Opens the layout with this index, and takes the image that is named, for a platform if one is given.
        fn choose(&self, manifests: &[Value], name: &str, platform: Option<&str>) -> Result<Image> {
            let index = json!({"schemaVersion": 2, "manifests": manifests});
            fs::write(self.0.path().join(INDEX), index.to_string()).unwrap();
            let text = format!("oci:{}{name}", self.0.path().display());
            let platform = platform.map(|platform| platform.parse().unwrap());
            Layout::open(&Location::parse(OsStr::new(&text))?)?.image(platform.as_ref())
        }
    }

    struct Types {
        index: MediaType,
        manifest: MediaType,
        config: MediaType,
        layer: MediaType,
    }

    const OCI: Types = Types {
        index: MediaType::INDEX,
        manifest: MediaType::MANIFEST,
        config: MediaType::CONFIG,
        layer: MediaType::LAYER_GZIP,
    };
    const DOCKER: Types = Types {
        index: MediaType::DOCKER_INDEX,
        manifest: MediaType::DOCKER_MANIFEST,
        config: MediaType::DOCKER_CONFIG,
        layer: MediaType::DOCKER_LAYER_GZIP,
    };

    fn with(mut descriptor: Value, members: &Value) -> Value {
        descriptor.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        descriptor
    }

    fn platform(image: &Result<Image>) -> Option<String> {
        image.as_ref().ok().map(|image| image.config.value().platform().to_string())
    }

    #[test]
    fn a_platform_is_asked_for_only_where_there_is_a_choice() {
        for types in [OCI, DOCKER] {
            let layout = ByHand::new("platform-choice");
            let amd64 = layout.image(&types, "amd64", None);
            let arm_v6 = layout.image(&types, "arm", Some("v6"));
            // As older writers leave it: the variant only in the index.
            let arm_v7 = with(
                layout.image(&types, "arm", None),
                &json!({
                    "platform": {"os": "linux", "architecture": "arm", "variant": "v7"}
                }),
            );
            let amd64_alone = [amd64.clone()];
            let inner = layout.put(&types.index, &json!({"schemaVersion": 2, "manifests": [amd64, arm_v6, arm_v7]}));
            let nested = layout.put(&types.index, &json!({"schemaVersion": 2, "manifests": [inner]}));
            let (one, two_deep, twice) = ([inner.clone()], [nested.clone()], [nested, inner.clone()]);
            for (index, wanted, found) in [
                (&amd64_alone[..], None, Some("linux/amd64")),
                (&amd64_alone, Some("linux/amd64"), Some("linux/amd64")),
                (&amd64_alone, Some("linux/arm"), None),
                (&one, None, None),
                (&one, Some("linux/amd64"), Some("linux/amd64")),
                (&one, Some("linux/arm/v6"), Some("linux/arm/v6")),
                (&one, Some("linux/arm/v7"), Some("linux/arm")),
                (&one, Some("linux/arm"), None),
                (&two_deep, Some("linux/amd64"), Some("linux/amd64")),
                (&twice, Some("linux/amd64"), Some("linux/amd64")),
            ] {
                let image = layout.choose(index, "", wanted);
                assert_eq!(platform(&image).as_deref(), found, "{wanted:?} {:?}", image.err());
            }
            let error = layout.choose(&one, "", Some("linux/riscv64")).unwrap_err();
            let there_is = "there is (no name) linux/amd64, (no name) linux/arm/v6, (no name) linux/arm/v7";
            assert_eq!(error.hint(), Some(there_is));
            let named = with(inner, &json!({"annotations": {"org.opencontainers.image.ref.name": "v1"}}));
            let error = layout.choose(&[named], ":v1", Some("linux/arm")).unwrap_err();
            let digest = |image: &Value| image["digest"].as_str().unwrap().to_owned();
            let choose = format!(
                "choose by platform or digest: v1 linux/arm/v6 {}, v1 linux/arm/v7 {}",
                digest(&arm_v6),
                digest(&arm_v7)
            );
            assert_eq!(error.hint(), Some(choose.as_str()));
        }
    }

    #[test]
    fn many_ways_to_one_image_are_not_all_walked() {
        let layout = ByHand::new("many-ways");
        let mut descriptor = layout.image(&OCI, "amd64", None);
        for _ in 1..MAX_DEPTH {
            let index = json!({"schemaVersion": 2, "manifests": vec![descriptor; 100]});
            descriptor = layout.put(&MediaType::INDEX, &index);
        }
        layout.choose(&[descriptor.clone()], "", None).unwrap();
        let deeper = layout.put(&MediaType::INDEX, &json!({"schemaVersion": 2, "manifests": [descriptor]}));
        let error = layout.choose(&[deeper], "", None).unwrap_err().to_string();
        assert!(error.contains("nested deeper than 8"), "{error}");
    }

    #[test]
    fn artifacts_are_no_images() {
        let layout = ByHand::new("no-images");
        let empty = layout.put(&MediaType::EMPTY, &json!({}));
        let image = layout.image(&OCI, "amd64", None);
        let artifact = |members: Value| {
            let manifest = json!({"schemaVersion": 2, "config": empty, "layers": [empty]});
            layout.put(&MediaType::MANIFEST, &with(manifest, &members))
        };
        let attestation = layout.image(&OCI, "unknown", None);
        for other in [
            artifact(json!({"artifactType": "application/vnd.example"})),
            with(artifact(json!({})), &json!({"artifactType": "application/vnd.example"})),
            with(attestation, &json!({"platform": {"os": "unknown", "architecture": "unknown"}})),
            layout.put(&"application/vnd.example+json".to_owned().into(), &json!({})),
        ] {
            let chosen = layout.choose(&[other.clone(), image.clone()], "", None);
            assert_eq!(platform(&chosen).as_deref(), Some("linux/amd64"), "{other}");
            let error = layout.choose(&[other], "", None).unwrap_err().to_string();
            assert!(error.ends_with("the layout holds no image"), "{error}");
        }
        // It is one, whatever else it says it is.
        let chosen = with(image, &json!({"artifactType": MediaType::CONFIG}));
        layout.choose(&[chosen], "", None).unwrap();
    }

    #[test]
    fn what_was_not_copied_is_no_choice() {
        let layout = ByHand::new("not-copied");
        let here = layout.image(&OCI, "amd64", None);
        let away = with(here.clone(), &json!({"digest": Digest::of(b"elsewhere")}));
        let index = layout.put(&MediaType::INDEX, &json!({"schemaVersion": 2, "manifests": [away, here]}));
        assert_eq!(platform(&layout.choose(&[index], "", None)).as_deref(), Some("linux/amd64"));
        let error = layout.choose(&[away], "", None).unwrap_err().to_string();
        assert!(error.ends_with(&format!("blob {} is missing", Digest::of(b"elsewhere"))), "{error}");
    }

    #[test]
    fn a_name_is_a_ref_name_or_else_one_of_docker() {
        let layout = ByHand::new("two-kinds-of-names");
        let named = |architecture: &str, ref_name: &str, whole_name: &str| {
            let annotations = json!({"org.opencontainers.image.ref.name": ref_name, CONTAINERD_NAME: whole_name});
            with(layout.image(&OCI, architecture, None), &json!({"annotations": annotations}))
        };
        let index = [
            named("amd64", "v1", "docker.io/library/app:v1"),
            named("arm64", "v2", "docker.io/library/app:v2"),
            named("riscv64", "v2", "registry:5000/team/v1:v2"),
            named("s390x", "v1/latest", "docker.io/library/v1:latest"),
        ];
        for (name, found) in [
            (":v1", Some("linux/amd64")),
            (":app:v1", Some("linux/amd64")),
            (":v1/latest", Some("linux/s390x")),
            (":v2", None),
            (":app:v2", Some("linux/arm64")),
            (":registry:5000/team/v1:v2", Some("linux/riscv64")),
            (":docker.io/library/app", None),
        ] {
            assert_eq!(platform(&layout.choose(&index, name, None)).as_deref(), found, "{name}");
        }
        let error = layout.choose(&index[..2], ":v3", None).unwrap_err();
        assert_eq!(error.hint(), Some("there is `docker.io/library/app:v1`, `docker.io/library/app:v2`"));
    }
}
