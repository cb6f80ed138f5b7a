"""The responses of a fake upstream: frozen values, and the gate that holds one back.

Values only describe an answer. `_wire.py` makes bytes of them, and `_connection.py` sends these.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ._requests import RecordedRequest

Headers: TypeAlias = Sequence[tuple[str, str]]
How: TypeAlias = Literal["fin", "reset", "stall"]

__all__ = [
    "Answer",
    "AnswerValue",
    "Cut",
    "Drip",
    "Gate",
    "How",
    "Raw",
    "Scripted",
    "Stream",
    "Wait",
]


class Gate:
    """Holds an answer until the test opens the gate; the test can wait for an answer to reach it.

    Once open it stays open. `open()` may be called from any thread and never blocks.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()
        self._reached = threading.Event()
        self._is_open = False

    @property
    def is_open(self) -> bool:
        """Whether answers pass."""
        return self._is_open

    def open(self) -> None:
        """Let every answer that waits here, and every later one, pass."""
        with self._lock:
            self._is_open = True
            for loop, opened in self._waiting:
                loop.call_soon_threadsafe(opened.set)

    def wait_reached(self, timeout: float = 10.0) -> bool:
        """Block until an answer is held, and all before it are sent; False after `timeout` s."""
        return self._reached.wait(timeout)

    async def wait_open(self) -> None:
        """Wait on the upstream's loop."""
        waiter = (asyncio.get_running_loop(), asyncio.Event())
        with self._lock:
            if not self._is_open:
                self._waiting.add(waiter)
        self._reached.set()
        try:
            # Opened before this call: its event would never be set.
            if not self._is_open:
                await waiter[1].wait()
        finally:
            with self._lock:  # before the loop can close, so open() never meets a closed one
                self._waiting.discard(waiter)


Wait: TypeAlias = float | Gate
"""Seconds to let pass, or the gate to wait at."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One whole answer.

    A mapping is sent as JSON and a str as text, each with its content type unless `headers` has
    one. `content-length` is added unless `headers` has it or `transfer-encoding`; a length that
    lies is sent as given. `delay` passes before the first byte.
    """

    status: int = 200
    headers: Headers = ()
    body: bytes | str | Mapping[str, object] = b""
    delay: Wait = 0.0


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer in pieces, each sent as it is, with waits between them.

    A list is sent again for every request; a generator serves one request and may be endless.
    `pause` seconds pass between two pieces. With framing `chunked` a piece is one chunk; `length`
    declares the sum; `close` ends with the connection. `end` says what follows the last piece: the
    proper end, or FIN, RST, silence, or a chunk whose size is not a number.
    """

    chunks: Iterable[bytes | Wait]
    status: int = 200
    headers: Headers = (("content-type", "text/event-stream"),)
    pause: float = 0.0
    delay: Wait = 0.0
    framing: Literal["chunked", "close", "length"] = "chunked"
    end: Literal["done", "fin", "reset", "stall", "bad_chunk"] = "done"

    def __post_init__(self) -> None:
        if self.end == "bad_chunk" and self.framing != "chunked":
            raise ValueError(f"a bad chunk needs framing 'chunked', not {self.framing!r}")


@dataclass(frozen=True, slots=True)
class Raw:
    """Exactly these bytes, and then FIN, RST, or silence until the client leaves.

    Both `done` and `fin` send FIN; after `done` the answer counts as complete.
    """

    data: bytes
    end: Literal["done", "fin", "reset", "stall"] = "done"


@dataclass(frozen=True, slots=True)
class Cut:
    """The first part of an answer and then FIN, RST, or silence until the client leaves.

    `after` counts bytes on the wire, headers included; `at` is a fraction of the whole instead.
    With neither, nothing is sent. A cut beyond the end of the answer is an error that `close()`
    raises.
    """

    answer: AnswerValue | None = None
    after: int = 0
    at: float | None = None
    how: How = "fin"

    def __post_init__(self) -> None:
        if self.at is not None and (self.after or not 0 <= self.at <= 1):
            raise ValueError(
                "cut at a fraction from 0 to 1 or after a number of bytes, not "
                f"at={self.at} after={self.after}"
            )
        if self.after < 0:
            raise ValueError(f"cut after a number of bytes that is not negative, not {self.after}")


@dataclass(frozen=True, slots=True)
class Drip:
    """An answer, headers included, sent `size` bytes at a time with `interval` seconds between."""

    answer: AnswerValue | None = None
    interval: float = 0.0
    size: int = 1

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"drip at least one byte at a time, not {self.size}")


AnswerValue: TypeAlias = Answer | Stream | Raw | Cut | Drip
Scripted: TypeAlias = AnswerValue | Callable[[RecordedRequest], AnswerValue | None]
"""What `script()` and `always()` take; a callable runs on the upstream's loop, must not block."""
