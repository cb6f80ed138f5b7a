"""The health of one endpoint of one provider, judged by the calls to it.

    call      lease(now), or queue() and later lease(now)     takes a slot; None while ejected
    response  Lease.vouch(now) when it begins                  wakes waiters for news
    end       Lease.end(result, now)                           frees the slot, judges the provider

`slots` counts calls and queues them, `outliers` judges. Both are guarded by the lock of this
object; callbacks are called outside of it, `on_change` for each ejection and each return.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Literal, Protocol

import msgspec

from .latency import PeakLatency
from .outlier_detection import OutlierDetection
from .outliers import CallFailure, HealthChange, OutlierDetector, Result
from .quota import Quota
from .servers.state import ServerState
from .slots import Slots, Waiter, Wake

__all__ = ["Lease", "Lock", "Place", "ProviderHealth", "ProviderStatus"]


class Lock(AbstractContextManager[object], Protocol):
    """A lock of the standard library, or what stands in for one where there is a single thread."""

    def acquire(self) -> object:
        """Wait for the lock, and take it."""

    def release(self) -> object:
        """Give it back."""


class ProviderStatus(msgspec.Struct, frozen=True):
    """What `Mesh.health()` returns for a provider.

    `ejected_for_s` is the rest of an ejection; 0 if the provider fails its health checks.
    """

    state: Literal["healthy", "ejected", "half_open"]
    consecutive_failures: int
    consecutive_rate_limits: int
    ejections: int
    ejected_for_s: float
    in_flight: int


class Lease(msgspec.Struct, gc=False):
    """The right to make one call; `end` returns it, once, and reports the result."""

    _health: ProviderHealth
    _epoch: int
    is_probe: bool
    _body: bytes | None
    _began_at: float
    is_open: bool = True
    _is_undecided: bool = True

    def vouch(self, now: float) -> None:
        """Report that the response has begun, which counts as a success until it ends."""
        if self._is_undecided:
            self._is_undecided = False
            self._health._vouched(self._epoch, now - self._began_at, now)

    def end(
        self, result: Result, now: float, *, retry_after_s: float = 0.0, cause: str = ""
    ) -> None:
        """End the lease; only the first call counts.

        Args:
            result: how the call went; a cancelled one says nothing about the provider.
            now: the time.
            retry_after_s: how long the provider asks not to be called.
            cause: the reason of a failure, for logs.
        """
        if not self.is_open:
            return
        self.is_open = False
        if result == "success" or result == "cancelled":
            self._health._ended(self, result, now)
            return
        # Hashed only here, as few calls fail.
        request = None if self._body is None else hash(self._body)
        self._health._ended(self, CallFailure(result, retry_after_s, request, cause), now)


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

    def lease(
        self, now: float, *, body: bytes | None = None, is_forced: bool = False
    ) -> Lease | None:
        """Use the slot; None if there is none yet, or the provider was ejected meanwhile."""
        return self._health._redeem(self._waiter, now, body, is_forced)

    def leave(self) -> None:
        """Leave the queue; an unused slot goes to the next waiter."""
        self._health._left(self._waiter)


def _ignore(change: HealthChange) -> None:
    """Do nothing with a change."""


class ProviderHealth:
    """One provider's calls, failures and ejections. Times are on the exchange's monotonic clock."""

    def __init__(
        self,
        detection: OutlierDetection,
        max_concurrency: int | None,
        lock: Lock,
        on_change: Callable[[HealthChange], None] = _ignore,
    ) -> None:
        # Some providers reject the mesh's additions to a request, which are then omitted.
        self.rejects_additions = False
        self._lock = lock
        self._on_change = on_change
        self.quota = Quota()
        self.server = ServerState()
        self._slots = Slots(max_concurrency)
        self._detector = OutlierDetector(detection)
        self._latency: PeakLatency | None = None
        self._listeners: list[Wake] = []
        self._undecided = 0  # calls whose response has not begun

    @property
    def latency(self) -> PeakLatency:
        """The time to its responses, since this was first asked for: few balancers do."""
        if self._latency is None:
            self._latency = PeakLatency()
        return self._latency

    @property
    def in_flight(self) -> int:
        """How many calls are under way."""
        return self._slots.in_flight

    def warmth(self, now: float, warmup_s: float) -> float:
        """Return the fraction of its share to use: less than 1 for `warmup_s` after a return."""
        return self._detector.warmth(now, warmup_s)

    def is_available(self, now: float) -> bool:
        """Return whether a call may be made: the provider is healthy, or may be probed."""
        return not self.server.is_down and self._detector.admits(now)

    def has_free_slot(self) -> bool:
        """Return whether a call could be made without waiting for another to end."""
        return self._slots.has_free()

    def is_free(self, now: float) -> bool:
        """Return whether a call may be made, and without waiting for another to end."""
        if self.server.is_down or not self._slots.has_free():
            return False
        return self._detector.ejected_until is None or self._detector.admits(now)

    def is_known_good(self, now: float) -> bool:
        """Return whether it has succeeded recently and not failed since."""
        return self._detector.is_known_good(now)

    def is_on_trial(self, now: float) -> bool:
        """Return whether pending calls will decide, and nothing has failed yet."""
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
        """Return the time until a call may be made; 0 for now."""
        return self._detector.admitted_in_s(now)

    def is_closed(self, now: float) -> bool:
        """Return whether the provider is ejected and even a forced call would fail."""
        return self._detector.is_closed(now)

    def opens_in_s(self, now: float) -> float:
        """Return the time until a closed provider can be called again."""
        return self._detector.opens_in_s(now)

    def lease(self, now: float, body: bytes | None = None, is_forced: bool = False) -> Lease | None:
        """Return the right to make one call, or None: ejected, or every slot is in use.

        Args:
            now: the time.
            body: the body of the request; if the call fails, the body may be the cause.
            is_forced: whether the call is made even if the provider is ejected.
        """
        detector, lock = self._detector, self._lock
        lock.acquire()  # by `with`, a lock takes twice as long
        try:
            if not (detector.ejected_until is None or is_forced or detector.admits(now)):
                return None
            return self._leased(now, body) if self._slots.take() else None
        finally:
            lock.release()

    def queue(self) -> Place:
        """Join the queue for a slot; the caller must leave the place."""
        with self._lock:
            return Place(self, self._slots.join())

    def status(self, now: float) -> ProviderStatus:
        """Return the state as a value."""
        detector = self._detector
        left = detector.admitted_in_s(now)
        return ProviderStatus(
            state=self._state(left),
            consecutive_failures=detector.failures,
            consecutive_rate_limits=detector.rate_limits,
            ejections=detector.ejections,
            ejected_for_s=left,
            in_flight=self._slots.in_flight,
        )

    def _state(self, left_s: float) -> Literal["healthy", "ejected", "half_open"]:
        if left_s or self.server.is_down:
            return "ejected"
        return "healthy" if self._detector.is_healthy else "half_open"

    def _vouched(self, epoch: int, seconds: float, now: float) -> None:
        with self._lock:
            if self._latency is not None:
                self._latency.add(seconds, now)
            self._undecided -= 1
            if epoch == self._detector.epoch:
                self._detector.vouch(now)
            listeners = self._take_listeners()
        for wake in listeners:
            wake()

    def _ended(
        self, lease: Lease, result: CallFailure | Literal["success", "cancelled"], now: float
    ) -> None:
        change = None
        detector, is_probe, lock = self._detector, lease.is_probe, self._lock
        lock.acquire()  # as in `lease`
        try:
            self._undecided -= lease._is_undecided
            if self._latency is not None:
                self._time(self._latency, lease, result, now)
            if lease._epoch != detector.epoch:
                pass  # from before an ejection or a return
            elif result == "success":
                change = detector.succeed(is_probe, now)
            elif isinstance(result, CallFailure):
                change = detector.fail(is_probe, result, now)
            else:
                detector.cancel(is_probe)
            wake = self._slots.free()
            listeners = self._take_listeners() if self._listeners else ()
        finally:
            lock.release()
        if wake is not None:
            wake()
        for listener in listeners:
            listener()
        if change is not None:
            self._on_change(change)

    def _time(
        self, latency: PeakLatency, lease: Lease, result: CallFailure | str, now: float
    ) -> None:
        seconds = now - lease._began_at
        if isinstance(result, CallFailure):
            latency.add_failure(seconds, now)
        elif result == "success" and lease._is_undecided:
            latency.add(seconds, now)  # that of a stream was added when its response began

    def _take_listeners(self) -> list[Wake]:
        listeners, self._listeners = self._listeners, []
        return listeners

    def _leased(self, now: float, body: bytes | None) -> Lease:
        self._undecided += 1
        self.server.started += 1
        detector = self._detector
        is_probe = detector.ejected_until is not None and detector.begin(now)
        return Lease(self, detector.epoch, is_probe, body, now)

    def _redeem(
        self, waiter: Waiter, now: float, body: bytes | None, is_forced: bool
    ) -> Lease | None:
        with self._lock:
            if not (waiter.has_slot and (is_forced or self._detector.admits(now))):
                return None
            waiter.has_slot = False
            return self._leased(now, body)

    def _left(self, waiter: Waiter) -> None:
        with self._lock:
            wake = self._slots.leave(waiter)
        if wake is not None:
            wake()
