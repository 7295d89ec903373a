//! Hand-written layouts, and which of their images a location means.

use std::ffi::OsStr;
use std::fs;

use serde_json::{json, Value};

use crate::digest::Digest;
use crate::error::Result;
use crate::layout::graph::walk::MAX_DEPTH;
use crate::layout::{blob_path, Image, Layout, Location, INDEX};
use crate::limits::Limits;
use crate::media_type::MediaType;
use crate::oci::annotations::CONTAINERD_NAME;
use crate::testing::TempDir;

/// A hand-written layout.
pub(super) struct ByHand(pub(super) TempDir);

impl ByHand {
    pub(super) fn new(test: &str) -> Self {
        let home = TempDir::new(test);
        fs::create_dir_all(home.path().join("blobs/sha256")).unwrap();
        ByHand(home)
    }

    /// Stores a document and returns its descriptor.
    pub(super) fn put(&self, media_type: &MediaType, document: &Value) -> Value {
        let raw = document.to_string();
        let digest = Digest::of(raw.as_bytes());
        fs::write(self.0.path().join(blob_path(&digest)), &raw).unwrap();
        json!({"mediaType": media_type, "digest": digest, "size": raw.len()})
    }

    /// An image for a platform, with OCI or Docker media types.
    pub(super) fn image(&self, types: &Types, architecture: &str, variant: Option<&str>) -> Value {
        let mut config = json!({"architecture": architecture, "os": "linux", "rootfs": {"type": "layers"}});
        if let Some(variant) = variant {
            config["variant"] = variant.into();
        }
        let config = self.put(&types.config, &config);
        let layer = json!({"mediaType": types.layer, "digest": Digest::of(b""), "size": 0});
        let manifest = json!({"schemaVersion": 2, "mediaType": types.manifest, "config": config, "layers": [layer]});
        self.put(&types.manifest, &manifest)
    }

    /// Writes `index.json`.
    pub(super) fn list(&self, manifests: &[Value]) {
        let index = json!({"schemaVersion": 2, "manifests": manifests});
        fs::write(self.0.path().join(INDEX), index.to_string()).unwrap();
    }

    /// Opens the layout. `part` is what follows the path in the location.
    pub(super) fn open(&self, part: &str) -> Layout {
        let text = format!("oci:{}{part}", self.0.path().display());
        Layout::open(&Location::parse(OsStr::new(&text)).unwrap(), Limits::default()).unwrap()
    }

    /// Opens the layout with this index and chooses an image by name and, if given, platform.
    fn choose(&self, manifests: &[Value], name: &str, platform: Option<&str>) -> Result<Image> {
        self.list(manifests);
        let platform = platform.map(|platform| platform.parse().unwrap());
        self.open(name).image(platform.as_ref())
    }
}

pub(super) struct Types {
    index: MediaType,
    manifest: MediaType,
    config: MediaType,
    layer: MediaType,
}

pub(super) const OCI: Types = Types {
    index: MediaType::INDEX,
    manifest: MediaType::MANIFEST,
    config: MediaType::CONFIG,
    layer: MediaType::LAYER_GZIP,
};
const DOCKER: Types = Types {
    index: MediaType::DOCKER_INDEX,
    manifest: MediaType::DOCKER_MANIFEST,
    config: MediaType::DOCKER_CONFIG,
    layer: MediaType::DOCKER_LAYER_GZIP,
};

fn with(mut descriptor: Value, members: &Value) -> Value {
    descriptor.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    descriptor
}

fn platform(image: &Result<Image>) -> Option<String> {
    image.as_ref().ok().map(|image| image.config.value().platform().to_string())
}

#[test]
fn a_platform_is_asked_for_only_where_there_is_a_choice() {
    for types in [OCI, DOCKER] {
        let layout = ByHand::new("platform-choice");
        let amd64 = layout.image(&types, "amd64", None);
        let arm_v6 = layout.image(&types, "arm", Some("v6"));
        // As some older writers do: the variant only in the index.
        let arm_v7 = with(
            layout.image(&types, "arm", None),
            &json!({
                "platform": {"os": "linux", "architecture": "arm", "variant": "v7"}
            }),
        );
        let amd64_alone = [amd64.clone()];
        let inner = layout.put(&types.index, &json!({"schemaVersion": 2, "manifests": [amd64, arm_v6, arm_v7]}));
        let nested = layout.put(&types.index, &json!({"schemaVersion": 2, "manifests": [inner]}));
        let (one, two_deep, twice) = ([inner.clone()], [nested.clone()], [nested, inner.clone()]);
        for (index, wanted, found) in [
            (&amd64_alone[..], None, Some("linux/amd64")),
            (&amd64_alone, Some("linux/amd64"), Some("linux/amd64")),
            (&amd64_alone, Some("linux/arm"), None),
            (&one, None, None),
            (&one, Some("linux/amd64"), Some("linux/amd64")),
            (&one, Some("linux/arm/v6"), Some("linux/arm/v6")),
            (&one, Some("linux/arm/v7"), Some("linux/arm")),
            (&one, Some("linux/arm"), None),
            (&two_deep, Some("linux/amd64"), Some("linux/amd64")),
            (&twice, Some("linux/amd64"), Some("linux/amd64")),
        ] {
            let image = layout.choose(index, "", wanted);
            assert_eq!(platform(&image).as_deref(), found, "{wanted:?} {:?}", image.err());
        }
        let error = layout.choose(&one, "", Some("linux/riscv64")).unwrap_err();
        let there_is = "there is (no name) linux/amd64, (no name) linux/arm/v6, (no name) linux/arm/v7";
        assert_eq!(error.hint(), Some(there_is.into()));
        let named = with(inner, &json!({"annotations": {"org.opencontainers.image.ref.name": "v1"}}));
        let error = layout.choose(&[named], ":v1", Some("linux/arm")).unwrap_err();
        let digest = |image: &Value| image["digest"].as_str().unwrap().to_owned();
        let choose = format!(
            "choose by platform or digest: v1 linux/arm/v6 {}, v1 linux/arm/v7 {}",
            digest(&arm_v6),
            digest(&arm_v7)
        );
        assert_eq!(error.hint().map(|hint| hint.to_string()), Some(choose));
    }
}

#[test]
fn many_ways_to_one_image_are_not_all_walked() {
    let layout = ByHand::new("many-ways");
    let mut descriptor = layout.image(&OCI, "amd64", None);
    for _ in 1..MAX_DEPTH {
        let index = json!({"schemaVersion": 2, "manifests": vec![descriptor; 100]});
        descriptor = layout.put(&MediaType::INDEX, &index);
    }
    layout.choose(&[descriptor.clone()], "", None).unwrap();
    let deeper = layout.put(&MediaType::INDEX, &json!({"schemaVersion": 2, "manifests": [descriptor]}));
    let error = layout.choose(&[deeper], "", None).unwrap_err().to_string();
    assert!(error.contains("nested deeper than 8"), "{error}");
}

#[test]
fn artifacts_are_no_images() {
    let layout = ByHand::new("no-images");
    let empty = layout.put(&MediaType::EMPTY, &json!({}));
    let image = layout.image(&OCI, "amd64", None);
    let artifact = |members: Value| {
        let manifest = json!({"schemaVersion": 2, "config": empty, "layers": [empty]});
        layout.put(&MediaType::MANIFEST, &with(manifest, &members))
    };
    let attestation = layout.image(&OCI, "unknown", None);
    for other in [
        artifact(json!({"artifactType": "application/vnd.example"})),
        with(artifact(json!({})), &json!({"artifactType": "application/vnd.example"})),
        with(attestation, &json!({"platform": {"os": "unknown", "architecture": "unknown"}})),
        layout.put(&"application/vnd.example+json".to_owned().into(), &json!({})),
    ] {
        let chosen = layout.choose(&[other.clone(), image.clone()], "", None);
        assert_eq!(platform(&chosen).as_deref(), Some("linux/amd64"), "{other}");
        let error = layout.choose(&[other], "", None).unwrap_err().to_string();
        assert!(error.ends_with("the layout holds no image"), "{error}");
    }
    // It is an image, whatever its `artifactType`.
    let chosen = with(image, &json!({"artifactType": MediaType::CONFIG}));
    layout.choose(&[chosen], "", None).unwrap();
}

#[test]
fn what_was_not_copied_is_no_choice() {
    let layout = ByHand::new("not-copied");
    let here = layout.image(&OCI, "amd64", None);
    let away = with(here.clone(), &json!({"digest": Digest::of(b"elsewhere")}));
    let index = layout.put(&MediaType::INDEX, &json!({"schemaVersion": 2, "manifests": [away, here]}));
    assert_eq!(platform(&layout.choose(&[index], "", None)).as_deref(), Some("linux/amd64"));
    let error = layout.choose(&[away], "", None).unwrap_err().to_string();
    assert!(error.ends_with(&format!("blob {} is missing", Digest::of(b"elsewhere"))), "{error}");
}

#[test]
fn a_name_is_a_ref_name_or_else_one_of_docker() {
    let layout = ByHand::new("two-kinds-of-names");
    let named = |architecture: &str, ref_name: &str, whole_name: &str| {
        let annotations = json!({"org.opencontainers.image.ref.name": ref_name, CONTAINERD_NAME: whole_name});
        with(layout.image(&OCI, architecture, None), &json!({"annotations": annotations}))
    };
    let index = [
        named("amd64", "v1", "docker.io/library/app:v1"),
        named("arm64", "v2", "docker.io/library/app:v2"),
        named("riscv64", "v2", "registry:5000/team/v1:v2"),
        named("s390x", "v1/latest", "docker.io/library/v1:latest"),
    ];
    for (name, found) in [
        (":v1", Some("linux/amd64")),
        (":app:v1", Some("linux/amd64")),
        (":v1/latest", Some("linux/s390x")),
        (":v2", None),
        (":app:v2", Some("linux/arm64")),
        (":registry:5000/team/v1:v2", Some("linux/riscv64")),
        (":docker.io/library/app", None),
    ] {
        assert_eq!(platform(&layout.choose(&index, name, None)).as_deref(), found, "{name}");
    }
    let error = layout.choose(&index[..2], ":v3", None).unwrap_err();
    assert_eq!(error.hint(), Some("there is `docker.io/library/app:v1`, `docker.io/library/app:v2`".into()));
}
