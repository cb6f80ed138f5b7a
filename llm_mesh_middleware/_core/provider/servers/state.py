"""The state of one model server: its load, and whether it passes its health checks.

    page        due                       then
    metrics     1 s after the last one    the load of the server, valid for 5 s
                5 s after a failure       no load: the server is not scored
    check       the interval              down after two failures in a row, up after one success

Times are jittered, so that processes do not send requests at the same time. Metrics are read only
while there are requests; checks continue without them.
"""

from __future__ import annotations

from .metrics_page import ServerLoad

__all__ = ["ServerState"]

_EVERY_S = 1.0
_AFTER_FAILURE_S = 5.0
_FRESH_S = 5.0
_MAX_FAILURES = 2
_NEVER = float("-inf")


class ServerState:
    """One server's state; single values are replaced, so that no lock is needed.

    `started` counts the calls of this process, counted by the server's metrics or not.
    `check_due_at` is the time of the next check.
    """

    __slots__ = (
        "_started_at_load",
        "_failures",
        "_load",
        "_load_at",
        "_metrics_due_at",
        "started",
        "check_due_at",
        "fault",
        "is_down",
    )

    def __init__(self) -> None:
        self.started = 0
        self.is_down = False
        self.fault = ""
        self._load: ServerLoad | None = None
        self._load_at = _NEVER
        self._started_at_load = 0
        self._metrics_due_at = self.check_due_at = _NEVER
        self._failures = 0

    def load(self, now: float) -> ServerLoad | None:
        """Return the load, or None if it is not known or too old."""
        return self._load if now - self._load_at <= _FRESH_S else None

    @property
    def started_since(self) -> int:
        """The number of calls of this process that the known load does not include."""
        return self.started - self._started_at_load

    def claim_metrics(self, now: float, chance: float) -> bool:
        """Return whether the metrics are due; if so, the caller must read them.

        Args:
            now: the time.
            chance: a number in [0, 1), for the jitter of the next time.
        """
        if now < self._metrics_due_at:
            return False
        every_s = _AFTER_FAILURE_S if self.fault else _EVERY_S
        self._metrics_due_at = now + every_s * (0.8 + 0.4 * chance)
        return True

    def claim_check(self, now: float, interval_s: float, chance: float) -> bool:
        """Return whether a check is due; if so, the caller must make it, as with metrics."""
        if now < self.check_due_at:
            return False
        self.check_due_at = now + interval_s * (0.8 + 0.4 * chance)
        return True

    def learn(self, load: ServerLoad, started: int, now: float) -> None:
        """Set the load of a page that was requested when `started` calls had begun."""
        self._load, self._load_at, self._started_at_load = load, now, started
        self.fault = ""

    def fail(self, fault: str) -> bool:
        """Discard the load, since the page cannot be used; return whether this is a new fault."""
        self._load, self._load_at = None, _NEVER
        is_news, self.fault = not self.fault, fault
        return is_news

    def checked(self, is_healthy: bool) -> bool:
        """Record the result of a check; return whether the server has gone down or come up."""
        self._failures = 0 if is_healthy else self._failures + 1
        was_down = self.is_down
        self.is_down = self._failures >= _MAX_FAILURES or (was_down and not is_healthy)
        return was_down is not self.is_down
