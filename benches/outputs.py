"""Images as output: several platforms in one, other transports and compressions; beside buildah and skopeo."""

from measure import Contestant

ARCHITECTURES = ("amd64", "arm64", "riscv64", "s390x")

# Makes in $INPUT what the contestants read: `base`, the rootfs as an image whose layer is in gzip, in a layout and in an
# archive; `plain`, the same with a layer that is not compressed; one layout with a layer of its own for each architecture.
PREPARE = f"""
bake() {{ "$OCIBAKE" build "$ROOTFS" "$@" --threads "$THREADS" --quiet; }}
bake "oci:$INPUT/base" "oci-archive:$INPUT/base.tar" --arch amd64
bake "oci:$INPUT/plain" --arch amd64 --compression none
number=0
for architecture in {" ".join(ARCHITECTURES)}; do
    number=$((number + 1))
    bake "oci:$INPUT/$architecture" --arch "$architecture" --owner "0:$number"
done
"""


def layouts(prefix):
    return " ".join(f'"{prefix}$INPUT/{architecture}:latest"' for architecture in ARCHITECTURES)


def convert(source, target, flags=""):
    return f'"$OCIBAKE" convert "{source}" "{target}" --threads "$THREADS" --quiet {flags}'.strip()


def skopeo(source, target, flags=""):
    return f'skopeo --insecure-policy copy --quiet "{source}" "{target}" {flags}'.strip()


CONTESTANTS = {
    "index": Contestant("ocibake index", [], f'"$OCIBAKE" index {layouts("oci:")} "oci:$OUT/result:v1" --quiet'),
    "manifest": Contestant("buildah manifest", ["buildah"], """
b() { buildah --root "$OUT/store" --runroot "$OUT/run" --storage-driver "${STORAGE_DRIVER:-vfs}" "$@"; }
b manifest create list
for layout in """ + layouts("oci:") + """; do
    b manifest add list "$layout"
done
b manifest push --all --quiet list "oci:$OUT/result:v1"
"""),
    "to-archive": Contestant("ocibake convert, to an archive", [],
                             convert("oci:$INPUT/base:latest", "oci-archive:$OUT/result:v1")),
    "skopeo-to-archive": Contestant("skopeo copy, to an archive", ["skopeo"],
                                    skopeo("oci:$INPUT/base:latest", "oci-archive:$OUT/result:v1")),
    "to-layout": Contestant("ocibake convert, to a layout", [],
                            convert("oci-archive:$INPUT/base.tar:latest", "oci:$OUT/result:v1")),
    "skopeo-to-layout": Contestant("skopeo copy, to a layout", ["skopeo"],
                                   skopeo("oci-archive:$INPUT/base.tar:latest", "oci:$OUT/result:v1")),
    "to-docker": Contestant("ocibake convert, to a docker archive", [],
                            convert("oci:$INPUT/base:latest", "docker-archive:$OUT/result:app:v1")),
    # It keeps no layer compressed there.
    "skopeo-to-docker": Contestant("skopeo copy, to a docker archive", ["skopeo"],
                                   skopeo("oci:$INPUT/base:latest", "docker-archive:$OUT/result:app:v1")),
    "as-it-is": Contestant("ocibake convert, a layer in none as it is", [],
                           convert("oci:$INPUT/plain:latest", "oci-archive:$OUT/result:v1")),
    "compress": Contestant("ocibake convert, none to gzip", [],
                           convert("oci:$INPUT/plain:latest", "oci-archive:$OUT/result:v1", "--compression gzip")),
    # It compresses what is not compressed unless told otherwise.
    "skopeo-compress": Contestant("skopeo copy, none to gzip", ["skopeo"],
                                  skopeo("oci:$INPUT/plain:latest", "oci-archive:$OUT/result:v1")),
    "recompress": Contestant("ocibake convert, gzip to zstd", [],
                             convert("oci:$INPUT/base:latest", "oci:$OUT/result:v1", "--compression zstd")),
    "skopeo-recompress": Contestant("skopeo copy, gzip to zstd", ["skopeo"],
                                    skopeo("oci:$INPUT/base:latest", "oci:$OUT/result:v1",
                                           "--dest-compress-format zstd")),
}
# Where nothing is compressed anew, and skopeo does what it does unasked.
TARGETS = [
    ("to-archive", "seconds", "skopeo-to-archive", 1.20),
    ("to-layout", "seconds", "skopeo-to-layout", 1.20),
    ("to-docker", "seconds", "skopeo-to-docker", 0.50),
    ("as-it-is", "seconds", "skopeo-compress", 0.50),
]
PEERS = {key: peer for key, _, peer, _ in TARGETS} | {
    "index": "manifest", "compress": "skopeo-compress", "recompress": "skopeo-recompress",
}
INDEX_TARGET = 10  # milliseconds a layout
