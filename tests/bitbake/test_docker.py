# SPDX-License-Identifier: MIT
"""The image type for every version of Docker."""

import gzip
import io
import json
import os
import re
import tarfile

import test_image
from layer_entries import entries_of_tar


class DockerArchive(test_image.BakedTest):
    """The archive beside the layout of the same rootfs."""

    configuration = ('IMAGE_FSTYPES:forcevariable = "tar oci docker-archive docker-archive.gz docker-archive.sha256sum"\n'
                     'OCI_IMAGE_TAG = "1.0 registry.example:5000/app:v2"\nOCI_IMAGE_NAME = "acme/app"\n')

    def test_names(self):
        links = {path.name: os.readlink(path) for path in self.images.iterdir() if path.is_symlink() and "docker" in path.name}
        (image,) = {target for name, target in links.items() if name.endswith(".tar")}
        self.assertRegex(image, r"^%s-qemux86-64\.rootfs-\d+\.docker-archive$" % test_image.RECIPE)
        linked = "%s-qemux86-64.rootfs.docker-archive" % test_image.RECIPE
        self.assertEqual(links, {
            linked: image, linked + ".gz": image + ".gz", linked + ".sha256sum": image + ".sha256sum",
            test_image.RECIPE + "-1.0-docker.tar": image,
            test_image.RECIPE + "-registry.example_5000_app_v2-docker.tar": image})
        self.assertEqual(gzip.decompress((self.images / (image + ".gz")).read_bytes()), (self.images / image).read_bytes())
        self.assertFalse([name for name in os.listdir(self.images) if re.search("ocibake", name)])

    def test_what_docker_reads(self):
        layout = self.layout("1.0")
        with tarfile.open(self.images / (test_image.RECIPE + "-1.0-docker.tar")) as archive:
            (image,) = json.load(archive.extractfile("manifest.json"))
            self.assertEqual(image["RepoTags"], ["acme/app:1.0", "registry.example:5000/app:v2"])
            config = json.load(archive.extractfile(image["Config"]))
            (layer,) = image["Layers"]
            raw = archive.extractfile(layer).read()
        self.assertEqual(config["rootfs"], layout.config["rootfs"])
        self.assertEqual(config["config"], layout.config["config"])
        raw = gzip.decompress(raw) if raw.startswith(b"\x1f\x8b") else raw
        self.assertEqual(entries_of_tar(io.BytesIO(raw)), layout.entries())

    def test_a_bad_name_is_one_line_before_anything_is_made(self):
        self.addCleanup(self.bake, self.configuration)
        self.build.configure(self.configuration + 'OCI_IMAGE_NAME:forcevariable = "Not A Name"\n')
        run = self.build.bake(test_image.RECIPE)
        self.assertNotEqual(run.status, 0)
        (error,) = [line for line in run.errors if "do_oci_check: " in line]
        self.assertIn("Not A Name", error)
