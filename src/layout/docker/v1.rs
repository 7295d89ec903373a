//! Layers in the older format: each has an ID and a document that names its parent (Docker Image Specification v1.0).

use serde_json::{json, Map, Value};

use crate::digest::Digest;
use crate::error::Result;
use crate::oci::Document;

/// The content of the file `VERSION` beside each layer.
pub(super) const VERSION: &str = "1.0";

/// A layer in the older format.
pub(super) struct V1Layer {
    /// 64 hexadecimal digits.
    pub(super) id: String,
    /// The file `json`. That of the top layer holds the execution parameters.
    pub(super) document: Vec<u8>,
}

/// Derives the layers of an image, base first, from its `diff_ids` and config.
///
/// An ID is the SHA-256 of `DIFF_ID PARENT`, with ` CONFIG` appended for the top layer. It thus covers all layers
/// below, so each ID has one document. The digest of the layer would not do, since the same layer may be above
/// different parents. The ID does not depend on compression.
pub(super) fn layers(diff_ids: &[Digest], config: &[u8]) -> Result<Vec<V1Layer>> {
    let mut layers = Vec::<V1Layer>::with_capacity(diff_ids.len());
    for (number, diff_id) in diff_ids.iter().enumerate() {
        let parent = layers.last().map_or("", |below| &below.id);
        let mut text = format!("{} {parent}", diff_id.encoded()).into_bytes();
        let mut document = Map::from_iter([("created".to_owned(), json!("1970-01-01T00:00:00Z"))]);
        if number + 1 == diff_ids.len() {
            text.push(b' ');
            text.extend_from_slice(config);
            document = Document::parse(config.to_vec(), "config")?.into_value();
            document.remove("rootfs");
            document.remove("history");
        }
        let id = Digest::of(&text).encoded().to_owned();
        document.insert("id".to_owned(), Value::from(id.as_str()));
        if !parent.is_empty() {
            document.insert("parent".to_owned(), parent.into());
        }
        layers.push(V1Layer { id, document: Document::seal(document).raw().to_vec() });
    }
    Ok(layers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_tell_what_is_below_and_what_runs() {
        let ids = |layers: &[&str], config: &str| -> Vec<String> {
            let diff_ids: Vec<Digest> = layers.iter().map(|layer| Digest::of(layer.as_bytes())).collect();
            super::layers(&diff_ids, config.as_bytes()).unwrap().into_iter().map(|layer| layer.id).collect()
        };
        let image = ids(&["a", "b", "a"], "{}");
        assert_eq!(image.iter().collect::<std::collections::BTreeSet<_>>().len(), 3);
        assert_eq!(ids(&["a", "b", "c"], "{}")[..2], image[..2]);
        assert_ne!(ids(&["a", "b", "a"], r#"{"os":"linux"}"#)[2], image[2]);
        assert_ne!(ids(&["x", "b", "a"], "{}")[1], image[1]);

        let diff_id = Digest::of(b"a");
        assert_eq!(ids(&["a"], "{}")[0], Digest::of(format!("{}  {{}}", diff_id.encoded()).as_bytes()).encoded());
    }

    #[test]
    fn the_top_document_is_the_config_without_its_layers() {
        let config = br#"{"os":"linux","rootfs":{},"history":[],"config":{"Cmd":["sh"]},"x.y":1}"#;
        let layers = layers(&[Digest::of(b"a"), Digest::of(b"b")], config).unwrap();
        let documents: Vec<Value> =
            layers.iter().map(|layer| serde_json::from_slice(&layer.document).unwrap()).collect();
        let (below, top) = (&layers[0].id, &layers[1].id);
        assert_eq!(documents[0], json!({"id": below, "created": "1970-01-01T00:00:00Z"}));
        assert_eq!(
            documents[1],
            json!({"id": top, "parent": below, "os": "linux", "config": {"Cmd": ["sh"]}, "x.y": 1})
        );
    }
}
