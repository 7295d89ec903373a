"""Runs a piece of bash and says what it cost."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple, Optional

MB = 1_000_000
MIB = 1 << 20


class Contestant(NamedTuple):
    """A piece of bash that turns $ROOTFS, or what $INPUT holds, into $OUT/result, and the programs that it needs."""

    name: str
    needs: list
    script: str


class Run(NamedTuple):
    """What one run cost. Peak memory is that of the largest single process; CPU is that of all together."""

    seconds: float
    cpu: float  # seconds, user and system
    peak: int  # bytes
    size: Optional[int]  # bytes; None where there is no result


class Bench:
    """The directories that results go to, fresh for each run, and that inputs come from, and the variables that
    scripts see."""

    def __init__(self, out, inputs, variables):
        self.out = out
        self.inputs = inputs
        self.environment = dict(os.environ, OUT=str(out), LC_ALL="C", **variables)

    def environment_for(self, tree, threads):
        """$ROOTFS, $INPUT with what was made of it beforehand, and how many $THREADS."""
        return dict(self.environment, ROOTFS=str(tree), INPUT=str(self.inputs / tree.name), THREADS=str(threads))

    def fresh_input(self, tree):
        shutil.rmtree(self.inputs / tree.name, ignore_errors=True)
        (self.inputs / tree.name).mkdir(parents=True)

    def clear(self):
        if self.out.exists():
            shutil.rmtree(self.out)

    def fresh(self):
        self.clear()
        self.out.mkdir(parents=True)

    def run(self, contestant, tree, threads):
        """Costs of one run; subprocess.CalledProcessError when it fails."""
        self.fresh()
        os.sync()  # nobody waits for what the one before has left to write
        figures = self.out / "figures"
        # GNU time, because a child of python starts with python's own peak.
        command = ["time", "-f", "%U %S %M", "-o", figures, "bash", "-euo", "pipefail", "-c", contestant.script]
        environment = self.environment_for(tree, threads)
        start = time.perf_counter()
        subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=True)
        seconds = time.perf_counter() - start
        user, system, kibibytes = figures.read_text().split()
        return Run(seconds, float(user) + float(system), int(kibibytes) * 1024, size_of(self.out / "result"))


def size_of(result):
    """Bytes of a file, of all files below a directory, or None."""
    if result.is_dir():
        return sum(path.stat().st_size for path in result.rglob("*") if path.is_file())
    return result.stat().st_size if result.exists() else None


def census(tree):
    """How many entries a tree has, itself among them, and how many bytes its files."""
    entries, size = 1, 0
    for folder, directories, files in os.walk(tree):
        entries += len(directories) + len(files)
        size += sum(os.lstat(Path(folder, name)).st_size for name in files)
    return entries, size


def not_installed(programs):
    return [program for program in programs if shutil.which(program) is None]


def say(text):
    print(f"compare: {text}", file=sys.stderr, flush=True)


def print_table(heads, rows):
    """In Markdown, the first column of words and the others of figures."""
    print("| " + " | ".join(heads) + " |")
    print("|---|" + "---:|" * (len(heads) - 1))
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print(flush=True)
