# SPDX-License-Identifier: MIT
"""The SPDX document of an image: which one it is, when it is there, and that it is attached."""

import json
import os
import subprocess
import sys
import tarfile
import types
import unittest
import unittest.mock

import bbclass
import image_build
import scratch

DOCUMENT = "app-image.spdx.json"


class SpdxTest(scratch.TestCase):
    """A task with a tool that records its arguments."""

    def setUp(self):
        self.directory = self.make_directory()

    def task(self, inherited=(), imagetype="oci", **variables):
        """A task that inherits these classes."""
        own = {"WORKDIR": str(self.directory), "MACHINE": "qemux86-64", "OCI_IMAGE_SPDX": "1"}
        task = image_build.Task(self.directory, {**own, **variables}, imagetype, tool=None)
        task.d.inherited.update(inherited)
        return task

    @property
    def document(self):
        """The document that is attached."""
        return self.directory / "oci-spdx" / DOCUMENT


class Attached(SpdxTest):
    """The command that the shell runs."""

    def calls(self, task, status=0):
        """The tool's calls, and the exit status of the whole."""
        (self.directory / "calls").write_text("")
        image_build.stand_in(task.tool, 'echo "$*" >>"%s/calls"; [ "$2" != --vars ] || { mkdir -p "%s.new"; exit %d; }'
                              % (self.directory, task.image, status))
        finished = task.run()
        return (self.directory / "calls").read_text().splitlines()[1:], finished.returncode

    def make_document(self):
        """In the state that the previous task leaves."""
        self.document.parent.mkdir()
        self.document.write_text("{}")

    def test_behind_the_build(self):
        self.make_document()
        for inherited in ("create-spdx-2.2", "create-spdx-3.0"):
            with self.subTest(inherited=inherited):
                task = self.task([inherited])
                (build, attach), status = self.calls(task)
                self.assertTrue(build.startswith("build "), build)
                self.assertEqual(attach, "attach --no-sync oci:%s.new %s --type application/spdx+json" % (task.image, self.document))
                self.assertEqual(status, 0)

    def test_not_without_the_class_and_not_if_it_is_not_wanted(self):
        # The document of an earlier build does not count.
        self.make_document()
        self.assertEqual(len(self.calls(self.task())[0]), 1)
        self.assertEqual(len(self.calls(self.task(["create-spdx-3.0"], OCI_IMAGE_SPDX="0"))[0]), 1)
        for imagetype in ("oci-archive", "docker-archive"):
            self.assertEqual(len(self.calls(self.task(["create-spdx-3.0"], imagetype))[0]), 1)

    def test_not_without_a_document(self):
        calls, status = self.calls(self.task(["create-spdx-2.2"]))
        self.assertEqual((len(calls), status), (1, 0))

    def test_a_build_that_failed_is_a_failure(self):
        self.make_document()
        calls, status = self.calls(self.task(["create-spdx-3.0"]), status=2)
        self.assertEqual((len(calls), status), (1, 2))

    def test_default(self):
        # Tools do not take a layout that lists more than the image without a tag.
        self.make_document()
        self.assertEqual(bbclass.defaults()["OCI_IMAGE_SPDX"], "0")
        self.assertEqual(len(self.calls(self.task(["create-spdx-3.0"], OCI_IMAGE_SPDX=""))[0]), 1)


class Made(SpdxTest):
    """The task that takes the document or makes it."""

    def added(self, inherited, **variables):
        """The datastore after parsing, and the tasks that were added."""
        d = self.task(inherited, **variables).d
        d.setVarFlag("do_create_image_sbom_spdx", "recrdeptask", "do_create_spdx")
        d.setVarFlag("do_create_image_sbom_spdx", "file-checksums", "${SPDX3_DEP_FILES}")
        d.parse()
        return d, [added for added in d.bb.build.added if "spdx" in added[0]]

    def test_order(self):
        before = "do_image_oci"
        self.assertEqual(self.added(["create-spdx-2.2"])[1], [("do_oci_spdx", before, "do_rootfs")])
        d, added = self.added(["create-spdx-3.0"])
        self.assertEqual(added, [("do_oci_spdx", before, "do_create_rootfs_spdx")])
        self.assertEqual(d.getVarFlag("do_oci_spdx", "recrdeptask"), "do_create_spdx")
        self.assertEqual(d.getVarFlag("do_oci_spdx", "file-checksums"), "${SPDX3_DEP_FILES}")
        self.assertEqual(self.added([])[1], [])
        self.assertEqual(self.added(["create-spdx-3.0"], OCI_IMAGE_SPDX="0")[1], [])

    def test_version_2_is_taken(self):
        made = self.directory / "spdx [2.2]/image-work"
        made.mkdir(parents=True)
        self.document.parent.mkdir()
        task = self.task(["create-spdx-2.2"], SPDXIMAGEWORK=str(made))
        task.functions.do_oci_spdx(task.d)
        self.assertFalse(self.document.exists())
        (made / "app-image-qemux86-64.rootfs-20250101000000.spdx.json").write_text("two")
        task.functions.do_oci_spdx(task.d)
        self.assertEqual(self.document.read_text(), "two")

    def test_version_3_is_joined(self):
        self.document.parent.mkdir()
        calls = []

        def find(d, subdirectory, name, kind):
            calls.append((subdirectory, name, kind))
            return "rootfs", "path"

        sbom30 = types.SimpleNamespace(
            find_root_obj_in_jsonld=find, get_element_link_id=lambda element: "id of " + element,
            create_sbom=lambda d, name, roots: ((name, roots), None),
            write_jsonld_doc=lambda d, document, path: path.write_text(json.dumps({"@graph": [{"spdxId": document[0]}],
                                                                                  "roots": document[1]})))
        spdx30 = types.SimpleNamespace(software_Package="package")
        oe = types.SimpleNamespace(sbom30=sbom30, spdx30=spdx30, path=bbclass.oe.path)
        task = self.task(["create-spdx-3.0"])
        with unittest.mock.patch.dict(sys.modules, {"oe": oe, "oe.sbom30": sbom30, "oe.spdx30": spdx30}):
            task.functions.do_oci_spdx(task.d)
        self.assertEqual(calls, [("rootfs", "app-image-qemux86-64-rootfs", "package")])
        self.assertEqual(json.loads(self.document.read_text()), {
            "@graph": [{"spdxId": "app-image-qemux86-64-rootfs-sbom"}], "roots": ["id of rootfs"]})

    def test_ids_do_not_tell_where_the_build_is(self):
        own = "http://spdx.org/spdxdocs/app-image-01234567-89ab-cdef-0123-456789abcdef/"
        other = "http://spdx.org/spdxdocs/glibc-01234567-89ab-cdef-0123-456789abcdef/" + 64 * "b" + "/package/libc6"

        def document(task, first, second):
            relationship = {"type": "Relationship", "from": own + task + "/rootfs", "creationInfo": "_:CreationInfo1"}
            info = {"type": "CreationInfo", "created": "2011-04-05T23:00:00Z"}
            # A statement that one element makes stands within it, in one build with this, in another with that.
            relationship["creationInfo"] = info if first > second else "_:CreationInfo1"
            elements = [
                {"@id": "_:CreationInfo1", **info},
                {"spdxId": own + task + "/rootfs", "type": "software_Package"},
                {"spdxId": own + task + "/relationship/" + first, "to": [other], **relationship},
                {"spdxId": own + task + "/relationship/" + second, "to": [own + task + "/relationship/" + first], **relationship},
                {"spdxId": other, "verifiedUsing": 32 * "e"},
            ]
            if first < second:
                # One that no element refers to.
                elements.append(dict(info))
            return {"@context": "x", "@graph": sorted(elements, key=lambda element: element.get("spdxId", ""))}

        task = self.task(["create-spdx-3.0"])
        settled = []
        for made in (document(64 * "1", 32 * "c", 32 * "d"), document(64 * "2", 32 * "9", 32 * "8")):
            path = self.directory / "document"
            path.write_text(json.dumps(made, indent=2))
            task.functions.oci_settle_spdx_ids(task.d, path)
            settled.append(path.read_text())
        self.assertEqual(settled[0], settled[1])
        elements = json.loads(settled[0])["@graph"]
        ids = {element.get("spdxId") for element in elements}
        self.assertEqual(len(ids), 5)
        # What refers to an element still does, and others' ids stay.
        (referred,) = [element["to"][0] for element in elements if element.get("to", [other]) != [other]]
        self.assertLessEqual({referred, other, own + "image/rootfs"}, ids)


@unittest.skipUnless(image_build.TOOL or os.environ.get("CI"), "no ocibake: run cargo build, or set OCIBAKE")
class Built(SpdxTest):
    """With the real tool."""

    def build(self, imagetype="oci", **variables):
        """The digest of an image with two names, and where it is."""
        own = {"WORKDIR": str(self.directory), "MACHINE": "qemux86-64", "OCI_IMAGE_SPDX": "1",
               "OCI_IMAGE_TAG": "1.0 latest"}
        task = image_build.Task(self.directory, {**own, **variables}, imagetype)
        task.d.inherited.add("create-spdx-3.0")
        for path in sorted((self.directory / "rootfs").rglob("*")):
            os.utime(path, (1520598896, 1520598896))
        finished = task.build()
        self.assertEqual(finished.returncode, 0, finished.stderr)
        report = json.loads(task.run_file("json").read_text())
        subprocess.run([image_build.TOOL, "verify", "%s:%s" % (imagetype, task.image)], check=True, capture_output=True)
        return report["digest"], task.image

    def test_attached(self):
        without, _ = self.build()
        self.document.parent.mkdir()
        self.document.write_text('{"a": "document"}')
        digest, layout = self.build()
        self.assertEqual(digest, without)

        index = json.loads((layout / "index.json").read_text())
        of_image = [entry["annotations"]["org.opencontainers.image.ref.name"] for entry in index["manifests"]
                    if entry["digest"] == digest]
        self.assertEqual(of_image, ["1.0", "latest"])
        (artifact,) = [entry for entry in index["manifests"] if entry.get("artifactType") == "application/spdx+json"]
        manifest = json.loads((layout / "blobs" / artifact["digest"].replace(":", "/")).read_text())
        self.assertEqual(manifest["subject"]["digest"], digest)
        (blob,) = manifest["layers"]
        self.assertEqual(blob["annotations"]["org.opencontainers.image.title"], DOCUMENT)
        self.assertEqual((layout / "blobs" / blob["digest"].replace(":", "/")).read_text(), '{"a": "document"}')

        _, archive = self.build("oci-archive")
        with tarfile.open(archive) as archived:
            listed = json.load(archived.extractfile("index.json"))["manifests"]
        self.assertEqual([entry["digest"] for entry in listed], [digest, digest])

    def test_an_image_on_it_needs_no_tag(self):
        self.document.parent.mkdir()
        self.document.write_text("{}")
        digest, layout = self.build()
        base = layout.rename(self.directory / "base")
        _, layout = self.build(OCI_BASE_IMAGE=str(base))
        index = json.loads((layout / "index.json").read_text())
        manifest = json.loads((layout / "blobs" / index["manifests"][0]["digest"].replace(":", "/")).read_text())
        self.assertEqual(manifest["annotations"]["org.opencontainers.image.base.digest"], digest)


if __name__ == "__main__":
    unittest.main()
