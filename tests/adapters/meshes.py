"""Providers and servers that outlive one test: to start them takes longer than most tests run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from llm_mesh_middleware import LLMMeshMiddleware, LLMMeshWSGIMiddleware
from llm_mesh_middleware.testing import CertificateAuthority, FakeUpstream
from tests.adapters.wire import Client, Connect
from tests.conftest import (
    DASHSCOPE,
    DASHSCOPE_KEY,
    MANIFESTS,
    MOONSHOT,
    MOONSHOT_KEY,
    SERVERS,
    WSGI_SERVERS,
    Providers,
    running,
)

__all__ = [
    "OWN_ANSWER",
    "connect",
    "kept_providers",
    "kept_servers",
    "mesh_for",
    "mesh_on",
    "own_app",
    "own_wsgi_app",
    "patient",
    "providers",
    "server",
]

OWN_ANSWER = b"from the application"


def own_wsgi_app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """What `own_app` says to HTTP, under WSGI."""
    fields = [("content-length", str(len(OWN_ANSWER))), ("content-type", "text/plain")]
    start_response("200 OK", fields)
    return [OWN_ANSWER]


def mesh_for(server: str, **words: Any) -> LLMMeshMiddleware | LLMMeshWSGIMiddleware:
    """The middleware that `server` takes, before an application of the same kind."""
    if server in WSGI_SERVERS:
        return LLMMeshWSGIMiddleware(own_wsgi_app, **words)
    return LLMMeshMiddleware(own_app, **words)


async def own_app(scope: Scope, receive: Receive, send: Send) -> None:
    """The application behind the mesh: one answer for all of HTTP, and sockets that echo."""
    if scope["type"] == "http":
        headers = [(b"content-length", b"%d" % len(OWN_ANSWER))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": OWN_ANSWER})
    elif scope["type"] == "websocket":
        assert (await receive())["type"] == "websocket.connect"
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"]})


@pytest.fixture(scope="session")
def kept_providers(ca: CertificateAuthority, ca_file: str) -> Iterator[Providers]:
    with (
        FakeUpstream(host_names=DASHSCOPE, ca=ca, api_key=DASHSCOPE_KEY) as dashscope,
        FakeUpstream(host_names=MOONSHOT, ca=ca, api_key=MOONSHOT_KEY) as moonshot,
    ):
        yield Providers(dashscope, moonshot, ca_file)


@pytest.fixture
def providers(kept_providers: Providers) -> Providers:
    """The providers of all tests in this folder, with nothing scripted and nothing seen yet."""
    kept_providers.dashscope.clear()
    kept_providers.moonshot.clear()
    return kept_providers


# A mesh here outlives many failures, and who waits for it has seen retries elsewhere.
_PATIENCE = {
    "kind: LLMProvider": (
        "spec:\n",
        "spec:\n  outlierDetection: {consecutiveFailures: 2147483647}\n",
    ),
    "kind: LLMRoute": ("backendRefs:", "retry: {backoff: 1ms}\n    backendRefs:"),
}


@pytest.fixture(scope="session")
def patient(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """The manifests, with providers that are never ejected, tried again without delay."""
    folder = tmp_path_factory.mktemp("patient")
    for path in sorted(MANIFESTS.glob("*.yaml")):
        text = path.read_text("utf-8")
        for kind, (found, wanted) in _PATIENCE.items():
            if kind in text:
                text = text.replace(found, wanted)
        (folder / path.name).write_text(text, "utf-8")
    return (str(folder),)


@pytest.fixture(scope="session")
def kept_servers(
    kept_providers: Providers, patient: tuple[str, ...]
) -> Iterator[Callable[..., int]]:
    """`(server, **settings) -> port` of a mesh before `own_app`, started on first use."""
    ports: dict[tuple[str, str], int] = {}
    with ExitStack() as stack:

        def start(server: str, **settings: object) -> int:
            key = server, repr(sorted(settings.items()))
            if key not in ports:
                values = {"config": patient} | settings
                app = mesh_for(server, settings=kept_providers.settings(**values))
                ports[key] = stack.enter_context(running(app, server))
            return ports[key]

        yield start


@pytest.fixture
def mesh_on(
    kept_servers: Callable[..., int], providers: Providers, environment: None
) -> Callable[..., int]:
    """`mesh_on("hypercorn", request_timeout=0.3) -> port`; equal meshes are one."""
    return kept_servers


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> str:
    """The name of each server in turn."""
    return str(request.param)


@pytest.fixture
def connect() -> Iterator[Connect]:
    """`connect(port) -> Client`, closed when the test ends."""
    with ExitStack() as stack:
        yield lambda port: stack.enter_context(Client(port))
