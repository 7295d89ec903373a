//! What `unpack` is told.

use crate::platform::PlatformPattern;

/// How an image is unpacked.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct UnpackOptions {
    /// The platform of the image, if there are several.
    pub platform: Option<PlatformPattern>,
    /// What the directory holds.
    pub form: Form,
    /// What happens to what this user may not set.
    pub rights: Rights,
}

/// What an unpacked image is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// Its filesystem.
    #[default]
    Rootfs,
    /// A bundle for a runtime: the filesystem in `rootfs`, and a `config.json` (image-spec, conversion.md).
    Bundle,
}

/// What happens to owners, devices and attributes that the system does not let this user set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rights {
    /// It is an error.
    #[default]
    Full,
    /// They are left out and listed: see [`UnpackReport::skipped`](super::UnpackReport::skipped).
    Rootless,
}
