"""The port of the cache store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from .entry import Found, Lookup, Save
from .lease import Claim, Claimed, Lessor
from .semantic.similarity import Near, Nearest, Remember

__all__ = ["Answer", "CacheStore", "Request"]

Request = Lookup | Save | Nearest | Remember | Claim
Answer = Found | Sequence[Near] | Claimed | None


class CacheStore(Protocol):
    """Stores entries, and the vectors by which they are found. Its errors count as misses.

    Only a store that processes share has a `lessor`, and handles a `Claim`.
    """

    @property
    def lessor(self) -> Lessor | None:
        """The object that releases leases."""

    def ask(self, request: Request, until: float | None) -> Answer:
        """Carry out a request, in the thread of the exchange."""

    async def aask(self, request: Request, until: float | None) -> Answer:
        """Do as `ask`, in the event loop of the exchange."""
