# SPDX-License-Identifier: MIT
SUMMARY = "The rootfs of the tests as an OCI image"
LICENSE = "MIT"

inherit image

require baked-image.inc
