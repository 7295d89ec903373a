# SPDX-License-Identifier: MIT
"""The task that runs the tool: what it refuses, removes and links."""

import json
import os
import re
import unittest
import unittest.mock

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


class Checked(TaskTest):
    """bb.fatal in one line, before there is a rootfs, and once for all image types."""

    def refusal(self, task):
        """The message."""
        with self.assertRaises(bbclass.Fatal) as fatal:
            task.check()
        self.assertNotIn("\n", str(fatal.exception))
        return str(fatal.exception)

    def test_no_tool(self):
        task = self.task("oci-archive", BB_CURRENTTASK="oci_check")
        task.tool.unlink()
        self.assertEqual(self.refusal(task),
                         "ocibake is not in the PATH of do_oci_check: recipe ocibake-native provides it")

    def test_conversion_of_a_directory(self):
        task = self.task()
        task.d.setVarFlag("do_image_oci", "subimages", " oci oci.zst")
        self.assertEqual(self.refusal(task), "IMAGE_FSTYPES holds `oci.zst`: oci is a directory and has no conversions; "
                                             "use `oci-archive.zst`")
        archive = self.task("oci-archive")
        archive.d.setVarFlag("do_image_oci_archive", "subimages", " oci-archive oci-archive.zst")
        archive.check()

    def test_two_classes_for_one_type(self):
        task = self.task(OCI_IMAGE_BACKEND="umoci")
        task.d.inherited.add("image-oci")
        self.assertIn('OCI_IMAGE_BACKEND = "ocibake"', self.refusal(task))
        task = self.task(OCI_IMAGE_BACKEND="ocibake")
        task.d.inherited.add("image-oci")
        task.check()

    def test_settings(self):
        for name, value, accepted in [
            ("OCI_IMAGE_AUTO_LABELS", "2", "0 or 1"),
            ("OCI_IMAGE_SPDX", "perhaps", "0 or 1"),
            ("OCI_IMAGE_LABELS", "a='b", "shell words with each quote closed"),
            ("OCI_IMAGE_ANNOTATIONS", 'a="b', "shell words with each quote closed"),
            ("OCI_BASE_IMAGE_MODE", "both", "merge or exact"),
            ("EXTRA_IMAGECMD", "--xattrs 'x", "shell words with each quote closed"),
            ("OCI_LAYER_MODE", "many", "single or multi"),
        ]:
            with self.subTest(name):
                message = self.refusal(self.task(**{"OCI_BASE_IMAGE": "/", name: value}))
                self.assertEqual(message, "%s is `%s`: expected %s" % (name, value, accepted))
        # Also where nothing would use it.
        self.assertIn("expected merge or exact", self.refusal(self.task(OCI_BASE_IMAGE_MODE="both")))

    def test_each_type_with_what_is_said_for_it(self):
        task = self.task(**{"OCI_IMAGE_LABELS": "a=b", "OCI_IMAGE_LABELS:oci-archive": "a='b"})
        task.check()
        task.d.flag_values["do_image_oci_archive", "imagetype"] = "oci-archive"
        self.assertIn("OCI_IMAGE_LABELS is `a='b`", self.refusal(task))

    def test_the_stamp(self):
        """The stamp is older than that of do_rootfs, and its name changes with the settings."""
        task = self.task()
        with unittest.mock.patch.dict(os.environ, {"PATH": task.d.getVar("PATH")}):
            task.functions.do_oci_check(task.d)
        self.assertEqual((task.temp / "stamp").stat().st_mtime, 1)
        digest = task.functions.oci_checked(task.d)
        for name, value in [("OCI_IMAGE_LABELS", "a=b"), ("OCI_IMAGE_LABELS:oci-archive", "a=b"), ("EXTRA_IMAGECMD", "-v"),
                            ("OCI_IMAGE_QA", "arch:skip"), ("OCI_LAYERS_PLAN", "image.plan")]:
            self.assertNotEqual(task.functions.oci_checked(self.task(**{name: value}).d), digest, name)
        for name in ("OCI_IMAGE_CACHE", "DATETIME", "UNRELATED"):
            self.assertEqual(task.functions.oci_checked(self.task(**{name: "2"}).d), digest, name)

    def test_tasks(self):
        task = self.task(IMAGE_FSTYPES="ext4 docker-archive.gz oci")
        task.d.parse()
        self.assertEqual(task.d.bb.build.added, [
            ("do_oci_check", "do_rootfs", None),
            ("do_oci_qa", "do_image_complete", "do_image do_image_docker_archive do_image_oci")])
        task = self.task(IMAGE_FSTYPES="ext4")
        task.d.parse()
        self.assertEqual(task.d.bb.build.added, [])


class RefusedByTheTool(TaskTest):
    """ocibake's message about the settings becomes the message of the task."""

    def refusal(self, script, **variables):
        """The message if the tool does this."""
        task = self.task(**variables)
        image_build.stand_in(task.tool, script)
        with self.assertRaises(bbclass.Fatal) as fatal:
            task.prepare()
        return str(fatal.exception)

    def test_the_error_and_its_hint_in_one_line(self):
        self.assertEqual(self.refusal("echo 'ocibake: warning: odd' >&2; echo 'ocibake: error: A \\\\ %s `b`' >&2; "
                                      "echo 'hint: c' >&2; exit 2"), "A \\ %s `b`; hint: c")

    def test_a_flag_of_the_user_is_named_by_its_variable(self):
        script = "echo 'ocibake: error: no `--nope`' >&2; exit 2"
        self.assertEqual(self.refusal(script, EXTRA_IMAGECMD="--nope=1"), "EXTRA_IMAGECMD: no `--nope`")
        self.assertEqual(self.refusal(script, EXTRA_IMAGECMD="--other"), "no `--nope`")

    def test_nothing_said(self):
        self.assertEqual(self.refusal("kill -9 $$"), "ocibake ended with status -9")

    def test_how_it_is_asked(self):
        task = self.task()
        image_build.stand_in(task.tool, 'printf "%s\\n" "$@" >"${0%bin/ocibake}asked"; env >"${0%bin/ocibake}environment"')
        task.prepare({"OCI_IMAGE_TAG": "leaked", "TARGET_ARCH": "leaked", "SOURCE_DATE_EPOCH": "1", "LD_PRELOAD": ""})
        directory = task.temp.parent
        self.assertEqual((directory / "asked").read_text().split(), [
            "build", "--dry-run", "--json", "--vars", str(task.temp / "do_image_oci.vars"), str(directory / "rootfs"),
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
        task.run_file("json").write_text(json.dumps(report))
        task.functions.oci_finish(task.d)
        self.assertEqual(task.d.bb.notes,
                         ["app-image-qemux86-64.rootfs-20260102030405.oci: linux/arm/v7, 12345 bytes, sha256:abc"])
        self.assertEqual(task.d.bb.warnings, ["a socket", "b"])


class Stale(TaskTest):
    """Output of an earlier run in the deploy directory."""

    def run_task(self, task):
        """Make a layout or an archive as the command does, and finish."""
        task.prepare()
        if task.type == "oci":
            (task.image / "blobs").mkdir(parents=True)
        else:
            task.image.touch()
        task.finish()

    def test_what_the_task_made_itself_goes(self):
        first = self.task(IMAGE_NAME="app-1", OCI_IMAGE_TAG="1 latest")
        first.d.setVarFlag("do_image_oci", "subimages", " oci.made-up oci")
        self.run_task(first)
        (first.deploy / "app-1.oci.made-up").touch()
        others = ["app-1-dbg.oci", "app-1.oci-archive", "my.oci", "app-1.tar"]
        for name in others:
            (first.deploy / name).touch()
        self.run_task(self.task(IMAGE_NAME="app-2"))
        self.assertEqual(sorted(os.listdir(first.deploy)), sorted([*others, "app-2.oci", "app-image-latest-oci"]))

    def test_a_run_that_fails_leaves_the_image_before(self):
        first = self.task(IMAGE_NAME="app-1")
        self.run_task(first)
        second = self.task(IMAGE_NAME="app-2")
        second.prepare()
        (second.deploy / "app-2.oci.new").mkdir()
        (second.deploy / "app-2.oci.new.ocibake-12-0").touch()
        third = self.task(IMAGE_NAME="app-3")
        third.prepare()
        self.assertEqual(sorted(os.listdir(first.deploy)), ["app-1.oci", "app-image-latest-oci"])

    def test_a_debug_filesystem_has_names_of_its_own(self):
        self.run_task(self.task(IMAGE_NAME="app-1"))
        debug = self.task(IMAGE_NAME="app-1", BB_CURRENTTASK="image_debugfs_oci", BB_RUNTASK="do_image_debugfs_oci")
        debug.d.setVarFlag("do_image_debugfs_oci", "subimages", " oci")

        def setup(d):
            for name in ("IMAGE_NAME", "IMAGE_LINK_NAME", "IMAGE_ROOTFS"):
                d.appendVar(name, "-dbg")
            d.setVar("IMAGE_BUILDING_DEBUGFS", "true")

        # image.bbclass's own function, which some releases call after this class's.
        debug.name, debug.functions.oci_of_task.__globals__["setup_debugfs_variables"] = "do_image_debugfs_oci", setup
        debug.prepare()
        self.assertIn("app-1-dbg.oci\n", debug.run_file("made").read_text())
        setup(debug.d)
        (debug.deploy / "app-1-dbg.oci").mkdir()
        debug.finish()
        self.assertEqual(sorted(os.listdir(debug.deploy)),
                         ["app-1-dbg.oci", "app-1.oci", "app-image-dbg-latest-oci", "app-image-latest-oci"])

    def test_what_other_backends_left_goes(self):
        task = self.task()
        theirs = "app-image-qemux86-64.rootfs-2025.rootfs-oci"
        (task.deploy / theirs / "blobs").mkdir(parents=True)
        for ending in (".tar", "-dir.tar"):
            (task.deploy / (theirs + ending)).touch()
        for ending in ("", ".tar", "-dir.tar"):
            (task.deploy / ("app-image-latest-oci" + ending)).symlink_to(theirs + ending)
        (task.deploy / "my-oci-image.tar").touch()
        self.run_task(task)
        self.assertEqual(sorted(os.listdir(task.deploy)), ["app-image-latest-oci", task.image.name, "my-oci-image.tar"])
        self.assertEqual(os.readlink(task.deploy / "app-image-latest-oci"), task.image.name)

    def test_clean(self):
        deployed = self.task().temp / "images"
        (deployed / "app-image-1.oci/blobs/sha256").mkdir(parents=True)
        (deployed / "app-image-2.oci/blobs").mkdir(parents=True)
        (deployed / "app-image-2.oci/index.json").touch()
        (deployed / "other-1.oci").mkdir()
        task = self.task(DEPLOY_DIR_IMAGE=str(deployed))
        task.functions.oci_clean(task.d)
        self.assertEqual(sorted(os.listdir(deployed)), ["app-image-2.oci", "other-1.oci"])


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
    """In ocibake the environment overrides the file, so the task must not have any of its variables there."""

    def test_variables_are_unexported(self):
        task = self.task()
        task.prepare()
        for name in task.d.getVar("OCI_VARIABLES").split():
            self.assertEqual(task.d.getVarFlag(name, "unexport"), "1", name)

    def test_source_date_epoch_is_emptied_for_the_tool_alone(self):
        self.assertRegex(bbclass.defaults()["OCI_BUILD"], r"^\s*SOURCE_DATE_EPOCH= ocibake build ")


class Signature(TaskTest):
    """BitBake finds a dependency if getVar has a literal name, or in [vardeps]."""

    def test_every_name_that_is_asked_for_is_known_to_bitbake(self):
        task = self.task("docker-archive", OCI_BASE_IMAGE="base", DEPLOY_DIR_IMAGE=self.directory)
        os.mkdir(os.path.join(self.directory, "base-latest-oci"))
        task.prepare()
        task.image.mkdir()
        task.finish()
        text = bbclass.text(bbclass.IMAGE)
        literal = set(re.findall(r'd\.getVar\("(\w+)"\)', text))
        listed = set(task.d.expand(bbclass.flags()["oci_prepare", "vardeps"]).split())
        literal |= set(re.findall(r'd\.getVarFlag\("(\w+)"', text))
        defaults = set(re.findall(r"\$\{(\w+)\}", " ".join(bbclass.defaults().values())))
        # Names that the fake datastore read to expand its own values.
        expanded = {"PN", "__oci_installed"}
        self.assertLessEqual(task.d.asked - expanded, literal | listed | defaults | {"IMAGE_CMD:oci"})


if __name__ == "__main__":
    unittest.main()
