"""The app of a contender without a server and without sockets: a scripted upstream on the seam.

What is left is the mesh's own work, the same every time, so it can be counted.
"""

from __future__ import annotations

import asyncio
import math
import sys
from collections.abc import (
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    MutableMapping,
    Sequence,
)
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from types import FrameType
from typing import Any
from unittest.mock import patch

from llm_mesh_middleware import LLMMeshMiddleware
from llm_mesh_middleware._core.values.headers import Headers
from llm_mesh_middleware._core.values.messages import ResponseHead, UpstreamRequest
from llm_mesh_middleware._engine.http.clients import UpstreamClients
from llm_mesh_middleware._engine.http.http1 import ResponseReader
from llm_mesh_middleware._engine.http.protocols import response_head
from llm_mesh_middleware._engine.tls import TLSContexts
from llm_mesh_middleware._telemetry import telemetry
from llm_mesh_middleware._telemetry.metrics import instruments
from llm_mesh_middleware.view._watching.hub import Hub
from tests.benchmarks.apps import bare
from tests.benchmarks.apps import mesh as mesh_app
from tests.benchmarks.wire import (
    ASKED_MODEL,
    PROVIDER_HOST,
    Origin,
    app_request,
    chat_request,
    stream_events,
    unary_answer,
    usage_event,
)

__all__ = [
    "COUNTED",
    "EVENTS",
    "JSON",
    "WARM_UP",
    "Client",
    "Clients",
    "Meter",
    "app_of",
    "calls_of_others",
    "calls_of_reading",
    "calls_of_stream",
    "calls_of_telemetry",
    "calls_of_unary",
    "count",
    "function_calls",
    "parsed",
    "serve",
    "typical",
]

ASGIApp = Callable[[bare.Scope, bare.Receive, bare.Send], Awaitable[None]]

JSON = ((b"content-type", b"application/json"), (b"content-length", b"1024"))
EVENTS = ((b"content-type", b"text/event-stream"), (b"transfer-encoding", b"chunked"))
WARM_UP, COUNTED = 3, 10
Meter = Callable[[], AbstractContextManager[list[int]]]
"""What counts the work of a block: its first number is the amount when the block is over."""


class _Response:
    """A whole response arrives with its head, the events of a stream one by one."""

    def __init__(self, head: ResponseHead, pieces: Iterable[bytes]) -> None:
        self.head = head
        self._pieces = iter(pieces)
        self._is_over = False
        self._is_stream = head.headers.one(b"content-type") == b"text/event-stream"
        self.is_released = not self._is_stream

    def read(self) -> bytes | Awaitable[bytes]:
        return self._later() if self._is_stream else next(self._pieces, b"")

    async def _later(self) -> bytes:
        return next(self._pieces, b"")

    def tap(self, take: Callable[[bytes], object] | None) -> bool:
        self._take = None if self._is_over else take
        if self._take is not None:
            asyncio.get_running_loop().call_soon(self._arrives, self._take)
        return self._take is not None

    def _arrives(self, take: Callable[[bytes], object]) -> None:
        """Give pieces one by one while they are taken, so that the event loop is not counted."""
        while take is self._take:
            piece = next(self._pieces, b"")
            self._is_over = not piece
            take(piece)

    async def aclose(self) -> None:
        """There is no connection."""


class Client:
    def __init__(self, fields: Sequence[tuple[bytes, bytes]], pieces: Sequence[bytes]) -> None:
        self._fields = fields
        self._pieces = pieces

    async def open(self, request: UpstreamRequest) -> _Response:
        body = self._pieces[0] if self._fields is JSON else None
        return _Response(
            response_head(PROVIDER_HOST, 200, Headers(self._fields), body=body), self._pieces
        )

    async def aclose(self) -> None:
        """There are no connections."""


class Clients(UpstreamClients):
    def __init__(self, client: Client) -> None:
        super().__init__(TLSContexts(None))
        self._client = client

    def of_loop(self, loop: object) -> Client:
        return self._client


def calls_of_others() -> float:
    """Function calls that the middleware adds to a request that is not the mesh's."""
    request = app_request()
    return count(app_of(Client(JSON, ())), request) - count(bare.make(), request)


def calls_of_unary() -> float:
    """Function calls for one chat that is answered at once."""
    request = chat_request(ASKED_MODEL, size_bytes=1024, is_stream=False)
    return count(app_of(Client(JSON, [unary_answer()])), request)


def calls_of_stream(
    chunks: int, *, at_once: bool = False, watched: bool = False, meter: Meter | None = None
) -> float:
    """Function calls for one chat that is answered with a stream.

    Args:
        chunks: how many events it has.
        at_once: in a single piece.
        watched: by a view.
        meter: what counts, if not function calls are wanted.
    """
    pieces = [*stream_events(chunks), usage_event(), b"data: [DONE]\n\n"]
    if at_once:
        pieces = [b"".join(pieces)]
    request = chat_request(ASKED_MODEL, size_bytes=1024, is_stream=True)
    app = app_of(Client(EVENTS, pieces))
    hub = Hub(app.mesh)  # an observer lives as long as somebody holds it
    if watched:
        app.mesh.observe(hub)
        hub.report()  # somebody looks
    return count(app, request, meter=meter)


def calls_of_telemetry() -> float:
    """Function calls of telemetry's own code, and of it into others, for one sampled chat."""
    request = chat_request(ASKED_MODEL, size_bytes=1024, is_stream=False)
    app = app_of(Client(JSON, [unary_answer()]), mesh_app.make_observed)
    return count(app, request, of=str(Path(telemetry.__file__).parent))


def calls_of_reading(chunks: int) -> int:
    """Function calls for reading a stream off the wire, each chunk by itself."""
    head = b"HTTP/1.1 200 OK\r\n" + b"".join([b"%b: %b\r\n" % field for field in EVENTS]) + b"\r\n"
    pieces = [b"%x\r\n%b\r\n" % (len(event), event) for event in stream_events(chunks)]
    calls = 0

    def profile(_frame: FrameType, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    ResponseReader().feed_head(head)  # names of fields are looked at once
    answer = ResponseReader()
    sys.setprofile(profile)
    try:
        answer.feed_head(head)
        body = b"".join([answer.feed(piece) for piece in (*pieces, b"0\r\n\r\n")])
    finally:
        sys.setprofile(None)
    assert answer.is_over
    assert body == b"".join(stream_events(chunks))
    return calls


def app_of(
    client: Client, make: Callable[[Origin], LLMMeshMiddleware] = mesh_app.make
) -> LLMMeshMiddleware:
    app = make(Origin("http://127.0.0.1:9"))
    app.mesh._serving.clients = Clients(client)
    # On a slow machine, changes and an SDK would be looked for between two requests.
    app.mesh._live.due_at = math.inf
    app.mesh._parts.telemetry._look(math.inf)
    return app


def count(app: ASGIApp, request: bytes, *, of: str = "", meter: Meter | None = None) -> float:
    """What one request takes, the event loop's part of it too; by default in function calls.

    With `of`, only calls of functions in that folder and those that they make of C functions.
    """
    scope, body = parsed(request)
    counted = meter or partial(function_calls, of)
    # On a slow machine, calls end so far apart that they would not wait for a batch.
    with patch.object(instruments, "_ALONE_S", math.inf):
        return asyncio.run(typical(lambda: serve(app, scope, body), counted, is_total=bool(meter)))


async def typical(
    exchange: Callable[[], Awaitable[object]], meter: Meter, *, is_total: bool = False
) -> float:
    """What one exchange takes: the median, since a busy machine sets a timer in some of them.

    With `is_total`, the mean, as of a meter that takes more than an exchange to start.
    """
    for _ in range(WARM_UP):
        await exchange()
    counts = list[int]()
    for _ in range(1 if is_total else COUNTED):
        with meter() as found:
            for _ in range(COUNTED if is_total else 1):
                await exchange()
        counts.append(found[0])
    return counts[0] / COUNTED if is_total else median(counts)


@contextmanager
def function_calls(of: str = "") -> Iterator[list[int]]:
    """Count the calls of functions in this thread that functions in the folder `of` make."""
    calls = [0]

    def profile(frame: FrameType, event: str, argument: object) -> None:
        if event in ("call", "c_call") and frame.f_code.co_filename.startswith(of):
            calls[0] += 1

    sys.setprofile(profile)
    try:
        yield calls
    finally:
        sys.setprofile(None)


async def serve(app: ASGIApp, scope: Mapping[str, Any], body: bytes) -> None:
    """Have an application serve one request, which must succeed."""
    messages = iter(({"type": "http.request", "body": body, "more_body": False},))
    status = 0

    async def receive() -> MutableMapping[str, Any]:
        message = next(messages, None)
        if message is None:
            await asyncio.Event().wait()  # the client stays
        assert message is not None
        return message

    async def send(message: MutableMapping[str, Any]) -> None:
        nonlocal status
        status = message.get("status", status)

    await app(dict(scope), receive, send)
    assert status == 200


def parsed(request: bytes) -> tuple[dict[str, Any], bytes]:
    """A whole HTTP request as a server hands it to an application."""
    head, _, body = request.partition(b"\r\n\r\n")
    line, *fields = head.split(b"\r\n")
    method, path, _ = line.decode().split(" ")
    pairs = [field.partition(b": ") for field in fields]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "scheme": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 50000),
        "headers": [(name.lower(), value) for name, _, value in pairs],
    }
    return scope, body
