# SPDX-License-Identifier: MIT
"""The classes without BitBake: their Python code as a module, their defaults, and a datastore with nothing else."""

import codecs
import copy
import functools
import os
import pathlib
import re
import shutil
import sys
import textwrap
import types

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
IMAGE = "image_types_oci"
BACKEND = "image-oci-ocibake"
INDEX = "ocibake_index"


class Fatal(Exception):
    """Raised by bb.fatal."""


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
    if os.path.isdir(path) and not os.path.islink(path):
        assert recurse
        shutil.rmtree(path)
    else:
        os.remove(path)


class SkipRecipe(Exception):
    """Raised when a recipe that cannot be built is parsed."""


def _bb():
    """The part of BitBake's module bb that the classes use, as bb.utils of BitBake 2.8 and later describes it."""
    notes, warnings, errors, plain, added, parsed = [], [], [], [], [], []
    return types.SimpleNamespace(
        fatal=_fatal, note=notes.append, notes=notes, warn=warnings.append, warnings=warnings,
        error=errors.append, errors=errors, plain=plain.append, printed=plain,
        utils=types.SimpleNamespace(to_boolean=_to_boolean, which=_which, remove=_remove, copyfile=shutil.copyfile,
                                    explode_dep_versions2=_explode),
        data=types.SimpleNamespace(inherits_class=lambda name, d: name in d.inherited, createCopy=_create_copy),
        build=types.SimpleNamespace(addtask=lambda task, before, after, d: added.append((task, before, after)), added=added,
                                    make_stamp=lambda task, d: pathlib.Path(d.getVar("T"), "stamp").touch()),
        parse=types.SimpleNamespace(SkipRecipe=SkipRecipe, parsed=parsed, vars_from_file=_vars_from_file,
                                    handle=lambda path, d, include: parsed.append(path) or _assign(path, d),
                                    siggen=types.SimpleNamespace(
                                        stampfile_mcfn=lambda task, name: os.path.join(os.path.dirname(name), "stamp"))))


def _explode(text):
    return dict.fromkeys(re.sub(r"\([^)]*\)", "", text).split())


def _vars_from_file(path, d):
    parts = os.path.splitext(os.path.basename(path))[0].split("_") + [None, None]
    return parts[:3]


def _create_copy(d):
    """A separate datastore; messages of bb are collected in one list."""
    copied = copy.copy(d)
    copied.values, copied.flag_values = dict(d.values), dict(d.flag_values)
    return copied


def _read_pkgdatafile(path):
    """Reads a pkgdata file like oe.packagedata."""
    said = {}
    if os.access(path, os.R_OK):
        with open(path, encoding="utf-8") as lines:
            for match in filter(None, (re.match(r"(^.+?):\s+(.*)", line) for line in lines)):
                said[match[1]] = codecs.getdecoder("unicode_escape")(match[2])[0]
    return said


def _realpath(path, root, assume_dir=False):
    """Follows links in a rootfs like oe.path."""
    found, parts = root, [part for part in os.path.relpath(path, root).split("/") if part not in ("", ".")]
    while parts:
        part = parts.pop(0)
        if part == "..":
            found = root if found == root else os.path.dirname(found)
        elif os.path.islink(os.path.join(found, part)):
            target = os.readlink(os.path.join(found, part))
            found = root if target.startswith("/") else found
            parts[:0] = [name for name in target.split("/") if name not in ("", ".")]
        else:
            found = os.path.join(found, part)
    return found


oe = types.ModuleType("oe")
oe.packagedata = types.ModuleType("oe.packagedata")
oe.packagedata.read_pkgdatafile = _read_pkgdatafile
oe.path = types.ModuleType("oe.path")
oe.path.realpath = _realpath
sys.modules.update({"oe": oe, "oe.packagedata": oe.packagedata, "oe.path": oe.path})


def _assign(path, d):
    """A configuration file of lines NAME = "value"."""
    with open(_which(d.getVar("BBPATH"), path), encoding="utf-8") as lines:
        for line in lines:
            name, value = line.rstrip().split(" = ")
            d.setVar(name, value.strip('"'))


@functools.cache
def text(name):
    """A class, after those of this layer that it inherits."""
    sources = {}

    def add(name):
        places = ["classes/%s.bbclass" % name, "dynamic-layers/virtualization-layer/%s.inc" % name]
        path = next((REPOSITORY / place for place in places if (REPOSITORY / place).exists()), None)
        if name not in sources and path:
            source = path.read_text(encoding="utf-8")
            for line in re.findall(r"^inherit (.*)$", source, re.MULTILINE):
                for inherited in line.split():
                    add(inherited)
            sources[name] = source

    add(name)
    assert name in sources
    return "".join(sources.values())


@functools.cache
def _statements(name):
    """The class's statements, continued lines joined."""
    return re.sub(r"\\\n", "", text(name))


def defaults(name=IMAGE):
    """VARIABLE = value for the assignments of the class with =, ?= and ??=."""
    found = re.findall(r'^([A-Z][\w:-]*) \?{0,2}= "(.*)"$', _statements(name), re.MULTILINE)
    assert found
    return dict(found)


def flags(name=IMAGE):
    """(variable, flag) = value for the flags that the class sets."""
    found = re.findall(r'^([\w]+)\[([\w-]+)\] \+?= "(.*)"$', _statements(name), re.MULTILINE)
    assert found
    return {(name, flag): value for name, flag, value in found}


@functools.cache
def _code(name):
    """The class's python, compiled: thousands of datastores of a run are made of it."""
    source = text(name)
    plain = re.findall(r"^def .*\n(?:(?:    .*)?\n)*", source, re.MULTILINE)
    tasks = re.findall(r"^(?:fakeroot )?python (\w*) ?\(\) \{\n(.*?)^\}", source, re.MULTILINE | re.DOTALL)
    assert plain and tasks
    code = "".join(plain)
    for number, (task, body) in enumerate(tasks, 1):
        code += "def %s(d):\n%s\n" % (task or "anonymous_%d" % number, textwrap.indent(textwrap.dedent(body), "    "))
    return compile(code, name, "exec")


def functions(bb, name=IMAGE):
    """The class's python functions, those without a name as anonymous_1 and so on."""
    namespace = {"bb": bb, "os": os}
    exec(_code(name), namespace)
    return types.SimpleNamespace(**namespace)


class Datastore:
    """getVar with expansion, flags, and a record of which names were asked for."""

    def __init__(self, values=(), name=IMAGE):
        self.name = name
        self.bb = _bb()
        self.inherited = set()
        self.values = {**defaults(name), **dict(values)}
        self.flag_values = {}
        self.asked = set()

    def expand(self, text):
        """Replace ${NAME} and ${@expression}; a name without a value is not replaced."""
        names = {**vars(self.functions()), "d": self} if "${@" in text else {}
        text = re.sub(r"\$\{@((?:\{.*?\}|.)+?)\}", lambda m: str(eval(m[1], names)), text)
        return re.sub(r"\$\{([A-Za-z][\w:-]*)\}", lambda m: m[0] if self.getVar(m[1]) is None else self.getVar(m[1]), text)

    def getVar(self, name, expand=True):
        """A variable's value, or None."""
        self.asked.add(name)
        value = self.values.get(name)
        for override in (self.values.get("OVERRIDES") or "").split(":"):
            value = self.values.get("%s:%s" % (name, override), value)
        return self.expand(value) if value is not None and expand else value

    def setVar(self, name, value):
        """Set a variable."""
        self.values[name] = value

    def delVar(self, name):
        """Forget a variable."""
        self.values.pop(name, None)

    def appendVar(self, name, value):
        """Add to the end of a variable."""
        self.values[name] = (self.values.get(name) or "") + value

    def getVarFlag(self, name, flag, expand=True):
        """A flag's value, or None."""
        value = self.flag_values.get((name, flag))
        return self.expand(value) if value is not None and expand else value

    def setVarFlag(self, name, flag, value):
        """Set a flag."""
        self.flag_values[name, flag] = value

    def appendVarFlag(self, name, flag, value):
        """Add to the end of a flag."""
        self.flag_values[name, flag] = (self.flag_values.get((name, flag)) or "") + value

    def parse(self):
        """Run the class's anonymous functions, as BitBake does after parsing a recipe."""
        functions = vars(self.functions())
        for name in [name for name in functions if name.startswith("anonymous_")]:
            functions[name](self)

    def functions(self):
        """The class's functions, their bb bound to this datastore."""
        return functions(self.bb, self.name)
