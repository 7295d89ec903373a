# SPDX-License-Identifier: MIT
"""docs/yocto.md and the classes agree about the variables."""

import re
import unittest

import bbclass

YOCTO = (bbclass.REPOSITORY / "docs/yocto.md").read_text()
# Internal variables, and variables of other classes.
INTERNAL = {"OCI_VARIABLES", "OCI_CLASS_VARIABLES", "OCI_CHECKED", "OCI_RUN", "OCI_BUILD", "OCI_ATTACH", "OCI_MAP_FLAG",
            "OCI_PLAN_DIR", "OCI_QA_CHECKS", "OCI_SPDX_DIR", "OCI_SPDX_DOCUMENT", "OCI_IMAGE_BACKEND", "OCI_LAYER_CACHE",
            "OCI_LAYER_CACHE_DIR", "OCI_INDEX_DIRECTORIES_", "OCI_REPORT_PAGE", "OCI_REPORT_RUN"}
CLASSES = {
    "image_types_oci": ["image_types_oci", "ocibake_base", "ocibake_check", "ocibake_deployed", "ocibake_layers", "ocibake_packages", "ocibake_qa", "ocibake_report", "ocibake_spdx"],
    "ocibake_index": ["ocibake_index"],
}


def table(name):
    """The rows below the marker of a class: variable, default, meaning."""
    _, text = YOCTO.split("<!-- variables of %s: " % name)
    rows = [line.strip("|").split(" | ") for line in text.split("\n\n")[0].splitlines()[3:]]
    return {variable: row[1].strip()
            for row in rows for variable in re.findall(r"`([A-Z_]+)(?:[:\[][^`]*)?`", row[0])}


def code(names):
    """The text of classes without their comments."""
    return "\n".join(re.sub(r"(?m)^#.*\n", "", (bbclass.REPOSITORY / ("classes/%s.bbclass" % name)).read_text())
                     for name in names)


class Variables(unittest.TestCase):
    """Table by table."""

    def test_every_variable_of_the_classes_is_explained(self):
        for name, parts in CLASSES.items():
            text = code(parts)
            of_the_tool = set(re.findall(r"\w+", re.search(r'OCI_VARIABLES = "((?:.|\n)*?)"', text + 'OCI_VARIABLES = ""')[1]))
            used = set(re.findall(r"(OCI_\w+) \?", text)) | set(re.findall(r"getVar\([\"'](OCI_\w+)", text))
            missing = used - set(table(name)) - of_the_tool - INTERNAL
            self.assertEqual(missing, set(), name)

    def test_every_variable_that_is_explained_is_one(self):
        for name, parts in CLASSES.items():
            text = code(parts)
            for variable in table(name):
                with self.subTest(variable):
                    self.assertRegex(text, r"\b%s\b" % variable)

    def test_defaults_are_those_of_the_classes(self):
        for name, parts in CLASSES.items():
            defaults = dict(re.findall(r'(?m)^(OCI_\w+) \?\?= "([^"$]*)"$', code(parts)))
            self.assertTrue(defaults)
            for variable, default in defaults.items():
                with self.subTest(variable):
                    said = table(name)[variable]
                    self.assertTrue(said == "`%s`" % default if default else not said.startswith("`") or " " in said, said)

    def test_the_head_of_the_class_lists_them_too(self):
        for name in CLASSES:
            head = (bbclass.REPOSITORY / ("classes/%s.bbclass" % name)).read_text().split("\ninherit ")[0]
            for variable in table(name):
                if variable.startswith("OCI_"):
                    self.assertIn(variable, head)


if __name__ == "__main__":
    unittest.main()
