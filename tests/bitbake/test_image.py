# SPDX-License-Identifier: MIT
"""The image types in the real image.bbclass."""

import json
import os
import pathlib
import re
import shlex
import tarfile
import unittest

from build_directory import LAYER, BuildDirectory
from layer_entries import Layout, entries_of_tar

TIMESTAMP_ROOTFS = 1520598896
RECIPE = "baked-image"


def new_build(name):
    """A fresh build directory."""
    return BuildDirectory(pathlib.Path(os.environ["OCIBAKE_BUILDS"]) / name, os.environ["OCIBAKE"])


class BakedTest(unittest.TestCase):
    """One build directory for a test class, built once with no settings."""

    configuration = ""

    @classmethod
    def setUpClass(cls):
        cls.build = new_build(cls.__name__)
        cls.build.configure(cls.configuration)
        run = cls.build.bake(RECIPE)
        if run.status:
            raise AssertionError(run.output)
        cls.images = cls.build.image_directory()

    def bake(self, configuration, *words, recipe=RECIPE):
        """Build with a configuration; it must succeed."""
        self.build.configure(configuration)
        run = self.build.bake(recipe, *words)
        self.assertEqual(run.status, 0, run.output)
        return run

    def series(self):
        """The names of the release, as the core layer has them."""
        text = (self.build.oecore / "meta/conf/layer.conf").read_text()
        return re.search('^LAYERSERIES_CORENAMES = "(.*)"', text, re.MULTILINE)[1].split()

    def layout(self, tag="latest"):
        """The image that was deployed last."""
        return Layout(self.images / ("%s-%s-oci" % (RECIPE, tag)))


class Fidelity(BakedTest):
    """The layer beside the tar image type of the same rootfs."""

    def test_the_layer_is_the_tar(self):
        with open(self.images / (RECIPE + "-qemux86-64.rootfs.tar"), "rb") as stream:
            tar = entries_of_tar(stream)
        layer = self.layout().entries()
        self.maxDiff = None
        self.assertEqual(layer, tar)

    def test_what_pseudo_alone_knows_is_there(self):
        entries = self.layout().entries()
        self.assertEqual(entries["etc/shadow"]["owner"], (0, 42))
        self.assertEqual(entries["home/app/.profile"]["owner"], (1000, 1000))
        self.assertEqual(entries["opt/big"]["owner"], (3000000, 4000000))
        self.assertEqual(entries["var/mail"]["mode"], "0o2775")
        self.assertEqual(entries["usr/bin/su"]["mode"], "0o4755")
        self.assertEqual(entries["usr/bin/wall"]["mode"], "0o2755")
        self.assertEqual((entries["dev/console"]["type"], entries["dev/console"]["device"]), (tarfile.CHRTYPE, (5, 1)))
        self.assertEqual((entries["dev/sda"]["type"], entries["dev/sda"]["device"]), (tarfile.BLKTYPE, (8, 0)))
        self.assertEqual(entries["dev/initctl"]["type"], tarfile.FIFOTYPE)
        self.assertIn("SCHILY.xattr.security.capability", entries["usr/bin/ping"]["attributes"])
        self.assertEqual(entries["usr/bin/ping"]["attributes"]["SCHILY.xattr.user.note"], "one\n\ttwo")
        self.assertEqual(entries["bin/busybox"]["links"], ["bin/busybox", "bin/ls"])
        self.assertLessEqual({".dockerenv", ".config"}, set(entries))
        self.assertEqual({entry["mtime"] for entry in entries.values()}, {TIMESTAMP_ROOTFS})

    def test_the_documents(self):
        layout = self.layout()
        self.assertEqual(layout.config["created"], "2018-03-09T12:34:56Z")
        self.assertEqual({entry["created"] for entry in layout.config["history"]}, {"2018-03-09T12:34:56Z"})
        self.assertEqual((layout.config["os"], layout.config["architecture"]), ("linux", "amd64"))
        self.assertEqual(layout.config["config"]["Cmd"], ["/bin/sh"])
        automatic = {
            "org.opencontainers.image.title": RECIPE,
            "org.opencontainers.image.description": "The rootfs of the tests as an OCI image",
            "org.opencontainers.image.version": "1.0",
            "org.opencontainers.image.vendor": "OpenEmbedded",
        }
        self.assertEqual(layout.config["config"]["Labels"], automatic)
        self.assertEqual(layout.manifest["annotations"], automatic)
        self.assertEqual(layout.blobs(), layout.referenced())


class Deployed(BakedTest):
    """Names in the deploy directory, and the documents that list them."""

    def test_names(self):
        (stamp,) = {match[1] for match in (re.search(r"rootfs-(\d+)\.oci$", name) for name in os.listdir(self.images))
                    if match}
        image = "%s-qemux86-64.rootfs-%s" % (RECIPE, stamp)
        links = {path.name: os.readlink(path) for path in self.images.iterdir() if path.is_symlink() and "oci" in path.name}
        self.assertEqual(links, {
            RECIPE + "-qemux86-64.rootfs.oci": image + ".oci",
            RECIPE + "-qemux86-64.rootfs.oci-archive": image + ".oci-archive",
            RECIPE + "-latest-oci": image + ".oci",
            RECIPE + "-latest-oci.tar": image + ".oci-archive",
        })
        self.assertTrue((self.images / (image + ".oci/oci-layout")).is_file())
        with tarfile.open(self.images / (image + ".oci-archive")) as archive:
            index = json.load(archive.extractfile("index.json"))
        self.assertEqual(index["manifests"][0]["digest"], self.layout().digest)

    def test_manifest_of_images(self):
        manifest = self.build.work_directory(RECIPE) / "deploy-image-output-manifest/manifest.json"
        if not manifest.exists() and "scarthgap" in self.series():
            self.skipTest("this release has no manifest of images")
        images = {entry["imagetype"]: [image["filename"] for image in entry["images"]]
                  for entry in json.loads(manifest.read_text())}
        for imagetype in ("oci", "oci-archive"):
            self.assertEqual([os.path.realpath(self.images / name) for name in images[imagetype]],
                             [os.path.realpath(self.images / (RECIPE + "-qemux86-64.rootfs." + imagetype))])

    def test_the_log_has_one_line_of_result(self):
        for task, imagetype in (("do_image_oci", "oci"), ("do_image_oci_archive", "oci-archive")):
            log = self.build.task_log(RECIPE, task)
            results = [line for line in log.splitlines() if self.layout().digest in line]
            self.assertEqual(len(results), 1, log)
            self.assertIn("linux/amd64", results[0])
            self.assertRegex(results[0], r"\b\d+ bytes\b")


    def test_progress(self):
        events = self.build.path / "events.json"
        self.bake("", "-c", "image_oci", "-f", "-w", str(events))
        classes = [json.loads(line).get("class") for line in events.read_text().splitlines()]
        # BitBake itself sends the first one.
        self.assertGreater(classes.count("bb.build.TaskProgress"), 1)


class Sbom(BakedTest):
    """The image in the SPDX document from create-spdx, and the document in the image."""

    configuration = 'INHERIT += "create-spdx"\nOCI_IMAGE_SPDX = "1"\n'

    def test_the_image_is_a_container(self):
        if "scarthgap" in self.series():
            self.skipTest("this release lists no images in its SPDX documents")
        document = json.loads((self.images / (RECIPE + "-qemux86-64.rootfs.spdx.json")).read_text())
        purposes = {element["name"]: element["software_primaryPurpose"] for element in document["@graph"]
                    if element["type"] == "software_File" and "software_primaryPurpose" in element}
        archive = os.readlink(self.images / (RECIPE + "-qemux86-64.rootfs.oci-archive"))
        self.assertEqual(purposes[archive], "container")
        self.assertEqual(purposes["blobs/" + self.layout().digest.replace(":", "/")], "container")

    def test_the_document_is_attached(self):
        layout = self.layout()
        (artifact,) = layout.attached()
        self.assertEqual(artifact["artifactType"], "application/spdx+json")
        self.assertEqual(artifact["subject"]["digest"], layout.digest)
        (blob,) = artifact["layers"]
        document = json.loads(layout.blob(blob))
        if "@graph" in document:
            names = {element.get("name") for element in document["@graph"] if element["type"] == "software_Package"}
            self.assertIn("baked-image", names)
        else:
            self.assertEqual(document["spdxVersion"], "SPDX-2.2")
        with tarfile.open(self.images / (RECIPE + "-latest-oci.tar")) as archive:
            self.assertNotIn("blobs/" + blob["digest"].replace(":", "/"),
                             {name.removeprefix("./") for name in archive.getnames()})
        for name in (RECIPE + "-latest-oci", RECIPE + "-latest-oci.tar"):
            run = self.build.command(str(self.build.path / "bin/ocibake"), "verify", str(self.images / name))
            self.assertEqual(run.status, 0, run.output)

    def test_the_same_in_another_directory(self):
        build = new_build("sbom-in-another-directory")
        build.configure(self.configuration)
        run = build.bake(RECIPE)
        self.assertEqual(run.status, 0, run.output)
        other = Layout(build.image_directory() / (RECIPE + "-latest-oci"))
        if "scarthgap" in self.series():
            self.skipTest("the document of SPDX 2.2 holds the time at which it was made")
        self.assertEqual(other.index, self.layout().index)

    def test_switch(self):
        digest = self.layout().digest
        self.bake('INHERIT += "create-spdx"\n')
        self.assertEqual(self.layout().attached(), [])
        self.assertEqual(self.layout().digest, digest)
        self.bake(self.configuration)
        self.assertEqual(len(self.layout().attached()), 1)


class Again(BakedTest):
    """Building again."""

    def test_nothing_stale_is_left(self):
        self.bake('OCI_IMAGE_TAG = "other"\nIMAGE_VERSION_SUFFIX = "-second"')
        self.bake('OCI_IMAGE_TAG = "v1 registry.example:5000/app:v2"\nIMAGE_VERSION_SUFFIX = "-third"')
        image = RECIPE + "-qemux86-64.rootfs-third"
        for directory in (self.images, self.build.work_directory(RECIPE) / ("deploy-%s-image-complete" % RECIPE)):
            self.assertEqual({name for name in os.listdir(directory) if "oci" in name}, {
                image + ".oci", image + ".oci-archive",
                RECIPE + "-qemux86-64.rootfs.oci", RECIPE + "-qemux86-64.rootfs.oci-archive",
                *("%s-%s-oci%s" % (RECIPE, tag, end) for tag in ("v1", "registry.example_5000_app_v2")
                  for end in ("", ".tar")),
            })

    def test_clean(self):
        self.bake("")
        self.bake("", "-c", "clean")
        self.assertEqual([name for name in os.listdir(self.images) if RECIPE in name], [])

    def test_a_build_time_in_values(self):
        configuration = "".join('%s = "%s${DATETIME}"\n%s[vardepsexclude] = "DATETIME"\n' % (name, before, name)
                                for name, before in (("OCI_IMAGE_TAG", "1.0-"), ("OCI_IMAGE_BUILD_DATE", "")))
        self.bake(configuration)
        (stamp,) = {match[1] for match in (re.fullmatch(r".*-1\.0-(\d{14})-oci", name) for name in os.listdir(self.images)) if match}
        layout = self.layout("1.0-" + stamp)
        self.assertEqual(re.sub(r"\D", "", layout.manifest["annotations"]["org.opencontainers.image.created"]), stamp)
        self.assertRegex(layout.config["config"]["Labels"]["org.opencontainers.image.created"], r"^\d{4}-\d\d-\d\dT[\d:]{8}Z$")
        # Another time is no change.
        run = self.bake(configuration)
        self.assertNotIn(":do_image_oci)", run.output)
        self.assertEqual(run.errors, [])

    def test_a_value_for_one_image_type(self):
        self.bake('OCI_IMAGE_COMPRESSION:oci-archive = "zstd"\n')
        self.assertTrue(self.layout().manifest["layers"][0]["mediaType"].endswith("tar+gzip"))
        with tarfile.open(self.images / (RECIPE + "-latest-oci.tar")) as archive:
            (entry,) = json.load(archive.extractfile("index.json"))["manifests"]
            manifest = json.load(archive.extractfile("blobs/" + entry["digest"].replace(":", "/")))
        self.assertTrue(manifest["layers"][0]["mediaType"].endswith("tar+zstd"))

    def test_conversions(self):
        self.bake('IMAGE_FSTYPES:forcevariable = "oci-archive.gz oci-archive.sha256sum"')
        names = {name for name in os.listdir(self.images) if re.search(r"-\d+\.oci", name)}
        self.assertEqual({name.split(".oci")[1] for name in names}, {"-archive.gz", "-archive.sha256sum"})

    def test_tar_output_brings_the_archive(self):
        self.bake('IMAGE_FSTYPES:forcevariable = "oci"')
        self.assertFalse((self.images / (RECIPE + "-latest-oci.tar")).exists())
        self.bake('IMAGE_FSTYPES:forcevariable = "oci"\nOCI_IMAGE_TAR_OUTPUT = "true"')
        self.assertTrue((self.images / (RECIPE + "-latest-oci.tar")).exists())


class Signatures(BakedTest):
    """Which changes run the task again, according to BitBake's hashes and in real builds."""

    def hashes(self, *settings):
        """Setting to task to hash."""
        recipe = LAYER / "tests/bitbake/layer/recipes-test/images/baked-image_1.0.bb"
        run = self.build.command("python3", str(LAYER / "tests/bitbake/task_hashes.py"), str(recipe), *settings)
        self.assertEqual(run.status, 0, run.output)
        return json.loads(run.output.splitlines()[-1])

    def test_every_variable_matters(self):
        text = (LAYER / "classes/image_types_oci.bbclass").read_text(encoding="utf-8")
        names = set(re.findall(r"\bOCI_IMAGE_[A-Z_]+\b", text))
        names -= {"OCI_IMAGE_BACKEND", "OCI_IMAGE_TAR_OUTPUT", "OCI_IMAGE_SPDX", "OCI_IMAGE_CACHE", "OCI_IMAGE_QA"}
        self.assertGreater(len(names), 30)
        names |= {"OCI_BASE_IMAGE", "OCI_BASE_IMAGE_TAG", "OCI_BASE_IMAGE_MODE", "OCI_LAYERS", "SUMMARY", "PV",
                  "DISTRO_NAME", "REPRODUCIBLE_TIMESTAMP_ROOTFS"}
        hashes = self.hashes("TARGET_ARCH=i686", "TUNE_FEATURES=m64 core2", "MACHINEOVERRIDES=qemuall:qemux86-64:more",
                             *(name + "=0" for name in sorted(names)))
        for task in ("do_image_oci", "do_image_oci_archive"):
            same = [setting for setting in hashes if setting and hashes[setting][task] == hashes[""][task]]
            self.assertEqual(same, [])

    def test_flags_matter_to_their_type_alone(self):
        hashes = self.hashes("EXTRA_IMAGECMD:oci=-v")
        changed = {task for task in hashes[""] if hashes["EXTRA_IMAGECMD:oci=-v"][task] != hashes[""][task]}
        self.assertEqual(changed, {"do_image_oci"})

    def test_levels_of_checks_matter_to_the_checks_alone(self):
        setting = "OCI_IMAGE_QA=arch:skip"
        hashes = self.hashes(setting)
        self.assertEqual({task for task in hashes[""] if hashes[setting][task] != hashes[""][task]}, {"do_oci_qa"})

    def test_tar_output_matters_to_the_task_before(self):
        hashes = self.hashes("OCI_IMAGE_TAR_OUTPUT=1")
        self.assertNotEqual(hashes["OCI_IMAGE_TAR_OUTPUT=1"]["do_image"], hashes[""]["do_image"])

    def test_an_image_type_as_an_override(self):
        setting = "OCI_IMAGE_COMPRESSION:oci-archive=zstd"
        hashes = self.hashes(setting)
        self.assertEqual({task for task in hashes[""] if hashes[setting][task] != hashes[""][task]}, {"do_image_oci_archive"})

    def test_what_must_not_matter(self):
        hashes = self.hashes("UNRELATED=1", "OCI_IMAGE_CACHE=/srv/cache", "BB_NUMBER_THREADS=1", "DATETIME=20200101000000", "DATE=20200101",
                             "SOURCE_DATE_EPOCH=1", "BUILDNAME=1")
        for setting, of_task in hashes.items():
            self.assertEqual(of_task, hashes[""], setting)

    def test_in_fact(self):
        ran = ":do_image_oci)"
        first = self.bake('OCI_IMAGE_LABELS = "a=b"').output
        self.assertIn(ran, first)
        # A changed setting does not run do_rootfs again.
        self.assertIn(":do_oci_check)", first)
        self.assertNotIn(":do_rootfs)", first)
        self.assertNotIn(ran, self.bake('OCI_IMAGE_LABELS = "a=b"').output)
        self.assertNotIn(ran, self.bake('OCI_IMAGE_LABELS = "a=b"\nUNRELATED = "1"').output)
        self.assertIn(ran, self.bake('OCI_IMAGE_LABELS = "a=c"').output)


class Checks(BakedTest):
    """Likely mistakes in an image, as OCI_IMAGE_QA has them."""

    mistakes = ('IMAGE_FSTYPES:forcevariable = "oci"\nBAKED_FOREIGN = "1"\nOCI_IMAGE_RUNTIME_UID = "nobody-here"\n'
                'OCI_IMAGE_ENTRYPOINT = "/usr/bin/missing"\n')
    found = {"arch": "programs are not for linux/amd64: /usr/bin/foreign", "entrypoint-missing": "`/usr/bin/missing`",
             "user-missing": "the user `nobody-here`"}

    def test_warnings(self):
        run = self.bake(self.mistakes)
        for check, message in self.found.items():
            said = [line for line in run.warnings if message in line]
            self.assertEqual(len(said), 1, run.output)
            self.assertIn("[%s]" % check, said[0])

    def test_errors(self):
        self.build.configure(self.mistakes + 'OCI_IMAGE_QA = "arch:error user-missing:error"\n')
        run = self.build.bake(RECIPE)
        self.assertNotEqual(run.status, 0)
        said = [line for line in run.errors if "QA Issue" in line]
        self.assertEqual([line.rpartition(" ")[2] for line in said], ["[arch]", "[user-missing]"], run.output)

    def test_skipped(self):
        run = self.bake(self.mistakes + 'OCI_IMAGE_QA = "arch:skip entrypoint-missing:skip user-missing:skip"\n')
        self.assertEqual([line for line in run.warnings if "QA Issue" in line or "nobody-here" in line], [])


class Debug(BakedTest):
    """Debug filesystems as images."""

    configuration = 'IMAGE_GEN_DEBUGFS = "1"\nIMAGE_FSTYPES_DEBUGFS = "oci docker-archive"\n'

    def test_names(self):
        linked = RECIPE + "-qemux86-64.rootfs"
        for name in (linked + ".oci", linked + "-dbg.oci", linked + "-dbg.docker-archive", RECIPE + "-latest-oci",
                     RECIPE + "-dbg-latest-oci", RECIPE + "-dbg-latest-docker.tar"):
            self.assertTrue((self.images / name).exists(), name)
        self.assertNotEqual(os.readlink(self.images / (linked + ".oci")), os.readlink(self.images / (linked + "-dbg.oci")))
        with tarfile.open(self.images / (RECIPE + "-dbg-latest-docker.tar")) as archive:
            (image,) = json.load(archive.extractfile("manifest.json"))
        self.assertEqual(image["RepoTags"], [RECIPE + "-dbg:latest"])


class Cached(BakedTest):
    """The blocks of the previous build."""

    def test_a_second_bake_takes_its_blocks_from_the_first(self):
        cache = self.build.path / "tmp/ocibake-cache"
        self.assertTrue(cache.is_dir())
        digest = self.layout().digest
        # If only the cache is left, the image is made from it.
        self.bake("", "-c", "cleansstate")
        self.bake('EXTRA_IMAGECMD:oci = "--stats"')
        self.assertEqual(self.layout().digest, digest)
        blocks, found = self.blocks(self.build)
        self.assertEqual(found, blocks)
        # A changed rootfs: a file more changes a few blocks. Another type at the same time could be the first to have them.
        self.addCleanup(self.bake, "")
        run = self.bake('IMAGE_FSTYPES:forcevariable = "oci"\nEXTRA_IMAGECMD:oci = "--stats"\nBAKED_MORE = "more"')
        self.assertIn(":do_rootfs)", run.output)
        self.assertNotEqual(self.layout().digest, digest)
        blocks, found = self.blocks(self.build)
        self.assertTrue(blocks - 3 <= found < blocks, (blocks, found))

    @staticmethod
    def blocks(build):
        """The number of blocks of the image baked last, and how many of them came from the cache."""
        counts = re.search(r"(?m)^blocks +(\d+), of which (\d+) from the cache", build.task_log(RECIPE, "do_image_oci"))
        return int(counts[1]), int(counts[2])

    def test_another_build_directory_shares_it(self):
        build = new_build("shared-cache")
        build.configure('OCI_IMAGE_CACHE = "%s"\nEXTRA_IMAGECMD:oci = "--stats"\n' % (self.build.path / "tmp/ocibake-cache"))
        run = build.bake(RECIPE)
        self.assertEqual(run.status, 0, run.output)
        blocks, found = self.blocks(build)
        self.assertEqual(found, blocks)
        self.assertFalse((build.path / "tmp/ocibake-cache").exists())

    def test_turned_off(self):
        build = new_build("no-cache")
        build.configure('OCI_IMAGE_CACHE = ""')
        self.assertEqual(build.bake(RECIPE).status, 0)
        self.assertFalse((build.path / "tmp/ocibake-cache").exists())
        self.assertEqual(Layout(build.image_directory() / (RECIPE + "-latest-oci")).digest, self.layout().digest)


class Hostile(BakedTest):
    """Values that a shell would act on."""

    values = {
        "OCI_IMAGE_LABELS": "maintainer='A B <a@b>' quote=\"it's \\\"here\\\"\" dollar='$PATH' tick='`touch pwned`' "
                            "sub=$(touch\\ pwned) back='a\\b' uni=größe empty= .title='Mine; rm -rf /'",
        "OCI_IMAGE_ANNOTATIONS": "note='$(id) & `id` | \"x\"'",
        "OCI_IMAGE_ENV_VARS": "PATH=$PATH:/opt/bin GREETING='hello  world' QUOTE=\"'\"",
        "OCI_IMAGE_ENTRYPOINT": "/usr/bin/app --name \"two words\" --say \"it's\" '$HOME' \\\"",
        "OCI_IMAGE_CMD": "sh -c 'echo \"$1\" `date` $(date)'",
        "OCI_IMAGE_AUTHOR": "Ann \"the\" Baker",
        "OCI_IMAGE_AUTHOR_EMAIL": "a@b",
        "OCI_IMAGE_WORKINGDIR": "/opt/with space/$HOME",
        "SUMMARY": "Says 'hi' & \"bye\" for $5 `now`",
    }
    configuration = "".join('%s:forcevariable = "%s"\n' % pair for pair in values.items())

    def test_they_arrive_as_written(self):
        self.bake(self.configuration)
        layout = self.layout()
        words = {name: shlex.split(value) for name, value in self.values.items() if name != "SUMMARY"}
        config = layout.config["config"]
        labels = dict(word.split("=", 1) for word in words["OCI_IMAGE_LABELS"])
        labels["org.opencontainers.image.title"] = labels.pop(".title")
        labels["org.opencontainers.image.description"] = self.values["SUMMARY"]
        self.assertEqual({k: v for k, v in config["Labels"].items() if k in labels}, labels)
        self.assertEqual(layout.manifest["annotations"]["note"], "$(id) & `id` | \"x\"")
        self.assertEqual(layout.manifest["annotations"]["org.opencontainers.image.description"], self.values["SUMMARY"])
        self.assertEqual(config["Env"], words["OCI_IMAGE_ENV_VARS"])
        self.assertEqual(config["Entrypoint"], words["OCI_IMAGE_ENTRYPOINT"])
        self.assertEqual(config["Cmd"], words["OCI_IMAGE_CMD"])
        self.assertEqual(config["WorkingDir"], self.values["OCI_IMAGE_WORKINGDIR"])
        self.assertEqual(layout.config["author"], "Ann \"the\" Baker <a@b>")
        self.assertEqual([path for path in self.build.path.rglob("pwned")], [])

    def test_the_environment_does_not_reach_the_tool(self):
        self.bake('export OCI_IMAGE_CMD = "exported"\nexport OCI_IMAGE_ENTRYPOINT_ARGS = "args"\nexport OCI_X = "1"')
        self.assertEqual(self.layout().config["config"]["Cmd"], ["args"])


class Failures(BakedTest):
    """One line of error, and nothing incomplete is deployed."""

    def failure(self, configuration):
        """The message of the one error that names the task."""
        self.build.configure(configuration)
        run = self.build.bake(RECIPE)
        self.assertNotEqual(run.status, 0)
        prefix = "ERROR: %s-1.0-r0 do_oci_check: " % RECIPE
        # The error comes before the rootfs is made.
        self.assertNotIn("task do_rootfs: Started", run.output)
        messages = [line.removeprefix(prefix) for line in run.errors if line.startswith(prefix)]
        self.assertEqual(len(messages), 1, run.output)
        return messages[0]

    def test_bad_values(self):
        for name, value in [
            ("OCI_IMAGE_PORTS", "eighty"),
            ("OCI_IMAGE_ENTRYPOINT", "'not closed"),
            ("OCI_IMAGE_SPDX", "maybe"),
            ("OCI_IMAGE_QA", "arch:fatal"),
            ("EXTRA_IMAGECMD:oci", "--no-such-flag"),
            # bbfatal of a shell task would print the backslash and the letter as a line break.
            ("OCI_IMAGE_WORKINGDIR", "back\\nslash %s"),
        ]:
            with self.subTest(name):
                message = self.failure('%s = "%s"' % (name, value))
                self.assertTrue(message.startswith(name.split(":")[0]), message)
                self.assertIn(value.strip("'"), message)

    def test_unknown_architecture(self):
        message = self.failure('IMAGE_FSTYPES:forcevariable = "oci"\nOCI_IMAGE_ARCH = "riscv32"')
        self.assertIn("riscv32", message)

    def test_no_tool(self):
        (self.build.path / "tmp/hosttools/ocibake").unlink()
        message = self.failure('IMAGE_FSTYPES:forcevariable = "oci"\nHOSTTOOLS:remove = "ocibake"')
        self.assertEqual(message, "ocibake is not in the PATH of do_oci_check: recipe ocibake-native provides it")

    def test_settings_that_come_back(self):
        self.failure('OCI_IMAGE_PORTS = "eighty"')
        self.bake("")
        self.assertTrue((self.layout().path / "index.json").is_file())


class Reproducible(unittest.TestCase):
    """Another directory, another time, the same image."""

    def test_two_builds(self):
        digests = []
        for name in ("first", "the-second-one"):
            build = new_build(name)
            self.assertEqual(build.bake(RECIPE).status, 0)
            digests.append(Layout(build.image_directory() / (RECIPE + "-latest-oci")).digest)
        self.assertEqual(digests[0], digests[1])

    def test_machines(self):
        build = new_build("machines")
        for machine, platform in [("qemuarm", ("arm", "v7")), ("qemuarm64", ("arm64", "v8")), ("qemuarmv5", ("arm", "v5")),
                                  ("qemuriscv64", ("riscv64", None)), ("qemux86", ("386", None))]:
            with self.subTest(machine):
                build.configure('MACHINE = "%s"\nIMAGE_FSTYPES:forcevariable = "oci"' % machine)
                run = build.bake(RECIPE)
                self.assertEqual(run.status, 0, run.output)
                layout = Layout(build.image_directory(machine) / (RECIPE + "-latest-oci"))
                self.assertEqual((layout.config["architecture"], layout.config.get("variant")), platform)
                self.assertEqual((layout.descriptor["platform"]["architecture"],
                                  layout.descriptor["platform"].get("variant")), platform)


class Recipe(unittest.TestCase):
    """The recipe of the tool."""

    def test_it_parses_for_host_target_and_sdk(self):
        build = new_build("recipe")
        for name in ("ocibake", "ocibake-native", "nativesdk-ocibake"):
            run = build.command("bitbake-getvar", "-r", name, "--value", "SRC_URI")
            self.assertEqual(run.status, 0, run.output)
            self.assertIn("crate://", run.output)
            self.assertEqual(run.errors, [])
