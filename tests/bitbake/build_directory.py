# SPDX-License-Identifier: MIT
"""A build directory for the tests, and bitbake in it as an ordinary user."""

import glob
import os
import pathlib
import pwd
import shutil
import subprocess

# `run` puts a copy of the layer where BitBake can read it.
LAYER = pathlib.Path(os.environ.get("OCIBAKE_LAYER") or pathlib.Path(__file__).resolve().parents[2])
HERE = LAYER / "tests/bitbake"


def host_pseudo():
    """The directory of the host's libpseudo.so."""
    found = glob.glob("/usr/lib/*/pseudo/libpseudo.so") + glob.glob("/usr/lib/pseudo/*/libpseudo.so")
    if not found:
        raise FileNotFoundError("libpseudo.so: install the host's package pseudo")
    return os.path.dirname(found[0])


def ordinary_user():
    """Arguments for a process that BitBake accepts: it refuses root, so the user `nobody` runs it."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


class Run:
    """One finished run of bitbake: exit status and what it printed."""

    def __init__(self, finished):
        self.status = finished.returncode
        self.output = finished.stdout
        self.errors = [line for line in self.output.splitlines() if line.startswith("ERROR: ")]
        self.warnings = [line for line in self.output.splitlines() if line.startswith("WARNING: ")]


class BuildDirectory:
    """conf/ of the tests, filled in for this host, and the tool on PATH."""

    def __init__(self, path, tool):
        self.path = pathlib.Path(path)
        self.bitbake = pathlib.Path(os.environ["BITBAKE"]).resolve()
        self.oecore = pathlib.Path(os.environ["OECORE"]).resolve()
        (self.path / "bin").mkdir(parents=True)
        shutil.copy2(tool, self.path / "bin/ocibake")
        shutil.copytree(HERE / "conf", self.path / "conf")
        self.configure("")
        user = ordinary_user()
        if user:
            os.chown(self.path, user["user"], user["group"])

    def configure(self, text):
        """Replace conf/auto.conf, which overrides local.conf."""
        (self.path / "conf/auto.conf").write_text(text, encoding="utf-8")

    def environment(self):
        """The environment of bitbake, which inherits nothing else from the caller."""
        own = {
            "OECORE": str(self.oecore),
            "OCIBAKE_LAYER": str(LAYER),
            "PSEUDO_HOST_LIBDIR": host_pseudo(),
        }
        if "META_VIRT" in os.environ:
            own["META_VIRT"] = str(pathlib.Path(os.environ["META_VIRT"]).resolve())
        path = [self.bitbake / "bin", self.oecore / "scripts", self.path / "bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
        return {
            "PATH": ":".join(map(str, path)),
            "HOME": str(self.path),
            "LANG": "en_US.UTF-8",
            "LC_ALL": "en_US.UTF-8",
            "BBPATH": str(self.path),
            "PYTHONPATH": str(self.bitbake / "lib"),
            "BB_ENV_PASSTHROUGH_ADDITIONS": " ".join(own),
            **own,
        }

    def command(self, *words):
        """Run one of bitbake's programs in this directory."""
        return Run(subprocess.run(words, cwd=self.path, env=self.environment(), text=True, encoding="utf-8",
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                                  **ordinary_user()))

    def bake(self, *words):
        """Run bitbake."""
        return self.command("bitbake", *words)

    def image_directory(self, machine="qemux86-64"):
        """DEPLOY_DIR_IMAGE."""
        return self.path / "tmp/deploy/images" / machine

    def work_directory(self, recipe):
        """WORKDIR of an image recipe."""
        (found,) = self.path.glob("tmp/work/*/%s/*" % recipe)
        return found

    def task_log(self, recipe, task):
        """The log of the last run of a task."""
        return (self.work_directory(recipe) / "temp" / ("log." + task)).read_text(encoding="utf-8")
