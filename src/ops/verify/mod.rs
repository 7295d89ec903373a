//! `verify`: checks that every byte of a layout is what its documents say it is.
//!
//! [`verify`] first reads the documents, from `index.json` on, and then each other blob once: counted, hashed,
//! decompressed and walked as tar in the same pass. It lists everything that it finds and goes on where it can. Every
//! [`Rule`] has a stable name, a meaning, and the section that it comes from.
//!
//! Documents are checked against tables rather than read into structs: a struct is read as a whole or not at all, and
//! one bad digest would hide what is wrong with the rest.

mod blob;
mod cache;
mod config;
mod documents;
mod finding;
mod heads;
mod index;
mod json;
mod layer;
mod links;
mod manifest;
mod mention;
mod referrers;
mod shape;
mod stored;

pub use crate::rule::{Depth, Rule, RuleReport, Severity, Verdict};
pub use cache::{verify_cache, CacheVerification};
pub use finding::Finding;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::digest::Digest;
use crate::error::Result;
use crate::layout::{
    blob_path, digest_of_path, hold_still, is_docker_file, Layout, Location, DOCKER_MANIFEST, INDEX, MARKER,
};
use crate::work::{Observer, Work};
use blob::Blobs;
use documents::DocumentWalk;
use finding::{FindingPlace, Findings};

/// How images are verified.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct VerifyOptions {}

/// What was looked at and what was found.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct VerifyReport {
    /// Where it is.
    pub image: String,
    /// How many manifests of images there are.
    pub images: u64,
    /// How many blobs were read, documents included.
    pub blobs: u64,
    /// Their stored bytes.
    pub bytes: u64,
    /// How many findings are errors.
    pub errors: usize,
    /// How many are notes.
    pub notes: usize,
    /// All findings, documents first and blobs in the order in which they are mentioned.
    pub findings: Vec<Finding>,
}

impl VerifyReport {
    /// Whether no finding is an error.
    pub fn is_good(&self) -> bool {
        self.errors == 0
    }
}

/// Verifies what the location means: the images of a ref name, or without one everything in the layout, including blobs
/// that nothing refers to.
///
/// Memory grows with the number of entries of the largest layer, or of an image whose upper layers lack directories,
/// never with the size of blobs.
///
/// # Errors
///
/// What is wrong with the image is a [`Finding`]. An error means that there is no such ref name, that nothing of a
/// layout is there or it cannot be read, or that the observer interrupted the work.
pub fn verify(location: &Location, _: &VerifyOptions, work: &Work<'_>) -> Result<VerifyReport> {
    let once = || {
        let layout = Layout::open_as_it_is(location, work.limits)?;
        layout.refuse_other_content()?;
        let mut index_json = None;
        let report = verify_now(&layout, work, &mut index_json)?;
        // What is wrong may be so only because the layout was changed meanwhile: what is said holds for one index.
        let holds = report.is_good() || layout.has_still(index_json.as_deref()).unwrap_or(true);
        work.observer.check()?;
        Ok((report, holds))
    };
    for _ in 1..ATTEMPTS {
        if let (report, true) = once()? {
            return Ok(report);
        }
    }
    // They change it faster than it is read: for once they wait.
    let _still = hold_still(&location.path, work.observer)?;
    once().map(|(report, _)| report)
}

/// How often a layout is verified that others change again and again.
const ATTEMPTS: usize = 8;

/// Leaves the `index.json` that it reads in `index_json`.
fn verify_now(layout: &Layout, work: &Work<'_>, index_json: &mut Option<Vec<u8>>) -> Result<VerifyReport> {
    let observer = work.observer;
    let mut findings = Findings::default();
    for name in layout.repeated() {
        findings.add(Rule::ArchiveRepeatedFile, &FindingPlace::file(name), "one file of this name", "several");
    }
    let (trailing, place) = (layout.trailing(), FindingPlace::file(layout.location().path.to_string_lossy()));
    if let Some(offset) = trailing.in_tar {
        let found = format!("something at byte {offset}");
        findings.add(Rule::TarTrailingBytes, &place, "nothing but zeros after the end of the archive", &found);
    }
    if trailing.after_stream > 0 {
        let found = format!("{} bytes after it", trailing.after_stream);
        findings.add(Rule::LayerTrailingBytes, &place, "the end of the compressed stream", &found);
    }
    for file in layout.unchecked() {
        let expected = "xz with an integrity check";
        findings.add(Rule::XzCheck, &FindingPlace::file(file), expected, "a stream without one");
    }
    let sizes: BTreeMap<String, u64> = layout.files()?.into_iter().map(|file| (file.name, file.size)).collect();

    let quiet = Quiet(observer);
    let unheard = Work { observer: &quiet, ..*work };
    let mut documents = DocumentWalk::new(layout, &quiet, &mut findings);
    documents.walk()?;
    *index_json = documents.index_json.take();
    let (mut blobs_read, mut bytes_read) = documents.read();
    let images = documents.images;
    let is_dockers_too = sizes.contains_key(DOCKER_MANIFEST);
    let is_expected = |name: &str| is_mentioned(name, &documents) || (is_dockers_too && is_docker_file(name));
    let unmentioned: Vec<&String> = match layout.location().part() {
        None => sizes.keys().filter(|name| !is_expected(name)).collect(),
        Some(_) => Vec::new(),
    };
    let layered = documents.layered;
    let mut blobs = documents.blobs;
    add_unmentioned(&unmentioned, &mut blobs, &mut findings);

    let stored = |digest: &Digest| sizes.get(&blob_path(digest)).copied().unwrap_or_default();
    observer.expect(bytes_read + blobs.iter().map(|blob| stored(&blob.digest)).sum::<u64>());
    observer.advance(bytes_read);
    let mut implied = BTreeSet::new();
    for blob in blobs.iter() {
        observer.step(&format!("read blob {}", blob.digest));
        if let Some(size) = blob.check(layout, observer, &mut findings, &mut implied)? {
            blobs_read += 1;
            bytes_read += size;
        }
    }
    for layers in &layered {
        links::check(layout, layers, &implied, &unheard, &mut findings)?;
    }
    let findings = findings.finish();
    let errors = findings.iter().filter(|finding| finding.severity() == Severity::Error).count();
    Ok(VerifyReport {
        image: layout.location().to_string(),
        images,
        blobs: blobs_read,
        bytes: bytes_read,
        errors,
        notes: findings.len() - errors,
        findings,
    })
}

/// Hides the progress of documents: while they are read, it is unknown how much there is to read in all.
struct Quiet<'a>(&'a dyn Observer);

impl Observer for Quiet<'_> {
    fn interrupted(&self) -> bool {
        self.0.interrupted()
    }
}

fn is_mentioned(name: &str, documents: &DocumentWalk) -> bool {
    name == MARKER || name == INDEX || digest_of_path(name).is_some_and(|digest| documents.is_mentioned(&digest))
}

fn add_unmentioned(names: &[&String], blobs: &mut Blobs, findings: &mut Findings) {
    for name in names {
        let place = FindingPlace::file(name.as_str());
        match digest_of_path(name) {
            Some(digest) => {
                findings.add(Rule::BlobUnreferenced, &place, "a descriptor of it", "none");
                blobs.add_unmentioned(&digest);
            }
            None => findings.add(Rule::ExtraFile, &place, "nothing", "a file"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::error::Error;
    use crate::testing::TempDir;

    /// Interrupts the work when it was asked so many times.
    struct Impatient(AtomicU32);

    impl Observer for Impatient {
        fn interrupted(&self) -> bool {
            self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_err()
        }
    }

    #[test]
    fn whenever_it_is_stopped_it_says_so_and_nothing_else() {
        let dir = TempDir::new("verify-interrupted");
        let layout = dir.path().join("layout");
        // A layer that is damaged in every way must still not hide an interruption.
        let digest = Digest::of(b"layer");
        let layer = format!(r#"{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{digest}","size":5}}"#);
        let config = r#"{"architecture":"arm64","os":"linux","rootfs":{"type":"layers","diff_ids":["sha256:x"]}}"#;
        let descriptor = |kind: &str, text: &str| {
            let (digest, size) = (Digest::of(text.as_bytes()), text.len());
            format!(r#"{{"mediaType":"application/vnd.oci.image.{kind}.v1+json","digest":"{digest}","size":{size}}}"#)
        };
        let manifest = format!(r#"{{"schemaVersion":2,"config":{},"layers":[{layer}]}}"#, descriptor("config", config));
        let index = format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, descriptor("manifest", &manifest));
        std::fs::create_dir_all(layout.join("blobs/sha256")).unwrap();
        std::fs::write(layout.join(INDEX), index).unwrap();
        for text in ["layer", config, &manifest] {
            std::fs::write(layout.join(blob_path(&Digest::of(text.as_bytes()))), text).unwrap();
        }

        let location = Location::parse(format!("oci:{}", layout.display()).as_ref()).unwrap();
        let verify = |patience| {
            let work = Work { observer: &Impatient(AtomicU32::new(patience)), ..Work::default() };
            verify(&location, &VerifyOptions::default(), &work)
        };
        let patience = (0..1000).find(|patience| match verify(*patience) {
            Err(Error::Interrupted) => false,
            Err(error) => panic!("{error}"),
            Ok(report) => {
                let rules: Vec<&str> = report.findings.iter().map(|finding| finding.rule.name()).collect();
                assert!(rules.contains(&"layout-marker") && rules.contains(&"tar-framing"), "{rules:?}");
                true
            }
        });
        assert!(patience.is_some_and(|patience| patience > 5), "asked {patience:?} times");
    }
}
