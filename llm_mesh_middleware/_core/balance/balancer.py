"""What the core needs from a balancer: one of several candidates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from ..provider.health import ProviderHealth
from ..values.endpoint import Endpoint
from ..values.messages import ClientRequest
from .backends import Backend

__all__ = ["Balancer", "Candidate"]


class Candidate(msgspec.Struct, frozen=True):
    """One endpoint of one backend, and how it is doing."""

    backend: Backend
    endpoint: Endpoint
    health: ProviderHealth


class Balancer(Protocol):
    """Picks the candidate that a call goes to. Immutable, and shared by all calls of a rule."""

    def pick(
        self, candidates: Sequence[Candidate], call: ClientRequest, random: Callable[[], float]
    ) -> Candidate:
        """Return one of `candidates`, which are of one priority and at least one.

        Args:
            candidates: all may be called.
            call: what is asked.
            random: numbers in [0, 1).
        """

    def lacks_key(self, call: ClientRequest) -> bool:
        """Return whether calls are kept together by a key that `call` does not have."""
