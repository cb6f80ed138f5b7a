"""The command on a terminal of its own, and what it writes there."""

from __future__ import annotations

import os
import pty
import subprocess

from tests.cli.conftest import BARE, COMMAND

__all__ = ["on_a_terminal"]


def on_a_terminal(*arguments: object, **environ: str) -> str:
    """What the command writes to a terminal of its own."""
    leader, follower = pty.openpty()
    try:
        process = subprocess.Popen(
            [*COMMAND, *map(str, arguments)],
            env=BARE | {"TERM": "xterm-256color"} | environ,
            stdin=subprocess.DEVNULL,
            stdout=follower,
            stderr=follower,
        )
        os.close(follower)
        written = b""
        try:
            while part := os.read(leader, 65536):
                written += part
        except OSError:  # Linux: the other side is closed
            pass
        process.wait(10)
    finally:
        os.close(leader)
    return written.decode()
