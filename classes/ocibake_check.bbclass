#
# Copyright (c) 2026 The ocibake authors
#
# SPDX-License-Identifier: MIT
#
# Checks of the settings of an image that do not need a rootfs, in a separate task: once for all image types, and
# seconds after the start of a build.

inherit ocibake ocibake_base ocibake_layers ocibake_qa

def oci_check_base_platform(d, location, platform):
    """
    Stop at a base for another platform. In an index, the build itself chooses the image that fits.
    """
    import json

    found = json.loads(ocibake_ask(["inspect", "--json", location]) or "{}").get("platform") or platform
    if found.split("/")[:2] != platform.split("/")[:2]:
        bb.fatal("OCI_BASE_IMAGE is `%s`: an image for %s expected, found one for %s" % (oci_base_image(d), platform, found))

def oci_check_base_recipe(d):
    """
    Stop at a recipe as base that is built for another architecture: one of another multilib. Before the base is built, its
    name tells.
    """
    recipe = oci_base_recipe(d)
    variants = (d.getVar("MULTILIB_VARIANTS") or "").split()
    if not recipe or not variants or d.getVar("OCI_IMAGE_ARCH"):
        return

    import oe.utils

    variant = next((variant for variant in variants if recipe.startswith(variant + "-")), "")
    found = oe.utils.get_multilib_datastore(variant, d).getVar("TARGET_ARCH")
    if found != d.getVar("TARGET_ARCH"):
        same = (d.getVar("MLPREFIX") or "") + (recipe[len(variant) + 1:] if variant else recipe)
        bb.fatal("OCI_BASE_IMAGE is `%s`: an image for %s expected, found a recipe of one for %s; the recipe for %s is `%s`"
                 % (recipe, d.getVar("TARGET_ARCH"), found, d.getVar("TARGET_ARCH"), same))

def oci_check_class(d):
    """
    Stop at conflicts with other classes, and at image types that this class does not have.
    """
    if bb.data.inherits_class("image-oci", d) and d.getVar("OCI_IMAGE_BACKEND") != "ocibake":
        bb.fatal("image type oci comes from image-oci and from image_types_oci: inherit one of them, "
                 'or set OCI_IMAGE_BACKEND = "ocibake"')
    for task in oci_tasks():
        for converted in (d.getVarFlag(task, "subimages", False) or "").split():
            if converted.startswith("oci."):
                bb.fatal("IMAGE_FSTYPES holds `%s`: oci is a directory and has no conversions; use `%s`"
                         % (converted, converted.replace("oci.", "oci-archive.", 1)))
    ocibake_switch(d, "OCI_IMAGE_SPDX")
    oci_qa_levels(d)

def oci_check(d):
    """
    Stop at every mistake that can be found without a rootfs.
    """
    ocibake_require(d)
    oci_check_class(d)
    oci_check_layers(d)
    oci_base_check(d)
    oci_check_base_recipe(d)
    for task, imagetype in oci_tasks().items():
        if not d.getVarFlag(task, "imagetype"):
            continue
        typed = oci_with_type(d, imagetype)
        path = os.path.join(d.getVar("T"), "oci_check.%s.vars" % imagetype)
        oci_write_settings(oci_settings(typed), path)
        platform = oci_dry_run(typed, path).get("platform")
        if oci_base_path(typed)[1] and platform:
            oci_check_base_platform(typed, oci_base_location(typed), platform)

# Runs before do_rootfs, and again only if a setting changes. A changed setting is no reason to run do_rootfs again, so
# the settings are in the name of this task's stamp instead of its hash, and the stamp is older than that of do_rootfs.
python do_oci_check () {
    oci_check(d)
    bb.build.make_stamp("do_oci_check", d)
    os.utime(bb.parse.siggen.stampfile_mcfn("do_oci_check", d.getVar("BB_FILENAME")), (1, 1))
}
do_oci_check[doc] = "Check the settings of the image before its rootfs is made"
do_oci_check[depends] += "ocibake-native:do_populate_sysroot"
do_oci_check[vardepsexclude] += "oci_check"
do_oci_check[stamp-extra-info] = "${@oci_checked(d)}"
do_oci_check[selfstamp] = "1"

def oci_checked(d):
    """
    A digest of the input of do_oci_check.
    """
    import hashlib

    names = oci_names(d) + d.getVar("OCI_CHECKED").split()
    values = [oci_values(oci_with_type(d, imagetype), names) for imagetype in ("oci", "oci-archive", "docker-archive")]
    return hashlib.sha256(repr([sorted(of_type.items(), key=lambda item: item[0]) for of_type in values]).encode()).hexdigest()[:16]

OCI_CHECKED = "EXTRA_IMAGECMD IMAGE_FSTYPES IMAGE_FSTYPES_DEBUGFS IMAGE_BASENAME SUMMARY OCI_IMAGE_BACKEND OCI_IMAGE_QA OCI_IMAGE_SPDX"
