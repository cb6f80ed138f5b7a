"""The command as users run it: a process of its own, with an environment of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import llm_mesh_middleware
from llm_mesh_middleware.testing import CertificateAuthority, FakeUpstream
from tests.canaries import watched
from tests.conftest import (
    DASHSCOPE,
    DASHSCOPE_KEY,
    MANIFESTS,
    MOONSHOT,
    MOONSHOT_KEY,
    Providers,
)
from tests.processes import free_port

ROOT = Path(llm_mesh_middleware.__file__).parents[1]
COMMAND = (sys.executable, "-m", "llm_mesh_middleware.cli")
BARE = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}

Run = Callable[..., subprocess.CompletedProcess[str]]


@dataclass(frozen=True)
class Sidecar:
    """A running `llm-mesh serve`."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path
    providers: Providers

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return self.log.read_text()

    def stop(self, signum: int = signal.SIGTERM) -> int:
        """Tell it to end and return its exit code."""
        self.process.send_signal(signum)
        return self.process.wait(10)


@pytest.fixture
def run() -> Run:
    """`run("validate", path, environ={...})`: the command to its end, with a bare environment."""

    def run(*arguments: object, environ: dict[str, str] | None = None, **options: object) -> object:
        done = subprocess.run(
            [*COMMAND, *map(str, arguments)],
            env=BARE | (environ or {}),
            capture_output=True,
            text=True,
            timeout=30,
            **options,  # type: ignore[call-overload]
        )
        watched("the command's output", done.stdout)
        watched("the command's errors", done.stderr)
        return done

    return run  # type: ignore[return-value]


@pytest.fixture(scope="session")
def cli_providers(ca: CertificateAuthority, ca_file: str) -> Iterator[Providers]:
    with (
        FakeUpstream(host_names=DASHSCOPE, ca=ca, api_key=DASHSCOPE_KEY) as dashscope,
        FakeUpstream(host_names=MOONSHOT, ca=ca, api_key=MOONSHOT_KEY) as moonshot,
    ):
        yield Providers(dashscope, moonshot, ca_file)


@pytest.fixture(scope="session")
def shared_sidecar(
    cli_providers: Providers, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sidecar]:
    """Started once: an interpreter takes a second to start."""
    yield from _serve(cli_providers, tmp_path_factory.mktemp("serve") / "log")


@pytest.fixture
def sidecar(shared_sidecar: Sidecar) -> Sidecar:
    """The shared one; its providers have seen nothing yet."""
    shared_sidecar.providers.dashscope.clear()
    shared_sidecar.providers.moonshot.clear()
    return shared_sidecar


@pytest.fixture
def own_sidecar(
    cli_providers: Providers, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Sidecar]:
    """One for this test alone, which may end it; the parameter is a list of options."""
    cli_providers.dashscope.clear()
    yield from _serve(cli_providers, tmp_path / "log", *getattr(request, "param", ()))


_LOG = ("--log-format", "logfmt")  # with every field of a call


def _serve(providers: Providers, log: Path, *options: str) -> Iterator[Sidecar]:
    port = free_port()
    environ = BARE | {
        "LLM_MESH_ENDPOINTS": json.dumps(
            {**providers.dashscope.endpoints, **providers.moonshot.endpoints}
        ),
        "LLM_MESH_CA_FILE": providers.ca_file,
        "YOUR_DASHSCOPE_API_KEY": DASHSCOPE_KEY,
        "YOUR_MOONSHOT_API_KEY": MOONSHOT_KEY,
        # A mesh that used these would call itself.
        "http_proxy": f"http://127.0.0.1:{port}",
        "https_proxy": f"http://127.0.0.1:{port}",
    }
    arguments = ["serve", "--config", str(MANIFESTS), "--port", str(port), *_LOG, *options]
    with (
        open(log, "wb") as file,
        subprocess.Popen(
            [*COMMAND, *arguments],
            env=environ,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process,
    ):
        try:
            wait_until_listening(process, port, log)
            yield Sidecar(process, port, log, providers)
        finally:
            with contextlib.suppress(ProcessLookupError):  # all have ended
                os.killpg(process.pid, signal.SIGKILL)  # its workers, too
            watched("the sidecar's log", log.read_text(errors="replace"))


def wait_until_listening(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + 60  # on a busy machine
    while "startup complete" not in log.read_text():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.02)
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except ConnectionRefusedError:
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)
        else:
            return
