"""The mesh of these tests on any of four servers, and how each of its exchanges ended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import uvicorn
from granian.constants import Interfaces
from granian.net import SocketSpec
from granian.server.embed import Server as GranianServer

from llm_mesh_middleware import LLMMeshMiddleware, Mesh, MeshSettings
from llm_mesh_middleware._core.flow.observer import Observation
from llm_mesh_middleware._core.values.messages import ClientRequest
from llm_mesh_middleware._core.values.usage import Usage
from tests.adapters.meshes import own_app
from tests.canaries import canary
from tests.conftest import running
from tests.core.tables import provider, route

KEY = canary("streams")

# One provider for each form, all of them the same upstream, and one behind TLS.
PLAIN, STREAMS, WHOLE, UNCOUNTED, SECURE = (
    f"{name}.example" for name in ("plain", "streams", "whole", "uncounted", "secure")
)
HOSTS = (PLAIN, STREAMS, WHOLE, UNCOUNTED)

# One mesh outlives many failures here: no provider is ejected for them, none is waited for.
_PATIENT = "outlierDetection: {consecutiveFailures: 2147483647}"
_RULE = "- retry: {{backoff: 1ms}}\n  backendRefs: [{{providerHost: {}}}]"

_TIMED = """\
- name: first-byte
  matches: [{headers: {limit: {exact: first-byte}}}]
  timeouts: {firstByte: 100ms}
  retry: {backoff: 1ms}
  backendRefs: [{providerHost: plain.example}]
- name: idle
  matches: [{headers: {limit: {exact: idle}}}]
  timeouts: {idle: 0.2}
  backendRefs: [{providerHost: plain.example}]
- name: request
  matches: [{headers: {limit: {exact: request}}}]
  timeouts: {request: 250ms, idle: 200ms}
  backendRefs: [{providerHost: plain.example}]
- name: whole
  matches: [{headers: {limit: {exact: whole}}}]
  timeouts: {request: 400ms}
  backendRefs: [{providerHost: plain.example}]
- timeouts: {request: 20s}
  backendRefs: [{providerHost: plain.example}]
"""

MANIFEST = "---\n".join(
    [
        provider(PLAIN, f"{{apiKey: {KEY}}}", spec=_PATIENT),
        provider(STREAMS, "{stream: true}", spec=_PATIENT),
        provider(WHOLE, "{stream: false}", spec=_PATIENT),
        provider(UNCOUNTED, "{streamUsage: false}", spec=_PATIENT),
        provider(SECURE, spec=_PATIENT),
        *(route(_RULE.format(host), host, name=host) for host in (*HOSTS, SECURE)),
        route(_TIMED, "timed", name="timed"),
        route(_RULE.format(PLAIN), "127.0.0.1", name="by-address"),
    ]
)


@dataclass
class Ends:
    """An observer that remembers how each exchange ended."""

    seen: list[tuple[int | None, BaseException | None, Usage | None]] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def __call__(self, request: ClientRequest) -> Observation:
        return _End(self)

    def add(self, end: tuple[int | None, BaseException | None, Usage | None]) -> None:
        with self._changed:
            self.seen.append(end)
            self._changed.notify_all()

    def wait(
        self, count: int = 1, seconds: float = 2.0
    ) -> list[tuple[int | None, BaseException | None, Usage | None]]:
        """The ends, once there are `count` of them."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.seen) >= count, seconds), self.seen
            return list(self.seen)


class _End(Observation):
    def __init__(self, ends: Ends) -> None:
        self._ends = ends

    def ended(self, status: int | None, error: BaseException | None, usage: Usage | None) -> None:
        self._ends.add((status, error, usage))


def mesh_app(settings: MeshSettings, ends: Ends) -> LLMMeshMiddleware:
    """The middleware before an application of its own, with an observer."""
    return LLMMeshMiddleware(own_app, mesh=Mesh(settings=settings, observer=ends))


@contextmanager
def serving(app: object, server: str) -> Iterator[int]:
    """The port of `app` on any of the servers."""
    with _granian(app) if server == "granian" else running(app, server) as port:
        yield port


class _Granian(GranianServer):
    """Granian in this process, on a free port that it tells."""

    port: int

    def _init_shared_socket(self) -> None:
        self._ssp = None
        self._shd = SocketSpec("127.0.0.1", 0, 128).build()
        self._sfd = self._shd.get_fd()
        with socket.socket(fileno=os.dup(self._sfd)) as listener:
            self.port = listener.getsockname()[1]


@contextmanager
def _granian(app: object) -> Iterator[int]:
    started = threading.Event()
    server = _Granian(app, interface=Interfaces.ASGI, log_enabled=False)
    server.on_startup(started.set)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(
        target=lambda: loop.run_until_complete(server.serve()), name="granian"
    )
    thread.start()
    assert started.wait(10)
    _until_it_listens(server.port)
    try:
        yield server.port
    finally:
        loop.call_soon_threadsafe(server.stop)
        thread.join(10)
        assert not thread.is_alive()
        loop.close()


def _until_it_listens(port: int) -> None:
    """Granian says that it has started a little before it listens."""
    for _ in range(500):
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), 5).close()
            return
        time.sleep(0.01)
    raise TimeoutError(f"nobody listens on port {port}")


@dataclass
class Uvicorn:
    """A uvicorn whose end the test decides."""

    server: uvicorn.Server
    thread: threading.Thread

    @property
    def port(self) -> int:
        return int(self.server.servers[0].sockets[0].getsockname()[1])

    def stop(self) -> None:
        """Ask it to end, as a signal would."""
        self.server.should_exit = True

    def join(self, seconds: float = 5.0) -> bool:
        """Whether it has ended."""
        self.thread.join(seconds)
        return not self.thread.is_alive()


def start_uvicorn(app: object, **options: object) -> Uvicorn:
    """One with options of its own; the caller stops it."""
    config = uvicorn.Config(app, port=0, log_level="critical", **options)  # type: ignore[arg-type]
    server = uvicorn.Server(config)
    started = threading.Event()

    async def run() -> None:
        serving = asyncio.create_task(server.serve())
        while not (server.started or serving.done()):
            await asyncio.sleep(0.002)
        started.set()
        await serving

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    assert started.wait(10)
    return Uvicorn(server, thread)
