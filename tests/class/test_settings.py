# SPDX-License-Identifier: MIT
"""The variables file that the class writes, parsed by the quoting rules of a POSIX shell."""

import re
import shlex
import unittest

import bbclass
import image_build
import scratch

HOSTILE = [
    "two words",
    "  blanks around  ",
    "it's",
    'say "hi"',
    "'single' \"double\"",
    "$PATH ${PATH} $(touch pwned) `touch pwned`",
    "back\\slash \\n \\",
    "line\nbreak\n",
    "tab\there",
    "größe 日本語 \U0001f35e",
    "a;b|c&d>e<f*g?h[i]j{k}l~m!n#o",
    "# no comment",
    "--flag",
    "=",
    "%s %d %%",
]


def read_back(text):
    """The variables file as a dictionary."""
    return dict(word.split("=", 1) for word in shlex.split(text, comments=True))


class VariablesFile(scratch.TestCase):
    """From datastore to file."""

    def vars_of(self, **variables):
        """The file that a recipe with these variables gets."""
        directory = self.make_directory()
        task = image_build.Task(directory, variables, tool=None)
        return read_back(task.prepare())

    def test_every_variable_travels_as_it_is(self):
        names = bbclass.defaults()["OCI_VARIABLES"].split()
        # The class adds to labels and annotations, gives the name to archives alone (see below), renames the old form of
        # OCI_IMAGE_CMD, and resolves the base.
        others = {"OCI_IMAGE_LABELS", "OCI_IMAGE_ANNOTATIONS", "OCI_IMAGE_NAME", "OCI_IMAGE_ENTRYPOINT_ARGS",
                  "OCI_BASE_IMAGE", "OCI_BASE_IMAGE_MODE"}
        # The class itself needs these for the names of its links.
        read_here = {"OCI_IMAGE_TAG"}
        for name in sorted(set(names) - others):
            for value in HOSTILE:
                # ${…} in a datastore is BitBake's own syntax, so no value can hold it.
                with self.subTest(name=name, value=value):
                    value = value.replace("${PATH}", "${}")
                    value = shlex.quote(value) if name in read_here else value
                    self.assertEqual(self.vars_of(**{name: value})[name], value)

    def test_labels_and_annotations_keep_what_was_written_at_their_end(self):
        for name in ("OCI_IMAGE_LABELS", "OCI_IMAGE_ANNOTATIONS"):
            # Each is a separate word; a list with an open quote is refused.
            for value in ["key=" + shlex.quote(value) for value in HOSTILE]:
                with self.subTest(name=name, value=value):
                    value = value.replace("${PATH}", "${}")
                    written = self.vars_of(**{name: value, "SUMMARY": "it's $(so) `odd`\n\"here\""})[name]
                    self.assertTrue(written.endswith(" " + value))
                    automatic = shlex.split(written[: -len(value)])
                    self.assertIn("org.opencontainers.image.description=it's $(so) `odd`\n\"here\"", automatic)

    def test_the_variables_are_those_of_the_tool(self):
        source = bbclass.REPOSITORY / "src/settings/variables.rs"
        tool = set(re.findall(r'= (?:Text|List|Command) "(\w+)"', source.read_text(encoding="utf-8")))
        self.assertGreater(len(tool), 20)
        # The class does not pass SOURCE_DATE_EPOCH to the tool, and has checks of its own. An SDK is no build.
        others = {"SOURCE_DATE_EPOCH", "OCI_IMAGE_QA", "OECORE_TARGET_ARCH", "OECORE_TUNE_CCARGS"}
        self.assertEqual(set(bbclass.defaults()["OCI_VARIABLES"].split()), tool - others)

    def test_empty_is_left_out(self):
        written = self.vars_of(OCI_IMAGE_TAG="", OCI_IMAGE_CMD="", OCI_IMAGE_PORTS="", REPRODUCIBLE_TIMESTAMP_ROOTFS="")
        for name in ("OCI_IMAGE_TAG", "OCI_IMAGE_CMD", "OCI_IMAGE_PORTS", "OCI_IMAGE_CREATED"):
            self.assertNotIn(name, written)

    def test_defaults(self):
        written = self.vars_of(OCI_IMAGE_AUTO_LABELS="0")
        self.assertTrue(written.pop("OCI_IMAGE_CACHE").endswith("/ocibake-cache"))
        self.assertEqual(written, {
            "TARGET_ARCH": "x86_64",
            "TUNE_FEATURES": "m64 core2",
            "MACHINEOVERRIDES": "qemuall:qemux86-64",
            "OCI_IMAGE_TAG": "latest",
            "OCI_IMAGE_CMD": "/bin/sh",
            "OCI_IMAGE_CREATED": "1520598896",
        })

    def test_the_shell_is_the_command_only_where_nothing_else_is(self):
        for variables, cmd in [
            ({}, "/bin/sh"),
            ({"OCI_IMAGE_CMD": "app"}, "app"),
            ({"OCI_IMAGE_ENTRYPOINT": "app"}, None),
            ({"OCI_IMAGE_ENTRYPOINT": "app", "OCI_IMAGE_CMD": "-v"}, "-v"),
            ({"OCI_IMAGE_ENTRYPOINT": "app", "OCI_IMAGE_ENTRYPOINT_ARGS": "-x"}, "-x"),
            ({"OCI_IMAGE_ENTRYPOINT_ARGS": "-x", "OCI_IMAGE_CMD": "-v"}, "-x"),
            # The base has a command.
            ({"OCI_BASE_IMAGE": "/"}, None),
            ({"OCI_BASE_IMAGE": "/", "OCI_IMAGE_CMD": "-v"}, "-v"),
        ]:
            with self.subTest(**variables):
                self.assertEqual(self.vars_of(**variables).get("OCI_IMAGE_CMD"), cmd)


class FullNames(scratch.TestCase):
    """The names in archives: a tag alone is not a name."""

    def test_names(self):
        for variables, name in [
            ({}, "app-image"),
            ({"IMAGE_BASENAME": "App-Image"}, "app-image"),
            ({"OCI_IMAGE_NAME": "acme/app", "OCI_IMAGE_TAG": "1.0"}, "acme/app"),
            ({"OCI_IMAGE_NAME": ""}, None),
            ({"IMAGE_BUILDING_DEBUGFS": "true"}, "app-image-dbg"),
            *[({"OCI_IMAGE_NAME": value.replace("${PATH}", "${}")}, value.replace("${PATH}", "${}")) for value in HOSTILE],
        ]:
            for imagetype in ("docker-archive", "oci-archive", "oci"):
                with self.subTest(imagetype, **variables):
                    task = image_build.Task(self.make_directory(), variables, imagetype, tool=None)
                    written = read_back(task.prepare())
                    self.assertEqual(written.get("OCI_IMAGE_NAME"), None if imagetype == "oci" else name)
                    self.assertEqual(written["OCI_IMAGE_TAG"], variables.get("OCI_IMAGE_TAG", "latest"))


class Automatic(scratch.TestCase):
    """Automatic labels and annotations."""

    def automatic(self, licenses=(), **variables):
        """As a dictionary without the common prefix, for packages with these licenses."""
        task = image_build.Task(self.make_directory(), variables, tool=None)
        for number, license in enumerate(licenses):
            task.make_package("package-%d" % number, [], PN="package", LICENSE=license)
        words = shlex.split(task.functions.oci_automatic(task.d))
        return {word.split("=", 1)[0].replace("org.opencontainers.image", ""): word.split("=", 1)[1] for word in words}

    def test_from_the_recipe(self):
        self.assertEqual(self.automatic(), {
            ".title": "app-image",
            ".description": "An image",
            ".version": "1.0",
            ".vendor": "OpenEmbedded",
        })

    def test_licenses_are_those_of_the_packages(self):
        """As one SPDX expression, independent of the license of the image's recipe."""
        directory = self.make_directory()
        for name in ("MIT", "GPL-2.0-only", "BSD-3-Clause", "LGPL-2.1-or-later", "Apache-2.0"):
            (directory / name).touch()
        for written, expected in [
            (["MIT"], "MIT"),
            (["MIT", "MIT"], "MIT"),
            (["GPL-2.0-only & MIT", "MIT"], "GPL-2.0-only AND MIT"),
            (["GPL-2.0-only&(MIT|BSD-3-Clause)", "MIT"], "(GPL-2.0-only AND (MIT OR BSD-3-Clause)) AND MIT"),
            (["MIT | BSD-3-Clause"], "MIT OR BSD-3-Clause"),
            (["(MIT | BSD-3-Clause) & (GPL-2.0-only | MIT)"],
             "(MIT OR BSD-3-Clause) AND (GPL-2.0-only OR MIT)"),
            (["(MIT & BSD-3-Clause)", "Apache-2.0"], "Apache-2.0 AND BSD-3-Clause AND MIT"),
            (["Apache-2.0 WITH LLVM-exception"], "Apache-2.0 WITH LLVM-exception"),
            (["PD & MIT"], "LicenseRef-PD AND MIT"),
            (["MIT", "CLOSED"], None),
            (["MIT", ""], None),
            ([], None),
        ]:
            with self.subTest(written):
                found = self.automatic(written, LICENSE="MIT", COMMON_LICENSE_DIR=str(directory)).get(".licenses")
                self.assertEqual(found, expected)

    def test_version(self):
        """The recipe's version if it has one, else the distribution's."""
        distro = {"DISTRO_VERSION": "5.2+snapshot-abc123", "METADATA_REVISION": "abc123"}
        default = "${@bb.parse.vars_from_file(d.getVar('FILE', False),d)[1] or '1.0'}"
        for variables, expected in [
            ({"PV": "2.1"}, "2.1"),
            ({"PV": default, "FILE": "/layer/app-image_3.0.bb"}, "3.0"),
            ({"PV": default, "FILE": "/layer/app-image.bb"}, "5.2+snapshot"),
        ]:
            with self.subTest(**variables):
                self.assertEqual(self.automatic(**variables, **distro)[".version"], expected)
        # OCI_IMAGE_APP_RECIPE names the recipe that the image is for.
        task = image_build.Task(self.make_directory(), {"OCI_IMAGE_APP_RECIPE": "nginx"}, tool=None)
        task.make_package("nginx-core", [], PN="nginx", PV="1.27.4")
        self.assertEqual(task.functions.oci_version(task.d), "1.27.4")

    def test_build_date(self):
        for written, expected in [("20260102030405", "2026-01-02T03:04:05Z"),
                                  ("2026-01-02T03:04:05+01:00", "2026-01-02T03:04:05+01:00")]:
            self.assertEqual(self.automatic(OCI_IMAGE_BUILD_DATE=written)[".created"], expected)
        with self.assertRaisesRegex(bbclass.Fatal, "^OCI_IMAGE_BUILD_DATE is `today`: expected RFC 3339"):
            self.automatic(OCI_IMAGE_BUILD_DATE="today")

    def test_what_was_set_by_hand(self):
        explicit = {"OCI_IMAGE_REVISION": "abc123", "OCI_IMAGE_BUILD_DATE": "2026-01-02T03:04:05Z",
                    "OCI_IMAGE_BRANCH": "main"}
        expected = {".revision": "abc123", ".created": "2026-01-02T03:04:05Z", "io.github.ocibake.branch": "main"}
        self.assertEqual(self.automatic(OCI_IMAGE_AUTO_LABELS="0", **explicit), expected)
        self.assertEqual(self.automatic(**explicit), {**self.automatic(), **expected})
        self.assertEqual(self.automatic(**dict.fromkeys(explicit, "none")), self.automatic())

    def test_switch(self):
        for value in ("0", "no", "false", ""):
            self.assertEqual(self.automatic(OCI_IMAGE_AUTO_LABELS=value), {})
        with self.assertRaisesRegex(bbclass.Fatal, "^OCI_IMAGE_AUTO_LABELS is `perhaps`: expected 0 or 1$"):
            self.automatic(OCI_IMAGE_AUTO_LABELS="perhaps")


if __name__ == "__main__":
    unittest.main()
