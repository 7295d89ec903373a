# SPDX-License-Identifier: MIT
SUMMARY = "meta-virtualization's recipe, with a rootfs of the tests"
LICENSE = "MIT"

require ${META_VIRT}/recipes-containers/images/app-container-nginx.bb
require recipes-test/images/named-packages.inc

# It is skipped where the layer of the server is not there.
SKIP_RECIPE[app-container-nginx] = ""
