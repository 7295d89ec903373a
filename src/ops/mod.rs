//! What the tool does, one file a verb. Each is a function of plain values, usable without the command.

pub mod attach;
pub mod build;
mod changeset_cache;
pub mod config;
mod content_digests;
pub mod convert;
pub mod diff;
pub mod gc;
pub mod image_tree;
pub mod index;
pub mod inspect;
mod kept_content;
pub mod list;
mod names;
mod publish;
pub mod remove;
pub mod squash;
pub mod tag;
pub mod transfer;
pub mod unpack;
pub mod verify;

pub use names::AdditionalName;
pub use publish::TargetOptions;
