# SPDX-License-Identifier: MIT
"""The backend in the real image-oci class of meta-virtualization."""

import os
import tarfile
import unittest

import test_image
from build_directory import ordinary_user
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

    def test_a_build_directory_that_umoci_filled(self):
        self.assertEqual(self.bake("").status, 0)
        # As umoci's backend leaves it, when only the image's task runs again.
        deploy = self.build.work_directory(RECIPE) / ("deploy-%s-image-complete" % RECIPE)
        theirs = RECIPE + "-qemux86-64.rootfs-20250101000000.rootfs-oci"
        (deploy / theirs / "blobs").mkdir(parents=True)
        for name, target in ((RECIPE + "-latest-oci", theirs), (RECIPE + "-latest-oci-dir.tar", theirs + "-dir.tar")):
            (deploy / name).unlink()
            (deploy / name).symlink_to(target)
        (deploy / (theirs + "-dir.tar")).touch()
        user = ordinary_user()
        for path in (deploy / theirs / "blobs", deploy / theirs) if user else ():
            os.chown(path, user["user"], user["group"])
        run = self.bake('OCI_IMAGE_LABELS = "again=1"\n')
        self.assertEqual(run.status, 0, run.output)
        self.assertNotIn(":do_rootfs)", run.output)
        self.assertEqual([name for name in os.listdir(self.images) if "20250101" in name], [])
        with tarfile.open(self.images / (RECIPE + "-latest-oci-dir.tar")) as archive:
            self.assertIn(RECIPE + "-qemux86-64.rootfs.oci/oci-layout", archive.getnames())

    def test_their_defaults_are_not_ours(self):
        run = self.bake('OCI_IMAGE_ENTRYPOINT = "/usr/bin/su"\n')
        self.assertEqual(run.status, 0, run.output)
        config = Layout(self.images / (RECIPE + "-latest-oci")).config
        self.assertEqual(config["config"].get("Cmd"), None)
        self.assertNotIn("author", config)

    def test_another_backend_beside_our_class(self):
        self.build.configure('OCI_IMAGE_BACKEND = "umoci"\n'
                             'ASSUME_PROVIDED += "umoci-native jq-native"\n')
        run = self.build.bake(RECIPE)
        self.assertNotEqual(run.status, 0)
        self.assertEqual(len([line for line in run.errors if 'OCI_IMAGE_BACKEND = "ocibake"' in line]), 1, run.output)


APPLICATIONS = {
    "curl": ["base", "curl", "rest"],
    "mosquitto": ["base", "mosquitto", "rest"],
    "nginx": ["base", "nginx", "nginx-dirs", "rest"],
    "python": ["base", "terminal", "python", "rest"],
    "valkey": ["base", "shell", "valkey", "entrypoint", "rest"],
}


@unittest.skipUnless("META_VIRT" in os.environ and os.path.exists(
    os.environ.get("META_VIRT", "") + "/recipes-containers/images/app-container-curl.bb"),
    "META_VIRT names no tree of meta-virtualization that has application images")
class Applications(unittest.TestCase):
    """meta-virtualization's own recipes of applications, with a rootfs of the tests."""

    @classmethod
    def setUpClass(cls):
        cls.build = test_image.new_build(cls.__name__)
        cls.build.configure(BACKEND)
        run = cls.build.bake(*("app-container-" + name for name in APPLICATIONS))
        if run.status:
            raise AssertionError(run.output)
        cls.images = cls.build.image_directory()

    def layout(self, name):
        """An application's image."""
        return Layout(self.images / ("app-container-%s-latest-oci" % name))

    def test_layers(self):
        for name, layers in APPLICATIONS.items():
            with self.subTest(name):
                layout = self.layout(name)
                self.assertEqual([layer["annotations"]["io.github.ocibake.layer"] for layer in layout.manifest["layers"]], layers)
                # What is the same is the same layer in all of them.
                self.assertEqual(layout.manifest["layers"][0], self.layout("curl").manifest["layers"][0])
                with open(self.images / ("app-container-%s-qemux86-64.rootfs.tar" % name), "rb") as stream:
                    self.assertEqual(layout.folded(), entries_of_tar(stream))

    def test_the_user_owns_what_it_writes(self):
        entries = self.layout("valkey").folded()
        for path in ("data", "var/lib/valkey", "run/valkey", "home/nonroot"):
            self.assertEqual(entries[path]["owner"], (65532, 65532), path)
        self.assertEqual((entries["home"]["owner"], entries["home/nonroot"]["mode"]), ((0, 0), "0o700"))
        self.assertEqual(entries["tmp"]["mode"], "0o1777")

    def test_the_version_is_the_applications(self):
        self.assertEqual(self.layout("nginx").config["config"]["Labels"]["org.opencontainers.image.version"], "1.0")
