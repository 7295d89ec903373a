"""How umoci and buildah bake a rootfs, for the groups that bake one."""

from measure import Contestant

UMOCI_NEW = """
umoci init --layout "$OUT/result"
umoci new --image "$OUT/result:v1"
"""


def umoci_insert(name, tree):
    return Contestant(name, ["umoci"], UMOCI_NEW + f"""
umoci insert --image "$OUT/result:v1" "{tree}" /
""")


def buildah_commit(name, tree):
    return Contestant(name, ["buildah"], f"""
b() {{ buildah --root "$OUT/store" --runroot "$OUT/run" --storage-driver "${{STORAGE_DRIVER:-vfs}}" "$@"; }}
container=$(b from scratch)
b copy "$container" "{tree}" /
b commit "$container" localhost/bench
b push localhost/bench "oci:$OUT/result:v1"
""")
