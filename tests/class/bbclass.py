# SPDX-License-Identifier: MIT
"""The image class without BitBake: its python as a module, its defaults, and a datastore that knows nothing else."""

import os
import pathlib
import re
import textwrap
import types

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
CLASS = REPOSITORY / "classes/image_types_oci.bbclass"


class Fatal(Exception):
    """What bb.fatal raises here."""


def _fatal(message):
    raise Fatal(message)


def _to_boolean(string):
    if not string:
        return None
    if string.lower() in ("y", "yes", "1", "true"):
        return True
    if string.lower() in ("n", "no", "0", "false"):
        return False
    raise ValueError("Invalid value for to_boolean: %s" % string)


def _which(path, name):
    return next((os.path.join(p, name) for p in path.split(":") if os.path.exists(os.path.join(p, name))), "")


def _remove(path, recurse=False):
    import shutil

    if os.path.isdir(path) and not os.path.islink(path):
        assert recurse
        shutil.rmtree(path)
    else:
        os.remove(path)


def _bb():
    """The part of BitBake's module bb that the class uses, as bb.utils of BitBake 2.8 and later describes it."""
    notes = []
    warnings = []
    utils = types.SimpleNamespace(to_boolean=_to_boolean, which=_which, remove=_remove)
    data = types.SimpleNamespace(inherits_class=lambda name, d: name in d.inherited)
    return types.SimpleNamespace(fatal=_fatal, note=notes.append, notes=notes, warn=warnings.append, warnings=warnings,
                                 utils=utils, data=data)


def _lines():
    """The class's statements, continued lines joined."""
    return re.sub(r"\\\n", "", CLASS.read_text(encoding="utf-8"))


def defaults():
    """VARIABLE = value for what the class assigns with =, ?= and ??=."""
    found = re.findall(r'^([A-Z][\w:-]*) \?{0,2}= "(.*)"$', _lines(), re.MULTILINE)
    assert found
    return dict(found)


def flags():
    """(variable, flag) = value for what the class assigns to flags."""
    found = re.findall(r'^([\w]+)\[(\w+)\] \+?= "(.*)"$', _lines(), re.MULTILINE)
    assert found
    return {(name, flag): value for name, flag, value in found}


def functions(bb):
    """The class's python functions, both kinds, as a namespace."""
    text = CLASS.read_text(encoding="utf-8")
    plain = re.findall(r"^def .*\n(?:(?:    .*)?\n)*", text, re.MULTILINE)
    tasks = re.findall(r"^python (\w+) \(\) \{\n(.*?)^\}", text, re.MULTILINE | re.DOTALL)
    assert plain and tasks
    source = "".join(plain)
    for name, body in tasks:
        source += "def %s(d):\n%s\n" % (name, textwrap.indent(textwrap.dedent(body), "    "))
    namespace = {"bb": bb, "os": os}
    exec(compile(source, str(CLASS), "exec"), namespace)
    return types.SimpleNamespace(**namespace)


class Datastore:
    """getVar with expansion, flags, and a record of which names were asked for."""

    def __init__(self, values=(), **named):
        self.bb = _bb()
        self.inherited = set()
        self.values = {**defaults(), **dict(values), **named}
        self.flag_values = {}
        self.asked = set()

    def expand(self, text):
        """Replace ${NAME} and ${@expression}; what has no value stays as it is."""
        text = re.sub(r"\$\{@(.*)\}", lambda m: str(eval(m[1], {"d": self, "bb": self.bb})), text)
        return re.sub(r"\$\{([A-Za-z][\w:-]*)\}", lambda m: m[0] if self.getVar(m[1]) is None else self.getVar(m[1]), text)

    def getVar(self, name, expand=True):
        """A variable's value, or None."""
        self.asked.add(name)
        value = self.values.get(name)
        return self.expand(value) if value is not None and expand else value

    def getVarFlag(self, name, flag, expand=True):
        """A flag's value, or None."""
        value = self.flag_values.get((name, flag))
        return self.expand(value) if value is not None and expand else value

    def setVarFlag(self, name, flag, value):
        """Set a flag."""
        self.flag_values[name, flag] = value

    def functions(self):
        """The class's functions, their bb bound to this datastore."""
        return functions(self.bb)
