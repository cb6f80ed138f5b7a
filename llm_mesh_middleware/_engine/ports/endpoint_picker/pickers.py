"""Asks endpoint pickers by gRPC: one connection to each, for threads and for each event loop.

ask        begin a stream with the request; the first message with a destination is the pick
served     report the server of the response, when there is one
end        end the stream with the response, so that the picker can count calls under way

A connection that the picker has closed is replaced, once per request.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from msgspec.structs import replace

from ...._core.provider.servers.picker import EndpointPicker, Picked, PickerTLS, PickRequest
from .tls import make_context
from .wire import read_response, write_body, write_headers, write_served

if TYPE_CHECKING:
    from .async_connection import AsyncConnection
    from .connection import Connection

__all__ = ["EndpointPickers"]

_PATH = "/envoy.service.ext_proc.v3.ExternalProcessor/Process"
_AWAY = Picked(status=0)
_LONGEST_S = 60.0
_PORT = 9002


class EndpointPickers:
    """The synchronous and the asynchronous port of one process."""

    def __init__(self, ca_file: str | None = None) -> None:
        """Trust `ca_file` in addition to the system's authorities."""
        self._ca_file = ca_file
        self._contexts: dict[PickerTLS, ssl.SSLContext] = {}
        self._lock = threading.Lock()
        self._connections: dict[EndpointPicker, Connection] = {}
        self._of_loops: WeakKeyDictionary[asyncio.AbstractEventLoop, _OfLoop] = WeakKeyDictionary()

    def load(self, wanted: Iterable[PickerTLS]) -> None:
        """Read the certificate files of pickers, before a request needs them.

        Raises:
            OSError: a file cannot be used; nothing is changed.
        """
        self._contexts = {tls: make_context(tls, self._ca_file) for tls in wanted}

    def ask(self, request: PickRequest, until: float | None) -> Picked:
        """Return the picker's choice; status 0 if there is none by `until`."""
        limit = time.monotonic() + _LONGEST_S if until is None else until
        try:
            return self._ask(request, limit)
        except (OSError, ValueError):
            return _AWAY

    async def aask(self, request: PickRequest, until: float | None) -> Picked:
        """Return the picker's choice, as `ask` does, in the running event loop."""
        left_s = _LONGEST_S if until is None else max(0.0, until - time.monotonic())
        try:
            async with asyncio.timeout(left_s):
                return await self._aask(request)
        except (OSError, ValueError):  # a TimeoutError is one
            return _AWAY

    def close(self) -> None:
        """Close the connections of threads."""
        with self._lock:
            connections, self._connections = self._connections, {}
        for connection in connections.values():
            connection.close()

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""
        of_loop = self._of_loops.pop(asyncio.get_running_loop(), None)
        if of_loop is not None:
            for connection in of_loop.connections.values():
                connection.close()

    def forget(self) -> None:
        """Drop the connections in a forked child; they belong to the parent process."""
        for connection in self._connections.values():
            with contextlib.suppress(OSError):
                connection.forget()

    def _ask(self, request: PickRequest, until: float) -> Picked:
        connection, is_new = self._connection(request.picker, until)
        try:
            return _picked_by(connection, request, until)
        except ConnectionError:
            self._drop(request.picker, connection)
            if is_new:
                raise
        connection, _ = self._connection(request.picker, until)
        return _picked_by(connection, request, until)

    async def _aask(self, request: PickRequest) -> Picked:
        of_loop = self._of_loops.setdefault(asyncio.get_running_loop(), _OfLoop())
        connection, is_new = await of_loop.connection(request.picker, self._context)
        try:
            return await _apicked_by(connection, request)
        except ConnectionError:
            of_loop.drop(request.picker, connection)
            if is_new:
                raise
        connection, _ = await of_loop.connection(request.picker, self._context)
        return await _apicked_by(connection, request)

    def _connection(self, picker: EndpointPicker, until: float) -> tuple[Connection, bool]:
        """Return the connection to a picker, and whether it is new."""
        found = self._connections.get(picker)
        if found is not None:
            return found, False
        from .connection import Connection  # h2 is an extra

        host, port = _place(picker)
        made = Connection(host, port, self._context(picker), _name(picker), until)
        with self._lock:
            kept = self._connections.setdefault(picker, made)
        if kept is not made:  # another thread was faster
            made.close()
        return kept, kept is made

    def _drop(self, picker: EndpointPicker, connection: Connection) -> None:
        with self._lock:
            if self._connections.get(picker) is connection:
                del self._connections[picker]
        connection.close()

    def _context(self, picker: EndpointPicker) -> ssl.SSLContext | None:
        if picker.tls is None:
            return None
        if picker.tls not in self._contexts:
            self._contexts[picker.tls] = make_context(picker.tls, self._ca_file)
        return self._contexts[picker.tls]


class _OfLoop:
    """The connections of one event loop; one task at a time opens one."""

    def __init__(self) -> None:
        self.connections: dict[EndpointPicker, AsyncConnection] = {}
        self._opening = asyncio.Lock()

    async def connection(
        self, picker: EndpointPicker, context_of: Callable[[EndpointPicker], ssl.SSLContext | None]
    ) -> tuple[AsyncConnection, bool]:
        found = self.connections.get(picker)
        if found is not None:
            return found, False
        async with self._opening:
            found = self.connections.get(picker)
            if found is not None:
                return found, True
            from .async_connection import AsyncConnection  # h2 is an extra

            host, port = _place(picker)
            made = await AsyncConnection.open(host, port, context_of(picker), _name(picker))
            self.connections[picker] = made
            return made, True

    def drop(self, picker: EndpointPicker, connection: AsyncConnection) -> None:
        if self.connections.get(picker) is connection:
            del self.connections[picker]
        connection.close()


class _Exchange:
    """Reports on one request after its pick (`PickerCall`)."""

    def __init__(self, connection: Connection | AsyncConnection, number: int) -> None:
        self._connection = connection
        self._number = number

    def served(self, status: int, address: str) -> None:
        self._connection.send(self._number, [write_served(status, address)])

    def end(self) -> None:
        self._connection.finish(self._number)


def _picked_by(connection: Connection, request: PickRequest, until: float) -> Picked:
    number = connection.begin(_PATH, _messages(request), until)
    try:
        while (picked := _picked(connection.read(number, until))) is None:
            continue
    except BaseException:
        connection.finish(number)
        raise
    return _followed(picked, connection, number)


async def _apicked_by(connection: AsyncConnection, request: PickRequest) -> Picked:
    number = connection.begin(_PATH, _messages(request))
    try:
        while (picked := _picked(await connection.read(number))) is None:
            continue
    except BaseException:
        connection.finish(number)
        raise
    return _followed(picked, connection, number)


def _followed(picked: Picked, connection: Connection | AsyncConnection, number: int) -> Picked:
    """Return the pick with its exchange, which stays open unless the picker refused."""
    exchange = _Exchange(connection, number)
    if picked.addresses:
        return replace(picked, call=exchange)
    exchange.end()
    return picked


def _messages(request: PickRequest) -> Iterator[bytes]:
    yield write_headers(request.headers)
    yield from write_body(request.body)


def _picked(message: bytes) -> Picked | None:
    """Return the pick in a message, or None if it has none."""
    destinations, status = read_response(message)
    if status:
        return Picked(status=status)
    if destinations is None:
        return None
    addresses = tuple(each.strip() for each in destinations.split(",") if each.strip())
    return Picked(addresses) if addresses else Picked(status=503)


def _place(picker: EndpointPicker) -> tuple[str, int]:
    parts = urlsplit(f"//{picker.address}")
    return parts.hostname or "", parts.port or _PORT


def _name(picker: EndpointPicker) -> str:
    named = None if picker.tls is None else picker.tls.server_name
    return named or _place(picker)[0]
