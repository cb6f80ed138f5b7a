"""Sends scripts from an event loop: one round trip for all that are given at once.

A client of a library spends more on a call than the server does, so connections are used without
one where there is one server: commands are written together, and the answers read in order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import hiredis
from redis.exceptions import NoScriptError, ResponseError

from .connecting import Address
from .lines import MOVED, ClusterLines
from .scripts import Arguments, Script

__all__ = ["AsyncClusterLines", "AsyncLines", "AsyncSending", "run_script"]


# Its stub says that there is one argument.
_pack: Callable[[Any], bytes] = hiredis.pack_command


class AsyncSending(Protocol):
    """Connections of one event loop."""

    async def send(self, command: str, script: str, calls: Sequence[Arguments]) -> list[Any]:
        """Return the answer to each call; it may be an error."""

    async def aclose(self) -> None:
        """Close the connections."""


async def run_script(lines: AsyncSending, script: Script, calls: Sequence[Arguments]) -> list[Any]:
    """Return what the script answers to each call, as `Lines.run`."""
    answers = await lines.send("EVALSHA", script.digest, calls)
    for index, answer in enumerate(answers):
        if isinstance(answer, NoScriptError):
            answers[index] = (await lines.send("EVAL", script.text, (calls[index],)))[0]
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    return answers


class AsyncLines:
    """Connections to one server; there are as many as are used at a time."""

    def __init__(self, address: Address, **node: object) -> None:
        """`node` is the host and the port of one, if they are not those of the address."""
        self._pool = address.async_pool()
        self._pool.connection_kwargs.update(node)
        self._idle: list[Any] = []

    async def send(self, command: str, script: str, calls: Sequence[Arguments]) -> list[Any]:
        """Return the answer to each call; it may be an error."""
        connection = self._idle.pop() if self._idle else self._pool.make_connection()
        try:
            if connection.is_connected and await _has_ended(connection):
                await connection.disconnect(nowait=True)
            data = b"".join([_pack((command, script, *call)) for call in calls])
            await connection.send_packed_command(data, check_health=False)
            answers = [await _read(connection) for _ in calls]
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        self._idle.append(connection)
        return answers

    async def aclose(self) -> None:
        """Close the connections."""
        while self._idle:
            await self._idle.pop().disconnect()


class AsyncClusterLines:
    """Connections to the nodes of a cluster; a client for threads knows which these are."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._known: ClusterLines | None = None
        self._nodes: dict[str, AsyncLines] = {}

    async def send(self, command: str, script: str, calls: Sequence[Arguments]) -> list[Any]:
        """Return the answer to each call; it may be an error."""
        known = self._known
        if known is None:
            known = self._known = await asyncio.to_thread(ClusterLines, self._address)
        if known.is_outdated:
            by_node = await asyncio.to_thread(known.nodes_of, calls)
        else:
            by_node = known.nodes_of(calls)
        sent = []
        for node, indexes in by_node.items():
            own = [calls[index] for index in indexes]
            sent.append(self._lines_of(node).send(command, script, own))
        try:
            found = await asyncio.gather(*sent)
        except BaseException:
            known.is_outdated = True
            raise
        answers: list[Any] = [None] * len(calls)
        for indexes, own_answers in zip(by_node.values(), found, strict=True):
            for index, answer in zip(indexes, own_answers, strict=True):
                answers[index] = answer
        if any(isinstance(answer, MOVED) for answer in answers):
            await asyncio.to_thread(known.resend, command, script, calls, answers)
        return answers

    async def aclose(self) -> None:
        """Close the connections."""
        for lines in self._nodes.values():
            await lines.aclose()
        if self._known is not None:
            self._known.close()

    def _lines_of(self, node: Any) -> AsyncLines:
        lines = self._nodes.get(node.name)
        if lines is None:
            lines = AsyncLines(self._address, host=node.host, port=node.port)
            self._nodes[node.name] = lines
        return lines


async def _has_ended(connection: Any) -> bool:
    """Return whether the server has closed a connection that nothing is expected from."""
    if hasattr(connection, "can_read"):  # since redis 8
        return bool(await connection.can_read())
    return bool(await connection.can_read_destructive())


async def _read(connection: Any) -> Any:
    try:
        return await connection.read_response(disable_decoding=True)
    except ResponseError as error:
        return error
