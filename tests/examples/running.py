"""An example as its README has it: its shell blocks, run in its folder.

Left out is the installation; changed are addresses that a test cannot have: the port 8000 and that
of a collector.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.processes import ROOT, Program, clean_environment, free_port

__all__ = ["EXAMPLES", "Example"]

EXAMPLES = ROOT / "examples"
_BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_READY = re.compile(r"(running on|Listening at:|Running on) http://127\.0\.0\.1:\d+", re.IGNORECASE)
_PORT = re.compile(r"\b8000\b")
_COLLECTOR = "http://127.0.0.1:4317"


@dataclass(frozen=True)
class Example:
    """One folder below `examples`, and the variables that lead it to providers of the test."""

    name: str
    environ: Mapping[str, str]
    collector: str = _COLLECTOR

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return EXAMPLES / self.name

    def begin(self, port: int | None = None) -> Program:
        """Run the first block, whose last line is the program; until it is left."""
        *lines, last = self._block(0).strip().splitlines()
        script = "\n".join([*lines, f"exec {last}"])
        return Program(self._bash(script, port), self._environment(port))

    def serve(self) -> tuple[Program, int]:
        """Begin, and wait until requests are taken."""
        port = free_port()
        program = self.begin(port)
        try:
            program.wait_line(_READY)
        except BaseException:
            program.__exit__(None, None, None)
            raise
        return program, port

    def ask(self, port: int, *, more: str = "") -> str:
        """Run the second block, with `more` options of curl, and give what it prints."""
        script = self._block(1).replace("curl ", f"curl --silent --show-error {more} ")
        done = subprocess.run(
            self._bash(script, port),
            env={**clean_environment(), **self._environment(port)},
            capture_output=True,
            text=True,
            timeout=20,
        )
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
        return done.stdout

    def _block(self, number: int) -> str:
        return _BLOCK.findall((self.folder / "README.md").read_text("utf-8"))[number]

    def _bash(self, script: str, port: int | None) -> list[str]:
        kept = [line for line in script.splitlines() if not line.startswith("pip install ")]
        text = "\n".join([f"cd '{self.folder}'", *kept]).replace(_COLLECTOR, self.collector)
        return ["bash", "-e", "-c", _PORT.sub(str(port), text)]

    def _environment(self, port: int | None) -> dict[str, str]:
        """How each server is told its port; the options say no more than that."""
        python_path = os.pathsep.join((str(ROOT), str(ROOT / "integrations")))
        return {
            **self.environ,
            "PYTHONPATH": python_path,
            "PYTHONDONTWRITEBYTECODE": "1",
            "PORT": str(port),
            "UVICORN_PORT": str(port),
            "FLASK_RUN_PORT": str(port),
            "GUNICORN_CMD_ARGS": f"--bind 127.0.0.1:{port} --no-control-socket",
        }
