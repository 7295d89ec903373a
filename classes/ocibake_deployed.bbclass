#
# Copyright (c) 2026 The ocibake authors
#
# SPDX-License-Identifier: MIT
#
# Keeps IMGDEPLOYDIR free of the output of earlier runs. Only do_rootfs empties that directory, and the name of an image
# holds the build time, so each task keeps a list of the names that it made. If a run fails, the previous image stays,
# and so does its stamp.

inherit ocibake

def oci_made(d):
    """
    The names in IMGDEPLOYDIR that the task makes: the artefact, its conversions, and links to them.
    """
    imagetype, name, link = d.getVar("type"), d.getVar("IMAGE_NAME"), d.getVar("IMAGE_LINK_NAME")
    types = [imagetype] + (d.getVarFlag("do_" + d.getVar("BB_CURRENTTASK"), "subimages", False) or "").split()
    names = ["%s.%s" % (base, made) for base in (name, link) if base for made in types]
    return sorted({*names, *oci_links(d)})

def oci_links(d):
    """
    The links by which container classes find the image.
    """
    endings = {"oci": "oci", "oci-archive": "oci.tar", "docker-archive": "docker.tar"}
    tags = ocibake_words(d, "OCI_IMAGE_TAG") or ["latest"]
    name = d.getVar("IMAGE_BASENAME") + ("-dbg" if d.getVar("IMAGE_BUILDING_DEBUGFS") == "true" else "")
    return sorted({ocibake_link(name, tag, endings[d.getVar("type")]) for tag in tags})

def oci_made_before(d):
    """
    The names that earlier runs of the task made, or would have made.
    """
    try:
        with open(d.getVar("OCI_RUN") + ".made", encoding="utf-8") as names:
            return names.read().splitlines()
    except FileNotFoundError:
        return []

def oci_remember(d, names):
    """
    Record the names for the next run.
    """
    with open(d.getVar("OCI_RUN") + ".made", "w", encoding="utf-8") as made:
        made.write("".join(name + "\n" for name in sorted(set(names))))

def oci_discard(d, names):
    """
    Remove these names from IMGDEPLOYDIR if they are there.
    """
    for name in names:
        path = os.path.join(d.getVar("IMGDEPLOYDIR"), name)
        if os.path.lexists(path):
            bb.utils.remove(path, recurse=True)

def oci_unfinished(d, names):
    """
    Staging directories left by a killed ocibake.
    """
    return [name for name in os.listdir(d.getVar("IMGDEPLOYDIR")) if name.partition(".new")[0] in names and ".new" in name]

def oci_of_other_backends(d):
    """
    Output of image-oci's own backends in IMGDEPLOYDIR: directories and archives, and links to them.
    """
    import re

    deploy = d.getVar("IMGDEPLOYDIR")
    theirs = re.compile(r"-oci(-dir)?(\.tar)?$")
    targets = {name: os.readlink(os.path.join(deploy, name)) if os.path.islink(os.path.join(deploy, name)) else name
               for name in os.listdir(deploy)}
    return sorted(name for name, target in targets.items() if theirs.search(target))

CLEANFUNCS += "oci_clean"

python oci_clean () {
    import glob

    ocibake_clean_layouts(d, glob.escape(d.getVar("IMAGE_BASENAME")) + "*.oci")
}
oci_clean[doc] = "Remove the directories of layouts"
