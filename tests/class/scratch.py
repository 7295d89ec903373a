# SPDX-License-Identifier: MIT
"""Directories for tests, at paths that every user can reach and every tool accepts: see src/testing/place.rs."""

import os
import pathlib
import shutil
import tempfile
import unittest

CLONE = pathlib.Path(__file__).resolve().parents[2]


def place():
    """The directory of this clone and this user."""
    found = CLONE.stat()
    path = pathlib.Path(os.environ.get("OCIBAKE_TEST_DIR", "/var/tmp"), "ocibake-tests-%d" % os.geteuid(),
                        "%d-%d" % (found.st_dev, found.st_ino))
    for directory in (path.parent, path):
        directory.mkdir(exist_ok=True)
        if directory.lstat().st_uid != os.geteuid():
            raise PermissionError("`%s` belongs to somebody else" % directory)
        directory.chmod(0o755)
    return path


class TestCase(unittest.TestCase):
    """A test with a directory that is removed if the test passes, and kept for inspection if it fails."""

    def run(self, result=None):
        self._directory = pathlib.Path(tempfile.mkdtemp(prefix=self.id().rpartition(".")[2].lower() + "-", dir=place()))
        self._directory.chmod(0o755)
        result = self.defaultTestResult() if result is None else result
        faults = len(result.failures) + len(result.errors)
        super().run(result)
        if len(result.failures) + len(result.errors) == faults:
            shutil.rmtree(self._directory)
        else:
            print("left for a look: %s" % self._directory)
        return result

    def make_directory(self):
        """A fresh directory."""
        return pathlib.Path(tempfile.mkdtemp(dir=self._directory))
