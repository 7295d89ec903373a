#
# Copyright (c) 2026 The ocibake authors
#
# SPDX-License-Identifier: MIT
#
# For a recipe that combines images from multiconfigs, each for its machine, into one multi-platform image:
#
#     SUMMARY = "The application for every machine"
#     LICENSE = "MIT"
#
#     inherit ocibake_index
#
#     OCI_INDEX_IMAGES = "mc:arm64:app-image mc:x86-64:app-image"
#
# where conf/multiconfig/arm64.conf and conf/multiconfig/x86-64.conf set MACHINE and TMPDIR, BBMULTICONFIG names both, and
# app-image has the image type oci or oci-archive. Platforms and variants are those of the images. In a layout, what is
# attached to an image, such as its SPDX document, is carried along. Equal blobs are stored once, and hard links replace
# copies where possible.
#
# In DEPLOY_DIR_IMAGE, for each type of OCI_INDEX_TYPES: ${PN}.oci or ${PN}.oci-archive and, for each tag, the link that
# container classes look for, ${PN}-<tag>-oci or ${PN}-<tag>-oci.tar.
#
# Variables; all lists are words in shell quoting, and no value is ever run or expanded by a shell:
#
#     OCI_INDEX_IMAGES       the images, in this order: mc:MULTICONFIG:RECIPE, or RECIPE for this configuration
#     OCI_INDEX_IMAGE_TAG    the tag by which they are found; default the first of OCI_IMAGE_TAG
#     OCI_INDEX_TYPES        oci, oci-archive or both; default "oci"
#     OCI_INDEX_ANNOTATIONS  annotations of the index, words key=value
#     OCI_INDEX_FLAT         "1": the images are in index.json itself, without an index of their own; default "0"
#     OCI_INDEX_DEPLOY_DIR_IMAGE
#                            DEPLOY_DIR_IMAGE of multiconfigs, words MULTICONFIG=DIRECTORY; default: the value that each
#                            configuration file gives it
#     OCI_IMAGE_TAG          names of the index, words; default "latest"
#     OCI_IMAGE_NAME         oci-archive: the repository of a tag without one; default PN in lower case

inherit deploy nopackages nospdx ocibake

INHIBIT_DEFAULT_DEPS = "1"
EXCLUDE_FROM_WORLD = "1"
PACKAGE_ARCH = "${MACHINE_ARCH}"

OCI_IMAGE_TAG ??= "latest"
OCI_IMAGE_NAME ??= "${@d.getVar('PN').lower()}"
OCI_INDEX_IMAGES ??= ""
OCI_INDEX_IMAGE_TAG ??= ""
OCI_INDEX_TYPES ??= "oci"
OCI_INDEX_ANNOTATIONS ??= ""
OCI_INDEX_FLAT ??= "0"
OCI_INDEX_DEPLOY_DIR_IMAGE ??= ""

deltask do_fetch
deltask do_unpack
deltask do_patch
deltask do_configure
deltask do_compile
deltask do_install
deltask do_populate_sysroot
deltask do_populate_lic

do_deploy[depends] += "ocibake-native:do_populate_sysroot ${@oci_index_depends(d)[0]}"
do_deploy[mcdepends] += "${@oci_index_depends(d)[1]}"

# sstate would archive the whole layout, which takes longer than making the index again.
SSTATE_SKIP_CREATION:task-deploy = "1"

def oci_index_images(d):
    """
    Multiconfig and recipe of each image; the multiconfig is empty for this configuration.
    """
    expected = "expected words RECIPE or mc:MULTICONFIG:RECIPE"
    images = []
    for word in ocibake_words(d, "OCI_INDEX_IMAGES"):
        parts = word.split(":")
        if "" in parts or len(parts) != 1 and (len(parts) != 3 or parts[0] != "mc"):
            raise bb.parse.SkipRecipe("OCI_INDEX_IMAGES holds `%s`: %s" % (word, expected))
        multiconfig = parts[1] if len(parts) == 3 else None
        images.append((None if multiconfig == d.getVar("BB_CURRENT_MC") else multiconfig, parts[-1]))
    if not images:
        raise bb.parse.SkipRecipe("OCI_INDEX_IMAGES is empty: %s" % expected)
    return images

def oci_index_depends(d):
    """
    The tasks that make the images, in this configuration and in others.
    """
    here = d.getVar("BB_CURRENT_MC") or ""
    # In older releases the configuration without a name is called "default" elsewhere.
    mc = "mc:%s" % ("" if here == "default" else here)
    images = [(multiconfig, recipe + ":do_image_complete") for multiconfig, recipe in oci_index_images(d)]
    return (" ".join(task for multiconfig, task in images if not multiconfig),
            " ".join("%s:%s:%s" % (mc, multiconfig, task) for multiconfig, task in images if multiconfig))

def oci_index_configured_dirs(d, multiconfig):
    """
    Directories where the images of a multiconfig may be, the likeliest first. Its datastore is not available here, but
    its configuration file says how it differs from this one.
    """
    other = bb.data.createCopy(d)
    other.setVar("BB_CURRENT_MC", multiconfig)
    bb.parse.handle("conf/multiconfig/%s.conf" % multiconfig, other, True)
    directories = [other.getVar("DEPLOY_DIR_IMAGE")]
    if d.getVar("TCLIBCAPPEND") and other.getVar("TMPDIR") != d.getVar("TMPDIR"):
        # Older releases add this to TMPDIR after reading the file, unless an override sets TMPDIR.
        other.appendVar("TMPDIR", d.getVar("TCLIBCAPPEND"))
        directories.insert(0, other.getVar("DEPLOY_DIR_IMAGE"))
    return directories

# nooelint: oelint.task.noanonpython - configuration files are read when recipes are, and not by tasks
python () {
    for multiconfig in sorted({multiconfig for multiconfig, _ in oci_index_images(d) if multiconfig}):
        try:
            directories = oci_index_configured_dirs(d, multiconfig)
        except FileNotFoundError:
            # Other builds may use the layer that has this recipe.
            raise bb.parse.SkipRecipe("OCI_INDEX_IMAGES names the multiconfig `%s`: there is no conf/multiconfig/%s.conf"
                                      % (multiconfig, multiconfig))
        d.setVar("OCI_INDEX_DIRECTORIES_" + multiconfig, "\n".join(directories))
}

def oci_index_deploy_dirs(d, multiconfig):
    """
    Directories where the images of a multiconfig may be.
    """
    if not multiconfig:
        return [d.getVar("DEPLOY_DIR_IMAGE")]
    for word in ocibake_words(d, "OCI_INDEX_DEPLOY_DIR_IMAGE"):
        name, separator, directory = word.partition("=")
        if not separator or not directory.startswith("/"):
            bb.fatal("OCI_INDEX_DEPLOY_DIR_IMAGE holds `%s`: expected words MULTICONFIG=DIRECTORY" % word)
        if name == multiconfig:
            return [directory]
    return d.getVar("OCI_INDEX_DIRECTORIES_" + multiconfig).split("\n")

def oci_index_location(d, multiconfig, recipe, tag):
    """
    Transport and path of an image.
    """
    paths = [os.path.join(directory, ocibake_link(recipe, tag, "oci"))
             for directory in oci_index_deploy_dirs(d, multiconfig)]
    for path in paths:
        for transport, candidate in [("oci", path), ("oci-archive", path + ".tar")]:
            if os.path.exists(candidate):
                return "%s:%s" % (transport, candidate)
    bb.fatal("%s has no image at %s: give it the image type oci and the tag `%s`%s" % (
        recipe, " or ".join("%s or %s.tar" % (path, path) for path in paths), tag,
        ", or set OCI_INDEX_DEPLOY_DIR_IMAGE to `%s=DIRECTORY`" % multiconfig if multiconfig else ""))

python do_deploy () {
    ocibake_require(d)
    tags = ocibake_words(d, "OCI_IMAGE_TAG") or ["latest"]
    taken = d.getVar("OCI_INDEX_IMAGE_TAG") or tags[0]
    flags = ["--tag=" + tag for tag in tags]
    flags += ["--annotation=" + pair for pair in ocibake_words(d, "OCI_INDEX_ANNOTATIONS")]
    flags += ["--flat"] if ocibake_switch(d, "OCI_INDEX_FLAT") else []
    images = [oci_index_location(d, multiconfig, recipe, taken) for multiconfig, recipe in oci_index_images(d)]

    for imagetype in ocibake_words(d, "OCI_INDEX_TYPES"):
        if imagetype not in ("oci", "oci-archive"):
            bb.fatal("OCI_INDEX_TYPES holds `%s`: expected oci or oci-archive" % imagetype)
        name = "%s.%s" % (d.getVar("PN"), imagetype)
        target = "%s:%s" % (imagetype, os.path.join(d.getVar("DEPLOYDIR"), name))
        # Without a name, a layout stands for its images and what is attached to them. Archives hold only the index.
        sources = images if imagetype == "oci" else ["%s:%s" % (image, taken) for image in images]
        named = ["--repository=" + d.getVar("OCI_IMAGE_NAME")] if imagetype != "oci" and d.getVar("OCI_IMAGE_NAME") else []
        bb.note("%s: %s" % (name, ocibake_run(["index", "--no-sync", *flags, *named, *sources, target]).strip()))
        ending = "oci" if imagetype == "oci" else "oci.tar"
        for link in sorted({ocibake_link(d.getVar("PN"), tag, ending) for tag in tags}):
            os.symlink(name, os.path.join(d.getVar("DEPLOYDIR"), link))
}
do_deploy[vardeps] += "\
    OCI_IMAGE_NAME OCI_IMAGE_TAG OCI_INDEX_ANNOTATIONS OCI_INDEX_DEPLOY_DIR_IMAGE OCI_INDEX_FLAT OCI_INDEX_IMAGES OCI_INDEX_TYPES \
"
do_deploy[doc] = "Make the index of the images, and the links by which container classes find it"

addtask do_deploy before do_build

CLEANFUNCS += "oci_index_clean"

python oci_index_clean () {
    ocibake_clean_layouts(d, d.getVar("PN") + ".oci")
}
oci_index_clean[doc] = "Remove the directories of the layout"
