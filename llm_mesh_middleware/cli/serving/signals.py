"""The signals of `llm-mesh serve`: SIGHUP reloads, SIGTERM and SIGINT end it gracefully.

uvicorn waits for open replies and then drops them; here they end with an event before that.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from types import FrameType

from uvicorn.supervisors import Multiprocess

from ...asgi import LLMMeshMiddleware

__all__ = ["MARGIN_S", "Supervisor", "add_handler", "handle_signals", "ignore_hangup"]

# How much longer than the grace period the server waits: for the last words to be sent.
MARGIN_S = 2

_READY_WITHIN_S = 1.0


def ignore_hangup() -> None:
    """Ignore SIGHUP until there is a mesh to reload: it must not end the process."""
    if hasattr(signal, "SIGHUP"):  # not on Windows
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


def handle_signals(middleware: LLMMeshMiddleware, *, grace_s: float) -> None:
    """Take the signals of a process whose event loop is running and whose mesh is made."""
    loop = asyncio.get_running_loop()
    if hasattr(signal, "SIGHUP"):
        loop.add_signal_handler(signal.SIGHUP, middleware.mesh.reload)

    def end() -> None:
        loop.call_later(grace_s, middleware.interrupt)

    for signum in (signal.SIGTERM, signal.SIGINT):
        add_handler(signum, loop, end)


def add_handler(
    signum: signal.Signals, loop: asyncio.AbstractEventLoop, end: Callable[[], None]
) -> None:
    """Have `end` called in the loop, besides what the server does about the signal."""
    servers = signal.getsignal(signum)

    def handle(signum: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(end)
        if callable(servers):
            servers(signum, frame)

    signal.signal(signum, handle)


class Supervisor(Multiprocess):
    """uvicorn's, but SIGHUP is for the workers: to restart them would end their streams."""

    def handle_hup(self) -> None:
        """Pass it on; a worker that has only just been started reads what is new anyway."""
        for process in self.processes:
            if process.pid is not None and process.is_ready(_READY_WITHIN_S):
                os.kill(process.pid, signal.SIGHUP)
