#
# Copyright (c) 2026 The ocibake authors
#
# SPDX-License-Identifier: MIT
#
# Functions that the classes of this layer share: to read lists and switches, run the tool, and name its output. The
# classes inherit it themselves.
#
#     OCIBAKE_PLATFORM_FLAGS  for other classes and recipes: the flags that give the tool the platform of this build, as
#                             in "ocibake build ${OCIBAKE_PLATFORM_FLAGS} DIRECTORY oci:..."

OCIBAKE_PLATFORM_FLAGS = "\
    --target-arch '${TARGET_ARCH}' --tune-features '${TUNE_FEATURES}' --machine-overrides '${MACHINEOVERRIDES}'\
"

def ocibake_words(d, name):
    """
    The elements of a variable that holds a list in shell quoting.
    """
    import shlex

    value = d.getVar(name) or ""
    try:
        return shlex.split(value)
    except ValueError:
        bb.fatal("%s is `%s`: expected shell words with each quote closed" % (name, value))

def ocibake_switch(d, name):
    """
    Whether a variable that holds 0 or 1 is on.
    """
    try:
        return bool(bb.utils.to_boolean(d.getVar(name)))
    except ValueError:
        bb.fatal("%s is `%s`: expected 0 or 1" % (name, d.getVar(name)))

def ocibake_encode(value, more=""):
    """
    A word of a package map or a plan: `%` and two digits replace a byte that would end the word or be special in it.
    """
    return "".join(chr(byte) if 0x20 < byte < 0x7f and chr(byte) not in "%" + more else "%%%02X" % byte
                   for byte in os.fsencode(value))

def ocibake_require(d):
    """
    Stop if the tool is missing.
    """
    if not bb.utils.which(d.getVar("PATH"), "ocibake"):
        bb.fatal("ocibake is not in the PATH of do_%s: recipe ocibake-native provides it" % d.getVar("BB_CURRENTTASK"))

def ocibake_run(words, unset=(), extra=None):
    """
    Run the tool and return its output. If it fails, its message is the task's error. `extra` is a variable and the flags
    that it holds: a message about one of them names the variable.
    """
    import subprocess

    finished = subprocess.run(["ocibake", *words], env={name: os.environ[name] for name in os.environ if name not in unset},
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", errors="replace")
    if finished.returncode != 0:
        talk = finished.stderr.splitlines()
        errors = [line.replace("ocibake: error: ", "", 1) for line in talk if not line.startswith("ocibake: warning: ")]
        message = "; ".join(errors) or "ocibake ended with status %d" % finished.returncode
        if extra and any(flag.startswith("--") and flag.split("=")[0] in message for flag in extra[1]):
            message = "%s: %s" % (extra[0], message)
        bb.fatal(message)
    return finished.stdout

def ocibake_ask(words):
    """
    Run the tool and return its output, or None if it fails.
    """
    import subprocess

    finished = subprocess.run(["ocibake", *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8",
                              errors="replace")
    # Exit status 1 is an answer too: no.
    return finished.stdout if finished.returncode in (0, 1) else None

def ocibake_link(name, tag, ending):
    """
    The link by which container classes find an image with this tag.
    """
    return "%s-%s-%s" % (name, tag.replace(":", "_").replace("/", "_"), ending)

def ocibake_clean_layouts(d, names):
    """
    Remove what BitBake leaves in DEPLOY_DIR_IMAGE of layouts that it has removed: it removes files.
    """
    import glob

    for layout in glob.glob(os.path.join(glob.escape(d.getVar("DEPLOY_DIR_IMAGE")), names)):
        for directory, _, _ in os.walk(layout, topdown=False) if not os.path.islink(layout) else []:
            if not os.listdir(directory):
                os.rmdir(directory)
