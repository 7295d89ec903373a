# SPDX-License-Identifier: MIT
"""The crate list of the recipe against Cargo.lock, and the recipe against the package."""

import hashlib
import pathlib
import re
import shutil
import subprocess
import tempfile
import tomllib
import unittest

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
RECIPES = REPOSITORY / "recipes-devtools/ocibake"


class Crates(unittest.TestCase):
    """ocibake-crates.inc, read as BitBake would, not by the script that wrote it."""

    def setUp(self):
        text = (RECIPES / "ocibake-crates.inc").read_text(encoding="utf-8")
        self.fetched = re.findall(r"^    crate://crates\.io/([^/]+)/(\S+) \\$", text, re.MULTILINE)
        self.checksums = dict(re.findall(r'^SRC_URI\[(\S+)\.sha256sum\] = "([0-9a-f]{64})"$', text, re.MULTILINE))
        lock = tomllib.loads((REPOSITORY / "Cargo.lock").read_text(encoding="utf-8"))
        self.version = lock["version"]
        self.locked = [package for package in lock["package"] if package["name"] != "ocibake"]

    def test_names_and_versions(self):
        self.assertGreater(len(self.fetched), 50)
        self.assertEqual(sorted(self.fetched), sorted((package["name"], package["version"]) for package in self.locked))

    def test_checksums(self):
        self.assertEqual(self.checksums,
                         {"%(name)s-%(version)s" % package: package["checksum"] for package in self.locked})

    def test_the_lock_file_suits_the_oldest_cargo(self):
        # Version 4 needs cargo 1.78; Yocto 5.0 has 1.75.
        self.assertEqual(self.version, 3)

    def test_the_script_would_write_the_same(self):
        subprocess.run([RECIPES / "update-crates", "--check"], check=True)


class Recipe(unittest.TestCase):
    """ocibake.inc and ocibake_git.bb."""

    def setUp(self):
        self.manifest = tomllib.loads((REPOSITORY / "Cargo.toml").read_text(encoding="utf-8"))
        self.text = (RECIPES / "ocibake.inc").read_text(encoding="utf-8")

    def test_version(self):
        recipe = (RECIPES / "ocibake_git.bb").read_text(encoding="utf-8")
        self.assertIn('PV = "%s+git"' % self.manifest["package"]["version"], recipe)

    def test_the_recipe_of_a_release(self):
        """What add-release writes names the commit of the tag, and the crates of its lock file."""
        with tempfile.TemporaryDirectory() as directory:
            clone = pathlib.Path(directory, "clone")
            shutil.copytree(RECIPES, clone / "recipes-devtools/ocibake")
            shutil.copy(REPOSITORY / "Cargo.lock", clone)

            def git(*words):
                return subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", clone, *words], check=True,
                                      capture_output=True, text=True).stdout.strip()

            git("init", "-q")
            git("add", "Cargo.lock")
            git("commit", "-q", "-m", "a release")
            git("tag", "-a", "v9.8.7", "-m", "a release")
            made = clone / "recipes-devtools/ocibake"
            subprocess.run([made / "add-release", "9.8.7"], check=True)
            self.assertIn('SRCREV = "%s"' % git("rev-parse", "HEAD"), (made / "ocibake_9.8.7.bb").read_text())
            self.assertEqual((made / "ocibake-9.8.7-crates.inc").read_text(), (RECIPES / "ocibake-crates.inc").read_text())

    def test_licence(self):
        md5 = hashlib.md5((REPOSITORY / "LICENSE").read_bytes()).hexdigest()
        self.assertIn('LIC_FILES_CHKSUM = "file://LICENSE;md5=%s"' % md5, self.text)
        self.assertIn('LICENSE = "%s"' % self.manifest["package"]["license"], self.text)

    def test_homepage(self):
        self.assertIn('HOMEPAGE = "%s"' % self.manifest["package"]["repository"], self.text)


if __name__ == "__main__":
    unittest.main()
