# SPDX-License-Identifier: MIT
SUMMARY = "A rootfs of the caller's"
LICENSE = "MIT"

# The class's other backends need the image type container as well.
MEASURED_TYPES ??= "oci"
IMAGE_FSTYPES = "${MEASURED_TYPES}"

inherit image image-oci

require recipes-test/images/baked-image.inc

IMAGE_FSTYPES = "${MEASURED_TYPES}"

fakeroot do_rootfs () {
	tar -C ${IMAGE_ROOTFS} --numeric-owner --xattrs --xattrs-include='*' -xpf ${MEASURED_ROOTFS}
}
