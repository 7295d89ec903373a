//! What `inspect` is told.

use crate::platform::PlatformPattern;

/// What is shown of an image.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct InspectOptions {
    /// The platform of the image, if there are several.
    pub platform: Option<PlatformPattern>,
    /// Whether the entries of the layers are listed.
    pub files: Files,
    /// How many of the largest files and directories are listed.
    pub largest: Option<usize>,
}

/// Whether the entries of layers are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Files {
    /// No layer is read for them.
    #[default]
    Omitted,
    /// They are listed.
    Listed,
}
