# SPDX-License-Identifier: MIT
"""The backend in the real image-oci class of meta-virtualization."""

import os
import unittest

import test_image
from layer_entries import Layout, entries_of_tar

RECIPE = "container-image"
BACKEND = 'OCI_IMAGE_BACKEND = "ocibake"\nIMAGE_CLASSES:remove:pn-container-image = "image_types_oci"\n'


@unittest.skipUnless("META_VIRT" in os.environ, "META_VIRT names no tree of meta-virtualization")
class Backend(unittest.TestCase):
    """Their class, our image."""

    @classmethod
    def setUpClass(cls):
        cls.build = test_image.new_build(cls.__name__)
        cls.images = cls.build.image_directory()

    def bake(self, configuration):
        """Build with our backend."""
        self.build.configure(BACKEND + configuration)
        return self.build.bake(RECIPE)

    def test_image(self):
        run = self.bake('OCI_IMAGE_LABELS = "quote="it\'s""\n')
        self.assertEqual(run.status, 0, run.output)
        layout = Layout(self.images / (RECIPE + "-latest-oci"))
        with open(self.images / (RECIPE + "-qemux86-64.rootfs.tar"), "rb") as stream:
            self.assertEqual(layout.entries(), entries_of_tar(stream))
        self.assertEqual(layout.config["config"]["Labels"]["quote"], "it's")
        self.assertEqual((layout.config["architecture"], layout.config["config"]["Cmd"]), ("amd64", ["/bin/sh"]))
        # Their class makes tars by default; its tar.bz2 is only an intermediate step.
        self.assertTrue((self.images / (RECIPE + "-latest-oci.tar")).is_file())
        self.assertEqual([name for name in os.listdir(self.images) if "bz2" in name], [])

    def test_variant(self):
        run = self.bake('MACHINE = "qemuarm"\nOCI_IMAGE_TAR_OUTPUT = ""\n')
        self.assertEqual(run.status, 0, run.output)
        layout = Layout(self.build.image_directory("qemuarm") / (RECIPE + "-latest-oci"))
        self.assertEqual((layout.config["architecture"], layout.config["variant"]), ("arm", "v7"))

    def test_a_base_image(self):
        run = self.bake('OCI_BASE_IMAGE:pn-container-image = "baked-image"\nASSUME_PROVIDED += "rsync-native"\n')
        self.assertEqual(run.status, 0, run.output)
        base = Layout(self.images / "baked-image-latest-oci")
        layout = Layout(self.images / (RECIPE + "-latest-oci"))
        # Their rootfs is that of the base.
        self.assertEqual(layout.manifest["layers"], base.manifest["layers"])
        self.assertEqual(layout.manifest["annotations"]["org.opencontainers.image.base.digest"], base.digest)

    def test_several_layers_are_refused(self):
        run = self.bake('OCI_LAYER_MODE = "multi"\nOCI_LAYERS = "app:directories:/opt"\n')
        self.assertNotEqual(run.status, 0)
        self.assertEqual(len([line for line in run.errors if "do_image_oci_archive: OCI_LAYERS is `app:directories:/opt`: "
                              "image_types_oci makes one layer of the rootfs" in line]), 1, run.output)

    def test_another_backend_beside_our_class(self):
        self.build.configure('OCI_IMAGE_BACKEND = "umoci"\n'
                             'ASSUME_PROVIDED += "umoci-native jq-native"\n')
        run = self.build.bake(RECIPE)
        self.assertNotEqual(run.status, 0)
        self.assertEqual(len([line for line in run.errors if 'OCI_IMAGE_BACKEND = "ocibake"' in line]), 1, run.output)
