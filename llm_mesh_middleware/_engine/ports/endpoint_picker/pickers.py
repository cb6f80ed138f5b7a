"""Asks endpoint pickers by gRPC: one channel to each, for threads and for each event loop."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any
from weakref import WeakKeyDictionary

from ...._core.provider.servers.picker import Picked, PickRequest
from .wire import read_response, write_body, write_headers

__all__ = ["EndpointPickers"]

_METHOD = "/envoy.service.ext_proc.v3.ExternalProcessor/Process"
_AWAY = Picked(status=0)


class EndpointPickers:
    """The synchronous and the asynchronous port; of one process.

    The exchange is over once the picker has named servers: what it would say of the response is
    not waited for.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._channels: dict[str, Any] = {}
        self._of_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Any]]
        self._of_loops = WeakKeyDictionary()

    def ask(self, request: PickRequest, until: float | None) -> Picked:
        """Return what the picker says."""
        import grpc  # type: ignore[import-untyped]

        calling = self._channel(request.picker.address).stream_stream(_METHOD)
        timeout = None if until is None else max(0.0, until - time.monotonic())
        try:
            call = calling(iter(_messages(request)), timeout=timeout)
            try:
                for message in call:
                    if (picked := _picked(message)) is not None:
                        return picked
            finally:
                call.cancel()
        except (grpc.RpcError, ValueError):
            return _AWAY
        return _AWAY

    async def aask(self, request: PickRequest, until: float | None) -> Picked:
        """Return what the picker says, in the running event loop."""
        import grpc

        calling = self._channel_of_loop(request.picker.address).stream_stream(_METHOD)
        timeout = None if until is None else max(0.0, until - time.monotonic())
        try:
            call: Any = calling(_amessages(request), timeout=timeout)
            try:
                async for message in call:
                    if (picked := _picked(message)) is not None:
                        return picked
            finally:
                call.cancel()
        except (grpc.RpcError, ValueError):
            return _AWAY
        return _AWAY

    def close(self) -> None:
        """Close the channels of threads."""
        with self._lock:
            channels, self._channels = self._channels, {}
        for channel in channels.values():
            channel.close()

    async def aclose(self) -> None:
        """Close the channels of the running event loop."""
        for channel in self._of_loops.pop(asyncio.get_running_loop(), {}).values():
            await channel.close()

    def _channel(self, address: str) -> Any:
        import grpc

        with self._lock:
            if address not in self._channels:
                self._channels[address] = grpc.insecure_channel(address, _OPTIONS)
            return self._channels[address]

    def _channel_of_loop(self, address: str) -> Any:
        import grpc.aio  # type: ignore[import-untyped]

        channels = self._of_loops.setdefault(asyncio.get_running_loop(), {})
        if address not in channels:
            channels[address] = grpc.aio.insecure_channel(address, _OPTIONS)
        return channels[address]


# A picker that was away is tried again at once: a request waits for it.
_OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.enable_http_proxy", 0),
)


def _messages(request: PickRequest) -> Iterator[bytes]:
    yield write_headers(request.headers)
    yield write_body(request.body)


async def _amessages(request: PickRequest) -> AsyncIterator[bytes]:
    for message in _messages(request):
        yield message


def _picked(message: bytes) -> Picked | None:
    """Return what a message says, or None if it says nothing yet."""
    destinations, status = read_response(message)
    if status:
        return Picked(status=status)
    if destinations is None:
        return None
    addresses = tuple(each.strip() for each in destinations.split(",") if each.strip())
    return Picked(addresses) if addresses else Picked(status=503)
