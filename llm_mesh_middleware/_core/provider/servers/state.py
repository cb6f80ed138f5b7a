"""The state of one model server: its load, and whether it passes its health checks.

    page        due                       then
    metrics     1 s after the last one    the load of the server, good for 5 s
                5 s after a failure       no load: the server is left out of scoring
    check       the interval              down after two failures in a row, up after one success

Times are jittered, so that many processes do not ask at once. Metrics are read only while requests
come; checks go on without them.
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

    `begun` counts the calls of this process, whether the server's page has seen them or not.
    `check_due_at` is when the next check is due.
    """

    __slots__ = (
        "_begun_at_load",
        "_failures",
        "_load",
        "_load_at",
        "_metrics_due_at",
        "begun",
        "check_due_at",
        "fault",
        "is_down",
    )

    def __init__(self) -> None:
        self.begun = 0
        self.is_down = False
        self.fault = ""
        self._load: ServerLoad | None = None
        self._load_at = _NEVER
        self._begun_at_load = 0
        self._metrics_due_at = self.check_due_at = _NEVER
        self._failures = 0

    def load(self, now: float) -> ServerLoad | None:
        """Return the load, or None if it is not known or too old."""
        return self._load if now - self._load_at <= _FRESH_S else None

    @property
    def begun_since(self) -> int:
        """How many calls of this process the known load does not contain."""
        return self.begun - self._begun_at_load

    def takes_metrics(self, now: float, chance: float) -> bool:
        """Return whether the caller should read the page of metrics now; the first caller should.

        Args:
            now: the time.
            chance: a number in [0, 1), for the jitter of the next time.
        """
        if now < self._metrics_due_at:
            return False
        every_s = _AFTER_FAILURE_S if self.fault else _EVERY_S
        self._metrics_due_at = now + every_s * (0.8 + 0.4 * chance)
        return True

    def takes_check(self, now: float, interval_s: float, chance: float) -> bool:
        """Return whether the server is to be checked now, as `takes_metrics`."""
        if now < self.check_due_at:
            return False
        self.check_due_at = now + interval_s * (0.8 + 0.4 * chance)
        return True

    def learn(self, load: ServerLoad, begun: int, now: float) -> None:
        """Take the load of a page that was asked for when `begun` calls had begun."""
        self._load, self._load_at, self._begun_at_load = load, now, begun
        self.fault = ""

    def fail(self, fault: str) -> bool:
        """Forget the load, since the page cannot be used; return whether that is news."""
        self._load, self._load_at = None, _NEVER
        is_news, self.fault = not self.fault, fault
        return is_news

    def checked(self, is_healthy: bool) -> bool:
        """Take the result of a check; return whether the server has gone down or come up."""
        self._failures = 0 if is_healthy else self._failures + 1
        was_down = self.is_down
        self.is_down = self._failures >= _MAX_FAILURES or (was_down and not is_healthy)
        return was_down is not self.is_down
