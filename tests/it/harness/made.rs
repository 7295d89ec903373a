//! Layouts and tars made by hand, with content that no well-behaved writer writes.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{json, Value};

use super::sha256;

/// A member of a tar: its raw name, its type, where it links to, its content.
pub(crate) enum Member<'a> {
    Directory(&'a str),
    File(&'a str, &'a str),
    Symlink(&'a str, &'a str),
    Hardlink(&'a str, &'a str),
}

/// A tar of these members in this order: ustar, mode 0755 or 0644, owner 0:0, time 1.
pub(crate) fn tar_of(members: &[Member<'_>]) -> Vec<u8> {
    let mut tar = Vec::new();
    for member in members {
        let (kind, name, link, content) = match member {
            Member::Directory(name) => (b'5', name, "", ""),
            Member::File(name, content) => (b'0', name, "", *content),
            Member::Symlink(name, link) => (b'2', name, *link, ""),
            Member::Hardlink(name, link) => (b'1', name, *link, ""),
        };
        let mut header = tar::Header::new_ustar();
        let fields = header.as_ustar_mut().expect("a ustar header");
        fields.name[..name.len()].copy_from_slice(name.as_bytes());
        fields.linkname[..link.len()].copy_from_slice(link.as_bytes());
        fields.typeflag = [kind];
        header.set_mode(match member {
            Member::Directory(_) => 0o755,
            Member::Symlink(..) => 0o777,
            _ => 0o644,
        });
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1);
        header.set_size(content.len() as u64);
        header.set_cksum();
        tar.extend_from_slice(header.as_bytes());
        tar.extend_from_slice(content.as_bytes());
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
    tar.resize(tar.len() + 1024, 0);
    tar
}

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// A layout written document by document.
pub(crate) struct ByHand(PathBuf);

impl ByHand {
    /// An empty layout.
    pub(crate) fn at(path: &Path) -> Self {
        fs::create_dir_all(path.join("blobs/sha256")).unwrap();
        fs::write(path.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        ByHand(path.to_path_buf())
    }

    /// Stores a blob; returns its descriptor.
    pub(crate) fn blob(&self, bytes: &[u8], media_type: &str) -> Value {
        let digest = sha256(bytes);
        fs::write(self.0.join("blobs/sha256").join(&digest), bytes).unwrap();
        json!({"mediaType": media_type, "digest": format!("sha256:{digest}"), "size": bytes.len()})
    }

    /// Stores a document; returns its descriptor.
    pub(crate) fn document(&self, document: &Value) -> Value {
        let media_type = document["mediaType"].as_str().expect("a media type");
        self.blob(document.to_string().as_bytes(), media_type)
    }

    /// An image of layers that are stored unchanged. `members` go into its config.
    pub(crate) fn image(&self, layers: &[Vec<u8>], members: &Value) -> Value {
        let layers: Vec<Value> = layers.iter().map(|layer| self.blob(layer, LAYER)).collect();
        let diff_ids: Vec<&Value> = layers.iter().map(|layer| &layer["digest"]).collect();
        let mut config = json!({
            "created": "2001-01-01T00:00:00Z", "architecture": "amd64", "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        });
        config.as_object_mut().unwrap().extend(members.as_object().expect("members").clone());
        let config = self.blob(config.to_string().as_bytes(), CONFIG);
        self.document(&json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers}))
    }

    /// An image of one file for an architecture, with its platform in the descriptor.
    pub(crate) fn platform(&self, architecture: &str, variant: Option<&str>) -> Value {
        let mut platform = json!({"architecture": architecture, "os": "linux"});
        if let Some(variant) = variant {
            platform["variant"] = variant.into();
        }
        let layer = tar_of(&[Member::File("arch", architecture)]);
        with(self.image(&[layer], &platform), &json!({"platform": platform}))
    }

    /// An index of these; returns its descriptor.
    pub(crate) fn index(&self, manifests: &[Value]) -> Value {
        self.document(&json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}))
    }

    /// An artifact attached to `subject`.
    pub(crate) fn artifact(&self, subject: &Value, content: &str) -> Value {
        let subject = json!({
            "mediaType": subject["mediaType"], "digest": subject["digest"], "size": subject["size"],
        });
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": "text/x-note", "config": self.blob(b"{}", EMPTY),
            "layers": [self.blob(content.as_bytes(), "text/x-note")], "subject": subject,
        });
        with(self.document(&manifest), &json!({"artifactType": "text/x-note"}))
    }

    /// Writes `index.json`.
    pub(crate) fn list(&self, manifests: &[Value]) {
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests});
        fs::write(self.0.join("index.json"), index.to_string()).unwrap();
    }
}

/// A descriptor with more members.
pub(crate) fn with(mut descriptor: Value, members: &Value) -> Value {
    descriptor.as_object_mut().expect("an object").extend(members.as_object().expect("an object").clone());
    descriptor
}

/// A descriptor with a ref name.
pub(crate) fn named(descriptor: &Value, name: &str) -> Value {
    with(descriptor.clone(), &json!({"annotations": {"org.opencontainers.image.ref.name": name}}))
}

/// A layout with one image, `latest`, of these layers, which are stored unchanged.
pub(crate) fn make_layout(path: &Path, layers: &[Vec<u8>]) {
    let layout = ByHand::at(path);
    layout.list(&[named(&layout.image(layers, &json!({})), "latest")]);
}
