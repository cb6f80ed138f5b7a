"""The health of one endpoint of one provider, learnt from the calls to it.

    call      lease(now), or queue() and later lease(now)     takes a slot; None while ejected
    response  Lease.vouch(now) when it begins                  wakes those that wait for news
    end       Lease.end(result, now)                           frees the slot, judges the provider

`slots` counts calls and queues them, `outliers` judges. Both are guarded by the lock of this
object; callbacks are called outside of it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal

from ..values.outlier_detection import OutlierDetection
from .outliers import OutlierDetector, Result
from .slots import Slots, Waiter, Wake

__all__ = ["Lease", "Place", "ProviderHealth", "ProviderStatus"]


@dataclass(frozen=True, slots=True)
class ProviderStatus:
    """What `Mesh.health()` returns for a provider.

    `ejected_for_s` is what is left of an ejection.
    """

    state: Literal["healthy", "ejected", "half_open"]
    consecutive_failures: int
    consecutive_rate_limits: int
    ejections: int
    ejected_for_s: float
    in_flight: int


class Lease:
    """The right to make one call; `end` gives it back, once, and reports how the call went."""

    __slots__ = ("_epoch", "_health", "_is_open", "_is_undecided", "is_probe")

    def __init__(self, health: ProviderHealth, epoch: int, is_probe: bool) -> None:
        self._health = health
        self._epoch = epoch
        self._is_open = True
        self._is_undecided = True
        self.is_probe = is_probe

    def vouch(self, now: float) -> None:
        """Report that the response has begun; it speaks for the provider until its end is known."""
        if self._is_undecided:
            self._is_undecided = False
            self._health._vouched(self._epoch, now)

    def end(self, result: Result, now: float, *, retry_after_s: float = 0.0) -> None:
        """Give the lease back; only the first call counts.

        A call that the client cancelled says nothing about the provider.
        """
        if self._is_open:
            self._is_open = False
            self._health._ended(self, result, now, retry_after_s)


class Place:
    """A place in the queue for a slot."""

    __slots__ = ("_health", "_waiter")

    def __init__(self, health: ProviderHealth, waiter: Waiter) -> None:
        self._health = health
        self._waiter = waiter

    def on_slot(self, wake: Wake) -> None:
        """Call `wake` as soon as a slot is free, possibly immediately and from another thread."""
        with self._health._lock:
            self._waiter.wake = wake
            has_slot = self._waiter.has_slot
        if has_slot:
            wake()

    def lease(self, now: float) -> Lease | None:
        """Use the slot; None if it has not come, or the provider was ejected in the meantime."""
        return self._health._redeem(self._waiter, now)

    def leave(self) -> None:
        """Leave the queue; a slot that was not used goes to the next."""
        self._health._left(self._waiter)


class ProviderHealth:
    """One provider's calls, failures and ejections. Times are on the exchange's monotonic clock."""

    def __init__(
        self,
        detection: OutlierDetection,
        max_concurrency: int | None,
        lock: AbstractContextManager[object],
    ) -> None:
        self._lock = lock
        self._slots = Slots(max_concurrency)
        self._detector = OutlierDetector(detection)
        self._listeners: list[Wake] = []
        self._undecided = 0  # calls whose response has not begun

    def is_available(self, now: float) -> bool:
        """Return whether a call may be made: the provider is healthy, or may be probed."""
        return self._detector.admits(now)

    def has_free_slot(self) -> bool:
        """Return whether a call could be made without waiting for another to end."""
        return self._slots.has_free

    def is_known_good(self, now: float) -> bool:
        """Return whether it has served lately and has not failed since."""
        return self._detector.is_known_good(now)

    def is_on_trial(self, now: float) -> bool:
        """Return whether calls are under way that will tell more, and nothing speaks against it."""
        detector = self._detector
        return detector.is_healthy and self._undecided > 0 and not detector.has_failed(now)

    def on_news(self, wake: Wake) -> None:
        """Call `wake` when the next response begins or call ends, possibly from another thread."""
        with self._lock:
            if self._undecided:
                self._listeners.append(wake)
                return
        wake()

    def available_in_s(self, now: float) -> float:
        """Return how long until it is worth asking again; 0 if it is now."""
        return self._detector.admitted_in_s(now)

    def lease(self, now: float) -> Lease | None:
        """Return the right to make one call, or None: ejected, or every slot is in use."""
        with self._lock:
            if not (self._detector.admits(now) and self._slots.has_free):
                return None
            self._slots.take()
            return self._leased()

    def queue(self) -> Place:
        """Join the queue for a slot; the place must be left in the end."""
        with self._lock:
            return Place(self, self._slots.join())

    def status(self, now: float) -> ProviderStatus:
        """Return the state as a value."""
        detector = self._detector
        left = detector.admitted_in_s(now)
        return ProviderStatus(
            state="ejected" if left else "healthy" if detector.is_healthy else "half_open",
            consecutive_failures=detector.failures["failure"],
            consecutive_rate_limits=detector.failures["rate_limited"],
            ejections=detector.ejections,
            ejected_for_s=left,
            in_flight=self._slots.in_flight,
        )

    def _vouched(self, epoch: int, now: float) -> None:
        with self._lock:
            self._undecided -= 1
            if epoch == self._detector.epoch:
                self._detector.vouch(now)
            listeners = self._take_listeners()
        for wake in listeners:
            wake()

    def _ended(self, lease: Lease, result: Result, now: float, retry_after_s: float) -> None:
        with self._lock:
            self._undecided -= lease._is_undecided
            if lease._epoch == self._detector.epoch:
                self._detector.judge(lease.is_probe, result, now, retry_after_s)
            listeners: list[Callable[[], None]] = [self._slots.free(), *self._take_listeners()]
        for wake in listeners:
            wake()

    def _take_listeners(self) -> list[Wake]:
        listeners, self._listeners = self._listeners, []
        return listeners

    def _leased(self) -> Lease:
        self._undecided += 1
        return Lease(self, self._detector.epoch, self._detector.begin_call())

    def _redeem(self, waiter: Waiter, now: float) -> Lease | None:
        with self._lock:
            if not (waiter.has_slot and self._detector.admits(now)):
                return None
            waiter.has_slot = False
            return self._leased()

    def _left(self, waiter: Waiter) -> None:
        with self._lock:
            wake = self._slots.leave(waiter)
        wake()
