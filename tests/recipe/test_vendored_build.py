# SPDX-License-Identifier: MIT
"""Build what the recipe fetches the way cargo.bbclass does: its files, its crates, and nothing else.

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
RECIPES = REPOSITORY / "recipes/ocibake"
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
    """The file:// entries of SRC_URI."""
    (recipe,) = RECIPES.glob("*.bb")
    names = re.findall(r"file://(\S+);subdir=\$\{BP\}", recipe.read_text(encoding="utf-8"))
    assert "src" in names
    for name in names:
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
    """cargo build --frozen without network and without a cargo home."""

    def test_build(self):
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
                "CARGO_TARGET_DIR": str(directory / "build"),
                "CARGO_NET_OFFLINE": "true",
                # As the recipe has it.
                "CARGO_PROFILE_RELEASE_STRIP": "none",
                # The test is about what is there, not about speed.
                "CARGO_PROFILE_RELEASE_OPT_LEVEL": "0",
                "CARGO_PROFILE_RELEASE_LTO": "off",
                "CARGO_PROFILE_RELEASE_CODEGEN_UNITS": "16",
            }
            host = re.search("^host: (.*)$", subprocess.check_output(["rustc", "-vV"], text=True), re.MULTILINE)[1]
            subprocess.run([CARGO, "build", "--frozen", "--target", host, "--profile=release",
                            "--manifest-path=%s" % (sources / "Cargo.toml")], check=True, cwd=directory, env=environment)
            built = directory / "build" / host / "release"
            # cargo_do_install takes every program that it finds.
            self.assertEqual([path.name for path in built.iterdir() if path.is_file() and os.access(path, os.X_OK)],
                             ["ocibake"])
            self.assertFalse(list(built.glob("examples/*")))
            # do_install:append
            pages = directory / "man1"
            pages.mkdir()
            subprocess.run([built / "ocibake", "man", pages], check=True)
            self.assertTrue((pages / "ocibake.1").is_file())
            for shell in ("bash", "zsh", "fish"):
                self.assertIn(b"ocibake", subprocess.check_output([built / "ocibake", "completions", shell]))


if __name__ == "__main__":
    unittest.main()
