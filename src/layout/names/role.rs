//! What the text of a location is used for.

use std::fmt;

/// The forms of a location, for messages.
pub(super) const FORMS: &str = "`oci:DIR[:REF]`, `oci-archive:FILE[:REF]` or `docker-archive:FILE[:NAME[:TAG]]`";

/// What a location is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// It is read or changed in place.
    Image,
    /// It is written.
    Target,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Role::Image { "image" } else { "target" })
    }
}
