# SPDX-License-Identifier: MIT
"""From the datastore through the real tool to the image's documents."""

import json
import os
import tarfile
import unittest

import bbclass
import image_build
import scratch

PREFIX = "org.opencontainers.image."


@unittest.skipUnless(image_build.TOOL or os.environ.get("CI"), "no ocibake: run cargo build, or set OCIBAKE")
class Documents(scratch.TestCase):
    """Values arrive word by word."""

    def build(self, **variables):
        """Build with these variables; manifest and config."""
        directory = self.make_directory()
        task = image_build.Task(directory, variables)
        finished = task.build()
        self.assertEqual(finished.returncode, 0, finished.stderr)
        self.assertFalse(os.path.exists(os.path.join(directory, "pwned")))
        _, manifest, config = task.documents()
        return manifest, config

    def config(self, **variables):
        """The part of the config that says how to run the image."""
        return self.build(**variables)[1].get("config", {})

    def test_words(self):
        """Shell words become argv: how a list is written, and what the image says."""
        for written, argv in [
            ("/bin/app", ["/bin/app"]),
            ("/bin/app -v  --name x", ["/bin/app", "-v", "--name", "x"]),
            ("sh -c 'exec \"$0\" \"$@\"'", ["sh", "-c", 'exec "$0" "$@"']),
            ('app "two words" \'a "b"\' it\\\'s', ["app", "two words", 'a "b"', "it's"]),
            ("app $PATH $(touch pwned) `touch pwned`", ["app", "$PATH", "$(touch", "pwned)", "`touch", "pwned`"]),
            ('app "$(touch pwned)" "`touch pwned`"', ["app", "$(touch pwned)", "`touch pwned`"]),
            ("app 'back\\slash' back\\\\slash", ["app", "back\\slash", "back\\slash"]),
            ("app 'line\nbreak' 'tab\there'", ["app", "line\nbreak", "tab\there"]),
            ("app größe 日本語", ["app", "größe", "日本語"]),
            ("app ''", ["app", ""]),
            ("app ; rm -rf / & true | false > x < y * ?", "app ; rm -rf / & true | false > x < y * ?".split()),
            ("app %s --flag=-x", ["app", "%s", "--flag=-x"]),
        ]:
            with self.subTest(written):
                config = self.config(OCI_IMAGE_ENTRYPOINT=written, OCI_IMAGE_CMD=written)
                self.assertEqual((config["Entrypoint"], config["Cmd"]), (argv, argv))

    def test_pairs(self):
        """key=value words: labels, annotations and the environment."""
        for written, pairs in [
            ("a=b", {"a": "b"}),
            ("a=b c=d=e f=", {"a": "b", "c": "d=e", "f": ""}),
            ("'a=two words' b='two words' c=\"two words\" d=two\\ words",
             {"a": "two words", "b": "two words", "c": "two words", "d": "two words"}),
            ("a='it'\"'\"'s' b='say \"hi\"'", {"a": "it's", "b": 'say "hi"'}),
            ("a=$HOME b='$(touch pwned)' c=`id`", {"a": "$HOME", "b": "$(touch pwned)", "c": "`id`"}),
            ("a='back\\slash' b='line\nbreak' c=größe", {"a": "back\\slash", "b": "line\nbreak", "c": "größe"}),
        ]:
            with self.subTest(written):
                manifest, config = self.build(OCI_IMAGE_LABELS=written, OCI_IMAGE_ANNOTATIONS=written,
                                              OCI_IMAGE_ENV_VARS=written, OCI_IMAGE_AUTO_LABELS="0")
                self.assertEqual(config["config"]["Labels"], pairs)
                self.assertEqual(manifest["annotations"], pairs)
                self.assertEqual(config["config"]["Env"], ["%s=%s" % pair for pair in pairs.items()])

    def test_texts(self):
        """Variables that hold one value."""
        for value in ("/opt/two words", "/opt/it's", '/opt/"q"', "/opt/$HOME/`id`/\\", "/größe"):
            with self.subTest(value):
                self.assertEqual(self.config(OCI_IMAGE_WORKINGDIR=value)["WorkingDir"], value)
        for author, email, written in [
            ("A \"B\" O'C", "a@b", "A \"B\" O'C <a@b>"),
            ("A B", "", "A B"),
            ("", "a@b", "a@b"),
        ]:
            with self.subTest(written):
                self.assertEqual(self.build(OCI_IMAGE_AUTHOR=author, OCI_IMAGE_AUTHOR_EMAIL=email)[1]["author"], written)

    def test_the_rest(self):
        manifest, config = self.build(
            OCI_IMAGE_PORTS="80 443/tcp 53/udp", OCI_IMAGE_VOLUMES="/var/lib/app '/srv/two words'",
            OCI_IMAGE_RUNTIME_UID="1000:100", OCI_IMAGE_STOPSIGNAL="SIGTERM", OCI_IMAGE_COMPRESSION="zstd",
            OCI_IMAGE_CREATED="2020-01-02T03:04:05Z", OCI_IMAGE_OS="linux", OCI_IMAGE_ARCH="armhf",
            OCI_IMAGE_HEALTHCHECK="CMD-SHELL 'curl -f localhost || exit 1'", OCI_IMAGE_HEALTHCHECK_INTERVAL="1m30s",
            OCI_IMAGE_HEALTHCHECK_TIMEOUT="5s", OCI_IMAGE_HEALTHCHECK_START_PERIOD="2s", OCI_IMAGE_HEALTHCHECK_RETRIES="3",
            OCI_IMAGE_MEMORY="64m", OCI_IMAGE_MEMORY_SWAP="-1", OCI_IMAGE_CPU_SHARES="512")
        run = config["config"]
        self.assertEqual(set(run["ExposedPorts"]), {"80/tcp", "443/tcp", "53/udp"})
        self.assertEqual(set(run["Volumes"]), {"/var/lib/app", "/srv/two words"})
        self.assertEqual((run["User"], run["StopSignal"]), ("1000:100", "SIGTERM"))
        self.assertEqual((config["architecture"], config["variant"], config["os"]), ("arm", "v7", "linux"))
        self.assertEqual(config["created"], "2020-01-02T03:04:05Z")
        self.assertTrue(manifest["layers"][0]["mediaType"].endswith("+zstd"))
        self.assertEqual(run["Healthcheck"], {
            "Test": ["CMD-SHELL", "curl -f localhost || exit 1"], "Interval": 90_000_000_000, "Timeout": 5_000_000_000,
            "StartPeriod": 2_000_000_000, "Retries": 3})
        self.assertEqual((run["Memory"], run["MemorySwap"], run["CpuShares"]), (64 << 20, -1, 512))

    def test_what_was_written_wins_over_the_automatic(self):
        written = "'" + PREFIX + "title=Mine' .vendor='ACME & Sons'"
        manifest, config = self.build(OCI_IMAGE_LABELS=written, OCI_IMAGE_ANNOTATIONS=written, SUMMARY="It's `odd`\n$here")
        for pairs in (config["config"]["Labels"], manifest["annotations"]):
            self.assertEqual(pairs[PREFIX + "title"], "Mine")
            self.assertEqual(pairs[PREFIX + "vendor"], "ACME & Sons")
            self.assertEqual(pairs[PREFIX + "description"], "It's `odd`\n$here")
            self.assertEqual(pairs[PREFIX + "version"], "1.0")

    def test_exclude(self):
        directory = self.make_directory()
        task = image_build.Task(directory, {"OCI_IMAGE_EXCLUDE": "etc/*"})
        task.build()
        whole = image_build.Task(os.path.join(directory, "whole"))
        whole.build()
        self.assertNotEqual(task.documents()[2]["rootfs"], whole.documents()[2]["rootfs"])

    def test_the_environment_has_no_say(self):
        directory = self.make_directory()
        task = image_build.Task(directory, {"OCI_IMAGE_CMD": "mine"})
        finished = task.build({"OCI_IMAGE_CMD": "theirs", "OCI_IMAGE_ENTRYPOINT_ARGS": "theirs", "OCI_IMAGE_TAG": "theirs",
                               "TARGET_ARCH": "nonsense", "SOURCE_DATE_EPOCH": "1"})
        self.assertEqual(finished.returncode, 0, finished.stderr)
        index, _, config = task.documents()
        self.assertEqual(config["config"]["Cmd"], ["mine"])
        self.assertEqual(config["created"], "2018-03-09T12:34:56Z")
        self.assertEqual(index["manifests"][0]["annotations"][PREFIX + "ref.name"], "latest")

    def test_no_time_of_the_rootfs(self):
        """An empty REPRODUCIBLE_TIMESTAMP_ROOTFS: do_image sets the time of all files, and the tool uses it."""
        directory = self.make_directory()
        task = image_build.Task(directory, {"REPRODUCIBLE_TIMESTAMP_ROOTFS": ""})
        for path in ("etc/hostname", "etc", "."):
            os.utime(os.path.join(directory, "rootfs", path), (1600000000, 1600000000))
        task.build({"SOURCE_DATE_EPOCH": "1302044400"})
        self.assertEqual(task.documents()[2]["created"], "2020-09-13T12:26:40Z")

    def test_archive(self):
        directory = self.make_directory()
        task = image_build.Task(directory, {"OCI_IMAGE_TAG": "a b"}, "oci-archive")
        self.assertEqual(task.build().returncode, 0)
        self.assertTrue(task.image.is_file())
        self.assertEqual({path.name for path in task.deploy.iterdir() if path.is_symlink()},
                         {"app-image-a-oci.tar", "app-image-b-oci.tar"})

    def test_docker_archive(self):
        directory = self.make_directory()
        task = image_build.Task(directory, {"OCI_IMAGE_TAG": "1.0 registry.example:5000/app:v1"}, "docker-archive")
        self.assertEqual(task.build().returncode, 0)
        with tarfile.open(task.image) as archive:
            (image,) = json.load(archive.extractfile("manifest.json"))
        self.assertEqual(image["RepoTags"], ["app-image:1.0", "registry.example:5000/app:v1"])
        self.assertEqual({path.name for path in task.deploy.iterdir() if path.is_symlink()},
                         {"app-image-1.0-docker.tar", "app-image-registry.example_5000_app_v1-docker.tar"})

    def test_names_in_an_oci_archive(self):
        task = image_build.Task(self.make_directory(), {"OCI_IMAGE_TAG": "1.0 registry.example:5000/app:v1"}, "oci-archive")
        self.assertEqual(task.build().returncode, 0)
        with tarfile.open(task.image) as archive:
            index = json.load(archive.extractfile("index.json"))
        names = [(entry["annotations"]["org.opencontainers.image.ref.name"], entry["annotations"]["io.containerd.image.name"])
                 for entry in index["manifests"]]
        self.assertEqual(names, [("1.0", "docker.io/library/app-image:1.0"),
                                 ("registry.example:5000/app:v1", "registry.example:5000/app:v1")])

    def test_a_name_that_docker_does_not_take(self):
        for variables in ({"OCI_IMAGE_NAME": "Not a name"}, {"OCI_IMAGE_NAME": "acme/app+x"}, {"OCI_IMAGE_TAG": "1.0+git"}):
            with self.subTest(**variables):
                directory = self.make_directory()
                task = image_build.Task(directory, variables, "docker-archive")
                with self.assertRaises(bbclass.Fatal) as fatal:
                    task.prepare()
                self.assertNotIn("\n", str(fatal.exception))
                self.assertIn(*variables.values(), str(fatal.exception))

    def test_bad_values(self):
        for name, value in [
            ("OCI_IMAGE_PORTS", "eighty"), ("OCI_IMAGE_LABELS", "no-pair"), ("OCI_IMAGE_ENV_VARS", "=x"),
            ("OCI_IMAGE_ENTRYPOINT", "'not closed"), ("OCI_IMAGE_WORKINGDIR", "rel/ative"), ("OCI_IMAGE_STOPSIGNAL", "STOP IT"),
            ("OCI_IMAGE_COMPRESSION", "lzma"), ("OCI_IMAGE_CREATED", "now"), ("OCI_IMAGE_SUBARCH", "V7"),
            ("OCI_IMAGE_TAG", "'not a tag'"), ("OCI_IMAGE_ARCH", "sparc9"), ("OCI_IMAGE_CPU_SHARES", "many"),
        ]:
            with self.subTest(name):
                directory = self.make_directory()
                task = image_build.Task(directory, {name: value})
                with self.assertRaises(bbclass.Fatal) as fatal:
                    task.prepare()
                message = str(fatal.exception)
                self.assertTrue(message.startswith(name), message)
                self.assertNotIn("\n", message)
                self.assertIn(value.strip("'"), message)
                self.assertEqual(os.listdir(task.deploy), [])

    def test_unknown_architecture_says_what_to_set(self):
        directory = self.make_directory()
        task = image_build.Task(directory, {"TARGET_ARCH": "riscv32"})
        with self.assertRaisesRegex(bbclass.Fatal, "^TARGET_ARCH.*riscv32.*OCI_IMAGE_ARCH"):
            task.prepare()


if __name__ == "__main__":
    unittest.main()
