//! Docker's archives: what `docker save` writes and `docker load` reads (Docker Image Specification v1.2, "Combined Image
//! JSON + Filesystem Changeset Format").

mod legacy;
mod parts;
mod reader;
#[cfg(test)]
mod tests;
mod v1;
mod writer;

pub(super) use reader::{is_docker_archive, DockerArchive};
pub(super) use writer::plan;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a docker archive that is written holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DockerForm {
    /// Docker's lists and an OCI layout side by side, as Docker saves it since version 25: every blob is there once, as
    /// it is, and all readers find what they know.
    #[default]
    Dual,
    /// What Docker wrote before: its own lists, and layers that are not compressed.
    LegacyOnly,
}

/// The list of images.
pub(crate) const MANIFEST: &str = "manifest.json";
/// The older list, of names.
const REPOSITORIES: &str = "repositories";

/// An image in [`MANIFEST`]. Go writes an empty list as `null`, and reads names of members in any case, which some writers
/// take at its word.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", try_from = "Members")]
struct Item {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Option<Vec<String>>,
}

/// The members of an object, before their names are looked at.
type Members = BTreeMap<String, serde_json::Value>;

impl TryFrom<Members> for Item {
    type Error = String;

    fn try_from(members: Members) -> Result<Self, String> {
        fn member<T: serde::de::DeserializeOwned>(members: &Members, name: &str) -> Result<Option<T>, String> {
            // The name as it should be holds over all others.
            let found = members.get(name).or_else(|| {
                let mut others = members.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
                others.next().map(|(_, value)| value)
            });
            let value = found.cloned().unwrap_or_default();
            Option::deserialize(value).map_err(|error| format!("`{name}`: {error}"))
        }
        Ok(Item {
            config: member(&members, "Config")?.ok_or("the member `Config` is missing")?,
            repo_tags: member(&members, "RepoTags")?,
            layers: member(&members, "Layers")?,
        })
    }
}

/// Names of images in [`REPOSITORIES`]: by repository and tag, the v1 id of the top layer.
#[derive(Default, Serialize, Deserialize)]
struct Repositories(BTreeMap<String, BTreeMap<String, String>>);

/// Whether a file in a layout is one of Docker's: they stand side by side in archives that are both.
pub(crate) fn is_docker_file(name: &str) -> bool {
    let is_id = |text: &str| text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    match name.split_once('/') {
        Some((id, file)) => is_id(id) && matches!(file, "VERSION" | "json" | "layer.tar"),
        None => matches!(name, MANIFEST | REPOSITORIES),
    }
}

/// Where the tar of a layer stands in the older form.
fn v1_layer_path(id: &str) -> String {
    format!("{id}/layer.tar")
}
