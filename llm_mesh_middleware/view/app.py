"""`MeshView`: the ASGI app of the view.

GET /               the page; its style and its script
GET /events         a snapshot, then a diff a second (SSE); Last-Event-ID resumes it
GET /snapshot.json  the snapshot alone
POST /explain       how a request would be routed; accepted from the view's own page only

A stream of events ends after 25 s, and the browser resumes it with a new request. So a server that
shuts down need not wait for viewers, and `authorize` is called again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from functools import cache
from importlib.resources import files
from time import monotonic

import msgspec

from .._engine.tasks.prompt import within
from ..asgi import Receive, Scope, Send
from ..mesh import Mesh
from ._feeding.feed import Feed
from ._source import Source
from ._watching.hub import Hub
from ._web.explain_form import MAX_BYTES, explain_form
from ._web.gate import LOOPBACK, Gate, Refusal
from .peers import Peers
from .values import Report

__all__ = ["MeshView"]

_STREAM_S = 25.0
_SEND_S = 10.0
_RETRY_MS = 500
_MAX_VIEWERS = 200

_FILES = {
    "/": ("index.html", b"text/html; charset=utf-8"),
    "/icon.svg": ("icon.svg", b"image/svg+xml"),
    "/view.css": ("view.css", b"text/css; charset=utf-8"),
    "/view.js": ("view.js", b"text/javascript; charset=utf-8"),
}
_CSP = (
    b"default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none';"
    b" object-src 'none'"
)
_HEADERS = (
    (b"content-security-policy", _CSP),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cache-control", b"no-store"),
)
_JSON = b"application/json"
_PLAIN = b"text/plain; charset=utf-8"


class MeshView:
    """Shows a running mesh, read-only, to callers that `authorize` admits."""

    def __init__(
        self,
        mesh: Mesh,
        *,
        authorize: Callable[[Scope], bool | Awaitable[bool]],
        hosts: Collection[str] = LOOPBACK,
        trace_url: str | None = None,
        peers: Peers | None = None,
    ) -> None:
        """Begin to watch `mesh`.

        Args:
            mesh: the mesh; it is watched from now on, with or without viewers.
            authorize: gets the scope of each request; returns True, or an awaitable of True, to
                admit it. Anything else refuses.
            hosts: the names that the view is served under, without ports.
            trace_url: the URL of a trace, with `{trace_id}` in it.
            peers: the other workers of the same server.

        Raises:
            TypeError: `authorize` is not a function.
        """
        self._gate = Gate(authorize, hosts)
        self._mesh = mesh
        self._hub = Hub(mesh)
        source = Source(mesh, self._hub, peers=peers, trace_url=trace_url)
        self._feed = Feed(source.take)
        self._streams: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}
        self._is_ending = False
        mesh.observe(self._hub)

    def report(self, *, after: int = 0) -> Report:
        """Return this process's counts, and its calls after the number `after`."""
        return self._hub.report(after=after)

    def end(self) -> None:
        """End every stream, for a server that shuts down. May be called from any thread."""
        self._is_ending = True
        for over, loop in list(self._streams.items()):
            with suppress(RuntimeError):  # the loop is closed, and its streams are over
                loop.call_soon_threadsafe(over.set)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection scope (ASGI 3.0)."""
        kind = scope["type"]
        if kind == "lifespan":
            await self._live(receive, send)
        elif kind == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "no WebSocket here"})
        elif kind == "http":
            try:
                await self._serve(scope, receive, send)
            except Refusal as refusal:
                allow = [(b"allow", refusal.allow.encode())] if refusal.allow else []
                body = refusal.text.encode()
                await _send_whole(send, refusal.status, _PLAIN, body, allow)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self.end()
        await send({"type": "lifespan.shutdown.complete"})

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        root = scope.get("root_path", "")
        path = scope["path"].removeprefix(root)
        await self._gate.check(scope, path)
        if not path:  # mounted, and requested without the slash that relative links need
            location = [(b"location", root.encode("utf-8") + b"/")]
            await _send_whole(send, 307, _PLAIN, b"", location)
        elif path in _FILES:
            name, media_type = _FILES[path]
            await _send_whole(send, 200, media_type, _static(name))
        elif path == "/snapshot.json":
            snapshot = await asyncio.to_thread(self._feed.snapshot, int(monotonic()))
            await _send_whole(send, 200, _JSON, msgspec.json.encode(snapshot))
        elif path == "/events":
            await self._stream(scope, receive, send)
        elif path == "/explain":
            sent = await _read(receive)
            shown = await asyncio.to_thread(explain_form, self._mesh, sent)
            await _send_whole(send, 200, _JSON, shown)
        else:
            raise Refusal(404, "the view has no such page")

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._is_ending:
            raise Refusal(503, "the server is shutting down")
        if len(self._streams) >= _MAX_VIEWERS:
            raise Refusal(503, f"{_MAX_VIEWERS} viewers are connected, which is the limit")
        over = asyncio.Event()
        self._streams[over] = asyncio.get_running_loop()
        watch = asyncio.create_task(_watch(receive, over))
        try:
            await self._send_events(_last_event_id(scope), send, over)
        except (OSError, TimeoutError):  # the viewer has left, or reads nothing
            return
        finally:
            del self._streams[over]
            watch.cancel()

    async def _send_events(self, position: str | None, send: Send, over: asyncio.Event) -> None:
        headers = [(b"content-type", b"text/event-stream"), (b"x-accel-buffering", b"no")]
        await send({"type": "http.response.start", "status": 200, "headers": [*_HEADERS, *headers]})
        data = b"retry: %d\n\n" % _RETRY_MS
        ends_at = monotonic() + _STREAM_S
        while not over.is_set() and (now := monotonic()) < ends_at:
            position, events = await asyncio.to_thread(self._feed.since, position, int(now))
            message = {"type": "http.response.body", "body": data + events, "more_body": True}
            await within(_SEND_S, send(message))
            data = b""
            try:
                # Until the next second: all viewers get the same bytes.
                async with asyncio.timeout(1.0 - monotonic() % 1.0):
                    await over.wait()
            except TimeoutError:
                continue
        await send({"type": "http.response.body", "body": b""})


def _last_event_id(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"last-event-id":
            return str(value.decode("latin-1"))
    return None


async def _watch(receive: Receive, over: asyncio.Event) -> None:
    """End a stream when its viewer leaves."""
    while (await receive())["type"] != "http.disconnect":
        pass
    over.set()


async def _read(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refusal(400, "the request is not complete")
        piece: bytes = message.get("body", b"")
        body += piece
        if len(body) > MAX_BYTES:
            raise Refusal(413, f"a request to explain must have at most {MAX_BYTES} bytes")
        if not message.get("more_body", False):
            return body


@cache
def _static(name: str) -> bytes:
    data: bytes = (files(__package__) / "static" / name).read_bytes()
    return data


async def _send_whole(
    send: Send,
    status: int,
    media_type: bytes,
    body: bytes,
    more: Collection[tuple[bytes, bytes]] = (),
) -> None:
    headers = [
        (b"content-type", media_type),
        (b"content-length", b"%d" % len(body)),
        *_HEADERS,
        *more,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
