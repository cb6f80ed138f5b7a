"""The port that keeps responses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from .entry import Found, Lookup, Save
from .lease import Claim, Claimed, Lessor
from .semantic.likeness import Near, Nearest, Remember

__all__ = ["Answer", "CacheStore", "Request"]

Request = Lookup | Save | Nearest | Remember | Claim
Answer = Found | Sequence[Near] | Claimed | None


class CacheStore(Protocol):
    """Keeps entries, and the vectors by which they are found. An error of it is a miss.

    Only a store that processes share has a `lessor`, and answers a `Claim`.
    """

    @property
    def lessor(self) -> Lessor | None:
        """What takes leases back."""

    def ask(self, request: Request, until: float | None) -> Answer:
        """Do as the request says, in the thread of the exchange."""

    async def aask(self, request: Request, until: float | None) -> Answer:
        """Do as `ask`, in the event loop of the exchange."""
