"""An application that needs no upstream, and the lifespan that all apps here share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from tests.benchmarks.wire import Origin, app_answer

__all__ = ["Receive", "Scope", "Send", "make", "make_wsgi", "read_body", "run_lifespan"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


def make(origin: Origin | None = None) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """The application; it has no use for an upstream."""
    return _app


_ANSWER = app_answer()
_HEADERS = [
    (b"content-type", b"application/json"),
    (b"content-length", b"%d" % len(_ANSWER)),
]


async def _app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await run_lifespan(receive, send)
        return
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": _ANSWER})


def make_wsgi(origin: Origin | None = None) -> Callable[..., list[bytes]]:
    """The same as a WSGI application."""

    def app(environ: dict[str, Any], start_response: Callable[..., object]) -> list[bytes]:
        start_response("200 OK", [(name.decode(), value.decode()) for name, value in _HEADERS])
        return [_ANSWER]

    return app


async def run_lifespan(
    receive: Receive,
    send: Send,
    start: Callable[[], Awaitable[None]] | None = None,
    stop: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Call `start` and `stop` when the server says so."""
    for step in (start, stop):
        phase = (await receive())["type"]
        if step is not None:
            await step()
        await send({"type": f"{phase}.complete"})


async def read_body(receive: Receive) -> bytes:
    """The whole request body."""
    chunks = []
    while True:
        message = await receive()
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(chunks)
