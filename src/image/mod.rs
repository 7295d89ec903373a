//! Image operations that several verbs share: reading an image as a tree, keeping file contents, moving blobs between
//! layouts, and publishing an image in its targets.

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
