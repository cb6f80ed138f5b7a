"""A tutorial followed to the letter: its files written, its commands run, its server asked.

A comment before a block says what becomes of it:

    program: PATH   the block is that file      append: PATH   it is added to its end
    run: ...        commands to their end       serve: ...     the server, until the test ends
    ask: ...        a call to the server

Left out is the installation; another port is used than 8000, which a test cannot have.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.processes import Program, clean_environment, free_port
from tests.test_docs import Block, read_blocks

__all__ = ["Tutorial"]

_READY = re.compile(r"(running on|Starting development server at) http://127\.0\.0\.1:\d+", re.I)
_PORT = "8000"


class Tutorial:
    """One document, in a folder of its own; `environ` leads to the providers of the test."""

    def __init__(self, document: Path, folder: Path, environ: Mapping[str, str]) -> None:
        self._blocks = [block for block in read_blocks(document) if block.note]
        self._folder = folder
        self._port = str(free_port())
        path = f"{Path(sys.executable).parent}:{clean_environment()['PATH']}"
        own = {"PATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
        self._environ = {**clean_environment(), **own, **environ}

    @contextmanager
    def follow(self) -> Iterator[str]:
        """Do all that is said up to the call, and yield what the call prints."""
        blocks = iter(self._blocks)
        for block in blocks:
            if block.note == "serve":
                break
            self._do(block)
        with Program(self._bash(f"exec {block.text}"), self._environ) as program:
            program.wait_line(_READY, 60)
            yield self._do(next(blocks))
            for block in blocks:
                self._do(block)

    def _do(self, block: Block) -> str:
        path = self._folder / block.detail
        if block.note == "program":
            path.write_text(block.text)
        elif block.note == "append":
            path.write_text(path.read_text() + block.text)
        elif block.note in ("run", "ask"):
            return self._run(block.text)
        return ""

    def _run(self, script: str) -> str:
        done = subprocess.run(
            self._bash(script.replace("curl ", "curl -sS --max-time 20 ")),
            env=self._environ,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def _bash(self, script: str) -> list[str]:
        return ["bash", "-e", "-c", f"cd '{self._folder}'\n{script.replace(_PORT, self._port)}"]
