//! Layouts and tars made by hand, with what no well-behaved writer writes.

use std::fs;
use std::path::Path;

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

/// A layout with one image, `latest`, of these layers, which are stored as they are.
pub(crate) fn make_layout(path: &Path, layers: &[Vec<u8>]) {
    let blobs = path.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let put = |bytes: &[u8], media_type: &str| {
        let digest = sha256(bytes);
        fs::write(blobs.join(&digest), bytes).unwrap();
        json!({"mediaType": media_type, "digest": format!("sha256:{digest}"), "size": bytes.len()})
    };
    let descriptors: Vec<Value> =
        layers.iter().map(|layer| put(layer, "application/vnd.oci.image.layer.v1.tar")).collect();
    let diff_ids: Vec<&Value> = descriptors.iter().map(|layer| &layer["digest"]).collect();
    let config = json!({
        "created": "2001-01-01T00:00:00Z", "architecture": "amd64", "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    });
    let config = put(config.to_string().as_bytes(), "application/vnd.oci.image.config.v1+json");
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({"schemaVersion": 2, "mediaType": media_type, "config": config, "layers": descriptors});
    let mut manifest = put(manifest.to_string().as_bytes(), media_type);
    manifest["annotations"] = json!({"org.opencontainers.image.ref.name": "latest"});
    let index = json!({"schemaVersion": 2, "manifests": [manifest]});
    fs::write(path.join("index.json"), index.to_string()).unwrap();
    fs::write(path.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
}
