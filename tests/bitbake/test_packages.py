# SPDX-License-Identifier: MIT
"""The release's own do_rootfs with rpm packages, made and installed by the host's rpm and dnf."""

import unittest

import test_image
from layer_entries import Layout, entries_of_tar

RECIPE = "packaged-image"
CONFIGURATION = """
PACKAGE_CLASSES:forcevariable = "package_rpm"
ASSUME_PROVIDED += "rpm-native dnf-native createrepo-c-native makedevs-native depmodwrapper-cross update-rc.d-native"
ASSUME_PROVIDED += "virtual/update-alternatives-native"
HOSTTOOLS += "rpm dnf rpmbuild rpmkeys createrepo_c"
"""
# A package that was made with it carries a mark, which OE's own rpm leaves out and dnf refuses.
RPMBUILD = """#!/bin/sh
for word; do shift; [ "$word" = --short-circuit ] || set -- "$@" "$word"; done
exec /usr/bin/rpmbuild "$@"
"""


def prepare(build):
    """Make a build directory ready for Debian's rpm, which has its database at home."""
    (build.path / ".rpmmacros").write_text("%_dbpath /var/lib/rpm\n")
    (build.path / "bin/rpmbuild").write_text(RPMBUILD)
    (build.path / "bin/rpmbuild").chmod(0o755)


class Packages(unittest.TestCase):
    """One build directory."""

    @classmethod
    def setUpClass(cls):
        cls.build = test_image.new_build(cls.__name__)
        prepare(cls.build)
        cls.images = cls.build.image_directory()

    def layers(self, configuration=""):
        """The digest of each layer by its name; the layers together are the rootfs."""
        self.build.configure(CONFIGURATION + configuration)
        run = self.build.bake(RECIPE)
        self.assertEqual(run.status, 0, run.output)
        self.ran = run.output
        self.layout = Layout(self.images / (RECIPE + "-latest-oci"))
        with open(self.images / (RECIPE + "-qemux86-64.rootfs.tar"), "rb") as stream:
            self.assertEqual(self.layout.folded(), entries_of_tar(stream))
        return {layer.get("annotations", {}).get("io.github.ocibake.layer"): layer["digest"]
                for layer in self.layout.manifest["layers"]}

    def test_what_the_packages_hold(self):
        self.assertEqual(len(self.layers()), 1)
        entries = self.layout.folded()
        self.assertEqual((entries["usr/bin/app"]["mode"], entries["usr/bin/app"]["links"]),
                         ("0o4755", ["usr/bin/app", "usr/bin/app-again"]))
        self.assertEqual((entries["etc/shadow"]["mode"], entries["tmp"]["mode"]), ("0o640", "0o1777"))
        self.assertEqual(entries["home/app"]["owner"], (1, 1))
        self.assertNotIn("var/lib/rpm", entries)
        labels = self.layout.config["config"]["Labels"]
        # Those of the packages; the recipe of the image says MIT, and has no version.
        self.assertEqual(labels["org.opencontainers.image.licenses"], "LGPL-2.1-or-later AND MIT")
        self.assertEqual(labels["org.opencontainers.image.version"], "nodistro.0")

    def test_layers_of_packages(self):
        names = {"packaged-app", "packaged-library", "generated"}
        self.layers()
        first = self.layers('OCI_IMAGE_LAYERS = "packages"\n')
        self.assertEqual(set(first), names)
        self.assertNotIn(":do_rootfs)", self.ran)
        # The packages have owners without a database in the image too; with one, it is no recipe's.
        managed = 'OCI_IMAGE_LAYERS = "packages"\nIMAGE_FEATURES:pn-%s = "package-management"\n' % RECIPE
        second = self.layers(managed)
        self.assertIn("var/lib/rpm/rpmdb.sqlite", self.layout.folded())
        self.assertEqual({name for name in names if first[name] != second[name]}, {"generated"})
        third = self.layers(managed + 'PACKAGED_VERSION = "2"\n')
        self.assertEqual(third["packaged-library"], second["packaged-library"])
        self.assertNotEqual(third["packaged-app"], second["packaged-app"])


if __name__ == "__main__":
    unittest.main()
