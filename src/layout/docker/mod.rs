//! Docker's archives, as `docker save` writes and `docker load` reads them (Docker Image Specification v1.2, "Combined
//! Image JSON + Filesystem Changeset Format").

mod decompressed;
mod legacy;
mod parts;
mod reader;
#[cfg(test)]
mod tests;
#[allow(clippy::arithmetic_side_effects, clippy::expect_used)] // It counts layers that were read.
mod v1;
#[allow(clippy::arithmetic_side_effects, clippy::expect_used, clippy::indexing_slicing)]
// It writes what was read and checked.
mod writer;

pub(super) use reader::{is_docker_archive, DockerArchive};
pub(super) use writer::plan;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What is written to a docker archive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DockerForm {
    /// Docker's lists and an OCI layout side by side, as Docker 25 and later save them. Every blob is stored once,
    /// unchanged, and readers of both formats find their documents.
    #[default]
    Dual,
    /// The format of earlier versions: Docker's own lists, and uncompressed layers.
    LegacyOnly,
}

/// The list of images.
pub(crate) const MANIFEST: &str = "manifest.json";
/// The older list, by name.
const REPOSITORIES: &str = "repositories";

/// An image in [`MANIFEST`]. Go writes an empty list as `null` and ignores case in member names, and some writers rely
/// on that.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", try_from = "Members")]
struct Item {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Option<Vec<String>>,
}

/// The members of an object, before their names are matched.
type Members = BTreeMap<String, serde_json::Value>;

impl TryFrom<Members> for Item {
    type Error = String;

    fn try_from(members: Members) -> Result<Self, String> {
        fn member<T: serde::de::DeserializeOwned>(members: &Members, name: &str) -> Result<Option<T>, String> {
            let mut found = members.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
            let value = found.next().map(|(_, value)| value.clone()).unwrap_or_default();
            if found.next().is_some() {
                return Err(format!(
                    "the member `{name}` is there in several spellings, of which readers take another"
                ));
            }
            Option::deserialize(value).map_err(|error| format!("`{name}`: {error}"))
        }
        Ok(Item {
            config: member(&members, "Config")?.ok_or("the member `Config` is missing")?,
            repo_tags: member(&members, "RepoTags")?,
            layers: member(&members, "Layers")?,
        })
    }
}

/// Image names in [`REPOSITORIES`]: repository and tag, with the v1 ID of the top layer.
#[derive(Default, Serialize, Deserialize)]
struct Repositories(BTreeMap<String, BTreeMap<String, String>>);

/// Whether a file in a layout belongs to Docker's format: an archive may hold both side by side.
pub(crate) fn is_docker_file(name: &str) -> bool {
    let is_id = |text: &str| text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    match name.split_once('/') {
        Some((id, file)) => is_id(id) && matches!(file, "VERSION" | "json" | "layer.tar"),
        None => matches!(name, MANIFEST | REPOSITORIES),
    }
}

/// The path of a layer's tar in the older format.
fn v1_layer_path(id: &str) -> String {
    format!("{id}/layer.tar")
}
