# SPDX-License-Identifier: MIT

require ocibake.inc
require ocibake-crates.inc

# What is built is the checkout that this layer is, so that class and tool never differ. A release has a recipe of its own,
# with a SRCREV, which "add-release" writes.
PV = "0.1.0+git"

inherit externalsrc

EXTERNALSRC = "${@os.path.normpath(os.path.join(os.path.dirname(d.getVar('FILE')), '../..'))}"
# The checkout stays as it is.
EXTERNALSRC_SYMLINKS = ""
