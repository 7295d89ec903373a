# SPDX-License-Identifier: MIT
"""Likely mistakes in an image: each check, its level, and what it looks at."""

import os
import struct
import subprocess
import unittest
import unittest.mock

import bbclass
import image_build
import scratch


def program(machine, bits=64, order="<"):
    """The ELF header of a program."""
    return b"\x7fELF" + bytes([bits // 32, {"<": 1, ">": 2}[order], 1]) + bytes(9) + struct.pack(order + "HH", 2, machine)


class Levels(unittest.TestCase):
    """OCI_IMAGE_QA."""

    def levels(self, value):
        """The checks whose level differs from the default."""
        d = bbclass.Datastore({**image_build.MACHINE, "OCI_IMAGE_QA": value})
        return {check: level for check, level in d.functions().oci_qa_levels(d).items() if level != "warn"}

    def test_levels(self):
        self.assertEqual(self.levels(""), {})
        self.assertEqual(self.levels("arch:error setuid-new:skip"), {"arch": "error", "setuid-new": "skip"})
        self.assertEqual(self.levels("arch:error arch:skip user-missing:warn"), {"arch": "skip"})

    def test_refused(self):
        for value in ("arch", "arch:fatal", "archs:warn", ":warn"):
            with self.subTest(value), self.assertRaises(bbclass.Fatal) as fatal:
                self.levels(value)
            self.assertEqual(str(fatal.exception), "OCI_IMAGE_QA holds `%s`: expected words CHECK:error, CHECK:warn or "
                             "CHECK:skip, with one of the checks arch, entrypoint-missing, setuid-new, user-missing" % value)


@unittest.skipUnless(image_build.TOOL or os.environ.get("CI"), "no ocibake: run cargo build, or set OCIBAKE")
class Checks(scratch.TestCase):
    """With the real tool."""

    def setUp(self):
        self.directory = self.make_directory()

    def task(self, **variables):
        """A task whose rootfs has a shell and an account."""
        own = {"BB_CURRENTTASK": "oci_qa", "BB_RUNTASK": "do_oci_qa", "DEPLOY_DIR_IMAGE": str(self.directory)}
        task = image_build.Task(self.directory, {**own, **variables}, tool=image_build.TOOL)
        (task.rootfs / "usr/bin").mkdir(parents=True, exist_ok=True)
        (task.rootfs / "usr/bin/busybox").write_bytes(program(62))
        if not (task.rootfs / "bin").is_symlink():
            (task.rootfs / "bin").symlink_to("usr/bin")
            (task.rootfs / "usr/bin/sh").symlink_to("/bin/busybox")
        (task.rootfs / "etc/passwd").write_text("root:x:0:0::/:/bin/sh\nweb:x:33:33::/:/bin/sh\n")
        (task.rootfs / "etc/group").write_text("root:x:0:\nweb:x:33:\n")
        return task

    def findings(self, task):
        """The warnings."""
        with unittest.mock.patch.dict(os.environ, {"PATH": task.d.getVar("PATH")}):
            task.functions.do_oci_qa(task.d)
        return task.d.bb.warnings

    def test_nothing(self):
        self.assertEqual(self.findings(self.task(OCI_IMAGE_RUNTIME_UID="web:web")), [])
        self.assertEqual(self.findings(self.task(OCI_IMAGE_RUNTIME_UID="65532:1")), [])
        self.assertEqual(self.findings(self.task(OCI_IMAGE_ENTRYPOINT="sh")), [])

    def test_user_missing(self):
        self.assertEqual(self.findings(self.task(OCI_IMAGE_RUNTIME_UID="nginx:www")), [
            "QA Issue: the image runs as the user `nginx`, which is not in its /etc/passwd [user-missing]",
            "QA Issue: the image runs as the group `www`, which is not in its /etc/group [user-missing]"])

    def test_entrypoint_missing(self):
        for variables, name in [
            ({"OCI_IMAGE_ENTRYPOINT": "/usr/sbin/nginx -g x"}, "/usr/sbin/nginx"),
            ({"OCI_IMAGE_CMD": "nginx"}, "nginx"),
            ({"OCI_IMAGE_ENTRYPOINT": "sh", "OCI_IMAGE_ENV_VARS": "PATH=/opt/bin"}, "sh"),
            ({"OCI_IMAGE_ENTRYPOINT": "./sh", "OCI_IMAGE_WORKINGDIR": "/etc"}, "./sh"),
        ]:
            with self.subTest(**variables):
                self.assertEqual(self.findings(self.task(**variables)),
                                 ["QA Issue: the image runs `%s`, which is not in it [entrypoint-missing]" % name])
        self.assertEqual(self.findings(self.task(OCI_IMAGE_ENTRYPOINT="./sh", OCI_IMAGE_WORKINGDIR="/bin")), [])

    def test_arch(self):
        task = self.task()
        for name in ("a", "b", "c", "d"):
            (task.rootfs / "usr/bin" / name).write_bytes(program(183))
        (task.rootfs / "usr/bin/script").write_text("#!/bin/sh\n")
        self.assertEqual(self.findings(task), ["QA Issue: programs are not for linux/amd64: /usr/bin/a, /usr/bin/b, /usr/bin/c "
                                               "and 1 more [arch]"])
        # Word size and byte order count as well.
        for head, variables in [(program(62, 32), {}), (program(40, 32, ">"), {"TARGET_ARCH": "arm", "MACHINEOVERRIDES": "armv7a"})]:
            task = self.task(OCI_IMAGE_QA="entrypoint-missing:skip", **variables)
            for name in ("a", "b", "c", "d"):
                (task.rootfs / "usr/bin" / name).unlink(missing_ok=True)
            (task.rootfs / "usr/bin/busybox").write_bytes(head)
            self.assertEqual(len(self.findings(task)), 1)

    def test_programs_of_a_multilib(self):
        for head, variables in [(program(3, 32), {}), (program(40, 32), {"TARGET_ARCH": "aarch64", "TUNE_FEATURES": "aarch64"})]:
            task = self.task(OCI_IMAGE_QA="entrypoint-missing:skip", **variables)
            (task.rootfs / "usr/bin/busybox").write_bytes(head)
            self.assertEqual(self.findings(task), [])

    def test_a_later_version_of_arm(self):
        task = self.task(TARGET_ARCH="arm", TUNE_FEATURES="armv5", MACHINEOVERRIDES="armv5", IMAGE_FSTYPES="oci",
                         BB_CURRENTTASK="image_oci", BB_RUNTASK="do_image_oci", OCI_IMAGE_QA="entrypoint-missing:skip")
        attributes = b"A\0\0\0\0aeabi\0\x01\0\0\0\0\x06\x0a"
        section = struct.pack("<10I", 0, 0x70000003, 0, 0, 92, len(attributes), 0, 0, 0, 0)
        head = program(40, 32).ljust(52, b"\0")
        head = head[:32] + struct.pack("<I", 52) + head[36:46] + struct.pack("<HH", 40, 1) + head[50:]
        (task.rootfs / "usr/bin/busybox").write_bytes(head + section + attributes)
        (task.rootfs / "usr/bin/busybox").chmod(0o755)
        finished = task.build()
        self.assertEqual(finished.returncode, 0, finished.stderr)
        task.d.values.update(BB_CURRENTTASK="oci_qa", BB_RUNTASK="do_oci_qa")
        self.assertEqual(self.findings(task), ["QA Issue: the image is for linux/arm/v5, and `/usr/bin/busybox` for arm/v7 [arch]"])

    def test_levels(self):
        task = self.task(OCI_IMAGE_RUNTIME_UID="nginx", OCI_IMAGE_QA="user-missing:error")
        with self.assertRaisesRegex(bbclass.Fatal, "^Fatal QA errors were found, failing task.$"):
            self.findings(task)
        self.assertEqual(task.d.bb.errors,
                         ["QA Issue: the image runs as the user `nginx`, which is not in its /etc/passwd [user-missing]"])
        self.assertEqual(self.findings(self.task(OCI_IMAGE_RUNTIME_UID="nginx", OCI_IMAGE_QA="user-missing:skip")), [])

    def make_base(self):
        """A base with an account, a command and a setuid program."""
        base = self.directory / "base"
        for name in ("etc", "usr/bin"):
            (base / name).mkdir(parents=True)
        (base / "etc/group").write_text("app:x:1000:\n")
        for name in ("su", "ping", "run"):
            (base / "usr/bin" / name).write_bytes(program(62))
            (base / "usr/bin" / name).chmod(0o4755 if name == "su" else 0o755)
            os.utime(base / "usr/bin" / name, (1, 1))
        subprocess.run([image_build.TOOL, "build", base, "oci:%s/base-image-latest-oci:latest" % self.directory, "--arch",
                        "amd64", "--cmd", "/usr/bin/run", "--user", "web:app"], check=True, capture_output=True)

    def test_what_the_base_has(self):
        self.make_base()
        task = self.task(OCI_BASE_IMAGE="base-image")
        (task.rootfs / "etc/group").unlink()
        self.assertEqual(self.findings(task), [])
        (task.rootfs / "etc/group").write_text("")
        self.assertEqual(self.findings(task),
                         ["QA Issue: the image runs as the group `app`, which is not in its /etc/group [user-missing]"])

    def test_setuid_new(self):
        self.make_base()
        variables = {"OCI_BASE_IMAGE": "base-image", "BB_CURRENTTASK": "image_oci", "BB_RUNTASK": "do_image_oci",
                     "OCI_IMAGE_QA": "user-missing:skip"}
        task = self.task(**variables)
        (task.rootfs / "bin").unlink()
        for name in ("su", "ping", "new"):
            (task.rootfs / "usr/bin" / name).write_bytes(program(62))
            (task.rootfs / "usr/bin" / name).chmod(0o4755)
            os.utime(task.rootfs / "usr/bin" / name, (1, 1))
        finished = task.build()
        self.assertEqual(finished.returncode, 0, finished.stderr)
        task.d.values.update(BB_CURRENTTASK="oci_qa", BB_RUNTASK="do_oci_qa")
        self.assertEqual(self.findings(task), ["QA Issue: `%s` has a set-id bit that it has not in the base [setuid-new]" % path
                                               for path in ("/usr/bin/new", "/usr/bin/ping")])


if __name__ == "__main__":
    unittest.main()
