#
# Copyright (c) 2026 The ocibake authors
#
# SPDX-License-Identifier: MIT
#
# The packages of a rootfs, read after do_rootfs from the image's manifest and from pkgdata: the same for ipk, deb and rpm, and
# whether the rootfs has a package database or not.

inherit ocibake

def oci_installed(d):
    """
    The name of each installed package, and its pkgdata. Names are those of the package manager; "package" holds the
    name in the recipe.
    """
    import glob
    import oe.packagedata

    # These are hundreds of files, so each is read once, as in oe.packagedata.
    kept = d.getVar("__oci_installed", False)
    if kept is not None:
        return kept
    # Its name holds the time of the build in which do_rootfs ran.
    manifests = glob.glob(os.path.join(glob.escape(d.getVar("IMGDEPLOYDIR")), "*.manifest"))
    manifests = [path for path in manifests if not os.path.islink(path)]
    installed = {}
    for path in sorted(manifests, key=os.path.getmtime)[-1:]:
        with open(path, encoding="utf-8") as lines:
            names = [line.split()[0] for line in lines if line.strip()]
        for name in names:
            found = os.path.join(d.getVar("PKGDATA_DIR"), "runtime-reverse", name)
            package = os.path.basename(os.path.realpath(found))
            said = oe.packagedata.read_pkgdatafile(found)
            said = {key: value for key, value in said.items() if key.endswith(":" + package) or key + ":" + package not in said}
            installed[name] = {"package": package, **{key.partition(":")[0]: value for key, value in said.items()}}
    d.setVar("__oci_installed", installed)
    return installed

def oci_package_map(d):
    """
    The package map for the tool: lines of PATH, PACKAGE, RECIPE and VERSION, separated by tabs.
    """
    import json

    # If a library for another word size has the same file, the owner is the package without a prefix.
    prefixes = tuple(variant + "-" for variant in (d.getVar("MULTILIB_VARIANTS") or "").split())
    owners = {}
    for name, said in sorted(oci_installed(d).items(), key=lambda item: (item[0].startswith(prefixes), item[0])):
        for path in json.loads(said.get("FILES_INFO") or "{}"):
            owners.setdefault(path, (name, said.get("PN") or name, said.get("PV") or ""))
    rows = [(path, *owner) for path, owner in sorted(owners.items())]
    return "".join("\t".join(ocibake_encode(column) for column in row) + "\n" for row in rows)

def oci_spdx_licenses(d):
    """
    The licenses of all installed packages as one SPDX expression, or None if nothing is installed or a license has no
    SPDX form.
    """
    import re

    parts = set()
    for license in {said.get("LICENSE") or "" for said in oci_installed(d).values()}:
        words = re.findall(r"[A-Za-z0-9.+:-]+|[&|()]", license)
        if not words or "".join(words) != "".join(license.split()) or "CLOSED" in words:
            return ""
        expression = oci_spdx_expression(d, words)
        # If AND is the only operator, each operand is a part of its own.
        parts.update([expression] if " OR " in expression else re.sub("[()]", "", expression).split(" AND "))
    if len(parts) == 1:
        return parts.pop()
    return " AND ".join(sorted("(%s)" % part if " OR " in part else part for part in parts))

def oci_spdx_expression(d, words):
    """
    The words of a LICENSE in SPDX form. A license that is not on SPDX's list becomes a LicenseRef of the recipe.
    """
    said = {"&": "AND", "|": "OR", "(": "(", ")": ")", "AND": "AND", "OR": "OR", "WITH": "WITH"}
    said.update({exception: exception for before, exception in zip(words, words[1:]) if before == "WITH"})
    known = d.getVar("COMMON_LICENSE_DIR") or ""
    for word in words:
        name = d.getVarFlag("SPDXLICENSEMAP", word) or word
        if word not in said:
            is_known = name.startswith("LicenseRef-") or os.path.exists(os.path.join(known, name.rstrip("+")))
            said[word] = name if is_known else "LicenseRef-" + name.replace("+", "-or-later").replace(":", "-")
    return " ".join(said[word] for word in words).replace("( ", "(").replace(" )", ")")
