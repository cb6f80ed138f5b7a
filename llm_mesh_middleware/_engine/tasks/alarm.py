"""Timeouts for one step after another with a single timer.

    arm(t1) ... step ends    arm(t2) ... step ends      t1 < t2: the timer of t1 stays set
           |                        |
    timer:  t1 -------- fires early: sets itself for t2 ------ fires: cancels the waiting task

Moving a timer with every read of a stream would cost more than the read. The timers are those of
the loop's wheel. For the same reason an alarm outlives its call, with its timer, and serves the
next one.
"""

from __future__ import annotations

import asyncio
from time import monotonic

from .wheel import Wheel, wheel_of

__all__ = ["NO_ALARM", "Alarm"]

_AHEAD_S = 5.0
_MAX_SPARE = 64


class Alarm:
    """A cheaper `asyncio.timeout_at` for consecutive steps, without a context manager's calls.

    The steps may be in different tasks, but never concurrent. Each is like this:

        alarm.arm(when)
        try:
            ...
        except asyncio.CancelledError:
            if alarm.is_mine(): ...  # the time is up
            raise
        finally:
            if alarm.has_fired:  # the step has made another error of the cancellation
                alarm.is_mine()
            alarm.task = None
    """

    time = staticmethod(monotonic)

    def __init__(self, loop: asyncio.AbstractEventLoop, wheel: Wheel) -> None:
        self._loop = loop
        self._wheel = wheel
        self.task: asyncio.Task[object] | None = None
        self._cancelling = 0
        self._at = 0.0
        self._fires_at = 0.0
        self._slot: int | None = None
        self.has_fired = False

    @classmethod
    def of(cls, loop: asyncio.AbstractEventLoop) -> Alarm:
        """Return an alarm for tasks of `loop`."""
        wheel = wheel_of(loop)
        if not wheel.spare:
            return cls(loop, wheel)
        alarm: Alarm = wheel.spare.pop()
        alarm._loop = loop
        return alarm

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
        if not self.has_fired or self.task is None:
            return False
        self.has_fired = False
        return self.task.uncancel() <= self._cancelling

    def close(self) -> None:
        """Stop the timer."""
        if self._slot is not None:
            self._wheel.drop(self, self._slot)
            self._slot = None

    def rest(self) -> None:
        """Leave the alarm to the next call, its timer set; the caller must not use it again."""
        spare = self._wheel.spare
        if len(spare) < _MAX_SPARE:
            self._loop = _NO_LOOP  # the wheel of a loop must not keep it alive
            spare.append(self)
        else:
            self.close()

    def due(self) -> None:
        """Cancel the step if its time is up; called by the wheel."""
        self._slot = None
        if self.task is None:  # no step is waiting
            return
        if monotonic() < self._at:
            self._set(self._at)
        else:
            self.has_fired = True
            self.task.cancel()

    def _set(self, when: float) -> None:
        # At most 5 s ahead: the next step's deadline may be sooner, and would need another timer.
        soon = monotonic() + _AHEAD_S
        self._fires_at = when = when if when < soon else soon
        self._slot = self._wheel.set(self, when)


_NO_LOOP: asyncio.AbstractEventLoop = None  # type: ignore[assignment]
NO_ALARM = Alarm(_NO_LOOP, None)  # type: ignore[arg-type]
"""Stands in for one that rests; it can only be closed."""
