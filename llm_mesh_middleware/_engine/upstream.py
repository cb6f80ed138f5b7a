"""The seam between the mesh and an HTTP client: two small protocols, no client's types."""

from __future__ import annotations

from typing import Protocol

from .._core.messages import ResponseHead, UpstreamRequest

__all__ = ["AsyncUpstreamClient", "AsyncUpstreamResponse", "connect_failure", "torn"]

from ..exceptions import UpstreamConnectError, UpstreamError, UpstreamProtocolError


class AsyncUpstreamResponse(Protocol):
    """An answer whose head has come; its body is read piece by piece."""

    head: ResponseHead

    async def read(self) -> bytes:
        """The next bytes as soon as there are any; empty at the end.

        Raises:
            UpstreamError: the provider broke off.
        """

    async def aclose(self) -> None:
        """Give the connection back if the body was read to its end, else close it at once."""


class AsyncUpstreamClient(Protocol):
    """Connections to upstreams for one event loop."""

    async def open(self, request: UpstreamRequest) -> AsyncUpstreamResponse:
        """Send `request` and wait for the answer's head.

        Raises:
            UpstreamError: there was no connection or no answer.
        """

    async def aclose(self) -> None:
        """Close every connection."""


def connect_failure(host: str, reason: str) -> UpstreamConnectError:
    """The error for a call that got no answer; `reason` names no address behind `host`."""
    return UpstreamConnectError(f"{host}: {reason}")


def torn(host: str) -> UpstreamError:
    """The error for an answer that ended before its end."""
    return UpstreamProtocolError(f"{host} broke off in the middle of its answer")
