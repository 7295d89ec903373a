# SPDX-License-Identifier: MIT
"""An image on the image of another recipe, or on one from elsewhere."""

import io
import json
import os
import shutil
import unittest

import test_image
from layer_entries import Layout, entries_of_tar, unpacked

RECIPE = "app-image"
BASE = "baked-image"
MULTILIB = """
require conf/multilib.conf
MULTILIBS = "multilib:lib32"
DEFAULTTUNE:virtclass-multilib-lib32 = "core2-32"
ASSUME_PROVIDED += "lib32-packagegroup-core-standalone-sdk-target lib32-target-sdk-provides-dummy lib32-qemuwrapper-cross"
"""


class Base(unittest.TestCase):
    """One build directory; the base is built because it is needed."""

    @classmethod
    def setUpClass(cls):
        cls.build = test_image.new_build(cls.__name__)
        cls.images = cls.build.image_directory()

    def bake(self, configuration="", tag="latest"):
        """Build the application; its layout."""
        self.build.configure(configuration)
        run = self.build.bake(RECIPE)
        self.assertEqual(run.status, 0, run.output)
        self.ran, self.warnings = run.output, run.warnings
        return Layout(self.images / ("%s-%s-oci" % (RECIPE, tag)))

    def entries(self, layout):
        """The entries of the layer that was added."""
        return entries_of_tar(io.BytesIO(unpacked(layout.blob(layout.manifest["layers"][-1]))))

    def test_what_the_rootfs_has_is_added(self):
        layout = self.bake()
        base = Layout(self.images / (BASE + "-latest-oci"))
        self.assertEqual(layout.manifest["layers"][:-1], base.manifest["layers"])
        self.assertEqual(layout.manifest["annotations"]["org.opencontainers.image.base.digest"], base.digest)
        entries = self.entries(layout)
        self.assertLessEqual({"usr/bin/app", "usr/bin/device"}, set(entries))
        self.assertEqual((entries["usr/bin/app"]["owner"], entries["usr/bin/app"]["mode"]), ((1000, 1000), "0o4755"))
        self.assertEqual(entries["usr/bin/device"]["device"], (5, 1))
        self.assertEqual([path for path in entries if ".wh." in path], [])
        blob = "blobs/" + base.manifest["layers"][0]["digest"].replace(":", "/")
        self.assertTrue(os.path.samefile(layout.path / blob, base.path / blob))
        self.assertEqual(len([line for line in self.warnings if "[setuid-new]" in line and "`/usr/bin/app`" in line]), 1, self.ran)

    def test_exact(self):
        entries = self.entries(self.bake('OCI_BASE_IMAGE_MODE = "exact"\n'))
        self.assertIn(".wh.bin", entries)
        self.assertIn("usr/bin/.wh.su", entries)

    def test_another_layout_of_directories(self):
        self.build.configure('APP_MERGED = "1"\n')
        run = self.build.bake(RECIPE)
        self.assertNotEqual(run.status, 0)
        self.assertIn("`/bin` is a directory in the base and a symlink in the rootfs", run.output)
        self.assertIn("with the base mode `exact`", run.output)
        self.bake('APP_MERGED = "1"\nOCI_BASE_IMAGE_MODE = "exact"\n')

    def test_one_base_for_all_images(self):
        layout = self.bake('OCI_BASE_IMAGE = "%s"\nOCI_IMAGE_TAG = "2.0"\nOCI_BASE_IMAGE_TAG = "2.0"\n' % BASE, tag="2.0")
        self.assertEqual(layout.manifest["annotations"]["org.opencontainers.image.base.name"], BASE + ":2.0")
        base = Layout(self.images / (BASE + "-2.0-oci"))
        self.assertNotIn("org.opencontainers.image.base.name", base.manifest["annotations"])
        self.assertEqual(layout.manifest["layers"][0], base.manifest["layers"][0])

    def test_a_change_of_the_base_is_a_change(self):
        ran = "%s_1.0.bb:do_image_oci)" % RECIPE
        first = self.bake()
        self.bake()
        self.assertNotIn(ran, self.ran)
        second = self.bake('OCI_IMAGE_LABELS:pn-%s = "a=b"\n' % BASE)
        self.assertIn(ran, self.ran)
        self.assertEqual(second.config["config"]["Labels"]["a"], "b")
        self.assertNotEqual(first.digest, second.digest)

    def test_a_path(self):
        path = self.build.path / "elsewhere"
        self.bake()
        shutil.copytree(os.path.realpath(self.images / (BASE + "-latest-oci")), path)
        ran = "%s_1.0.bb:do_image_oci)" % RECIPE
        configuration = 'OCI_BASE_IMAGE = "%s"\n' % path
        self.assertEqual(len(self.bake(configuration).manifest["layers"]), 2)
        self.bake(configuration)
        self.assertNotIn(ran, self.ran)
        # Another image under the same path.
        index = json.loads((path / "index.json").read_text())
        index["annotations"] = {"other": "image"}
        (path / "index.json").write_text(json.dumps(index))
        self.bake(configuration)
        self.assertIn(ran, self.ran)

    def test_another_platform(self):
        path = self.build.path / "foreign"
        self.bake()
        shutil.copytree(os.path.realpath(self.images / (BASE + "-latest-oci")), path)
        self.build.configure('OCI_BASE_IMAGE = "%s"\nMACHINE = "qemuarm64"\n' % path)
        run = self.build.bake(RECIPE)
        self.assertNotEqual(run.status, 0)
        self.assertIn("do_oci_check: OCI_BASE_IMAGE is `%s`: an image for linux/arm64/v8 expected, found one for linux/amd64"
                      % path, run.output)
        self.assertNotIn("task do_rootfs: Started", run.output)

    def test_another_multilib(self):
        self.build.configure(MULTILIB)
        run = self.build.bake("lib32-" + RECIPE)
        self.assertNotEqual(run.status, 0)
        self.assertIn("do_oci_check: OCI_BASE_IMAGE is `%s`: an image for i686 expected, found a recipe of one for x86_64; the "
                      "recipe for i686 is `lib32-%s`" % (BASE, BASE), run.output)
        self.assertNotIn("recipe lib32-%s-1.0-r0: task do_rootfs: Started" % RECIPE, run.output)
        self.build.configure(MULTILIB + 'OCI_BASE_IMAGE = "lib32-%s"\n' % BASE)
        run = self.build.bake("lib32-" + RECIPE)
        self.assertEqual(run.status, 0, run.output)
        self.assertEqual(Layout(self.images / ("lib32-%s-latest-oci" % RECIPE)).config["architecture"], "386")


if __name__ == "__main__":
    unittest.main()
