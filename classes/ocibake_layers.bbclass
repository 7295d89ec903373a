#
# Copyright (c) 2026 The ocibake authors
#
# SPDX-License-Identifier: MIT
#
# How the rootfs is split into layers: OCI_IMAGE_LAYERS, OCI_LAYERS_PLAN, and OCI_LAYERS of meta-virtualization's
# image-oci, all described in image_types_oci.bbclass. However it is split, the layers together are the one rootfs of
# do_rootfs.

inherit ocibake ocibake_packages

OCI_IMAGE_LAYERS ??= ""
OCI_LAYERS_PLAN ??= ""
OCI_LAYERS_HISTORY ??= ""
OCI_LAYERS ??= ""
OCI_LAYER_MODE ??= "${@'multi' if d.getVar('OCI_LAYERS') else 'single'}"

# Part of the command of the image types. The map exists only if the rootfs is split.
OCI_MAP_FLAG = "${@oci_map_flag(d)}"

OCI_PLAN_DIR = "${WORKDIR}/oci-plan"

def oci_map_flag(d):
    """
    The package map for the command.
    """
    cut = d.getVar("OCI_IMAGE_LAYERS") or d.getVar("OCI_LAYERS_PLAN") or oci_wants_layers(d)
    return "--package-map '${OCI_RUN}.packages'" if cut else ""

def oci_wants_layers(d):
    """
    Whether OCI_LAYERS is used: as in image-oci, if OCI_LAYER_MODE is multi.
    """
    mode = d.getVar("OCI_LAYER_MODE") or "single"
    if mode not in ("single", "multi"):
        bb.fatal("OCI_LAYER_MODE is `%s`: expected single or multi" % mode)
    return mode == "multi"

def oci_plan_file(d):
    """
    The path of OCI_LAYERS_PLAN, which is next to the recipe unless it is absolute.
    """
    name = d.getVar("OCI_LAYERS_PLAN")
    if not name:
        return None
    beside = os.path.join(os.path.dirname(d.getVar("FILE")), name)
    return beside if os.path.exists(beside) else bb.utils.which(d.getVar("FILESPATH") or "", name) or beside

def oci_plan_checksums(d):
    """
    The plan as a file checksum, so that a change of it runs the task again.
    """
    path = oci_plan_file(d)
    return path + ":True" if path else ""

def oci_layer_words(d):
    """
    The words of OCI_LAYERS, and of each name, type and items. Items are separated by `+`; in quotes it is part of one.
    """
    import re
    import shlex

    quoted = r"'[^']*'|\"(?:\\.|[^\"\\])*\"|\\."
    for word in re.findall(r"(?:%s|[^\s'\"\\])+" % quoted, d.getVar("OCI_LAYERS") or ""):
        name, kind, content = (word.split(":", 2) + ["", ""])[:3]
        items = ["".join(shlex.split(item)) for item in re.findall(r"(?:%s|[^+'\"\\])+" % quoted, content)]
        yield word, name, kind, items

def oci_layer_definitions(d):
    """
    Name, type and items of each layer of OCI_LAYERS.
    """
    ocibake_words(d, "OCI_LAYERS")
    definitions = []
    for word, name, kind, items in oci_layer_words(d):
        if kind == "host":
            bb.fatal("OCI_LAYERS holds `%s`: a file of the build host is in no checksum; install it by a recipe, with "
                     "file-checksums where it has to stay where it is" % word)
        if not name or not items or kind not in ("packages", "directories", "files"):
            bb.fatal("OCI_LAYERS holds `%s`: expected NAME:packages:PACKAGE[+PACKAGE...], NAME:directories:PATH[+PATH...] or "
                     "NAME:files:PATH[+PATH...]" % word)
        definitions.append((name, kind, items))
    if not definitions:
        bb.fatal("OCI_LAYERS is empty: OCI_LAYER_MODE is multi")
    return definitions

def oci_install_named(d):
    """
    Have the rootfs what OCI_LAYERS names, as image-oci does.
    """
    if d.getVar("OCI_LAYER_MODE") == "multi":
        named = {item for _, _, kind, items in oci_layer_words(d) if kind == "packages" for item in items}
        missing = sorted(named - set((d.getVar("IMAGE_INSTALL") or "").split()))
        if missing:
            d.appendVar("IMAGE_INSTALL", " " + " ".join(missing))

# nooelint: oelint.task.noanonpython - IMAGE_INSTALL is complete when the recipe is
python () {
    # The backend of image-oci does so after it.
    if not bb.data.inherits_class("image-oci", d):
        oci_install_named(d)
}

def oci_runtime_closure(d, installed, names):
    """
    Packages and their run-time dependencies, as far as they are installed.
    """
    by_name = {said["package"]: name for name, said in installed.items()}
    for name, said in installed.items():
        for provided in bb.utils.explode_dep_versions2(said.get("RPROVIDES") or ""):
            by_name.setdefault(provided, name)
    by_name.update({name: name for name in installed})
    closure, wanted = [], list(names)
    while wanted:
        name = by_name.get(wanted.pop(0))
        if name and name not in closure:
            closure.append(name)
            wanted += bb.utils.explode_dep_versions2(installed[name].get("RDEPENDS") or "")
    return closure

def oci_layer_path(d, layer, path):
    """
    A path of OCI_LAYERS with the links among its directories resolved.
    """
    import oe.path

    root = d.getVar("IMAGE_ROOTFS")
    path = os.path.normpath("/" + path.lstrip("/"))
    parent, name = os.path.split(path)
    found = os.path.join(oe.path.realpath(root + parent, root, assume_dir=True), name)
    if path == "/" or not os.path.lexists(found):
        bb.fatal("OCI_LAYERS: there is no `%s` for layer `%s` in the rootfs" % (path, layer))
    return "/" + os.path.relpath(found, root)

def oci_plan_of_layers(d):
    """
    OCI_LAYERS as a plan for the rootfs: one line per layer, and the first line that names a file takes it.
    """
    installed = oci_installed(d)
    names = {said["package"]: name for name, said in installed.items()}
    names.update({name: name for name in installed})
    taken, lines = set(), []
    for layer, kind, items in oci_layer_definitions(d):
        if kind == "packages":
            for item in items:
                if item not in names:
                    bb.fatal("OCI_LAYERS: there is no package `%s` for layer `%s` in the rootfs%s" % (
                        item, layer, "; a name with + stands in quotes" if item + "+" in "+".join(installed) else ""))
            closure = [name for name in oci_runtime_closure(d, installed, items) if name not in taken]
            taken.update(closure)
            # Packages that earlier layers have taken are named anyway, so that the tool warns about an empty layer.
            closure = closure or [names[item] for item in items]
            selectors = ["package:" + ocibake_encode(name, "#,=*?[]\\!^") for name in sorted(closure)]
        else:
            selectors = [ocibake_encode(oci_layer_path(d, layer, item), "#*?[]\\!^") for item in items]
        lines.append("%s: %s\n" % (ocibake_encode(layer, ":#=,"), " ".join(selectors)))
    return "".join(lines)

def oci_layers_setting(d, plan=None):
    """
    OCI_IMAGE_LAYERS for the tool, as shell words. A recipe's own plan or layers win over those for all images. `plan`
    is the path of the plan made from OCI_LAYERS.
    """
    import shlex

    path = oci_plan_file(d)
    if path and oci_wants_layers(d):
        bb.fatal("OCI_LAYERS and OCI_LAYERS_PLAN are set: expected one of them")
    if path:
        if not os.path.exists(path):
            bb.fatal("OCI_LAYERS_PLAN is `%s`: there is no %s" % (d.getVar("OCI_LAYERS_PLAN"), path))
        return shlex.quote("@" + path)
    if oci_wants_layers(d):
        return shlex.quote("@" + plan) if plan else None
    return d.getVar("OCI_IMAGE_LAYERS")

def oci_write_layers(d, run):
    """
    Write the package map and the plan for the command; returns OCI_IMAGE_LAYERS for it.
    """
    if oci_map_flag(d):
        with open(run + ".packages", "w", encoding="utf-8") as map_file:
            map_file.write(oci_package_map(d))
    if oci_wants_layers(d):
        with open(run + ".plan", "w", encoding="utf-8") as plan_file:
            plan_file.write(oci_plan_of_layers(d))
    return oci_layers_setting(d, run + ".plan")

def oci_check_layers(d):
    """
    Stop at every mistake that can be found without a rootfs.
    """
    if oci_wants_layers(d):
        oci_layer_definitions(d)
        # image-oci sets its own default.
        if d.getVar("OCI_LAYER_CACHE") not in (None, "", "0", "1") or "oci-layer-cache" not in (
                d.getVar("OCI_LAYER_CACHE_DIR") or "oci-layer-cache") or (
                d.getVar("OCI_LAYER_CACHE") and not bb.data.inherits_class("image-oci", d)):
            bb.warn("OCI_LAYER_CACHE has no meaning here: OCI_IMAGE_CACHE keeps what was compressed")

def oci_releases(d):
    """
    The earlier images for a plan, the oldest first: those in OCI_LAYERS_HISTORY, or the deployed one.
    """
    named = ocibake_words(d, "OCI_LAYERS_HISTORY")
    tag = (ocibake_words(d, "OCI_IMAGE_TAG") or ["latest"])[0]
    deployed = os.path.join(d.getVar("DEPLOY_DIR_IMAGE"), ocibake_link(d.getVar("IMAGE_BASENAME"), tag, "oci"))
    return named or (["oci:%s:%s" % (deployed, tag)] if os.path.exists(deployed) else [])

fakeroot python do_oci_plan () {
    ocibake_require(d)
    run = os.path.join(d.getVar("T"), "oci_plan")
    with open(run + ".packages", "w", encoding="utf-8") as map_file:
        map_file.write(oci_package_map(d))
    words = ["plan", d.getVar("IMAGE_ROOTFS"), "--package-map", run + ".packages"]
    kept, releases = oci_plan_file(d), oci_releases(d)
    if kept and os.path.exists(kept) and releases:
        words += ["--update", kept] + ["--old=" + release for release in releases]
    elif not kept:
        layers = d.getVar("OCI_IMAGE_LAYERS") or ""
        words += ["--layers=" + word for word in ocibake_words(d, "OCI_IMAGE_LAYERS") if layers]
    words += ["--exclude=" + word for word in ocibake_words(d, "OCI_IMAGE_EXCLUDE")]
    path = os.path.join(d.getVar("OCI_PLAN_DIR"), os.path.basename(kept or d.getVar("PN") + ".plan"))
    plan = ocibake_run(words, unset=d.getVar("OCI_VARIABLES").split())
    with open(path, "w", encoding="utf-8") as plan_file:
        plan_file.write(plan)
    bb.plain("%s: the plan is %s" % (d.getVar("PN"), path))
}
do_oci_plan[doc] = "Write a plan of layers, or let that of OCI_LAYERS_PLAN learn from releases, and print where it is"
do_oci_plan[depends] += "ocibake-native:do_populate_sysroot"
do_oci_plan[dirs] = "${OCI_PLAN_DIR}"
do_oci_plan[nostamp] = "1"

addtask do_oci_plan after do_image
