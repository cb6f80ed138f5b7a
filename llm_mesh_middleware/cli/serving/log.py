"""The log of `llm-mesh serve`: lines are written in batches.

the line of a call   waits for others, at most 0.1 s
a warning, an error  is written at once, after those that wait
another thread, or no event loop    is written at once
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from typing import TextIO

from ..._core.values.usage import Usage
from ..._telemetry.records.direct import CallHandler, LineCall
from .short_line import ShortFormatter

__all__ = ["BufferedHandler"]

_WAIT_S = 0.1
_MAX_LINES = 256


class BufferedHandler(CallHandler):
    """Writes lines to a stream in batches, as a write costs more than a line."""

    def __init__(self, stream: TextIO | None = None) -> None:
        super().__init__()
        self._stream = stream or sys.stderr
        self._lines: list[str] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0
        self._timer: asyncio.TimerHandle | None = None

    def follow(self, loop: asyncio.AbstractEventLoop) -> None:
        """Gather lines from now on, in the calling thread, which runs `loop`."""
        self._loop, self._thread = loop, threading.get_ident()

    def setFormatter(self, fmt: logging.Formatter | None) -> None:
        """Take a formatter; the lines of one for short lines are made without a log record."""
        super().setFormatter(fmt)
        self.writes_calls = isinstance(fmt, ShortFormatter)

    def write_call(
        self,
        call: LineCall,
        at: float,
        status: int | None,
        usage: Usage | None,
        error_type: str | None,
    ) -> None:
        """Take the line of a call."""
        formatter: ShortFormatter = self.formatter  # type: ignore[assignment]  # see `writes_calls`
        self._take(formatter.call_line(call, at, status, usage, error_type))

    def emit(self, record: logging.LogRecord) -> None:
        """Take a line."""
        try:
            self._take(self.format(record), may_wait=record.levelno < logging.WARNING)
        except Exception:  # as the standard library's handlers do
            self.handleError(record)

    def _take(self, line: str, *, may_wait: bool = True) -> None:
        """Write a line, or leave it until there are more."""
        lines, loop = self._lines, self._loop
        lines.append(line)
        if (
            not may_wait
            or loop is None
            or len(lines) >= _MAX_LINES
            or self._thread != threading.get_ident()
        ):
            self.flush()
        elif self._timer is None:
            self._timer = loop.call_later(_WAIT_S, self._due)

    def flush(self) -> None:
        """Write what waits."""
        self.acquire()
        try:
            lines, self._lines = self._lines, []
            if lines:
                self._stream.write("\n".join((*lines, "")))
                self._stream.flush()
        finally:
            self.release()

    def close(self) -> None:
        """Write what waits, and gather no more."""
        self._loop = None
        self.flush()
        super().close()

    def end(self) -> None:
        """Write what waits; the event loop is about to end."""
        self._loop = None
        self.flush()

    def _due(self) -> None:
        self._timer = None
        try:
            self.flush()
        except OSError:  # the reader of the log has left
            self._lines.clear()
