//! Layers: writing them, reading them as changesets, folding them into a tree, and the difference of two trees as a
//! layer (image-spec, layer.md).

mod changeset;
mod cut;
mod difference;
mod fold;
pub mod groups;
mod percent;
pub mod plan;
pub(crate) mod stream;
mod write;

pub use changeset::{ByMember, Changeset, Contents};
pub use cut::{cut, Cut, LayerGroups};
pub use difference::{difference, Steps};
pub use fold::{Fold, Folded, Origin};
pub use write::{recompress, write, write_all, Layer, LayerTimes, Step};
