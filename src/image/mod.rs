//! What several verbs do with images: reading one as a tree, keeping the contents of its files, moving its blobs from
//! layout to layout, and publishing a new one in its targets.

pub mod cache;
pub(crate) mod content_digests;
pub mod fetch;
pub(crate) mod few_files;
pub(crate) mod kept_content;
pub(crate) mod publish;
pub(crate) mod read_tree;
pub(crate) mod sealed;
pub mod transfer;
pub mod tree;

pub use publish::TargetOptions;
