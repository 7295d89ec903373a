//! The format from before Docker 1.10, which newer versions still write beside their own documents: `repositories`
//! names the top layers, and each layer is a directory with its tar and a document that names its parent (Docker Image
//! Specification v1.0).

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use serde_json::{json, Map, Value};

use crate::compress::Decoder;
use crate::digest::{Digest, HashWriter};
use crate::error::{Error, IoContext, Result};
use crate::layout::archive::Archive;
use crate::layout::docker::decompressed::placed;
use crate::layout::docker::parts::{document, member, FileSource, Parts};
use crate::layout::docker::{v1_layer_path, Repositories, REPOSITORIES};

impl Repositories {
    fn read(archive: &Archive) -> Result<Option<Self>> {
        document(archive, REPOSITORIES)
    }

    /// All names and IDs.
    fn iter(&self) -> impl Iterator<Item = (String, &String)> {
        self.0.iter().flat_map(|(name, tags)| tags.iter().map(move |(tag, id)| (format!("{name}:{tag}"), id)))
    }
}

/// The names that `repositories` has for images, by the members that hold their top layers.
pub(super) fn names_by_layer(archive: &Archive) -> Result<BTreeMap<String, Vec<String>>> {
    let repositories = Repositories::read(archive)?.unwrap_or_default();
    let mut names = BTreeMap::<String, Vec<String>>::new();
    for (name, id) in repositories.iter() {
        if let Ok(Some(layer)) = archive.resolve(&v1_layer_path(id)) {
            names.entry(layer).or_default().push(name);
        }
    }
    Ok(names)
}

/// Returns the images of an archive without `manifest.json`, or `None` if `repositories` is missing too.
///
/// Their configs are made as `docker load` makes them: from the document of the top layer, and from the `diff_ids`, for
/// which all layers are read once.
pub(super) fn images(archive: &Archive) -> Result<Option<Vec<Parts>>> {
    let Some(repositories) = Repositories::read(archive)? else { return Ok(None) };
    let mut names = BTreeMap::<&String, Vec<String>>::new();
    for (name, id) in repositories.iter() {
        names.entry(id).or_default().push(name);
    }
    let mut diff_ids = BTreeMap::new();
    let images = names.into_iter().map(|(id, names)| {
        let chain = chain(archive, id)?;
        let config = config(archive, &chain, &mut diff_ids)?;
        let layers = chain.iter().map(|layer| v1_layer_path(&layer.id)).collect();
        Ok(Parts { names, config: FileSource::Made(config), layers })
    });
    images.collect::<Result<_>>().map(Some)
}

/// A layer and its document.
struct Layer {
    id: String,
    document: Map<String, Value>,
}

/// The layers from the base to `top`.
fn chain(archive: &Archive, top: &str) -> Result<Vec<Layer>> {
    let mut chain = Vec::new();
    let mut seen = BTreeSet::new();
    let mut next = Some(top.to_owned());
    while let Some(id) = next {
        if !seen.insert(id.clone()) {
            return Err(Error::malformed(archive.name(), format!("the layer `{id}` is among its own parents")));
        }
        let path = member(archive, &format!("{id}/json"))?;
        let Some(document) = self::document::<Map<String, Value>>(archive, &path)? else {
            return Err(archive.lacks(&path));
        };
        next = document.get("parent").and_then(Value::as_str).filter(|id| !id.is_empty()).map(str::to_owned);
        chain.push(Layer { id, document });
    }
    chain.reverse();
    Ok(chain)
}

fn config(archive: &Archive, chain: &[Layer], known: &mut BTreeMap<String, Digest>) -> Result<Vec<u8>> {
    let mut diff_ids = Vec::new();
    for layer in chain {
        let diff_id = match known.get(&layer.id) {
            Some(diff_id) => diff_id.clone(),
            None => diff_id(archive, &layer.id)?,
        };
        known.insert(layer.id.clone(), diff_id.clone());
        diff_ids.push(diff_id);
    }
    let mut config = chain.last().map(|layer| layer.document.clone()).unwrap_or_default();
    for member in ["id", "parent", "parent_id", "layer_id", "throwaway", "Size"] {
        config.remove(member);
    }
    config.insert("rootfs".to_owned(), json!({"type": "layers", "diff_ids": diff_ids}));
    config.insert("history".to_owned(), chain.iter().map(history).collect());
    serde_json::to_vec(&config).map_err(|error| Error::malformed(archive.name(), error.to_string()))
}

fn history(layer: &Layer) -> Value {
    let mut step: Map<_, _> = ["created", "author", "comment"]
        .into_iter()
        .filter_map(|member| Some((member.to_owned(), layer.document.get(member)?.clone())))
        .collect();
    if let Some(Value::Array(words)) = layer.document.get("container_config").and_then(|config| config.get("Cmd")) {
        let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
        step.insert("created_by".to_owned(), words.join(" ").into());
    }
    step.into()
}

fn diff_id(archive: &Archive, id: &str) -> Result<Digest> {
    let name = member(archive, &v1_layer_path(id))?;
    if archive.cut() == Some(name.as_str()) {
        let reason = format!("layer `{}`: the archive ends in the middle of it", name.escape_debug());
        return Err(Error::malformed(archive.name(), reason));
    }
    let Some((reader, _)) = archive.file(&name)? else { return Err(archive.lacks(&name)) };
    let mut writer = HashWriter::new(io::sink());
    let copied = Decoder::new(reader, archive.limits()).and_then(|mut decoder| io::copy(&mut decoder, &mut writer));
    copied.map_err(|error| placed(error, archive, &name)).at("read", archive.path())?;
    Ok(writer.finish().1)
}
