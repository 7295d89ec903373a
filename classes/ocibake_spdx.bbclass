#
# Copyright (c) 2026 The ocibake authors
#
# SPDX-License-Identifier: MIT
#
# Attaches the SPDX document of an image to the image itself, if create-spdx is inherited and OCI_IMAGE_SPDX is "1".
# image_types_oci.bbclass describes the variable.
#
# The document must exist before the image: a document in the image can describe the rootfs, but cannot hold checksums
# of the image's own files. With SPDX 2.2, do_rootfs writes such a document as a by-product. With SPDX 3.0, the
# documents of the rootfs and its packages are merged here, as create-spdx later merges them with that of the image's
# files.

inherit ocibake

OCI_IMAGE_SPDX ??= "0"
OCI_SPDX_DIR = "${WORKDIR}/oci-spdx"
OCI_SPDX_DOCUMENT = "${OCI_SPDX_DIR}/${IMAGE_BASENAME}.spdx.json"

# Follows the command that makes a layout. SPDX 2.2 has no document if nothing is installed.
OCI_ATTACH = "${@oci_attach(d)}"

def oci_spdx_version(d):
    """
    The class whose documents are attached, or None.
    """
    inherited = [name for name in ("create-spdx-2.2", "create-spdx-3.0") if bb.data.inherits_class(name, d)]
    # This runs when recipes are parsed, so it accepts any value; do_oci_check refuses wrong ones.
    wanted = d.getVar("OCI_IMAGE_SPDX") in ("1", "yes", "true", "y")
    return inherited[0] if wanted and inherited else None

def oci_attach(d):
    """
    The rest of the command, if there is something to attach.
    """
    if not oci_spdx_version(d):
        return ""
    return ("; if [ -e '${OCI_SPDX_DOCUMENT}' ]; then ocibake attach --no-sync '${type}:${OCI_TARGET}.new' "
            "'${OCI_SPDX_DOCUMENT}' --type application/spdx+json; fi")

def oci_join_spdx(d, path):
    """
    Write the SPDX 3.0 documents of the rootfs, its packages and their recipes as one document.
    """
    import oe.sbom30
    import oe.spdx30
    import pathlib

    name = "%s-%s-rootfs" % (d.getVar("IMAGE_BASENAME"), d.getVar("MACHINE"))
    rootfs, _ = oe.sbom30.find_root_obj_in_jsonld(d, "rootfs", name, oe.spdx30.software_Package)
    document, _ = oe.sbom30.create_sbom(d, name + "-sbom", [oe.sbom30.get_element_link_id(rootfs)])
    oe.sbom30.write_jsonld_doc(d, document, pathlib.Path(path))
    oci_settle_spdx_ids(d, path)

def oci_settle_creation_infos(graph):
    """
    Have each statement of who made elements once, under an id that what it says decides.
    """
    import json

    # One without an id is what no element refers to: whinlatter leaves one behind.
    said = {element["@id"]: element for element in graph if element.get("type") == "CreationInfo" and "@id" in element}
    others = [element for element in graph if element.get("type") != "CreationInfo"]
    contents = {}
    for element in others:
        info = element.get("creationInfo")
        info = said.get(info, info) if isinstance(info, str) else info
        if isinstance(info, dict):
            content = json.dumps({key: value for key, value in info.items() if key != "@id"}, sort_keys=True)
            contents.setdefault(content, []).append(element)
    infos = []
    for number, content in enumerate(sorted(contents)):
        infos.append({"@id": "_:CreationInfo%d" % number, **json.loads(content)})
        for element in contents[content]:
            element["creationInfo"] = infos[-1]["@id"]
    return infos + others

def oci_settle_spdx_ids(d, path):
    """
    Give elements ids that do not depend on the build directory. Those of this recipe hold the hashes of its tasks, and
    that of do_rootfs depends on the directory. If there are many elements of a kind, an id ends with a digest, which is
    recomputed from the element's content.
    """
    import hashlib
    import json
    import re

    with open(path, encoding="utf-8") as document:
        parsed = json.load(document)
    parsed["@graph"] = oci_settle_creation_infos(parsed["@graph"])
    text = json.dumps(parsed)
    own = r"/%s-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/" % re.escape(d.getVar("PN"))
    text = re.sub(r"(%s)[0-9a-f]{64}(?=[/\"])" % own, r"\1image", text)
    ending = re.compile(r"(%simage/[^\"]*?)[0-9a-f]{32}(?=\")" % own)
    settled = {}
    for element in json.loads(text)["@graph"]:
        name = json.dumps(element.get("spdxId", ""))
        if ending.search(name):
            said = ending.sub(r"\1", json.dumps({key: value for key, value in element.items() if key != "spdxId"}, sort_keys=True))
            digest = hashlib.md5(said.encode()).hexdigest()
            while digest in settled.values():
                digest = hashlib.md5(digest.encode()).hexdigest()
            settled[name[-33:-1]] = digest
    text = re.sub("[0-9a-f]{32}", lambda match: settled.get(match[0], match[0]), text)
    parsed = json.loads(text)
    parsed["@graph"].sort(key=lambda element: (element.get("spdxId", ""), element.get("@id", "")))
    with open(path, "w", encoding="utf-8") as document:
        json.dump(parsed, document, sort_keys=True, separators=(",", ":"))

python do_oci_spdx () {
    import glob

    path = d.getVar("OCI_SPDX_DOCUMENT")
    if oci_spdx_version(d) == "create-spdx-3.0":
        oci_join_spdx(d, path)
    else:
        # Its name holds the time of the build in which do_rootfs ran.
        for made in glob.glob(os.path.join(glob.escape(d.getVar("SPDXIMAGEWORK")), "*.spdx.json")):
            bb.utils.copyfile(made, path)
}
do_oci_spdx[doc] = "Take or make the SPDX document that is attached to the image"
do_oci_spdx[dirs] = "${OCI_SPDX_DIR}"
do_oci_spdx[cleandirs] = "${OCI_SPDX_DIR}"

# nooelint: oelint.task.noanonpython - only here it is known whether there is a document, and whose task makes it
python () {
    version = oci_spdx_version(d)
    if not version:
        return
    after = "do_rootfs"
    if version == "create-spdx-3.0":
        after = "do_create_rootfs_spdx"
        # The task that merges the same documents for the deploy directory has the dependencies that are needed.
        for flag in ("recrdeptask", "file-checksums"):
            d.setVarFlag("do_oci_spdx", flag, d.getVarFlag("do_create_image_sbom_spdx", flag, False) or "")
    bb.build.addtask("do_oci_spdx", "do_image_oci", after, d)
}
