# SPDX-License-Identifier: MIT
"""One image of the images of several multiconfigs."""

import hashlib
import json
import os
import re
import unittest

import test_image
from build_directory import LAYER
from layer_entries import Layout

RECIPE = "every-machine"
IMAGE = "baked-image"
CONFIGURATION = 'BBMULTICONFIG = "arm arm64"\nIMAGE_FSTYPES:forcevariable = "oci"\n'
MACHINES = {"tmp-arm64": "qemuarm64", "tmp-arm": "qemuarm", "tmp": "qemux86-64"}


class Index(unittest.TestCase):
    """One build directory for three configurations."""

    @classmethod
    def setUpClass(cls):
        cls.build = test_image.new_build(cls.__name__)
        cls.deployed = cls.build.image_directory()

    def bake(self, configuration=""):
        """Build the index; what bitbake printed."""
        self.build.configure(CONFIGURATION + configuration)
        run = self.build.bake(RECIPE)
        self.assertEqual(run.status, 0, run.output)
        return run.output

    def images(self, tag="latest"):
        """The images of the three machines, in the recipe's order."""
        return [Layout(self.build.path / directory / "deploy/images" / machine / ("%s-%s-oci" % (IMAGE, tag)))
                for directory, machine in MACHINES.items()]

    def document(self, digest):
        """A document of the index's layout."""
        raw = (self.deployed / (RECIPE + ".oci") / "blobs" / digest.replace(":", "/")).read_bytes()
        self.assertEqual("sha256:" + hashlib.sha256(raw).hexdigest(), digest)
        return json.loads(raw)

    def listed(self):
        """The entries of index.json."""
        return json.loads((self.deployed / (RECIPE + ".oci/index.json")).read_text())["manifests"]

    def test_three_machines(self):
        self.bake('OCI_IMAGE_TAG:pn-%s = "latest 1.0"\nOCI_INDEX_ANNOTATIONS = "note=\'it is $(so)\'"\n'
                  'OCI_INDEX_TYPES = "oci oci-archive"\n' % RECIPE)
        names = {entry["annotations"]["org.opencontainers.image.ref.name"]: entry["digest"] for entry in self.listed()}
        self.assertEqual(set(names), {"latest", "1.0"})
        (digest,) = set(names.values())
        index = self.document(digest)
        self.assertEqual(index["annotations"]["note"], "it is $(so)")
        self.assertEqual([(entry["digest"], entry["platform"]) for entry in index["manifests"]], [
            (image.digest, platform) for image, platform in zip(self.images(), [
                {"architecture": "arm64", "os": "linux", "variant": "v8"},
                {"architecture": "arm", "os": "linux", "variant": "v7"},
                {"architecture": "amd64", "os": "linux"},
            ])])
        # Deployed through sstate without a copy. There is one layer, because all machines have the same rootfs.
        blobs = {blob for image in self.images() for blob in image.referenced()}
        self.assertEqual(len(blobs), 2 * len(MACHINES) + 1)
        for blob in blobs:
            path = "blobs/" + blob.replace(":", "/")
            made = self.deployed / (RECIPE + ".oci") / path
            self.assertTrue(any(os.path.samefile(image.path / path, made) for image in self.images()
                                if (image.path / path).exists()), blob)
        (manifest,) = self.build.path.glob("tmp/sstate-control/manifest-*-%s.deploy" % RECIPE)
        self.assertIn("/%s.oci/index.json\n" % RECIPE, manifest.read_text())
        self.assertEqual({name: os.readlink(self.deployed / name) for name in os.listdir(self.deployed)
                          if re.match(RECIPE + "-", name)}, {
            RECIPE + "-latest-oci": RECIPE + ".oci", RECIPE + "-1.0-oci": RECIPE + ".oci",
            RECIPE + "-latest-oci.tar": RECIPE + ".oci-archive", RECIPE + "-1.0-oci.tar": RECIPE + ".oci-archive"})
        run = self.build.command(str(self.build.path / "bin/ocibake"), "verify", str(self.deployed / (RECIPE + ".oci")))
        self.assertEqual(run.status, 0, run.output)

    def test_a_change_of_one_image_is_a_change(self):
        ran = RECIPE + "_1.0.bb:do_deploy)"
        self.bake('OCI_IMAGE_LABELS = "a=b"\n')
        first = self.listed()[0]["digest"]
        self.assertNotIn(ran, self.bake('OCI_IMAGE_LABELS = "a=b"\n'))
        self.assertIn(ran, self.bake('OCI_IMAGE_LABELS = "a=b"\nOCI_IMAGE_LABELS:qemuarm = "a=c"\n'))
        self.assertNotEqual(self.listed()[0]["digest"], first)
        # The images in the index are unchanged.
        for image in self.images():
            for layer in image.manifest["layers"]:
                image.blob(layer)

    def test_what_is_attached_goes_along(self):
        self.bake('INHERIT += "create-spdx"\nOCI_IMAGE_SPDX = "1"\n')
        subjects = [self.document(entry["digest"])["subject"]["digest"] for entry in self.listed() if "artifactType" in entry]
        self.assertEqual(subjects, [image.digest for image in self.images()])

    def test_every_variable_matters(self):
        self.build.configure(CONFIGURATION)
        recipe = LAYER / "tests/bitbake/layer/recipes-test/images/every-machine_1.0.bb"
        run = self.build.command("python3", str(LAYER / "tests/bitbake/task_hashes.py"), str(recipe), "UNRELATED=1",
                                 "OCI_IMAGE_TAG=1.0", "OCI_IMAGE_NAME=app", "OCI_INDEX_ANNOTATIONS=a=b", "OCI_INDEX_FLAT=1",
                                 "OCI_INDEX_IMAGES=baked-image", "OCI_INDEX_IMAGE_TAG=1.0",
                                 "OCI_INDEX_DEPLOY_DIR_IMAGE=arm=/srv", "OCI_INDEX_TYPES=oci-archive")
        self.assertEqual(run.status, 0, run.output)
        hashes = {setting: tasks["do_deploy"] for setting, tasks in json.loads(run.output.splitlines()[-1]).items()}
        self.assertEqual([setting for setting, found in hashes.items() if found == hashes[""]], ["", "UNRELATED=1"])

    def test_clean(self):
        self.bake()
        run = self.build.bake(RECIPE, "-c", "clean")
        self.assertEqual(run.status, 0, run.output)
        left = list(self.deployed.rglob("*"))
        self.assertEqual([str(path) for path in left if RECIPE in str(path)], [])
        for image in self.images():
            self.assertEqual(image.blobs(), image.referenced())

    def test_a_multiconfig_that_is_somewhere_else(self):
        self.bake()
        where = self.build.path / "moved"
        (self.build.path / "tmp-arm64/deploy/images/qemuarm64").rename(where)
        try:
            self.build.configure(CONFIGURATION)
            run = self.build.bake(RECIPE, "-c", "deploy", "-f")
            self.assertNotEqual(run.status, 0)
            self.assertEqual(len([line for line in run.errors if "OCI_INDEX_DEPLOY_DIR_IMAGE to `arm64=DIRECTORY`" in line]), 1, run.output)
            self.build.configure(CONFIGURATION + 'OCI_INDEX_DEPLOY_DIR_IMAGE = "arm64=%s"\n' % where)
            run = self.build.bake(RECIPE, "-c", "deploy")
            self.assertEqual(run.status, 0, run.output)
        finally:
            where.rename(self.build.path / "tmp-arm64/deploy/images/qemuarm64")

    def test_a_multiconfig_without_a_file(self):
        self.build.configure('BBMULTICONFIG = "arm"\nOCI_INDEX_IMAGES:forcevariable = "mc:nowhere:baked-image"\n')
        run = self.build.bake(RECIPE)
        self.assertNotEqual(run.status, 0)
        self.assertIn("there is no conf/multiconfig/nowhere.conf", run.output)
        # Only this recipe is left out.
        self.assertEqual(self.build.command("bitbake", "-p").status, 0)

    def test_a_multiconfig_that_is_not_enabled(self):
        self.build.configure(CONFIGURATION + 'BBMULTICONFIG = "arm"\n')
        run = self.build.bake(RECIPE)
        self.assertNotEqual(run.status, 0)
        self.assertIn("arm64", " ".join(run.errors))


if __name__ == "__main__":
    unittest.main()
