//! Layers: writing them, reading them as changesets, folding them into a tree, and the difference of two trees as a
//! layer (image-spec, layer.md).

mod anomaly_rules;
mod changeset;
mod check;
mod cut;
mod difference;
mod findings;
mod fold;
mod format;
pub mod groups;
mod percent;
pub mod plan;
pub(crate) mod stream;
mod unstorable;
mod write;

pub(crate) use changeset::ByMember;
pub(crate) use changeset::{Changeset, Contents, KEEPING};
pub(crate) use check::{too_many_layers, LayerCheck, LAYER_LIMIT};
pub(crate) use cut::{cut, LayerGroups};
pub(crate) use difference::difference;
pub(crate) use findings::{reason_of, LayerFinding};
pub(crate) use fold::BelowLower;
pub use fold::Fold;
pub use fold::Folded;
pub use fold::Origin;
pub(crate) use format::{format_name, format_of};
pub(crate) use unstorable::leave_unstorable;
pub(crate) use write::{recompress, write, Layer, LayerTimes, Members, Step};
