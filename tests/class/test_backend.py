# SPDX-License-Identifier: MIT
"""The backend of meta-virtualization's image-oci: its defaults, its hooks, and what its other classes want."""

import os
import pathlib
import tarfile
import unittest.mock

import bbclass
import image_build
import scratch

# As image-oci sets them where the recipe does not.
THEIRS = {
    "OCI_IMAGE_AUTHOR": "${PATCH_GIT_USER_NAME}",
    "OCI_IMAGE_AUTHOR_EMAIL": "${PATCH_GIT_USER_EMAIL}",
    "OCI_IMAGE_ARCH": "${@oe.go.map_arch(d.getVar('TARGET_ARCH'))}",
    "OCI_IMAGE_SUBARCH": "${@oci_map_subarch(d.getVar('TARGET_ARCH'), d.getVar('TUNE_FEATURES'), d)}",
    "OCI_IMAGE_CMD": "/bin/sh",
    "OCI_BASE_IMAGE_TAG": "latest",
    "OCI_LAYER_MODE": "single",
}


class BackendTest(scratch.TestCase):
    """A recipe that inherits image-oci."""

    def setUp(self):
        self.directory = self.make_directory()

    def recipe(self, **variables):
        """The datastore, parsed, and the functions."""
        own = {**image_build.MACHINE, **THEIRS, "IMAGE_FSTYPES": "oci", "OCI_IMAGE_BACKEND": "ocibake", "FILE": "/layer/app.bb",
               "IMGDEPLOYDIR": str(self.directory), "IMAGE_ROOTFS": str(self.directory / "rootfs")}
        d = bbclass.Datastore({**own, **variables}, bbclass.BACKEND)
        d.inherited.add("image-oci")
        return d

    def parsed(self, **variables):
        """The datastore after parsing."""
        d = self.recipe(**variables)
        d.parse()
        return d


class Defaults(BackendTest):
    """What the recipe does not say."""

    def test_ours_count(self):
        d = self.parsed()
        self.assertEqual({name: d.getVar(name) for name in THEIRS if name != "OCI_LAYER_MODE"}, {
            "OCI_IMAGE_AUTHOR": "", "OCI_IMAGE_AUTHOR_EMAIL": "", "OCI_IMAGE_ARCH": "", "OCI_IMAGE_SUBARCH": "",
            "OCI_IMAGE_CMD": "/bin/sh", "OCI_BASE_IMAGE_TAG": ""})
        self.assertEqual(self.parsed(OCI_IMAGE_ENTRYPOINT="app").getVar("OCI_IMAGE_CMD"), "")

    def test_the_entrypoint_of_releases_without_a_default_command(self):
        older = {"OCI_IMAGE_CMD": "${@oci_default_command(d)}", "OCI_IMAGE_ENTRYPOINT": "sh"}
        d = self.parsed(**older)
        self.assertEqual((d.getVar("OCI_IMAGE_ENTRYPOINT"), d.getVar("OCI_IMAGE_CMD")), ("", "/bin/sh"))
        # What a recipe says of it stays.
        d = self.parsed(**older, OCI_IMAGE_ENTRYPOINT_ARGS="-c app")
        self.assertEqual((d.getVar("OCI_IMAGE_ENTRYPOINT"), d.getVar("OCI_IMAGE_ENTRYPOINT_ARGS")), ("sh", "-c app"))
        self.assertEqual(self.parsed(OCI_IMAGE_ENTRYPOINT="sh").getVar("OCI_IMAGE_ENTRYPOINT"), "sh")

    def test_what_the_recipe_says_stays(self):
        said = {"OCI_IMAGE_AUTHOR": "Ann", "OCI_IMAGE_ARCH": "arm", "OCI_IMAGE_CMD": "", "OCI_BASE_IMAGE_TAG": "1.0"}
        d = self.parsed(**said)
        self.assertEqual({name: d.getVar(name) for name in said}, said)

    def test_packages_are_installed_by_their_names(self):
        for layers, theirs, expected in [
            ("a:packages:app+zlib b:files:/x", "base app zlib", "base app zlib"),
            ("a:packages:'libstdc++'+zlib", "base ' 'libstdc zlib", "base libstdc++ zlib"),
            ("a:packages:base", "base base", "base"),
        ]:
            with self.subTest(layers):
                d = self.parsed(OCI_LAYER_MODE="multi", OCI_LAYERS=layers, IMAGE_INSTALL=theirs)
                self.assertEqual(d.getVar("IMAGE_INSTALL").split(), expected.split())
        self.assertEqual(self.parsed(OCI_LAYERS="a:packages:app", IMAGE_INSTALL="base").getVar("IMAGE_INSTALL"), "base")


class Hooks(BackendTest):
    """What would run umoci."""

    def test_they_go(self):
        d = self.recipe()
        d.setVarFlag("do_image_oci", "prefuncs", "mine oci_nonroot_inject_user")
        d.setVarFlag("do_image_oci", "postfuncs", "fix_oci_home_perms mine")
        d.setVarFlag("do_image_oci", "depends", "umoci-native:x jq-native:do_populate_sysroot ${OCI_PM_DEPENDS}")
        d.parse()
        self.assertEqual(d.getVarFlag("do_image_oci", "prefuncs").split(), ["mine", "oci_prepare"])
        self.assertEqual(d.getVarFlag("do_image_oci", "postfuncs").split(), ["mine", "oci_finish"])
        self.assertEqual(d.getVarFlag("do_image_oci", "depends").split(),
                         ["umoci-native:x", "ocibake-native:do_populate_sysroot"])


class Directories(BackendTest):
    """container-nonroot-user, and the archive of a directory."""

    def test_the_users_directories(self):
        d = self.recipe(NONROOT_UID="65532", NONROOT_GID="65533", NONROOT_USER="web", NONROOT_OWNED_DIRS="/data /var/log/web")
        root = pathlib.Path(d.getVar("IMAGE_ROOTFS"))
        (root / "var/volatile/log").mkdir(parents=True)
        (root / "var/log").symlink_to("volatile/log")
        owners = {}
        with unittest.mock.patch.object(os, "chown", lambda path, *ids: owners.update({os.path.relpath(path, root): ids})):
            d.functions().oci_nonroot_directories(d)
        self.assertEqual(owners, dict.fromkeys(["home/web", "data", "var/volatile/log/web"], (65532, 65533)))
        self.assertEqual([(root / path).stat().st_mode & 0o7777 for path in owners], [0o700, 0o755, 0o755])

    def test_archive(self):
        (self.directory / "app-image-2.oci").mkdir()
        (self.directory / "app-image-2.oci/oci-layout").touch()
        (self.directory / "app-image-1.oci-dir.tar").touch()
        (self.directory / "app-image-old-oci-dir.tar").symlink_to("app-image-1.oci-dir.tar")
        d = self.recipe(IMAGE_NAME="app-image-2", IMAGE_LINK_NAME="app", OCI_IMAGE_TAG="1 2", OCI_IMAGE_TAR_OUTPUT="true")
        d.functions().oci_directory_archive(d)
        self.assertEqual(sorted(os.listdir(self.directory)), [
            "app-image-1-oci-dir.tar", "app-image-2-oci-dir.tar", "app-image-2.oci", "app-image-2.oci-dir.tar"])
        first = (self.directory / "app-image-1-oci-dir.tar").read_bytes()
        with tarfile.open(self.directory / "app-image-2-oci-dir.tar") as archive:
            self.assertEqual([(member.name, member.mtime, member.uname) for member in archive],
                             [("app.oci", 0, ""), ("app.oci/oci-layout", 0, "")])
        # The same bytes at another time.
        os.utime(self.directory / "app-image-2.oci/oci-layout", (1, 1))
        d.functions().oci_directory_archive(d)
        self.assertEqual((self.directory / "app-image-1-oci-dir.tar").read_bytes(), first)
        d.setVar("OCI_IMAGE_TAR_OUTPUT", "")
        d.functions().oci_directory_archive(d)
        self.assertEqual(os.listdir(self.directory), ["app-image-2.oci"])


if __name__ == "__main__":
    unittest.main()
