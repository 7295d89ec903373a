# SPDX-License-Identifier: MIT
#
# For an SDK, the tool of the tests instead of one that is compiled: the other tasks are those of the recipe.

INHIBIT_DEFAULT_DEPS:class-nativesdk = "1"
INHIBIT_DEFAULT_RUST_DEPS:class-nativesdk = "1"
DEPENDS:class-nativesdk = ""
PACKAGE_DEPENDS:class-nativesdk = ""
SKIP_FILEDEPS:class-nativesdk = "1"
INHIBIT_PACKAGE_STRIP:class-nativesdk = "1"
INSANE_SKIP:${PN}:class-nativesdk = "already-stripped"
RDEPENDS:${PN}-bash-completion:class-nativesdk = ""

do_install:class-nativesdk () {
	install -D -m 0755 "$(which ocibake)" ${D}${bindir}/ocibake
}

python () {
    if bb.data.inherits_class("nativesdk", d):
        for task in ("do_fetch", "do_unpack", "do_configure", "do_compile"):
            d.setVarFlag(task, "noexec", "1")
        # BitBake would look for the tasks of what the host provides.
        for task in ("do_package", "do_populate_sysroot"):
            d.delVarFlag(task + "_setscene", "depends")
}
