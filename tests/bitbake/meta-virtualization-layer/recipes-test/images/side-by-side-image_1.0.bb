# SPDX-License-Identifier: MIT
SUMMARY = "Layers by OCI_LAYERS, with the class's own backend or with ours"
LICENSE = "MIT"

require recipes-test/images/packaged-image.bb

inherit image-oci

SIDE_BY_SIDE_TYPES ??= "oci"
IMAGE_FSTYPES = "${SIDE_BY_SIDE_TYPES}"
