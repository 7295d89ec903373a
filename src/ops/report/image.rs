//! The report on the image for one platform.

use serde::Serialize;

use crate::ops::inspect::{ImageInspection, Usage};
use crate::ops::report::{Comparison, LayerUsage, Notice, RecipeUsage, SizeTree, Waste};

/// The report on the image for one platform.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ImageReport {
    /// Its documents, as `inspect` shows them.
    pub inspection: ImageInspection,
    /// Bytes of content of all files of its filesystem.
    pub unpacked: u64,
    /// Entries of its filesystem.
    pub entries: usize,
    /// The source of the owners of files: the package map, `dpkg`, `opkg`, `apk`, or `layers` if only the annotations
    /// of layers name recipes; `None` if it is not known.
    pub owners: Option<String>,
    /// The size of each recipe in the filesystem, largest first.
    pub recipes: Vec<RecipeUsage>,
    /// The layers, base first.
    pub layers: Vec<LayerUsage>,
    /// The largest files, largest first.
    pub largest_files: Vec<Usage>,
    /// The largest directories with everything below them, largest first.
    pub largest_directories: Vec<Usage>,
    /// Wasted space.
    pub waste: Waste,
    /// Entries that deserve a look.
    pub notices: Vec<Notice>,
    /// The changes since the older image; `None` without one, or if that has no image for the platform.
    pub comparison: Option<Comparison>,
    /// Every file with its size. `inspect` lists them for programs.
    #[serde(skip)]
    pub tree: SizeTree,
}
