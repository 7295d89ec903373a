"""Runs a command on a terminal of its own: terminal.py COLUMNS PROMPT COMMAND... < what is typed, a line after each prompt.

Without a prompt, nothing is typed. Prints all that the terminal would show, and ends as the command does.
"""

import fcntl
import os
import pty
import select
import struct
import sys
import termios
import time

columns, prompt, command = int(sys.argv[1]), sys.argv[2].encode(), sys.argv[3:]
typed = sys.stdin.buffer.read().split(b"\n") if prompt else []

pid, terminal = pty.fork()
if pid == 0:
    # Before the command starts, which asks for the size at once.
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    os.execvp(command[0], command)

shown, seen, end = b"", 0, time.monotonic() + 50
while time.monotonic() < end:
    if typed and shown.count(prompt, seen):
        seen = len(shown)
        os.write(terminal, typed.pop(0) + b"\r")
    if not select.select([terminal], [], [], 0.1)[0]:
        continue
    try:
        piece = os.read(terminal, 65536)
    except OSError:
        break
    if not piece:
        break
    shown += piece
else:
    os.kill(pid, 9)
sys.stdout.buffer.write(shown)
sys.stdout.flush()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) & 0xff)
