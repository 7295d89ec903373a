# SPDX-License-Identifier: MIT
"""Images on a base: where the base is found, how it is used, and which dependencies BitBake gets."""

import io
import os
import subprocess
import tarfile
import unittest

import bbclass
import image_build
import scratch

PREFIX = "org.opencontainers.image.base."


class BaseTest(scratch.TestCase):
    """A directory with a deploy directory."""

    def setUp(self):
        self.directory = self.make_directory()
        self.deployed = self.directory / "images"
        self.deployed.mkdir()

    def task(self, imagetype="oci", tool=None, **variables):
        """An image task with these variables."""
        return image_build.Task(self.directory, {"DEPLOY_DIR_IMAGE": str(self.deployed), **variables}, imagetype, tool)


class Found(BaseTest):
    """From OCI_BASE_IMAGE to a location, a dependency and a checksum."""

    def read(self, base, **variables):
        """All three."""
        d = self.task(OCI_BASE_IMAGE=base, **variables).d
        functions = d.functions()
        return functions.oci_base_location(d), functions.oci_base_depends(d), functions.oci_base_checksums(d)

    def test_none(self):
        self.assertEqual(self.read(""), (None, "", ""))

    def test_a_recipe(self):
        layout = self.deployed / "base-image-latest-oci"
        layout.mkdir()
        expected = ("oci:%s:latest" % layout, "base-image:do_build", "")
        self.assertEqual(self.read("base-image"), expected)
        # The layout before the archive.
        (self.deployed / "base-image-latest-oci.tar").touch()
        self.assertEqual(self.read("base-image"), expected)

    def test_a_recipe_that_makes_archives(self):
        archive = self.deployed / "base-image-reg_5000_app_v1-oci.tar"
        archive.touch()
        self.assertEqual(self.read("base-image", OCI_BASE_IMAGE_TAG="reg:5000/app:v1")[0],
                         "oci-archive:%s:reg:5000/app:v1" % archive)

    def test_paths(self):
        layout = self.directory / "layout"
        layout.mkdir()
        (layout / "index.json").touch()
        archive = self.directory / "base.tar.gz"
        archive.touch()
        named_so = self.directory / "layout.tar"
        named_so.mkdir()
        of_layout = "%s/index.json:True" % layout
        of_archive = "%s:True" % archive
        for written, location, checksum in [
            (str(layout), str(layout), of_layout),
            ("%s:v1" % layout, "%s:v1" % layout, of_layout),
            ("oci:%s:reg:5000/app:v1" % layout, "oci:%s:reg:5000/app:v1" % layout, of_layout),
            (str(archive), str(archive), of_archive),
            (str(named_so), str(named_so), "%s/index.json:True" % named_so),
            ("oci-archive:%s:v1" % archive, "oci-archive:%s:v1" % archive, of_archive),
            ("docker-archive:%s" % archive, "docker-archive:%s" % archive, of_archive),
        ]:
            with self.subTest(written):
                self.assertEqual(self.read(written), (location, "", checksum))
        self.assertEqual(self.read(str(layout), OCI_BASE_IMAGE_TAG="v2")[0], "%s:v2" % layout)
        self.assertEqual(self.read("%s:v1" % layout, OCI_BASE_IMAGE_TAG="v2")[0], "%s:v1" % layout)

    def test_every_type_and_its_debug_filesystem_have_what_a_task_needs(self):
        d = self.task(OCI_BASE_IMAGE="base-image", OCI_LAYERS_PLAN="/plans/image.plan").d
        d.parse()
        for imagetype in ("oci", "oci_archive", "docker_archive"):
            for task in ("do_image_" + imagetype, "do_image_debugfs_" + imagetype):
                self.assertEqual(d.getVarFlag(task, "depends").split(),
                                 ["ocibake-native:do_populate_sysroot", "base-image:do_build"])
                self.assertEqual(d.getVarFlag(task, "file-checksums").split(), ["/plans/image.plan:True"])
                self.assertEqual(d.getVarFlag(task, "prefuncs").split(), ["oci_prepare"])
                self.assertEqual(d.getVarFlag(task, "postfuncs").split(), ["oci_finish"])
                self.assertEqual(d.getVarFlag(task, "progress"), "percent")
        d = self.task(OCI_BASE_IMAGE="/srv/base.tar").d
        d.parse()
        self.assertEqual(d.getVarFlag("do_image_oci", "file-checksums").split(), ["/srv/base.tar:True"])

    def test_the_base_itself_has_none(self):
        # OCI_BASE_IMAGE set for all images.
        self.assertEqual(self.read("base-image", PN="base-image"), (None, "", ""))
        self.assertEqual(self.task(OCI_BASE_IMAGE="base-image", PN="base-image").d.getVar("OCI_IMAGE_CMD"), "/bin/sh")

    def test_what_is_not_there(self):
        for base, message in [
            ("base-image", "there is no {0} or {0}.tar: give the base the image type oci and the tag `latest`, or set "
                           "OCI_BASE_IMAGE_TAG".format(self.deployed / "base-image-latest-oci")),
            ("/no/where", "there is no /no/where"),
        ]:
            with self.subTest(base), self.assertRaises(bbclass.Fatal) as fatal:
                self.read(base)
            self.assertEqual(str(fatal.exception), "OCI_BASE_IMAGE is `%s`: %s" % (base, message))

    def test_the_checksum_does_not_ask_whether_the_file_is_there(self):
        # An entry with False would be ignored, even in runs after the file appeared.
        for base, checksum in [("/no/where.tar", "/no/where.tar"), ("/no/where.tgz", "/no/where.tgz"),
                               ("/no/where.tar.zst:v1", "/no/where.tar.zst"), ("/no/where", "/no/where/index.json"),
                               ("/no/where.tar.d", "/no/where.tar.d/index.json"), ("oci:/no/w.tar", "/no/w.tar/index.json"),
                               ("docker-archive:/no/where", "/no/where")]:
            with self.subTest(base):
                self.assertEqual(self.task(OCI_BASE_IMAGE=base).d.expand("${@oci_base_checksums(d)}"), checksum + ":True")

    def test_a_registry(self):
        for base in ("docker.io/library/alpine:3.19", "alpine:3.19", "relative/layout", "oci:relative", "two words"):
            with self.subTest(base), self.assertRaises(bbclass.Fatal) as fatal:
                self.read(base)
            self.assertEqual(str(fatal.exception), "OCI_BASE_IMAGE is `%s`: expected a recipe or an absolute path; an image "
                             "in a registry is brought here by `skopeo copy`" % base)
            task = self.task(OCI_BASE_IMAGE=base)
            self.assertEqual(task.functions.oci_base_depends(task.d), "")
            # Found before there is a rootfs.
            with self.assertRaisesRegex(bbclass.Fatal, "^OCI_BASE_IMAGE is `"):
                task.check()


@unittest.skipUnless(image_build.TOOL or os.environ.get("CI"), "no ocibake: run cargo build, or set OCIBAKE")
class Built(BaseTest):
    """With the real tool."""

    def setUp(self):
        super().setUp()
        base = self.directory / "base"
        (base / "etc").mkdir(parents=True)
        (base / "bin").mkdir()
        (base / "etc/hostname").write_text("app\n")
        (base / "etc/of-the-base").write_text("base\n")
        (base / "bin/tool").write_text("tool\n")
        # The two directories differ only in their contents.
        for path in [base, *base.rglob("*")]:
            os.utime(path, (1520598896, 1520598896))
        self.deployed_as = self.deployed / "base-image-latest-oci"
        subprocess.run([image_build.TOOL, "build", base, "oci:%s:latest" % self.deployed_as, "--arch", "amd64",
                        "--cmd", "/bin/tool", "--env", "BASE=1"], check=True, capture_output=True)

    def build(self, **variables):
        """An image on the base; its task, manifest, config and the names in its last layer."""
        task = self.task(tool=image_build.TOOL, **{"OCI_BASE_IMAGE": "base-image", **variables})
        rootfs = self.directory / "rootfs"
        (rootfs / "etc/of-the-app").write_text("app\n")
        for path in [rootfs, *rootfs.rglob("*")]:
            os.utime(path, (1520598896, 1520598896))
        finished = task.build()
        self.assertEqual(finished.returncode, 0, finished.stderr)
        _, manifest, config = task.documents()
        layer = task.image / "blobs" / manifest["layers"][-1]["digest"].replace(":", "/")
        with tarfile.open(fileobj=io.BytesIO(layer.read_bytes())) as archive:
            names = {name.removeprefix("./") for name in archive.getnames()} - {"."}
        return task, manifest, config, names

    def test_the_base_stays(self):
        task, manifest, config, names = self.build()
        self.assertEqual(len(manifest["layers"]), 2)
        self.assertEqual(names, {"etc", "etc/of-the-app"})
        self.assertEqual(manifest["annotations"][PREFIX + "name"], "base-image:latest")
        self.assertEqual(config["config"]["Env"], ["BASE=1"])
        # The class has a default if there is no base.
        self.assertEqual(config["config"]["Cmd"], ["/bin/tool"])
        # Deployed files are linked, never copied.
        of_base = manifest["layers"][0]["digest"].replace(":", "/")
        self.assertTrue(os.path.samefile(task.image / "blobs" / of_base, self.deployed_as / "blobs" / of_base))

    def test_exact(self):
        _, manifest, _, names = self.build(OCI_BASE_IMAGE_MODE="exact")
        self.assertEqual(len(manifest["layers"]), 2)
        self.assertEqual(names, {"etc", "etc/of-the-app", "etc/.wh.of-the-base", ".wh.bin"})

    def test_a_path_and_a_tag(self):
        layout = self.deployed_as.rename(self.directory / "a layout")
        _, manifest, _, _ = self.build(OCI_BASE_IMAGE=str(layout), OCI_BASE_IMAGE_TAG="latest")
        self.assertEqual(len(manifest["layers"]), 2)

    def test_another_platform(self):
        task = self.task(tool=image_build.TOOL, OCI_BASE_IMAGE="base-image", TARGET_ARCH="aarch64")
        with self.assertRaises(bbclass.Fatal) as fatal:
            task.prepare()
        self.assertEqual(str(fatal.exception), "OCI_BASE_IMAGE is `base-image`: an image for linux/arm64/v8 expected, found "
                                               "one for linux/amd64")
        # If the base does not come from a recipe, found before there is a rootfs: a 32-bit application on a 64-bit
        # base.
        task = self.task(tool=image_build.TOOL, OCI_BASE_IMAGE=str(self.deployed_as), TARGET_ARCH="i686", TUNE_FEATURES="m32")
        with self.assertRaisesRegex(bbclass.Fatal, "an image for linux/386 expected, found one for linux/amd64$"):
            task.check()

    def test_another_layout_of_directories(self):
        rootfs = self.directory / "rootfs"
        (rootfs / "usr/bin").mkdir(parents=True)
        (rootfs / "bin").symlink_to("usr/bin")
        task = self.task(tool=image_build.TOOL, OCI_BASE_IMAGE="base-image")
        finished = task.build()
        self.assertEqual(finished.returncode, 2)
        self.assertIn("`/bin` is a directory in the base and a symlink in the rootfs", finished.stderr)
        self.assertIn("exact", finished.stderr)
        self.assertFalse(task.image.exists())


if __name__ == "__main__":
    unittest.main()
