# SPDX-License-Identifier: MIT
SUMMARY = "An image whose rootfs is the release's own do_rootfs, of packages"
LICENSE = "MIT"

inherit image

IMAGE_FSTYPES = "tar oci"
PACKAGE_INSTALL = "packaged-app"
IMAGE_FEATURES ?= ""
IMAGE_LINGUAS = ""
DEPENDS = ""
KERNELDEPMODDEPEND = ""
KERNEL_DEPLOY_DEPEND = ""
LDCONFIGDEPEND = ""
EXTRA_IMAGEDEPENDS = ""
IMAGE_CONTAINER_NO_DUMMY = "1"

OCI_IMAGE_CMD = "/usr/bin/app"
