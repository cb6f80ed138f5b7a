"""Interrupt a task because of an event outside it."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any

from ...exceptions import ServerShutdown
from ..event_loop import running_loop

__all__ = ["Interrupt"]


class Interrupt:
    """Raises an error in the task that entered it, when `fire` is called from elsewhere.

    It works like `asyncio.timeout`, for any event: the task is cancelled, and the cancellation
    becomes the error at the exit; `error` is set as soon as it fires. Other cancellations pass
    unchanged. `loop` is that of the task; if both are known, they need not be looked up.
    """

    loop: asyncio.AbstractEventLoop  # set when it is entered

    def __init__(
        self,
        known_loop: asyncio.AbstractEventLoop | None = None,
        known_task: asyncio.Task[Any] | None = None,
    ) -> None:
        self._known_loop = known_loop
        self._known_task = known_task
        self._task: asyncio.Task[Any] | None = None
        self._cancelling = 0
        self._is_armed = True
        self.error: Exception | None = None

    def fire(self, error: Exception) -> None:
        """Raise `error` in the task; once, while it is inside and armed."""
        if self._is_armed and self._task is not None and self.error is None:
            self.error = error
            self._task.cancel()

    def reason(self) -> Exception:
        """Return what a cancellation of the task stands for; without `error`, the server did it."""
        return self.error or ServerShutdown()

    def disarm(self) -> None:
        """Stop firing: what the task does next must not be interrupted."""
        self._is_armed = False

    def __enter__(self) -> Interrupt:
        self.loop = loop = self._known_loop or running_loop()
        task = self._known_task or asyncio.current_task(loop)
        if task is None:
            raise RuntimeError("an Interrupt must be entered in a task")
        self._task = task
        self._cancelling = task.cancelling()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        task, self._task = self._task, None
        if self.error is None or task is None:
            return
        if task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise self.error from exc
