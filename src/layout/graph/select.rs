//! Resolves a location: a name, a digest or everything in a layout, and the images below it.

use std::collections::{BTreeMap, BTreeSet};

use crate::digest::Digest;
use crate::error::{as_typed, despite_damage, Error, ErrorKind, Result};
use crate::hint::{Hint, OptionName};
use crate::layout::graph::choice::{choose, fitting, list, Choice};
use crate::layout::graph::documents::Documents;
use crate::layout::graph::referrers::is_referrers_tag;
use crate::layout::graph::walk::{DescriptorPath, Found, Met, Opened, Subjects, Walk};
use crate::layout::names::{digits_after_at, name_of, named, names_in, Named};
use crate::layout::{DigestPrefix, ImageName, Layout, Location};
use crate::media_type::{MediaKind, MediaType};
use crate::oci::{Descriptor, Document, ImageConfig, Manifest};
use crate::platform::PlatformPattern;

/// The documents of an image.
#[derive(Debug)]
pub(crate) struct Image {
    /// The descriptors that lead to it.
    pub path: DescriptorPath,
    /// Its manifest.
    pub manifest: Document<Manifest>,
    /// Its configuration.
    pub config: Document<ImageConfig>,
}

impl Image {
    /// The image as one choice among several. The config states its platform if no descriptor does.
    // The config always gives a platform.
    #[allow(clippy::expect_used)]
    fn choice(&self) -> Choice {
        let platform = self.config.value().platform_or(self.path.descriptor().platform.as_ref());
        Choice::new(self.path.descriptor(), self.path.entry(), Some(&platform)).expect("a platform was given")
    }
}

/// Resolving what a layout lists, by one state of `index.json`.
impl Layout {
    /// Resolves the location to the entries of `index.json` with its name, the documents with its digest, or all
    /// entries. Fails if a name or a digest matches nothing.
    pub(crate) fn meant(&self) -> Result<Vec<DescriptorPath>> {
        let index = self.index()?;
        let location = self.location();
        let Named { found, digest } = named(&index.value().manifests, location, Descriptor::annotation);
        if let (Some(name), true) = (&location.name, found.is_empty()) {
            return Err(self.unknown_name(name, &names_in(index.value())));
        }
        match digest {
            Some(digest) => self.of_digest(&found, digest),
            None => Ok(found.into_iter().cloned().map(DescriptorPath::from).collect()),
        }
    }

    /// The documents with this digest: among the entries themselves, or else in an index that they lead to. Without a
    /// name, also what only an artifact of the layout is about, such as the image that an edit replaced.
    fn of_digest(&self, entries: &[&Descriptor], wanted: &DigestPrefix) -> Result<Vec<DescriptorPath>> {
        let is_meant = |path: &DescriptorPath| wanted.begins(&path.descriptor().digest);
        let listed = entries.iter().map(|entry| DescriptorPath::from((*entry).clone()));
        let listed: Vec<DescriptorPath> = listed.filter(is_meant).collect();
        if !listed.is_empty() && wanted.is_whole() {
            return Ok(listed);
        }
        let below = |opened, subjects| -> Result<BTreeMap<Digest, DescriptorPath>> {
            let mut found = BTreeMap::new();
            for met in Walk::new(self, opened, subjects, entries.iter().copied().cloned()) {
                let Met { path, found: document } = met?;
                let is_here = subjects == Subjects::Left || matches!(document, Found::Read(_));
                if is_meant(&path) && is_here {
                    found.insert(path.descriptor().digest.clone(), path);
                }
            }
            Ok(found)
        };
        let mut found = below(Opened::Indexes, Subjects::Left)?;
        if found.is_empty() && self.location().name.is_none() {
            found = below(Opened::Manifests, Subjects::Followed)?;
        }
        let digests: Vec<&str> = found.keys().map(Digest::as_str).collect();
        match (digests.len(), &self.location().name) {
            (1, _) if !listed.is_empty() => Ok(listed),
            (1, _) => Ok(found.into_values().collect()),
            (0, None) => Err(Error::refused(format!(
                "image `{}`: the index of the layout leads to no image, index or artifact of this digest",
                self.location()
            ))
            .of_kind(ErrorKind::NotFound)),
            (0, Some(name)) => {
                let digests: BTreeSet<&str> = entries.iter().map(|entry| entry.digest.as_str()).collect();
                let digests: Vec<&str> = digests.into_iter().collect();
                Err(Error::refused_with_hint(
                    format!("image `{}`: `{name}` does not lead to this digest", self.location()),
                    format!("`{name}` is {}", digests.join(", ")),
                )
                .of_kind(ErrorKind::NotFound))
            }
            (count, _) => Err(Error::refused_with_hint(
                format!("image `{}`: one digest is wanted, found {count} that begin so", self.location()),
                format!("there is {}", digests.join(", ")),
            )
            .of_kind(ErrorKind::Ambiguous)),
        }
    }

    /// Refuses to change what no entry leads to but an artifact is about: there is no entry to change. `hint` says what
    /// to do instead.
    pub(crate) fn refuse_unlisted(&self, path: &DescriptorPath, hint: impl FnOnce() -> Hint) -> Result<()> {
        let entry = &path.entry().digest;
        if self.index()?.value().manifests.iter().any(|listed| listed.digest == *entry) {
            return Ok(());
        }
        let message = format!(
            "image `{}`: no entry of `index.json` leads to it, it is only kept because something is attached to it",
            self.location()
        );
        Err(Error::refused_with_hint(message, hint()).of_kind(ErrorKind::NotFound))
    }

    /// The one descriptor that the location means: of an image, an index or an artifact. Several names of one document
    /// count once. Artifacts must be named, or given by digest.
    pub fn entry(&self) -> Result<Descriptor> {
        let location = self.location();
        let is_told = location.name.is_some() || location.digest.is_some();
        let mut entries = self.meant()?;
        entries.retain(|path| is_told || !(is_artifact(path.descriptor()) || is_referrers_tag(path.descriptor())));
        let count = |entries: &[DescriptorPath]| {
            entries.iter().map(|path| &path.descriptor().digest).collect::<BTreeSet<_>>().len()
        };
        if !is_told && count(&entries) > 1 {
            let mut images = Vec::with_capacity(entries.len());
            for path in entries {
                if self.may_be_image(path.descriptor())? {
                    images.push(path);
                }
            }
            entries = images;
        }
        match (entries.first(), count(&entries)) {
            (Some(entry), 1) => Ok(entry.descriptor().clone()),
            (None, _) => Err(self.holds_no_image()),
            (Some(_), count) => Err(Error::refused_with_hint(
                format!("image `{location}`: one image is wanted, found {count}"),
                format!("name one: {}", in_hint(entries.iter().map(|path| shown(path.entry())))),
            )
            .of_kind(ErrorKind::Ambiguous)),
        }
    }

    /// Whether a document is an image or an index of some, or is missing or damaged and may be one.
    fn may_be_image(&self, descriptor: &Descriptor) -> Result<bool> {
        Ok(match descriptor.media_type.kind() {
            MediaKind::Index => true,
            MediaKind::Manifest => {
                let links = despite_damage(self.links(descriptor))?.flatten();
                links.map_or(true, |links| links.is_image())
            }
            _ => false,
        })
    }

    /// The error for an unknown name; `names` are the known ones.
    pub(crate) fn unknown_name(&self, wanted: &ImageName, names: &[String]) -> Error {
        if names.is_empty() && self.index().is_ok_and(|index| index.value().manifests.is_empty()) {
            return self.holds_no_image();
        }
        Error::refused_with_hint(
            format!("image `{}`: no image of this name is in the layout", self.location()),
            if let Some((name, digest)) = digits_after_at(wanted.as_str()) {
                let name = name.parse().ok();
                let meant = Location { name, digest: Some(digest), ..self.location().clone() };
                format!("a digest begins with its algorithm: write `{meant}`")
            } else if names.is_empty() {
                format!("none has a name: leave `:{wanted}` out")
            } else {
                format!("there is {}", in_hint(names.iter().map(String::as_str)))
            },
        )
        .of_kind(ErrorKind::NotFound)
    }

    fn holds_no_image(&self) -> Error {
        let location = self.location();
        let referrers = self.referrers().unwrap_or_default();
        let is_meant = |digest: &Digest| location.digest.as_ref().is_some_and(|wanted| wanted.begins(digest));
        if let Some(artifact) = referrers.iter().find(|artifact| is_meant(&artifact.descriptor.digest)) {
            let kind = artifact.artifact_type.as_deref().unwrap_or("of no type");
            let subject = Location { digest: None, ..self.location().clone() };
            let message = format!("image `{location}`: an image is wanted, found an artifact, {}", as_typed(kind));
            let hint = Hint::from(format!("it is attached to `{subject}@{}`, with which ", artifact.subject));
            // An artifact of an artifact is not listed, only printed.
            let hint = hint.verb("inspect").text(" and ").option(OptionName::Attached);
            let hint = hint.text(format!(" `{}` print it", artifact.descriptor.digest));
            return Error::refused_with_hint(message, hint).of_kind(ErrorKind::NotFound);
        }
        Error::refused(match &location.digest {
            Some(_) => format!("image `{location}`: an image is wanted, found something else of this digest"),
            None => format!("image `{location}`: the layout holds no image"),
        })
        .of_kind(ErrorKind::NotFound)
    }

    /// The one image that the location means. `platform` chooses among several; the error lists the choices.
    pub(crate) fn image(&self, platform: Option<&PlatformPattern>) -> Result<Image> {
        self.by_one_index(|| self.image_now(platform))
    }

    /// Like [`image`](Self::image), by the index that was already read.
    pub(crate) fn image_now(&self, platform: Option<&PlatformPattern>) -> Result<Image> {
        let mut images = self.images(self.meant()?)?;
        if images.is_empty() {
            return Err(self.holds_no_image());
        }
        let choices: Vec<Choice> = images.iter().map(Image::choice).collect();
        let subject = format!("image `{}`", self.location());
        match platform {
            Some(platform) => {
                let at = match choose(&subject, platform, &choices) {
                    Ok(at) => at,
                    Err(error) => return Err(self.missing_for(platform)?.unwrap_or(error)),
                };
                let mut image = images.swap_remove(at);
                if choices.get(at).is_some_and(Choice::is_nameless) {
                    image.path.set_platform(platform.to_be_named()?);
                }
                Ok(image)
            }
            None if images.len() == 1 => Ok(images.remove(0)),
            None => Err(Error::refused_with_hint(
                format!("{subject}: one image is wanted, found {}", images.len()),
                Hint::from("name one, or choose with ")
                    .option(OptionName::Platform)
                    .text(format!(": {}", list(&choices))),
            )
            .of_kind(ErrorKind::Ambiguous)),
        }
    }

    /// All images that the location means.
    pub(crate) fn all_images(&self) -> Result<Vec<Image>> {
        let images = self.by_one_index(|| self.images(self.meant()?))?;
        if images.is_empty() {
            return Err(self.holds_no_image());
        }
        Ok(images)
    }

    /// The images that descriptors lead to, each once even if it has several names. Artifacts are skipped. So are
    /// missing documents, since often only the needed platforms of a multi-platform image are copied; it is an error if
    /// all are missing.
    pub(crate) fn images<P: Into<DescriptorPath>>(&self, roots: impl IntoIterator<Item = P>) -> Result<Vec<Image>> {
        let mut images = Vec::new();
        let mut missing = None;
        for met in Walk::new(self, Opened::Indexes, Subjects::Left, roots) {
            let Met { path, found } = met?;
            let descriptor = path.descriptor();
            match (descriptor.media_type.kind(), found) {
                (MediaKind::Index, Found::Missing) => missing = missing.or(Some(descriptor.digest.clone())),
                (MediaKind::Manifest, _) if is_artifact(descriptor) => {}
                (MediaKind::Manifest, _) if !self.holds(&descriptor.digest)? => {
                    missing = missing.or(Some(descriptor.digest.clone()));
                }
                (MediaKind::Manifest, _) => images.extend(self.read_image(path)?),
                // An unknown media type must be skipped (image-spec, image-index.md, `mediaType` of `manifests`).
                _ => {}
            }
        }
        match missing {
            Some(digest) if images.is_empty() => Err(self.lacks(&digest)),
            _ => Ok(images),
        }
    }

    /// The images that the location means and the layout does not hold: often only the needed platforms are copied.
    pub(crate) fn left_out(&self) -> Result<Vec<Descriptor>> {
        let mut left = Vec::new();
        for met in Walk::new(self, Opened::Indexes, Subjects::Left, self.meant()?) {
            let Met { path, .. } = met?;
            let descriptor = path.descriptor();
            let is_image = descriptor.media_type.kind() == MediaKind::Manifest && !is_artifact(descriptor);
            if is_image && !self.holds(&descriptor.digest)? {
                left.push(descriptor.clone());
            }
        }
        Ok(left)
    }

    /// The error for a platform whose image an index lists and the layout does not hold.
    fn missing_for(&self, platform: &PlatformPattern) -> Result<Option<Error>> {
        let left = self.left_out()?;
        let choices: Vec<Choice> = left.iter().filter_map(|image| Choice::new(image, image, None)).collect();
        let at = fitting(platform, &choices).first().copied();
        Ok(at.and_then(|at| choices.get(at)).map(|choice| {
            let message = format!(
                "image `{}`: the image for platform `{platform}` is listed, and its manifest {} is missing",
                self.location(),
                choice.digest()
            );
            Error::refused_with_hint(message, "it was left out when the others were copied")
                .of_kind(ErrorKind::NotFound)
        }))
    }

    /// Reads the documents of an image. Returns `None` for an artifact.
    fn read_image(&self, path: DescriptorPath) -> Result<Option<Image>> {
        let manifest: Document<Manifest> = self.document(path.descriptor())?;
        if !manifest.value().is_image() {
            return Ok(None);
        }
        let config = self.document(&manifest.value().config)?;
        Ok(Some(Image { path, manifest, config }))
    }
}

/// The text to select an entry by: its name, or else its digest.
fn shown(entry: &Descriptor) -> &str {
    name_of(entry).unwrap_or(entry.digest.as_str())
}

fn in_hint<'n>(names: impl Iterator<Item = &'n str>) -> String {
    names.map(|name| format!("`{}`", as_typed(name))).collect::<Vec<_>>().join(", ")
}

/// Whether the index marks a manifest as an artifact. It lists attestations of `BuildKit` as images for
/// `unknown/unknown`. An entry with a name is an image whose platform was not stated.
pub(crate) fn is_artifact(descriptor: &Descriptor) -> bool {
    let artifact_type = descriptor.artifact_type.clone().map(|text| MediaType::from(text).kind());
    artifact_type.is_some_and(|kind| kind != MediaKind::Config)
        || (descriptor.ref_name().is_none()
            && descriptor.platform.as_ref().is_some_and(|platform| platform.os == "unknown"))
}
