# SPDX-License-Identifier: MIT
SUMMARY = "meta-virtualization's recipe, with a rootfs of the tests"
LICENSE = "MIT"

require ${META_VIRT}/recipes-containers/images/app-container-valkey.bb
require recipes-test/images/named-packages.inc
