#
# Copyright (c) 2026 The ocibake authors
#
# SPDX-License-Identifier: MIT
#
# What the classes of this layer share: how they read lists, run the tool, and name what it made. They inherit it
# themselves.

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

def ocibake_require(d):
    """
    Stop where the tool is missing.
    """
    if not bb.utils.which(d.getVar("PATH"), "ocibake"):
        bb.fatal("ocibake is not in the PATH of do_%s: recipe ocibake-native provides it" % d.getVar("BB_CURRENTTASK"))

def ocibake_run(words, unset=()):
    """
    Run the tool and return what it prints. If it refuses, the line in which it says why is the task's error.
    """
    import subprocess

    finished = subprocess.run(["ocibake", *words], env={name: os.environ[name] for name in os.environ if name not in unset},
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8", errors="replace")
    if finished.returncode != 0:
        talk = finished.stderr.splitlines()
        errors = [line.replace("ocibake: error: ", "", 1) for line in talk if not line.startswith("ocibake: warning: ")]
        bb.fatal("; ".join(errors) or "ocibake ended with status %d" % finished.returncode)
    return finished.stdout

def ocibake_link(name, tag, ending):
    """
    The link by which classes for containers find an image with this tag.
    """
    return "%s-%s-%s" % (name, tag.replace(":", "_").replace("/", "_"), ending)
