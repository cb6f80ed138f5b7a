"""A value that expires, such as a token: fetched by one call, shared by all.

| the value           | no fetch is under way                    | a fetch is under way         |
|---------------------|------------------------------------------|------------------------------|
| valid               | use it                                   | use it                       |
| about to expire     | fetch; if that fails, use it             | use it                       |
| missing or expired  | fetch; raise its error                   | wait, then use it, or raise  |
|                     |                                          | the same error               |
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from typing import Generic, Protocol, TypeVar

import msgspec

from .._core.values.messages import Deadline
from .._core.values.steps import Await, Step, StepResult
from ..exceptions import CredentialUnavailable, UpstreamError

__all__ = ["Fetched", "Fetching", "Renewed"]

Value = TypeVar("Value")

# A value is renewed this long before it expires: clocks differ, and a call may take minutes.
_MARGIN_S = 300.0
# After a failure to renew a value that is still valid, the pause before the next try.
_PAUSE_S = 10.0


class Fetched(msgspec.Struct, Generic[Value], frozen=True):
    """A value and when it expires, in seconds since the epoch."""

    value: Value
    expires_at: float


class Fetching(Protocol[Value]):
    """Fetches a new value."""

    def __call__(
        self, wall_clock: Callable[[], float], deadline: Deadline
    ) -> Generator[Step, StepResult, Fetched[Value]]:
        """Return the value, or raise an `UpstreamError`."""


class Renewed(Generic[Value]):
    """A value that is renewed before it expires."""

    __slots__ = (
        "_current",
        "_failure",
        "_fetch",
        "_is_fetching",
        "_lock",
        "_not_before",
        "_waiting",
    )

    def __init__(self, fetch: Fetching[Value], lock: AbstractContextManager[object]) -> None:
        self._fetch = fetch
        self._lock = lock
        self._current: Fetched[Value] | None = None
        self._is_fetching = False
        self._not_before = 0.0
        self._failure: UpstreamError | None = None
        self._waiting: list[Callable[[], None]] = []

    def get(
        self, wall_clock: Callable[[], float], deadline: Deadline
    ) -> Generator[Step, StepResult, Value]:
        """Return the value; if necessary, fetch it or wait for another caller that does.

        Raises:
            UpstreamError: it cannot be fetched.
        """
        now = wall_clock()
        current = self._current
        if current is not None and now < current.expires_at - _MARGIN_S:
            return current.value
        is_valid = current is not None and now < current.expires_at
        with self._lock:
            fetches = not self._is_fetching and not (is_valid and now < self._not_before)
            self._is_fetching = self._is_fetching or fetches
        if fetches:
            try:
                return (yield from self._renew(wall_clock, deadline))
            except UpstreamError:
                if not is_valid:
                    raise
                self._not_before = now + _PAUSE_S
        elif not is_valid:
            return (yield from self._shared(deadline))
        assert current is not None  # noqa: S101 - as is_valid says
        return current.value

    def _renew(
        self, wall_clock: Callable[[], float], deadline: Deadline
    ) -> Generator[Step, StepResult, Value]:
        # The error for those who wait, if this call is cancelled while it fetches.
        self._failure = CredentialUnavailable("the call that fetched a token was cancelled")
        try:
            fetched = yield from self._fetch(wall_clock, deadline)
            self._current, self._failure = fetched, None
            return fetched.value
        except UpstreamError as error:
            self._failure = error
            raise
        finally:
            with self._lock:
                self._is_fetching = False
                waiting, self._waiting = self._waiting, []
            for wake in waiting:
                wake()

    def _shared(self, deadline: Deadline) -> Generator[Step, StepResult, Value]:
        """Wait for the fetch that is under way."""
        yield Await(self._on_fetched, deadline)
        if self._is_fetching:
            raise deadline.error()
        if self._failure is not None or self._current is None:
            message = self._failure.message if self._failure is not None else "no token"
            raise CredentialUnavailable(message)
        return self._current.value

    def _on_fetched(self, wake: Callable[[], None]) -> None:
        """Call `wake` when the fetch is over, immediately if it is already."""
        with self._lock:
            if self._is_fetching:
                self._waiting.append(wake)
                return
        wake()
