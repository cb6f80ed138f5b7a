"""The callers of a soak run: each makes one call after another."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter

from tests.soak.calls import CALLS, Call, request

__all__ = ["Load"]

_PATIENCE_S = 30


class Load:
    """`callers` at a time, each one call after another, until `stop`."""

    def __init__(self, port: int, callers: int, seed: int = 7) -> None:
        self._port = port
        self._random = random.Random(seed)
        self._callers = callers
        self._is_over = False
        self.calls = 0
        self.errors: Counter[str] = Counter()

    async def run(self) -> None:
        """Call until told to stop."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._callers):
                group.create_task(self._caller())

    def stop(self) -> None:
        """Let every caller end with the call that it makes."""
        self._is_over = True

    async def make(self, name: str) -> None:
        """Make one call of that kind, and count what was wrong with it."""
        try:
            async with asyncio.timeout(_PATIENCE_S):
                problem = await self._call(name, CALLS[name])
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            problem = type(error).__name__
        self.calls += 1
        if problem:
            self.errors[f"{name}: {problem}"] += 1

    async def _caller(self) -> None:
        names, shares = list(CALLS), [call.share for call in CALLS.values()]
        while not self._is_over:
            [name] = self._random.choices(names, shares)
            await self.make(name)

    async def _call(self, name: str, call: Call) -> str:
        """Return what was wrong with the reply, usually nothing."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            writer.write(request(name, call, self._random.randrange(10_000)))
            if not call.status:
                await asyncio.sleep(0.01)
                return ""
            status = int((await reader.readuntil(b"\r\n\r\n")).split(b" ")[1])
            if status not in call.status:
                return f"status {status}"
            if call.leaves:
                await reader.readuntil(b"\n\n")
                return ""
            return "" if call.has in await reader.read() else "a reply that is not complete"
        finally:
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
