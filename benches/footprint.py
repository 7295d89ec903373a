"""What ocibake costs beside time: memory by entries, start-up, and calls that pseudo intercepts."""

import os
import platform
import shutil
import subprocess
import time
from pathlib import Path
from statistics import median

from measure import MIB, census, not_installed, print_table, say

ORDINARY_USER = 65534


def make_files(root, directories, content):
    """A tree with 100 files in every directory and paths as long as real ones; made once."""
    if root.exists():
        return
    part = root.with_name(root.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    for number in range(directories):
        folder = part / f"usr/share/doc-{number // 100:02}/package-{number % 100:02}"
        folder.mkdir(parents=True)
        for name in range(100):
            (folder / f"chapter-{name:02}.txt").write_bytes(content)
    part.rename(root)


def print_memory(bench, contestants, rootfs, build):
    """Peaks on the rootfs and on trees of nothing but entries; returns the worst on the rootfs, in MiB."""
    half, whole = build / "many-half", build / "many"
    say("peak memory, also of 100,000 and 200,000 empty files")
    make_files(half, 1000, b"")
    make_files(whole, 2000, b"")
    entries = {tree: census(tree)[0] for tree in (rootfs, half, whole)}
    peaks = {tree: [bench.run(contestant, tree, 2).peak / MIB for contestant in contestants] for tree in entries}
    hundred_thousands = (entries[whole] - entries[half]) / 100_000
    growth = [(large - small) / hundred_thousands for small, large in zip(peaks[half], peaks[whole])]

    rows = [(tree.name, f"{entries[tree]:,}", peaks[tree]) for tree in entries]
    rows.append(("growth", "100,000", growth))
    print("## Peak memory with two threads, MiB\n")
    print_table(["tree", "entries"] + [contestant.name for contestant in contestants],
                [[name, count] + [f"{figure:.1f}" for figure in figures] for name, count, figures in rows])
    return max(peaks[rootfs])


def print_start_up(program):
    """The slower of two small commands, in milliseconds; `true` shows what of it is not ours."""
    commands = {"--version": [program, "--version"], "platform": [program, "platform", "x86_64"], "(true)": ["true"]}
    figures = {}
    for name, command in commands.items():
        times = []
        for _ in range(100):
            start = time.perf_counter()
            subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
            times.append(time.perf_counter() - start)
        figures[name] = median(times) * 1000
    print("## Start-up, median of 100\n")
    print_table(["command", "ms"], [[name, f"{figure:.2f}"] for name, figure in figures.items()])
    return max(figures["--version"], figures["platform"])


def print_pseudo(bench, build):
    """What pseudo costs an ordinary user, and how often its server is asked."""
    missing = not_installed(["pseudo", "strace", "setpriv"])
    if missing:
        say(f"LEFT OUT: the part under pseudo: {', '.join(missing)} not installed")
        return
    say("under pseudo")
    plain, tracked, log = build / "files", bench.out / "tracked", bench.out / "messages"
    make_files(plain, 100, b"content\n" * 128)
    entries = census(plain)[0]
    bench.fresh()
    (bench.out / "image").mkdir()
    become = []
    if os.geteuid() == 0:
        become = ["setpriv", f"--reuid={ORDINARY_USER}", f"--regid={ORDINARY_USER}", "--clear-groups"]
        for directory in (bench.out, bench.out / "image"):
            os.chown(directory, ORDINARY_USER, ORDINARY_USER)
    # As in a task of BitBake: the rootfs is tracked, the place of the image is not.
    prefix = Path(shutil.which("pseudo")).parent.parent
    pseudo = ["env", f"PSEUDO_PREFIX={prefix}", f"PSEUDO_LOCALSTATEDIR={bench.out}/state",
              f"PSEUDO_IGNORE_PATHS={bench.out}/image", "pseudo"]
    strace = ["strace", "-f", "-e", "trace=sendmsg", "-o", log]

    def seconds(command):
        start = time.perf_counter()
        subprocess.run(become + command, env=bench.environment, cwd=bench.out, stdout=subprocess.DEVNULL, check=True)
        return time.perf_counter() - start

    def bake(tree, target):
        return [bench.environment["OCIBAKE"], "build", tree, f"oci:image/{target}",
                "--arch", platform.machine(), "--compression", "none"]

    seconds(pseudo + ["cp", "-a", plain, tracked])
    figures = {
        "without pseudo": seconds(bake(plain, "plain")),
        "under pseudo": seconds(pseudo + bake(tracked, "tracked")),
    }
    seconds(pseudo + strace + bake(tracked, "counted"))
    seconds(pseudo + ["-S"])  # its server stops
    messages = log.read_text().count("sendmsg(")
    print("## Under pseudo, as an ordinary user, without compression\n")
    print_table([f"{entries:,} entries", "seconds", "entries a second"],
                [[name, f"{figure:.2f}", f"{entries / figure:,.0f}"] for name, figure in figures.items()])
    print(f"Messages to pseudo's server: {messages / entries:.2f} an entry.\n")
