//! `diff`: shows what differs between two images, or between an image and a rootfs, and why their digests differ.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;

use crate::digest::{ContentDigest, Digest};
use crate::error::Result;
use crate::image::content_digests;
use crate::image::fetch::UpdateCost;
use crate::image::tree::{read_layers, ImageLayers, Reading, Wanted};
use crate::layout::{Image, Layout, Location};
use crate::oci::annotations::REF_NAME;
use crate::oci::total_size;
use crate::platform::PlatformPattern;
use crate::tree::{
    diff_by, scan, Change, Difference, Entry, FieldChange, Mask, Mtime, Scan, ScanPolicy, TarPath, Tree,
};
use crate::work::Work;

/// One of the two things that are compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Side {
    /// An image.
    Image(Location),
    /// A directory with a rootfs.
    Rootfs(PathBuf),
}

/// How two sides are compared.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct DiffOptions {
    /// The platform of the images, if there are several.
    pub platform: Option<PlatformPattern>,
}

/// What differs.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct DiffReport {
    /// Why the digests differ, or that they do not, in one line.
    pub reason: String,
    /// Whether there is no difference at all.
    pub same: bool,
    /// How much differs.
    pub summary: DiffSummary,
    /// What a device that has the first image must fetch for the second; `None` if one side is a rootfs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update: Option<UpdateCost>,
    /// Members of the manifest and the configuration that differ. Digests and sizes of the documents themselves do not
    /// count; they follow.
    pub documents: Vec<DocumentDifference>,
    /// Entries that differ, in the order of their paths.
    pub entries: Vec<Difference>,
    /// What only the indexes say differently about the two images. It is not part of them, and is lost when they are
    /// copied.
    pub notes: Vec<DocumentDifference>,
}

/// Numbers of differences.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DiffSummary {
    /// Entries that only the second side has.
    pub added: usize,
    /// Entries that only the first side has.
    pub removed: usize,
    /// Entries that differ.
    pub changed: usize,
    /// In how many of those each field differs.
    pub fields: BTreeMap<&'static str, usize>,
    /// Members of each document that differ.
    pub documents: BTreeMap<&'static str, usize>,
}

/// A member of a document that differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct DocumentDifference {
    /// `index`, `manifest` or `config`.
    pub document: &'static str,
    /// Where in it, as a JSON pointer (RFC 6901).
    pub member: String,
    /// The value on the first side, or `None` if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Value>,
    /// The value on the second side, or `None` if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Value>,
}

impl DocumentDifference {
    /// Whether it is implied by what the layers hold.
    pub(crate) fn follows_from_layers(&self) -> bool {
        let members = ["/layers", "/rootfs/diff_ids", "/history"];
        members.iter().any(|member| self.member.starts_with(member))
    }
}

/// Compares two sides. Contents are compared by digest; layers whose diff_ids are equal are not read.
pub fn diff(old: &Side, new: &Side, options: &DiffOptions, work: &Work<'_>) -> Result<DiffReport> {
    let (old, new) = (Opened::open(old, options, work)?, Opened::open(new, options, work)?);
    let entries = match (&old, &new) {
        (Opened::Image(_, old), Opened::Image(_, new)) if is_same_content(old, new) => Vec::new(),
        _ => {
            work.observer.expect(old.bytes() + new.bytes());
            let same_time: fn(Mtime, Mtime) -> bool = match (&old, &new) {
                (Opened::Image(..), Opened::Image(..)) => |old, new| old == new,
                (Opened::Image(..), Opened::Rootfs(..)) => |held, on_disk| on_disk.beside(held) == held,
                (Opened::Rootfs(..), Opened::Image(..)) => |on_disk, held| on_disk.beside(held) == held,
                // As a build would read them.
                (Opened::Rootfs(..), Opened::Rootfs(..)) => |old, new| old.whole() == new.whole(),
            };
            entry_differences(&old.read(work)?, &new.read(work)?, same_time)?
        }
    };
    match (&old, &new) {
        (Opened::Image(_, old), Opened::Image(_, new)) => between(old, new, entries),
        _ => Ok(DiffReport {
            reason: match entries.len() {
                0 => "the filesystems are equal".to_owned(),
                count => entries_differ(count),
            },
            same: entries.is_empty(),
            summary: summary(&[], &entries),
            update: None,
            documents: Vec::new(),
            entries,
            notes: Vec::new(),
        }),
    }
}

/// Whether the layers of two images hold the same, so that none need be read.
pub(crate) fn is_same_content(old: &Image, new: &Image) -> bool {
    diff_ids(old) == diff_ids(new)
}

/// What differs between two images, of which the `entries` that differ are known.
pub(crate) fn between(old: &Image, new: &Image, entries: Vec<Difference>) -> Result<DiffReport> {
    let differences = document_differences(old, new)?.into_iter();
    let (notes, documents): (Vec<_>, Vec<_>) = differences.partition(|difference| difference.document == "index");
    Ok(DiffReport {
        reason: reason(old, new, &documents, entries.len()),
        same: documents.is_empty() && entries.is_empty() && digest(old) == digest(new),
        summary: summary(&documents, &entries),
        update: Some(UpdateCost::of_images(old, new)),
        documents,
        entries,
        notes,
    })
}

fn summary(documents: &[DocumentDifference], entries: &[Difference]) -> DiffSummary {
    let mut summary = DiffSummary::default();
    for entry in entries {
        match &entry.change {
            Change::Added { .. } => summary.added += 1,
            Change::Removed { .. } => summary.removed += 1,
            Change::Changed { fields } => {
                summary.changed += 1;
                let mut names: Vec<&str> = fields.iter().map(FieldChange::name).collect();
                // Several attributes of one entry count once.
                names.dedup();
                for name in names {
                    *summary.fields.entry(name).or_default() += 1;
                }
            }
        }
    }
    for difference in documents {
        *summary.documents.entry(difference.document).or_default() += 1;
    }
    summary
}

enum Opened {
    Image(Box<Layout>, Box<Image>),
    Rootfs(PathBuf, Box<Scan>),
}

/// A tree and the digests of its files, by the paths that hold them.
struct ReadTree<'a> {
    tree: Cow<'a, Tree>,
    digests: BTreeMap<TarPath, ContentDigest>,
}

impl Opened {
    fn open(side: &Side, options: &DiffOptions, work: &Work<'_>) -> Result<Self> {
        match side {
            Side::Image(location) => {
                let layout = Layout::open(location, work.limits)?;
                let image = layout.image(options.platform.as_ref())?;
                Ok(Opened::Image(Box::new(layout), Box::new(image)))
            }
            Side::Rootfs(path) => {
                work.observer.step(&format!("look at {}", path.display()));
                Ok(Opened::Rootfs(path.clone(), Box::new(scan(path, &ScanPolicy::default(), work.observer)?)))
            }
        }
    }

    /// How many bytes are read.
    fn bytes(&self) -> u64 {
        match self {
            Opened::Image(_, image) => total_size(&image.manifest.value().layers),
            Opened::Rootfs(_, scan) => scan.tree.content_size(),
        }
    }

    fn read(&self, work: &Work<'_>) -> Result<ReadTree<'_>> {
        match self {
            Opened::Image(layout, image) => {
                work.observer.step(&format!("read {}", layout.location()));
                let mut layers = ImageLayers::default();
                let wanted = Wanted::Digests { cache: None };
                layers.push(read_layers(layout, image, usize::MAX, &wanted, Reading::Watched, work)?, work.observer)?;
                let tree = layers.into_tree();
                Ok(ReadTree { digests: tree.digests(), tree: Cow::Owned(tree.folded.tree) })
            }
            Opened::Rootfs(path, scan) => {
                work.observer.step(&format!("read {}", path.display()));
                let files: Vec<&Entry> = scan.tree.iter().filter(|entry| entry.is_file()).collect();
                let digests = content_digests::of(&files, &scan.content, work)?;
                Ok(ReadTree { tree: Cow::Borrowed(&scan.tree), digests })
            }
        }
    }
}

fn diff_ids(image: &Image) -> &[Digest] {
    &image.config.value().rootfs.diff_ids
}

fn entry_differences(
    old: &ReadTree<'_>,
    new: &ReadTree<'_>,
    same_time: fn(Mtime, Mtime) -> bool,
) -> Result<Vec<Difference>> {
    let same_content = |a: &Entry, b: &Entry| Ok(old.digests.get(&a.path) == new.digests.get(&b.path));
    diff_by(&old.tree, &new.tree, &Mask::default(), same_time, same_content)
}

fn digest(image: &Image) -> &Digest {
    &image.path.descriptor().digest
}

fn entries_differ(count: usize) -> String {
    match count {
        1 => "1 entry of the filesystem differs".to_owned(),
        count => format!("{count} entries of the filesystem differ"),
    }
}

/// Why the digests differ, where `count` entries do.
fn reason(a: &Image, b: &Image, documents: &[DocumentDifference], count: usize) -> String {
    if digest(a) == digest(b) {
        return "same manifest: the images are one".to_owned();
    }
    let layer_digests = |image: &Image| -> Vec<Digest> {
        image.manifest.value().layers.iter().map(|layer| layer.digest.clone()).collect()
    };
    let what = if diff_ids(a) != diff_ids(b) {
        match count {
            0 => "the filesystems are equal: the layers are cut, ordered or written otherwise".to_owned(),
            count => entries_differ(count),
        }
    } else if layer_digests(a) != layer_digests(b) {
        "same diff_ids, other compression".to_owned()
    } else {
        "same layers".to_owned()
    };
    // What follows from the layers is not a reason of its own.
    let differs = |document: &str| {
        documents.iter().any(|difference| difference.document == document && !difference.follows_from_layers())
    };
    let others: Vec<&str> = [("config", "configuration"), ("manifest", "manifest")]
        .into_iter()
        .filter(|(key, _)| differs(key))
        .map(|(_, name)| name)
        .collect();
    match others.as_slice() {
        [] if what == "same layers" => {
            "same layers, configuration and manifest: the documents are written otherwise".to_owned()
        }
        [] => what,
        [one] => format!("{what}; the {one} differs"),
        others => format!("{what}; the {} differ", others.join(" and the ")),
    }
}

fn document_differences(old: &Image, new: &Image) -> Result<Vec<DocumentDifference>> {
    let json = |raw: &[u8], subject: &str| {
        serde_json::from_slice::<Value>(raw).map_err(|error| crate::Error::malformed(subject, error.to_string()))
    };
    // The name of an image is not part of it.
    let descriptor = |image: &Image| {
        let mut entry = image.path.entry().clone();
        entry.annotations = entry.annotations.map(|mut annotations| {
            annotations.remove(REF_NAME);
            annotations
        });
        serde_json::to_value(entry).unwrap_or_default()
    };
    let mut differences = Vec::new();
    for (document, mut a, mut b) in [
        ("index", descriptor(old), descriptor(new)),
        ("manifest", json(old.manifest.raw(), "manifest")?, json(new.manifest.raw(), "manifest")?),
        ("config", json(old.config.raw(), "config")?, json(new.config.raw(), "config")?),
    ] {
        for value in [&mut a, &mut b] {
            forget_what_follows(document, value);
        }
        let mut report = |member: &str, from: Option<&Value>, to: Option<&Value>| {
            let member = member.to_owned();
            differences.push(DocumentDifference { document, member, from: from.cloned(), to: to.cloned() });
        };
        compare(&mut String::new(), Some(&a), Some(&b), &mut report);
    }
    Ok(differences)
}

/// Removes the digest and size of a document, which follow from its content.
fn forget_what_follows(document: &str, value: &mut Value) {
    let descriptor = if document == "manifest" { value.get_mut("config") } else { Some(value) };
    if document == "config" {
        return;
    }
    if let Some(object) = descriptor.and_then(Value::as_object_mut) {
        object.remove("digest");
        object.remove("size");
    }
}

/// Walks two values side by side, and reports where they differ.
fn compare(
    member: &mut String,
    old: Option<&Value>,
    new: Option<&Value>,
    report: &mut impl FnMut(&str, Option<&Value>, Option<&Value>),
) {
    let length = member.len();
    let mut step = |name: &str, old: Option<&Value>, new: Option<&Value>| {
        member.push('/');
        member.push_str(&name.replace('~', "~0").replace('/', "~1"));
        compare(member, old, new, report);
        member.truncate(length);
    };
    match (old, new) {
        (Some(Value::Object(a)), Some(Value::Object(b))) => {
            let mut names: Vec<&String> = a.keys().chain(b.keys().filter(|name| !a.contains_key(*name))).collect();
            names.sort();
            for name in names {
                step(name, a.get(name), b.get(name));
            }
        }
        (Some(Value::Array(a)), Some(Value::Array(b))) => {
            for at in 0..a.len().max(b.len()) {
                step(&at.to_string(), a.get(at), b.get(at));
            }
        }
        (old, new) if old != new => report(member, old, new),
        _ => {}
    }
}

/// Whether a directory is a rootfs rather than a layout.
pub fn is_rootfs(path: &Path) -> bool {
    path.is_dir() && !path.join("index.json").is_file()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn documents_are_compared_member_by_member() {
        let a = json!({"a": 1, "b": {"x/y": [1, 2]}, "same": [{"k": "v"}]});
        let b = json!({"b": {"x/y": [1, 3, 4]}, "c": null, "same": [{"k": "v"}]});
        let mut found = Vec::new();
        compare(&mut String::new(), Some(&a), Some(&b), &mut |member, from, to| {
            found.push(format!("{member} {from:?} {to:?}"));
        });
        assert_eq!(
            found,
            [
                "/a Some(Number(1)) None",
                "/b/x~1y/1 Some(Number(2)) Some(Number(3))",
                "/b/x~1y/2 None Some(Number(4))",
                "/c None Some(Null)",
            ]
        );
    }
}
