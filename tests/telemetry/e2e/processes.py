"""Programs that a test starts, asks and ends: the sidecar, a collector, Prometheus."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

__all__ = ["Program", "clean_environment", "free_port", "sidecar"]

_ROOT = Path(__file__).parents[3]
_LISTENING = re.compile(r"running on http://127\.0\.0\.1:(\d+)")


def free_port() -> int:
    """A port for a program that cannot choose one and tell it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class Program:
    """A process and the lines it writes; it is ended, whatever happens, when the block is left."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str] | None = None) -> None:
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._process = subprocess.Popen(
            command,
            cwd=_ROOT,
            env={**clean_environment(), **(environ or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def __enter__(self) -> Program:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()

    @property
    def pid(self) -> int:
        return self._process.pid

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
        """Wait for its end."""
        self._process.wait(timeout)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._changed:
                self._lines.append(line)
                self._changed.notify_all()


def sidecar(config: Path, environ: Mapping[str, str]) -> tuple[Program, str]:
    """`llm-mesh serve` on a free port, and its URL."""
    start = "from llm_mesh_middleware.cli import main; main()"
    options = ("--config", str(config), "--port", "0", "--log-format", "json")
    program = Program([sys.executable, "-c", start, "serve", *options], environ)
    try:
        return program, f"http://127.0.0.1:{program.wait_line(_LISTENING)[1]}"
    except BaseException:
        program.__exit__(None, None, None)
        raise


def clean_environment() -> dict[str, str]:
    """Without the settings of whoever runs this."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("LLM_MESH_", "OTEL_"))}
    return {**kept, "PYTHONPATH": str(_ROOT), "PYTHONUNBUFFERED": "1"}
