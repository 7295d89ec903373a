use std::collections::BTreeMap;

use crate::digest::Digest;
use crate::error::{Error, Result};
use crate::layout::{Layout, MAX_DEPTH};
use crate::media_type::{MediaKind, MediaType};
use crate::oci::{Descriptor, Document, ImageConfig, Index, Manifest};

/// The documents that lead from descriptors to blobs, each read once and held to its descriptor.
#[derive(Debug)]
pub(crate) struct Graph<'a> {
    layout: &'a Layout,
    nodes: BTreeMap<Digest, Node>,
    /// Each document stands behind those that it mentions.
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

impl<'a> Graph<'a> {
    /// Reads all documents that the descriptors lead to. These must be in the layout; what nested indexes and subjects
    /// mention need not.
    pub(crate) fn read<'d>(layout: &'a Layout, roots: impl IntoIterator<Item = &'d Descriptor>) -> Result<Self> {
        let mut graph = Graph { layout, nodes: BTreeMap::new(), order: Vec::new() };
        for root in roots {
            graph.follow(root, 1)?;
            if matches!(graph.nodes[&root.digest].content, Content::Missing) {
                return Err(graph.missing(root));
            }
        }
        Ok(graph)
    }

    /// Where the documents are.
    pub(crate) fn layout(&self) -> &'a Layout {
        self.layout
    }

    /// What a descriptor of this graph leads to.
    pub(crate) fn node(&self, digest: &Digest) -> &Node {
        &self.nodes[digest]
    }

    /// All that was met, each behind what it mentions.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.order.iter().map(|digest| &self.nodes[digest])
    }

    /// The descriptors of manifests that a descriptor leads to through indexes, each once, in their order.
    pub(crate) fn manifests_below(&self, root: &Descriptor) -> Vec<Descriptor> {
        let mut found: Vec<Descriptor> = Vec::new();
        let mut open = vec![root];
        let mut passed = Vec::new();
        while let Some(descriptor) = open.pop() {
            match &self.nodes[&descriptor.digest].content {
                Content::Index(_) if passed.contains(&&descriptor.digest) => {}
                Content::Index(index) => {
                    passed.push(&descriptor.digest);
                    open.extend(index.value().manifests.iter().rev());
                }
                _ if found.iter().any(|known| known.digest == descriptor.digest) => {}
                _ => found.push(descriptor.clone()),
            }
        }
        found
    }

    /// That a blob is not there.
    pub(crate) fn missing(&self, descriptor: &Descriptor) -> Error {
        Error::malformed(self.layout.location().to_string(), format!("blob {} is missing", descriptor.digest))
    }

    fn follow(&mut self, descriptor: &Descriptor, depth: usize) -> Result<()> {
        let kind = descriptor.media_type.kind();
        if let Some(known) = self.nodes.get(&descriptor.digest) {
            // Who takes one document for two things may show each reader another image (CVE-2021-41190).
            if known.descriptor.media_type.kind() != kind {
                let subject = format!("{}: blob {}", self.layout.location(), descriptor.digest.short());
                let (one, other) = (&known.descriptor.media_type, &descriptor.media_type);
                return Err(Error::malformed(subject, format!("one media type expected, found `{one}` and `{other}`")));
            }
            return Ok(());
        }
        if depth > MAX_DEPTH {
            let reason = format!("documents are nested deeper than {MAX_DEPTH}");
            return Err(Error::malformed(self.layout.location().to_string(), reason));
        }
        let content = self.content(descriptor)?;
        let (listed, subject) = match &content {
            Content::Index(index) => (index.value().manifests.clone(), index.value().subject.clone()),
            Content::Manifest(manifest, _) => (Vec::new(), manifest.value().subject.clone()),
            Content::Unknown | Content::Missing => (Vec::new(), None),
        };
        let digest = descriptor.digest.clone();
        self.nodes.insert(digest.clone(), Node { descriptor: descriptor.clone(), content });
        for descriptor in listed.iter().chain(&subject) {
            self.follow(descriptor, depth + 1)?;
        }
        self.order.push(digest);
        Ok(())
    }

    fn content(&self, descriptor: &Descriptor) -> Result<Content> {
        if self.layout.stored_blob(&descriptor.digest)?.is_none() {
            return Ok(Content::Missing);
        }
        Ok(match descriptor.media_type.kind() {
            MediaKind::Index => Content::Index(Box::new(self.layout.document(descriptor)?)),
            MediaKind::Manifest => {
                let manifest: Document<Manifest> = self.layout.document(descriptor)?;
                let config = &manifest.value().config;
                let config = match config.media_type.kind() {
                    MediaKind::Config => Some(Box::new(self.layout.document(config)?)),
                    _ => None,
                };
                Content::Manifest(Box::new(manifest), config)
            }
            _ => Content::Unknown,
        })
    }
}
