"""A rootfs is baked again after little or nothing of it changed, with the compressed blocks of the last time at hand."""

import json
import os
import random
import subprocess
import time
from pathlib import Path
from statistics import median

from measure import Contestant, print_table, say
from peers import buildah_commit, umoci_insert

# Makes in $INPUT two changed rootfs: `few`, where the files of some recipes have another byte at their end, until one file in a
# hundred has; and `random`, where one file in a hundred has, wherever it is. And the caches that know the rootfs as it was.
PREPARE = """
bake() { "$OCIBAKE" build "$@" --arch "$(uname -m)" --threads "$THREADS" --quiet; }
(cd "$ROOTFS" && find . -type f -links 1 -print0 | LC_ALL=C sort -z) > "$INPUT/files"
count=$(($(tr -cd '\\0' < "$INPUT/files" | wc -c) / 100))
shuf -z --random-source="$INPUT/files" -n "$count" "$INPUT/files" > "$INPUT/random.files"
cat $(ls "$ROOTFS"/var/lib/dpkg/info/*.list | shuf --random-source="$INPUT/files") \
    | sed 's,^,.,' | tr '\\n' '\\0' > "$INPUT/owned"
LC_ALL=C grep -zxFf <(tr '\\0' '\\n' < "$INPUT/files") "$INPUT/owned" | sed -z -n "1,${count}p" > "$INPUT/few.files"
for changed in few random; do
    cp -a "$ROOTFS" "$INPUT/$changed"
    (cd "$INPUT/$changed" && xargs -0 sh -c 'for file; do echo >> "$file"; done' sh) < "$INPUT/$changed.files"
done
for compression in gzip zstd; do
    bake "$ROOTFS" "oci:$INPUT/$compression" --compression "$compression" --cache "$INPUT/cache-$compression"
done
bake "$ROOTFS" "oci:$INPUT/layers" --layers packages --cache "$INPUT/cache-layers"
"""


def rebuild(name, tree, compression, *flags, cache=True):
    """Each run has a cache that knows the rootfs as it was: what it adds itself goes again, for links cost nothing."""
    kept = f'cp -al "$INPUT/cache-{cache}" "$OUT/cache"\n' if cache in ("gzip", "zstd", "layers") else ""
    flags = [*flags, *(['--cache "$OUT/cache"'] if cache else [])]
    return Contestant(name, [], kept + " ".join([
        f'"$OCIBAKE" build "{tree}" "oci:$OUT/result" --arch "$(uname -m)" --threads "$THREADS" --quiet',
        f"--compression {compression}", *flags]))


ROOTFS, FEW, RANDOM = "$ROOTFS", "$INPUT/few", "$INPUT/random"
CONTESTANTS = {"scan": rebuild("reading and hashing", ROOTFS, "none", cache=False)}
for compression in ("gzip", "zstd"):
    CONTESTANTS |= {
        f"clean-{compression}": rebuild(f"{compression}, no cache", ROOTFS, compression, cache=False),
        f"cold-{compression}": rebuild(f"{compression}, an empty cache", ROOTFS, compression, cache="new"),
        f"same-{compression}": rebuild(f"{compression}, nothing changed", ROOTFS, compression, cache=compression),
        f"few-{compression}": rebuild(f"{compression}, 1% of the files, of a few recipes", FEW, compression, cache=compression),
        f"random-{compression}": rebuild(f"{compression}, 1% of the files, at random", RANDOM, compression, cache=compression),
    }
PACKAGES = ("--layers packages",)
CONTESTANTS |= {
    "clean-layers": rebuild("gzip, layers by recipe, no cache", ROOTFS, "gzip", *PACKAGES, cache=False),
    "same-layers": rebuild("gzip, layers by recipe, nothing changed", ROOTFS, "gzip", *PACKAGES, cache="layers"),
    "few-layers": rebuild("gzip, layers by recipe, 1% of a few recipes", FEW, "gzip", *PACKAGES, cache="layers"),
    "insert-again": umoci_insert("umoci insert, whole again", FEW),
    "buildah-again": buildah_commit("buildah, whole again", FEW),
}
# Who is compared with whom.
CLEAN = {key: "clean-layers" if key.endswith("-layers") else "clean-gzip" for key in CONTESTANTS}

TARGETS = [
    ("same-gzip", "seconds", "clean-gzip", 0.30),
    ("same-gzip", "seconds", "scan", 1.30),
    ("same-zstd", "seconds", "clean-gzip", 0.30),
    ("same-zstd", "seconds", "scan", 1.30),
    ("few-gzip", "seconds", "clean-gzip", 0.35),
    ("few-zstd", "seconds", "clean-zstd", 0.35),
    ("random-gzip", "seconds", "clean-gzip", 0.55),
    ("random-zstd", "seconds", "clean-zstd", 0.55),
    ("cold-gzip", "seconds", "clean-gzip", 1.05),
    ("cold-zstd", "seconds", "clean-zstd", 1.05),
    ("same-layers", "seconds", "clean-layers", 0.30),
    ("few-layers", "seconds", "clean-layers", 0.35),
    ("clean-layers", "seconds", "clean-gzip", 1.10),
    ("clean-layers", "size", "clean-gzip", 1.03),
]
PLAN_TARGET = 500  # milliseconds, beside scanning
BLOCKS_TARGET = 3  # that are new after one edit, on average
EDITS = 30


def new_blocks(ocibake, tree, threads, directory):
    """How many blocks one edit makes new, on average, for each of three kinds. The tree is the one that was prepared as
    `random`, and is changed."""
    edited, cache = tree / "random", directory / "edits"
    rng = random.Random(1)
    files = (tree / "files").read_bytes().decode(errors="surrogateescape").rstrip("\0").split("\0")

    def bake():
        report = subprocess.run(
            [ocibake, "build", edited, f"oci:{directory / 'edited'}", "--arch", "amd64", "--compression", "gzip:1", "--threads",
             str(threads), "--cache", cache, "--json", "--quiet"], capture_output=True, check=True)
        stats = json.loads(report.stdout)["stats"]
        return stats["blocks"] - stats["cached_blocks"]

    bake()
    counts = {"added": [], "grown": [], "gone": []}
    for number in range(EDITS):
        path = edited / rng.choice(files)
        kind = list(counts)[number % 3]
        if kind == "added":
            Path(f"{path}-{number}").write_bytes(rng.randbytes(int(rng.lognormvariate(9, 1.5))))
        elif kind == "grown" and path.exists():
            with path.open("ab") as file:
                file.write(rng.randbytes(5_000))
        elif path.exists():
            path.unlink()
        counts[kind].append(bake())
        say(f"edit {number + 1} of {EDITS}: {counts[kind][-1]} blocks are new")
    return {kind: sum(new) / len(new) for kind, new in counts.items()}


def planning(ocibake, rootfs, rounds):
    """Milliseconds that a plan takes beside a scan, which a build to nowhere does too: the difference of medians."""
    def seconds(*words):
        start = time.perf_counter()
        subprocess.run([ocibake, *words], stdout=subprocess.DEVNULL, check=True)
        return time.perf_counter() - start

    planned, scanned = [], []
    for _ in range(rounds):
        planned.append(seconds("plan", rootfs))
        # It scans, reads no content of files, and plans one line.
        scanned.append(seconds("plan", rootfs, "--layers", "all=*", "--package-map", os.devnull))
    return (median(planned) - median(scanned)) * 1000


def print_blocks(counts):
    print("## Blocks that are new after an edit of one file, on average\n")
    print_table(["", "blocks"], [[kind, f"{count:.1f}"] for kind, count in counts.items()])
    return sum(counts.values()) / len(counts)
