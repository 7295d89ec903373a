#
# Copyright (c) 2026 The ocibake authors
#
# SPDX-License-Identifier: MIT
#
# OCI container images as image types, baked by ocibake from the rootfs in place.
#
# Enable it for every image in a configuration file:
#
#     IMAGE_CLASSES += "image_types_oci"
#     IMAGE_FSTYPES += "oci"
#
# or for one image in its recipe, after "inherit image": inherit image_types_oci.
#
# Image types:
#
#     oci             ${IMAGE_NAME}.oci, an OCI layout (a directory)
#     oci-archive     ${IMAGE_NAME}.oci-archive, the same image as one tar file; it can be converted further, for
#                     instance oci-archive.zst or oci-archive.sha256sum
#     docker-archive  ${IMAGE_NAME}.docker-archive, the same image for every version of "docker load"; it can be
#                     converted further too
#     oci-report      ${IMAGE_NAME}.oci-report.html, a page that shows what is in the image of type oci, which is also
#                     made; EXTRA_IMAGECMD:oci-report = "--fail-if 'size>80MB'" sets limits
#
# Each gets ${IMAGE_LINK_NAME}.<type> as every image type does and, for each tag, the link that container classes look
# for: ${IMAGE_BASENAME}-<tag>-oci to the layout, ${IMAGE_BASENAME}-<tag>-oci.tar and ${IMAGE_BASENAME}-<tag>-docker.tar
# to the archives. ':' and '/' in a tag become '_' in the name of the link.
#
# Variables, all optional. An empty value is the same as none. A list is words in shell quoting, so that a word may hold
# spaces: OCI_IMAGE_LABELS = "maintainer='A B' tier=edge". No value is ever run or expanded by a shell.
#
#     OCI_IMAGE_TAG              names of the image, words; default "latest". Where one holds ${DATETIME}, set
#                                OCI_IMAGE_TAG[vardepsexclude] = "DATETIME"
#     OCI_IMAGE_NAME             archives: the repository of a tag without one, so that Docker, podman and containerd
#                                load the image as NAME:TAG; default IMAGE_BASENAME in lower case
#     OCI_IMAGE_ENTRYPOINT       the command that always runs, words
#     OCI_IMAGE_CMD              the default command or, with an entrypoint, its default arguments, words; default
#                                "/bin/sh" where there is no entrypoint
#     OCI_IMAGE_ENTRYPOINT_ARGS  older name of OCI_IMAGE_CMD, which it overrides
#     OCI_IMAGE_ENV_VARS         environment, words NAME=value
#     OCI_IMAGE_WORKINGDIR       working directory
#     OCI_IMAGE_RUNTIME_UID      user, uid, user:group or uid:gid to run as
#     OCI_IMAGE_PORTS            exposed ports, words PORT[/tcp|udp|sctp]
#     OCI_IMAGE_VOLUMES          paths that hold data of their own, words
#     OCI_IMAGE_STOPSIGNAL       signal that ends the container, such as SIGTERM
#     OCI_IMAGE_HEALTHCHECK      Docker's health check, words: a command, CMD-SHELL 'script' or NONE; with
#                                OCI_IMAGE_HEALTHCHECK_INTERVAL, _TIMEOUT, _START_PERIOD (30s, 1m30s) and _RETRIES
#     OCI_IMAGE_MEMORY           Docker's limits: bytes, or with k, m or g, likewise OCI_IMAGE_MEMORY_SWAP; and
#     OCI_IMAGE_CPU_SHARES       a relative weight
#     OCI_IMAGE_LABELS           labels of the config, words key=value; .x= is short for org.opencontainers.image.x=
#     OCI_IMAGE_ANNOTATIONS      annotations of the manifest, words key=value
#     OCI_IMAGE_AUTHOR           author, and
#     OCI_IMAGE_AUTHOR_EMAIL     the author's address
#     OCI_IMAGE_AUTO_LABELS      "0" leaves out the automatic labels and annotations; default "1". They are title
#                                (IMAGE_BASENAME), description (SUMMARY), version (PV where the recipe sets it or its file
#                                name holds it, else DISTRO_VERSION), licenses (those of the installed packages) and
#                                vendor (DISTRO_NAME); OCI_IMAGE_LABELS and OCI_IMAGE_ANNOTATIONS win over them
#     OCI_IMAGE_APP_RECIPE       the recipe whose version is that of the image
#     OCI_IMAGE_REVISION         label and annotation org.opencontainers.image.revision, never read from git
#     OCI_IMAGE_BUILD_DATE       label and annotation org.opencontainers.image.created, never read from the clock: RFC 3339,
#                                or as DATETIME is written
#     OCI_IMAGE_BRANCH           label and annotation io.github.ocibake.branch, never read from git
#     OCI_IMAGE_ARCH             architecture; default: mapped from TARGET_ARCH
#     OCI_IMAGE_SUBARCH          auto, none, exact or a variant; default "auto": mapped from MACHINEOVERRIDES and
#                                TUNE_FEATURES
#     OCI_IMAGE_OS               operating system; default "linux"
#     OCI_IMAGE_COMPRESSION      gzip[:LEVEL], zstd[:LEVEL] or none; default "gzip"
#     OCI_IMAGE_EXCLUDE          paths to leave out, words, globs
#     OCI_IMAGE_CREATED          time of creation, seconds or RFC 3339; default REPRODUCIBLE_TIMESTAMP_ROOTFS
#     OCI_IMAGE_TAR_OUTPUT       any value: type oci also makes type oci-archive
#     OCI_IMAGE_SPDX             "1": if create-spdx is inherited, the document of the rootfs is attached to the image
#                                in oci, for which tools then need the tag; default "0"
#     OCI_IMAGE_LAYERS           how the rootfs is split into layers, so that an update ships what changed: "packages",
#                                "packages:MAX", or words NAME=SELECTOR[,SELECTOR...]; default: one layer
#     OCI_LAYERS_PLAN            a plan of layers in a file next to the recipe; "bitbake -c oci_plan IMAGE" writes one
#     OCI_LAYERS_HISTORY         images of earlier releases, words, the oldest first, from which that task finds out
#                                which recipes change; default: the deployed image
#     OCI_LAYERS                 layers in the syntax of image-oci, words NAME:packages:PACKAGE[+PACKAGE...],
#                                NAME:directories:PATH[+PATH...] or NAME:files:PATH[+PATH...], over the one rootfs.
#                                The dependencies of a package are in its layer, unless an earlier layer has them. The
#                                rest is the last layer
#     OCI_LAYER_MODE             "multi": OCI_LAYERS is used, "single": it is not; default "multi" if OCI_LAYERS is set
#     OCI_IMAGE_CACHE            a directory of compressed blocks, from which a rebuild takes what did not change; default
#                                "${TMPDIR}/ocibake-cache". Builds may share one; an empty value turns it off
#     OCI_IMAGE_QA               the severity of findings, words CHECK:error, CHECK:warn or CHECK:skip; default warn.
#                                The checks are arch, entrypoint-missing, setuid-new and user-missing
#     OCI_BASE_IMAGE             an image to build on, so that only what differs from it becomes a layer: a recipe, whose
#                                image is taken from DEPLOY_DIR_IMAGE, or an absolute path, with oci:, oci-archive: or
#                                docker-archive: before it where needed
#     OCI_BASE_IMAGE_TAG         which image of the base; default "latest" of a recipe's, the only one of a path's
#     OCI_BASE_IMAGE_MODE        "merge", the default: what the base has and the rootfs lacks stays in the image;
#                                "exact": it is removed, so that the image holds the rootfs and nothing else
#     OCI_REPORT_OLD             oci-report: an image of an older release to compare with, such as
#                                oci:/srv/releases/app.oci:1.0
#     EXTRA_IMAGECMD:oci         more flags for "ocibake build" (likewise :oci-archive and :docker-archive)
#
# Every variable takes the image type as an override: OCI_IMAGE_COMPRESSION:oci-archive = "zstd".
#
# Settings are checked before do_rootfs. "bitbake -c oci_plan IMAGE" is described in docs/layers.md.
#
# The layer holds what the tar image type holds, owners, modes, times, devices and capabilities included. The image
# depends on nothing but the rootfs, its base and these variables: no clock, no git, no host name.

inherit ocibake ocibake_base ocibake_check ocibake_deployed ocibake_layers ocibake_packages ocibake_qa ocibake_report ocibake_spdx

IMAGE_TYPES += "oci oci-archive docker-archive"
IMAGE_TYPEDEP:oci = "${@'oci-archive' if d.getVar('OCI_IMAGE_TAR_OUTPUT') else ''}"
SPDX_IMAGE_PURPOSE:oci = "container"
SPDX_IMAGE_PURPOSE:oci-archive = "container"
SPDX_IMAGE_PURPOSE:docker-archive = "container"

OCI_IMAGE_TAG ??= "latest"
OCI_IMAGE_NAME ??= "${@d.getVar('IMAGE_BASENAME').lower()}"
OCI_IMAGE_CMD ??= "${@oci_default_command(d)}"
OCI_IMAGE_AUTO_LABELS ??= "1"
OCI_IMAGE_CREATED ??= "${REPRODUCIBLE_TIMESTAMP_ROOTFS}"

# The cache has no effect on the image, and holds hard links to files that pseudo does not track.
OCI_IMAGE_CACHE ??= "${TMPDIR}/ocibake-cache"
PSEUDO_IGNORE_PATHS .= "${@',' + d.getVar('OCI_IMAGE_CACHE') if d.getVar('OCI_IMAGE_CACHE') else ''}"

# Variables that ocibake knows by the same name.
OCI_VARIABLES = "\
    TARGET_ARCH TUNE_FEATURES MACHINEOVERRIDES \
    OCI_IMAGE_ARCH OCI_IMAGE_SUBARCH OCI_IMAGE_OS \
    OCI_IMAGE_TAG OCI_IMAGE_NAME OCI_IMAGE_AUTHOR OCI_IMAGE_AUTHOR_EMAIL OCI_IMAGE_CREATED \
    OCI_IMAGE_ENTRYPOINT OCI_IMAGE_CMD OCI_IMAGE_ENTRYPOINT_ARGS OCI_IMAGE_ENV_VARS OCI_IMAGE_WORKINGDIR OCI_IMAGE_RUNTIME_UID \
    OCI_IMAGE_PORTS OCI_IMAGE_VOLUMES OCI_IMAGE_STOPSIGNAL \
    OCI_IMAGE_HEALTHCHECK OCI_IMAGE_HEALTHCHECK_INTERVAL OCI_IMAGE_HEALTHCHECK_TIMEOUT \
    OCI_IMAGE_HEALTHCHECK_START_PERIOD OCI_IMAGE_HEALTHCHECK_START_INTERVAL OCI_IMAGE_HEALTHCHECK_RETRIES \
    OCI_IMAGE_MEMORY OCI_IMAGE_MEMORY_SWAP OCI_IMAGE_CPU_SHARES \
    OCI_IMAGE_LABELS OCI_IMAGE_ANNOTATIONS \
    OCI_IMAGE_COMPRESSION OCI_IMAGE_EXCLUDE OCI_IMAGE_LAYERS OCI_IMAGE_CACHE OCI_BASE_IMAGE OCI_BASE_IMAGE_MODE \
"
# Other variables that the image depends on.
OCI_CLASS_VARIABLES = "\
    OCI_IMAGE_AUTO_LABELS OCI_IMAGE_REVISION OCI_IMAGE_BUILD_DATE OCI_IMAGE_BRANCH OCI_IMAGE_APP_RECIPE \
    OCI_BASE_IMAGE_TAG OCI_LAYERS OCI_LAYERS_PLAN OCI_LAYER_MODE \
"

# The input and output files of the tool, and the artefact. Named by BB_RUNTASK, because BB_CURRENTTASK may be another
# task when image.bbclass expands commands.
OCI_RUN = "${T}/${BB_RUNTASK}"
OCI_TARGET = "${IMGDEPLOYDIR}/${IMAGE_NAME}.${type}"

# One command for every type, because each type is named after ocibake's transport. SOURCE_DATE_EPOCH of an image recipe
# is earlier than the rootfs and would clamp the time of every file. A later build can make everything in IMGDEPLOYDIR
# again, so nothing waits for the disk. A run that fails leaves the previous image in place.
OCI_BUILD = "\
    SOURCE_DATE_EPOCH= ocibake build --vars '${OCI_RUN}.vars' --progress percent --json --no-sync ${OCI_MAP_FLAG} ${EXTRA_IMAGECMD} \
    '${IMAGE_ROOTFS}' '${type}:${OCI_TARGET}.new' > '${OCI_RUN}.json'\
"
OCI_PLACE = "; rm -rf '${OCI_TARGET}'; mv '${OCI_TARGET}.new' '${OCI_TARGET}'"
IMAGE_CMD:oci = "${OCI_BUILD}${OCI_ATTACH}${OCI_PLACE}"
IMAGE_CMD:oci-archive = "${OCI_BUILD}${OCI_PLACE}"
IMAGE_CMD:docker-archive = "${OCI_BUILD}${OCI_PLACE}"

def oci_default_command(d):
    """
    A shell, if neither the recipe nor a base has a command.
    """
    return "" if d.getVar("OCI_IMAGE_ENTRYPOINT") or oci_base_image(d) else "/bin/sh"

def oci_tasks():
    """
    The tasks that make images, including those of the debug filesystem, and their image types.
    """
    types = ("oci", "oci-archive", "docker-archive")
    return {"do_image_%s%s" % (debug, imagetype.replace("-", "_")): imagetype
            for imagetype in types for debug in ("", "debugfs_")}

def oci_is_wanted(d):
    """
    Whether IMAGE_FSTYPES asks for an image type of this class.
    """
    types = (d.getVar("IMAGE_FSTYPES") or "").split()
    if d.getVar("IMAGE_GEN_DEBUGFS") == "1":
        types += (d.getVar("IMAGE_FSTYPES_DEBUGFS") or "").split()
    return any(asked.split(".")[0] in oci_tasks().values() for asked in types)

# nooelint: oelint.task.noanonpython - the same for each image type and its debug filesystem, as image.bbclass makes tasks
python () {
    for imagetype in set(oci_tasks().values()):
        d.setVar("OCI_OVERRIDDEN_" + imagetype.replace("-", "_"), oci_overridden(d, imagetype))
    for task, imagetype in oci_tasks().items():
        d.appendVarFlag(task, "depends", " ocibake-native:do_populate_sysroot " + oci_base_depends(d))
        d.appendVarFlag(task, "file-checksums", " %s %s" % (oci_base_checksums(d), oci_plan_checksums(d)))
        d.appendVarFlag(task, "prefuncs", " oci_prepare")
        d.appendVarFlag(task, "postfuncs", " oci_finish")
        d.appendVarFlag(task, "vardeps", " OCI_OVERRIDDEN_" + imagetype.replace("-", "_"))
        d.setVarFlag(task, "progress", "percent")
    if oci_is_wanted(d):
        bb.build.addtask("do_oci_check", "do_rootfs", None, d)
        bb.build.addtask("do_oci_qa", "do_image_complete", " ".join(["do_image", *oci_asked_tasks(d)]), d)
        d.appendVarFlag("do_oci_qa", "depends", " ocibake-native:do_populate_sysroot " + oci_base_depends(d))
}

def oci_asked_tasks(d):
    """
    The tasks of the types that IMAGE_FSTYPES names.
    """
    asked = {name.split(".")[0] for name in (d.getVar("IMAGE_FSTYPES") or "").split()}
    return ["do_image_" + imagetype.replace("-", "_") for imagetype in sorted(asked & set(oci_tasks().values()))]

def oci_with_type(d, imagetype):
    """
    The datastore with the image type as an override.
    """
    typed = bb.data.createCopy(d)
    typed.setVar("OVERRIDES", "%s:%s" % (imagetype, d.getVar("OVERRIDES")))
    typed.setVar("type", imagetype)
    return typed

def oci_of_task(d):
    """
    The datastore with the overrides of the task's image type, and for a debug filesystem with the names from
    image.bbclass.
    """
    task = "do_" + d.getVar("BB_CURRENTTASK")
    typed = oci_with_type(d, oci_tasks()[task])
    if "_debugfs_" in task and d.getVar("IMAGE_BUILDING_DEBUGFS") != "true":
        setup_debugfs_variables(typed)
    return typed

def oci_values(d, names):
    """
    The values of variables without times and without the build directory, neither of which belongs in a hash.
    """
    stable = bb.data.createCopy(d)
    for name in ("DATETIME", "DATE", "TIME", "TMPDIR", "T", "WORKDIR"):
        stable.delVar(name)
    return {name: stable.getVar(name) for name in names}

def oci_names(d):
    """
    The variables on which an image depends.
    """
    names = d.getVar("OCI_VARIABLES").split() + d.getVar("OCI_CLASS_VARIABLES").split()
    return [name for name in names if name != "OCI_IMAGE_CACHE"]

def oci_overridden(d, imagetype):
    """
    A digest of the values that the image type changes as an override, for the hash of its task. The hash has the
    variables that these values refer to anyway.
    """
    import hashlib

    typed = oci_with_type(d, imagetype)
    changed = [(name, typed.getVar(name, False)) for name in oci_names(d) if typed.getVar(name, False) != d.getVar(name, False)]
    return hashlib.sha256(repr(changed).encode()).hexdigest() if changed else ""

def oci_version(d):
    """
    The version of the image: that of the application in it, else of its own recipe if that has one, else of the
    distribution.
    """
    application = d.getVar("OCI_IMAGE_APP_RECIPE")
    for said in oci_installed(d).values() if application else []:
        if said.get("PN") == application:
            return said.get("PV")
    # bitbake.conf takes it from the recipe's file name, and uses 1.0 if that has no version.
    if "vars_from_file" not in (d.getVar("PV", False) or ""):
        return d.getVar("PV")
    return bb.parse.vars_from_file(d.getVar("FILE"), d)[1] or oci_distro_version(d)

def oci_distro_version(d):
    """
    DISTRO_VERSION without the revision of the metadata, as in SDK_VERSION.
    """
    return (d.getVar("DISTRO_VERSION") or "").replace("snapshot-%s" % d.getVar("METADATA_REVISION"), "snapshot")

def oci_build_date(d):
    """
    OCI_IMAGE_BUILD_DATE as RFC 3339, even if it is written like DATETIME.
    """
    import re

    date = d.getVar("OCI_IMAGE_BUILD_DATE") or ""
    digits = re.fullmatch(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)", date)
    if digits:
        return "%s-%s-%sT%s:%s:%sZ" % digits.groups()
    if date not in ("", "none") and not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", date):
        bb.fatal("OCI_IMAGE_BUILD_DATE is `%s`: expected RFC 3339, such as 2026-01-02T03:04:05Z, or digits as DATETIME has" % date)
    return date

def oci_automatic(d):
    """
    What is known about the image from the recipe and the rootfs, as shell words key=value.
    """
    import shlex

    key = "org.opencontainers.image."
    pairs = []
    if ocibake_switch(d, "OCI_IMAGE_AUTO_LABELS"):
        pairs += [
            (key + "title", d.getVar("IMAGE_BASENAME")),
            (key + "description", d.getVar("SUMMARY")),
            (key + "version", oci_version(d)),
            (key + "licenses", oci_spdx_licenses(d)),
            (key + "vendor", d.getVar("DISTRO_NAME") or d.getVar("DISTRO")),
        ]
    explicit = [
        (key + "revision", d.getVar("OCI_IMAGE_REVISION")),
        (key + "created", oci_build_date(d)),
        ("io.github.ocibake.branch", d.getVar("OCI_IMAGE_BRANCH")),
    ]
    # "none" tells meta-virtualization's class not to ask git or the clock.
    pairs += [(name, value) for name, value in explicit if value != "none"]
    return " ".join(shlex.quote("%s=%s" % pair) for pair in pairs if pair[1])

def oci_settings(d):
    """
    The variables for ocibake as a dictionary, without empty ones. Values known only from the rootfs and the base are
    added.
    """
    settings = {name: d.getVar(name) for name in d.getVar("OCI_VARIABLES").split()}
    # ocibake refuses two names with different values, but here CMD may be the class's default.
    settings["OCI_IMAGE_CMD"] = settings.pop("OCI_IMAGE_ENTRYPOINT_ARGS") or settings["OCI_IMAGE_CMD"]
    for name, more in (("OCI_IMAGE_LABELS", None), ("OCI_IMAGE_ANNOTATIONS", oci_base_name(d))):
        # ocibake would report an open quote in the whole list, including words that are not the user's.
        ocibake_words(d, name)
        # The last word for a key wins.
        settings[name] = " ".join(filter(None, [oci_automatic(d), more, settings[name]]))
    settings["OCI_BASE_IMAGE_MODE"] = oci_base_mode(d)
    settings["OCI_IMAGE_LAYERS"] = oci_layers_setting(d)
    settings.pop("OCI_BASE_IMAGE")
    if d.getVar("type") == "oci":
        # A layout has tags alone.
        settings.pop("OCI_IMAGE_NAME")
    elif settings["OCI_IMAGE_NAME"] and d.getVar("IMAGE_BUILDING_DEBUGFS") == "true":
        settings["OCI_IMAGE_NAME"] += "-dbg"
    return {name: value for name, value in settings.items() if value}

def oci_write_settings(settings, path):
    """
    Write a variables file.
    """
    import shlex

    with open(path, "w", encoding="utf-8") as vars_file:
        for name, value in settings.items():
            vars_file.write("%s=%s\n" % (name, shlex.quote(value)))

def oci_dry_run(d, path):
    """
    Return the report of a dry run. If ocibake refuses the settings, stop with its message.
    """
    import json
    import shlex

    flags = d.getVar("EXTRA_IMAGECMD") or ""
    try:
        flags = shlex.split(flags)
    except ValueError:
        bb.fatal("EXTRA_IMAGECMD is `%s`: expected shell words with each quote closed" % flags)
    said = ocibake_run(["build", "--dry-run", "--json", "--vars", path, *flags, d.getVar("IMAGE_ROOTFS"),
                        "%s:%s" % (d.getVar("type"), os.path.join(d.getVar("IMGDEPLOYDIR"), "image"))],
                       unset=d.getVar("OCI_VARIABLES").split() + ["SOURCE_DATE_EPOCH"], extra=("EXTRA_IMAGECMD", flags))
    return json.loads(said or "{}")

def oci_platform(d):
    """
    The platform of the image, as `os/architecture[/variant]`.
    """
    path = d.getVar("OCI_RUN") + ".vars"
    typed = oci_with_type(d, "oci")
    oci_write_settings(oci_settings(typed), path)
    return oci_dry_run(typed, path)["platform"]

python oci_prepare () {
    typed = oci_of_task(d)
    ocibake_require(d)
    oci_discard(d, oci_unfinished(d, oci_made_before(typed)))
    oci_remember(typed, oci_made_before(typed) + oci_made(typed))

    run = d.getVar("OCI_RUN")
    settings = oci_settings(typed)
    layers, base = oci_write_layers(typed, run), oci_base_location(typed)
    settings.update({name: value for name, value in (("OCI_IMAGE_LAYERS", layers), ("OCI_BASE_IMAGE", base)) if value})
    oci_write_settings(settings, run + ".vars")
    # In ocibake the environment wins over the file.
    for name in d.getVar("OCI_VARIABLES").split():
        d.setVarFlag(name, "unexport", "1")
    platform = oci_dry_run(typed, run + ".vars").get("platform")
    if base and platform:
        oci_check_base_platform(typed, base, platform)
}
oci_prepare[doc] = "Write the variables file, and check what only now is there to be checked"
oci_prepare[vardeps] += "${OCI_VARIABLES} ${OCI_CLASS_VARIABLES}"
oci_prepare[vardepsexclude] += "OCI_IMAGE_CACHE"

python oci_finish () {
    import json

    typed = oci_of_task(d)
    deploy = d.getVar("IMGDEPLOYDIR")
    image = "%s.%s" % (typed.getVar("IMAGE_NAME"), typed.getVar("type"))

    with open(d.getVar("OCI_RUN") + ".json", encoding="utf-8") as report_file:
        report = json.load(report_file)
    for warning in report["warnings"]:
        (bb.note if oci_qa_says_it(warning) else bb.warn)(warning)
    bb.note("%s: %s, %d bytes, %s" % (image, report["platform"], report["size"], report["digest"]))

    made = oci_made(typed)
    oci_discard(d, [name for name in oci_made_before(typed) if name not in made])
    oci_discard(d, oci_of_other_backends(d) if typed.getVar("type") == "oci" else [])
    oci_remember(typed, made)
    # The archive is already gone if only a conversion of it was wanted.
    oci_discard(d, oci_links(typed))
    for link in oci_links(typed) if os.path.exists(os.path.join(deploy, image)) else []:
        os.symlink(image, os.path.join(deploy, link))
}
oci_finish[doc] = "Log the result, make the links by which container classes find an image, and remove what is stale"
