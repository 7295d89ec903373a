//! `verify`: is every byte of a layout what its documents say it is?
//!
//! [`verify`] reads documents first, from `index.json` on, and then each other blob once: counted, hashed, decompressed
//! and walked as tar in the same pass. It lists all that it finds and goes on where it can; every [`Rule`] has a name
//! that stays, a meaning, and the section that it comes from.
//!
//! Documents are held to tables rather than read into structs: a struct is read whole or not at all, and one bad digest
//! would hide what is wrong with the rest.

mod base64;
mod blob;
mod changeset;
mod config;
mod documents;
mod finding;
mod json;
mod layer;
mod mention;
mod rule;
mod shape;

pub use finding::Finding;
pub use rule::{Rule, Severity};

use std::collections::BTreeMap;

use serde::Serialize;

use crate::digest::Digest;
use crate::error::Result;
use crate::layout::{blob_path, Layout, INDEX, MARKER};
use crate::observer::Observer;
use blob::Blobs;
use documents::Documents;
use finding::{Findings, Place};

/// What was looked at and what was found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Where it is.
    pub image: String,
    /// How many manifests of images there are.
    pub images: u64,
    /// How many blobs were read, documents included.
    pub blobs: u64,
    /// Their stored bytes.
    pub bytes: u64,
    /// All that was found, documents first and blobs in the order in which they are mentioned.
    pub findings: Vec<Finding>,
}

impl Report {
    /// How many findings are of this severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity() == severity).count()
    }

    /// Whether no finding is an error.
    pub fn is_good(&self) -> bool {
        self.count(Severity::Error) == 0
    }
}

/// Verifies what the layout's location means: the images of a ref name, or without one all that the layout holds, blobs
/// that nothing refers to included.
///
/// Memory grows with the number of entries of the largest layer, never with the size of blobs.
///
/// # Errors
///
/// What is wrong with the image is a [`Finding`]. An error says that there is no such ref name, that the layout itself
/// cannot be read, or that the observer wanted to stop.
pub fn verify(layout: &Layout, observer: &dyn Observer) -> Result<Report> {
    let mut findings = Findings::default();
    let sizes: BTreeMap<String, u64> = layout.files()?.into_iter().map(|file| (file.name, file.size)).collect();

    let quiet = Quiet(observer);
    let mut documents = Documents::new(layout, &quiet, &mut findings);
    documents.walk()?;
    let (count, bytes) = documents.read();
    let mut report = Report {
        image: layout.location().to_string(),
        images: documents.images,
        blobs: count,
        bytes,
        findings: Vec::new(),
    };
    let unmentioned: Vec<&String> = match layout.location().ref_name {
        None => sizes.keys().filter(|name| !is_mentioned(name, &documents)).collect(),
        Some(_) => Vec::new(),
    };
    let mut blobs = documents.blobs;
    add_unmentioned(&unmentioned, &mut blobs, &mut findings);

    let stored = |digest: &Digest| sizes.get(&blob_path(digest)).copied().unwrap_or_default();
    observer.expect(report.bytes + blobs.iter().map(|blob| stored(&blob.digest)).sum::<u64>());
    observer.advance(report.bytes);
    for blob in blobs.iter() {
        observer.step(&format!("read blob {}", blob.digest));
        if let Some(size) = blob.check(layout, observer, &mut findings)? {
            report.blobs += 1;
            report.bytes += size;
        }
        observer.check()?;
    }
    report.findings = findings.finish();
    Ok(report)
}

/// While documents are read, nobody knows how much there is to read in all.
struct Quiet<'a>(&'a dyn Observer);

impl Observer for Quiet<'_> {
    fn interrupted(&self) -> bool {
        self.0.interrupted()
    }
}

fn is_mentioned(name: &str, documents: &Documents) -> bool {
    name == MARKER || name == INDEX || blob_named(name).is_some_and(|digest| documents.is_mentioned(&digest))
}

/// The digest that a file of the layout is named by; none if it is no blob.
fn blob_named(name: &str) -> Option<Digest> {
    let (algorithm, encoded) = name.strip_prefix("blobs/")?.split_once('/')?;
    format!("{algorithm}:{encoded}").parse().ok()
}

fn add_unmentioned(names: &[&String], blobs: &mut Blobs, findings: &mut Findings) {
    for name in names {
        let place = Place::file(name.as_str());
        match blob_named(name) {
            Some(digest) => {
                findings.add(Rule::BlobUnreferenced, &place, "a descriptor of it", "none");
                blobs.add_unmentioned(&digest);
            }
            None => findings.add(Rule::ExtraFile, &place, "nothing", "a file"),
        }
    }
}
