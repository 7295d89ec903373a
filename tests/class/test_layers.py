# SPDX-License-Identifier: MIT
"""Layers by package and by plan: the package map from pkgdata, OCI_LAYERS as a plan, and the resulting image."""

import json
import os
import subprocess
import tarfile
import unittest
import unittest.mock

import bbclass
import image_build
import scratch


class LayersTest(scratch.TestCase):
    """A task with some packages."""

    def setUp(self):
        self.directory = self.make_directory()

    def task(self, tool=None, imagetype="oci", **variables):
        """An image task with these variables."""
        return image_build.Task(self.directory, variables, imagetype, tool)

    def packages(self, task):
        """Four packages that depend on each other, one of them with a `+` in its name."""
        task.make_package("libc6", ["/lib/libc.so.6"], package="glibc", PN="glibc", PV="2.40")
        task.make_package("libstdc++6", ["/usr/lib/libstdc++.so.6"], package="libstdc++", PN="gcc-runtime", PV="15.1",
                          RDEPENDS="libc6 (>= 2.40)")
        task.make_package("app", ["/usr/bin/app", "/usr/share/app/größe 1"], RDEPENDS="libstdc++6 app-config missing")
        task.make_package("app-conf", ["/etc/app.conf"], PN="app", RPROVIDES="app-config (= 1.0)")
        return task


class PackageMap(LayersTest):
    """PATH, PACKAGE, RECIPE, VERSION."""

    def map(self, task):
        """In the form that the class writes."""
        return task.functions.oci_package_map(task.d)

    def test_names_are_those_of_the_package_manager(self):
        self.assertEqual(self.map(self.packages(self.task())), (
            "/etc/app.conf\tapp-conf\tapp\t1.0\n"
            "/lib/libc.so.6\tlibc6\tglibc\t2.40\n"
            "/usr/bin/app\tapp\tapp\t1.0\n"
            "/usr/lib/libstdc++.so.6\tlibstdc++6\tgcc-runtime\t15.1\n"
            "/usr/share/app/gr%C3%B6%C3%9Fe%201\tapp\tapp\t1.0\n"))

    def test_one_owner_a_file(self):
        task = self.task(MULTILIB_VARIANTS="lib32")
        task.make_package("lib32-zlib", ["/etc/shared", "/lib/libz.so"])
        task.make_package("zlib", ["/etc/shared", "/lib64/libz.so"])
        self.assertEqual([line.split("\t")[:2] for line in self.map(task).splitlines()],
                         [["/etc/shared", "zlib"], ["/lib/libz.so", "lib32-zlib"], ["/lib64/libz.so", "zlib"]])

    def test_what_pkgdata_does_not_know(self):
        task = self.task()
        self.assertEqual(self.map(task), "")
        task = self.task()
        task.make_package("empty", [])
        (self.directory / "deploy/app-image.manifest").write_text("from-a-feed all 1.0\nempty all 1.0\n\n")
        self.assertEqual(self.map(task), "")

    def test_the_newest_manifest_counts(self):
        task = self.task()
        task.make_package("old", ["/old"])
        (task.deploy / "app-image.manifest").rename(task.deploy / "app-image-2024.manifest")
        os.utime(task.deploy / "app-image-2024.manifest", (1, 1))
        task.make_package("new", ["/new"])
        (task.deploy / "link.manifest").symlink_to("app-image-2024.manifest")
        self.assertEqual(self.map(task), "/new\tnew\tnew\t1.0\n")

    def test_where_it_is_asked_for(self):
        for variables in ({"OCI_IMAGE_LAYERS": "packages"}, {"OCI_LAYERS_PLAN": "x"}, {"OCI_LAYERS": "a:files:/a"}):
            with self.subTest(**variables):
                self.assertIn("--package-map '%s'" % self.task().run_file("packages"),
                              self.task(**variables).d.getVar("IMAGE_CMD:oci-archive"))
        self.assertNotIn("--package-map", self.task(OCI_LAYERS="a:files:/a", OCI_LAYER_MODE="single").d.getVar("IMAGE_CMD:oci"))


class PlanFile(LayersTest):
    """OCI_LAYERS_PLAN."""

    def test_beside_the_recipe(self):
        plan = self.directory / "image.plan"
        task = self.task(OCI_LAYERS_PLAN="image.plan", OCI_IMAGE_LAYERS="packages")
        with self.assertRaises(bbclass.Fatal) as fatal:
            task.check()
        self.assertEqual(str(fatal.exception), "OCI_LAYERS_PLAN is `image.plan`: there is no %s" % plan)
        plan.write_text("all: *\n")
        # The recipe's plan overrides the one for all images.
        self.assertIn("OCI_IMAGE_LAYERS=@%s\n" % plan, task.prepare())
        self.assertEqual(task.functions.oci_plan_checksums(task.d), "%s:True" % plan)

    def test_in_a_directory_of_files(self):
        (self.directory / "files").mkdir()
        (self.directory / "files/image.plan").write_text("all: *\n")
        task = self.task(OCI_LAYERS_PLAN="image.plan", FILESPATH="/nowhere:%s/files" % self.directory)
        self.assertEqual(task.functions.oci_plan_file(task.d), str(self.directory / "files/image.plan"))

    def test_not_both(self):
        (self.directory / "image.plan").write_text("all: *\n")
        with self.assertRaisesRegex(bbclass.Fatal, "^OCI_LAYERS and OCI_LAYERS_PLAN are set: expected one of them$"):
            self.task(OCI_LAYERS_PLAN="image.plan", OCI_LAYERS="a:files:/a").check()


class MetaVirtualization(LayersTest):
    """OCI_LAYERS of image-oci."""

    def plan(self, layers):
        """The plan for these layers, line by line."""
        task = self.packages(self.task(OCI_LAYERS=layers))
        task.check()
        (task.rootfs / "opt/my app").mkdir(parents=True)
        (task.rootfs / "opt/data*").write_text("")
        (task.rootfs / "var/volatile/log").mkdir(parents=True)
        (task.rootfs / "var/log").symlink_to("volatile/log")
        (task.rootfs / "var/log/app.log").write_text("")
        task.prepare()
        return task.run_file("plan").read_text().splitlines()

    def test_packages_with_what_they_need(self):
        self.assertEqual(self.plan("base:packages:glibc app:packages:app"), [
            "base: package:libc6", "app: package:app package:app-conf package:libstdc++6"])

    def test_an_earlier_layer_has_what_a_later_one_names(self):
        self.assertEqual(self.plan("app:packages:app base:packages:glibc"), [
            "app: package:app package:app-conf package:libc6 package:libstdc++6", "base: package:libc6"])

    def test_a_plus_in_a_name(self):
        for quoted in ("'libstdc++'+glibc", '"libstdc++"+glibc', "libstdc\\+\\++glibc", "'libstdc++6'+libc6"):
            with self.subTest(quoted):
                self.directory = self.make_directory()
                self.assertEqual(self.plan("cpp:packages:%s" % quoted), ["cpp: package:libc6 package:libstdc++6"])

    def test_paths(self):
        self.assertEqual(self.plan("config:files:/etc/app.conf+'/opt/data*' app:directories:'/opt/my app'+usr/bin/ "
                                   "logs:files:/var/log/app.log link:files:/var/log"),
                         ["config: /etc/app.conf /opt/data%2A", "app: /opt/my%20app /usr/bin",
                          "logs: /var/volatile/log/app.log", "link: /var/log"])

    def test_what_is_wrong_before_there_is_a_rootfs(self):
        forms = "expected NAME:packages:PACKAGE[+PACKAGE...], NAME:directories:PATH[+PATH...] or NAME:files:PATH[+PATH...]"
        for layers, message in [
            ("app", "OCI_LAYERS holds `app`: " + forms),
            ("app:packages", "OCI_LAYERS holds `app:packages`: " + forms),
            ("app:packages:+", "OCI_LAYERS holds `app:packages:+`: " + forms),
            (":files:/a", "OCI_LAYERS holds `:files:/a`: " + forms),
            ("a:file:/a", "OCI_LAYERS holds `a:file:/a`: " + forms),
            ("a:files:'/a", "OCI_LAYERS is `a:files:'/a`: expected shell words with each quote closed"),
            ("certs:host:/etc/ca.crt:/etc/ca.crt", "OCI_LAYERS holds `certs:host:/etc/ca.crt:/etc/ca.crt`: a file of the build "
             "host is in no checksum; install it by a recipe, with file-checksums where it has to stay where it is"),
        ]:
            with self.subTest(layers), self.assertRaises(bbclass.Fatal) as fatal:
                self.task(OCI_LAYERS=layers).check()
            self.assertEqual(str(fatal.exception), message)
        with self.assertRaisesRegex(bbclass.Fatal, "^OCI_LAYERS is empty: OCI_LAYER_MODE is multi$"):
            self.task(OCI_LAYER_MODE="multi").check()

    def test_what_the_rootfs_does_not_have(self):
        for layers, message in [
            ("a:packages:glibc+bash", "OCI_LAYERS: there is no package `bash` for layer `a` in the rootfs"),
            ("a:packages:libstdc++", "OCI_LAYERS: there is no package `libstdc` for layer `a` in the rootfs; a name with + "
                                     "stands in quotes"),
            ("a:files:/etc/none", "OCI_LAYERS: there is no `/etc/none` for layer `a` in the rootfs"),
            ("a:directories:/../..", "OCI_LAYERS: there is no `/` for layer `a` in the rootfs"),
        ]:
            with self.subTest(layers), self.assertRaises(bbclass.Fatal) as fatal:
                self.directory = self.make_directory()
                self.plan(layers)
            self.assertEqual(str(fatal.exception), message)

    def test_their_cache_has_no_meaning(self):
        said = ["OCI_LAYER_CACHE has no meaning here: OCI_IMAGE_CACHE keeps what was compressed"]
        for variables, warnings in [({"OCI_LAYER_CACHE": "1"}, said), ({"OCI_LAYER_CACHE_DIR": "/srv/cache"}, said), ({}, [])]:
            task = self.task(OCI_LAYERS="a:files:/a", **variables)
            task.check()
            self.assertEqual(task.d.bb.warnings, warnings)
        # image-oci sets these by itself.
        task = self.task(OCI_LAYERS="a:files:/a", OCI_LAYER_CACHE="1", OCI_IMAGE_BACKEND="ocibake",
                         OCI_LAYER_CACHE_DIR="/build/oci-layer-cache/qemux86-64")
        task.d.inherited.add("image-oci")
        task.check()
        self.assertEqual(task.d.bb.warnings, [])

    def test_single_mode_has_one_layer(self):
        task = self.task(OCI_LAYERS="nonsense", OCI_LAYER_MODE="single")
        task.check()
        self.assertNotIn("OCI_IMAGE_LAYERS", task.prepare())


@unittest.skipUnless(image_build.TOOL or os.environ.get("CI"), "no ocibake: run cargo build, or set OCIBAKE")
class Built(LayersTest):
    """With the real tool."""

    def build(self, **variables):
        """The names of the layers, and the entries of each except directories."""
        task = self.packages(self.task(image_build.TOOL, **variables))
        (task.rootfs / "opt").mkdir()
        (task.rootfs / "opt/notes").write_text("")
        finished = task.build()
        self.assertEqual(finished.returncode, 0, finished.stderr)
        self.assertEqual(task.d.bb.warnings, [])
        _, manifest, _ = task.documents()
        self.groups = [layer["annotations"]["io.github.ocibake.groups"] for layer in manifest["layers"]]
        return [(layer["annotations"]["io.github.ocibake.layer"], self.files(task, layer)) for layer in manifest["layers"]]

    def files(self, task, layer):
        """The names of a layer's entries except directories."""
        with tarfile.open(task.image / "blobs" / layer["digest"].replace(":", "/")) as archive:
            return sorted(member.name.removeprefix("./") for member in archive if not member.isdir())

    def test_packages(self):
        layers = dict(self.build(OCI_IMAGE_LAYERS="packages"))
        self.assertEqual(layers, {
            "app": ["etc/app.conf", "usr/bin/app", "usr/share/app/größe 1"],
            "gcc-runtime": ["usr/lib/libstdc++.so.6"],
            "glibc": ["lib/libc.so.6"],
            "generated": ["etc/hostname", "opt/notes"],
        })
        self.assertIn("gcc-runtime=15.1", self.groups)

    def test_layers_of_meta_virtualization(self):
        self.assertEqual(self.build(OCI_LAYERS="base:packages:glibc cpp:packages:'libstdc++' app:packages:app "
                                               "notes:directories:/opt"), [
            ("base", ["lib/libc.so.6"]),
            ("cpp", ["usr/lib/libstdc++.so.6"]),
            ("app", ["etc/app.conf", "usr/bin/app", "usr/share/app/größe 1"]),
            ("notes", ["opt/notes"]),
            ("rest", ["etc/hostname"]),
        ])

    def test_a_plan_is_made_kept_and_learns(self):
        task = self.packages(self.task(image_build.TOOL, OCI_IMAGE_LAYERS="packages:3", BB_RUNTASK="do_oci_plan",
                                       DEPLOY_DIR_IMAGE=str(self.directory / "images"), WORKDIR=str(self.directory)))
        made = self.directory / "oci-plan"
        made.mkdir()
        with unittest.mock.patch.dict(os.environ, {"PATH": task.d.getVar("PATH")}):
            task.functions.do_oci_plan(task.d)
            path = made / "app-image.plan"
            self.assertEqual(task.d.bb.printed, ["app-image: the plan is %s" % path])
            lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
            self.assertEqual(len(lines), 3)

            kept = self.directory / "image.plan"
            kept.write_text("app: recipe:app\nothers: recipe:*\n")
            os.symlink(task.image, self.directory / "image")
            image = "oci:%s" % (self.directory / "released")
            subprocess.run([image_build.TOOL, "build", task.rootfs, image, "--arch", "amd64", "--layers", "@%s" % kept,
                            "--package-map", task.temp / "oci_plan.packages"], check=True, capture_output=True)
            task = self.task(image_build.TOOL, OCI_LAYERS_PLAN="image.plan", OCI_LAYERS_HISTORY=image, BB_RUNTASK="do_oci_plan",
                             DEPLOY_DIR_IMAGE=str(self.directory / "images"), WORKDIR=str(self.directory))
            task.functions.do_oci_plan(task.d)
        self.assertIn("app: recipe:app", (made / "image.plan").read_text())
        # The kept plan is never overwritten.
        self.assertEqual(kept.read_text(), "app: recipe:app\nothers: recipe:*\n")

    def test_the_cache_of_the_build_directory(self):
        task = self.task(image_build.TOOL)
        self.assertEqual(task.build().returncode, 0)
        report = json.loads(subprocess.run([image_build.TOOL, "cache", "--json", self.directory / "ocibake-cache"], check=True,
                                           capture_output=True).stdout)
        self.assertTrue(report["blocks"])
        first = task.documents()[0]
        task = image_build.Task(self.make_directory(), {"OCI_IMAGE_CACHE": ""}, tool=image_build.TOOL)
        for path in ("rootfs/etc/hostname", "rootfs/etc", "rootfs"):
            found = (self.directory / path).stat()
            os.utime(task.temp.parent / path, (found.st_mtime, found.st_mtime))
        self.assertEqual(task.build().returncode, 0)
        self.assertFalse((task.temp.parent / "ocibake-cache").exists())
        self.assertEqual(task.documents()[0], first)


class Hash(LayersTest):
    """How BitBake and pseudo treat the cache."""

    def test_the_cache_is_in_no_hash_and_unknown_to_pseudo(self):
        flags = bbclass.flags()
        for function in ("oci_prepare", "do_oci_qa"):
            self.assertIn("OCI_IMAGE_CACHE", flags[function, "vardepsexclude"].split())
        text = bbclass.text(bbclass.IMAGE)
        (appended,) = [line.split('"', 1)[1].rstrip('"') for line in text.splitlines() if line.startswith("PSEUDO_IGNORE_PATHS")]
        d = self.task(OCI_IMAGE_CACHE="/srv/cache").d
        self.assertEqual(d.expand(appended), ",/srv/cache")
        # An empty entry would match every path.
        self.assertEqual(self.task(OCI_IMAGE_CACHE="").d.expand(appended), "")


if __name__ == "__main__":
    unittest.main()
