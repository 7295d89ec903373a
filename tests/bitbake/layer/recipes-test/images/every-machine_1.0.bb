# SPDX-License-Identifier: MIT
SUMMARY = "The image of the tests for several machines"
LICENSE = "MIT"

inherit ocibake_index

OCI_INDEX_IMAGES = "mc:arm64:baked-image mc:arm:baked-image baked-image"
