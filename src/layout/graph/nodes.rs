//! The complete documents that images consist of, for code that copies or changes them.

use std::collections::BTreeMap;

use crate::digest::Digest;
use crate::error::Result;
use crate::layout::graph::walk::{Found, Met, Opened, Subjects, Walk};
use crate::layout::Layout;
use crate::media_type::{MediaKind, MediaType};
use crate::oci::{Descriptor, Document, ImageConfig, Index, Manifest};

/// The documents that lead from descriptors to blobs, each read once and verified.
#[derive(Debug)]
pub(crate) struct Graph<'a> {
    layout: &'a Layout,
    nodes: BTreeMap<Digest, Node>,
    /// Each document comes after those that it mentions.
    order: Vec<Digest>,
}

/// What a descriptor leads to.
#[derive(Debug)]
pub(crate) struct Node {
    /// A descriptor of the document.
    pub(crate) descriptor: Descriptor,
    pub(crate) content: NodeContent,
}

#[derive(Debug)]
pub(crate) enum NodeContent {
    Index(Box<Document<Index>>),
    /// With the config, if the manifest is that of an image.
    Manifest(Box<Document<Manifest>>, Option<Box<Document<ImageConfig>>>),
    /// A blob of an unknown kind.
    Unknown,
    /// Nothing: often only the needed platforms of a multi-platform image are copied.
    Missing,
}

impl Node {
    /// The document's own media type, or else the one in the descriptor.
    pub(crate) fn media_type(&self) -> &MediaType {
        let own = match &self.content {
            NodeContent::Index(index) => index.value().media_type.as_ref(),
            NodeContent::Manifest(manifest, _) => manifest.value().media_type.as_ref(),
            NodeContent::Unknown | NodeContent::Missing => None,
        };
        own.unwrap_or(&self.descriptor.media_type)
    }
}

impl NodeContent {
    /// What the document is attached to.
    pub(crate) fn subject(&self) -> Option<&Descriptor> {
        match self {
            NodeContent::Index(index) => index.value().subject.as_ref(),
            NodeContent::Manifest(manifest, _) => manifest.value().subject.as_ref(),
            NodeContent::Unknown | NodeContent::Missing => None,
        }
    }
}

impl<'a> Graph<'a> {
    /// Reads all documents that the descriptors lead to. The roots must be in the layout; documents mentioned by nested
    /// indexes or as subjects may be missing.
    pub(crate) fn read<'d>(layout: &'a Layout, roots: impl IntoIterator<Item = &'d Descriptor>) -> Result<Self> {
        let roots: Vec<&Descriptor> = roots.into_iter().collect();
        let mut graph = Graph { layout, nodes: BTreeMap::new(), order: Vec::new() };
        let walk = Walk::new(layout, Opened::Manifests, Subjects::Followed, roots.iter().copied().cloned());
        for met in walk {
            let Met { path, found } = met?;
            let descriptor = path.descriptor();
            let content = graph.content(descriptor, &found)?;
            graph.order.push(descriptor.digest.clone());
            graph.nodes.insert(descriptor.digest.clone(), Node { descriptor: descriptor.clone(), content });
        }
        let is_missing = |root: &&&Descriptor| {
            graph.nodes.get(&root.digest).map_or(true, |node| matches!(node.content, NodeContent::Missing))
        };
        match roots.iter().find(is_missing) {
            Some(root) => Err(layout.lacks(&root.digest)),
            None => Ok(graph),
        }
    }

    /// The layout that holds the documents.
    pub(crate) fn layout(&self) -> &'a Layout {
        self.layout
    }

    /// Returns the node that a descriptor of this graph leads to.
    // A descriptor of the graph has a node: whoever asks for another has a bug.
    #[allow(clippy::indexing_slicing)]
    pub(crate) fn node(&self, digest: &Digest) -> &Node {
        &self.nodes[digest]
    }

    /// Whether a document was read.
    pub(crate) fn has(&self, digest: &Digest) -> bool {
        self.nodes.contains_key(digest)
    }

    /// All nodes, each after those that it mentions.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.order.iter().filter_map(|digest| self.nodes.get(digest))
    }

    /// The manifests, and blobs of unknown kinds, that descriptors of this graph lead to through indexes. Each is
    /// returned once, in order.
    pub(crate) fn manifests_below<'d>(
        &self,
        roots: impl IntoIterator<Item = &'d Descriptor>,
    ) -> Result<Vec<Descriptor>> {
        let walk = Walk::new(self.layout, Opened::Indexes, Subjects::Left, roots.into_iter().cloned());
        let manifest = |met: Met| match met.found {
            Found::Read(_) => None,
            Found::Unopened | Found::Missing => Some(met.path.descriptor().clone()),
        };
        walk.filter_map(|met| met.map(manifest).transpose()).collect()
    }

    fn content(&self, descriptor: &Descriptor, found: &Found) -> Result<NodeContent> {
        Ok(match (descriptor.media_type.kind(), found) {
            (_, Found::Missing) => NodeContent::Missing,
            (MediaKind::Index, _) => NodeContent::Index(Box::new(self.layout.document(descriptor)?)),
            (MediaKind::Manifest, _) => {
                let manifest: Document<Manifest> = self.layout.document(descriptor)?;
                let config = &manifest.value().config;
                let config =
                    if manifest.value().is_image() { Some(Box::new(self.layout.document(config)?)) } else { None };
                NodeContent::Manifest(Box::new(manifest), config)
            }
            _ if self.layout.holds(&descriptor.digest)? => NodeContent::Unknown,
            _ => NodeContent::Missing,
        })
    }
}
