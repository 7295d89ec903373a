# SPDX-License-Identifier: MIT
"""The task around the tool: what it refuses, what it removes, what it links."""

import json
import os
import re
import unittest

import bbclass
import image_build
import scratch


class TaskTest(scratch.TestCase):
    """A task in a fresh directory, with a tool that only exists."""

    def setUp(self):
        self.directory = str(self.make_directory())

    def task(self, imagetype="oci", **variables):
        """A task with these variables."""
        return image_build.Task(self.directory, variables, imagetype, tool=None)


class Refused(TaskTest):
    """bb.fatal in one line, before anything is removed or made."""

    def refusal(self, task):
        """The message; the deploy directory stays as it is."""
        old = task.deploy / "old.oci"
        old.mkdir()
        with self.assertRaises(bbclass.Fatal) as fatal:
            task.prepare()
        self.assertTrue(old.exists())
        self.assertNotIn("\n", str(fatal.exception))
        return str(fatal.exception)

    def test_no_tool(self):
        task = self.task("oci-archive")
        task.tool.unlink()
        self.assertEqual(self.refusal(task),
                         "ocibake is not in the PATH of do_image_oci_archive: recipe ocibake-native provides it")

    def test_conversion_of_a_directory(self):
        task = self.task()
        task.d.setVarFlag("do_image_oci", "subimages", " oci oci.zst")
        self.assertEqual(self.refusal(task), "IMAGE_FSTYPES holds `oci.zst`: oci is a directory and has no conversions; "
                                             "use `oci-archive.zst`")
        archive = self.task("oci-archive")
        archive.d.setVarFlag("do_image_oci_archive", "subimages", " oci-archive oci-archive.zst")
        archive.prepare()

    def test_layers(self):
        self.assertEqual(self.refusal(self.task(OCI_LAYERS="a:b")),
                         "OCI_LAYERS is `a:b`: image_types_oci makes one layer of the rootfs")

    def test_two_classes_for_one_type(self):
        task = self.task(OCI_IMAGE_BACKEND="umoci")
        task.d.inherited.add("image-oci")
        self.assertIn('OCI_IMAGE_BACKEND = "ocibake"', self.refusal(task))
        task = self.task(OCI_IMAGE_BACKEND="ocibake")
        task.d.inherited.add("image-oci")
        task.prepare()

    def test_settings(self):
        # They are read last, when the old image is gone: a build that failed leaves no image.
        for name, value, accepted in [
            ("OCI_IMAGE_AUTO_LABELS", "2", "0 or 1"),
            ("OCI_IMAGE_LABELS", "a='b", "shell words with each quote closed"),
            ("OCI_IMAGE_ANNOTATIONS", 'a="b', "shell words with each quote closed"),
            ("OCI_BASE_IMAGE_MODE", "both", "merge or exact"),
        ]:
            with self.subTest(name), self.assertRaises(bbclass.Fatal) as fatal:
                self.task(**{"OCI_BASE_IMAGE": "/", name: value}).prepare()
            self.assertEqual(str(fatal.exception), "%s is `%s`: expected %s" % (name, value, accepted))


class RefusedByTheTool(TaskTest):
    """What ocibake says of the settings becomes the message of the task."""

    def refusal(self, script):
        """The message where the tool does this."""
        task = self.task()
        image_build.stand_in(task.tool, script)
        with self.assertRaises(bbclass.Fatal) as fatal:
            task.prepare()
        return str(fatal.exception)

    def test_the_error_and_its_hint_in_one_line(self):
        self.assertEqual(self.refusal("echo 'ocibake: warning: odd' >&2; echo 'ocibake: error: A \\\\ %s `b`' >&2; "
                                      "echo 'hint: c' >&2; exit 2"), "A \\ %s `b`; hint: c")

    def test_nothing_said(self):
        self.assertEqual(self.refusal("kill -9 $$"), "ocibake ended with status -9")

    def test_how_it_is_asked(self):
        task = self.task()
        image_build.stand_in(task.tool, 'printf "%s\\n" "$@" >"${0%bin/ocibake}asked"; env >"${0%bin/ocibake}environment"')
        task.prepare({"OCI_IMAGE_TAG": "leaked", "TARGET_ARCH": "leaked", "SOURCE_DATE_EPOCH": "1", "LD_PRELOAD": ""})
        directory = task.temp.parent
        self.assertEqual((directory / "asked").read_text().split(), [
            "build", "--dry-run", "--vars", str(task.temp / "oci.vars"), str(directory / "rootfs"),
            "oci:" + str(task.deploy / "image")])
        environment = (directory / "environment").read_text()
        self.assertNotIn("leaked", environment)
        self.assertNotIn("SOURCE_DATE_EPOCH", environment)
        self.assertIn("LD_PRELOAD", environment)


class Finished(TaskTest):
    """The line of result, and warnings."""

    def test_result_and_warnings(self):
        task = self.task()
        report = {"digest": "sha256:abc", "platform": "linux/arm/v7", "size": 12345, "warnings": ["a socket", "b"]}
        (task.temp / "oci.json").write_text(json.dumps(report))
        task.functions.oci_finish(task.d)
        self.assertEqual(task.d.bb.notes,
                         ["app-image-qemux86-64.rootfs-20260102030405.oci: linux/arm/v7, 12345 bytes, sha256:abc"])
        self.assertEqual(task.d.bb.warnings, ["a socket", "b"])


class Stale(TaskTest):
    """What an earlier run left in the deploy directory."""

    def test_only_what_belongs_to_the_type_goes(self):
        task = self.task()
        ours = ["a-2025.oci", "a-2025.oci.sha256sum", "a-2025.oci.zst.sha256sum", "a-2025.oci.ocibake-12-0"]
        others = ["a-2025.oci-archive", "a-2025.oci-archive.zst", "my.oci.app-2025.tar.gz", "a.oci.unknown", "oci", "aoci",
                  "a-2025.oci-archive.ocibake-12-0", "a.ocibake-12-0", "a-2025.docker-archive"]
        (task.deploy / ours[0] / "blobs").mkdir(parents=True)
        for name in ours[1:] + others:
            (task.deploy / name).touch()
        for link, target in [("a.oci", "a-2025.oci"), ("a-latest-oci", "a-2025.oci"), ("a-gone-oci", "a-2024.oci")]:
            (task.deploy / link).symlink_to(target)
        (task.deploy / "a-latest-oci.tar").symlink_to("a-2025.oci-archive")
        task.prepare()
        self.assertEqual(sorted(os.listdir(task.deploy)), sorted(others + ["a-latest-oci.tar"]))
        self.assertEqual(task.d.bb.build.cleaned, ["do_image_oci"])


class Links(TaskTest):
    """The names that other classes look for."""

    def links(self, imagetype, **variables):
        """Link name to target after the postfunc."""
        task = self.task(imagetype, **variables)
        task.image.mkdir()
        task.finish()
        return {path.name: os.readlink(path) for path in task.deploy.iterdir() if path.is_symlink()}

    def test_layout_and_archive(self):
        self.assertEqual(self.links("oci"), {"app-image-latest-oci": "app-image-qemux86-64.rootfs-20260102030405.oci"})

    def test_archive(self):
        self.assertEqual(self.links("oci-archive"),
                         {"app-image-latest-oci.tar": "app-image-qemux86-64.rootfs-20260102030405.oci-archive"})

    def test_docker_archive(self):
        self.assertEqual(self.links("docker-archive"),
                         {"app-image-latest-docker.tar": "app-image-qemux86-64.rootfs-20260102030405.docker-archive"})

    def test_a_link_for_each_tag(self):
        self.assertEqual(set(self.links("oci", OCI_IMAGE_TAG="1.0 'registry.example:5000/app:v1' 1.0")),
                         {"app-image-1.0-oci", "app-image-registry.example_5000_app_v1-oci"})

    def test_no_tag(self):
        self.assertEqual(set(self.links("oci", OCI_IMAGE_TAG="")), {"app-image-latest-oci"})

    def test_only_a_conversion_is_left(self):
        task = self.task("oci-archive")
        task.finish()
        self.assertEqual(os.listdir(task.deploy), [])


class Environment(TaskTest):
    """ocibake lets the environment win over the file, so the task must not have any of its variables there."""

    def test_variables_are_unexported(self):
        task = self.task()
        task.prepare()
        for name in task.d.getVar("OCI_VARIABLES").split():
            self.assertEqual(task.d.getVarFlag(name, "unexport"), "1", name)

    def test_source_date_epoch_is_emptied_for_the_tool_alone(self):
        self.assertRegex(bbclass.defaults()["OCI_BUILD"], r"^\s*SOURCE_DATE_EPOCH= ocibake build ")


class Signature(TaskTest):
    """BitBake finds a dependency where getVar has a literal name, or in [vardeps]."""

    def test_every_name_that_is_asked_for_is_known_to_bitbake(self):
        task = self.task("docker-archive", OCI_BASE_IMAGE="base", DEPLOY_DIR_IMAGE=self.directory)
        os.mkdir(os.path.join(self.directory, "base-latest-oci"))
        task.prepare()
        task.image.mkdir()
        task.finish()
        text = bbclass.text(bbclass.IMAGE)
        literal = set(re.findall(r'd\.getVar\("(\w+)"\)', text))
        listed = set(task.d.expand(bbclass.flags()["oci_prepare", "vardeps"]).split())
        defaults = set(re.findall(r"\$\{(\w+)\}", " ".join(bbclass.defaults().values())))
        # What the fake datastore was asked for in order to expand these values of its own.
        expanded = {"PN"}
        self.assertLessEqual(task.d.asked - expanded, literal | listed | defaults | {"IMAGE_CMD:oci"})


if __name__ == "__main__":
    unittest.main()
