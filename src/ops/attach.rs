//! `attach`: an SBOM, provenance or a signature joins the image that it is about.

use std::fs::File;
use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::digest::Digest;
use crate::error::{Error, IoContext, Result};
use crate::layout::{is_referrers_tag, referrers_tag, Edit, Location};
use crate::media_type::{MediaKind, MediaType};
use crate::observer::Observer;
use crate::oci::annotations::TITLE;
use crate::oci::{Annotations, Descriptor, Document, Index, Manifest, RefName};

/// What is attached.
#[derive(Clone, Debug)]
pub struct Attachment {
    /// The file.
    pub path: PathBuf,
    /// What it holds.
    pub media_type: MediaType,
    /// What kind of artifact it makes; the media type if none.
    pub artifact_type: Option<MediaType>,
    /// Annotations of the artifact's manifest.
    pub annotations: Annotations,
}

/// What was attached.
#[derive(Clone, Debug, Serialize)]
pub struct AttachReport {
    /// The digest of the artifact's manifest.
    pub digest: Digest,
    /// The digest of what it is attached to.
    pub subject: Digest,
    /// The name of the list that it stands in, the referrers tag of the subject.
    pub referrers_tag: String,
    /// Whether it was not there before.
    pub changed: bool,
}

/// Attaches a file to what the location means: to the manifest or, of an image for several platforms, to the index that
/// lists them all; with `platform`, to the manifest for that.
///
/// The file becomes the layer of a manifest whose `subject` is the image (image-spec,
/// manifest.md#guidelines-for-artifact-usage). It is listed in `index.json`, and in an index by the referrers tag of the
/// image for readers that look there. The same file once more changes nothing.
pub fn attach(
    location: &Location,
    platform: Option<&str>,
    attachment: &Attachment,
    threads: NonZeroUsize,
    observer: &dyn Observer,
) -> Result<AttachReport> {
    let content = Content::open(&attachment.path, observer)?;
    let mut edit = Edit::open(location)?;
    let subject = match platform {
        Some(_) => edit.layout().image(platform)?.path.manifest().clone(),
        None => edit.layout().entry()?,
    };
    check_subject(location, &subject)?;
    observer.step(&format!("attach `{}` to {}", attachment.path.display(), subject.digest));
    let artifact = store(&mut edit, &subject, attachment, content)?;
    let tag = referrers_tag(&subject.digest)?;
    list_in_layout(&mut edit, &artifact);
    list_below_tag(&mut edit, &tag, &artifact, attachment)?;
    let report = AttachReport {
        digest: artifact.digest,
        subject: subject.digest,
        referrers_tag: tag.to_string(),
        changed: edit.is_change(),
    };
    edit.free_replaced()?;
    edit.commit(threads)?;
    Ok(report)
}

fn check_subject(location: &Location, subject: &Descriptor) -> Result<()> {
    if is_referrers_tag(subject) {
        let message = format!("image `{location}`: an image is wanted, found the list of what is attached to one");
        return Err(Error::refused_with_hint(message, "name the image"));
    }
    match subject.media_type.kind() {
        MediaKind::Manifest | MediaKind::Index => Ok(()),
        _ => {
            let found = subject.media_type.as_str().escape_debug();
            Err(Error::refused(format!("image `{location}`: a manifest or an index is wanted, found `{found}`")))
        }
    }
}

/// The two bytes `{}` (image-spec, manifest.md#guidance-for-an-empty-descriptor).
const EMPTY: (&[u8], &str) = (b"{}", "e30=");

/// Stores the file and the manifest of the artifact; gives back the descriptor of the latter.
fn store(
    edit: &mut Edit,
    subject: &Descriptor,
    attachment: &Attachment,
    mut content: Content<'_>,
) -> Result<Descriptor> {
    let mut layer = edit.put_blob(&mut content, attachment.media_type.clone())?;
    let title = attachment.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    layer.annotations = Some(Annotations::from([(TITLE.to_owned(), title)]));
    let (mut bytes, text) = EMPTY;
    let mut config = edit.put_blob(&mut bytes, MediaType::EMPTY)?;
    config.data = Some(text.to_owned());
    let artifact_type = attachment.artifact_type.as_ref().unwrap_or(&attachment.media_type).to_string();
    let mut manifest = Manifest::new(config, vec![layer]);
    manifest.artifact_type = Some(artifact_type.clone());
    let (media_type, digest) = (subject.media_type.clone(), subject.digest.clone());
    manifest.subject = Some(Descriptor::new(media_type, digest, subject.size));
    manifest.annotations = Some(attachment.annotations.clone()).filter(|annotations| !annotations.is_empty());
    let mut descriptor = edit.put(&Document::seal(manifest), MediaType::MANIFEST)?;
    descriptor.artifact_type = Some(artifact_type);
    Ok(descriptor)
}

/// The file on its way into the layout. Its errors name it.
struct Content<'a> {
    file: File,
    path: &'a Path,
    observer: &'a dyn Observer,
}

impl<'a> Content<'a> {
    fn open(path: &'a Path, observer: &'a dyn Observer) -> Result<Self> {
        let file = File::open(path).at("open", path)?;
        if file.metadata().at("open", path)?.is_dir() {
            let message = format!("`{}`: a file to attach is wanted, found a directory", path.display());
            return Err(Error::refused_with_hint(message, "attach its files one by one, or a tar of it"));
        }
        Ok(Content { file, path, observer })
    }
}

impl Read for Content<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.observer.check()?;
        Ok(self.file.read(buffer).at("read", self.path)?)
    }
}

fn is_listed(index: &Index, artifact: &Descriptor) -> bool {
    index.manifests.iter().any(|listed| listed.digest == artifact.digest)
}

/// Lists the artifact in `index.json`, unless it stands there.
fn list_in_layout(edit: &mut Edit, artifact: &Descriptor) {
    if !is_listed(edit.index(), artifact) {
        edit.index_mut().manifests.push(artifact.clone());
    }
}

/// Lists the artifact below the referrers tag of its subject, unless it stands there.
fn list_below_tag(edit: &mut Edit, tag: &RefName, artifact: &Descriptor, attachment: &Attachment) -> Result<()> {
    let entry = edit.index().manifests.iter().find(|entry| entry.ref_name() == Some(tag.as_str())).cloned();
    let mut referrers = match &entry {
        None => Index::default(),
        Some(entry) if entry.media_type.kind() == MediaKind::Index => edit.document(entry)?.into_value(),
        Some(entry) => {
            let (location, found) = (edit.layout().location(), entry.media_type.as_str().escape_debug());
            let message = format!("image `{location}`: an index is wanted by the name `{tag}`, found `{found}`");
            return Err(Error::refused_with_hint(message, "that name is for the list of what is attached"));
        }
    };
    if is_listed(&referrers, artifact) {
        return Ok(());
    }
    let mut referrer = artifact.clone();
    // Whoever asks a registry for referrers is told their annotations (distribution-spec, spec.md#listing-referrers).
    referrer.annotations = Some(attachment.annotations.clone()).filter(|annotations| !annotations.is_empty());
    referrers.manifests.push(referrer);
    let media_type = entry.as_ref().map_or(MediaType::INDEX, |entry| entry.media_type.clone());
    let new = edit.put(&Document::seal(referrers), media_type)?;
    // All else that its entry says stays.
    let renewed = match entry {
        Some(old) => Descriptor { digest: new.digest, size: new.size, data: None, ..old },
        None => new,
    };
    edit.name(&renewed, tag);
    Ok(())
}
