"""What every test folder shares: providers, settings for them, and real servers on free ports."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any, Literal
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server
from wsgiref.validate import validator

import hypothesis
import pytest
import uvicorn
import uvloop
from hypercorn.asyncio import serve as hypercorn_serve
from hypercorn.config import Config as HypercornConfig

import llm_mesh_middleware.cli
from llm_mesh_middleware import LLMMeshMiddleware, LLMMeshWSGIMiddleware, MeshSettings
from llm_mesh_middleware.cli.serving.direct import Direct, Sidecar
from llm_mesh_middleware.cli.serving.http import SidecarProtocol
from llm_mesh_middleware.testing import CertificateAuthority, FakeUpstream
from tests.canaries import canary
from tests.canaries import pytest_runtest_makereport as search_for_canaries
from tests.slow_rows import pytest_generate_tests as leave_out_slow_rows
from tests.slow_rows import pytest_pycollect_makeitem as leave_out_slow_tests

DASHSCOPE, MOONSHOT, DEMO = "dashscope.aliyuncs.com", "api.moonshot.cn", "demo-llm-server"
DASHSCOPE_KEY, MOONSHOT_KEY = canary("dashscope"), canary("moonshot")
MANIFESTS = Path(llm_mesh_middleware.cli.__file__).parent / "manifests"

# pytest knows a hook by its name in a conftest.
pytest_runtest_makereport = search_for_canaries
pytest_generate_tests = leave_out_slow_rows
pytest_pycollect_makeitem = leave_out_slow_tests

# A shell ignores it in its background jobs, and so would every process that a test starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Enough to find what is wrong over many runs; the whole suite must stay short.
# How long an example takes is the machine's matter.
hypothesis.settings.register_profile("suite", max_examples=25, deadline=None)
hypothesis.settings.load_profile("suite")


def slow(*cases: object) -> list[object]:
    """These cases of a parameter in the slow runs alone: they prove again what another proves."""
    every = (case if isinstance(case, tuple) else (case,) for case in cases)
    return [pytest.param(*case, marks=pytest.mark.slow) for case in every]


SERVERS = (
    "uvicorn-httptools",
    *slow("serve", "serve-uvloop", "uvicorn-uvloop", "uvicorn-h11", "hypercorn"),
)
WSGI_SERVERS = ("wsgiref",)
Serve = Callable[..., int]
Http = Literal["h11", "httptools"] | type[SidecarProtocol]


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Import no module whose tests are all slow where none of these is wanted."""
    if "not slow" not in config.option.markexpr or collection_path.suffix != ".py":
        return None
    return True if "\npytestmark = pytest.mark.slow" in collection_path.read_text() else None


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for no garbage while thousands of modules and tests are made, nor among them later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_xdist_auto_num_workers() -> Generator[None, int, int]:
    """One more than there are processors: many tests wait for a socket or a time limit."""
    return (yield) + 1


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The manifests' keys, and none of the machine's own settings and proxies."""
    # `serve` leaves settings in the environment for its workers, and some tests run it in here.
    for name in [name for name in os.environ if name.startswith("LLM_MESH_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("YOUR_DASHSCOPE_API_KEY", DASHSCOPE_KEY)
    monkeypatch.setenv("YOUR_MOONSHOT_API_KEY", MOONSHOT_KEY)
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture(scope="session", autouse=True)
def trusted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One authority for this machine's: to read a hundred takes longer than most tests."""
    path = tmp_path_factory.mktemp("trusted") / "ca.pem"
    CertificateAuthority().write(path)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SSL_CERT_FILE", str(path))
        yield


@pytest.fixture(scope="session")
def ca() -> CertificateAuthority:
    """One authority for the whole run: making its key takes a while."""
    return CertificateAuthority()


@pytest.fixture(scope="session")
def ca_file(ca: CertificateAuthority, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca.write(path)
    return str(path)


@dataclass(frozen=True)
class Providers:
    """The two providers of the manifests, with TLS, and settings that reach them."""

    dashscope: FakeUpstream
    moonshot: FakeUpstream
    ca_file: str

    @property
    def requests(self) -> list[object]:
        return [*self.dashscope.requests, *self.moonshot.requests]

    def settings(self, **overrides: object) -> MeshSettings:
        values: dict[str, object] = {
            "config": (str(MANIFESTS),),
            "endpoints": {DASHSCOPE: self.dashscope.url, MOONSHOT: self.moonshot.url},
            "ca_file": self.ca_file,
        }
        return MeshSettings(**(values | overrides))  # type: ignore[arg-type]


@pytest.fixture
def providers(ca: CertificateAuthority, ca_file: str) -> Iterator[Providers]:
    with (
        FakeUpstream(host_names=DASHSCOPE, ca=ca, api_key=DASHSCOPE_KEY) as dashscope,
        FakeUpstream(host_names=MOONSHOT, ca=ca, api_key=MOONSHOT_KEY) as moonshot,
    ):
        yield Providers(dashscope, moonshot, ca_file)


@pytest.fixture
def serve() -> Iterator[Serve]:
    """`serve(app, "uvicorn-h11") -> port`, in a thread, until the test ends."""
    with ExitStack() as stack:

        def start(app: object, server: str = "uvicorn-httptools") -> int:
            return stack.enter_context(running(app, server))

        yield start


def running(app: object, server: str) -> AbstractContextManager[int]:
    """What `serve` does, for fixtures that keep a server for longer than one test."""
    return _SERVERS.get(server, _uvicorn)(app, server)


class _Impatient:
    """asyncio as uvicorn sees it: a server that ends sleeps, and looks ten times a second."""

    def __getattr__(self, name: str) -> object:
        return getattr(asyncio, name)

    @staticmethod
    async def sleep(delay: float) -> None:
        await asyncio.sleep(min(delay, 0.01))


uvicorn.server.asyncio = _Impatient()  # type: ignore[assignment]


class _Uvicorn(uvicorn.Server):
    """Waits to be told to end: dozens of servers that look for it again and again are a load."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._ending = asyncio.Event()

    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        await self.on_tick(0)
        await self._ending.wait()

    def end(self) -> None:
        self.should_exit = True
        self._loop.call_soon_threadsafe(self._ending.set)


# `serve` is the server of `llm-mesh serve`, with its direct way into the mesh.
_UVICORNS: dict[str, tuple[Callable[[], asyncio.AbstractEventLoop], Http]] = {
    "serve": (asyncio.new_event_loop, SidecarProtocol),
    "serve-uvloop": (uvloop.new_event_loop, SidecarProtocol),
    "uvicorn-h11": (asyncio.new_event_loop, "h11"),
    "uvicorn-httptools": (asyncio.new_event_loop, "httptools"),
    "uvicorn-uvloop": (uvloop.new_event_loop, "httptools"),
}


@contextmanager
def _uvicorn(app: object, name: str) -> Iterator[int]:
    loop, http = _UVICORNS[name]
    options: dict[str, Any] = {}
    if http is SidecarProtocol:
        options = {"interface": "asgi3", "proxy_headers": False}  # what `serve` sets
        app = Sidecar(app, Direct(app)) if isinstance(app, LLMMeshMiddleware) else app
    config = uvicorn.Config(app, port=0, log_level="critical", http=http, **options)  # type: ignore[arg-type]
    server = _Uvicorn(config)
    started = threading.Event()

    async def run() -> None:
        serving = asyncio.create_task(server.serve())
        while not (server.started or serving.done()):
            await asyncio.sleep(0.002)
        started.set()
        await serving

    def serve_on_loop() -> None:
        with asyncio.Runner(loop_factory=loop) as runner:
            runner.run(run())

    thread = threading.Thread(target=serve_on_loop, name=name)
    thread.start()
    started.wait(10)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.end()
        thread.join(10)
        assert not thread.is_alive()


@contextmanager
def _hypercorn(app: object, name: str) -> Iterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))
    config = HypercornConfig()
    port = listener.getsockname()[1]
    config.bind = [f"fd://{listener.detach()}"]
    config.accesslog = config.errorlog = None
    config.graceful_timeout = 1.0
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    thread = threading.Thread(
        target=lambda: loop.run_until_complete(
            hypercorn_serve(app, config, shutdown_trigger=stop.wait)
        ),
        name=name,
    )
    thread.start()
    try:
        yield port
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        assert not thread.is_alive()
        loop.close()


class _ThreadingServer(ThreadingMixIn, WSGIServer):
    daemon_threads = True
    request_queue_size = 256


class _SilentHandler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def _wsgiref(app: object, name: str) -> Iterator[int]:
    """A thread for each request, and everything that PEP 3333 demands is looked at."""
    checked = validator(app)  # type: ignore[arg-type]
    with make_server("127.0.0.1", 0, checked, _ThreadingServer, _SilentHandler) as server:
        thread = threading.Thread(target=server.serve_forever, name=name)
        thread.start()
        try:
            yield server.server_port
        finally:
            ending = threading.Thread(target=server.shutdown)
            ending.start()
            socket.create_connection(("127.0.0.1", server.server_port)).close()  # it looks up
            ending.join(10)
            thread.join(10)
            assert not thread.is_alive()
            if isinstance(app, LLMMeshWSGIMiddleware):  # WSGI has no word for the end of a server
                app.mesh.close()


_SERVERS: dict[str, Callable[[object, str], AbstractContextManager[int]]] = {
    "hypercorn": _hypercorn,
    "wsgiref": _wsgiref,
}
