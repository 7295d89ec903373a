//! Blobs against their descriptors.

use std::fs;

use serde_json::json;

use super::{Row, INDEX, MANIFEST};
use crate::verify::specimen::{change, gzip};

#[allow(clippy::too_many_lines)] // A table.
pub(super) fn blobs() -> Vec<Row> {
    vec![
        ("blob-missing", "the layer", change().files(|layout| fs::remove_file(layout.layer()).unwrap())),
        ("blob-missing", "the config", change().files(|layout| fs::remove_file(layout.config()).unwrap())),
        (
            "layer-count",
            "one more than Docker takes",
            change()
                .config(|config| {
                    let diff_id = config["rootfs"]["diff_ids"][0].clone();
                    config["rootfs"]["diff_ids"] = vec![diff_id; 126].into();
                    config.as_object_mut().unwrap().remove("history");
                })
                .manifest(|manifest| manifest["layers"] = vec![manifest["layers"][0].clone(); 126].into()),
        ),
        (
            "platform-missing",
            "a manifest that nobody copied",
            change().index_and_blobs(|index, blobs| {
                let mut here = index["manifests"][0].clone();
                here.as_object_mut().unwrap().remove("annotations");
                let gone = json!({
                    "mediaType": MANIFEST, "digest": format!("sha256:{}", "0".repeat(64)), "size": 100,
                    "platform": {"architecture": "amd64", "os": "linux"},
                });
                let nested = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [here, gone]});
                let descriptor = blobs.add_document(INDEX, &nested);
                index["manifests"][0].as_object_mut().unwrap().remove("platform");
                index["manifests"][0].as_object_mut().unwrap().extend(descriptor.as_object().unwrap().clone());
            }),
        ),
        (
            "blob-missing",
            "all that an index lists",
            change().index_and_blobs(|index, blobs| {
                let gone = json!({
                    "mediaType": MANIFEST, "digest": format!("sha256:{}", "0".repeat(64)), "size": 100,
                });
                let nested = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [gone]});
                let descriptor = blobs.add_document(INDEX, &nested);
                index["manifests"].as_array_mut().unwrap().push(descriptor);
            }),
        ),
        (
            "blob-elsewhere",
            "a layer to be fetched",
            change()
                .manifest(|manifest| manifest["layers"][0]["urls"] = json!(["https://example.com/layer"]))
                .files(|layout| fs::remove_file(layout.layer()).unwrap()),
        ),
        (
            "blob-unreadable",
            "a directory for a layer",
            change().files(|layout| {
                fs::remove_file(layout.layer()).unwrap();
                fs::create_dir(layout.layer()).unwrap();
            }),
        ),
        (
            "blob-unreadable",
            "a directory for a config",
            change().files(|layout| {
                fs::remove_file(layout.config()).unwrap();
                fs::create_dir(layout.config()).unwrap();
            }),
        ),
        (
            "blob-size",
            "a manifest's",
            change().index(|index| {
                index["manifests"][0]["size"] = (index["manifests"][0]["size"].as_u64().unwrap() + 1).into();
            }),
        ),
        (
            "blob-size",
            "a layer's",
            change().manifest(|manifest| {
                manifest["layers"][0]["size"] = (manifest["layers"][0]["size"].as_u64().unwrap() - 1).into();
            }),
        ),
        (
            "blob-digest",
            "a year changed in the config",
            change().files(|layout| {
                let text = fs::read_to_string(layout.config()).unwrap();
                assert!(text.contains("2018-"));
                fs::write(layout.config(), text.replace("2018-", "2019-")).unwrap();
            }),
        ),
        (
            "blob-digest",
            "a bit of gzip that readers skip",
            change().files(|layout| {
                let mut blob = fs::read(layout.layer()).unwrap();
                // The operating system in the header (RFC 1952, 2.3.1).
                blob[9] ^= 1;
                fs::write(layout.layer(), blob).unwrap();
            }),
        ),
        (
            "blob-content",
            "gzip called zstd",
            change().manifest(|manifest| {
                manifest["layers"][0]["mediaType"] = json!("application/vnd.oci.image.layer.v1.tar+zstd");
            }),
        ),
        (
            "blob-content",
            "gzip called no compression",
            change().manifest(|manifest| {
                manifest["layers"][0]["mediaType"] = json!("application/vnd.oci.image.layer.v1.tar");
            }),
        ),
        ("blob-content", "a compressed config", change().config_text(|text| *text = gzip(text))),
        (
            "blob-content",
            "a manifest called an index",
            change()
                .manifest(|manifest| {
                    manifest["mediaType"] = json!("application/vnd.oci.image.index.v1+json");
                })
                .index(|index| index["manifests"][0]["mediaType"] = json!("application/vnd.oci.image.index.v1+json")),
        ),
    ]
}
