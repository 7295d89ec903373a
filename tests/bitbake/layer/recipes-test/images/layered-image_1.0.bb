# SPDX-License-Identifier: MIT
SUMMARY = "An image of several packages"
LICENSE = "MIT"

inherit image

NAMED_PACKAGES = "app busybox zlib"
require named-packages.inc
