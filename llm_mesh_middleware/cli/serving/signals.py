"""The signals of `llm-mesh serve`: SIGHUP reloads, SIGTERM and SIGINT end it gracefully.

uvicorn waits for open replies and then drops them; before that, they end with an error event here.
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

# The server waits this much longer than the grace period, so that final events can be sent.
MARGIN_S = 2

_READY_WITHIN_S = 1.0


def ignore_hangup() -> None:
    """Ignore SIGHUP until there is a mesh to reload: it must not end the process."""
    if hasattr(signal, "SIGHUP"):  # not on Windows
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


def handle_signals(middleware: LLMMeshMiddleware, *, grace_s: float) -> None:
    """Handle the signals of a process; its event loop must be running, its mesh made."""
    loop = asyncio.get_running_loop()
    if hasattr(signal, "SIGHUP"):
        reload = middleware.mesh.reload  # in a thread: streams go on meanwhile
        loop.add_signal_handler(signal.SIGHUP, lambda: loop.run_in_executor(None, reload))

    def end() -> None:
        loop.call_later(grace_s, middleware.interrupt)

    for signum in (signal.SIGTERM, signal.SIGINT):
        add_handler(signum, loop, end)


def add_handler(
    signum: signal.Signals, loop: asyncio.AbstractEventLoop, end: Callable[[], None]
) -> None:
    """Call `end` in the loop on a signal, in addition to the server's own handler."""
    servers = signal.getsignal(signum)

    def handle(signum: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(end)
        if callable(servers):
            servers(signum, frame)

    signal.signal(signum, handle)


class Supervisor(Multiprocess):
    """uvicorn's, but it passes SIGHUP to the workers: a restart would end their streams."""

    def handle_hup(self) -> None:
        """Pass SIGHUP to the workers; one that is just starting reads the new files anyway."""
        for process in self.processes:
            if process.pid is not None and process.is_ready(_READY_WITHIN_S):
                os.kill(process.pid, signal.SIGHUP)
