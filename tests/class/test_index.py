# SPDX-License-Identifier: MIT
"""The class that combines the images of several multiconfigs into one."""

import json
import os
import re
import subprocess
import tarfile
import unittest
import unittest.mock

import bbclass
import image_build
import scratch

CONFIGURATION = {
    "PN": "app",
    "MACHINE_ARCH": "qemux86_64",
    "MACHINE": "qemux86-64",
    "TMPDIR": "${TOPDIR}/tmp",
    "DEPLOY_DIR": "${TMPDIR}/deploy",
    "DEPLOY_DIR_IMAGE": "${DEPLOY_DIR}/images/${MACHINE}",
    "BB_CURRENTTASK": "deploy",
    "BB_CURRENT_MC": "",
}


class IndexTest(scratch.TestCase):
    """A build directory with two multiconfigs, and a tool that records its arguments."""

    def setUp(self):
        self.directory = self.make_directory()
        for name in ("bin", "deploy", "conf/multiconfig"):
            (self.directory / name).mkdir(parents=True)
        for name, machine in (("arm64", "qemuarm64"), ("x86", "qemux86")):
            (self.directory / "conf/multiconfig" / (name + ".conf")).write_text(
                'MACHINE = "%s"\nTMPDIR = "${TOPDIR}/tmp-%s"\n' % (machine, name))
        image_build.stand_in(self.directory / "bin/ocibake",
                             "printf '%%s\\n' \"$*\" >>'%s/calls'; echo sha256:0" % self.directory)

    def datastore(self, **variables):
        """A recipe with these variables."""
        own = {"TOPDIR": str(self.directory), "BBPATH": str(self.directory), "PATH": "%s/bin:/usr/bin:/bin" % self.directory,
               "DEPLOYDIR": str(self.directory / "deploy")}
        return bbclass.Datastore({**CONFIGURATION, **own, **variables}, bbclass.INDEX)

    def image(self, *path):
        """An image of a multiconfig, where BitBake has it."""
        made = self.directory.joinpath(*path)
        made.parent.mkdir(parents=True, exist_ok=True)
        made.touch()
        return made

    def deploy(self, d):
        """Parse the recipe and run the task; returns the tool's calls."""
        d.parse()
        with unittest.mock.patch.dict(os.environ, {"PATH": d.getVar("PATH")}, clear=True):
            d.functions().do_deploy(d)
        return (self.directory / "calls").read_text().splitlines()

    def refusal(self, **variables):
        """The message that ends the task."""
        with self.assertRaises(bbclass.Fatal) as fatal:
            self.deploy(self.datastore(**variables))
        self.assertFalse((self.directory / "calls").exists())
        return str(fatal.exception)


class Dependencies(IndexTest):
    """Dependencies for BitBake."""

    def dependencies(self, images, **variables):
        """The flags depends and mcdepends."""
        d = self.datastore(OCI_INDEX_IMAGES=images, **variables)
        flags = bbclass.flags(bbclass.INDEX)
        depends, mcdepends = (d.expand(flags["do_deploy", flag]).split() for flag in ("depends", "mcdepends"))
        self.assertEqual(depends.pop(0), "ocibake-native:do_populate_sysroot")
        return [depends, mcdepends]

    def test_images(self):
        for here, images, expected in [
            ("", "mc:arm64:app-image mc:x86:app-image",
             ([], ["mc::arm64:app-image:do_image_complete", "mc::x86:app-image:do_image_complete"])),
            ("default", "mc:arm64:app-image app-image",
             (["app-image:do_image_complete"], ["mc::arm64:app-image:do_image_complete"])),
            ("x86", "mc:arm64:app-image mc:x86:app-image",
             (["app-image:do_image_complete"], ["mc:x86:arm64:app-image:do_image_complete"])),
        ]:
            with self.subTest(here=here, images=images):
                self.assertEqual(self.dependencies(images, BB_CURRENT_MC=here), list(expected))

    def test_a_recipe_that_makes_no_sense_is_skipped(self):
        for images, message in [
            ("", "OCI_INDEX_IMAGES is empty: "),
            ("mc:arm64", "OCI_INDEX_IMAGES holds `mc:arm64`: "),
            ("mc::app-image", "OCI_INDEX_IMAGES holds `mc::app-image`: "),
            ("mc:arm64:", "OCI_INDEX_IMAGES holds `mc:arm64:`: "),
            ("multiconfig:arm64:app", "OCI_INDEX_IMAGES holds `multiconfig:arm64:app`: "),
        ]:
            with self.subTest(images), self.assertRaises(bbclass.SkipRecipe) as skipped:
                self.dependencies(images)
            self.assertEqual(str(skipped.exception), message + "expected words RECIPE or mc:MULTICONFIG:RECIPE")

    def test_a_multiconfig_without_a_file_skips_the_recipe(self):
        d = self.datastore(OCI_INDEX_IMAGES="mc:nowhere:app-image")
        with self.assertRaisesRegex(bbclass.SkipRecipe, "`nowhere`: there is no conf/multiconfig/nowhere.conf$"):
            d.parse()


class Made(IndexTest):
    """The command, and the links to its output."""

    images = "mc:arm64:app-image mc:x86:app-image"

    def both(self, ending="latest-oci"):
        """An image of either multiconfig."""
        return [self.image("tmp-" + name, "deploy/images", machine, "app-image-" + ending)
                for name, machine in (("arm64", "qemuarm64"), ("x86", "qemux86"))]

    def test_index(self):
        arm, x86 = self.both()
        self.assertEqual(self.deploy(self.datastore(OCI_INDEX_IMAGES=self.images)), [
            "index --no-sync --tag=latest oci:%s oci:%s oci:%s/deploy/app.oci" % (arm, x86, self.directory)])
        self.assertEqual({path.name: os.readlink(path) for path in (self.directory / "deploy").iterdir()},
                         {"app-latest-oci": "app.oci"})

    def test_everything(self):
        arm, x86 = self.both("v1-oci.tar")
        here = self.image("tmp/deploy/images/qemux86-64/other-v1-oci")
        d = self.datastore(OCI_INDEX_IMAGES=self.images + " other", OCI_IMAGE_TAG="1.0 reg:5000/app:1", OCI_INDEX_FLAT="1",
                           OCI_INDEX_IMAGE_TAG="v1", OCI_INDEX_TYPES="oci oci-archive",
                           OCI_INDEX_ANNOTATIONS="a='b c' d=$(id)")
        common = "index --no-sync --tag=1.0 --tag=reg:5000/app:1 --annotation=a=b c --annotation=d=$(id) --flat"
        self.assertEqual(self.deploy(d), [
            "%s oci-archive:%s oci-archive:%s oci:%s oci:%s/deploy/app.oci" % (common, arm, x86, here, self.directory),
            "%s oci-archive:%s:v1 oci-archive:%s:v1 oci:%s:v1 oci-archive:%s/deploy/app.oci-archive" % (
                common + " --repository=app", arm, x86, here, self.directory)])
        self.assertEqual({path.name: os.readlink(path) for path in (self.directory / "deploy").iterdir()}, {
            "app-1.0-oci": "app.oci", "app-reg_5000_app_1-oci": "app.oci",
            "app-1.0-oci.tar": "app.oci-archive", "app-reg_5000_app_1-oci.tar": "app.oci-archive"})

    def test_where_a_multiconfig_deploys(self):
        d = self.datastore()
        functions = d.functions()
        deploy = functions.oci_index_configured_dirs
        self.assertEqual(functions.oci_index_deploy_dirs(d, None), ["%s/tmp/deploy/images/qemux86-64" % self.directory])
        in_arm64 = "%s/tmp-arm64/deploy/images/qemuarm64" % self.directory
        self.assertEqual(deploy(d, "arm64"), [in_arm64])
        # Older releases may append the name of the C library after reading the file, if it has changed.
        d.setVar("TCLIBCAPPEND", "-glibc")
        self.assertEqual(deploy(d, "arm64"), [in_arm64.replace("tmp-arm64", "tmp-arm64-glibc"), in_arm64])
        (self.directory / "conf/multiconfig/shared.conf").write_text('MACHINE = "qemumips"\n')
        self.assertEqual(deploy(d, "shared"), ["%s/tmp/deploy/images/qemumips" % self.directory])
        d = self.datastore(OCI_INDEX_IMAGES="mc:arm64:app-image mc:shared:app-image",
                           OCI_INDEX_DEPLOY_DIR_IMAGE="arm64=${TOPDIR}/elsewhere")
        d.parse()
        self.assertEqual(d.bb.parse.parsed, ["conf/multiconfig/arm64.conf", "conf/multiconfig/shared.conf"])
        deploy = d.functions().oci_index_deploy_dirs
        self.assertEqual(deploy(d, "arm64"), ["%s/elsewhere" % self.directory])
        self.assertEqual(deploy(d, "shared"), ["%s/tmp/deploy/images/qemumips" % self.directory])
        # No file is read when the task runs.
        self.assertEqual(len(d.bb.parse.parsed), 2)

    def test_the_likeliest_place_first(self):
        d = self.datastore(OCI_INDEX_IMAGES="mc:arm64:app-image", TCLIBCAPPEND="-glibc")
        second = self.image("tmp-arm64/deploy/images/qemuarm64/app-image-latest-oci")
        self.assertIn(" oci:%s " % second, self.deploy(d)[0])
        first = self.image("tmp-arm64-glibc/deploy/images/qemuarm64/app-image-latest-oci")
        (self.directory / "deploy/app-latest-oci").unlink()
        self.assertIn(" oci:%s " % first, self.deploy(d)[1])

    def test_every_name_that_is_asked_for_is_known_to_bitbake(self):
        self.both()
        d = self.datastore(OCI_INDEX_IMAGES=self.images)
        self.deploy(d)
        literal = set(re.findall(r'd\.getVar\("(\w+)"\)', bbclass.text(bbclass.INDEX)))
        listed = set(bbclass.flags(bbclass.INDEX)["do_deploy", "vardeps"].split())
        # Names that the fake datastore read to expand its own values.
        expanded = {"TOPDIR", "DEPLOY_DIR", "MACHINE", "BBPATH"}
        # What the function without a name has made of configuration files.
        expanded |= {name for name in d.asked if name.startswith("OCI_INDEX_DIRECTORIES_")}
        self.assertLessEqual(d.asked - expanded, literal | listed)

    def test_refused(self):
        self.assertEqual(
            self.refusal(OCI_INDEX_IMAGES=self.images, OCI_IMAGE_TAG="v2 latest"),
            "app-image has no image at {0} or {0}.tar: give it the image type oci and the tag `v2`, or set "
            "OCI_INDEX_DEPLOY_DIR_IMAGE to `arm64=DIRECTORY`".format("%s/tmp-arm64/deploy/images/qemuarm64/app-image-v2-oci" % self.directory))
        self.both()
        for name, value, message in [
            ("OCI_INDEX_FLAT", "perhaps", "OCI_INDEX_FLAT is `perhaps`: expected 0 or 1"),
            ("OCI_INDEX_DEPLOY_DIR_IMAGE", "arm64", "OCI_INDEX_DEPLOY_DIR_IMAGE holds `arm64`: expected words "
                                                    "MULTICONFIG=DIRECTORY"),
            ("OCI_INDEX_TYPES", "tar", "OCI_INDEX_TYPES holds `tar`: expected oci or oci-archive"),
            ("OCI_INDEX_ANNOTATIONS", "'a", "OCI_INDEX_ANNOTATIONS is `'a`: expected shell words with each quote closed"),
        ]:
            with self.subTest(name):
                self.assertEqual(self.refusal(OCI_INDEX_IMAGES=self.images, **{name: value}), message)

    def test_what_the_tool_refuses(self):
        self.both()
        image_build.stand_in(self.directory / "bin/ocibake", "echo 'ocibake: error: two images for linux/386' >&2; exit 2")
        self.assertEqual(self.refusal(OCI_INDEX_IMAGES=self.images), "two images for linux/386")
        (self.directory / "bin/ocibake").unlink()
        self.assertEqual(self.refusal(OCI_INDEX_IMAGES=self.images),
                         "ocibake is not in the PATH of do_deploy: recipe ocibake-native provides it")


@unittest.skipUnless(image_build.TOOL or os.environ.get("CI"), "no ocibake: run cargo build, or set OCIBAKE")
class Built(IndexTest):
    """With the real tool."""

    def setUp(self):
        super().setUp()
        (self.directory / "bin/ocibake").unlink()
        (self.directory / "bin/ocibake").symlink_to(image_build.TOOL)
        self.images = [self.built("qemuarm64", "aarch64"), self.built("qemux86", "i686")]
        self.made = self.directory / "deploy/app.oci"

    def tool(self, *words):
        """What the tool prints."""
        return subprocess.run([image_build.TOOL, *words], check=True, capture_output=True, text=True).stdout.strip()

    def built(self, machine, arch):
        """The image of a machine: its layout and its digest."""
        deployed = self.directory / machine.replace("qemu", "tmp-") / "deploy/images" / machine / "app-image-1.0-oci"
        rootfs = self.directory / "rootfs"
        for directory in (rootfs, deployed.parent):
            directory.mkdir(parents=True, exist_ok=True)
        (rootfs / "app").write_text("app")
        return deployed, self.tool("build", rootfs, "oci:%s" % deployed, "--tag", "1.0", "--tag", "latest", "--arch", arch)

    def index(self, **variables):
        """The entries of index.json, after the task."""
        d = self.datastore(OCI_INDEX_IMAGES="mc:arm64:app-image mc:x86:app-image", OCI_IMAGE_TAG="1.0 reg:5000/app:1",
                           **variables)
        with unittest.mock.patch.dict(os.environ, {"PATH": d.getVar("PATH"), "OCI_IMAGE_TAG": "exported"}, clear=True):
            d.parse()
            d.functions().do_deploy(d)
        self.tool("verify", self.made)
        return json.loads((self.made / "index.json").read_text())["manifests"]

    def test_names_platforms_and_annotations(self):
        listed = self.index(OCI_INDEX_ANNOTATIONS="a='b c'")
        self.assertEqual([entry["annotations"]["org.opencontainers.image.ref.name"] for entry in listed],
                         ["1.0", "reg:5000/app:1"])
        (digest,) = {entry["digest"] for entry in listed}
        index = json.loads((self.made / "blobs" / digest.replace(":", "/")).read_text())
        self.assertEqual(index["annotations"], {"a": "b c"})
        self.assertEqual([(entry["digest"], entry["platform"]) for entry in index["manifests"]], [
            (self.images[0][1], {"architecture": "arm64", "os": "linux", "variant": "v8"}),
            (self.images[1][1], {"architecture": "386", "os": "linux"})])
        for layout, digest in self.images:
            path = "blobs/" + digest.replace(":", "/")
            self.assertTrue(os.path.samefile(layout / path, self.made / path))

    def test_flat(self):
        self.assertEqual({entry["digest"] for entry in self.index(OCI_INDEX_FLAT="1")}, {digest for _, digest in self.images})

    def test_what_is_attached_goes_along(self):
        document = self.directory / "app.spdx.json"
        document.write_text("{}")
        layout, _ = self.images[1]
        artifact = self.tool("attach", "oci:%s:1.0" % layout, document, "--type", "application/spdx+json")
        listed = self.index(OCI_INDEX_TYPES="oci oci-archive")
        self.assertEqual([entry["digest"] for entry in listed if "artifactType" in entry], [artifact])
        # Readers of archives take only the image in them.
        with tarfile.open(self.directory / "deploy/app.oci-archive") as archive:
            names = json.load(archive.extractfile("index.json"))["manifests"]
        self.assertEqual([entry["digest"] for entry in names], [entry["digest"] for entry in listed[:2]])
        self.assertEqual([entry["annotations"]["io.containerd.image.name"] for entry in names],
                         ["docker.io/library/app:1.0", "reg:5000/app:1"])

    def test_two_images_for_one_platform(self):
        self.built("qemux86", "aarch64")
        with self.assertRaises(bbclass.Fatal) as fatal:
            self.index()
        self.assertIn("linux/arm64/v8", str(fatal.exception))
        self.assertNotIn("\n", str(fatal.exception))
        self.assertFalse(self.made.exists())


if __name__ == "__main__":
    unittest.main()
