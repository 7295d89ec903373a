# SPDX-License-Identifier: MIT
"""One image task as BitBake would run it: prefunc, command, postfunc, with the real tool."""

import json
import os
import pathlib
import subprocess
import unittest.mock

import bbclass

TOOL = next((path for path in (os.environ.get("OCIBAKE"), *(
    str(bbclass.REPOSITORY / "target" / profile / "ocibake") for profile in ("release", "debug")
)) if path and os.access(path, os.X_OK)), None)

# Variables that every BitBake build has.
MACHINE = {
    "TARGET_ARCH": "x86_64",
    "TUNE_FEATURES": "m64 core2",
    "MACHINEOVERRIDES": "qemuall:qemux86-64",
    "PN": "app-image",
    "PV": "1.0",
    "IMAGE_BASENAME": "${PN}",
    "SUMMARY": "An image",
    "LICENSE": "MIT",
    "DISTRO": "nodistro",
    "DISTRO_NAME": "OpenEmbedded",
    "REPRODUCIBLE_TIMESTAMP_ROOTFS": "1520598896",
    "CONVERSIONTYPES": "gz bz2 zst sha256sum",
    "IMAGE_NAME": "app-image-qemux86-64.rootfs-20260102030405",
    "IMAGE_LINK_NAME": "app-image-qemux86-64.rootfs",
    "EXTRA_IMAGECMD": "",
    "OVERRIDES": "qemux86-64",
}


def stand_in(path, script="exit 0"):
    """A tool that runs a line of shell."""
    path.unlink(missing_ok=True)
    path.write_text("#!/bin/sh\n%s\n" % script)
    path.chmod(0o755)


class Task:
    """do_image_oci, do_image_oci_archive or do_image_docker_archive in a directory of its own."""

    def __init__(self, directory, variables=(), imagetype="oci", tool=TOOL):
        directory = pathlib.Path(directory)
        self.name = "do_image_" + imagetype.replace("-", "_")
        self.type = imagetype
        self.deploy = directory / "deploy"
        self.temp = directory / "temp"
        self.rootfs = rootfs = directory / "rootfs"
        self.pkgdata = directory / "pkgdata"
        for path in (self.deploy, self.temp, rootfs / "etc", directory / "bin"):
            path.mkdir(parents=True, exist_ok=True)
        (rootfs / "etc/hostname").write_text("app\n")
        self.tool = directory / "bin/ocibake"
        if tool is None:
            stand_in(self.tool)
        elif not self.tool.exists():
            self.tool.symlink_to(tool)
        own = {
            "T": str(self.temp),
            "IMGDEPLOYDIR": str(self.deploy),
            "IMAGE_ROOTFS": str(rootfs),
            "PATH": "%s:/usr/bin:/bin" % (directory / "bin"),
            "BB_CURRENTTASK": self.name[3:],
            "BB_RUNTASK": self.name,
            "TMPDIR": str(directory),
            "PKGDATA_DIR": str(directory / "pkgdata"),
            "FILE": str(directory / "app-image_1.0.bb"),
            "BB_FILENAME": str(self.temp / "app-image_1.0.bb"),
            "IMAGE_FSTYPES": imagetype,
            "type": imagetype,
        }
        self.d = bbclass.Datastore({**MACHINE, **own, **dict(variables)})
        self.d.flag_values = {(self.name, "imagetype"): imagetype, (self.name, "subimages"): " " + imagetype}
        self.functions = self.d.functions()

    @property
    def image(self):
        """The artefact's path."""
        return self.deploy / ("%s.%s" % (self.d.getVar("IMAGE_NAME"), self.type))

    def run_file(self, ending):
        """Input of the tool, or its output."""
        return self.temp / ("%s.%s" % (self.name, ending))

    def make_package(self, name, files, **said):
        """Install a package: a line of the manifest, and pkgdata as OE writes it."""
        said = {"PN": name, "PV": "1.0", "LICENSE": "MIT", "RDEPENDS": "", "package": name, **said}
        package = said.pop("package")
        runtime, reverse = self.pkgdata / "runtime", self.pkgdata / "runtime-reverse"
        runtime.mkdir(parents=True, exist_ok=True)
        reverse.mkdir(exist_ok=True)
        lines = ["PN: %s" % said.pop("PN"), "PV: %s" % said.pop("PV")]
        lines += ["%s:%s: %s" % (key, package, value) for key, value in said.items()]
        written = json.dumps(dict.fromkeys(files, 1)).encode("unicode_escape").decode()
        lines.append("FILES_INFO:%s: %s" % (package, written))
        (runtime / package).write_text("\n".join(lines) + "\n")
        (reverse / name).symlink_to("../runtime/" + package)
        with open(self.deploy / "app-image.manifest", "a", encoding="utf-8") as manifest:
            manifest.write("%s core2-64 1.0-r0\n" % name)
        for path in files:
            path = self.rootfs / path.lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                path.write_text(name)

    def check(self):
        """The task before the rootfs."""
        with unittest.mock.patch.dict(os.environ, {"PATH": self.d.getVar("PATH")}, clear=True):
            self.functions.oci_check(self.d)

    def prepare(self, environment=()):
        """The prefunc; returns the text of the variables file."""
        with unittest.mock.patch.dict(os.environ, {"PATH": self.d.getVar("PATH"), **dict(environment)}, clear=True):
            self.functions.oci_prepare(self.d)
        return self.run_file("vars").read_text(encoding="utf-8")

    def finish(self):
        """The postfunc, after a command that was not run."""
        report = {"digest": "sha256:0", "platform": "linux/amd64", "size": 1, "warnings": []}
        self.run_file("json").write_text(json.dumps(report))
        self.functions.oci_finish(self.d)

    def run(self, environment=()):
        """Prefunc and command; returns the finished command."""
        self.prepare(environment)
        # BitBake's run script removes unexported names from the environment.
        unset = {name for (name, flag), value in self.d.flag_values.items() if flag == "unexport" and value == "1"}
        environment = {name: value for name, value in dict(environment).items() if name not in unset}
        return subprocess.run(["/bin/sh", "-e", "-c", self.d.getVar("IMAGE_CMD:" + self.type)],
                              env={"PATH": self.d.getVar("PATH"), **environment}, check=False,
                              capture_output=True, text=True, encoding="utf-8")

    def build(self, environment=()):
        """Prefunc, command and postfunc; returns the finished command."""
        finished = self.run(environment)
        if finished.returncode == 0:
            self.functions.oci_finish(self.d)
        return finished

    def documents(self):
        """index, manifest and config of a layout that was built."""
        index = json.loads((self.image / "index.json").read_bytes())
        manifest = self.blob(index["manifests"][0])
        return index, manifest, self.blob(manifest["config"])

    def blob(self, descriptor):
        """A JSON blob of the layout."""
        return json.loads((self.image / "blobs" / descriptor["digest"].replace(":", "/")).read_bytes())
