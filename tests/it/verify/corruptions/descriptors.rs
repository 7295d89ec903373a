//! The content of descriptors and annotations.

use std::fs;

use serde_json::{json, Value};

use super::{Row, CONFIG, EMPTY, INDEX, LAYER, MANIFEST, REF_NAME};
use crate::verify::specimen::change;

const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

pub(super) fn descriptors() -> Vec<Row> {
    let subject = |digest: &str, size: Value| {
        let subject = json!({"mediaType": MANIFEST, "digest": digest, "size": size});
        change().manifest(move |manifest| manifest["subject"] = subject.clone())
    };
    let absent = format!("sha256:{}", "0".repeat(64));
    let layer = |member: &'static str, value: Value| {
        change().manifest(move |manifest| manifest["layers"][0][member] = value.clone())
    };
    vec![
        ("media-type-grammar", "a type without a subtype", layer("artifactType", json!("text"))),
        (
            "media-type-grammar",
            "a type with a parameter",
            change()
                .manifest(|manifest| manifest["artifactType"] = json!("text/plain;charset=utf-8"))
                .index(|index| index["manifests"][0]["artifactType"] = json!("text/plain;charset=utf-8")),
        ),
        ("descriptor-digest", "a digest cut short", subject("sha256:0123", json!(1))),
        (
            "descriptor-digest",
            "a diff_id in upper case",
            change().config(|config| {
                let upper = config["rootfs"]["diff_ids"][0].as_str().unwrap().to_uppercase().replace("SHA", "sha");
                config["rootfs"]["diff_ids"][0] = upper.into();
            }),
        ),
        ("digest-algorithm", "a digest that nobody reads", subject("blake3:abcdef", json!(1))),
        ("descriptor-size", "less than nothing", subject(&absent, json!(-1))),
        ("descriptor-size", "half a byte", layer("size", json!(1000.5))),
        ("descriptor-size", "more than 63 bits", layer("size", json!(u64::MAX))),
        ("descriptor-data", "no base64", layer("data", json!("{}"))),
        ("descriptor-data", "another size", layer("data", json!("e30="))),
        (
            "descriptor-data",
            "another content",
            change()
                .manifest_and_blobs(|manifest, blobs| {
                    manifest["subject"] = blobs.add(MANIFEST, b"{}");
                    manifest["subject"]["digest"] = format!("sha256:{}", "0".repeat(64)).into();
                    manifest["subject"]["data"] = json!("e30=");
                })
                .files(|layout| {
                    // Members added only for their size.
                    fs::remove_file(
                        layout
                            .root
                            .join("blobs/sha256/44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"),
                    )
                    .unwrap();
                }),
        ),
        ("descriptor-url", "a path", layer("urls", json!(["example.com/layer"]))),
        ("descriptor-url", "a blank", layer("urls", json!(["https://example.com/a layer"]))),
    ]
}

pub(super) fn media_types_and_names() -> Vec<Row> {
    let layer = |member: &'static str, value: Value| {
        change().manifest(move |manifest| manifest["layers"][0][member] = value.clone())
    };
    vec![
        ("descriptor-kind", "a config among the layers", layer("mediaType", json!(CONFIG))),
        (
            "descriptor-kind",
            "a layer for a config",
            change().manifest(|manifest| manifest["config"]["mediaType"] = json!(LAYER)),
        ),
        (
            "descriptor-kind",
            "a layer for a subject",
            change().manifest(|manifest| {
                manifest["subject"] = manifest["layers"][0].clone();
            }),
        ),
        (
            "unknown-media-type",
            "a layer of the future",
            layer("mediaType", json!("application/vnd.oci.image.layer.v2.erofs")),
        ),
        (
            "unknown-media-type",
            "something else in the index",
            change().index_and_blobs(|index, blobs| {
                let descriptor = blobs.add("application/xml", b"<x/>");
                index["manifests"].as_array_mut().unwrap().push(descriptor);
            }),
        ),
        (
            "non-distributable",
            "a layer that must stay where it is",
            layer("mediaType", json!("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip")),
        ),
        (
            "docker-media-type",
            "a layer of Docker's",
            layer("mediaType", json!("application/vnd.docker.image.rootfs.diff.tar.gzip")),
        ),
        (
            "docker-media-type",
            "a config of Docker's",
            change().manifest(|manifest| {
                manifest["config"]["mediaType"] = json!("application/vnd.docker.container.image.v1+json");
            }),
        ),
        (
            "docker-media-type",
            "a manifest of Docker's",
            change()
                .manifest(|manifest| manifest["mediaType"] = json!(DOCKER_MANIFEST))
                .index(|index| index["manifests"][0]["mediaType"] = json!(DOCKER_MANIFEST)),
        ),
        (
            "docker-media-type",
            "a list of Docker's",
            change().index_and_blobs(|index, blobs| {
                index["manifests"][0].as_object_mut().unwrap().remove("annotations");
                let list = json!({"schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": [index["manifests"][0]]});
                index["manifests"][0] = blobs.add_document(DOCKER_LIST, &list);
            }),
        ),
        (
            "ref-name",
            "a separator in front",
            change().index(|index| {
                index["manifests"][0]["annotations"][REF_NAME] = json!("-latest");
            }),
        ),
        (
            "ref-name-repeated",
            "the same image again",
            change().index(|index| {
                let again = index["manifests"][0].clone();
                index["manifests"].as_array_mut().unwrap().push(again);
            }),
        ),
        ("ref-name-place", "on a layer", layer("annotations", json!({REF_NAME: "latest"}))),
        (
            "ref-name-place",
            "on a manifest",
            change().manifest(|manifest| manifest["annotations"] = json!({REF_NAME: "latest"})),
        ),
    ]
}

pub(super) fn artifacts() -> Vec<Row> {
    let artifact = |kind: Value, content: &'static [u8]| {
        change().manifest_and_blobs(move |manifest, blobs| {
            let config = blobs.add(EMPTY, content);
            let blob = blobs.add("text/plain", b"an artifact");
            *manifest = json!({
                "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": kind, "config": config, "layers": [blob],
            });
        })
    };
    vec![
        ("artifact-type", "none", artifact(Value::Null, b"{}")),
        (
            "artifact-type",
            "another in the index",
            artifact(json!("text/x-kind"), b"{}")
                .index(|index| index["manifests"][0]["artifactType"] = json!("text/x-else")),
        ),
        (
            "referrers-tag",
            "an artifact about another image",
            change().index_and_blobs(|index, blobs| {
                let (config, file) = (blobs.add(EMPTY, b"{}"), blobs.add("text/plain", b"a note"));
                let absent = json!({"mediaType": MANIFEST, "digest": format!("sha256:{}", "7".repeat(64)), "size": 1});
                let artifact = json!({
                    "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": "text/x-kind", "config": config,
                    "layers": [file], "subject": absent,
                });
                let artifact = blobs.add_document(MANIFEST, &artifact);
                let list = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [artifact]});
                let mut list = blobs.add_document(INDEX, &list);
                let image = index["manifests"][0]["digest"].as_str().unwrap().replace(':', "-");
                list["annotations"] = json!({REF_NAME: image});
                index["manifests"].as_array_mut().unwrap().push(list);
            }),
        ),
        ("blob-content", "something for nothing", artifact(json!("text/x-kind"), b"[]")),
        (
            "document-null",
            "an index of nothing",
            change().index_and_blobs(|index, blobs| {
                let nothing = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": null});
                let descriptor = blobs.add_document(INDEX, &nothing);
                index["manifests"].as_array_mut().unwrap().push(descriptor);
            }),
        ),
        (
            "attestation-subject",
            "one that nobody listed",
            change().index(|index| {
                let about = format!("sha256:{}", "0".repeat(64));
                index["manifests"][0]["annotations"]["vnd.docker.reference.digest"] = about.into();
            }),
        ),
        (
            "no-layers",
            "none",
            change()
                .config(|config| {
                    config["rootfs"]["diff_ids"] = json!([]);
                    config["history"] = json!([]);
                })
                .manifest(|manifest| manifest["layers"] = json!([])),
        ),
    ]
}
