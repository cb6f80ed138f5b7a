"""A sink and a real collector before it, for the whole folder."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.processes import Program, free_port, sidecar
from tests.telemetry.e2e.calls import Providers, providers
from tests.telemetry.e2e.sink import Sink

Start = Callable[..., tuple[Program, str]]

_ROTEL_READY = re.compile(r"Starting Rotel")
_PROMETHEUS_READY = re.compile(r"Server is ready to receive web requests")
_PROMETHEUS = """
global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}
scrape_configs:
- job_name: llm-mesh
  static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


@dataclass(frozen=True)
class Collector:
    """Where the collector takes OTLP in, by protocol."""

    endpoints: dict[str, str]


@pytest.fixture(scope="session")
def sink() -> Iterator[Sink]:
    with Sink() as sink:
        yield sink


@pytest.fixture(scope="session")
def collector(sink: Sink, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collector]:
    """Rotel, which passes everything on to the sink."""
    spec = importlib.util.find_spec("rotel")
    if spec is None or spec.origin is None:
        pytest.skip("the collector is not installed: there is no rotel wheel for this platform")
    agent = Path(spec.origin).with_name("rotel-agent")
    agent.chmod(0o755)  # wheels lose the mode
    if (tried := subprocess.run([agent, "--help"], capture_output=True, text=True)).returncode:
        pytest.skip(f"the collector does not run with this Python: {tried.stderr}")
    grpc, http = free_port(), free_port()
    pid_file = tmp_path_factory.mktemp("rotel") / "pid"
    command = [
        *(str(agent), "start", "--pid-file", str(pid_file), "--batch-timeout", "20ms"),
        *("--otlp-grpc-endpoint", f"127.0.0.1:{grpc}", "--otlp-http-endpoint", f"127.0.0.1:{http}"),
        *("--exporter", "otlp", "--otlp-exporter-protocol", "http"),
        *("--otlp-exporter-endpoint", sink.url),
    ]
    with Program(command) as program:
        program.wait_line(_ROTEL_READY)
        yield Collector(
            {"grpc": f"http://127.0.0.1:{grpc}", "http/protobuf": f"http://127.0.0.1:{http}"}
        )


@dataclass(frozen=True)
class Prometheus:
    """A client of it, and the port that it scrapes."""

    client: httpx.Client
    target_port: int


@pytest.fixture(scope="session", autouse=True)
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus | None]:
    """Prometheus, if it is installed; started early, as it lets 5 s pass before its first look."""
    program = shutil.which("prometheus")
    if program is None:
        yield None
        return
    folder, port, web = tmp_path_factory.mktemp("prometheus"), free_port(), free_port()
    config = folder / "prometheus.yml"
    config.write_text(_PROMETHEUS.format(port=port), "utf-8")
    command = [
        *(program, f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}"),
        f"--web.listen-address=127.0.0.1:{web}",
    ]
    with (
        Program(command) as running,
        httpx.Client(base_url=f"http://127.0.0.1:{web}", trust_env=False) as client,
    ):
        running.wait_line(_PROMETHEUS_READY)
        yield Prometheus(client, port)


@pytest.fixture
def upstreams(tmp_path: Path) -> Iterator[Providers]:
    with providers(tmp_path) as both:
        yield both


@pytest.fixture
def start(upstreams: Providers) -> Iterator[Start]:
    """`start(OTEL_...="...") -> (program, url)`: a sidecar with these variables."""
    with ExitStack() as stack:

        def begin(**environ: str) -> tuple[Program, str]:
            program, url = sidecar(upstreams.config, environ)
            stack.enter_context(program)
            return program, url

        yield begin
