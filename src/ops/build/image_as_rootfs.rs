//! An image that is given where a rootfs is wanted.

use crate::error::{Error, ErrorKind, Result};
use crate::hint::{Hint, OptionName};

/// Refuses an image that is given as the rootfs. `has` tells which names are at its top. An image on standard input has
/// no transport.
pub(super) fn refuse_image(name: &str, transport: Option<&str>, has: impl Fn(&str) -> bool) -> Result<()> {
    let is_layout = has("oci-layout") && has("index.json");
    let is_docker = has("manifest.json") && (has("repositories") || has("blobs"));
    let kind = match (is_layout, is_docker) {
        (true, _) => "an image layout",
        (false, true) => "an image as Docker saves it",
        (false, false) => return Ok(()),
    };
    match transport {
        Some(transport) => Err(refusal(name, kind, &format!("{transport}:{name}"))),
        None => Err(Error::refused_with_hint(
            wanted(name, kind),
            Hint::from("write it to a file: then build on it with ")
                .option(OptionName::Base)
                .text(", carry it on with ")
                .verb("convert")
                .text(", or change it with ")
                .verb("config"),
        )
        .of_kind(ErrorKind::Invalid)),
    }
}

fn wanted(name: &str, kind: &str) -> String {
    format!("rootfs `{name}`: a root filesystem is wanted, found {kind}")
}

/// The error for an image where a rootfs is wanted.
pub(super) fn refusal(name: &str, kind: &str, location: &str) -> Error {
    Error::refused_with_hint(
        wanted(name, kind),
        Hint::from(format!("`{location}` names it: build on it with "))
            .option(OptionName::Base)
            .text(", carry it on with ")
            .verb("convert")
            .text(", or change it with ")
            .verb("config"),
    )
    .of_kind(ErrorKind::Invalid)
}
