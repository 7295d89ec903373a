//! What is attached to an image.

use std::io::{self, Write};

use serde::Serialize;

use super::InspectOptions;
use crate::digest::Digest;
use crate::error::{as_typed, Error, ErrorKind, Result};
use crate::hint::Hint;
use crate::layout::{AttachedFile, DescriptorPath, DigestPrefix, Layout, Location, Referrer, Watched};
use crate::media_type::MediaType;
use crate::oci::{Annotations, Descriptor};
use crate::platform::PlatformPattern;
use crate::work::Work;

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
    /// The name of the file when it was attached.
    pub title: Option<String>,
}

/// Returns what is attached to the descriptors of a path.
pub(super) fn attached_to(layout: &Layout, path: &DescriptorPath) -> Result<Vec<Attached>> {
    attached(layout, |subject| path.leads_through(subject))
}

/// Returns what is attached to any of the subjects.
pub(super) fn attached_to_any(layout: &Layout, subjects: &[&Digest]) -> Result<Vec<Attached>> {
    attached(layout, |subject| subjects.contains(&subject))
}

fn attached(layout: &Layout, is_meant: impl Fn(&Digest) -> bool) -> Result<Vec<Attached>> {
    let referrers = layout.referrers()?.into_iter().filter(|referrer| is_meant(&referrer.subject));
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

/// Copies one attached file to `out`. It is attached to what the location means, or to the image for a platform and the
/// indexes that list it. `wanted` is the digest of the artifact or of the file, whole or the beginning of it, the type
/// of either, or the title of the file.
///
/// # Errors
///
/// An error of `out` is returned unchanged; one of this library is carried by an I/O error.
pub fn copy_attached(
    location: &Location,
    wanted: &str,
    options: &InspectOptions,
    work: &Work<'_>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let layout = Layout::open(location, work.limits)?;
    let file = layout.by_one_index(|| attached_file(&layout, options.platform.as_ref(), wanted))?;
    let mut content = Watched { inner: layout.blob(&file)?, observer: work.observer };
    io::copy(&mut content, out).map(drop)
}

fn attached_file(layout: &Layout, platform: Option<&PlatformPattern>, wanted: &str) -> Result<Descriptor> {
    let subjects = match (layout.image_now(platform), platform) {
        (Ok(image), _) => image.path,
        // Without a platform, an image for several platforms means only its index.
        (Err(_), None) => DescriptorPath::from(layout.entry()?),
        (Err(error), Some(_)) => return Err(error),
    };
    let prefix: Option<DigestPrefix> = wanted.parse().ok();
    let is_meant = |digest: &Digest| prefix.as_ref().is_some_and(|prefix| prefix.begins(digest));
    let mut found = Vec::new();
    let mut there_is = Vec::new();
    for referrer in layout.referrers()?.into_iter().filter(|referrer| subjects.leads_through(&referrer.subject)) {
        let kind = referrer.artifact_type.unwrap_or_default();
        let is_wanted = kind == wanted || is_meant(&referrer.descriptor.digest);
        for AttachedFile { descriptor, title } in referrer.files {
            let shown = title.as_ref().map(|title| format!(" (`{}`)", title.escape_debug())).unwrap_or_default();
            there_is.push(format!("{kind} {}{shown}", descriptor.digest));
            let is_wanted = is_wanted
                || descriptor.media_type.as_str() == wanted
                || is_meant(&descriptor.digest)
                || title.as_deref() == Some(wanted);
            if is_wanted && !found.iter().any(|known: &Descriptor| known.digest == descriptor.digest) {
                found.push(descriptor);
            }
        }
    }
    match found.len() {
        1 => Ok(found.remove(0)),
        count => {
            let (location, wanted) = (layout.location(), as_typed(wanted));
            let message =
                format!("image `{location}`: one file that is attached as `{wanted}` is wanted, found {count}");
            let kind = if count == 0 { ErrorKind::NotFound } else { ErrorKind::Ambiguous };
            Err(if there_is.is_empty() {
                Error::refused_with_hint(message, Hint::from("nothing is attached: ").verb("attach").text(" does it"))
                    .of_kind(kind)
            } else {
                Error::refused_with_hint(
                    message,
                    format!("give a type, a digest or a title: there is {}", there_is.join(", ")),
                )
                .of_kind(kind)
            })
        }
    }
}
