# SPDX-License-Identifier: MIT
"""The entries of a tar archive, and of the one layer of an OCI layout, in a form that compares."""

import gzip
import hashlib
import io
import json
import pathlib
import tarfile


def entries_of_tar(stream):
    """A map from paths to all properties of their entries; hard links are the set of their names."""
    entries = {}
    links = {}
    with tarfile.open(fileobj=stream) as archive:
        for member in archive:
            path = member.name.removeprefix("./").strip("/") or "."
            if member.islnk():
                first = member.linkname.removeprefix("./")
                links.setdefault(first, {first}).add(path)
                continue
            entries[path] = {
                "type": member.type,
                "mode": oct(member.mode),
                "owner": (member.uid, member.gid),
                "mtime": int(member.mtime),
                "target": member.linkname,
                "device": (member.devmajor, member.devminor) if member.ischr() or member.isblk() else None,
                "content": hashlib.sha256(archive.extractfile(member).read()).hexdigest() if member.isreg() else None,
                "attributes": {k: v for k, v in member.pax_headers.items() if k.startswith("SCHILY.xattr.")},
            }
    for first, names in links.items():
        entry = entries.pop(first)
        entries.update({name: {**entry, "links": sorted(names)} for name in names})
    return entries


def unpacked(raw):
    """A layer's tar."""
    return gzip.decompress(raw)


class Layout:
    """An OCI layout, read without the tool that wrote it."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.index = json.loads((self.path / "index.json").read_bytes())
        self.descriptor = self.index["manifests"][0]
        self.manifest = json.loads(self.blob(self.descriptor))
        self.config = json.loads(self.blob(self.manifest["config"]))

    @property
    def digest(self):
        """The manifest's digest."""
        return self.descriptor["digest"]

    def blob(self, descriptor):
        """A blob's bytes, its size and digest checked."""
        raw = (self.path / "blobs" / descriptor["digest"].replace(":", "/")).read_bytes()
        assert len(raw) == descriptor["size"] and "sha256:" + hashlib.sha256(raw).hexdigest() == descriptor["digest"]
        return raw

    def attached(self):
        """The manifests of what is attached to the image."""
        found = {entry["digest"]: entry for entry in self.index["manifests"]}
        manifests = [json.loads(self.blob(entry)) for entry in found.values() if "manifest" in entry["mediaType"]]
        return [manifest for manifest in manifests if manifest.get("subject", {}).get("digest") == self.digest]

    def blobs(self):
        """The names of all blobs."""
        return {"sha256:" + path.name for path in (self.path / "blobs/sha256").iterdir()}

    def referenced(self):
        """The digests that the index leads to."""
        return {self.digest, self.manifest["config"]["digest"], *(layer["digest"] for layer in self.manifest["layers"])}

    def entries(self):
        """The entries of the only layer."""
        (layer,) = self.manifest["layers"]
        raw = unpacked(self.blob(layer))
        assert ["sha256:" + hashlib.sha256(raw).hexdigest()] == self.config["rootfs"]["diff_ids"]
        return entries_of_tar(io.BytesIO(raw))

    def folded(self):
        """The entries of all layers; a later layer's win."""
        entries = {}
        for layer in self.manifest["layers"]:
            entries.update(entries_of_tar(io.BytesIO(unpacked(self.blob(layer)))))
        return entries
