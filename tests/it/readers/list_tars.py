"""Lists every archive of a directory as GNU tar, libarchive and Python's tarfile read it: one JSON object per reader.

Names are in hex. A reader that complains about an archive has no list of it, but a text.
"""

import io
import json
import os
import re
import subprocess
import sys
import tarfile

KINDS = {
    tarfile.DIRTYPE: "directory",
    tarfile.REGTYPE: "file",
    tarfile.AREGTYPE: "file",
    tarfile.CONTTYPE: "file",
    tarfile.GNUTYPE_SPARSE: "file",
    tarfile.SYMTYPE: "symlink",
    tarfile.LNKTYPE: "hardlink",
    tarfile.CHRTYPE: "char",
    tarfile.BLKTYPE: "block",
    tarfile.FIFOTYPE: "fifo",
    b"D": "directory",
}
LETTERS = {"d": "directory", "-": "file", "C": "file", "l": "symlink", "h": "hardlink", "c": "char", "b": "block", "p": "fifo"}
# GNU tar's line: type and mode, owner, size or device, time, quoted name, and where a link leads to.
LINE = re.compile(rb'(.)([rwxsStT-]{9}) (-?\d+)/(-?\d+) +(?:(\d+),(\d+)|(\d+)) (-?\d+-\d\d-\d\d \d\d:\d\d:\d\d)(?:\.\d+)? +'
                  rb'"((?:[^"\\]|\\.)*)"(?: (?:->|link to) "((?:[^"\\]|\\.)*)")?')
ESCAPES = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}


def unquoted(text):
    """The bytes that GNU tar quotes as C does."""
    def byte(match):
        word = match.group(1)
        return bytes([int(word, 8)]) if word.isdigit() else ESCAPES.get(word, word)
    return re.sub(rb"\\([0-7]{3}|.)", byte, text, flags=re.DOTALL)


def name(raw):
    """A name in its shortest form."""
    return b"/".join(part for part in raw.split(b"/") if part not in (b"", b".")).hex()


def entry(raw, kind, mode, uid, gid, mtime, size=0, link=b"", device=(0, 0)):
    """What all readers say of a member; of a link, what it leads to."""
    if kind == "hardlink":
        link = bytes.fromhex(name(link))
    return [name(raw), kind, mode & 0o7777, uid, gid, mtime, size if kind == "file" else 0,
            link.hex() if kind in ("symlink", "hardlink") else "", list(device) if kind in ("char", "block") else [0, 0]]


def mode_of(letters):
    """The number of `rwxr-xr-x`."""
    mode = 0
    for at, letter in enumerate(letters.decode()):
        mode |= (1 << (8 - at)) if letter in "rwxst" else 0
        mode |= {2: 0o4000, 5: 0o2000, 8: 0o1000}.get(at, 0) if letter in "sStT" else 0
    return mode


def seconds(text):
    """Seconds since the epoch: `datetime` knows no year 0 and no year beyond 9999."""
    year, month, day, hour, minute, second = map(int, re.fullmatch(
        r"(-?\d+)-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)", text).groups())
    year -= month <= 2
    era, of_era = divmod(year, 400)
    of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    days = era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468
    return days * 86400 + hour * 3600 + minute * 60 + second


def by_gnu_tar(path):
    """What GNU tar lists."""
    command = ["tar", "-tvv", "--numeric-owner", "--full-time", "--utc", "--quoting-style=c", "-f", path]
    ended = subprocess.run(command, env={**os.environ, "LC_ALL": "C"}, capture_output=True, check=False)
    # It also complains of what is odd, with status 0.
    if ended.returncode:
        return ended.stderr.decode(errors="replace")
    listed = []
    for line in ended.stdout.splitlines():
        # The name of the archive is none of its members.
        if line.startswith(b"V"):
            continue
        match = LINE.fullmatch(line)
        if not match:
            return "a line that is not understood: %r" % line
        letter, mode, uid, gid, major, minor, size, time, raw, link = match.groups()
        listed.append(entry(unquoted(raw), LETTERS[letter.decode()], mode_of(mode), int(uid), int(gid), seconds(time.decode()),
                            int(size or 0), unquoted(link or b""), (int(major or 0), int(minor or 0))))
    return listed


def by_tarfile(archive, is_theirs=True):
    """What Python lists, of an archive or of what libarchive made of one."""
    listed = []
    with tarfile.open(fileobj=archive, mode="r:", encoding="utf-8", errors="surrogateescape") as tar:
        for member in tar:
            if member.type == b"V":
                continue
            if member.type not in KINDS:
                return "a member of type %r" % member.type
            raw = lambda text: text.encode("utf-8", "surrogateescape")
            # A number with a fraction is one with little precision.
            time = int(member.pax_headers.get("mtime", str(int(member.mtime))).partition(".")[0] or 0)
            time -= "." in member.pax_headers.get("mtime", "") and member.pax_headers["mtime"].startswith("-")
            listed.append(entry(raw(member.name), KINDS[member.type], member.mode, member.uid, member.gid, time, member.size,
                                raw(member.linkname), (member.devmajor, member.devminor)))
    # It takes a damaged header for the end.
    if is_theirs and archive.read().strip(b"\0"):
        return "something after the end"
    return listed


def by_python(path):
    """What Python's tarfile lists."""
    with open(path, "rb") as archive:
        try:
            return by_tarfile(archive)
        except (tarfile.TarError, ValueError, OverflowError, EOFError, OSError) as error:
            return repr(error)


def by_libarchive(path):
    """What Python lists of the archive that bsdtar makes of this one."""
    command = ["bsdtar", "-cPf", "-", "--format=pax", "--options=hdrcharset=BINARY", "@" + path]
    ended = subprocess.run(command, env={**os.environ, "LC_ALL": "C"}, capture_output=True, check=False)
    if ended.returncode:
        return ended.stderr.decode(errors="replace")
    return by_tarfile(io.BytesIO(ended.stdout), is_theirs=False)


READERS = {"GNU tar": by_gnu_tar, "libarchive": by_libarchive, "tarfile": by_python}

for file in sorted(os.listdir(sys.argv[1])):
    path = os.path.join(sys.argv[1], file)
    print(json.dumps({"archive": file, **{reader: read(path) for reader, read in READERS.items()}}))
