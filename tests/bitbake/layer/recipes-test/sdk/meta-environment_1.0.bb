# SPDX-License-Identifier: MIT
#
# OE-core's own recipe of an SDK's environment script, without the C library and the tools that it is for.

require ${OECORE}/meta/recipes-core/meta/meta-environment.bb

INHIBIT_DEFAULT_DEPS = "1"
DEPENDS = ""
TOOLCHAIN_NEED_CONFIGSITE_CACHE = ""
TOOLCHAIN_NEED_CONFIGSITE_CACHE:remove = "zlib"
do_generate_content[depends] = ""
PACKAGE_DEPENDS = ""
