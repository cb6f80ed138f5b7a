"""A time limit for one step after another, at the price of one timer for all of them."""

from __future__ import annotations

import asyncio
from types import TracebackType

__all__ = ["Alarm"]


class Alarm:
    """What `asyncio.timeout_at` does, for the steps of one task: `with alarm.at(when): ...`.

    The timer stays set between steps, whose limits lie ever later as a rule; when it fires early it
    only sets itself anew.
    """

    __slots__ = ("_at", "_cancelling", "_fires_at", "_has_fired", "_loop", "_task", "_timer")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        task = asyncio.current_task(self._loop)
        if task is None:
            raise RuntimeError("an Alarm must be made in a task")
        self._task = task
        self._cancelling = 0
        self._at: float | None = None
        # The timer's own `when` is not to be had from uvloop for a moment that has passed.
        self._fires_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._has_fired = False

    def at(self, when: float) -> Alarm:
        """The limit of the step that comes, on the loop's clock."""
        self._at = when
        if self._timer is None or when < self._fires_at:
            self.close()
            self._set(when)
        return self

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def __enter__(self) -> None:
        self._cancelling = self._task.cancelling()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._at = None
        if not self._has_fired:
            return
        self._has_fired = False
        if self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from exc

    def _look(self) -> None:
        self._timer = None
        if self._at is None:  # nothing is waited for
            return
        if self._loop.time() < self._at:
            self._set(self._at)
        else:
            self._has_fired = True
            self._task.cancel()

    def _set(self, when: float) -> None:
        self._fires_at = when
        self._timer = self._loop.call_at(when, self._look)
