"""How each provider is doing, seen from the calls to it: ejection, probing, and free slots.

The state is this process's own. It belongs to the provider, not to a rule or to one version of the
configuration.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from .upstream import ProviderIdentity, Upstream

__all__ = [
    "HealthRegistry",
    "Lease",
    "OutlierDetection",
    "Place",
    "ProviderHealth",
    "ProviderStatus",
    "Result",
]

Result = Literal["success", "failure", "rate_limited", "cancelled"]

# A provider that is dead for days is ejected a thousand times, and a float has an end.
_MAX_DOUBLINGS = 64

# How long a success vouches for a provider: a fallback to it then needs no retry budget.
_GOOD_FOR_S = 10.0
_NEVER = float("-inf")


@dataclass(frozen=True, slots=True)
class OutlierDetection:
    """`LLMProvider.spec.outlierDetection`.

    `consecutive_failures` in a row, none further than `interval_s` from the next, eject the
    provider for `base_ejection_s`, doubled with each ejection that follows closely, up to
    `max_ejection_s`; one that only limits the rate is left alone for as long as it says.
    Afterwards `half_open_requests` may probe it; when all succeed it is back.
    """

    consecutive_failures: int = 5
    interval_s: float = 30.0
    base_ejection_s: float = 5.0
    max_ejection_s: float = 300.0
    half_open_requests: int = 1


@dataclass(frozen=True, slots=True)
class ProviderStatus:
    """What `Mesh.health()` says of a provider; `ejected_for_s` is what is left of an ejection."""

    state: Literal["healthy", "ejected", "half_open"]
    consecutive_failures: int
    consecutive_rate_limits: int
    ejections: int
    ejected_for_s: float
    in_flight: int


class Lease:
    """The right to make one call; `end` gives it back, once, and says how the call went."""

    __slots__ = ("_epoch", "_health", "_is_open", "_is_undecided", "is_probe")

    def __init__(self, health: ProviderHealth, epoch: int, is_probe: bool) -> None:
        self._health = health
        self._epoch = epoch
        self._is_open = True
        self._is_undecided = True
        self.is_probe = is_probe

    def vouch(self, now: float) -> None:
        """The answer has begun, which vouches for the provider until the end is known."""
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
    """A place in the queue for a slot: who came first gets the slot that comes free first.

    The slot belongs to the place from that moment on, so that no later call can take it.
    """

    __slots__ = ("_has_slot", "_health", "_wake")

    def __init__(self, health: ProviderHealth) -> None:
        self._health = health
        self._has_slot = False
        self._wake = _wake_nobody

    def on_slot(self, wake: Callable[[], None]) -> None:
        """Have `wake` called when the slot is there: at once, or later, perhaps by a thread."""
        with self._health._lock:
            self._wake = wake
            has_slot = self._has_slot
        if has_slot:
            wake()

    def lease(self, now: float) -> Lease | None:
        """Use the slot; None if it has not come, or the provider was ejected in the meantime."""
        return self._health._redeem(self, now)

    def leave(self) -> None:
        """Leave the queue; a slot that was not used goes to the next."""
        self._health._left(self)


def _wake_nobody() -> None:
    """Nobody waits, or not yet."""


class ProviderHealth:
    """One provider's calls, failures and ejections. Times are on the exchange's monotonic clock."""

    def __init__(
        self,
        detection: OutlierDetection,
        max_concurrency: int | None,
        lock: AbstractContextManager[object],
    ) -> None:
        self._detection = detection
        self._max_concurrency = max_concurrency
        self._lock = lock
        self._queue: deque[Place] = deque()
        self._listeners: list[Callable[[], None]] = []
        self._in_flight = 0
        self._undecided = 0  # calls whose answer has not begun
        self._failures = {"failure": 0, "rate_limited": 0}
        self._failed_at = {"failure": 0.0, "rate_limited": 0.0}
        self._good_at = _NEVER
        self._ejections = 0
        self._ejected_until: float | None = None
        self._ejection_s = 0.0
        self._back_since = 0.0
        self._epoch = 0  # counts ejections and returns: a verdict from an earlier one is void
        self._probes = 0  # under way or succeeded since the ejection ended
        self._proved = 0

    def is_available(self, now: float) -> bool:
        """Whether a call may be made: the provider is in service, or due to be probed."""
        if self._ejected_until is None:
            return True
        return now >= self._ejected_until and self._probes < self._detection.half_open_requests

    def has_free_slot(self) -> bool:
        """Whether a call could be made without waiting for another to end."""
        return self._max_concurrency is None or self._in_flight < self._max_concurrency

    def is_known_good(self, now: float) -> bool:
        """Whether it has served lately and has neither failed nor refused since."""
        return now - self._good_at < _GOOD_FOR_S

    def is_on_trial(self, now: float) -> bool:
        """Whether nothing speaks against it, and calls are under way that will tell more."""
        has_failed = any(
            count and now - self._failed_at[kind] <= self._detection.interval_s
            for kind, count in self._failures.items()
        )
        return self._ejected_until is None and self._undecided > 0 and not has_failed

    def on_news(self, wake: Callable[[], None]) -> None:
        """Have `wake` called when the next call begins its answer or ends; perhaps by a thread."""
        with self._lock:
            if self._undecided:
                self._listeners.append(wake)
                return
        wake()

    def available_in_s(self, now: float) -> float:
        """How long until it is worth asking again; 0 if it is now."""
        return 0.0 if self._ejected_until is None else max(0.0, self._ejected_until - now)

    def lease(self, now: float) -> Lease | None:
        """The right to make one call, or None: ejected, or every slot is in use."""
        with self._lock:
            if not (self.is_available(now) and self.has_free_slot()):
                return None
            self._in_flight += 1
            return self._leased()

    def queue(self) -> Place:
        """A place in the queue for a slot; whoever takes it must leave it."""
        place = Place(self)
        with self._lock:
            if self.has_free_slot():
                self._in_flight += 1
                place._has_slot = True
            else:
                self._queue.append(place)
        return place

    def status(self, now: float) -> ProviderStatus:
        """The state as a value."""
        left = self.available_in_s(now)
        is_out = self._ejected_until is not None
        return ProviderStatus(
            state="ejected" if left else "half_open" if is_out else "healthy",
            consecutive_failures=self._failures["failure"],
            consecutive_rate_limits=self._failures["rate_limited"],
            ejections=self._ejections,
            ejected_for_s=left,
            in_flight=self._in_flight,
        )

    def _vouched(self, epoch: int, now: float) -> None:
        with self._lock:
            self._undecided -= 1
            if epoch == self._epoch:
                self._good_at = now
            told = self._heard()
        for wake in told:
            wake()

    def _ended(self, lease: Lease, result: Result, now: float, retry_after_s: float) -> None:
        with self._lock:
            self._undecided -= lease._is_undecided
            if lease._epoch == self._epoch:
                self._judge(lease.is_probe, result, now, retry_after_s)
            told = [self._freed(), *self._heard()]
        for wake in told:
            wake()

    def _heard(self) -> list[Callable[[], None]]:
        told, self._listeners = self._listeners, []
        return told

    def _leased(self) -> Lease:
        is_probe = self._ejected_until is not None
        self._probes += is_probe
        self._undecided += 1
        return Lease(self, self._epoch, is_probe)

    def _freed(self) -> Callable[[], None]:
        """Hand a slot on to the first in the queue; whom to wake, outside the lock."""
        if not self._queue:
            self._in_flight -= 1
            return _wake_nobody
        place = self._queue.popleft()
        place._has_slot = True
        return place._wake

    def _redeem(self, place: Place, now: float) -> Lease | None:
        with self._lock:
            if not (place._has_slot and self.is_available(now)):
                return None
            place._has_slot = False
            return self._leased()

    def _left(self, place: Place) -> None:
        wake = _wake_nobody
        with self._lock:
            if place._has_slot:
                place._has_slot = False
                wake = self._freed()
            elif place in self._queue:
                self._queue.remove(place)
        wake()

    def _judge(self, is_probe: bool, result: Result, now: float, retry_after_s: float) -> None:
        if result == "success":
            self._succeeded(is_probe, now)
        elif result == "cancelled":
            self._probes -= is_probe
        else:
            self._good_at = _NEVER
            if is_probe or self._count(result, now) >= self._detection.consecutive_failures:
                is_wish = result == "rate_limited" and retry_after_s > 0
                self._eject(now, retry_after_s if is_wish else self._grown(retry_after_s))

    def _succeeded(self, is_probe: bool, now: float) -> None:
        self._good_at = now
        self._failures = {"failure": 0, "rate_limited": 0}
        if is_probe:
            self._proved += 1
            if self._proved == self._detection.half_open_requests:
                self._ejected_until, self._back_since = None, now
                self._begin_epoch()
        elif self._ejections and now - self._back_since > self._ejection_s:
            self._ejections = 0  # back for longer than it was out: the past is forgotten

    def _count(self, result: Literal["failure", "rate_limited"], now: float) -> int:
        if now - self._failed_at[result] > self._detection.interval_s:
            self._failures[result] = 0
        self._failed_at[result] = now
        self._failures[result] += 1
        return self._failures[result]

    def _grown(self, at_least_s: float) -> float:
        """The length of the next ejection of a provider that fails."""
        doubled = 2.0 ** min(self._ejections, _MAX_DOUBLINGS)
        self._ejections += 1
        return max(self._detection.base_ejection_s * doubled, at_least_s)

    def _eject(self, now: float, seconds: float) -> None:
        self._ejection_s = min(self._detection.max_ejection_s, seconds)
        self._ejected_until = now + self._ejection_s
        self._failures = {"failure": 0, "rate_limited": 0}
        self._begin_epoch()

    def _begin_epoch(self) -> None:
        self._epoch += 1
        self._probes = self._proved = 0


class HealthRegistry:
    """The health of every provider that a process has called."""

    def __init__(self, make_lock: Callable[[], AbstractContextManager[object]]) -> None:
        """`make_lock` makes locks: calls may come from several threads, and the core knows none."""
        self._make_lock = make_lock
        self._lock = make_lock()
        self._providers: dict[ProviderIdentity, ProviderHealth] = {}

    def of(self, upstream: Upstream) -> ProviderHealth:
        """The health of the provider behind `upstream`; made when it is first asked for."""
        health = self._providers.get(upstream.identity)
        if health is None:
            with self._lock:
                health = self._providers.setdefault(
                    upstream.identity,
                    ProviderHealth(upstream.detection, upstream.max_concurrency, self._make_lock()),
                )
        return health

    def keep(self, identities: Collection[ProviderIdentity]) -> None:
        """Forget all others; calls to them that are under way end as they would have."""
        with self._lock:
            self._providers = {
                identity: health
                for identity, health in self._providers.items()
                if identity in identities
            }

    def statuses(self, now: float) -> Mapping[str, ProviderStatus]:
        """The state of every provider that was called, by provider host."""
        providers = list(self._providers.items())  # another thread may add one
        return {identity.host: health.status(now) for identity, health in providers}
