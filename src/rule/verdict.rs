//! What a verb does with an image that breaks a rule, by how deep the verb looks.

use serde::Serialize;

/// How deep a verb looks into an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// At its documents: `inspect`, `config`.
    Documents,
    /// At its documents and whether its blobs are there: `index`.
    Index,
    /// At its documents, and at the sizes and digests of its blobs: `convert`.
    Blobs,
    /// At its documents and the compressed bytes of its layers: `convert --compression`.
    Compression,
    /// At its documents and the files in its layers: `unpack`, `squash`, `diff`, `cat`, `report`, `plan`,
    /// `build --base`, `inspect --files` and `inspect --largest`.
    Files,
}

impl Depth {
    /// All of them, the least deep first.
    pub const ALL: [Depth; 5] = [Depth::Documents, Depth::Index, Depth::Blobs, Depth::Compression, Depth::Files];

    /// Its name in the list of rules.
    pub fn name(self) -> &'static str {
        match self {
            Depth::Documents => "documents",
            Depth::Index => "index",
            Depth::Blobs => "blobs",
            Depth::Compression => "compression",
            Depth::Files => "files",
        }
    }
}

/// What a verb does with an image that breaks a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Verdict {
    /// It takes it: what is wrong makes no difference, or is not looked at.
    #[serde(rename = "takes")]
    Takes,
    /// It warns.
    #[serde(rename = "warns")]
    Warns,
    /// It refuses it.
    #[serde(rename = "refuses")]
    Refuses,
    /// It warns, or refuses it if nothing can be made of it.
    #[serde(rename = "warns or refuses")]
    WarnsOrRefuses,
    /// It refuses it if it needs what is wrong.
    #[serde(rename = "refuses if needed")]
    RefusesIfNeeded,
}
