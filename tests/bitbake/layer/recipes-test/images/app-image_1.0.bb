# SPDX-License-Identifier: MIT
SUMMARY = "An application on the image of the tests"
LICENSE = "MIT"

inherit image

require baked-image.inc

IMAGE_FSTYPES = "oci"

OCI_BASE_IMAGE ?= "baked-image"
APP_MERGED ??= ""

fakeroot do_rootfs () {
	cd ${IMAGE_ROOTFS}
	install -d etc usr/bin
	echo 'app' >usr/bin/app
	chmod 4755 usr/bin/app
	chown 1000:1000 usr/bin/app
	mknod -m 0660 usr/bin/device c 5 1
	if [ -n "${APP_MERGED}" ]; then ln -s usr/bin bin; fi
}
