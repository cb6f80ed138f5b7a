"""Sends scripts from an event loop, over one connection to each server."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Protocol

from redis.exceptions import NoScriptError

from .connecting import Address
from .lines import MOVED, ClusterLines, first_error
from .link import Link, pack
from .scripts import Arguments, Script

__all__ = ["AsyncClusterLines", "AsyncLines", "AsyncSending", "completed", "packed", "run_script"]


class AsyncSending(Protocol):
    """Connections of one event loop."""

    @property
    def link(self) -> Link | None:
        """The connection that everything can be sent over now, if there is one."""

    async def send(self, command: str, script: str, calls: Sequence[Arguments]) -> list[Any]:
        """Return the answer to each call; it may be an error."""

    async def aclose(self) -> None:
        """Close the connections."""

    def abandon(self) -> None:
        """Drop the connections: their event loop is closed."""


async def run_script(lines: AsyncSending, script: Script, calls: Sequence[Arguments]) -> list[Any]:
    """Return the script's answer to each call, as `Lines.run` does."""
    answers = await lines.send("EVALSHA", script.digest, calls)
    return await completed(lines, script, calls, answers)


async def completed(
    lines: AsyncSending, script: Script, calls: Sequence[Arguments], answers: list[Any]
) -> list[Any]:
    """Return the answers, after a server that has lost the script was sent its text."""
    for index, answer in enumerate(answers):
        if isinstance(answer, NoScriptError):
            answers[index] = (await lines.send("EVAL", script.text, (calls[index],)))[0]
    if (error := first_error(answers)) is not None:
        raise error
    return answers


def packed(command: str, script: str, calls: Sequence[Arguments]) -> bytes:
    """Return the bytes of some calls of a script."""
    if len(calls) == 1:
        return pack((command, script, *calls[0]))
    return b"".join([pack((command, script, *call)) for call in calls])


class _Awaited:
    """A batch that a task waits for."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.future: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()

    def answered(self, answers: list[Any]) -> None:
        if not self.future.done():
            self.future.set_result(answers)

    def lost(self, error: Exception) -> None:
        if not self.future.done():
            self.future.set_exception(error)


class AsyncLines:
    """The connection to one server; it is made when it is needed."""

    def __init__(self, address: Address, **node: object) -> None:
        """`node` is the host and the port of one, if they are not those of the address."""
        self._pool = address.async_pool()
        self._pool.connection_kwargs.update(node)
        self._timeout_s = address.timeout_s
        self._link: Link | None = None
        self._connecting = asyncio.Lock()

    @property
    def link(self) -> Link | None:
        """The connection, if it can be written to, as far as is known."""
        link = self._link
        if link is None or link.transport is None or link.transport.is_closing():
            return None
        return link

    async def send(self, command: str, script: str, calls: Sequence[Arguments]) -> list[Any]:
        """Return the answer to each call; it may be an error."""
        batch = _Awaited(len(calls))
        link = self.link or await self._connected()
        link.send(packed(command, script, calls), batch)
        return await batch.future

    async def aclose(self) -> None:
        """Close the connection when what was sent has been answered."""
        if self._link is not None:
            await self._link.drain()
            self._link.close()
            await asyncio.sleep(0)  # the loop closes its socket

    def abandon(self) -> None:
        """Drop the connection: its event loop is closed."""
        if self._link is not None:
            self._link.abandon()

    async def _connected(self) -> Link:
        async with self._connecting:
            if (link := self.link) is None:
                connection = self._pool.make_connection()
                await connection.connect()
                link = self._link = Link(connection, self._timeout_s)
        return link


class AsyncClusterLines:
    """Connections to the nodes of a cluster, which a client for threads finds."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._known: ClusterLines | None = None
        self._nodes: dict[str, AsyncLines] = {}

    @property
    def link(self) -> Link | None:
        """None: each call goes to a node of its own."""
        return None

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

    def abandon(self) -> None:
        """Drop the connections: their event loop is closed."""
        for lines in self._nodes.values():
            lines.abandon()
        if self._known is not None:
            self._known.close()

    def _lines_of(self, node: Any) -> AsyncLines:
        lines = self._nodes.get(node.name)
        if lines is None:
            lines = AsyncLines(self._address, host=node.host, port=node.port)
            self._nodes[node.name] = lines
        return lines
