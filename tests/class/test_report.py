# SPDX-License-Identifier: MIT
"""The page beside an image: what is in it, what it compares with, and what it is called."""

import os
import subprocess
import unittest
import unittest.mock

import image_build
import scratch

PAGE = "app-image-qemux86-64.rootfs-20260102030405.oci-report.html"
LINK = "app-image-qemux86-64.rootfs.oci-report.html"


@unittest.skipUnless(image_build.TOOL, "no ocibake: cargo build")
class Page(scratch.TestCase):
    """The image type oci-report after the image type oci."""

    def setUp(self):
        self.directory = self.make_directory()

    def build(self, **variables):
        """Both tasks; returns that of the page, and how its command ended."""
        made = image_build.Task(self.directory)
        made.make_package("app", ["/usr/bin/app"], PV="1.2")
        self.assertEqual(made.build().returncode, 0)
        task = image_build.Task(self.directory, variables, "oci-report")
        with unittest.mock.patch.dict(os.environ, {"PATH": task.d.getVar("PATH")}, clear=True):
            task.functions.oci_report_prepare(task.d)
        finished = subprocess.run(["/bin/sh", "-e", "-c", task.d.getVar("IMAGE_CMD:oci-report")], check=False,
                                  env={"PATH": task.d.getVar("PATH")}, capture_output=True, text=True)
        if finished.returncode == 0:
            task.functions.oci_report_finish(task.d)
        return task, finished

    def test_a_page_of_recipes_stands_beside_the_image(self):
        task, finished = self.build()
        self.assertEqual(finished.returncode, 0, finished.stderr)
        page = (task.deploy / PAGE).read_text()
        self.assertIn("<td class=\"w\">app</td><td class=\"w\">1.2</td>", page)
        self.assertEqual(os.readlink(task.deploy / LINK), PAGE)
        self.assertFalse(str(self.directory) in page, "the page knows where it was made")

    def test_a_page_of_an_earlier_build_goes(self):
        deploy = self.directory / "deploy"
        deploy.mkdir()
        (deploy / "app-image.rootfs-2025.oci-report.html").write_text("before")
        (deploy / LINK).symlink_to("app-image.rootfs-2025.oci-report.html")
        task, _ = self.build()
        self.assertEqual(sorted(path.name for path in task.deploy.glob("*.html")), sorted([PAGE, LINK]))

    def test_it_compares_with_a_release(self):
        older = image_build.Task(self.directory / "older tree")
        self.assertEqual(older.build().returncode, 0)
        task, finished = self.build(OCI_REPORT_OLD="oci:%s" % older.image)
        self.assertEqual(finished.returncode, 0, finished.stderr)
        self.assertIn("What the update costs", (task.deploy / PAGE).read_text())

    def test_a_limit_that_is_broken_ends_the_build(self):
        _, finished = self.build(EXTRA_IMAGECMD="--fail-if 'entries>1'")
        self.assertEqual(finished.returncode, 1)
        self.assertIn("limit `entries>1` is broken", finished.stderr)


if __name__ == "__main__":
    unittest.main()
