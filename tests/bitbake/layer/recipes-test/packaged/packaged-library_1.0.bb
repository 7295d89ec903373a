# SPDX-License-Identifier: MIT
SUMMARY = "A library as a package"

require packaged.inc

LICENSE = "LGPL-2.1-or-later"

PACKAGES = "${PN}"

do_install () {
	install -d ${D}${libdir}
	echo 'library' >${D}${libdir}/libpackaged.so.1
	ln -s libpackaged.so.1 ${D}${libdir}/libpackaged.so
}

FILES:${PN} = "${libdir}"
INSANE_SKIP:${PN} = "dev-so"
