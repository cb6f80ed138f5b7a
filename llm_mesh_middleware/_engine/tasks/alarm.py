"""Timeouts for one step after another with a single timer.

    at(t1) enter ... exit    at(t2) enter ... exit      t1 < t2: the timer of t1 stays set
           |                        |
    timer:  t1 -------- fires early: sets itself for t2 ------ fires: cancels the waiting task

Moving a timer with every read of a stream would cost more than the read. The timers are those of
the loop's wheel.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from types import TracebackType

from .wheel import wheel_of

__all__ = ["Alarm"]

_AHEAD_S = 5.0


class Alarm:
    """A cheaper `asyncio.timeout_at` for consecutive steps: `with alarm.at(when): ...`.

    The steps may be in different tasks, but never concurrent. A step for every chunk of a stream
    avoids the context manager's calls:

        alarm.arm(when)
        try:
            ...
        except asyncio.CancelledError:
            if alarm.is_mine(): ...  # the time is up
            raise
        finally:
            alarm.task = None
    """

    __slots__ = (
        "_at",
        "_cancelling",
        "_fires_at",
        "_has_fired",
        "_loop",
        "_slot",
        "_wheel",
        "task",
    )

    time = staticmethod(monotonic)

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self._loop = loop = loop or asyncio.get_running_loop()
        self._wheel = wheel_of(loop)
        self.task: asyncio.Task[object] | None = None
        self._cancelling = 0
        self._at = 0.0
        self._fires_at = 0.0
        self._slot: int | None = None
        self._has_fired = False

    def at(self, when: float) -> Alarm:
        """Set the deadline of the next step, on the monotonic clock."""
        self._at = when
        return self

    def arm(self, when: float) -> None:
        """Limit the waits of the running task, until `task` is set to None."""
        self._at = when
        self.task = task = asyncio.current_task(self._loop)
        # Count earlier cancellations, so that they are not attributed to the alarm.
        self._cancelling = 0 if task is None else task.cancelling()
        if self._slot is None:
            self._set(when)
        elif when < self._fires_at:
            self.close()
            self._set(when)

    def is_mine(self) -> bool:
        """Return whether a cancellation came from the alarm alone."""
        if not self._has_fired or self.task is None:
            return False
        self._has_fired = False
        return self.task.uncancel() <= self._cancelling

    def close(self) -> None:
        """Stop the timer."""
        if self._slot is not None:
            self._wheel.drop(self, self._slot)
            self._slot = None

    def __enter__(self) -> None:
        self.arm(self._at)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        is_mine = self._has_fired and self.is_mine()
        self.task = None
        if is_mine and kind is asyncio.CancelledError:
            raise TimeoutError from exc

    def due(self) -> None:
        """Cancel the step if its time is up; called by the wheel."""
        self._slot = None
        if self.task is None:  # no step is waiting
            return
        if monotonic() < self._at:
            self._set(self._at)
        else:
            self._has_fired = True
            self.task.cancel()

    def _set(self, when: float) -> None:
        # At most 5 s ahead: the next step's deadline may be sooner, and would need another timer.
        soon = monotonic() + _AHEAD_S
        self._fires_at = when = when if when < soon else soon
        self._slot = self._wheel.set(self, when)
