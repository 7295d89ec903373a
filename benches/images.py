"""Images as input: what is built on a base, squashed and unpacked, beside umoci."""

import subprocess

from footprint import make_files
from measure import Contestant, census, print_table, say

# Makes in $INPUT what the contestants read: `base`, the rootfs as an image; `changed`, the rootfs with one byte more in
# every hundredth of its files; `cache`, which knows the base; `layers`, the rootfs in ten layers.
PREPARE = """
bake() { "$OCIBAKE" build "$@" --arch "$(uname -m)" --threads "$THREADS" --quiet; }
bake "$ROOTFS" "oci:$INPUT/base"

cp -a "$ROOTFS" "$INPUT/changed"
(cd "$ROOTFS" && find . -type f -links 1 -print0 | LC_ALL=C sort -z | sed -z -n '50~100p') > "$INPUT/changes"
(cd "$INPUT/changed" && xargs -0 sh -c 'for file; do echo >> "$file"; done' sh) < "$INPUT/changes"
bake "$INPUT/changed" "oci:$INPUT/warm" --base "oci:$INPUT/base" --cache "$INPUT/cache"
rm -r "$INPUT/warm"

(cd "$ROOTFS" && find . -mindepth 1 -print0 | LC_ALL=C sort -z) > "$INPUT/entries"
split -t '\\0' -n l/10 -d -a 1 "$INPUT/entries" "$INPUT/part-"
mkdir "$INPUT/growing"
base=()
for part in "$INPUT"/part-?; do
    tar -C "$ROOTFS" --no-recursion --null -T "$part" -cf - | tar -C "$INPUT/growing" -xpf -
    bake "$INPUT/growing" "oci:$INPUT/layers" "${base[@]}"
    base=(--base "oci:$INPUT/layers")
done
rm -r "$INPUT/growing"
"""

OCIBAKE = '--threads "$THREADS" --quiet'
BUILD = '"$OCIBAKE" build "$INPUT/changed" "oci:$OUT/result" --arch "$(uname -m)" --base "oci:$INPUT/base" ' + OCIBAKE
SQUASH = '"$OCIBAKE" squash "oci:$INPUT/layers" "oci:$OUT/result" ' + OCIBAKE

CONTESTANTS = {
    "base": Contestant("ocibake --base", [], BUILD),
    "repack": Contestant("umoci unpack, repack", ["umoci"], """
cp -al "$INPUT/base" "$OUT/result"
umoci unpack --image "$OUT/result:latest" "$OUT/bundle"
(cd "$INPUT/changed" && xargs -0 cp -a --parents -t "$OUT/bundle/rootfs") < "$INPUT/changes"
umoci repack --image "$OUT/result:latest" "$OUT/bundle"
"""),
    "cached": Contestant("ocibake --base --cache", [], BUILD + ' --cache "$INPUT/cache"'),
    "hash-changed": Contestant("tar, sha256", ["tar", "openssl"],
                               'tar -C "$INPUT/changed" -cf - . | openssl dgst -sha256'),
    "squash": Contestant("ocibake squash", [], SQUASH),
    "merge": Contestant("umoci unpack, insert", ["umoci"], """
umoci unpack --image "$INPUT/layers:latest" "$OUT/bundle"
umoci init --layout "$OUT/result"
umoci new --image "$OUT/result:v1"
umoci insert --image "$OUT/result:v1" "$OUT/bundle/rootfs" /
"""),
    "unpack": Contestant("ocibake unpack", [], '"$OCIBAKE" unpack "oci:$INPUT/base" "$OUT/tree" --quiet'),
    "umoci-unpack": Contestant("umoci unpack", ["umoci"], 'umoci unpack --image "$INPUT/base:latest" "$OUT/bundle"'),
}
TARGETS = [
    ("base", "seconds", "repack", 0.35),
    ("cached", "seconds", "hash-changed", 1.30),
    ("squash", "seconds", "merge", 0.60),
    ("unpack", "seconds", "umoci-unpack", 0.70),
]
PEERS = {key: peer for key, _, peer, _ in TARGETS}
ENTRY_TARGET = 400  # bytes of memory, beyond the entry's name

# Trees of nothing but entries: all of them in the base and in the rootfs, and in one layer that is squashed.
PREPARE_ENTRIES = """
"$OCIBAKE" build "$ROOTFS" "oci:$INPUT/base" --arch "$(uname -m)" --quiet
ln -s base "$INPUT/layers"
ln -s "$ROOTFS" "$INPUT/changed"
"""


def prepare(bench, script, tree, threads):
    """Runs one of the scripts above, for what is measured on a tree; whatever was there is made anew."""
    say(f"preparing what is read: {tree.name}")
    bench.fresh_input(tree)
    command = ["bash", "-euo", "pipefail", "-c", script]
    environment = bench.environment_for(tree, threads)
    subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)


def path_bytes(tree):
    """How long all paths of a tree are together, as they stand in a layer."""
    return sum(len(str(path.relative_to(tree)).encode()) for path in tree.rglob("*"))


def print_entry_memory(bench, build):
    """How memory grows with entries; returns the worst in bytes an entry beyond its name.

    `build --base` holds two trees, so that each path is an entry of the base and one of the rootfs.
    """
    half, whole = build / "many-half", build / "many"
    say("memory by entries: 100,000 and 200,000 empty files in an image")
    make_files(half, 1000, b"")
    make_files(whole, 2000, b"")
    contestants, trees = [CONTESTANTS["base"], CONTESTANTS["squash"]], [2, 1]
    peaks = {}
    for tree in (half, whole):
        prepare(bench, PREPARE_ENTRIES, tree, 2)
        peaks[tree] = [bench.run(contestant, tree, 2).peak for contestant in contestants]
    more = census(whole)[0] - census(half)[0]
    name = (path_bytes(whole) - path_bytes(half)) / more
    rows, worst = [], 0
    for contestant, count, small, large in zip(contestants, trees, peaks[half], peaks[whole]):
        growth = (large - small) / more / count
        worst = max(worst, growth - name)
        rows.append([contestant.name, str(count), f"{growth:.0f}", f"{name:.0f}", f"{growth - name:.0f}"])
    print("## Memory with each entry more of a tree, bytes\n")
    print_table(["", "trees", "growth", "of it the path", "beyond"], rows)
    return worst
