//! Image configurations (image-spec, config.md).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::json::{null_as_default, nulls_in_list, nulls_in_map, nulls_in_optional_list, nulls_in_set, without_nulls};
use crate::oci::{Annotations, Unknown};
use crate::platform::{is_known_variant, Platform};

/// An image's configuration (image-spec, config.md).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// When the image was made, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// Who made it: `Name <email>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// A GOARCH. Empty if missing, which no spec permits but some writers do.
    #[serde(default, deserialize_with = "null_as_default")]
    pub architecture: String,
    /// A GOOS. Empty if missing.
    #[serde(default, deserialize_with = "null_as_default")]
    pub os: String,
    /// Version of the operating system; used by Windows.
    #[serde(rename = "os.version", default, skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// Features that the operating system must have; used by Windows.
    #[serde(
        rename = "os.features",
        default,
        deserialize_with = "nulls_in_list",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub os_features: Vec<String>,
    /// The variant of the CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// How to run it. `null` is accepted on reading.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<ContainerConfig>,
    /// The content of the layers.
    pub rootfs: RootFs,
    /// How the layers came to be. Absent and empty differ.
    #[serde(default, deserialize_with = "nulls_in_optional_list", skip_serializing_if = "Option::is_none")]
    pub history: Option<Vec<History>>,
    /// Members that this version does not know.
    #[serde(flatten)]
    pub other: Unknown,
}

impl ImageConfig {
    /// An error if there are not as many diff_ids as layers. `image` names the image.
    pub(crate) fn check_layers(&self, layers: usize, image: impl FnOnce() -> String) -> Result<()> {
        let found = self.rootfs.diff_ids.len();
        if found == layers {
            return Ok(());
        }
        Err(Error::malformed(image(), format!("{layers} diff_ids expected, one for each layer, found {found}")))
    }

    /// Returns the platform that the configuration names.
    pub fn platform(&self) -> Platform {
        Platform {
            architecture: self.architecture.clone(),
            os: self.os.clone(),
            os_version: self.os_version.clone(),
            os_features: self.os_features.clone(),
            variant: self.variant.clone(),
            other: BTreeMap::new(),
        }
    }

    /// Returns the same, with a missing operating system or architecture from the descriptor's platform, `listed`.
    pub(crate) fn platform_or(&self, listed: Option<&Platform>) -> Platform {
        let mut platform = self.platform();
        if let Some(listed) = listed {
            if platform.architecture.is_empty() {
                // A variant of which architecture? It may be that of another than the listed one.
                let own = platform.variant.take().filter(|own| is_known_variant(&listed.architecture, own));
                platform.variant = listed.variant.clone().or(own);
            }
            for (said, listed) in [(&mut platform.os, &listed.os), (&mut platform.architecture, &listed.architecture)] {
                if said.is_empty() {
                    said.clone_from(listed);
                }
            }
        }
        platform
    }
}

/// Execution parameters (image-spec, config.md#properties, `config`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ContainerConfig {
    /// `user`, `uid`, `user:group` …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// `port/protocol`, a set written as an object.
    #[serde(default, deserialize_with = "nulls_in_set", skip_serializing_if = "BTreeMap::is_empty")]
    pub exposed_ports: BTreeMap<String, serde_json::Value>,
    /// `NAME=value`, in order.
    #[serde(default, deserialize_with = "without_nulls", skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// The beginning of the command.
    #[serde(default, deserialize_with = "nulls_in_optional_list", skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// The arguments, or the command if there is no entrypoint.
    #[serde(default, deserialize_with = "nulls_in_optional_list", skip_serializing_if = "Option::is_none")]
    pub cmd: Option<Vec<String>>,
    /// Paths, a set written as an object.
    #[serde(default, deserialize_with = "nulls_in_set", skip_serializing_if = "BTreeMap::is_empty")]
    pub volumes: BTreeMap<String, serde_json::Value>,
    /// The directory in which the command starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    /// Labels.
    #[serde(default, deserialize_with = "nulls_in_map", skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: Annotations,
    /// The signal that stops the container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop_signal: Option<String>,
    /// Memory limit in bytes. From Docker: reserved in the spec.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<i64>,
    /// Limit of memory and swap in bytes, -1 for none. From Docker: reserved in the spec.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_swap: Option<i64>,
    /// Relative CPU weight. From Docker: reserved in the spec.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_shares: Option<i64>,
    /// How to check that the container is healthy. From Docker: reserved in the spec.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Healthcheck>,
    /// Members that this version does not know.
    #[serde(flatten)]
    pub other: Unknown,
}

/// Docker's health check; times in nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Healthcheck {
    /// `["NONE"]`, `["CMD", …]` or `["CMD-SHELL", command]`.
    #[serde(default, deserialize_with = "nulls_in_list", skip_serializing_if = "Vec::is_empty")]
    pub test: Vec<String>,
    /// The time between two checks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<i64>,
    /// The time after which a check has failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<i64>,
    /// The time in which failures do not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_period: Option<i64>,
    /// The time between two checks in the start period.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_interval: Option<i64>,
    /// How many failures make the container unhealthy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<i64>,
    /// Members that this version does not know.
    #[serde(flatten)]
    pub other: Unknown,
}

/// The layers' content (image-spec, config.md#properties, `rootfs`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RootFs {
    /// Always `layers`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The digests of the uncompressed layers, base first. Docker omits them if there are none.
    #[serde(default, deserialize_with = "null_as_default")]
    pub diff_ids: Vec<Digest>,
}

impl RootFs {
    /// Returns the content of these layers.
    pub fn layers(diff_ids: Vec<Digest>) -> Self {
        RootFs { kind: "layers".to_owned(), diff_ids }
    }
}

/// One step in the making of an image (image-spec, config.md#properties, `history`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// When the step was made, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<String>,
    /// The command that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// The author of the step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// A comment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// Whether the step made no layer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub empty_layer: Option<bool>,
    /// Members that this version does not know.
    #[serde(flatten)]
    pub other: Unknown,
}

impl History {
    /// Returns whether the step made no layer.
    pub(crate) fn is_empty_layer(&self) -> bool {
        self.empty_layer == Some(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::Document;

    #[test]
    fn what_is_unknown_survives_an_edit() {
        let raw = br#"{"architecture":"arm","os":"linux","variant":"v7","config":{"Env":null,"ArgsEscaped":true},
            "rootfs":{"type":"layers","diff_ids":[]},"moby.buildkit":{"z":[1,2]}}"#;
        let document: Document<ImageConfig> = Document::parse(raw.to_vec(), "config").unwrap();
        let mut config = document.into_value();
        config.author = Some("A <a@b>".into());
        let sealed = Document::seal(config);
        assert_eq!(
            std::str::from_utf8(sealed.raw()).unwrap(),
            r#"{"author":"A <a@b>","architecture":"arm","os":"linux","variant":"v7","config":{"ArgsEscaped":true},"rootfs":{"type":"layers","diff_ids":[]},"moby.buildkit":{"z":[1,2]}}"#
        );
    }

    #[test]
    fn an_image_without_layers_may_leave_out_the_list() {
        for rootfs in [r#"{"type":"layers"}"#, r#"{"type":"layers","diff_ids":null}"#] {
            let raw = format!(r#"{{"architecture":"amd64","os":"linux","rootfs":{rootfs}}}"#);
            let document: Document<ImageConfig> = Document::parse(raw.into_bytes(), "config").unwrap();
            assert_eq!(document.value().rootfs.diff_ids, []);
        }
    }

    #[test]
    fn every_list_may_be_null() {
        let raw = br#"{"architecture":"amd64","os":"linux","os.features":null,"history":null,"rootfs":{"type":"layers","diff_ids":null},
            "config":{"Env":null,"Cmd":null,"Entrypoint":null,"Volumes":null,"ExposedPorts":null,"Labels":null,"Healthcheck":{"Test":null}}}"#;
        let document: Document<ImageConfig> = Document::parse(raw.to_vec(), "config").unwrap();
        assert_eq!(document.value().os_features, [""; 0]);
        let raw = serde_json::json!({"mediaType": "a/b", "digest": Digest::of(b""), "size": 0, "urls": null,
            "annotations": null, "platform": {"architecture": "a", "os": "b", "os.features": null}});
        let descriptor: crate::oci::Descriptor = serde_json::from_value(raw).unwrap();
        assert_eq!(descriptor.urls, [""; 0]);
        assert_eq!(descriptor.platform.unwrap().os_features, [""; 0]);
    }

    #[test]
    fn a_null_config_is_tolerated() {
        let raw = br#"{"architecture":"amd64","os":"linux","config":null,"rootfs":{"type":"layers","diff_ids":[]}}"#;
        let document: Document<ImageConfig> = Document::parse(raw.to_vec(), "config").unwrap();
        assert_eq!(document.value().config, None);
        assert_eq!(document.raw(), raw);
    }
}
