# SPDX-License-Identifier: MIT
SUMMARY = "A recipe that calls the tool itself"
LICENSE = "MIT"

inherit deploy nopackages ocibake

INHIBIT_DEFAULT_DEPS = "1"

do_deploy () {
	install -d ${B}/rootfs
	echo 'content' >${B}/rootfs/file
	ocibake build ${OCIBAKE_PLATFORM_FLAGS} --owner 0:0 ${B}/rootfs oci:${DEPLOYDIR}/flagged-image.oci
}
do_deploy[depends] += "ocibake-native:do_populate_sysroot"
do_deploy[cleandirs] += "${B}"

addtask do_deploy before do_build after do_compile
