//! The documents that images consist of, with all that they say, for those who copy or change them.

use std::collections::BTreeMap;

use crate::digest::Digest;
use crate::error::Result;
use crate::layout::graph::walk::{Found, Met, Opened, Subjects, Walk};
use crate::layout::Layout;
use crate::media_type::{MediaKind, MediaType};
use crate::oci::{Descriptor, Document, ImageConfig, Index, Manifest};

/// The documents that lead from descriptors to blobs, each read once and held to its descriptor.
#[derive(Debug)]
pub(crate) struct Graph<'a> {
    layout: &'a Layout,
    nodes: BTreeMap<Digest, Node>,
    /// Each document stands after those that it mentions.
    order: Vec<Digest>,
}

/// What a descriptor of an index leads to.
#[derive(Debug)]
pub(crate) struct Node {
    /// A descriptor of it.
    pub(crate) descriptor: Descriptor,
    pub(crate) content: Content,
}

#[derive(Debug)]
pub(crate) enum Content {
    Index(Box<Document<Index>>),
    /// With the config, if it is that of an image.
    Manifest(Box<Document<Manifest>>, Option<Box<Document<ImageConfig>>>),
    /// Bytes of a kind that is not known here.
    Unknown,
    /// Nothing: of an image for several platforms, people often copy only those that they use.
    Missing,
}

impl Node {
    /// What the document calls itself, else what the descriptor calls it.
    pub(crate) fn media_type(&self) -> &MediaType {
        let own = match &self.content {
            Content::Index(index) => index.value().media_type.as_ref(),
            Content::Manifest(manifest, _) => manifest.value().media_type.as_ref(),
            Content::Unknown | Content::Missing => None,
        };
        own.unwrap_or(&self.descriptor.media_type)
    }
}

impl Content {
    /// What it is attached to.
    pub(crate) fn subject(&self) -> Option<&Descriptor> {
        match self {
            Content::Index(index) => index.value().subject.as_ref(),
            Content::Manifest(manifest, _) => manifest.value().subject.as_ref(),
            Content::Unknown | Content::Missing => None,
        }
    }
}

impl<'a> Graph<'a> {
    /// Reads all documents that the descriptors lead to. These must be in the layout; what nested indexes and subjects
    /// mention need not.
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
        let is_missing = |root: &&&Descriptor| matches!(graph.nodes[&root.digest].content, Content::Missing);
        match roots.iter().find(is_missing) {
            Some(root) => Err(layout.lacks(&root.digest)),
            None => Ok(graph),
        }
    }

    /// Where the documents are.
    pub(crate) fn layout(&self) -> &'a Layout {
        self.layout
    }

    /// What a descriptor of this graph leads to.
    pub(crate) fn node(&self, digest: &Digest) -> &Node {
        &self.nodes[digest]
    }

    /// All that was met, each after what it mentions.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.order.iter().map(|digest| &self.nodes[digest])
    }

    /// The descriptors of manifests that descriptors of this graph lead to through indexes, each once, in their order; and
    /// of what is neither.
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

    fn content(&self, descriptor: &Descriptor, found: &Found) -> Result<Content> {
        Ok(match (descriptor.media_type.kind(), found) {
            (_, Found::Missing) => Content::Missing,
            (MediaKind::Index, _) => Content::Index(Box::new(self.layout.document(descriptor)?)),
            (MediaKind::Manifest, _) => {
                let manifest: Document<Manifest> = self.layout.document(descriptor)?;
                let config = &manifest.value().config;
                let config =
                    if manifest.value().is_image() { Some(Box::new(self.layout.document(config)?)) } else { None };
                Content::Manifest(Box::new(manifest), config)
            }
            _ if self.layout.holds(&descriptor.digest)? => Content::Unknown,
            _ => Content::Missing,
        })
    }
}
