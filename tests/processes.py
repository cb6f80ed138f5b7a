"""Processes that a test starts, asks and ends: the sidecar, a collector, Prometheus, contenders."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.canaries import watched

__all__ = ["ROOT", "Process", "Program", "clean_environment", "free_port", "sidecar"]

ROOT = Path(__file__).parents[1]
_LISTENING = re.compile(r"running on http://127\.0\.0\.1:(\d+)")


def _ports() -> Iterator[int]:
    """Ports of this worker alone, below those that the system hands out for port 0."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = 20_000 + worker % 12 * 1000
    for number in itertools.count(os.getpid()):
        yield first + number % 1000


_PORTS = _ports()


def free_port() -> int:
    """A port for a program that cannot choose one; nobody else is given it in the meantime."""
    for port in _PORTS:
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("ports never end")


class Process:
    """A child process that has ended, whatever happens, when the block is left."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._process:  # closes its pipes and waits
            self._end()

    @property
    def pid(self) -> int:
        """For whoever wants to look into it."""
        return self._process.pid

    def _end(self) -> None:
        """Have it end."""
        self._process.kill()


class Program(Process):
    """A process and the lines it writes."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str] | None = None) -> None:
        super().__init__(
            subprocess.Popen(
                command,
                cwd=ROOT,
                env={**clean_environment(), **(environ or {})},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    @property
    def lines(self) -> list[str]:
        """What it has written so far."""
        with self._changed:
            return list(self._lines)

    def wait_line(self, pattern: re.Pattern[str], timeout: float = 15.0) -> re.Match[str]:
        """The first line that `pattern` is found in."""

        def found() -> re.Match[str] | None:
            return next((m for line in self._lines if (m := pattern.search(line))), None)

        with self._changed:
            match = self._changed.wait_for(found, timeout)
        assert match is not None, "".join(self.lines)
        return match

    def terminate(self) -> None:
        """Send SIGTERM."""
        self._process.send_signal(signal.SIGTERM)

    def wait(self, timeout: float) -> None:
        """Wait for its end, and for its last line."""
        self._process.wait(timeout)
        self._reader.join(timeout)

    def _end(self) -> None:
        super()._end()
        self._reader.join()  # nobody closes the pipe under its hands

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._changed:
                self._lines.append(watched("a process's output", line))
                self._changed.notify_all()


def sidecar(config: Path, environ: Mapping[str, str], *, first: str = "") -> tuple[Program, str]:
    """`llm-mesh serve` on a free port, and its URL; `first` is Python that it runs before."""
    start = f"{first}from llm_mesh_middleware.cli import main; main()"
    options = ("--config", str(config), "--port", "0", "--log-format", "json")
    program = Program([sys.executable, "-c", start, "serve", *options], environ)
    try:
        return program, f"http://127.0.0.1:{program.wait_line(_LISTENING)[1]}"
    except BaseException:
        program.__exit__(None, None, None)
        raise


def clean_environment() -> dict[str, str]:
    """The environment without settings of ours; the tree that is tested comes first."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("LLM_MESH_", "OTEL_"))}
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return {**kept, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}
