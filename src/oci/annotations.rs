//! Annotation keys with a defined meaning (image-spec, annotations.md#pre-defined-annotation-keys).

/// The ref name of a descriptor in `index.json`.
pub const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The full name of an image, registry and tag included, by which containerd and Docker know it; defined by containerd.
pub const CONTAINERD_NAME: &str = "io.containerd.image.name";
/// The digest of the image that an attestation is about, which is listed in the same index; defined by `BuildKit`.
pub const ATTESTED: &str = "vnd.docker.reference.digest";
/// What a manifest is to the image that [`ATTESTED`] names; defined by `BuildKit`.
pub(crate) const REFERENCE_TYPE: &str = "vnd.docker.reference.type";
/// When the image was made, RFC 3339.
pub(crate) const CREATED: &str = "org.opencontainers.image.created";
/// The digest of the base image's manifest.
pub(crate) const BASE_DIGEST: &str = "org.opencontainers.image.base.digest";
/// The name of the base image.
pub(crate) const BASE_NAME: &str = "org.opencontainers.image.base.name";
/// A title for people; on an artifact's layer, the name of the file.
pub const TITLE: &str = "org.opencontainers.image.title";
/// The name of a layer in the plan that the image was cut by; defined here.
pub(crate) const LAYER_NAME: &str = "io.github.ocibake.layer";
/// The groups that have something in a layer: words `RECIPE=VERSION`; defined here.
pub(crate) const LAYER_GROUPS: &str = "io.github.ocibake.groups";
/// The prefix that `.x=` abbreviates in labels and annotations.
pub const PREFIX: &str = "org.opencontainers.image";
