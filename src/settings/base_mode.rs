//! How a base image and a rootfs are combined.

/// How a base image and a rootfs are combined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BaseMode {
    /// The image holds exactly the rootfs: what only the base has is removed.
    #[default]
    Exact,
    /// The rootfs is added to the base, which stays complete.
    Merge,
}
