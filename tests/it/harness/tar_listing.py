"""Lists a tar as JSON, bytes in hex, as read by Python's tarfile."""

import hashlib
import json
import sys
import tarfile


def raw(text):
    return text.encode("utf-8", "surrogateescape").hex()


def name(text):
    return raw("" if text in (".", "./") else text)


KINDS = {
    tarfile.DIRTYPE: "d",
    tarfile.REGTYPE: "f",
    tarfile.SYMTYPE: "l",
    tarfile.LNKTYPE: "h",
    tarfile.CHRTYPE: "c",
    tarfile.BLKTYPE: "b",
    tarfile.FIFOTYPE: "p",
}

# PAX only for what ustar cannot express: no access times, no user names, nothing about the machine.
SAID = {"path", "linkpath", "uid", "gid", "size", "mtime", "hdrcharset"}

listing = []
with tarfile.open(sys.argv[1], "r:", encoding="utf-8", errors="surrogateescape") as tar:
    for member in tar:
        prefix = "SCHILY.xattr."
        entry = {
            "path": name(member.name),
            "kind": KINDS[member.type],
            "mode": member.mode,
            "uid": member.uid,
            "gid": member.gid,
            "mtime": int(member.mtime),
            "size": member.size,
            "link": raw(member.linkname),
            "major": member.devmajor,
            "minor": member.devminor,
            "xattrs": {
                raw(key[len(prefix) :]): raw(value)
                for key, value in member.pax_headers.items()
                if key.startswith(prefix)
            },
        }
        unexpected = {key for key in member.pax_headers if key not in SAID and not key.startswith(prefix)}
        assert not unexpected, (member.name, unexpected)
        assert member.uname == "" and member.gname == "", member.name
        assert member.mtime == int(member.mtime), member.name
        if member.isreg():
            content = tar.extractfile(member)
            digest = hashlib.sha256()
            while block := content.read(1 << 20):
                digest.update(block)
            entry["sha256"] = digest.hexdigest()
        listing.append(entry)
json.dump(listing, sys.stdout)
