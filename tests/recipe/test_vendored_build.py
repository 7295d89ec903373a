# SPDX-License-Identifier: MIT
"""Check what the recipe fetches the way cargo.bbclass does: its files, its crates, and nothing else.

The crates come from cargo's own download cache, which `cargo fetch` fills.
"""

import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
RECIPES = REPOSITORY / "recipes-devtools/ocibake"
CARGO = os.environ.get("CARGO", "cargo")

# cargo_common_do_configure
CONFIGURATION = """\
[source.bitbake]
directory = "%s"

[source.crates-io]
replace-with = "bitbake"
local-registry = "/nonexistent"
"""


def unpack_sources(directory):
    """What of the checkout a build needs."""
    for name in ("Cargo.lock", "Cargo.toml", "LICENSE", "benches/encoder.rs", "src"):
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (REPOSITORY / name).is_dir() else shutil.copy
        copy(REPOSITORY / name, directory / name)


def unpack_crates(directory):
    """The crate:// entries, as BitBake's fetcher for crates checks and unpacks them."""
    home = pathlib.Path(os.environ.get("CARGO_HOME", pathlib.Path.home() / ".cargo"))
    checksums = re.findall(r'SRC_URI\[(\S+)\.sha256sum\] = "(\w+)"', (RECIPES / "ocibake-crates.inc").read_text())
    for crate, checksum in checksums:
        path = next(home.glob("registry/cache/*/%s.crate" % crate))
        assert hashlib.sha256(path.read_bytes()).hexdigest() == checksum, path
        subprocess.run(["tar", "-xz", "--no-same-owner", "-f", path, "-C", directory], check=True)
        (directory / crate / ".cargo-checksum.json").write_text(json.dumps({"files": {}, "package": checksum}))


class VendoredBuild(unittest.TestCase):
    """cargo without network and without a cargo home finds all that it needs.

    Nothing is compiled: the crates are those of Cargo.lock by their checksums, with which everything else here is built.
    """

    def test_resolve(self):
        subprocess.run([CARGO, "fetch", "--locked", "--manifest-path", REPOSITORY / "Cargo.toml"], check=True)
        with tempfile.TemporaryDirectory() as directory:
            directory = pathlib.Path(directory)
            sources, crates = directory / "sources", directory / "cargo_home/bitbake"
            sources.mkdir()
            crates.mkdir(parents=True)
            unpack_sources(sources)
            unpack_crates(crates)
            (directory / "cargo_home/config.toml").write_text(CONFIGURATION % crates)
            environment = {
                **os.environ,
                "CARGO_HOME": str(directory / "cargo_home"),
                "RUSTUP_HOME": os.environ.get("RUSTUP_HOME", str(pathlib.Path.home() / ".rustup")),
                "CARGO_NET_OFFLINE": "true",
            }
            host = re.search("^host: (.*)$", subprocess.check_output(["rustc", "-vV"], text=True), re.MULTILINE)[1]
            metadata = json.loads(subprocess.check_output(
                [CARGO, "metadata", "--frozen", "--format-version=1", "--filter-platform=" + host,
                 "--manifest-path=%s" % (sources / "Cargo.toml")], cwd=directory, env=environment))
            elsewhere = [package["name"] for package in metadata["packages"] if package["name"] != "ocibake"
                         and not package["manifest_path"].startswith(str(crates) + "/")]
            self.assertEqual(elsewhere, [])
            # cargo_do_install takes every program and example that was built.
            built = [(target["name"], kind) for package in metadata["packages"] if package["name"] == "ocibake"
                     for target in package["targets"] for kind in target["kind"] if kind in ("bin", "example")]
            self.assertEqual(built, [("ocibake", "bin")])


if __name__ == "__main__":
    unittest.main()
