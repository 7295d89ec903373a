#
# Copyright (c) 2026 The ocibake authors
#
# SPDX-License-Identifier: MIT
#
# Checks for likely mistakes in an image that can be built: OCI_IMAGE_QA, which image_types_oci.bbclass describes. The
# checks look at the rootfs and at the base image, if there is one.
#
#     arch                programs for a machine other than the image's platform, or for a later version of Arm
#     entrypoint-missing  the command that the image runs is not in it
#     setuid-new          programs with set-id bits that they do not have in the base image
#     user-missing        the user or group that runs the image is not in it

inherit ocibake ocibake_base

OCI_IMAGE_QA ??= ""
OCI_QA_CHECKS = "arch entrypoint-missing setuid-new user-missing"

def oci_qa_levels(d):
    """
    The level of each check: `warn`, unless OCI_IMAGE_QA says `error` or `skip`.
    """
    levels = dict.fromkeys(d.getVar("OCI_QA_CHECKS").split(), "warn")
    for word in ocibake_words(d, "OCI_IMAGE_QA"):
        check, _, level = word.partition(":")
        if check not in levels or level not in ("error", "warn", "skip"):
            bb.fatal("OCI_IMAGE_QA holds `%s`: expected words CHECK:error, CHECK:warn or CHECK:skip, with one of the checks %s"
                     % (word, ", ".join(levels)))
        levels[check] = level
    return levels

def oci_qa_says_it(warning):
    """
    Whether a check reports what a warning of the tool is about. The level of the check then applies.
    """
    import re

    return re.search(r"^(the image runs as the (user|group) `.*`, which is not in its |the image is for .*, and `)", warning)

def oci_qa_place(d, path):
    """
    A path of the image in the rootfs, with links followed, or None if it does not exist.
    """
    import oe.path

    root = d.getVar("IMAGE_ROOTFS")
    try:
        found = oe.path.realpath(root + "/" + path, root, assume_dir=True)
    except OSError:
        return None
    return found if os.path.exists(found) else None

def oci_qa_text(d, path):
    """
    The text of a file of the image: from the rootfs, else from the base, else None.
    """
    found = oci_qa_place(d, path)
    if found:
        with open(found, encoding="utf-8", errors="replace") as text_file:
            return text_file.read()
    return ocibake_ask(["cat", oci_base_location(d), path]) if oci_base_image(d) else None

def oci_qa_config(d):
    """
    How the image runs: the settings, else those of the base.
    """
    import json
    import shlex

    inherited = json.loads(ocibake_run(["inspect", "--json", oci_base_location(d)]))["config"] if oci_base_image(d) else {}
    settings = oci_settings(d)
    words = lambda name: shlex.split(settings.get(name, ""))
    environment = words("OCI_IMAGE_ENV_VARS") or inherited.get("Env") or []
    entrypoint = words("OCI_IMAGE_ENTRYPOINT")
    command = words("OCI_IMAGE_CMD")
    if not entrypoint:
        entrypoint, command = inherited.get("Entrypoint") or [], command or inherited.get("Cmd") or []
    return {
        "command": entrypoint + command,
        "user": settings.get("OCI_IMAGE_RUNTIME_UID") or inherited.get("User") or "",
        "directory": settings.get("OCI_IMAGE_WORKINGDIR") or inherited.get("WorkingDir") or "/",
        "path": dict(word.partition("=")[::2] for word in environment).get(
            "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
    }

def oci_qa_entrypoint_missing(d, config):
    """
    The command, looked up like a container runtime does.
    """
    if not config["command"]:
        return []
    program = config["command"][0]
    if "/" in program:
        candidates = [os.path.join(config["directory"], program)]
    else:
        candidates = [os.path.join(directory or "/", program) for directory in config["path"].split(":")]
    if any(oci_qa_place(d, path) for path in candidates):
        return []
    if oci_base_image(d) and any(oci_qa_text(d, path) is not None for path in candidates):
        return []
    return ["the image runs `%s`, which is not in it" % program]

# nooelint: oelint.vars.pathhardcode.sysconfdir - where a container runtime looks
def oci_qa_user_missing(d, config):
    """
    User and group must exist if they are names. Numbers need no entry.
    """
    messages = []
    user, _, group = config["user"].partition(":")
    for kind, name, path in (("user", user, "/etc/passwd"), ("group", group, "/etc/group")):
        if not name or name.isdigit():
            continue
        names = [line.split(":")[0] for line in (oci_qa_text(d, path) or "").splitlines()]
        if name not in names:
            messages.append("the image runs as the %s `%s`, which is not in its %s" % (kind, name, path))
    return messages

def oci_qa_machine(d):
    """
    Machine, word size and byte order in the ELF header of the platform's programs, or None if they are not known.
    """
    return {
        "386": (3, 32, "little"), "amd64": (62, 64, "little"), "arm": (40, 32, "little"), "armbe": (40, 32, "big"),
        "arm64": (183, 64, "little"), "arm64be": (183, 64, "big"), "loong64": (258, 64, "little"),
        "mips": (8, 32, "big"), "mipsle": (8, 32, "little"), "mips64": (8, 64, "big"), "mips64le": (8, 64, "little"),
        "ppc": (20, 32, "big"), "ppc64": (21, 64, "big"), "ppc64le": (21, 64, "little"), "riscv64": (243, 64, "little"),
        "s390x": (22, 64, "big"),
    }.get(oci_platform(d).split("/")[1])

def oci_qa_also_run(d):
    """
    Programs that the platform's hosts run as well: those of a multilib with 32 bits.
    """
    return {"amd64": (3, 32, "little"), "arm64": (40, 32, "little")}.get(oci_platform(d).split("/")[1])

def oci_qa_newer_arm(d):
    """
    What the tool found of programs for a later version of Arm than the image's: it reads their build attributes.
    """
    import json
    import re

    found = set()
    for task in oci_asked_tasks(d):
        report = os.path.join(d.getVar("T"), task + ".json")
        if os.path.exists(report):
            with open(report, encoding="utf-8") as report_file:
                findings = json.load(report_file).get("findings", [])
            found.update(finding["message"] for finding in findings if finding["check"] == "arch")
    return sorted(message for message in found if re.search(r" for arm/v\d+$", message))

def oci_elf_head(path):
    """
    Machine, word size and byte order of a program, or None if the file is not a program.
    """
    with open(path, "rb") as program:
        head = program.read(20)
    if len(head) < 20 or head[:4] != b"\x7fELF" or head[4] not in (1, 2) or head[5] not in (1, 2):
        return None
    order = {1: "little", 2: "big"}[head[5]]
    return int.from_bytes(head[18:20], order), {1: 32, 2: 64}[head[4]], order

def oci_qa_arch(d, config):
    """
    Programs in the directories for commands. Libraries and firmware may be for other machines.
    """
    expected, wrong = oci_qa_machine(d), []
    accepted = (expected, oci_qa_also_run(d))
    root = d.getVar("IMAGE_ROOTFS")
    for directory in ("bin", "sbin", "usr/bin", "usr/sbin", "usr/local/bin"):
        directory = os.path.join(root, directory)
        if not expected or not os.path.isdir(directory) or os.path.islink(directory):
            continue
        paths = [os.path.join(directory, name) for name in sorted(os.listdir(directory))]
        for path in paths:
            head = oci_elf_head(path) if os.path.isfile(path) and not os.path.islink(path) else None
            if head and head not in accepted:
                wrong.append("/" + os.path.relpath(path, root))
    if not wrong:
        return oci_qa_newer_arm(d)
    more = " and %d more" % (len(wrong) - 3) if len(wrong) > 3 else ""
    return ["programs are not for %s: %s%s" % (oci_platform(d), ", ".join(wrong[:3]), more)] + oci_qa_newer_arm(d)

def oci_qa_setuid_new(d, config):
    """
    Programs with set-id bits that differ from the base.
    """
    import json
    import stat

    # The name of the image holds its build time; the name of the link to it does not.
    images = [os.path.join(d.getVar("IMGDEPLOYDIR"), "%s.%s" % (name, imagetype))
              for imagetype in ("oci", "oci-archive", "docker-archive")
              for name in (d.getVar("IMAGE_LINK_NAME"), d.getVar("IMAGE_NAME")) if name]
    image = next((path for path in images if os.path.exists(path)), None)
    if not oci_base_image(d) or not image:
        return []
    root = d.getVar("IMAGE_ROOTFS")
    found = []
    for directory, _, names in os.walk(root):
        for name in names:
            mode = os.lstat(os.path.join(directory, name)).st_mode
            if stat.S_ISREG(mode) and mode & (stat.S_ISUID | stat.S_ISGID):
                found.append("/" + os.path.relpath(os.path.join(directory, name), root))
    if not found:
        return []
    location = "%s:%s" % (image.rpartition(".")[2], image)
    entries = json.loads(ocibake_ask(["diff", "--json", oci_base_location(d), location]) or "{}").get("entries", [])
    new = {entry["path"] for entry in entries if entry["change"] == "added"
           or any(field["field"] in ("mode", "owner", "uid", "gid") for field in entry.get("fields", []))}
    return ["`%s` has a set-id bit that it has not in the base" % path for path in sorted(found) if path in new]

fakeroot python do_oci_qa () {
    levels = oci_qa_levels(d)
    if set(levels.values()) == {"skip"}:
        return
    config = oci_qa_config(d)
    checks = {"arch": oci_qa_arch, "entrypoint-missing": oci_qa_entrypoint_missing, "setuid-new": oci_qa_setuid_new,
              "user-missing": oci_qa_user_missing}
    errors = 0
    for check, level in levels.items():
        for message in checks[check](d, config) if level != "skip" else []:
            if level == "error":
                bb.error("QA Issue: %s [%s]" % (message, check))
                errors += 1
            else:
                bb.warn("QA Issue: %s [%s]" % (message, check))
    if errors:
        bb.fatal("Fatal QA errors were found, failing task.")
}
do_oci_qa[vardeps] += "${OCI_VARIABLES} ${OCI_CLASS_VARIABLES} OCI_IMAGE_QA"
do_oci_qa[vardepsexclude] += "OCI_IMAGE_CACHE"
do_oci_qa[doc] = "Look for what is very likely wrong with the image"
