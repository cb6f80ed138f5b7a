"""The interface of a balancer, which picks one of several candidates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from ..provider.health import ProviderHealth
from ..values.endpoint import Endpoint
from ..values.messages import ClientRequest
from .backends import Backend

__all__ = ["Balancer", "Candidate"]


class Candidate(msgspec.Struct, frozen=True, gc=False):
    """One endpoint of one backend, and its health."""

    backend: Backend
    endpoint: Endpoint
    health: ProviderHealth


class Balancer(Protocol):
    """Picks the candidate for a call. Immutable, and shared by all calls of a rule."""

    @property
    def reads_quota(self) -> bool:
        """Whether it uses the rate limits that providers report."""

    def pick(
        self,
        candidates: Sequence[Candidate],
        call: ClientRequest,
        random: Callable[[], float],
        now: float,
    ) -> Candidate:
        """Return one of `candidates`.

        Args:
            candidates: available candidates of one priority, at least one.
            call: the request.
            random: returns numbers in [0, 1).
            now: the time.
        """

    def lacks_key(self, call: ClientRequest) -> bool:
        """Return whether this balancer needs a sticky key that `call` does not have."""
