# SPDX-License-Identifier: MIT
"""Reads layouts and archives without the tool, and reports what is wrong with them."""

import hashlib
import io
import json
import os
import pathlib
import tarfile

REF_NAME = "org.opencontainers.image.ref.name"


class Broken(Exception):
    """What is wrong, and where."""


def staging(root):
    """Names that the tool left behind."""
    return [str(path.relative_to(root)) for path in pathlib.Path(root).rglob("*") if ".ocibake-" in path.name
            and not path.name.endswith(".lock")]


def state(root):
    """Every name below a directory with its content, for comparison."""
    found = {}
    for directory, names, files in os.walk(root):
        for name in names + files:
            path = os.path.join(directory, name)
            relative = os.path.relpath(path, root)
            if os.path.islink(path):
                found[relative] = "-> " + os.readlink(path)
            elif os.path.isdir(path):
                found[relative] = "directory"
            elif os.path.isfile(path):
                with open(path, "rb") as file:
                    found[relative] = hashlib.sha256(file.read()).hexdigest()
    return found


def layout(path):
    """The images of a layout directory: by name and digest of the manifest or index; raises what is wrong."""
    path = pathlib.Path(path)
    return images(lambda name: (path / name).read_bytes(), str(path))


def archive(path):
    """The images of an archive of a layout."""
    with tarfile.open(path) as tar:
        files = {member.name.removeprefix("./"): tar.extractfile(member).read() for member in tar if member.isfile()}
    return images(files.__getitem__, str(path))


def images(read, where):
    """The pairs of name and digest, after reading everything that they lead to."""
    def document(name):
        try:
            return json.loads(read(name))
        except (OSError, KeyError, ValueError) as error:
            raise Broken("%s: %s: %r" % (where, name, error)) from error

    def follow(descriptor):
        digest = descriptor["digest"]
        try:
            raw = read("blobs/" + digest.replace(":", "/"))
        except (OSError, KeyError) as error:
            raise Broken("%s: %s is missing: %r" % (where, digest, error)) from error
        if len(raw) != descriptor["size"] or "sha256:" + hashlib.sha256(raw).hexdigest() != digest:
            raise Broken("%s: %s has other bytes" % (where, digest))
        if descriptor["mediaType"].endswith(("manifest.v1+json", "index.v1+json")):
            value = json.loads(raw)
            for child in value.get("manifests", []) + value.get("layers", []) + [value[key] for key in ("config",)
                                                                                 if key in value]:
                follow(child)

    if document("oci-layout").get("imageLayoutVersion") != "1.0.0":
        raise Broken("%s: oci-layout" % where)
    index = document("index.json")
    for descriptor in index["manifests"]:
        follow(descriptor)
    return sorted((descriptor.get("annotations", {}).get(REF_NAME, ""), descriptor["digest"])
                  for descriptor in index["manifests"])


def anything(root):
    """The images of every layout and archive in a directory, by its name."""
    found = {}
    for entry in sorted(pathlib.Path(root).iterdir()):
        if entry.name.startswith(".ocibake-"):
            continue
        if (entry / "index.json").exists() or (entry / "blobs").exists():
            found[entry.name] = layout(entry)
        elif entry.suffix == ".tar":
            found[entry.name] = archive(entry)
    return found
