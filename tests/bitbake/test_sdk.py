# SPDX-License-Identifier: MIT
"""An SDK's environment script from OE-core's own template, what nativesdk-ocibake adds to it, and other recipes."""

import json
import os
import shutil
import subprocess
import unittest

import test_image
from build_directory import ordinary_user
from layer_entries import Layout

CONFIGURATION = """
ASSUME_PROVIDED += "binutils-crosssdk-${SDK_SYS} virtual/${SDK_SYS}-binutils virtual/${TARGET_PREFIX}binutils chrpath-replacement-native"
ASSUME_PROVIDED += "binutils-cross-${TARGET_ARCH} cargo-native rust-native nativesdk-libstd-rs python3-native pkgconf-native pkgconfig-native rpm-native"
MACHINE = "%s"
"""
TOOL = "nativesdk-ocibake"
# The platform by default, and with everything that the tune says.
MACHINES = {
    "qemux86-64": ("linux/amd64", "linux/amd64/v"),
    "qemuarm": ("linux/arm/v7", "linux/arm/v7"),
    "qemuarmv5": ("linux/arm/v5", "linux/arm/v5"),
    "qemuarm64": ("linux/arm64/v8", "linux/arm64/v8"),
}


class Sdk(unittest.TestCase):
    """One SDK, put together from what the recipes of the release install."""

    @classmethod
    def setUpClass(cls):
        cls.build = test_image.new_build(cls.__name__)
        cls.sdk = cls.build.path / "sdk"
        cls.scripts = {}
        for machine in MACHINES:
            cls.build.configure(CONFIGURATION % machine)
            run = cls.build.bake(TOOL + ":do_package", "meta-environment-%s:do_install" % machine, "flagged-image:do_deploy")
            if run.status:
                raise AssertionError(run.output)
            cls.install("meta-environment-" + machine)
            cls.scripts[machine] = cls.settle()
        cls.install(TOOL)
        sysroot = cls.sdk / "sysroot"
        for path in ("usr/lib/libapp.so.1", "usr/lib/libapp.a", "usr/include/app.h"):
            (sysroot / path).parent.mkdir(parents=True, exist_ok=True)
            (sysroot / path).write_text("x\n")
        user = ordinary_user()
        for path in (cls.sdk, *cls.sdk.rglob("*")) if user else ():
            os.chown(path, user["user"], user["group"], follow_symlinks=False)

    @classmethod
    def install(cls, recipe):
        """Copy what a recipe installs below SDKPATH."""
        (cls.made_for,) = cls.build.work_directory(recipe).glob("image/usr/local/*")
        shutil.copytree(cls.made_for, cls.sdk, symlinks=True, dirs_exist_ok=True)

    @classmethod
    def settle(cls):
        """Move the one script where the SDK is, as its installer does; the sysroot of each machine is the same here."""
        (script,) = cls.sdk.glob("environment-setup-*")
        text = script.read_text(encoding="utf-8").replace("/" + str(cls.made_for).partition("/image/")[2], str(cls.sdk))
        settled = script.with_name("settled-" + script.name)
        sysroot = "export SDKTARGETSYSROOT=%s/sysroots/" % cls.sdk
        settled.write_text("".join("export SDKTARGETSYSROOT=%s/sysroot\n" % cls.sdk if line.startswith(sysroot) else line
                                   for line in text.splitlines(keepends=True)), encoding="utf-8")
        script.unlink()
        return settled

    def shell(self, machine, line):
        """Run a line in a shell that has read the script."""
        script = ". '%s' && %s" % (self.scripts[machine], line)
        finished = subprocess.run(["sh", "-euc", script], cwd=self.sdk, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  env={"PATH": "/usr/bin:/bin"}, encoding="utf-8", check=False, **ordinary_user())
        self.assertEqual(finished.returncode, 0, finished.stdout)
        return finished.stdout

    def platform(self, machine, flags):
        """The platform of an image of the sysroot."""
        self.shell(machine, '"$OCIBAKE" build "$SDKTARGETSYSROOT" oci:out --owner 0:0 ' + flags)
        return json.loads(self.shell(machine, "ocibake inspect --json oci:out"))["platform"]

    def test_the_platform_is_the_machines(self):
        for machine, (auto, exact) in MACHINES.items():
            with self.subTest(machine):
                # What else the script says of the architecture must not mislead.
                said = self.shell(machine, 'echo "$ARCH|$CROSS_COMPILE|$TARGET_PREFIX|$OECORE_TUNE_CCARGS"').split("|")
                self.assertTrue(all(said), said)
                self.assertEqual(self.platform(machine, ""), auto)
                self.assertEqual(self.platform(machine, '--arch "$TARGET_PREFIX"'), auto)
                self.assertTrue(self.platform(machine, "--variant exact").startswith(exact))

    def test_the_tool_is_that_of_the_sdk(self):
        paths = self.shell("qemuarm", 'command -v ocibake && echo "$OCIBAKE"').split()
        self.assertEqual(len(set(paths)), 1, paths)
        self.assertTrue(paths[0].startswith(str(self.sdk / "sysroots")), paths)

    def test_a_recipe_that_calls_the_tool(self):
        for machine, (auto, _) in MACHINES.items():
            with self.subTest(machine):
                platform = Layout(self.build.image_directory(machine) / "flagged-image.oci").descriptor["platform"]
                self.assertEqual("/".join(platform[key] for key in ("os", "architecture", "variant") if key in platform), auto)

    def test_what_only_builds_need_is_left_out(self):
        self.shell("qemuarm", 'ocibake build "$SDKTARGETSYSROOT" oci:out --owner 0:0 --exclude-preset development')
        files = json.loads(self.shell("qemuarm", "ocibake inspect --json --files oci:out"))["files"]
        self.assertEqual([file["path"] for file in files if file["type"] == "file"], ["/usr/lib/libapp.so.1"])


if __name__ == "__main__":
    unittest.main()
