use std::fs;
use std::path::Path;

use serde_json::{json, Value};

use crate::harness::sha256;
use crate::verify::members::{directory, file, member, pax, Member};

/// Writes a layout with one image, named `latest`, of these layers, whose tars are stored unchanged.
pub(super) fn image(layout: &Path, layers: &[Vec<u8>], config: &Value) {
    let blobs = layout.join("blobs/sha256");
    fs::create_dir_all(&blobs).unwrap();
    let add = |media_type: &str, bytes: &[u8]| {
        fs::write(blobs.join(sha256(bytes)), bytes).unwrap();
        json!({"mediaType": media_type, "digest": format!("sha256:{}", sha256(bytes)), "size": bytes.len()})
    };
    let diff_ids: Vec<String> = layers.iter().map(|tar| format!("sha256:{}", sha256(tar))).collect();
    let config = json!({
        "architecture": "amd64",
        "os": "linux",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    });
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": add("application/vnd.oci.image.config.v1+json", config.to_string().as_bytes()),
        "layers": layers.iter().map(|tar| add("application/vnd.oci.image.layer.v1.tar", tar)).collect::<Value>(),
    });
    let mut entry = add("application/vnd.oci.image.manifest.v1+json", manifest.to_string().as_bytes());
    entry["annotations"] = json!({"org.opencontainers.image.ref.name": "latest"});
    let index = json!({"schemaVersion": 2, "manifests": [entry]});
    fs::write(layout.join("index.json"), index.to_string()).unwrap();
    fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
}

/// A tar of these members.
pub(super) fn tar(members: &[Member]) -> Vec<u8> {
    let mut tar: Vec<u8> = members.iter().flat_map(Member::bytes).collect();
    tar.extend([0; 1024]);
    tar
}

/// A tar of the members in these words: `dir/`, `file=content`, `link->target`, `hard=>target`, `pipe|`, markers by
/// name.
pub(super) fn layer(words: &[&str]) -> Vec<u8> {
    tar(&words.iter().flat_map(|word| described(word)).collect::<Vec<_>>())
}

fn described(word: &str) -> Vec<Member> {
    let link = |typeflag, name, target: &str| match target.len() {
        0..=100 => vec![member(typeflag, name).link(target)],
        _ => vec![pax(&[("linkpath", target)]), member(typeflag, name)],
    };
    if let Some((name, target)) = word.split_once("=>") {
        return link(b'1', name, target);
    }
    if let Some((name, target)) = word.split_once("->") {
        return link(b'2', name, target);
    }
    let (name, content) = word.split_once('=').unwrap_or((word, ""));
    let short = if name.len() > 100 { "long" } else { name };
    let entry = if let Some(name) = short.strip_suffix('|') {
        member(b'6', name)
    } else if name.ends_with('/') {
        directory(short)
    } else {
        file(short, content)
    };
    let header = (name.len() > 100).then(|| pax(&[("path", name)]));
    header.into_iter().chain([entry]).collect()
}
