"""Bearer tokens that are fetched, and renewed before they expire."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import ClassVar

from .._core.private import Discreet
from .._core.provider.secrets import Secrets
from .._core.values.messages import Deadline, UpstreamRequest
from .._core.values.steps import Step, StepResult
from .renewed import Renewed
from .static_key import bearer_token

__all__ = ["FetchedToken"]


class FetchedToken(Discreet, frozen=True):
    """Sends the current token; `secrets` learns it, so that it is redacted in responses."""

    shown: ClassVar[tuple[str, ...]] = ("token",)

    token: Renewed[str]
    secrets: Secrets

    def at_once(self, request: UpstreamRequest) -> None:
        """Return None: the token may have to be renewed."""

    def apply(
        self, request: UpstreamRequest, wall_clock: Callable[[], float], deadline: Deadline
    ) -> Generator[Step, StepResult, UpstreamRequest]:
        """Return the request with the token."""
        token = yield from self.token.get(wall_clock, deadline)
        self.secrets.learn(token.encode("latin-1"))
        return bearer_token(token).at_once(request)
