#
# Copyright (c) 2026 The ocibake authors
#
# SPDX-License-Identifier: MIT
#
# The base image: OCI_BASE_IMAGE, OCI_BASE_IMAGE_TAG and OCI_BASE_IMAGE_MODE, which image_types_oci.bbclass describes.

inherit ocibake

OCI_BASE_IMAGE_MODE ??= "merge"

def oci_base_image(d):
    """
    OCI_BASE_IMAGE, or None for the base itself if it is set for all images.
    """
    base = d.getVar("OCI_BASE_IMAGE")
    return None if base == d.getVar("PN") else base

def oci_base_mode(d):
    """
    How base and rootfs are combined: `merge`, `exact`, or None without a base.
    """
    mode = d.getVar("OCI_BASE_IMAGE_MODE")
    if mode not in ("merge", "exact"):
        bb.fatal("OCI_BASE_IMAGE_MODE is `%s`: expected merge or exact" % mode)
    return mode if oci_base_image(d) else None

def oci_base_path(d):
    """
    Transport, path and tag of a base that does not come from a recipe, each None if it is not given.
    """
    import re

    parts = re.fullmatch("(?:(oci|oci-archive|docker-archive):)?(/[^:]*)(?::(.+))?", oci_base_image(d) or "")
    return parts.groups() if parts else (None, None, None)

def oci_base_checksums(d):
    """
    The file to checksum for a base that does not come from a recipe: for a layout the index, which everything else in
    it follows from. If it is missing, BitBake warns, and notices when it appears.
    """
    import re

    transport, path, _ = oci_base_path(d)
    if not path:
        return ""
    # ocibake tells a layout from an archive in the same way.
    is_archive = transport != "oci" if transport else (
        re.search(r"\.(tar(\.(gz|xz|zstd?|bz2))?|t[gx]z|tzst|tbz2?)$", path) and not os.path.isdir(path))
    return (path if is_archive else os.path.join(path, "index.json")) + ":True"

def oci_base_recipe(d):
    """
    The recipe that makes the base, or None.
    """
    import re

    base = oci_base_image(d) or ""
    return base if re.fullmatch("[A-Za-z0-9][A-Za-z0-9+._-]*", base) else None

def oci_base_depends(d):
    """
    The task that the base depends on. The recipe need not be an image.
    """
    recipe = oci_base_recipe(d)
    return recipe + ":do_build" if recipe else ""

def oci_base_name(d):
    """
    The annotation that names the base, as a shell word key=value. For a recipe it is recipe and tag, of which the tool
    knows only the tag.
    """
    recipe = oci_base_recipe(d)
    return "org.opencontainers.image.base.name=%s:%s" % (recipe, oci_base_tag(d)) if recipe else None

def oci_base_tag(d):
    """
    Which image of the base, or None if it has only one.
    """
    return oci_base_path(d)[2] or d.getVar("OCI_BASE_IMAGE_TAG") or ("latest" if oci_base_recipe(d) else None)

def oci_base_check(d):
    """
    Stop at an invalid base before it is built.
    """
    if oci_base_image(d) and not oci_base_path(d)[1] and not oci_base_recipe(d):
        bb.fatal("OCI_BASE_IMAGE is `%s`: expected a recipe or an absolute path; an image in a registry is brought here by "
                 "`skopeo copy`" % oci_base_image(d))
    oci_base_mode(d)

def oci_base_location(d):
    """
    The location of the base, for ocibake.
    """
    base = oci_base_image(d)
    if not base:
        return None
    oci_base_check(d)

    transport, path, _ = oci_base_path(d)
    tag = oci_base_tag(d)
    if path:
        candidates = [(transport, path)]
        missing = "there is no %s" % path
    else:
        path = os.path.join(d.getVar("DEPLOY_DIR_IMAGE"), ocibake_link(base, tag, "oci"))
        candidates = [("oci", path), ("oci-archive", path + ".tar")]
        missing = ("there is no %s or %s.tar: give the base the image type oci and the tag `%s`, or set OCI_BASE_IMAGE_TAG"
                   % (path, path, tag))
    for transport, candidate in candidates:
        if os.path.exists(candidate):
            return ":".join(filter(None, [transport, candidate, tag]))
    bb.fatal("OCI_BASE_IMAGE is `%s`: %s" % (base, missing))
