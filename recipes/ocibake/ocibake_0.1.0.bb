# SPDX-License-Identifier: MIT

SUMMARY = "Bake a root filesystem into an OCI container image"
DESCRIPTION = "What image_types_oci runs: a rootfs becomes an OCI image in one pass, without network or daemon"
HOMEPAGE = "https://github.com/ocibake/ocibake"
BUGTRACKER = "https://github.com/ocibake/ocibake/issues"
SECTION = "devel"
LICENSE = "MIT"
LIC_FILES_CHKSUM = "file://LICENSE;md5=af93ed09e4ed74102aacdc77f8b4f0be"

# bzip2, liblzma and zstd come from their recipes. A version of xz older than 5.8, and libdeflate always, are built from
# the C sources that their crates bring along.
DEPENDS = "bzip2 xz zstd"
# A binary for another machine cannot be asked for its manual pages and completions.
DEPENDS:append:class-target = " ocibake-native"
DEPENDS:append:class-nativesdk = " ocibake-native"

# The layer is the source tree, so class and tool never differ. To keep the recipe in another layer, put
# git://github.com/ocibake/ocibake.git;protocol=https;branch=main with a SRCREV in the place of these lines.
# nooelint: oelint.vars.fileextrapaths,oelint.vars.outofcontext - the sources are not beside the recipe
FILESEXTRAPATHS:prepend := "${THISDIR}/../..:"
SRC_URI = "\
    file://Cargo.lock;subdir=${BP} \
    file://Cargo.toml;subdir=${BP} \
    file://LICENSE;subdir=${BP} \
    file://benches/encoder.rs;subdir=${BP} \
    file://src;subdir=${BP} \
"

inherit cargo cargo-update-recipe-crates pkgconfig bash-completion

require ${BPN}-crates.inc

# Packaging strips, and keeps the symbols for ${PN}-dbg.
export CARGO_PROFILE_RELEASE_STRIP = "none"

OCIBAKE_HERE = "ocibake"
OCIBAKE_HERE:class-native = "${B}/target/${CARGO_TARGET_SUBDIR}/ocibake"

do_install:append() {
    install -d ${D}${mandir}/man1 ${D}${datadir}/bash-completion/completions \
        ${D}${datadir}/zsh/site-functions ${D}${datadir}/fish/vendor_completions.d
    ${OCIBAKE_HERE} man ${D}${mandir}/man1
    ${OCIBAKE_HERE} completions bash > ${D}${datadir}/bash-completion/completions/ocibake
    ${OCIBAKE_HERE} completions zsh > ${D}${datadir}/zsh/site-functions/_ocibake
    ${OCIBAKE_HERE} completions fish > ${D}${datadir}/fish/vendor_completions.d/ocibake.fish
}

FILES:${PN} += "${datadir}/zsh ${datadir}/fish"

BBCLASSEXTEND = "native nativesdk"
