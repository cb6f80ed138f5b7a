"""Connections without a proxy: name, addresses, TLS.

name        looked up in a thread, once for all that ask; the addresses are used for 10 s,
            each time beginning with the next of them
addresses   the families take turns; the next begins after 250 ms, or when one has failed, and
            the first that connects is used (RFC 8305)
TLS         with the provider's own name
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import chain, zip_longest

import msgspec

from ...._core.values.endpoint import Endpoint
from ...tls import tls_reason
from ..async_connection import AsyncConnection
from .failures import NotConnected

__all__ = ["Dialler"]

# Family, type, protocol, and the address itself.
_Address = tuple[int, int, int, tuple[object, ...]]

_FRESH_S = 10.0
_HEAD_START_S = 0.25
_MAX_NAMES = 256


class _Name(msgspec.Struct):
    """A name: what it is looked up by, until when that is fresh, and how often it was used."""

    lookup: asyncio.Task[list[_Address]]
    fresh_until: float
    uses: int = 0


class Dialler:
    """Opens connections in one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._names: dict[tuple[str, int], _Name] = {}

    async def dial(self, endpoint: Endpoint, context: ssl.SSLContext | None) -> AsyncConnection:
        """Return a new connection to `endpoint`.

        Raises:
            OSError: there is no such name, or nobody listens.
            NotConnected: TLS cannot begin.
        """
        loop = self._loop
        name = None if context is None else endpoint.server_name or endpoint.address
        sock = await _race(loop, await self._addresses(endpoint.address, endpoint.port))
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            _, connection = await loop.create_connection(
                AsyncConnection, sock=sock, ssl=context, server_hostname=name
            )
        except BaseException as exc:
            sock.close()  # if the loop has not taken it over
            if context is not None and isinstance(exc, OSError):
                raise NotConnected(tls_reason(exc)) from exc
            raise
        return connection

    async def _addresses(self, host: str, port: int) -> Sequence[_Address]:
        if (own := _literal(host, port)) is not None:
            return own
        name = self._names.get((host, port))
        if name is None or self._loop.time() >= name.fresh_until:
            name = self._look_up(host, port)
        # Others may wait for it, too.
        found = await asyncio.shield(name.lookup)
        first = name.uses % len(found)
        name.uses += 1
        return _in_turns(found[first:] + found[:first])

    def _look_up(self, host: str, port: int) -> _Name:
        if len(self._names) >= _MAX_NAMES:
            self._names.clear()
        lookup = self._loop.create_task(self._looked_up(host, port))
        lookup.add_done_callback(_ignore)
        name = self._names[host, port] = _Name(lookup, self._loop.time() + _FRESH_S)
        return name

    async def _looked_up(self, host: str, port: int) -> list[_Address]:
        try:
            found = await self._loop.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG
            )
            if not found:
                raise socket.gaierror(socket.EAI_NONAME, "no address")
        except BaseException:
            self._names.pop((host, port), None)  # the next call asks again
            raise
        return _told(found)


def _ignore(lookup: asyncio.Task[list[_Address]]) -> None:
    """Take note of a failure that everyone has stopped waiting for; the loop would log it."""
    if not lookup.cancelled():
        lookup.exception()


def _literal(host: str, port: int) -> list[_Address] | None:
    """Return the address that `host` is; None if it is a name."""
    try:
        found = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        )
    except socket.gaierror:
        return None
    return _told(found)


def _told(found: Iterable[tuple[int, int, int, str, tuple[object, ...]]]) -> list[_Address]:
    return [(family, kind, protocol, address) for family, kind, protocol, _, address in found]


def _in_turns(addresses: Sequence[_Address]) -> list[_Address]:
    """Return the addresses so that the families take turns; the first one stays the first."""
    same = [each for each in addresses if each[0] == addresses[0][0]]
    others = [each for each in addresses if each[0] != addresses[0][0]]
    return [each for each in chain.from_iterable(zip_longest(same, others)) if each is not None]


async def _race(loop: asyncio.AbstractEventLoop, addresses: Sequence[_Address]) -> socket.socket:
    """Return a socket that is connected to one of the addresses.

    Raises:
        OSError: the first failure, if there is no other address.
    """
    if len(addresses) == 1:
        return await _connected(loop, addresses[0])
    left, running = deque(addresses), set[asyncio.Task[socket.socket]]()
    failures = list[BaseException]()
    try:
        while left or running:
            if left:
                running.add(loop.create_task(_connected(loop, left.popleft())))
            done, _ = await asyncio.wait(
                running,
                timeout=_HEAD_START_S if left else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for task in done:
                running.discard(task)
                if (error := task.exception()) is None:
                    return task.result()
                failures.append(error)
    finally:
        for task in running:
            if not task.cancel() and not task.cancelled() and task.exception() is None:
                task.result().close()  # it has connected just now, too
    raise failures[0]


async def _connected(loop: asyncio.AbstractEventLoop, address: _Address) -> socket.socket:
    family, kind, protocol, where = address
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        await loop.sock_connect(sock, where)
    except BaseException:
        sock.close()
        raise
    return sock
