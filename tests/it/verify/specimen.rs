//! An image in pieces, to be damaged at any level and sealed again from there upward, so that only the damage is wrong.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;

use serde_json::{json, Value};

use crate::harness::{sha256, Layout};

/// A good image, and pending changes to it.
pub(super) struct Specimen {
    tar: Vec<u8>,
    /// The layer's blob as the tool wrote it.
    blob: Vec<u8>,
    config: Value,
    manifest: Value,
    index: Value,
}

/// A change and its level: everything above is sealed again.
#[derive(Default)]
pub(super) struct Changes {
    tar: Vec<Edit<Vec<u8>>>,
    blob: Vec<Edit<Vec<u8>>>,
    config: DocumentEdits,
    manifest: DocumentEdits,
    index: DocumentEdits,
    files: Vec<FilesEdit>,
}

type Edit<T> = Box<dyn Fn(&mut T)>;
type DocumentEdit = Box<dyn Fn(&mut Value, &mut Blobs)>;
type FilesEdit = Box<dyn Fn(&Written)>;

#[derive(Default)]
struct DocumentEdits {
    value: Vec<DocumentEdit>,
    text: Vec<Edit<Vec<u8>>>,
}

/// The starting point of each row of a table.
pub(super) fn change() -> Changes {
    Changes::default()
}

impl Changes {
    /// The uncompressed layer.
    pub(super) fn tar(mut self, edit: impl Fn(&mut Vec<u8>) + 'static) -> Self {
        self.tar.push(Box::new(edit));
        self
    }

    /// The layer's blob.
    pub(super) fn blob(mut self, edit: impl Fn(&mut Vec<u8>) + 'static) -> Self {
        self.blob.push(Box::new(edit));
        self
    }

    pub(super) fn config(mut self, edit: impl Fn(&mut Value) + 'static) -> Self {
        self.config.value.push(Box::new(move |value, _| edit(value)));
        self
    }

    pub(super) fn config_text(mut self, edit: impl Fn(&mut Vec<u8>) + 'static) -> Self {
        self.config.text.push(Box::new(edit));
        self
    }

    pub(super) fn manifest(mut self, edit: impl Fn(&mut Value) + 'static) -> Self {
        self.manifest.value.push(Box::new(move |value, _| edit(value)));
        self
    }

    /// With blobs to add to the layout.
    pub(super) fn manifest_and_blobs(mut self, edit: impl Fn(&mut Value, &mut Blobs) + 'static) -> Self {
        self.manifest.value.push(Box::new(edit));
        self
    }

    pub(super) fn index(mut self, edit: impl Fn(&mut Value) + 'static) -> Self {
        self.index.value.push(Box::new(move |value, _| edit(value)));
        self
    }

    pub(super) fn index_and_blobs(mut self, edit: impl Fn(&mut Value, &mut Blobs) + 'static) -> Self {
        self.index.value.push(Box::new(edit));
        self
    }

    pub(super) fn index_text(mut self, edit: impl Fn(&mut Vec<u8>) + 'static) -> Self {
        self.index.text.push(Box::new(edit));
        self
    }

    /// Changes files of the layout; nothing is sealed afterwards.
    pub(super) fn files(mut self, edit: impl Fn(&Written) + 'static) -> Self {
        self.files.push(Box::new(edit));
        self
    }
}

/// Blobs by digest.
#[derive(Default)]
pub(super) struct Blobs(BTreeMap<String, Vec<u8>>);

impl Blobs {
    /// Adds a blob and returns its descriptor.
    pub(super) fn add(&mut self, media_type: &str, bytes: &[u8]) -> Value {
        let digest = format!("sha256:{}", sha256(bytes));
        self.0.insert(digest.clone(), bytes.to_vec());
        json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
    }

    pub(super) fn add_document(&mut self, media_type: &str, document: &Value) -> Value {
        self.add(media_type, &serde_json::to_vec(document).unwrap())
    }
}

/// A layout on disk.
pub(super) struct Written<'a> {
    pub(super) root: &'a Path,
    layer: String,
    config: String,
    manifest: String,
}

impl Written<'_> {
    pub(super) fn layer(&self) -> std::path::PathBuf {
        self.root.join(&self.layer)
    }

    pub(super) fn config(&self) -> std::path::PathBuf {
        self.root.join(&self.config)
    }

    pub(super) fn manifest(&self) -> std::path::PathBuf {
        self.root.join(&self.manifest)
    }
}

impl Specimen {
    /// Takes the image of this layout apart.
    pub(super) fn of(layout: &Path) -> Self {
        let image = Layout::at(layout).latest();
        Specimen {
            tar: image.stream(),
            blob: image.layer_blob(),
            config: image.config.clone(),
            manifest: image.manifest.clone(),
            index: Layout::at(layout).index(),
        }
    }

    /// Writes the image with the changes in it to a new layout at `root`.
    pub(super) fn write(&self, changes: &Changes, root: &Path) {
        let mut blobs = Blobs::default();

        let mut tar = self.tar.clone();
        changes.tar.iter().for_each(|edit| edit(&mut tar));
        let mut blob = if changes.tar.is_empty() { self.blob.clone() } else { gzip(&tar) };
        changes.blob.iter().for_each(|edit| edit(&mut blob));

        let mut config = self.config.clone();
        config["rootfs"]["diff_ids"][0] = format!("sha256:{}", sha256(&tar)).into();
        let config = seal(config, &changes.config, &mut blobs);

        let mut manifest = self.manifest.clone();
        describe(&mut manifest["layers"][0], &blob);
        describe(&mut manifest["config"], &config);
        let manifest = seal(manifest, &changes.manifest, &mut blobs);

        let mut index = self.index.clone();
        describe(&mut index["manifests"][0], &manifest);
        let index = seal(index, &changes.index, &mut blobs);

        fs::create_dir_all(root.join("blobs/sha256")).unwrap();
        fs::write(root.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        fs::write(root.join("index.json"), &index).unwrap();
        let path_of = |bytes: &[u8]| format!("blobs/sha256/{}", sha256(bytes));
        // Blobs that have lost their descriptor in a change are left out.
        let is_mentioned = |bytes: &[u8]| {
            let digest = sha256(bytes).into_bytes();
            let is_in = |document: &[u8]| document.windows(digest.len()).any(|window| window == digest);
            is_in(&manifest) || is_in(&index) || blobs.0.values().any(|other| is_in(other))
        };
        for bytes in [&blob, &config, &manifest].into_iter().filter(|bytes| is_mentioned(bytes)) {
            fs::write(root.join(path_of(bytes)), bytes).unwrap();
        }
        for (digest, bytes) in &blobs.0 {
            fs::write(root.join("blobs").join(digest.replace(':', "/")), bytes).unwrap();
        }
        let written = Written { root, layer: path_of(&blob), config: path_of(&config), manifest: path_of(&manifest) };
        changes.files.iter().for_each(|edit| edit(&written));
    }
}

fn seal(mut document: Value, edits: &DocumentEdits, blobs: &mut Blobs) -> Vec<u8> {
    edits.value.iter().for_each(|edit| edit(&mut document, blobs));
    let mut bytes = serde_json::to_vec(&document).unwrap();
    edits.text.iter().for_each(|edit| edit(&mut bytes));
    bytes
}

/// Puts a blob's size and digest into a descriptor.
fn describe(descriptor: &mut Value, bytes: &[u8]) {
    descriptor["digest"] = format!("sha256:{}", sha256(bytes)).into();
    descriptor["size"] = bytes.len().into();
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
