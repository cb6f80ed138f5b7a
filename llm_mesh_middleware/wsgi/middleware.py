"""The WSGI middleware: virtual LLM hosts are served, everything else reaches the app (PEP 3333)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any, Unpack

from ..inbound import AdapterOptions, Inbound
from ..mesh import Mesh
from .context import in_this_context
from .environ import BodyReader, Environ, address_environ, raw_target, request_of
from .reply import WSGIReply

__all__ = ["LLMMeshWSGIMiddleware"]

StartResponse = Callable[..., Any]
WSGIApp = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]


class LLMMeshWSGIMiddleware:
    """Serves requests whose Host is a virtual LLM host; the app never sees them.

    All other traffic reaches the app with the very same `environ` and `start_response`. Upstream
    calls are made in the thread of the request, without an event loop. The constructor raises if
    the configuration cannot be used, so that servers fail to load the application.

    WSGI has one limit: a disconnected client is only noticed when something is written to it. Until
    then its upstream call continues, for at most `LLM_MESH_IDLE_TIMEOUT` after the last byte.
    """

    def __init__(self, app: WSGIApp, **options: Unpack[AdapterOptions[Environ]]) -> None:
        """Wrap `app`.

        Args:
            app: the WSGI application.
            **options: see `AdapterOptions`; its callables are given the environ, and must be
                plain functions.

        Raises:
            ConfigError: the configuration cannot be used.
        """
        self.app = app
        self._inbound: Inbound[Environ] = Inbound(options)
        self.mesh: Mesh = self._inbound.mesh

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request."""
        reply = self.handle(environ)
        if reply is None:
            if not self._inbound.has_attributes:
                return self.app(environ, start_response)
            with self._inbound.stating(environ):
                return in_this_context(self.app(environ, start_response))
        start_response(reply.status_line, reply.headers)
        if environ["REQUEST_METHOD"] == "HEAD":  # not every server omits the body (RFC 9110)
            reply.close()
            return []
        return reply

    def stating(self, environ: Environ) -> AbstractContextManager[None]:
        """Return a context in which calls through the mesh have the request's attributes."""
        return self._inbound.stating(environ)

    def handle(self, environ: Environ) -> WSGIReply | None:
        """Return the reply to a request for a virtual host, or None for other requests.

        For adapters of frameworks: the reply must be closed on every path.
        """
        host, find = environ.get("HTTP_HOST", ""), self.mesh.find
        if _is_plain(environ, host) and find(host.encode("latin-1")) is None:
            return None
        addressed = address_environ(find, environ)
        if addressed is None:
            return None
        body = BodyReader(environ, self.mesh.settings.request_timeout)
        request = request_of(addressed, environ)
        return WSGIReply(self._inbound.serve(addressed, request, body))


def _is_plain(environ: Environ, host: str) -> bool:
    """Return whether the Host field alone names the host, as it nearly always does."""
    return (
        "," not in host
        and raw_target(environ)[:1] in ("/", "")
        and environ.get("PATH_INFO", "")[:1] in ("/", "")
    )
