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
#     docker-archive  ${IMAGE_NAME}.docker-archive, the same image as "docker load" of every age takes it; it can be
#                     converted further too
#
# Each gets ${IMAGE_LINK_NAME}.<type> as every image type does and, for each tag, the link that container classes look
# for: ${IMAGE_BASENAME}-<tag>-oci to the layout, ${IMAGE_BASENAME}-<tag>-oci.tar and ${IMAGE_BASENAME}-<tag>-docker.tar
# to the archives. ':' and '/' in a tag become '_' in the name of the link.
#
# Variables, all optional. An empty value is the same as none. A list is words in shell quoting, so that a word may hold
# spaces: OCI_IMAGE_LABELS = "maintainer='A B' tier=edge". No value is ever run or expanded by a shell.
#
#     OCI_IMAGE_TAG              names of the image, words; default "latest"
#     OCI_IMAGE_NAME             docker-archive: the repository that a tag without one belongs to; default IMAGE_BASENAME
#                                in small letters
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
#                                (IMAGE_BASENAME), description (SUMMARY), version (PV), licenses (LICENSE) and vendor
#                                (DISTRO_NAME); OCI_IMAGE_LABELS and OCI_IMAGE_ANNOTATIONS win over them
#     OCI_IMAGE_REVISION         label and annotation org.opencontainers.image.revision, never read from git
#     OCI_IMAGE_BUILD_DATE       label and annotation org.opencontainers.image.created, never read from the clock
#     OCI_IMAGE_BRANCH           label and annotation io.github.ocibake.branch, never read from git
#     OCI_IMAGE_ARCH             architecture; default: mapped from TARGET_ARCH
#     OCI_IMAGE_SUBARCH          auto, none, exact or a variant; default "auto": mapped from MACHINEOVERRIDES and
#                                TUNE_FEATURES
#     OCI_IMAGE_OS               operating system; default "linux"
#     OCI_IMAGE_COMPRESSION      gzip[:LEVEL], zstd[:LEVEL] or none; default "gzip"
#     OCI_IMAGE_EXCLUDE          paths to leave out, words, globs
#     OCI_IMAGE_CREATED          time of creation, seconds or RFC 3339; default REPRODUCIBLE_TIMESTAMP_ROOTFS
#     OCI_IMAGE_TAR_OUTPUT       any value: type oci brings type oci-archive with it
#     OCI_IMAGE_SPDX             "0" attaches no SPDX document; default "1": where create-spdx is inherited, the document
#                                of the rootfs is attached to the image in oci. Archives hold the image and nothing else,
#                                since "podman load" takes no other
#     OCI_BASE_IMAGE             an image to build on, so that only what differs from it becomes a layer: a recipe, whose
#                                image is taken from DEPLOY_DIR_IMAGE, or an absolute path, with oci:, oci-archive: or
#                                docker-archive: before it where it has to be said
#     OCI_BASE_IMAGE_TAG         which image of the base; default "latest" of a recipe's, the only one of a path's
#     OCI_BASE_IMAGE_MODE        "merge", the default: what the base has and the rootfs has not stays in the image;
#                                "exact": it is removed, so that the image holds the rootfs and nothing else
#     EXTRA_IMAGECMD:oci         more flags for "ocibake build" (likewise :oci-archive and :docker-archive)
#
# The layer holds what the tar image type holds, owners, modes, times, devices and capabilities included. The image
# depends on nothing but the rootfs, its base and these variables: no clock, no git, no name of the host.

inherit ocibake ocibake_base ocibake_spdx

IMAGE_TYPES += "oci oci-archive docker-archive"
IMAGE_TYPEDEP:oci = "${@'oci-archive' if d.getVar('OCI_IMAGE_TAR_OUTPUT') else ''}"
SPDX_IMAGE_PURPOSE:oci = "container"
SPDX_IMAGE_PURPOSE:oci-archive = "container"
SPDX_IMAGE_PURPOSE:docker-archive = "container"

OCI_IMAGE_TAG ??= "latest"
OCI_IMAGE_NAME ??= "${@d.getVar('IMAGE_BASENAME').lower()}"
OCI_IMAGE_CMD ??= "${@'' if d.getVar('OCI_IMAGE_ENTRYPOINT') or d.getVar('OCI_BASE_IMAGE') else '/bin/sh'}"
OCI_IMAGE_AUTO_LABELS ??= "1"
OCI_IMAGE_CREATED ??= "${REPRODUCIBLE_TIMESTAMP_ROOTFS}"

# What ocibake knows under the same name.
OCI_VARIABLES = "\
    TARGET_ARCH TUNE_FEATURES MACHINEOVERRIDES \
    OCI_IMAGE_ARCH OCI_IMAGE_SUBARCH OCI_IMAGE_OS \
    OCI_IMAGE_TAG OCI_IMAGE_AUTHOR OCI_IMAGE_AUTHOR_EMAIL OCI_IMAGE_CREATED \
    OCI_IMAGE_ENTRYPOINT OCI_IMAGE_CMD OCI_IMAGE_ENTRYPOINT_ARGS OCI_IMAGE_ENV_VARS OCI_IMAGE_WORKINGDIR OCI_IMAGE_RUNTIME_UID \
    OCI_IMAGE_PORTS OCI_IMAGE_VOLUMES OCI_IMAGE_STOPSIGNAL \
    OCI_IMAGE_HEALTHCHECK OCI_IMAGE_HEALTHCHECK_INTERVAL OCI_IMAGE_HEALTHCHECK_TIMEOUT \
    OCI_IMAGE_HEALTHCHECK_START_PERIOD OCI_IMAGE_HEALTHCHECK_START_INTERVAL OCI_IMAGE_HEALTHCHECK_RETRIES \
    OCI_IMAGE_MEMORY OCI_IMAGE_MEMORY_SWAP OCI_IMAGE_CPU_SHARES \
    OCI_IMAGE_LABELS OCI_IMAGE_ANNOTATIONS \
    OCI_IMAGE_COMPRESSION OCI_IMAGE_EXCLUDE OCI_BASE_IMAGE OCI_BASE_IMAGE_MODE \
"

# One command for every type, since a type is named after ocibake's transport. SOURCE_DATE_EPOCH of an image recipe is a
# time before the rootfs was made: it would clamp every file's time. What IMGDEPLOYDIR holds is made anew by a later build,
# so that nothing has to wait for the disk.
OCI_BUILD = "\
    SOURCE_DATE_EPOCH= ocibake build --vars '${T}/${type}.vars' --progress percent --json --no-sync ${EXTRA_IMAGECMD} \
    '${IMAGE_ROOTFS}' '${type}:${IMGDEPLOYDIR}/${IMAGE_NAME}.${type}' > '${T}/${type}.json'\
"
IMAGE_CMD:oci = "${OCI_BUILD}${OCI_ATTACH}"
IMAGE_CMD:oci-archive = "${OCI_BUILD}"
IMAGE_CMD:docker-archive = "${OCI_BUILD}"

do_image_oci[depends] += "ocibake-native:do_populate_sysroot ${@oci_base_depends(d)}"
do_image_oci[file-checksums] += "${@oci_base_checksums(d)}"
do_image_oci[prefuncs] += "oci_prepare"
do_image_oci[postfuncs] += "oci_finish"
do_image_oci[progress] = "percent"

do_image_oci_archive[depends] += "ocibake-native:do_populate_sysroot ${@oci_base_depends(d)}"
do_image_oci_archive[file-checksums] += "${@oci_base_checksums(d)}"
do_image_oci_archive[prefuncs] += "oci_prepare"
do_image_oci_archive[postfuncs] += "oci_finish"
do_image_oci_archive[progress] = "percent"

do_image_docker_archive[depends] += "ocibake-native:do_populate_sysroot ${@oci_base_depends(d)}"
do_image_docker_archive[file-checksums] += "${@oci_base_checksums(d)}"
do_image_docker_archive[prefuncs] += "oci_prepare"
do_image_docker_archive[postfuncs] += "oci_finish"
do_image_docker_archive[progress] = "percent"

def oci_automatic(d):
    """
    What the recipe says of the image by itself, as shell words key=value.
    """
    import shlex

    key = "org.opencontainers.image."
    pairs = []
    try:
        automatic = bb.utils.to_boolean(d.getVar("OCI_IMAGE_AUTO_LABELS"))
    except ValueError:
        bb.fatal("OCI_IMAGE_AUTO_LABELS is `%s`: expected 0 or 1" % d.getVar("OCI_IMAGE_AUTO_LABELS"))
    if automatic:
        # SPDX writes AND and OR where recipes have & and |, and has no word for CLOSED.
        licenses = (d.getVar("LICENSE") or "").replace("&", " AND ").replace("|", " OR ").split()
        pairs += [
            (key + "title", d.getVar("IMAGE_BASENAME")),
            (key + "description", d.getVar("SUMMARY")),
            (key + "version", d.getVar("PV")),
            (key + "licenses", "" if licenses == ["CLOSED"] else " ".join(licenses)),
            (key + "vendor", d.getVar("DISTRO_NAME") or d.getVar("DISTRO")),
        ]
    explicit = [
        (key + "revision", d.getVar("OCI_IMAGE_REVISION")),
        (key + "created", d.getVar("OCI_IMAGE_BUILD_DATE")),
        ("io.github.ocibake.branch", d.getVar("OCI_IMAGE_BRANCH")),
    ]
    # Where meta-virtualization's class asks git or the clock, "none" tells it not to.
    pairs += [(name, value) for name, value in explicit if value != "none"]
    return " ".join(shlex.quote("%s=%s" % pair) for pair in pairs if pair[1])

def oci_docker_names(d):
    """
    OCI_IMAGE_TAG as Docker needs it: a tag belongs to a name, and a whole name stays as it is.
    """
    import shlex

    tags = ocibake_words(d, "OCI_IMAGE_TAG") or ["latest"]
    return shlex.join(tag if set(tag) & set(":/") else "%s:%s" % (d.getVar("OCI_IMAGE_NAME"), tag) for tag in tags)

def oci_settings(d, imagetype):
    """
    The variables for ocibake as a dictionary, those without a value left out.
    """
    settings = {name: d.getVar(name) for name in d.getVar("OCI_VARIABLES").split()}
    # For ocibake two names that disagree are an error; here CMD may be the class's default.
    settings["OCI_IMAGE_CMD"] = settings.pop("OCI_IMAGE_ENTRYPOINT_ARGS") or settings["OCI_IMAGE_CMD"]
    for name in ("OCI_IMAGE_LABELS", "OCI_IMAGE_ANNOTATIONS"):
        # ocibake would say of the whole list that a quote is open, and blame words that nobody wrote.
        ocibake_words(d, name)
        # The last word for a key wins.
        settings[name] = " ".join(filter(None, [oci_automatic(d), settings[name]]))
    settings["OCI_BASE_IMAGE"] = oci_base_location(d)
    settings["OCI_BASE_IMAGE_MODE"] = oci_base_mode(d)
    if imagetype == "docker-archive":
        settings["OCI_IMAGE_TAG"] = oci_docker_names(d)
    return {name: value for name, value in settings.items() if value}

def oci_made(d, imagetype):
    """
    The paths in IMGDEPLOYDIR that belong to an image type: artefacts, conversions, links to either, and what an ocibake
    that was killed left.
    """
    import re

    deploy = d.getVar("IMGDEPLOYDIR")
    conversions = "|".join(re.escape(name) for name in d.getVar("CONVERSIONTYPES").split())
    ours = re.compile(r"\.%s(\.(%s))*(\.ocibake-[0-9]+-[0-9]+)?$" % (re.escape(imagetype), conversions))
    paths = [os.path.join(deploy, name) for name in sorted(os.listdir(deploy))]
    return [path for path in paths if ours.search(os.readlink(path) if os.path.islink(path) else path)]

def oci_check(d, imagetype):
    """
    Stop at settings that ocibake refuses, with the line in which it says why.
    """
    ocibake_run(["build", "--dry-run", "--vars", os.path.join(d.getVar("T"), imagetype + ".vars"),
                 d.getVar("IMAGE_ROOTFS"), "%s:%s" % (imagetype, os.path.join(d.getVar("IMGDEPLOYDIR"), "image"))],
                unset=d.getVar("OCI_VARIABLES").split() + ["SOURCE_DATE_EPOCH"])

python oci_prepare () {
    import shlex

    task = "do_" + d.getVar("BB_CURRENTTASK")
    imagetype = d.getVarFlag(task, "imagetype")

    if bb.data.inherits_class("image-oci", d) and d.getVar("OCI_IMAGE_BACKEND") != "ocibake":
        bb.fatal("image type oci comes from image-oci and from image_types_oci: inherit one of them, "
                 'or set OCI_IMAGE_BACKEND = "ocibake"')
    if d.getVar("OCI_LAYERS"):
        bb.fatal("OCI_LAYERS is `%s`: image_types_oci makes one layer of the rootfs" % d.getVar("OCI_LAYERS"))
    converted = [name for name in d.getVarFlag(task, "subimages", False).split() if name.startswith("oci.")]
    if converted:
        bb.fatal("IMAGE_FSTYPES holds `%s`: oci is a directory and has no conversions; use `%s`"
                 % (converted[0], converted[0].replace("oci.", "oci-archive.", 1)))
    ocibake_require(d)

    # Only do_rootfs empties this directory, and the name of an image holds the time of the build. If this run fails, that
    # of an earlier one must not count as done when its settings come back.
    bb.build.clean_stamp(task, d)
    for path in oci_made(d, imagetype):
        bb.utils.remove(path, recurse=True)

    settings = oci_settings(d, imagetype)
    with open(os.path.join(d.getVar("T"), imagetype + ".vars"), "w", encoding="utf-8") as vars_file:
        for name, value in settings.items():
            vars_file.write("%s=%s\n" % (name, shlex.quote(value)))
    # ocibake lets the environment win over the file.
    for name in d.getVar("OCI_VARIABLES").split():
        d.setVarFlag(name, "unexport", "1")
    oci_check(d, imagetype)
}
oci_prepare[doc] = "Check the settings, remove what an earlier run made, and write the variables file"
oci_prepare[vardeps] += "${OCI_VARIABLES}"

python oci_finish () {
    import json

    imagetype = d.getVarFlag("do_" + d.getVar("BB_CURRENTTASK"), "imagetype")
    deploy = d.getVar("IMGDEPLOYDIR")
    image = "%s.%s" % (d.getVar("IMAGE_NAME"), imagetype)

    with open(os.path.join(d.getVar("T"), imagetype + ".json"), encoding="utf-8") as report_file:
        report = json.load(report_file)
    for warning in report["warnings"]:
        bb.warn(warning)
    bb.note("%s: %s, %d bytes, %s" % (image, report["platform"], report["size"], report["digest"]))

    # The archive is gone by now where only a conversion of it was asked for.
    if os.path.exists(os.path.join(deploy, image)):
        endings = {"oci": "oci", "oci-archive": "oci.tar", "docker-archive": "docker.tar"}
        tags = ocibake_words(d, "OCI_IMAGE_TAG") or ["latest"]
        for link in sorted({ocibake_link(d.getVar("IMAGE_BASENAME"), tag, endings[imagetype]) for tag in tags}):
            os.symlink(image, os.path.join(deploy, link))
}
oci_finish[doc] = "Log the result and make the links by which container classes find an image"
