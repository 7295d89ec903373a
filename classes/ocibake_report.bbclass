#
# Copyright (c) 2026 The ocibake authors
#
# SPDX-License-Identifier: MIT
#
# The image type oci-report: a page that shows what is in the image of type oci, and with OCI_REPORT_OLD what an update
# from an older release costs. image_types_oci.bbclass describes both.

inherit ocibake ocibake_packages

OCI_REPORT_OLD ??= ""

IMAGE_TYPES += "oci-report"
IMAGE_TYPEDEP:oci-report = "oci"

# A page is not an image and has no conversions. The name ends in .html so that a browser recognises it.
OCI_REPORT_PAGE = "oci-report.html"
OCI_REPORT_RUN = "${T}/${BB_RUNTASK}"
IMAGE_CMD:oci-report = "\
    ocibake report 'oci:${IMGDEPLOYDIR}/${IMAGE_NAME}.oci' ${@oci_report_old(d)} --package-map '${OCI_REPORT_RUN}.packages' \
    --progress percent ${EXTRA_IMAGECMD} -o '${IMGDEPLOYDIR}/${IMAGE_NAME}.${OCI_REPORT_PAGE}'\
"

do_image_oci_report[depends] += "ocibake-native:do_populate_sysroot"
do_image_oci_report[prefuncs] += "oci_report_prepare"
do_image_oci_report[postfuncs] += "oci_report_finish"
do_image_oci_report[progress] = "percent"

def oci_report_old(d):
    """
    The older image as a word of the command, if there is one.
    """
    import shlex

    old = d.getVar("OCI_REPORT_OLD")
    return shlex.quote(old) if old else ""

python oci_report_prepare () {
    import glob

    ocibake_require(d)
    # Remove the pages of earlier builds, whose names hold the build time, and the link to them.
    for path in glob.glob(os.path.join(glob.escape(d.getVar("IMGDEPLOYDIR")), "*." + d.getVar("OCI_REPORT_PAGE"))):
        bb.utils.remove(path)
    with open(d.getVar("OCI_REPORT_RUN") + ".packages", "w", encoding="utf-8") as map_file:
        map_file.write(oci_package_map(d))
}
oci_report_prepare[doc] = "Remove pages of earlier builds, and write who owns which file"

python oci_report_finish () {
    page = "%s.%s" % (d.getVar("IMAGE_NAME"), d.getVar("OCI_REPORT_PAGE"))
    if d.getVar("IMAGE_LINK_NAME"):
        link = "%s.%s" % (d.getVar("IMAGE_LINK_NAME"), d.getVar("OCI_REPORT_PAGE"))
        os.symlink(page, os.path.join(d.getVar("IMGDEPLOYDIR"), link))
    bb.note("%s shows what is in the image" % page)
}
oci_report_finish[doc] = "Make the link by which the page is found"
