//! One row or more for each rule of `verify`: a corruption of a good image that this rule finds and no other.

mod blobs;
mod configs;
mod descriptors;
mod documents;
mod layers;

use super::specimen::Changes;
use super::INDEX;

/// A rule, the name of the corruption, and how it is made.
pub(super) type Row = (&'static str, &'static str, Changes);

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
const REF_NAME: &str = "org.opencontainers.image.ref.name";

pub(super) fn rows() -> Vec<Row> {
    [
        documents::layout(),
        documents::documents(),
        descriptors::descriptors(),
        descriptors::media_types_and_names(),
        descriptors::artifacts(),
        blobs::blobs(),
        configs::platforms(),
        configs::configs(),
        layers::compression(),
        layers::tars(),
        layers::layers_over_layers(),
        layers::whiteouts(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
