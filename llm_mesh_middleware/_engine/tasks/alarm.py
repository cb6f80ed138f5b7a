"""A time limit for one step after another, at the price of one timer for all of them.

    at(t1) enter ... exit    at(t2) enter ... exit      t1 < t2: the timer of t1 stays set
           |                        |
    timer:  t1 -------- fires early: sets itself for t2 ------ fires: cancels the waiting task

Moving a timer with every read of a stream would cost more than the read.
"""

from __future__ import annotations

import asyncio
from types import TracebackType

__all__ = ["Alarm"]


class Alarm:
    """What `asyncio.timeout_at` does, for one step after another: `with alarm.at(when): ...`.

    The steps may be in different tasks, but never two at a time.
    """

    __slots__ = ("_at", "_cancelling", "_fires_at", "_has_fired", "_loop", "_task", "_timer")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[object] | None = None
        self._cancelling = 0
        self._at: float | None = None
        # uvloop does not tell `when` of a timer whose moment has passed.
        self._fires_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._has_fired = False

    def at(self, when: float) -> Alarm:
        """Set the limit of the next step, on the loop's clock."""
        self._at = when
        if self._timer is None or when < self._fires_at:
            self.close()
            self._set(when)
        return self

    def time(self) -> float:
        """Return the loop's time."""
        return self._loop.time()

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def __enter__(self) -> None:
        task = asyncio.current_task(self._loop)
        if task is None:
            raise RuntimeError("an Alarm must be entered in a task")
        self._task = task
        self._cancelling = task.cancelling()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._at = None
        task, self._task = self._task, None
        if not self._has_fired or task is None:
            return
        self._has_fired = False
        if task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from exc

    def _look(self) -> None:
        self._timer = None
        if self._at is None or self._task is None:  # no step is waiting
            return
        if self._loop.time() < self._at:
            self._set(self._at)
        else:
            self._has_fired = True
            self._task.cancel()

    def _set(self, when: float) -> None:
        self._fires_at = when
        self._timer = self._loop.call_at(when, self._look)
