"""Connections of event loops, closed with their loop.

asyncio.run, uvicorn, asgiref    end a loop's asynchronous generators before they close it: one that
                                 only waits for that closes the connections, in the loop itself
a loop that is merely closed     can close nothing: its connections are abandoned for the next loop
a forked child                   has its parent's connections, and leaves them alone
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import Generic, Protocol, TypeVar

from ..._process.forks import follow_forks

__all__ = ["LoopConnections"]


class Closing(Protocol):
    """Something with connections."""

    async def aclose(self) -> None:
        """Close them."""


T = TypeVar("T", bound=Closing)


class LoopConnections(Generic[T]):
    """One thing for each event loop; `made` are those that have been made, by their loop."""

    def __init__(self, abandon: Callable[[T], None] = lambda thing: None) -> None:
        """`abandon` lets go of what belongs to a closed loop."""
        self._abandon = abandon
        self.made: dict[asyncio.AbstractEventLoop, T] = {}
        self._ends: dict[asyncio.AbstractEventLoop, AsyncGenerator[None]] = {}
        follow_forks(self)

    def put(self, loop: asyncio.AbstractEventLoop, thing: T) -> T:
        """Keep the thing of the running event loop until that ends."""
        self.abandon()
        self.made[loop] = thing
        end = self._ends[loop] = self._at_end_of(loop)
        # It begins, so that the loop knows it. A loop that has ended its generators warns.
        with suppress(StopIteration, ResourceWarning):
            end.__anext__().send(None)
        return thing

    async def aclose(self) -> None:
        """Close the thing of the running event loop."""
        loop = asyncio.get_running_loop()
        if (thing := self.made.pop(loop, None)) is not None:
            await thing.aclose()
        self._finish(loop)

    def abandon(self) -> None:
        """Drop what belongs to closed loops."""
        for loop in list(self.made):
            if loop.is_closed() and (thing := self.made.pop(loop, None)) is not None:
                self._abandon(thing)
                self._finish(loop)

    async def _at_end_of(self, loop: asyncio.AbstractEventLoop) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            self._ends.pop(loop, None)
            # Unless somebody else has closed it.
            if (thing := self.made.pop(loop, None)) is not None:
                await thing.aclose()

    def _finish(self, loop: asyncio.AbstractEventLoop) -> None:
        """End a generator that has nothing to close."""
        if (end := self._ends.pop(loop, None)) is not None:
            with suppress(StopIteration):
                end.aclose().__await__().send(None)

    def _begin_process(self) -> None:
        self.made = {}
        for loop in list(self._ends):
            self._finish(loop)
