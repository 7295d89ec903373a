//! The layout, and documents as such.

use std::fs;

use serde_json::json;

use super::{Row, MANIFEST};
use crate::verify::specimen::change;

pub(super) fn layout() -> Vec<Row> {
    vec![
        (
            "layout-marker",
            "no marker",
            change().files(|layout| fs::remove_file(layout.root.join("oci-layout")).unwrap()),
        ),
        (
            "layout-marker",
            "another version",
            change().files(|layout| {
                fs::write(layout.root.join("oci-layout"), r#"{"imageLayoutVersion":"2.0.0"}"#).unwrap();
            }),
        ),
        ("layout-index", "no index", change().files(|layout| fs::remove_file(layout.root.join("index.json")).unwrap())),
        ("extra-file", "a readme", change().files(|layout| fs::write(layout.root.join("README"), "x").unwrap())),
        (
            "extra-file",
            "a blob that no digest could name",
            change().files(|layout| fs::write(layout.root.join("blobs/sha256/0123"), "x").unwrap()),
        ),
        (
            "blob-unreferenced",
            "a blob too many",
            change().index_and_blobs(|_, blobs| {
                blobs.add("text/plain", b"left over");
            }),
        ),
    ]
}

#[allow(clippy::too_many_lines)] // A table.
pub(super) fn documents() -> Vec<Row> {
    let blank = |text: &mut Vec<u8>| text.resize((4 << 20) + 1, b' ');
    vec![
        ("document-size", "4 MiB of blanks after the config", change().config_text(blank)),
        (
            "document-size",
            "64 MiB of blanks after the index",
            change().index_text(|text| text.resize((64 << 20) + 1, b' ')),
        ),
        (
            "document-structure",
            "a number for a host",
            change().config(|config| config["config"]["Hostname"] = json!(5)),
        ),
        (
            "document-structure",
            "a text for a list in what Docker built it with",
            change().config(|config| config["container_config"] = json!({"Shell": "/bin/sh"})),
        ),
        ("document-structure", "a text for a flag", change().config(|config| config["config"]["Tty"] = json!("yes"))),
        (
            "document-structure",
            "a number for Docker's version",
            change().config(|config| config["docker_version"] = json!(20)),
        ),
        (
            "document-structure",
            "a time limit with a point",
            change().config(|config| config["config"]["StopTimeout"] = json!(10.0)),
        ),
        (
            "document-structure",
            "a time limit that 64 bits cannot hold",
            change().config(|config| config["config"]["StopTimeout"] = json!(1e20)),
        ),
        ("document-structure", "half a byte", change().config(|config| config["Size"] = json!(5.5))),
        ("document-structure", "a version that is a text", change().index(|index| index["schemaVersion"] = json!("2"))),
        (
            "document-null",
            "a label and part of a command",
            change().config(|config| {
                config["config"]["Labels"] = json!({"a": null});
                config["config"]["Cmd"] = json!(["sh", null]);
            }),
        ),
        ("document-null", "a volume", change().config(|config| config["config"]["Volumes"] = json!({"/v": null}))),
        ("document-null", "an annotation", change().manifest(|manifest| manifest["annotations"] = json!({"a": null}))),
        ("document-json", "half a config", change().config_text(|text| text.truncate(text.len() / 2))),
        ("document-json", "a comma too many", change().index_text(|text| text.insert(1, b','))),
        (
            "document-repeated-member",
            "two architectures",
            change().config_text(|text| {
                text.splice(1..1, *br#""architecture":"arm64","#);
            }),
        ),
        (
            "document-member-case",
            "two lists of layers, for readers that do not mind case",
            change().manifest(|manifest| manifest["Layers"] = json!([])),
        ),
        (
            "document-structure",
            "no operating system",
            change().config(|config| {
                config.as_object_mut().unwrap().remove("os");
            }),
        ),
        (
            "document-structure",
            "a command in one string",
            change().config(|config| config["config"]["Cmd"] = json!("sh -l")),
        ),
        (
            "document-structure",
            "a number among annotations",
            change().manifest(|manifest| manifest["annotations"] = json!({"a": 1})),
        ),
        (
            "document-structure",
            "no list of manifests",
            change().index_and_blobs(|index, blobs| {
                index["manifests"][0] = blobs.add_document(
                    "application/vnd.oci.image.index.v1+json",
                    &json!({
                        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
                    }),
                );
            }),
        ),
        ("schema-version", "1 in the manifest", change().manifest(|manifest| manifest["schemaVersion"] = json!(1))),
        (
            "schema-version",
            "none in the manifest",
            change().manifest(|manifest| {
                manifest.as_object_mut().unwrap().remove("schemaVersion");
            }),
        ),
        ("schema-version", "null in the index", change().index(|index| index["schemaVersion"] = json!(null))),
        (
            "schema-version",
            "none in the index",
            change().index(|index| {
                index.as_object_mut().unwrap().remove("schemaVersion");
            }),
        ),
        ("schema-version", "3 in the index", change().index(|index| index["schemaVersion"] = json!(3))),
        (
            "document-media-type",
            "Docker's type in an OCI manifest",
            change().manifest(|manifest| {
                manifest["mediaType"] = json!("application/vnd.docker.distribution.manifest.v2+json");
            }),
        ),
        (
            "document-media-type",
            "a manifest's type in the index",
            change().index(|index| index["mediaType"] = json!(MANIFEST)),
        ),
        (
            "document-media-type-missing",
            "none in the manifest",
            change().manifest(|manifest| {
                manifest.as_object_mut().unwrap().remove("mediaType");
            }),
        ),
        (
            "document-ambiguous",
            "a manifest that is an index too",
            change().manifest(|manifest| manifest["manifests"] = json!([])),
        ),
        ("document-ambiguous", "an index with a config", change().index(|index| index["config"] = json!({}))),
        (
            "document-ambiguous",
            "a manifest of schema 1 to readers that do not mind case",
            change().manifest(|manifest| manifest["FSLAYERS"] = json!([])),
        ),
        ("document-ambiguous", "an index with a Config", change().index(|index| index["Config"] = json!({}))),
        ("document-ambiguous", "an index of schema 1", change().index(|index| index["history"] = json!([]))),
        (
            "document-ambiguous",
            "a manifest of schema 1",
            change().manifest(|manifest| manifest["fsLayers"] = json!([])),
        ),
        ("document-ambiguous", "an index that is a manifest too", change().index(|index| index["layers"] = json!([]))),
        (
            "annotation-value",
            "no time",
            change().manifest(|manifest| {
                manifest["annotations"] = json!({"org.opencontainers.image.created": "yesterday"});
            }),
        ),
        (
            "annotation-value",
            "no digest",
            change().index(|index| {
                index["manifests"][0]["annotations"]["org.opencontainers.image.base.digest"] = json!("sha256:abc");
            }),
        ),
    ]
}
