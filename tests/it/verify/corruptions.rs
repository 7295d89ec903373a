//! One row or more for each rule of `verify`: a corruption of a good image that this rule finds and no other.

use std::fs;

use serde_json::{json, Value};

use super::members::{append, cut_end, directory, extended, file, hardlink, member, pax};
use super::specimen::{change, gzip, Changes};

/// A rule, what is done, and how.
pub(super) type Row = (&'static str, &'static str, Changes);

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
const REF_NAME: &str = "org.opencontainers.image.ref.name";

pub(super) fn rows() -> Vec<Row> {
    [
        layout(),
        documents(),
        descriptors(),
        artifacts(),
        blobs(),
        platforms(),
        configs(),
        compression(),
        tars(),
        whiteouts(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A change of the tar that adds members before its end.
macro_rules! members {
    ($($member:expr),* $(,)?) => {
        change().tar(move |tar| append(tar, &[$($member),*]))
    };
}

fn layout() -> Vec<Row> {
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

fn documents() -> Vec<Row> {
    let blank = |text: &mut Vec<u8>| text.resize((4 << 20) + 1, b' ');
    vec![
        ("document-size", "4 MiB of blanks behind the config", change().config_text(blank)),
        ("document-size", "4 MiB of blanks behind the index", change().index_text(blank)),
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

fn descriptors() -> Vec<Row> {
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
                    // What was added for its size and nothing else.
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

fn artifacts() -> Vec<Row> {
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
        ("blob-content", "something for nothing", artifact(json!("text/x-kind"), b"[]")),
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

fn blobs() -> Vec<Row> {
    vec![
        ("blob-missing", "the layer", change().files(|layout| fs::remove_file(layout.layer()).unwrap())),
        ("blob-missing", "the config", change().files(|layout| fs::remove_file(layout.config()).unwrap())),
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
                // The operating system that wrote it (RFC 1952, 2.3.1).
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

fn platforms() -> Vec<Row> {
    vec![
        (
            "platform-mismatch",
            "another architecture",
            change().index(|index| {
                index["manifests"][0]["platform"]["architecture"] = json!("arm");
            }),
        ),
        (
            "platform-mismatch",
            "another variant",
            change().index(|index| {
                index["manifests"][0]["platform"]["variant"] = json!("v9");
            }),
        ),
        ("platform-mismatch", "another system", change().config(|config| config["os"] = json!("freebsd"))),
        (
            "platform-variant",
            "not in the index",
            change().index(|index| {
                index["manifests"][0]["platform"].as_object_mut().unwrap().remove("variant");
            }),
        ),
        (
            "platform-variant",
            "not in the config",
            change().config(|config| {
                config.as_object_mut().unwrap().remove("variant");
            }),
        ),
        (
            "platform-name",
            "the kernel's name",
            change().config(|config| config["architecture"] = json!("aarch64")).index(|index| {
                index["manifests"][0]["platform"]["architecture"] = json!("aarch64");
            }),
        ),
        (
            "platform-name",
            "a system in upper case",
            change().config(|config| config["os"] = json!("Linux")).index(|index| {
                index["manifests"][0]["platform"]["os"] = json!("Linux");
            }),
        ),
    ]
}

fn configs() -> Vec<Row> {
    let execution =
        |member: &'static str, value: Value| change().config(move |config| config["config"][member] = value.clone());
    vec![
        ("config-rootfs-type", "other than layers", change().config(|config| config["rootfs"]["type"] = json!("tree"))),
        (
            "diff-id-count",
            "one too many",
            change().config(|config| {
                let again = config["rootfs"]["diff_ids"][0].clone();
                config["rootfs"]["diff_ids"].as_array_mut().unwrap().push(again);
            }),
        ),
        ("diff-id-count", "none", change().config(|config| config["rootfs"]["diff_ids"] = json!([]))),
        (
            "diff-id",
            "of another layer",
            change().config(|config| {
                config["rootfs"]["diff_ids"][0] = format!("sha256:{}", "0".repeat(64)).into();
            }),
        ),
        (
            "diff-id",
            "of another layer, in SHA-512",
            change().config(|config| {
                config["rootfs"]["diff_ids"][0] = format!("sha512:{}", "0".repeat(128)).into();
            }),
        ),
        (
            "history-count",
            "one too many",
            change().config(|config| {
                config["history"].as_array_mut().unwrap().push(json!({"created_by": "nobody"}));
            }),
        ),
        (
            "history-count",
            "none that made a layer",
            change().config(|config| config["history"] = json!([{"empty_layer": true}])),
        ),
        ("time-format", "a date", change().config(|config| config["created"] = json!("2018-03-09"))),
        (
            "time-format",
            "seconds in history",
            change().config(|config| config["history"][0]["created"] = json!("1520598896")),
        ),
        ("config-env", "no value", execution("Env", json!(["PATH=/bin", "TERM"]))),
        ("config-env", "no name", execution("Env", json!(["=x"]))),
        ("config-env-repeated", "two values", execution("Env", json!(["A=1", "B=2", "A=3"]))),
        ("config-port", "a name", execution("ExposedPorts", json!({"http": {}}))),
        ("config-port", "no port at all", execution("ExposedPorts", json!({"65536/tcp": {}}))),
        ("config-stop-signal", "an unknown one", execution("StopSignal", json!("SIGSTOPP"))),
        ("config-user", "a blank in it", execution("User", json!("root root"))),
        ("config-user", "no group behind the colon", execution("User", json!("root:"))),
        ("config-path", "a relative working directory", execution("WorkingDir", json!("srv"))),
        ("config-path", "a relative volume", execution("Volumes", json!({"/data": {}, "data": {}}))),
    ]
}

fn compression() -> Vec<Row> {
    vec![
        ("layer-compression", "cut short", change().blob(|blob| blob.truncate(blob.len() - 100))),
        (
            "layer-compression",
            "another checksum",
            change().blob(|blob| {
                let crc = blob.len() - 8;
                blob[crc] ^= 1;
            }),
        ),
        ("layer-trailing-bytes", "a line of text", change().blob(|blob| blob.extend(b"signed by nobody\n"))),
        ("layer-trailing-bytes", "zeros", change().blob(|blob| blob.extend([0; 512]))),
        (
            "gzip-members",
            "two",
            change().tar(|_| ()).blob(|blob| {
                let mut tar = Vec::new();
                std::io::copy(&mut flate2::read::GzDecoder::new(blob.as_slice()), &mut tar).unwrap();
                let (first, second) = tar.split_at(10_000);
                *blob = [gzip(first), gzip(second)].concat();
            }),
        ),
    ]
}

fn tars() -> Vec<Row> {
    let broken = |bytes: Vec<u8>| {
        change().tar(move |tar| {
            cut_end(tar);
            tar.extend(&bytes);
            tar.extend([0; 1024]);
        })
    };
    let mut checksum = file("new", "").bytes();
    checksum[0] ^= 1;
    let mut padding = file("new", "x").bytes();
    padding[600] = 1;
    let long = "x".repeat(255);
    let too_long = format!("{}/x", vec![long.as_str(); 16].join("/"));
    vec![
        ("tar-framing", "a wrong checksum", broken(checksum)),
        (
            "tar-framing",
            "no number for a size",
            broken({
                let mut bytes = file("new", "").bytes();
                bytes[124..135].copy_from_slice(b"99999999999");
                bytes[148..156].copy_from_slice(b"        ");
                let sum: u32 = bytes.iter().map(|byte| u32::from(*byte)).sum();
                bytes[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
                bytes
            }),
        ),
        (
            "tar-framing",
            "a PAX record of the wrong length",
            members![member(b'x', "PaxHeaders/x").content("99 path=x\n"), file("new", "")],
        ),
        ("tar-framing", "cut off in the middle of a file", change().tar(|tar| tar.truncate(tar.len() - 4000))),
        ("tar-entry", "an unknown type", members![member(b'V', "label")]),
        ("tar-entry", "a hard link without a target", members![hardlink("new", "")]),
        ("tar-entry", "a hard link that leads out", members![hardlink("new", "../etc/passwd")]),
        ("tar-entry", "a PAX record that is no number", members![pax(&[("uid", "root")]), file("new", "")]),
        ("tar-path", "absolute", members![file("/etc/new", "x")]),
        ("tar-path", "out of the image", members![file("etc/../../new", "x")]),
        ("tar-path", "a hard link to an absolute name", members![hardlink("new", "/bin/busybox")]),
        (
            "tar-name-length",
            "a name that no filesystem has",
            members![pax(&[("path", &"x".repeat(256))]), file("new", "")],
        ),
        ("tar-name-length", "a path that no call takes", members![pax(&[("path", &too_long)]), file("new", "")]),
        ("tar-repeated-path", "a file again", members![file("etc/hostname", "other\n")]),
        ("tar-repeated-path", "a directory again, spelled otherwise", members![directory("./etc/")]),
        ("tar-hardlink", "to nothing", members![hardlink("new", "bin/nothing")]),
        ("tar-hardlink", "to a directory", members![hardlink("new", "etc")]),
        ("tar-hardlink", "to what comes later", members![hardlink("new", "newer"), file("newer", "")]),
        ("tar-below-file", "below a file", members![file("etc/hostname/new", "x")]),
        ("tar-below-file", "below a symbolic link", members![file("etc/mtab/new", "x")]),
        ("tar-below-file", "above a file", members![file("new/new", "x"), file("new", "x")]),
        ("tar-ambiguous", "two sizes", members![pax(&[("size", "1")]), file("new", "x").size(2)]),
        ("tar-ambiguous", "two names", members![pax(&[("path", "a"), ("path", "b")]), file("new", "x")]),
        ("tar-ambiguous", "two PAX headers", members![pax(&[("uid", "1")]), pax(&[("uid", "2")]), file("new", "x")]),
        ("tar-ambiguous", "a directory with a size", members![directory("new/").size(512)]),
        ("tar-dialect", "GNU's name", members![member(b'L', "././@LongLink").content("new\0"), file("short", "x")]),
        ("tar-dialect", "a header of before POSIX", members![file("new", "x").without_magic()]),
        ("tar-keyword", "one that nobody knows", members![pax(&[("OCIBAKE.unknown", "1")]), file("new", "x")]),
        ("tar-keyword", "for all that follows", members![extended(b'g', &[("comment", "x")]), file("new", "x")]),
        (
            "tar-sparse",
            "a file with holes",
            members![
                pax(&[
                    ("GNU.sparse.major", "1"),
                    ("GNU.sparse.minor", "0"),
                    ("GNU.sparse.name", "new"),
                    ("GNU.sparse.realsize", "4096")
                ]),
                file("sparse", "").content({
                    let mut map = b"1\n0\n1\n".to_vec();
                    map.resize(512, 0);
                    map.push(b'x');
                    map
                }),
            ],
        ),
        ("tar-padding", "a byte behind the content", broken(padding)),
        ("tar-end", "none", change().tar(cut_end)),
        ("tar-end", "half of it", change().tar(|tar| tar.truncate(tar.len() - 512))),
        ("tar-trailing-bytes", "a line of text", change().tar(|tar| tar.extend(b"behind the end\n"))),
    ]
}

fn whiteouts() -> Vec<Row> {
    vec![
        ("whiteout", "of nothing", members![file("etc/.wh.", "")]),
        ("whiteout", "of the directory above", members![file("etc/.wh...", "")]),
        ("whiteout", "with something below", members![directory(".wh.new/"), file(".wh.new/x", "")]),
        ("whiteout", "with content", members![file(".wh.new", "x")]),
        ("whiteout", "a directory", members![directory(".wh.new/")]),
        ("whiteout-and-entry", "of a file that is there", members![file("etc/.wh.hostname", "")]),
        ("whiteout-and-entry", "of a directory that is not empty", members![file(".wh.new", ""), file("new/x", "")]),
        ("whiteout-aufs", "what AUFS leaves behind", members![directory(".wh..wh.plnk/")]),
    ]
}
