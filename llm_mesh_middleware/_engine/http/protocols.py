"""The interface of HTTP clients, and what all of them send and check.

client.open(request)  ->  response.read() ... b""  ->  response.close()
"""

from __future__ import annotations

import string
from collections.abc import Awaitable, Callable, Iterator, Sequence
from operator import itemgetter
from typing import Protocol

from ..._core.http.request_head import has_breaks
from ..._core.values.headers import Headers
from ..._core.values.messages import ResponseHead, UpstreamRequest, WholeResponse
from ...exceptions import (
    RequestNotSent,
    UpstreamConnectError,
    UpstreamError,
    UpstreamProtocolError,
)
from ..tasks.cancel_scope import CancelScope

__all__ = [
    "MAX_HEAD_BYTES",
    "MAX_JOINED_BYTES",
    "STALE_S",
    "TOKEN_BYTES",
    "AsyncUpstreamClient",
    "AsyncUpstreamResponse",
    "UpstreamClient",
    "UpstreamResponse",
    "are_names",
    "causes",
    "connect_failure",
    "request_head",
    "response_head",
    "torn",
]

MAX_HEAD_BYTES = 64 * 1024
_MAX_FIELDS = 256

_NAME = itemgetter(0)
_FIELD = b": ".join
# Valid names of fields that were sent before, each looked at once.
_SENT_NAMES: set[bytes] = set()
_MAX_SENT_NAMES = 1024

# A body up to this size is sent together with the head: one packet, one system call.
MAX_JOINED_BYTES = 64 * 1024

# A closed connection fails at once; a later failure means that the provider got the request.
STALE_S = 1.0

# Not allowed in field values (RFC 9110 5.5); servers close the connection rather than send them.
_CONTROLS = bytes((*range(0x09), *range(0x0A, 0x20), 0x7F))

# The characters of a field name (RFC 9110 5.6.2).
TOKEN_BYTES = b"!#$%&'*+-.^_`|~" + (string.ascii_letters + string.digits).encode()


class AsyncUpstreamResponse(Protocol):
    """A response whose head has arrived; its body is read piece by piece.

    `is_released`: it is there as a whole, and its connection serves other calls already.
    """

    head: ResponseHead
    is_released: bool

    def read(self) -> bytes | Awaitable[bytes]:
        """Return the next bytes, empty at the end; or what waits for them.

        Raises:
            UpstreamError: the provider broke the response off.
        """

    def tap(self, take: Callable[[bytes], object] | None) -> bool:
        """Give what comes from now on to `take`, instead of keeping it to be read; None: keep it.

        `take` gets empty bytes when there is nothing more to give, and `read` tells the end or the
        failure.

        Returns:
            Whether it does so. It does not if anything can be read now.
        """

    async def aclose(self) -> None:
        """Keep the connection if the body was read to its end, otherwise close it immediately."""


class AsyncUpstreamClient(Protocol):
    """Connections to upstreams for one event loop."""

    async def open(self, request: UpstreamRequest) -> AsyncUpstreamResponse:
        """Send `request` and wait for the head of the response.

        Raises:
            UpstreamError: there was no connection or no response.
        """

    async def aclose(self) -> None:
        """Close every connection."""


class UpstreamResponse(Protocol):
    """The synchronous form of `AsyncUpstreamResponse`."""

    head: ResponseHead

    def read(self, until: float) -> bytes:
        """Return the next bytes as soon as there are any; empty at the end.

        Args:
            until: when to stop waiting, on the monotonic clock.

        Raises:
            TimeoutError: none came until then.
            UpstreamError: the provider broke the response off.
        """

    def close(self) -> None:
        """Keep the connection if the body was read to its end, otherwise close it."""


class UpstreamClient(Protocol):
    """Connections to upstreams for all threads of one process."""

    def open(self, request: UpstreamRequest, until: float, scope: CancelScope) -> UpstreamResponse:
        """Send `request` and wait for the head of the response.

        Args:
            request: what to send.
            until: when to stop waiting, on the monotonic clock.
            scope: gets the deadline of the call; another thread may cancel it.

        Raises:
            TimeoutError: there was no response until then.
            UpstreamError: there was no connection or no response.
        """

    def close(self) -> None:
        """Close every connection."""


def connect_failure(host: str, reason: str, *, has_connected: bool = False) -> UpstreamConnectError:
    """Return the error for a call without a response.

    Args:
        host: the provider host.
        reason: what went wrong, without the address behind `host`.
        has_connected: whether a connection was established and then lost.
    """
    return UpstreamConnectError(f"{host}: {reason}", has_connected=has_connected)


def causes(exc: BaseException | None) -> Iterator[BaseException]:
    """Yield the causes of `exc`: httpx and httpcore each wrap the socket's errors."""
    while exc is not None:
        exc = exc.__cause__ or exc.__context__
        if exc is not None:
            yield exc


def torn(host: str) -> UpstreamError:
    """Return the error for a response that broke off."""
    return UpstreamProtocolError(f"{host} broke off in the middle of its answer")


def request_head(
    request: UpstreamRequest, target: str, fields: Sequence[tuple[bytes, bytes]]
) -> bytes:
    """Return the head of `request` on the wire.

    Raises:
        RequestNotSent: a field cannot be sent as it is.
    """
    lines = [f"{request.method} {target} HTTP/1.1".encode("ascii"), *map(_FIELD, fields)]
    if request.body or request.method != "GET":
        lines.append(b"content-length: %d" % len(request.body))
    has_known_names = _SENT_NAMES.issuperset(map(_NAME, fields))
    if has_breaks(lines) or not (has_known_names or _are_new_names(fields)):
        host = request.endpoint.provider_host
        raise RequestNotSent(f"a header field for {host} cannot be sent as it is")
    lines.append(b"\r\n")
    return b"\r\n".join(lines)


def are_names(names: Sequence[bytes]) -> bool:
    """Return whether each of `names` is a valid field name."""
    return b"" not in names and not b"".join(names).translate(None, TOKEN_BYTES)


def _are_new_names(fields: Sequence[tuple[bytes, bytes]]) -> bool:
    """Return whether the names are valid, and remember them."""
    names = [*map(_NAME, fields)]
    if not are_names(names):
        return False
    if sum(map(len, names)) <= _MAX_SENT_NAMES:  # clients choose some of them
        if len(_SENT_NAMES) >= _MAX_SENT_NAMES:
            _SENT_NAMES.clear()
        _SENT_NAMES.update(names)
    return True


def response_head(
    host: str,
    status: int,
    headers: Headers,
    is_clean: bool = False,
    body: bytes | None = None,
) -> ResponseHead:
    """Return the head for the core, with names in lower case.

    Args:
        host: the provider host.
        status: the status.
        headers: the fields.
        is_clean: they are known to be of an allowed size, and to have no control characters.
        body: the whole body, if it is there already.

    Raises:
        UpstreamProtocolError: the status is not valid in HTTP, or the fields are too large.
    """
    if not 200 <= status <= 599:  # servers fail on others
        raise UpstreamProtocolError(f"{host} answered with the status {status}")
    if len(headers.raw) > _MAX_FIELDS:
        raise UpstreamProtocolError(f"{host} answered with more than {_MAX_FIELDS} header fields")
    if not is_clean:
        written = b"".join(map(b"".join, headers.raw))
        if len(written) > MAX_HEAD_BYTES:
            raise UpstreamProtocolError(
                f"{host} answered with more than {MAX_HEAD_BYTES} header bytes"
            )
        if _has_control(written):
            headers = Headers([field for field in headers.raw if not _has_control(field[1])])
    return ResponseHead(status, headers) if body is None else WholeResponse(status, headers, body)


def _has_control(value: bytes) -> bool:
    return len(value.translate(None, _CONTROLS)) < len(value)
