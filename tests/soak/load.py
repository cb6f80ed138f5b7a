"""The callers of a soak run: whole answers, streams, faults, and some who leave too soon."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["HOST", "Load"]

HOST = "soak.example"


@dataclass(frozen=True)
class _Call:
    """A kind of call: its share, whether it asks for a stream, what its answer has in it."""

    share: int
    is_stream: bool
    status: tuple[int, ...]
    awaits: bytes = b""


_CALLS: Mapping[str, _Call] = {
    "unary": _Call(60, False, (200,), b"Good morning to you"),
    "stream": _Call(22, True, (200,), b"data: [DONE]"),
    "left before it": _Call(3, True, ()),
    "left in the stream": _Call(7, True, (200,)),
    "refused": _Call(2, False, (400,)),
    "down": _Call(2, False, (500,)),
    "half": _Call(1, False, (502,)),
    "closed": _Call(1, False, (502,)),
    "broken": _Call(2, True, (200,), b"stream_interrupted"),
}


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

    async def _caller(self) -> None:
        names, shares = list(_CALLS), [call.share for call in _CALLS.values()]
        while not self._is_over:
            [name] = self._random.choices(names, shares)
            try:
                async with asyncio.timeout(30):
                    problem = await self._call(name, _CALLS[name])
            except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
                problem = type(error).__name__
            self.calls += 1
            if problem:
                self.errors[f"{name}: {problem}"] += 1

    async def _call(self, name: str, call: _Call) -> str:
        """What was wrong with the answer; nothing, as a rule."""
        message = {"role": "user", "content": name}
        body = json.dumps({"messages": [message], "stream": call.is_stream}).encode()
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            writer.write(
                f"POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
                f"Connection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode()
                + body
            )
            if not call.status:
                await asyncio.sleep(0.01)
                return ""
            status = int((await reader.readuntil(b"\r\n\r\n")).split(b" ")[1])
            if status not in call.status:
                return f"status {status}"
            if name.startswith("left"):
                await reader.readuntil(b"\n\n")
                return ""
            return "" if call.awaits in await reader.read() else "an answer that is not whole"
        finally:
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
