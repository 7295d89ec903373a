# SPDX-License-Identifier: MIT
SUMMARY = "An application as packages, one of them with users"

require packaged.inc

PACKAGES = "packaged-users ${PN}"
PACKAGED_VERSION ??= "1"

do_install () {
	install -d ${D}${sysconfdir} ${D}${bindir} ${D}${datadir}/app ${D}/home/app
	install -d -m 1777 ${D}/tmp
	printf 'root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1::/:/bin/false\n' >${D}${sysconfdir}/passwd
	printf 'root:x:0:\ndaemon:x:1:\nshadow:x:42:\n' >${D}${sysconfdir}/group
	echo 'root:*:19000:0:99999:7:::' >${D}${sysconfdir}/shadow
	chmod 0640 ${D}${sysconfdir}/shadow
	printf '#!/bin/sh\necho app\n' >${D}${bindir}/app
	chmod 4755 ${D}${bindir}/app
	ln ${D}${bindir}/app ${D}${bindir}/app-again
	echo '${PACKAGED_VERSION}' >${D}${datadir}/app/version
	echo 'with a space in its name' >"${D}${datadir}/app/read me"
	chown -R daemon:daemon ${D}/home/app
}

FILES:packaged-users = "${sysconfdir} /tmp"
FILES:${PN} = "${bindir} ${datadir} /home"
RDEPENDS:${PN} = "packaged-library packaged-users"
