"""Starting the child processes, and speaking with them."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.benchmarks.foreign import Found
from tests.benchmarks.scenarios import Scenario
from tests.benchmarks.wire import Origin
from tests.processes import ROOT, Process, clean_environment

__all__ = ["Child", "Fleet", "await_port"]

_TRIES = 400


class Child(Process):
    """A child process that ends with its input; `facts` is what it said when it was ready."""

    def __init__(
        self, module: str, *arguments: str, python: str = sys.executable, home: Path = ROOT
    ) -> None:
        """Start `module`; packages in `home` come before those of this checkout."""
        super().__init__(
            subprocess.Popen(
                [python, "-m", f"tests.benchmarks.{module}", *arguments],
                cwd=home,
                env=clean_environment(),  # contenders have settings of their own
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        self.facts = self._read()

    def ask(self, line: str) -> Mapping[str, Any]:
        """Send a line, return the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self._read()

    def read_cpu_s(self) -> float:
        """CPU time it has taken so far."""
        return float(self.ask("cpu")["cpu_s"])

    def read_memory_mb(self) -> float:
        """Memory that it holds now."""
        return float(self.ask("memory")["memory_mb"])

    def read_probe_ms(self) -> float:
        """How fast its core is now."""
        return float(self.ask("probe")["probe_ms"])

    def _read(self) -> Mapping[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args!r} ended; its reason is above")
        facts: Mapping[str, Any] = json.loads(line)
        return facts

    def _end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()


def await_port(port: int) -> None:
    """Wait until a server listens; one that is a command binds its port late."""
    for _ in range(_TRIES):
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        time.sleep(0.05)
    raise RuntimeError(f"nothing listens on port {port}")


class Fleet:
    """The upstream, and the servers as they are needed; they live from first use to the end."""

    def __init__(self, directory: Path, foreign: Mapping[str, Found] | None = None) -> None:
        """`foreign` says where the contenders of others are."""
        self._foreign = foreign or {}
        self._stack = ExitStack()
        self._ca_file = str(directory / "ca.pem")
        self._servers: dict[tuple[str, bool], Child] = {}
        self.upstream = self._stack.enter_context(Child("upstream", self._ca_file))

    def __enter__(self) -> Fleet:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    def server(self, contender: str, *, is_tls: bool) -> Child:
        """The server of a contender, which calls the upstream with or without TLS."""
        known = self._servers.get((contender, is_tls))
        if known is None:
            scheme = "https" if is_tls else "http"
            url = f"{scheme}://127.0.0.1:{self.upstream.facts['ports'][scheme]}"
            sink = f"http://127.0.0.1:{self.upstream.facts['ports']['sink']}"
            origin = Origin(url, self._ca_file if is_tls else None, sink)
            found = self._foreign.get(contender, Found())
            program = () if found.program is None else (found.program,)
            arguments = (contender, json.dumps(asdict(origin)), *program)
            child = Child("server", *arguments, python=found.python or sys.executable)
            known = self._servers[contender, is_tls] = self._stack.enter_context(child)
            await_port(known.facts["port"])
        return known

    def prepare(self, scenario: Scenario) -> None:
        """Have the upstream answer as `scenario` wants it, with no connection left from before."""
        behaviour = {
            "think_s": scenario.think_s,
            "chunks": scenario.chunks,
            "pace_s": scenario.pace_s,
        }
        self.upstream.ask(json.dumps(behaviour))
