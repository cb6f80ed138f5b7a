"""Serving requests that an asynchronous framework has read already: an ASGI scope and a body.

For writers of adapters; applications use the adapters themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from ..inbound import Addressed, Inbound
from .reply import AsyncReply
from .scope import request_of

__all__ = ["BodyReader", "aserve_scope"]

Native = TypeVar("Native")


async def aserve_scope(
    inbound: Inbound[Native],
    addressed: Addressed,
    scope: Mapping[str, Any],
    native: Native,
    read: Callable[[int], bytes],
) -> AsyncReply:
    """Return the reply to a request that `address_scope` has found; close it on every path.

    Args:
        inbound: the adapter's.
        addressed: what `address_scope` returned.
        scope: the request's scope.
        native: the framework's request, for the application's callables.
        read: returns at most so many bytes of the body.
    """
    request = request_of(addressed, scope, native)
    return AsyncReply(await inbound.aserve(addressed, request, BodyReader(read)))


class BodyReader:
    """The port for a body that the framework has read, or reads without waiting."""

    __slots__ = ("_read",)

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read

    def aask(self, request: Any, until: float | None) -> bytes:
        """Return the body; of one that has more than `request` bytes, one byte more."""
        return self._read(request + 1)
