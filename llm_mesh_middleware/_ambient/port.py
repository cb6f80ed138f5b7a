"""A port for a library that blocks: called in this thread, or in a helper of an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from typing import Generic, TypeVar

from .._auth.renewed import Fetched
from .._core.values.messages import Deadline
from .._core.values.steps import Step, StepResult, ask
from ..exceptions import CredentialUnavailable

__all__ = ["AmbientPort"]

Value = TypeVar("Value")


class AmbientPort(Generic[Value]):
    """Fetches a value by a function that blocks; if it raises, there is no credential.

    Its errors may quote what was read from a file or a server, so only their type is told.
    """

    __slots__ = ("_fetch", "_owner")

    def __init__(self, fetch: Callable[[float], Fetched[Value]], *, owner: str) -> None:
        """`fetch` is given the time; `owner` is the provider, for errors."""
        self._fetch = fetch
        self._owner = owner

    def __call__(
        self, wall_clock: Callable[[], float], deadline: Deadline
    ) -> Generator[Step, StepResult, Fetched[Value]]:
        """Return a new value."""
        fetched: Fetched[Value] = yield from ask(self, wall_clock(), deadline.at)
        return fetched

    def ask(self, request: float, until: float | None) -> Fetched[Value]:
        """Return a new value; `request` is the time."""
        try:
            return self._fetch(request)
        except Exception as exc:
            raise CredentialUnavailable(
                f"no credential for provider {self._owner!r} in the environment"
                f" ({type(exc).__name__})"
            ) from None

    async def aask(self, request: float, until: float | None) -> Fetched[Value]:
        """Return a new value, fetched in a thread."""
        return await asyncio.to_thread(self.ask, request, until)
