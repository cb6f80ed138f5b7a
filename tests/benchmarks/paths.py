"""The paths of a call that have a price of their own, each as the function calls that it takes.

As in `in_memory`, the provider is scripted and there is no socket. What a feature costs is the
difference to the same call without it. A meter counts something else than function calls, such as
the processor's instructions.
"""

from __future__ import annotations

import asyncio
import io
import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from llm_mesh_middleware import LLMMeshMiddleware, LLMPolicy, LLMProvider, LLMRoute, MeshSettings
from llm_mesh_middleware._core.values.headers import Headers
from llm_mesh_middleware._core.values.messages import UpstreamRequest
from llm_mesh_middleware._engine.http.clients import UpstreamClients
from llm_mesh_middleware._engine.http.protocols import response_head
from llm_mesh_middleware._engine.tls import TLSContexts
from llm_mesh_middleware._telemetry.records.access_log import access_logger
from llm_mesh_middleware.cli.serving.direct import Direct, Sidecar
from llm_mesh_middleware.cli.serving.http import SidecarProtocol
from llm_mesh_middleware.cli.serving.log import BufferedHandler
from llm_mesh_middleware.cli.serving.short_line import ShortFormatter
from llm_mesh_middleware.outbound import asend, outgoing
from llm_mesh_middleware.view._watching.hub import Hub
from tests.benchmarks.apps import bare
from tests.benchmarks.apps import mesh as mesh_app
from tests.benchmarks.in_memory import (
    COUNTED,
    JSON,
    WARM_UP,
    Client,
    Meter,
    app_of,
    count,
    function_calls,
    parsed,
    typical,
)
from tests.benchmarks.sdks import SDK
from tests.benchmarks.wire import (
    ASKED_MODEL,
    LLM_HOST,
    PROVIDER_HOST,
    Origin,
    chat_request,
    unary_answer,
)

__all__ = ["calls_of", "calls_of_outbound", "calls_of_serve", "calls_of_wsgi", "logged"]

_ORIGIN = Origin("http://127.0.0.1:9")
_ANSWER = unary_answer()
_BY = {"name": "limit", "by": ["model"], "per": "1s"}
_POLICIES: dict[str, dict[str, Any]] = {
    "limit": {"limits": [{**_BY, "requests": 1_000_000}]},
    # A token takes 3.6 µs to refill, so what is settled differs from what was reserved.
    "tokens": {"limits": [{**_BY, "tokens": 1_000_000_000, "per": "1h"}]},
    "other": {
        "targetRefs": [{"kind": "LLMRoute", "name": "route", "sectionName": "subscribers"}],
        "limits": [{**_BY, "requests": 1_000_000}],
    },
    "cache": {"cache": {"ttl": "1h", "vary": []}},
}


def calls_of(
    policy: str | None = None,
    *,
    messages: bool = False,
    sdk: SDK | None = None,
    watched: bool = False,
    meter: Meter | None = None,
) -> float:
    """Function calls for one chat that is answered at once.

    Args:
        policy: `limit` of requests or `tokens`, which never refuse; `cache`, which has the reply;
            `other`, a limit of a rule that is not selected.
        messages: the client speaks Anthropic's dialect, the provider OpenAI's.
        sdk: makes the providers of an SDK that samples every call.
        watched: by a view.
        meter: what counts, if not function calls are wanted.
    """
    request = chat_request(ASKED_MODEL, size_bytes=1024, is_stream=False)
    if messages:
        request = request.replace(b" /v1/chat/completions ", b" /v1/messages ", 1)
        request = request.replace(b'{"role":"system","content":"You are brief."},', b"")
        request = request.replace(b'{"model"', b'{"max_tokens":64,"model"')
        head, _, body = request.partition(b"\r\n\r\n")
        lines = [line for line in head.split(b"\r\n") if not line.startswith(b"Content-Length")]
        lines.append(b"Content-Length: %d" % len(body))
        request = b"\r\n".join(lines) + b"\r\n\r\n" + body
    client = Client(JSON, [unary_answer()])
    app = app_of(client, lambda origin: _made(origin, policy, sdk))
    if watched:
        # An observer lives as long as somebody holds it; its second does not pass while it counts.
        hub = Hub(app.mesh, clock=lambda: 1000.0)
        app.mesh.observe(hub)
    return count(app, request, meter=meter)


def _made(origin: Origin, policy: str | None, sdk: SDK | None) -> LLMMeshMiddleware:
    documents: list[Any] = [
        LLMProvider.model_validate(mesh_app.MANIFESTS[0]),
        LLMRoute.model_validate(mesh_app.MANIFESTS[1]),
    ]
    if policy is not None:
        spec = {"metadata": {"name": policy}, "spec": _POLICIES[policy]}
        documents.append(LLMPolicy.model_validate(spec))
    settings = MeshSettings(endpoints={PROVIDER_HOST: origin.url})
    return LLMMeshMiddleware(
        bare.make(origin), config=documents, settings=settings, **({} if sdk is None else sdk())
    )


@contextmanager
def logged(stream: io.StringIO | None = None) -> Iterator[None]:
    """Calls made inside are logged as `serve` does, by default to nowhere."""
    handler = BufferedHandler(stream or io.StringIO())
    handler.setFormatter(ShortFormatter(is_terminal=False))
    level, propagates = access_logger.level, access_logger.propagate
    access_logger.addHandler(handler)
    access_logger.setLevel(logging.INFO)
    access_logger.propagate = False
    try:
        yield
    finally:
        access_logger.removeHandler(handler)
        access_logger.setLevel(level)
        access_logger.propagate = propagates


class _Wire(asyncio.Transport):
    """Takes what a connection writes."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.is_whole = asyncio.Event()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)
        self.is_whole.set()

    def is_closing(self) -> bool:
        return False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 50000) if name in ("peername", "sockname") else default

    def close(self) -> None:
        """There is no socket."""


def calls_of_serve(meter: Meter = function_calls) -> float:
    """Function calls from the bytes of a request to those of its reply, as `serve` has them."""
    request = chat_request(ASKED_MODEL, size_bytes=1024, is_stream=False)
    app = app_of(Client(JSON, [unary_answer()]))
    config = uvicorn.Config(
        Sidecar(app, Direct(app)), interface="asgi3", proxy_headers=False, log_config=None
    )

    async def run() -> float:
        connection, wire = SidecarProtocol(config, ServerState(), {}), _Wire()
        connection.connection_made(wire)

        async def exchange() -> None:
            wire.is_whole.clear()
            connection.data_received(request)
            await wire.is_whole.wait()

        try:
            return await _counted(exchange, meter)
        finally:
            connection.connection_lost(None)

    return asyncio.run(run())


def calls_of_outbound(meter: Meter = function_calls) -> float:
    """Function calls for a call that the application makes itself."""
    app = app_of(Client(JSON, [unary_answer()]))
    scope, body = parsed(chat_request(ASKED_MODEL, size_bytes=1024, is_stream=False))
    mesh, authority = app.mesh, LLM_HOST.encode()

    async def exchange() -> None:
        host = mesh.find(authority)
        assert host is not None
        request = outgoing("POST", scope["path"], scope["headers"], body, scheme="http")
        delivery = await asend(mesh, host, request, authority=authority)
        assert delivery.take()
        await delivery.aclose()

    return asyncio.run(_counted(exchange, meter))


class _Response:
    def __init__(self) -> None:
        self.head = response_head(PROVIDER_HOST, 200, Headers(JSON), body=_ANSWER)
        self._pieces = iter((_ANSWER,))

    def read(self, until: float) -> bytes:
        return next(self._pieces, b"")

    def close(self) -> None:
        """There is no connection."""


class _SyncClients(UpstreamClients):
    def __init__(self) -> None:
        super().__init__(TLSContexts(None))

    def of_process(self) -> Any:
        return self

    def open(self, request: UpstreamRequest, until: float, scope: object) -> _Response:
        return _Response()


def calls_of_wsgi(meter: Meter = function_calls) -> float:
    """Function calls for one chat through the WSGI middleware."""
    app = mesh_app.make_wsgi(_ORIGIN)
    app.mesh._serving.clients = _SyncClients()
    app.mesh._live.due_at = math.inf
    app.mesh._parts.telemetry._look(math.inf)
    scope, body = parsed(chat_request(ASKED_MODEL, size_bytes=1024, is_stream=False))
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": scope["path"],
        "SCRIPT_NAME": "",
        "QUERY_STRING": "",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.url_scheme": "http",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_HOST": LLM_HOST,
        "HTTP_USER_AGENT": "benchmark/1.0",
        "HTTP_ACCEPT": "application/json",
    }

    def exchange() -> None:
        statuses: list[str] = []
        given = {**environ, "wsgi.input": io.BytesIO(body)}
        reply: Any = app(given, lambda status, headers: statuses.append(status))
        assert b"".join(reply)
        reply.close()
        assert statuses == ["200 OK"]

    for _ in range(WARM_UP):
        exchange()
    with meter() as found:
        for _ in range(COUNTED):
            exchange()
    return found[0] / COUNTED


async def _counted(exchange: Callable[[], Any], meter: Meter) -> float:
    return await typical(exchange, meter, is_total=meter is not function_calls)
