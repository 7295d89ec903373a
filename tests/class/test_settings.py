# SPDX-License-Identifier: MIT
"""What the class writes into the variables file, read back the way a POSIX shell would quote it."""

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
        # Labels and annotations are added to, see below; the older name of OCI_IMAGE_CMD becomes that; a base is looked for.
        others = {"OCI_IMAGE_LABELS", "OCI_IMAGE_ANNOTATIONS", "OCI_IMAGE_ENTRYPOINT_ARGS", "OCI_BASE_IMAGE",
                  "OCI_BASE_IMAGE_MODE"}
        for name in sorted(set(names) - others):
            for value in HOSTILE:
                # ${…} in a datastore is BitBake's own syntax: a value that holds it was written by something else.
                with self.subTest(name=name, value=value):
                    value = value.replace("${PATH}", "${}")
                    self.assertEqual(self.vars_of(**{name: value})[name], value)

    def test_labels_and_annotations_keep_what_was_written_at_their_end(self):
        for name in ("OCI_IMAGE_LABELS", "OCI_IMAGE_ANNOTATIONS"):
            # Each as a word of its own; a list whose quotes do not close is refused.
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
        # The class keeps SOURCE_DATE_EPOCH from the tool; layers and a cache are asked for in EXTRA_IMAGECMD.
        others = {"SOURCE_DATE_EPOCH", "OCI_IMAGE_LAYERS", "OCI_IMAGE_CACHE"}
        self.assertEqual(set(bbclass.defaults()["OCI_VARIABLES"].split()), tool - others)

    def test_empty_is_left_out(self):
        written = self.vars_of(OCI_IMAGE_TAG="", OCI_IMAGE_CMD="", OCI_IMAGE_PORTS="", REPRODUCIBLE_TIMESTAMP_ROOTFS="")
        for name in ("OCI_IMAGE_TAG", "OCI_IMAGE_CMD", "OCI_IMAGE_PORTS", "OCI_IMAGE_CREATED"):
            self.assertNotIn(name, written)

    def test_defaults(self):
        self.assertEqual(self.vars_of(OCI_IMAGE_AUTO_LABELS="0"), {
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


class DockerNames(scratch.TestCase):
    """The names of a docker archive: a tag alone is none."""

    def test_names(self):
        for variables, names in [
            ({}, ["app-image:latest"]),
            ({"IMAGE_BASENAME": "App-Image"}, ["app-image:latest"]),
            ({"OCI_IMAGE_NAME": "acme/app", "OCI_IMAGE_TAG": "1.0"}, ["acme/app:1.0"]),
            ({"OCI_IMAGE_TAG": ""}, ["app-image:latest"]),
            ({"OCI_IMAGE_TAG": "1.0 registry.example:5000/app:v1 latest"},
             ["app-image:1.0", "registry.example:5000/app:v1", "app-image:latest"]),
            *[({"OCI_IMAGE_NAME": value.replace("${PATH}", "${}")}, [value.replace("${PATH}", "${}") + ":latest"])
              for value in HOSTILE],
        ]:
            with self.subTest(**variables):
                directory = self.make_directory()
                task = image_build.Task(directory, variables, "docker-archive", tool=None)
                self.assertEqual(shlex.split(read_back(task.prepare())["OCI_IMAGE_TAG"]), names)


class Automatic(unittest.TestCase):
    """Labels and annotations that nobody wrote."""

    def automatic(self, **variables):
        """As a dictionary without the common prefix."""
        d = bbclass.Datastore({**image_build.MACHINE, **variables})
        words = shlex.split(d.functions().oci_automatic(d))
        return {word.split("=", 1)[0].replace("org.opencontainers.image", ""): word.split("=", 1)[1] for word in words}

    def test_from_the_recipe(self):
        self.assertEqual(self.automatic(), {
            ".title": "app-image",
            ".description": "An image",
            ".version": "1.0",
            ".licenses": "MIT",
            ".vendor": "OpenEmbedded",
        })

    def test_licenses_are_an_spdx_expression(self):
        for written, expected in [
            ("GPL-2.0-only & MIT", "GPL-2.0-only AND MIT"),
            ("GPL-2.0-only&(MIT|BSD-3-Clause)", "GPL-2.0-only AND (MIT OR BSD-3-Clause)"),
            ("CLOSED", None),
            ("", None),
        ]:
            with self.subTest(written):
                self.assertEqual(self.automatic(LICENSE=written).get(".licenses"), expected)

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
