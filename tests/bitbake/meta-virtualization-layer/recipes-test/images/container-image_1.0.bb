# SPDX-License-Identifier: MIT
SUMMARY = "The rootfs of the tests by meta-virtualization's class"
LICENSE = "MIT"

inherit image image-oci

require recipes-test/images/baked-image.inc

IMAGE_FSTYPES = "oci tar"
