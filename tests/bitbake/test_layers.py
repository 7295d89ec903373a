# SPDX-License-Identifier: MIT
"""Layers by recipe, from the manifest of the image and pkgdata."""

import os
import re

import test_image
from layer_entries import Layout, entries_of_tar

RECIPE = "layered-image"


class Layers(test_image.BakedTest):
    """OCI_IMAGE_LAYERS in local.conf, and nothing else."""

    configuration = 'OCI_IMAGE_LAYERS = "packages"\n'

    def layers(self, configuration=configuration):
        """Name to digest after a build."""
        self.output = self.bake(configuration, recipe=RECIPE).output
        self.layout = Layout(self.images / (RECIPE + "-latest-oci"))
        return {layer.get("annotations", {}).get("io.github.ocibake.layer"): layer["digest"]
                for layer in self.layout.manifest["layers"]}

    def test_the_layers_are_the_rootfs(self):
        self.assertEqual(set(self.layers()), {"app", "busybox", "generated", "libnamed", "zlib"})
        with open(self.images / (RECIPE + "-qemux86-64.rootfs.tar"), "rb") as stream:
            self.assertEqual(self.layout.folded(), entries_of_tar(stream))

    def test_an_update_is_the_layer_of_its_recipe(self):
        before = self.layers()
        after = self.layers(self.configuration + 'NAMED_CHANGED = "busybox"\nNAMED_VERSION = "2"\n')
        self.assertEqual([name for name in before if before[name] != after[name]], ["busybox"])

    def test_the_rootfs_is_not_made_again(self):
        self.layers("")
        self.layers()
        self.assertIn(":do_image_oci)", self.output)
        self.assertNotIn(":do_rootfs)", self.output)

    def test_a_plan_is_made_and_followed(self):
        self.layers()
        self.build.configure(self.configuration)
        run = self.build.bake(RECIPE, "-c", "oci_plan")
        self.assertEqual(run.status, 0, run.output)
        path = re.search(r"^layered-image: the plan is (.*)$", run.output, re.MULTILINE)[1]
        with open(path, encoding="utf-8") as plan:
            self.assertIn("busybox: recipe:busybox", plan.read())
        kept = self.build.path / "kept.plan"
        for text, names in (("both: recipe:busybox recipe:zlib\n", {"both", "rest"}), ("app: recipe:app\n", {"app", "rest"})):
            # A change of the plan runs the task again.
            kept.write_text(text)
            self.assertEqual(set(self.layers('OCI_LAYERS_PLAN = "%s"\n' % kept)), names)
        os.remove(kept)

    def test_layers_of_meta_virtualization(self):
        layers = self.layers('OCI_LAYERS = "base:packages:busybox app:files:/usr/bin/app"\nOCI_LAYER_MODE = "multi"\n')
        self.assertEqual(list(layers), ["base", "app", "rest"])
        self.assertIn("libnamed=1.0", self.layout.manifest["layers"][0]["annotations"]["io.github.ocibake.groups"])
