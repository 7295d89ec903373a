# SPDX-License-Identifier: MIT
"""Print the base hash of the tasks that make and check an image or an index, as JSON: setting to task to hash.

Run in a build directory with BitBake's environment: a recipe file, then settings NAME=value. A new BitBake for each
setting would print the same but take several seconds each time.
"""

import json
import os
import sys

import bb.cookerdata
import bb.data
import bb.parse
import bb.siggen


def task_hashes(builder, recipe, name, value):
    """Parse the recipe with one variable set, and hash the tasks that make images as BitBake does."""
    data = builder.mcdata[""].createCopy()
    if name:
        # Set as in local.conf: a default in the class must not override it.
        data.setVar(name, value)
        data.setVar(name + ":forcevariable", value)
    data.setVar("__ONLYFINALISE", "default")
    d = builder._parse_recipe(data, recipe, [], "", "ocibake-test")[""]
    ignored = bb.parse.siggen.basehash_ignore_vars
    tasks, dependencies, lookup = bb.data.generate_dependencies(d, ignored)
    _, hashes = bb.data.generate_dependency_hash(tasks, dependencies, lookup, ignored, recipe)
    return {task: hashes["%s:%s" % (recipe, task)] for task in tasks if task.startswith(("do_image", "do_deploy", "do_oci_qa"))}


def main(recipe, settings):
    """Parse the configuration once, and the recipe for each setting."""
    configuration = bb.cookerdata.CookerConfiguration()
    configuration.env = dict(os.environ)
    builder = bb.cookerdata.CookerDataBuilder(configuration, True)
    builder.parseBaseConfiguration(worker=True)
    bb.parse.siggen = bb.siggen.init(builder.data)
    found = {"": task_hashes(builder, recipe, None, None)}
    for setting in settings:
        found[setting] = task_hashes(builder, recipe, *setting.split("=", 1))
    print(json.dumps(found))


if __name__ == "__main__":
    os.umask(0o022)
    main(os.path.abspath(sys.argv[1]), sys.argv[2:])
