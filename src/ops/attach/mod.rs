//! `attach`: attaches an SBOM, provenance or a signature to an image.

mod recognise;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde::Serialize;

use crate::digest::Digest;
use crate::error::{Error, ErrorKind, IoContext, Result};
use crate::json;
use crate::layout::{is_referrers_tag, referrers_tag, refuse_location_as_path, Draft, Location, Stage, Transaction};
use crate::media_type::{MediaKind, MediaType};
use crate::oci::annotations::TITLE;
use crate::oci::{Annotations, Descriptor, Document, Index, Manifest, RefName};
use crate::platform::PlatformPattern;
use crate::work::{Observer, Work};
use recognise::recognise;

/// What is said about the file that is attached, and which image gets it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct AttachOptions {
    /// The platform of the image that gets the file. `None` means what the location means as a whole.
    pub platform: Option<PlatformPattern>,
    /// What the file holds. `None` means what its content or its name tells.
    pub media_type: Option<MediaType>,
    /// The artifact type. `None` means the media type of the file.
    pub artifact_type: Option<MediaType>,
    /// Annotations of the artifact's manifest.
    pub annotations: Annotations,
}

/// What was attached.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct AttachReport {
    /// The digest of the artifact's manifest.
    pub digest: Digest,
    /// The digest of what it is attached to.
    pub subject: Digest,
    /// The referrers tag of the subject: the name of the list that the artifact is in.
    #[serde(serialize_with = "json::text")]
    pub referrers_tag: RefName,
    /// Whether it was not there before.
    pub changed: bool,
}

/// Attaches a file to what the location means: to the manifest or, for an image for several platforms, to the index
/// that lists them; with a platform, to the manifest for that platform.
///
/// The file becomes the layer of a manifest whose `subject` is the image (image-spec,
/// manifest.md#guidelines-for-artifact-usage). The manifest is listed in `index.json` and, for readers that look there,
/// in an index under the image's referrers tag. Attaching the same file again changes nothing.
pub fn attach(location: &Location, file: &Path, options: &AttachOptions, work: &Work<'_>) -> Result<AttachReport> {
    let content = Content::open(file, work.observer)?;
    let media_type = options.media_type.clone().map_or_else(|| recognise(file), Ok)?;
    let mut target = Transaction::edit(location, work.limits)?;
    let layer = store_file(target.stage_mut(), media_type, content)?;
    target.commit(work, |draft| {
        let layout = draft.layout()?;
        let subject = match &options.platform {
            Some(platform) => layout.image(Some(platform))?.path.descriptor().clone(),
            None => layout.entry()?,
        };
        check_subject(location, &subject)?;
        work.observer.step(&format!("attach `{}` to {}", file.display(), subject.digest));
        let artifact = store_manifest(draft.stage_mut(), &subject, options, layer.clone())?;
        let tag = referrers_tag(&subject.digest)?;
        list_in_layout(draft, &artifact);
        list_below_tag(draft, &tag, &artifact, options)?;
        draft.free_replaced()?;
        Ok(AttachReport {
            digest: artifact.digest,
            subject: subject.digest,
            referrers_tag: tag,
            changed: draft.is_change(),
        })
    })
}

fn check_subject(location: &Location, subject: &Descriptor) -> Result<()> {
    if is_referrers_tag(subject) {
        let message = format!("image `{location}`: an image is wanted, found the list of what is attached to one");
        return Err(Error::refused_with_hint(message, "name the image").of_kind(ErrorKind::Invalid));
    }
    match subject.media_type.kind() {
        MediaKind::Manifest | MediaKind::Index => Ok(()),
        _ => {
            let found = subject.media_type.as_str().escape_debug();
            Err(Error::refused(format!("image `{location}`: a manifest or an index is wanted, found `{found}`"))
                .of_kind(ErrorKind::Invalid))
        }
    }
}

/// The two bytes `{}` (image-spec, manifest.md#guidance-for-an-empty-descriptor).
const EMPTY: (&[u8], &str) = (b"{}", "e30=");

/// Stores the file, as the layer of an artifact.
fn store_file(stage: &mut Stage, media_type: MediaType, mut content: Content<'_>) -> Result<Descriptor> {
    let mut layer = stage.put_blob(&mut content, media_type)?;
    let title = content.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    layer.annotations = Some(Annotations::from([(TITLE.to_owned(), title)]));
    Ok(layer)
}

/// Stores the manifest of the artifact and returns its descriptor.
fn store_manifest(
    stage: &mut Stage,
    subject: &Descriptor,
    options: &AttachOptions,
    layer: Descriptor,
) -> Result<Descriptor> {
    let (mut bytes, text) = EMPTY;
    let mut config = stage.put_blob(&mut bytes, MediaType::EMPTY)?;
    config.data = Some(text.to_owned());
    let artifact_type = options.artifact_type.as_ref().unwrap_or(&layer.media_type).to_string();
    let mut manifest = Manifest::new(config, vec![layer]);
    manifest.artifact_type = Some(artifact_type.clone());
    let (media_type, digest) = (subject.media_type.clone(), subject.digest.clone());
    manifest.subject = Some(Descriptor::new(media_type, digest, subject.size));
    manifest.annotations = Some(options.annotations.clone()).filter(|annotations| !annotations.is_empty());
    let mut descriptor = stage.put(&Document::seal(manifest), MediaType::MANIFEST)?;
    descriptor.artifact_type = Some(artifact_type);
    Ok(descriptor)
}

/// The file on its way into the layout. Its errors name the file.
struct Content<'a> {
    file: File,
    path: &'a Path,
    observer: &'a dyn Observer,
}

impl<'a> Content<'a> {
    fn open(path: &'a Path, observer: &'a dyn Observer) -> Result<Self> {
        refuse_location_as_path("a file to attach", path)?;
        let file = File::open(path).at("open", path)?;
        if file.metadata().at("open", path)?.is_dir() {
            let message = format!("`{}`: a file to attach is wanted, found a directory", path.display());
            return Err(Error::refused_with_hint(message, "attach its files one by one, or a tar of it")
                .of_kind(ErrorKind::Invalid));
        }
        Ok(Content { file, path, observer })
    }
}

impl Read for Content<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.observer.check()?;
        match self.file.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            read => Ok(read.at("read", self.path)?),
        }
    }
}

fn is_listed(index: &Index, artifact: &Descriptor) -> bool {
    index.manifests.iter().any(|listed| listed.digest == artifact.digest)
}

/// Lists the artifact in `index.json`, unless it is there already.
fn list_in_layout(draft: &mut Draft<'_>, artifact: &Descriptor) {
    if !is_listed(draft.index(), artifact) {
        draft.index_mut().manifests.push(artifact.clone());
    }
}

/// Lists the artifact under the referrers tag of its subject, unless it is there already.
fn list_below_tag(draft: &mut Draft<'_>, tag: &RefName, artifact: &Descriptor, options: &AttachOptions) -> Result<()> {
    let entry = draft.index().manifests.iter().find(|entry| entry.ref_name() == Some(tag.as_str())).cloned();
    let mut referrers = match &entry {
        None => Index::default(),
        Some(entry) if entry.media_type.kind() == MediaKind::Index => draft.document(entry)?.into_value(),
        Some(entry) => {
            let (location, found) = (draft.target(), entry.media_type.as_str().escape_debug());
            let message = format!("image `{location}`: an index is wanted by the name `{tag}`, found `{found}`");
            return Err(Error::refused_with_hint(message, "that name is for the list of what is attached"));
        }
    };
    if is_listed(&referrers, artifact) {
        return Ok(());
    }
    let mut referrer = artifact.clone();
    // Registries list referrers with their annotations (distribution-spec, spec.md#listing-referrers).
    referrer.annotations = Some(options.annotations.clone()).filter(|annotations| !annotations.is_empty());
    referrers.manifests.push(referrer);
    let media_type = entry.as_ref().map_or(MediaType::INDEX, |entry| entry.media_type.clone());
    let new = draft.put(&Document::seal(referrers), media_type)?;
    // Everything else in its entry stays.
    let renewed = match entry {
        Some(mut entry) => {
            entry.redirect(&new);
            entry
        }
        None => new,
    };
    draft.name(&renewed, tag);
    Ok(())
}
