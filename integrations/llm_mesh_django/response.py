"""The mesh's replies as Django responses."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable

from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from llm_mesh_middleware.asgi.reply import AsyncReply
from llm_mesh_middleware.wsgi import WSGIReply

__all__ = ["make_async_response", "make_response"]


def make_response(reply: WSGIReply) -> HttpResponseBase:
    """Return `reply` as a response of Django; closing it closes the upstream."""
    if reply.is_stream:
        return _with_head(StreamingHttpResponse(reply), reply.status, reply.headers)
    try:
        return _with_head(HttpResponse(b"".join(reply)), reply.status, reply.headers)
    finally:
        reply.close()


async def make_async_response(reply: AsyncReply) -> HttpResponseBase:
    """Return `reply` as a response of Django; the asynchronous twin."""
    if reply.is_stream:
        return _with_head(StreamingHttpResponse(_Body(reply)), reply.status, reply.headers)
    return _with_head(HttpResponse(await reply.read()), reply.status, reply.headers)


class _Body:
    """A stream that can be closed from a thread other than its event loop's, as Django does."""

    def __init__(self, reply: AsyncReply) -> None:
        self._reply = reply
        self._loop = asyncio.get_running_loop()

    def __aiter__(self) -> AsyncReply:
        return self._reply

    def close(self) -> None:
        """Close the reply if the client left between two pieces; called by the response."""
        if not self._reply.is_closed:
            asyncio.run_coroutine_threadsafe(self._reply.aclose(), self._loop)


def _with_head(
    response: HttpResponseBase, status: int, headers: Iterable[tuple[str, str]]
) -> HttpResponseBase:
    response.status_code = status  # the constructor refuses statuses above 599
    del response.headers["Content-Type"]  # Django's own guess
    fields: defaultdict[str, list[str]] = defaultdict(list)
    for name, value in headers:
        fields[name].append(value)
    for name, values in fields.items():
        response.headers[name] = ", ".join(values)  # a dict holds no field twice (RFC 9110 5.3)
    return response
