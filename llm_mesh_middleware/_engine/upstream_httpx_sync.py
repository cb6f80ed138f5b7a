"""Upstream calls on any synchronous httpx transport: own, mock, instrumented or proxied."""

from __future__ import annotations

import contextlib
import ssl
import time
from collections.abc import Iterator
from typing import TypeAlias

import httpx

from .._core.messages import UpstreamRequest
from .._core.upstream import Endpoint
from ..exceptions import UpstreamError
from .httpx_calls import NO_LIMITS, is_unused, make_request, map_error
from .line import Line, LineBackend
from .tls import TLSContexts
from .upstream import STALE_S, env_proxy, response_head, torn

__all__ = ["SyncHttpxUpstreamClient"]

# What a kept connection that the provider was closing fails with.
_STALE_ERRORS = (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError)


# Whose certificates are shown and asked for: the same address may stand for several.
_Identity: TypeAlias = tuple[ssl.SSLContext, str, str | None]


class SyncHttpxUpstreamClient:
    """One transport per TLS identity, or the single transport that the owner has given.

    As `HttpxUpstreamClient`, which says why. Threads may share it.
    """

    def __init__(
        self,
        contexts: TLSContexts,
        *,
        trust_env: bool = False,
        transport: httpx.AsyncBaseTransport | httpx.BaseTransport | None = None,
    ) -> None:
        self._contexts = contexts
        self._trust_env = trust_env
        if transport is not None and not isinstance(transport, httpx.BaseTransport):
            raise TypeError(f"{type(transport).__name__} is asynchronous: it cannot serve `send`")
        self._given = transport
        self._transports: dict[_Identity, httpx.HTTPTransport] = {}

    def open(self, request: UpstreamRequest, until: float, line: Line) -> SyncHttpxUpstreamResponse:
        """Send `request`; see `UpstreamClient`.

        A kept connection that the provider was closing when the request came is replaced, once.
        """
        sent_at = time.monotonic()
        try:
            try:
                response = self._send(request, until, line)
            except _STALE_ERRORS:
                is_kept = self._given is None and not line.is_fresh
                if not is_kept or time.monotonic() - sent_at >= STALE_S:
                    raise
                response = self._send(request, until, line)
        except (httpx.ReadTimeout, httpx.WriteTimeout) as exc:
            raise TimeoutError from exc
        except (httpx.TransportError, OSError) as exc:
            raise map_error(exc, request) from exc
        try:
            return SyncHttpxUpstreamResponse(response, request.endpoint.provider_host, line)
        except UpstreamError:
            response.close()
            raise

    def close(self) -> None:
        """Close the connections that were opened here; a given transport is its owner's."""
        transports, self._transports = self._transports, {}
        for transport in transports.values():
            transport.close()

    def _send(self, request: UpstreamRequest, until: float, line: Line) -> httpx.Response:
        transport = self._transport(request.endpoint)
        # A given transport knows nothing of lines; its reads are at least limited one by one.
        read_s = max(until - time.monotonic(), 0.001) if self._given is not None else None
        with line.held(until, request.connect_timeout_s):
            return transport.handle_request(make_request(request, read_s=read_s))

    def _close_outdated(self) -> None:
        """Close what was opened with certificates of before a reload, once nothing uses it."""
        for identity, transport in list(self._transports.items()):
            is_outdated = not self._contexts.uses(identity[0]) and is_unused(transport)
            if is_outdated and self._transports.pop(identity, None) is not None:
                transport.close()

    def _transport(self, endpoint: Endpoint) -> httpx.BaseTransport:
        if self._given is not None:
            return self._given
        proxy = env_proxy(endpoint) if self._trust_env else None
        context = self._contexts.get(endpoint.tls)
        identity = (context, endpoint.server_name, proxy)
        transport = self._transports.get(identity)
        if transport is None:
            self._close_outdated()
            made = httpx.HTTPTransport(
                verify=context,
                trust_env=False,
                limits=NO_LIMITS,
                proxy=proxy,
            )
            # httpx has no argument for it.
            made._pool._network_backend = LineBackend(made._pool._network_backend)  # type: ignore[assignment]
            transport = self._transports.setdefault(identity, made)
        return transport


class SyncHttpxUpstreamResponse:
    """An answer on its httpx response; the bytes are the network's, never decoded."""

    __slots__ = ("_chunks", "_host", "_line", "_response", "head")

    def __init__(self, response: httpx.Response, host: str, line: Line) -> None:
        self._response = response
        self._host = host
        self._line = line
        if not isinstance(response.stream, httpx.SyncByteStream):
            raise TypeError("the transport answered with an asynchronous stream")
        self._chunks: Iterator[bytes] = iter(response.stream)
        self.head = response_head(host, response.status_code, response.headers.raw)

    def read(self, until: float) -> bytes:
        """The next bytes; see `UpstreamResponse`."""
        try:
            with self._line.held(until):
                for chunk in self._chunks:
                    if chunk:
                        return chunk
        except httpx.ReadTimeout as exc:
            raise TimeoutError from exc
        except (httpx.TransportError, OSError) as exc:
            raise torn(self._host) from exc
        return b""

    def close(self) -> None:
        """Close; httpcore keeps the connection if the body was read to its end."""
        with contextlib.suppress(httpx.TransportError, OSError):
            self._response.close()
